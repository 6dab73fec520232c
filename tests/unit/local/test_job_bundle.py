from __future__ import annotations

import itertools
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from databricks.sdk.service.jobs import JobSettings, RunIf, Source, Task

from dbx_cd import ConfigError
from dbx_cd.local.job_bundle import BundledJob, load_bundled_job, load_job
from dbx_cd.setup.bundle_options import BUNDLE_FILE, JOB_FILE

REPOSITORY = Path(__file__).parents[3]
BUNDLE = "variables:\n  owner: {default: data@example.org}\n  region: {}\n"
JOB = """
resources:
  jobs:
    dbx_cd:
      name: own
      queue: {enabled: true}
      email_notifications: {on_failure: ["${var.owner}"]}
      tasks:
        - task_key: a
          notebook_task: {notebook_path: notebooks/a, source: GIT}
"""


@pytest.fixture(scope="module")
def packaged(tmp_path_factory: pytest.TempPathFactory) -> JobSettings:
    """The job of a repository that has no definition of its own."""
    return load_job(tmp_path_factory.mktemp("repository"), variables={"git_url": "https://git.example.org/x.git"})


@pytest.fixture
def load(tmp_path: Path):
    """Loads the job of a repository with these files."""

    def load(job: str = JOB, bundle: str = BUNDLE, **variables: str) -> JobSettings:
        (tmp_path / JOB_FILE).parent.mkdir(exist_ok=True)
        (tmp_path / JOB_FILE).write_text(job)
        (tmp_path / BUNDLE_FILE).write_text(bundle)
        return load_job(tmp_path, variables=variables)

    return load


def task(job: JobSettings, key: str) -> Task:
    return next(t for t in job.tasks or () if t.task_key == key)


def parameters(job: JobSettings, key: str) -> dict[str, Any]:
    notebook = task(job, key).notebook_task
    assert notebook is not None
    return dict(notebook.base_parameters or {})


ORDER = ["stg_build", "stg_smoke", "approval_gate", "prod_build", "prod_smoke", "docs_refresh"]


def test_packaged_job_has_the_tasks_of_a_release_in_order(packaged: JobSettings) -> None:
    assert [t.task_key for t in packaged.tasks or ()] == [*ORDER, "auto_rollback"]
    for before, after in itertools.pairwise(ORDER):
        assert [d.task_key for d in task(packaged, after).depends_on or ()] == [before]
        assert task(packaged, after).run_if in (None, RunIf.ALL_SUCCESS)


def test_auto_rollback_runs_after_a_failure_only(packaged: JobSettings) -> None:
    last = task(packaged, "auto_rollback")
    assert last.run_if == RunIf.AT_LEAST_ONE_FAILED
    assert {d.task_key for d in last.depends_on or ()} == {"prod_build", "prod_smoke"}


def test_staging_build_has_its_parameters(packaged: JobSettings) -> None:
    given = parameters(packaged, "stg_build")
    assert {k: given[k] for k in ("cmd", "target", "select", "exclude", "defer", "with_parents")} == {
        "cmd": "build",
        "target": "stg",
        "select": "tag:deploy",
        "exclude": "tag:heavy",
        "defer": "false",
        "with_parents": "all",
    }


def test_production_build_defers_to_what_staging_built(packaged: JobSettings) -> None:
    given = parameters(packaged, "prod_build")
    assert {k: given[k] for k in ("cmd", "target", "select", "defer", "state_path")} == {
        "cmd": "build",
        "target": "prod",
        "select": "tag:deploy",
        "defer": "true",
        "state_path": "{{job.parameters.artifacts_root}}/stg/latest/",
    }
    assert "exclude" not in given


def test_production_smoke_is_the_tiny_one(packaged: JobSettings) -> None:
    assert (parameters(packaged, "prod_smoke")["target"], parameters(packaged, "prod_smoke")["tiny"]) == (
        "prod",
        "true",
    )
    assert "tiny" not in parameters(packaged, "stg_smoke")


def test_one_release_runs_at_a_time_and_others_wait(packaged: JobSettings) -> None:
    assert packaged.max_concurrent_runs == 1
    assert packaged.queue is not None
    assert packaged.queue.enabled


def test_parameters_of_a_task_are_never_parameters_of_the_job(packaged: JobSettings) -> None:
    of_the_job = {p.name for p in packaged.parameters or ()}
    of_tasks = {"cmd", "target", "select", "exclude", "defer", "state_path", "with_parents", "tiny"}
    assert not of_the_job & of_tasks


