"""Tasks that run another job: whose run it is, what it gets, and how the two end together."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from databricks.sdk.errors import BadRequest, NotImplemented
from databricks.sdk.service.iam import AccessControlRequest, PermissionLevel
from local_rest import Json, Workspace, latest, results, task

PRODUCTION = {"service_principal_name": "job-identity"}


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    workspace = Workspace(tmp_path)
    workspace.repository.commit(
        ok="1",
        told="dbutils.notebook.exit(dbutils.widgets.get('release_run_id') + ' by ' + dbutils.widgets.get('reason'))",
        whose="from databricks.sdk import WorkspaceClient\n"
        "dbutils.notebook.exit(WorkspaceClient().current_user.me().user_name)",
        fails="raise ValueError('no')",
        slow="import time; time.sleep(60)",
    )
    yield workspace
    workspace.server.stop()


def runs_job(key: str, job_id: int, *after: str, **parameters: str) -> Json:
    depends_on = {"depends_on": [{"task_key": name} for name in after]} if after else {}
    return {"task_key": key, "run_job_task": {"job_id": job_id, "job_parameters": parameters}, **depends_on}


def test_other_job_gets_parameters_and_works_as_its_own_identity(workspace: Workspace) -> None:
    declared = [{"name": "release_run_id", "default": ""}, {"name": "reason", "default": "nobody"}]
    second = workspace.job(task("told"), task("whose"), parameters=declared, run_as=PRODUCTION)
    first = workspace.job(task("ok"), runs_job("second", second, "ok", release_run_id="{{job.run_id}}"))
    run = workspace.run(first)
    started = workspace.owner.jobs.get_run_output(latest(run)["second"].run_id).run_job_output
    assert started is not None
    child = workspace.owner.jobs.get_run(started.run_id)
    assert results(child) == {"told": "SUCCESS", "whose": "SUCCESS"}
    assert child.creator_user_name == "owner@example.org"
    said = {
        key: workspace.owner.jobs.get_run_output(attempt.run_id).notebook_output
        for key, attempt in latest(child).items()
    }
    assert said["told"].result == f"{run.run_id} by nobody"
    assert said["whose"].result == "job-identity"


def test_other_job_needs_the_right_to_run_it(workspace: Workspace) -> None:
    second = workspace.job(task("ok"))
    first = workspace.job(runs_job("second", second), run_as=PRODUCTION)
    run = workspace.run(first)
    error = workspace.owner.jobs.get_run_output(latest(run)["second"].run_id).error
    assert f"on job {second}. CAN_MANAGE_RUN is needed" in str(error)
    may_run = AccessControlRequest(
        service_principal_name="job-identity", permission_level=PermissionLevel.CAN_MANAGE_RUN
    )
    workspace.owner.permissions.update("jobs", str(second), access_control_list=[may_run])
    assert results(workspace.repair(run.run_id, rerun_all_failed_tasks=True)) == {"second": "SUCCESS"}


def test_failure_of_the_other_job_fails_the_task_and_a_repair_runs_it_anew(workspace: Workspace) -> None:
    second = workspace.job(task("fails"))
    first = workspace.job(task("ok"), runs_job("second", second, "ok"))
    run = workspace.run(first)
    assert results(run) == {"ok": "SUCCESS", "second": "FAILED"}
    once = workspace.owner.jobs.get_run_output(latest(run)["second"].run_id)
    assert f"of job {second} ended as FAILED" in str(once.error)
    workspace.repository.commit(fails="1")
    again = workspace.repair(run.run_id, rerun_tasks=["second"])
    assert results(again)["second"] == "SUCCESS"
    twice = workspace.owner.jobs.get_run_output(latest(again)["second"].run_id)
    assert twice.run_job_output.run_id != once.run_job_output.run_id


def test_cancelling_a_run_ends_the_run_that_it_has_started(workspace: Workspace) -> None:
    second = workspace.job(task("slow"))
    first = workspace.job(runs_job("second", second))
    run_id = workspace.owner.jobs.run_now(first).run_id
    while not (started := list(workspace.owner.jobs.list_runs(job_id=second))):
        time.sleep(0.05)
    workspace.owner.jobs.cancel_run(run_id)
    assert results(workspace.finished(run_id)) == {"second": "CANCELED"}
    assert workspace.finished(started[0].run_id).state.result_state.value == "CANCELED"


def test_jobs_in_a_circle_are_refused(workspace: Workspace) -> None:
    first = workspace.job(task("ok"))
    second = workspace.job(runs_job("first", first))
    workspace.post("update", {"job_id": first, "new_settings": {"tasks": [runs_job("second", second)]}})
    run = workspace.run(first)
    assert results(run) == {"ok": "SUCCESS", "second": "FAILED"}
    inner = next(iter(workspace.owner.jobs.list_runs(job_id=second, expand_tasks=True)))
    assert f"Job {first} runs itself" in str(workspace.owner.jobs.get_run_output(inner.tasks[0].run_id).error)


def test_undeclared_parameter_fails_the_task(workspace: Workspace) -> None:
    second = workspace.job(task("ok"))
    run = workspace.run(workspace.job(runs_job("second", second, wanted="1")))
    assert "not declared by the job: wanted" in str(
        workspace.owner.jobs.get_run_output(latest(run)["second"].run_id).error
    )


def test_what_a_task_that_runs_a_job_cannot_have_here_is_named(workspace: Workspace) -> None:
    second = workspace.job(task("ok"))
    with pytest.raises(NotImplemented, match=r"run_job_task\.jar_params"):
        workspace.job({"task_key": "second", "run_job_task": {"job_id": second, "jar_params": ["x"]}})
    with pytest.raises(BadRequest, match="not declared"):
        workspace.job(runs_job("second", second, reason="{{job.parameters.reason}}"))
