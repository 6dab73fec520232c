"""Run by a test in a process of its own: the shop's release, with each standard grant taken away once.

Prints one JSON object: for each grant what the step said that needed it; and the results of what had all: two
releases, and the rollback of the second.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from databricks.sdk.service.iam import AccessControlRequest, PermissionLevel
from shop_repository import Repository

from dbx_cd.errors import DbxCdError
from dbx_cd.local import rights
from dbx_cd.local.project import LocalProject
from dbx_cd.local.run import LocalWorkflow, results_of
from dbx_cd.local.workspace import CI, DEVELOPER, OWNER, RELEASE_BOT, EmbeddedWorkspace
from dbx_cd.release.workflow import ReleaseRun
from dbx_cd.setup.grants import APPROVERS, JOB, READERS, SRE, STANDARD_GRANTS

APPROVER_GROUP = "dbx_cd_approvers"


class Trial:
    """One workspace in which grants are taken away and given back."""

    def __init__(self, workspace: EmbeddedWorkspace, project: LocalProject) -> None:
        self.workspace = workspace
        self.spark = workspace.spark
        self.workflow = LocalWorkflow(workspace, project)
        self.places = project.places
        self.said: dict[str, str] = {}
        self.released: list[str] = []
        # Who rolls back is somebody else here than who approves, and has no other rights.
        for _name, privilege, on in self._each(SRE):
            rights.revoke(self.spark, OWNER, privilege, on)
        for _name, privilege, on in self._each(READERS):
            rights.revoke(self.spark, DEVELOPER, privilege, on)
        for _name, privilege, on in self._each(SRE):
            rights.grant(self.spark, DEVELOPER, privilege, on)
        seen = AccessControlRequest(user_name=DEVELOPER, permission_level=PermissionLevel.CAN_VIEW)
        workspace.client(CI).permissions.update("jobs", str(self.workflow.job_id), access_control_list=[seen])

    def _each(self, who: str) -> Iterator[tuple[str, str, str]]:
        for grant in STANDARD_GRANTS:
            if grant.who == who:
                for on in self.places.objects(grant):
                    for privilege in grant.privileges:
                        yield f"{who}: {privilege} ON {on.replace('`', '')}", privilege, on

    def grants(self, who: str, *objects: str) -> list[tuple[str, str, str]]:
        """A role's grants, on these objects where some are named."""
        return [one for one in self._each(who) if not objects or one[0].split(" ON ")[1] in objects]

    @contextmanager
    def without(self, principal: str, privilege: str, on: str) -> Iterator[None]:
        """Without one privilege for a while; what a task remembers of its rights is for seconds."""
        rights.revoke(self.spark, principal, privilege, on)
        try:
            yield
        finally:
            rights.grant(self.spark, principal, privilege, on)

    def failing(self, run: ReleaseRun) -> str:
        """What the first task that failed said, and printed."""
        ended = self.workflow.wait(run)
        jobs = self.workspace.client(CI).jobs
        failed = [task for task in ended.tasks or () if results_of(ended)[task.task_key or ""] == "FAILED"]
        said = [str(jobs.get_run_output(task.run_id or 0).error) for task in failed]
        logs = self.workspace.state_dir / "runs" / str(run.run_id)
        return "\n".join([*said, *(path.read_text() for path in sorted(logs.glob("*.log")))])

    def approving(self, run: ReleaseRun) -> str:
        """What is said to who approves a run; nothing where it works."""
        request = self.workflow.pending(run)
        assert request is not None
        try:
            self.workflow.approve(request, as_user=OWNER)
        except DbxCdError as exc:
            return str(exc)
        return ""

    def rolling_back(self, *options: str) -> subprocess.CompletedProcess[str]:
        """What is printed to who rolls back."""
        connection = self.workspace.connection
        variables = {"DATABRICKS_HOST": connection.host, "DATABRICKS_TOKEN": connection.tokens[DEVELOPER]}
        command = [sys.executable, "-m", "dbx_cd", "rollback", *options, "--job", str(self.workflow.job_id)]
        return subprocess.run(command, env=os.environ | variables, capture_output=True, text=True, check=False)


def main(folder: Path) -> None:
    """Take each away, and let releases through."""
    repository = Repository(folder / "repository")
    first = repository.commit("the shop")
    repository.apply("good_release")
    second = repository.commit("average order amount")
    project = LocalProject.find(repository.folder)
    with EmbeddedWorkspace(folder / "workspace", catalogs=project.catalogs) as workspace:
        trial = Trial(workspace, project)
        build_and_approve(trial, first)
        results = released(trial, first) | released(trial, second) | roll_back(trial)
    print(json.dumps({"said": trial.said, "results": results}))


def build_and_approve(trial: Trial, commit: str) -> None:
    """The steps of a release, each once without each of the grants that it needs."""
    workflow = trial.workflow
    volume, log, catalog = "VOLUME ops.dbt_meta.artifacts", "SCHEMA ops.dbt_meta", "CATALOG ops"
    for name, privilege, on in trial.grants(JOB, catalog, log, volume, "CATALOG stg"):
        with trial.without(RELEASE_BOT, privilege, on):
            trial.said[name] = trial.failing(workflow.release(commit, reason=name))
    run = workflow.release(commit, reason="all grants")
    workflow.wait(run)
    for name, privilege, on in trial.grants(APPROVERS):
        with trial.without(APPROVER_GROUP, privilege, on):
            trial.said[name] = trial.approving(run)
    for name, privilege, on in trial.grants(JOB, "CATALOG prod"):
        if workflow.pending(run) is None:  # it was approved, and its build failed
            run = workflow.release(commit, reason=name)
            workflow.wait(run)
        with trial.without(RELEASE_BOT, privilege, on):
            trial.approving(run)
            trial.said[name] = trial.failing(run)


def released(trial: Trial, commit: str) -> dict[str, str]:
    """What came of a release with all grants."""
    run = trial.workflow.release(commit, reason="all grants")
    trial.workflow.wait(run)
    refused = trial.approving(run)
    trial.released.append(trial.workflow.cd.log.for_run(str(run.run_id)).id)
    return results_of(trial.workflow.wait(run)) | {"approval": refused or "given"}


def roll_back(trial: Trial) -> dict[str, str]:
    """What came of the rollback of the second release, which has tables to restore; once without each grant before."""
    release = trial.released[-1]
    planned = trial.rolling_back(release, "--plan")
    for name, privilege, on in trial.grants(SRE):
        with trial.without(DEVELOPER, privilege, on):
            # Who sees less gets another plan, which says why, and has a seal of its own.
            plan = trial.rolling_back(release, "--plan")
            done = trial.rolling_back(release, "--seal", seal_in(plan.stdout), "--reason", name)
            trial.said[name] = "\n".join((plan.stdout, plan.stderr, done.stdout, done.stderr))
    again = trial.rolling_back(release, "--plan")
    done = trial.rolling_back(release, "--seal", seal_in(again.stdout), "--reason", "all grants")
    restored = re.search(r"(\d+) relations? restored", done.stdout)
    return {
        "plan": "printed" if planned.returncode == 0 else planned.stderr,
        "rollback": "done" if done.returncode == 0 else done.stderr,
        "restored": restored[1] if restored else done.stdout,
    }


def seal_in(printed: str) -> str:
    """The seal of a plan that was printed; else one that fits none."""
    found = re.search(r"^seal: (\w+)$", printed, re.MULTILINE)
    return found[1] if found else "0" * 64


if __name__ == "__main__":
    main(Path(sys.argv[1]))