def test_every_job_parameter_that_a_task_refers_to_is_declared(packaged: JobSettings) -> None:
    declared = {p.name for p in packaged.parameters or ()}
    for key in ORDER:
        for value in parameters(packaged, key).values():
            assert set(re.findall(r"\{\{job\.parameters\.(\w+)\}\}", value)) <= declared


def test_every_task_runs_a_packaged_notebook_of_the_commit_with_the_wheel(packaged: JobSettings) -> None:
    for key in ORDER:
        notebook = task(packaged, key).notebook_task
        assert notebook is not None
        assert notebook.source == Source.GIT
        assert (REPOSITORY / f"{notebook.notebook_path}.py").is_file()
        assert [library.whl for library in task(packaged, key).libraries or () if library.whl]
        assert parameters(packaged, key)["run_id"] == "{{job.run_id}}"


def test_every_task_installs_what_its_runtime_lacks_before_the_wheel_and_no_dbt(packaged: JobSettings) -> None:
    """All the same: a library of one task is one of the cluster that they share."""
    of_tasks = [[library.as_dict() for library in t.libraries or ()] for t in packaged.tasks or ()]
    lacking, wheel = of_tasks[0]
    assert (set(lacking), set(wheel)) == ({"requirements"}, {"whl"})
    assert lacking["requirements"] == "/Volumes/ops/dbt_meta/wheels/dbx_cd-16.4.txt"
    assert of_tasks == [of_tasks[0]] * len(of_tasks)


def test_a_deploy_gives_ci_the_job_s_identity_and_approvers_what_each_needs(tmp_path: Path) -> None:
    """A deploy sets the permissions anew: what is not in the definition would be gone after the next one."""
    job = load_bundled_job(tmp_path, variables={"approvers": "data_owners", "run_as": "bot", "ci": "deployer"})
    assert [line.as_dict() for line in job.permissions] == [
        {"service_principal_name": "deployer", "permission_level": "CAN_MANAGE"},
        {"service_principal_name": "bot", "permission_level": "CAN_MANAGE_RUN"},
        {"group_name": "data_owners", "permission_level": "CAN_MANAGE_RUN"},
    ]


def levels(job: BundledJob, deployer: str) -> dict[str, str]:
    lines = [line.as_dict() for line in job.deployed_by(deployer)]
    return {next(v for k, v in line.items() if k != "permission_level"): line["permission_level"] for line in lines}


def test_who_deploys_owns_the_job_and_nobody_has_two_levels(tmp_path: Path) -> None:
    """Two lines for one principal are "ambiguous" to the platform (databricks/cli, fix_permissions.go)."""
    job = load_bundled_job(tmp_path, variables={"approvers": "owners", "run_as": "bot", "ci": "deployer"})
    of_the_rest = {"bot": "CAN_MANAGE_RUN", "owners": "CAN_MANAGE_RUN"}
    assert levels(job, "deployer") == {"deployer": "IS_OWNER", **of_the_rest}
    assert len(job.deployed_by("deployer")) == 3
    assert levels(job, "admin") == {"admin": "IS_OWNER", "deployer": "CAN_MANAGE", **of_the_rest}
    same = load_bundled_job(tmp_path, variables={"approvers": "owners", "run_as": "bot", "ci": "bot"})
    assert levels(same, "admin") == {"admin": "IS_OWNER", "bot": "CAN_MANAGE", "owners": "CAN_MANAGE_RUN"}


def test_a_principal_that_a_variable_leaves_empty_gets_no_line(tmp_path: Path) -> None:
    job = load_bundled_job(tmp_path, variables={"approvers": "", "run_as": "bot", "ci": "deployer"})
    assert levels(job, "deployer") == {"deployer": "IS_OWNER", "bot": "CAN_MANAGE_RUN"}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{group_name: x, level: CAN_RUN}", "'CAN_RUN' is no level"),
        ("{group_name: x, permission_level: CAN_VIEW}", "None is no level"),
        ("{group: x, level: CAN_VIEW}", "CAN_VIEW is for group.*exactly one of user_name"),
        ("{group_name: x, user_name: y, level: CAN_VIEW}", "for group_name, user_name"),
        ("{level: CAN_VIEW}", "for nobody"),
        ("CAN_VIEW", "must be a mapping"),
    ],
)
def test_permissions_that_a_deploy_would_refuse_are_refused(tmp_path: Path, line: str, said: str) -> None:
    (tmp_path / JOB_FILE).parent.mkdir()
    (tmp_path / JOB_FILE).write_text(JOB + f"      permissions: [{line}]\n")
    (tmp_path / BUNDLE_FILE).write_text(BUNDLE)
    with pytest.raises(ConfigError, match=said):
        load_bundled_job(tmp_path, variables={})


