from __future__ import annotations

from collections.abc import Iterator

import pytest
from databricks.sdk.errors import BadRequest, DatabricksError, NotImplemented
from databricks.sdk.service.jobs import GitProvider, GitSource, JobSettings, NotebookTask, Task
from local_rest import URL, Json, Workspace, task


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    workspace = Workspace(tmp_path_factory.mktemp("jobs"))
    workspace.repository.commit(ok="1")
    yield workspace
    workspace.server.stop()


A, B = task("a"), task("b", "a")

REFUSED: dict[str, tuple[Json, str]] = {
    "duplicate keys": ({"tasks": [A, A]}, "task 'a': task_key is used 2 times"),
    "dangling dependency": ({"tasks": [task("b", "nobody")]}, "task 'b': depends_on names 'nobody'"),
    "cycle": ({"tasks": [task("a", "b"), task("b", "a")]}, "cycle"),
    "undeclared parameter": (
        {"tasks": [task("a", base_parameters={"x": "{{job.parameters.commit}}"})]},
        "task 'a': .*commit.* not declared",
    ),
    "reference to an unknown task": (
        {"tasks": [task("a", base_parameters={"x": "{{tasks.nobody.values.y}}"})]},
        "'nobody', which is no task",
    ),
    "two task types": (
        {"tasks": [A | {"condition_task": {"op": "EQUAL_TO", "left": "1", "right": "1"}}]},
        "task 'a': more than one task type: condition_task, notebook_task",
    ),
    "no task type": ({"tasks": [{"task_key": "a"}]}, "task 'a': no task type"),
    "branch and commit": (
        {"git_source": {"git_url": URL, "git_provider": "gitHub", "git_branch": "main", "git_commit": "abc"}},
        "exactly one of .* given: git_branch, git_commit",
    ),
    "absolute path in a repository": (
        {"tasks": [{"task_key": "a", "notebook_task": {"notebook_path": "/notebooks/a", "source": "GIT"}}]},
        "must be relative",
    ),
    "outcome of a notebook": (
        {"tasks": [A, task("b", depends_on=[{"task_key": "a", "outcome": "true"}])]},
        "no condition_task",
    ),
    "unknown field": ({"max_concurent_runs": 1}, "unknown field or value 'max_concurent_runs'"),
    "unknown field in a task": ({"tasks": [A | {"retries": 3}]}, r"tasks\[0\].retries"),
    "unknown run_if": ({"tasks": [A, B | {"run_if": "SOMETIMES"}]}, r"tasks\[1\].run_if"),
    "parameter declared twice": (
        {"parameters": [{"name": "x", "default": "1"}, {"name": "x", "default": "2"}]},
        "'x' is declared 2 times",
    ),
    "run_as of a stranger": ({"run_as": {"user_name": "nobody@example.org"}}, "nobody@example.org"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_settings_that_cannot_work_are_refused(workspace: Workspace, case: str) -> None:
    settings, reason = REFUSED[case]
    with pytest.raises(BadRequest, match=reason) as refused:
        workspace.post("create", workspace.settings(A) | settings)
    assert refused.value.error_code == "INVALID_PARAMETER_VALUE"


UNSUPPORTED: dict[str, tuple[Json, str]] = {
    "wheel task": (
        {"tasks": [{"task_key": "a", "python_wheel_task": {"package_name": "x", "entry_point": "y"}}]},
        "python_wheel_task",
    ),
    "schedule": ({"schedule": {"quartz_cron_expression": "0 0 * * * ?", "timezone_id": "UTC"}}, "schedule"),
    "health": ({"health": {"rules": [{"metric": "RUN_DURATION_SECONDS", "op": "GREATER_THAN", "value": 1}]}}, "health"),
    "disabled task": ({"tasks": [A | {"disabled": True}]}, "disabled"),
}


@pytest.mark.parametrize("case", UNSUPPORTED)
def test_what_would_have_no_effect_answers_501_with_its_name(workspace: Workspace, case: str) -> None:
    settings, name = UNSUPPORTED[case]
    with pytest.raises(NotImplemented, match=name):
        workspace.post("create", workspace.settings(A) | settings)


def test_unknown_endpoint_answers_501_with_its_name(workspace: Workspace) -> None:
    with pytest.raises(NotImplemented, match=r"/api/2\.1/clusters/list"):
        list(workspace.owner.clusters.list())
    with pytest.raises(NotImplemented, match=r"/api/2\.2/jobs/runs/export"):
        workspace.owner.jobs.export_run(1)


def test_clusters_libraries_and_a_paused_schedule_are_recorded(workspace: Workspace) -> None:
    schedule = {"quartz_cron_expression": "0 0 6 * * ?", "timezone_id": "UTC", "pause_status": "PAUSED"}
    with_wheel = A | {"libraries": [{"whl": "dist/x.whl"}], "job_cluster_key": "main"}
    clusters = [{"job_cluster_key": "main", "new_cluster": {"spark_version": "16.4.x-scala2.12", "num_workers": 0}}]
    job = workspace.job(with_wheel, schedule=schedule, job_clusters=clusters)
    settings = workspace.owner.jobs.get(job).settings
    assert settings.tasks[0].libraries[0].whl == "dist/x.whl"
    assert settings.schedule.quartz_cron_expression == "0 0 6 * * ?"


def test_job_made_with_the_sdk_classes_round_trips(workspace: Workspace) -> None:
    git_source = GitSource(URL, GitProvider.GIT_HUB, git_branch="main")
    tasks = [Task("ok", notebook_task=NotebookTask("notebooks/ok"))]
    job = workspace.owner.jobs.create(name="from classes", git_source=git_source, tasks=tasks)
    settings = workspace.owner.jobs.get(job.job_id).settings
    assert [(t.task_key, t.notebook_task) for t in settings.tasks] == [("ok", NotebookTask("notebooks/ok"))]
    assert settings.git_source == git_source
    workspace.owner.jobs.reset(job.job_id, JobSettings(name="other", tasks=tasks, git_source=git_source))
    assert workspace.owner.jobs.get(job.job_id).settings.name == "other"


def test_update_replaces_fields_and_merges_tasks_by_key(workspace: Workspace) -> None:
    job = workspace.job(A, B, description="old")
    changed = {"tasks": [B | {"max_retries": 2}], "timeout_seconds": 60}
    workspace.post("update", {"job_id": job, "new_settings": changed, "fields_to_remove": ["description"]})
    settings = workspace.owner.jobs.get(job).settings
    assert [t.task_key for t in settings.tasks] == ["a", "b"]
    assert (settings.tasks[1].max_retries, settings.timeout_seconds, settings.description) == (2, 60, None)


def test_refused_update_changes_nothing(workspace: Workspace) -> None:
    job = workspace.job(A, B)
    before = workspace.owner.jobs.get(job)
    with pytest.raises(BadRequest):
        workspace.post("update", {"job_id": job, "fields_to_remove": ["tasks/a"]})
    assert workspace.owner.jobs.get(job) == before


def test_jobs_are_found_by_name(workspace: Workspace) -> None:
    job = workspace.job(A, name="A Name of Its Own")
    assert [found.job_id for found in workspace.owner.jobs.list(name="a name of its own")] == [job]


def test_all_pages_of_a_list_are_served(workspace: Workspace) -> None:
    made = {workspace.job(A, name="many") for _ in range(5)}
    assert {job.job_id for job in workspace.owner.jobs.list(name="many", limit=2)} == made


def test_undeclared_job_parameters_are_refused(workspace: Workspace) -> None:
    job = workspace.job(A)
    with pytest.raises(BadRequest, match="not declared by the job: commit"):
        workspace.owner.jobs.run_now(job, job_parameters={"commit": "abc"})


def test_unsupported_fields_of_run_now_are_named(workspace: Workspace) -> None:
    job = workspace.job(A)
    with pytest.raises(DatabricksError, match="'only' of run-now"):
        workspace.owner.jobs.run_now(job, only=["a"])
