"""`notebooks/check` as the job's identity, on a deployed job: once everything is right, once two things are not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from databricks.sdk.service.jobs import JobSettings
from git_repositories import commit, fill, git

from dbx_cd.errors import WorkflowError
from dbx_cd.local.project import LocalProject
from dbx_cd.local.run import LocalWorkflow
from dbx_cd.local.workspace import CI, RELEASE_BOT, EmbeddedWorkspace
from dbx_cd.release.notebook_run import notebook_result, start_notebook
from dbx_cd.setup.bundle import bundle_text, job_text, packaged_folder
from dbx_cd.setup.bundle_options import BundleOptions
from wide_rights import let_everybody, let_nobody

PROFILE = """
checked:
  target: prod
  outputs:
    stg: &connection
      {type: databricks, host: h, http_path: /sql/1.0/warehouses/x, auth_type: oauth, client_id: i, schema: checked,
       client_secret: "{{ env_var('CHECKED_SECRET', 'not-set') }}", threads: 2, catalog: stg}
    prod: {<<: *connection, catalog: prod}
"""
FILES = {
    "dbt_project.yml": "name: checked\nversion: '1.0'\nprofile: checked\nmodels: {+tags: [deploy]}\n",
    "profiles.yml": PROFILE,
    "models/orders.sql": "select 1 as id",
    "models/orders.yml": "models: [{name: orders, columns: [{name: id, data_tests: [unique]}]}]\n",
}


@dataclass
class Deployed:
    """A project's job in the workspace."""

    workspace: EmbeddedWorkspace
    job_id: str

    def check(self) -> str:
        """What the notebook ends with, as the job's identity."""
        client = self.workspace.client(RELEASE_BOT)
        run = start_notebook(client, self.job_id, notebook="check", parameters={"job": self.job_id, "target": "prod"})
        self.workspace.rest.wait(run.run_id)
        return notebook_result(client, run)


@pytest.fixture
def deployed(workspace: EmbeddedWorkspace, tmp_path: Path) -> Iterator[Deployed]:
    folder = fill(tmp_path / "checked", FILES)
    root = workspace.volume_path("/Volumes/ops/checked/artifacts")
    (folder / "dbx_cd.yml").write_text(
        "artifacts_root: /Volumes/ops/checked/artifacts\nrelease_log: ops.checked.release_log\n"
    )
    values = {"run_as": RELEASE_BOT, "ci": CI, "git_url": folder.as_uri(), "artifacts_root": str(root)}
    options = BundleOptions(values={**values, "release_log": "ops.checked.release_log", "notify": "team@acme.com"})
    # The embedded workspace gives its jobs a profile of its own, by this parameter.
    profiles = f'default: "{workspace.state_dir / "profiles" / "checked"}"'
    job = job_text(options).replace('{name: profiles_dir, default: ""}', f"{{name: profiles_dir, {profiles}}}")
    notebooks = {f"notebooks/{p.name}": p.read_text() for p in (packaged_folder() / "notebooks").glob("*.py")}
    fill(folder, {"databricks.yml": bundle_text(options), "resources/dbx_cd.job.yml": job, **notebooks})
    commit(folder)
    git(folder, "branch", "--move", "--force", "main")  # which the job checks out
    let_nobody(workspace)
    try:
        workflow = LocalWorkflow(workspace, LocalProject.find(folder))
        yield Deployed(workspace, str(workflow.job_id))
        workspace.client(CI).jobs.delete(workflow.job_id)
    finally:
        let_everybody(workspace)


def test_what_is_right_is_ok_and_what_is_not_is_named_with_what_to_do(deployed: Deployed) -> None:
    text = deployed.check()
    for line in (
        f"{RELEASE_BOT}: asks, which is whom the job runs as",
        f"{RELEASE_BOT}: sees its runs",
        "ops.checked.release_log: is not there yet: the first run makes it",
        "prod: prod: 0 of 1 schemas are there; checked will be made by its first build",
        "prod: dbt connects",
    ):
        assert line in text, text
    assert "job as deployed" in text
    assert "FAIL" not in text
    assert f"check ok, as {RELEASE_BOT}" in text

    deployed.workspace.administer(f"REVOKE CREATE SCHEMA ON CATALOG prod FROM `{RELEASE_BOT}`")
    try:
        deployed.workspace.client(CI).jobs.update(int(deployed.job_id), new_settings=JobSettings(max_concurrent_runs=4))
        with pytest.raises(WorkflowError, match="CheckFailed") as info:
            deployed.check()
    finally:
        deployed.workspace.administer(f"GRANT CREATE SCHEMA ON CATALOG prod TO `{RELEASE_BOT}`")
    assert "2 fail" in str(info.value)
    assert "job as deployed: max_concurrent_runs is 4, and the bundle has 1" in str(info.value)
    assert "rights: lacks CREATE SCHEMA on CATALOG `prod`" in str(info.value)