def test_no_variable_is_left_in_the_packaged_job(packaged: JobSettings) -> None:
    assert "${" not in str(packaged.as_dict())


def test_given_variable_wins_over_its_default(packaged: JobSettings) -> None:
    assert packaged.git_source is not None
    assert packaged.git_source.git_url == "https://git.example.org/x.git"


def test_packaged_job_is_the_one_of_the_repository(packaged: JobSettings) -> None:
    assert load_job(REPOSITORY, variables={"git_url": "https://git.example.org/x.git"}) == packaged


def test_own_definition_of_a_project_wins(load) -> None:
    job = load()
    assert (job.name, [t.task_key for t in job.tasks]) == ("own", ["a"])
    assert job.email_notifications.on_failure == ["data@example.org"]


def test_variable_without_a_value_is_named(load) -> None:
    with pytest.raises(ConfigError, match=rf"no value for \$\{{var\.nobody\}}.*declare it in {BUNDLE_FILE}"):
        load(JOB.replace("var.owner", "var.nobody"))


def test_a_variable_that_is_declared_and_has_no_value_is_named_as_well(load) -> None:
    with pytest.raises(ConfigError, match=r"no value for \$\{var\.region\}"):
        load(JOB.replace("var.owner", "var.region"))


def test_undeclared_variable_may_be_given(load) -> None:
    job = load(JOB.replace("var.owner", "var.nobody"), nobody="x@example.org")
    assert job.email_notifications.on_failure == ["x@example.org"]


@pytest.mark.parametrize(
    ("right", "wrong", "named"),
    [
        ("queue:", "queues:", "queues"),
        ("task_key:", "task_kee:", r"tasks\[0\]\.task_kee"),
        ("notebook_path:", "notebok_path:", r"tasks\[0\]\.notebook_task\.notebok_path"),
        ("source: GIT", "source: GITHUB", r"tasks\[0\]\.notebook_task\.source"),
        ("on_failure:", "on_failures:", r"email_notifications\.on_failures"),
    ],
)
def test_key_or_value_that_the_jobs_api_does_not_know_is_named(load, right: str, wrong: str, named: str) -> None:
    with pytest.raises(ConfigError, match=rf"not keys or values of the Jobs API: {named}"):
        load(JOB.replace(right, wrong))


@pytest.mark.parametrize("job", ["resources: {jobs: {other: {}}}", "resources: {}", "resources:", "a: 1"])
def test_missing_job_is_named(load, job: str) -> None:
    with pytest.raises(ConfigError, match=r"no job 'dbx_cd' under resources\.jobs"):
        load(job)


@pytest.mark.parametrize("text", ["a: [", "- a", ""])
@pytest.mark.parametrize("file", ["job", "bundle"])
def test_malformed_file_is_named(load, tmp_path: Path, text: str, file: str) -> None:
    with pytest.raises(ConfigError, match=r"cannot be read as YAML|must be a mapping") as raised:
        load(**{file: text})
    assert str(raised.value.where).removesuffix(":1") == str(tmp_path / (JOB_FILE if file == "job" else BUNDLE_FILE))


def test_own_job_without_its_bundle_file_is_named(load, tmp_path: Path) -> None:
    load()
    (tmp_path / BUNDLE_FILE).unlink()
    with pytest.raises(ConfigError, match=BUNDLE_FILE):
        load_job(tmp_path, variables={})


def test_own_bundle_file_alone_changes_nothing(packaged: JobSettings, tmp_path: Path) -> None:
    shutil.copyfile(REPOSITORY / BUNDLE_FILE, tmp_path / BUNDLE_FILE)
    assert load_job(tmp_path, variables={"git_url": "https://git.example.org/x.git"}) == packaged


def test_variables_beside_the_job_and_of_the_bundle_s_target_count(load) -> None:
    """As in a bundle that a team has already, whose `databricks.yml` stays as it is."""
    job = load(
        job=BUNDLE + JOB,
        bundle="targets: {dev: {}, live: {default: true, variables: {owner: live@example.org}}}\n",
    )
    assert job.email_notifications.on_failure == ["live@example.org"]
    job = load(job=BUNDLE + JOB, bundle="targets:\n  live: {variables: {owner: {default: a@example.org}}}\n")
    assert job.email_notifications.on_failure == ["a@example.org"]
    assert load(job=BUNDLE + JOB, bundle="bundle: {}\n").email_notifications.on_failure == ["data@example.org"]
