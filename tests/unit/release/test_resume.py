"""After a decision a run goes on from the gate that was decided about."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from databricks.sdk.service.jobs import (
    NotebookTask,
    Run,
    RunLifeCycleState,
    RunResultState,
    RunState,
    RunTask,
    TaskDependency,
)

from dbx_cd import Release, WorkflowError, resume

RELEASE = Release("r", "a" * 40, "5", "ci", datetime(2026, 1, 1, tzinfo=UTC))


class Jobs:
    """Stands for the Jobs API with one run that has stopped."""

    def __init__(self, *tasks: RunTask) -> None:
        self.tasks = list(tasks)
        self.repaired: list[str] = []

    def get_run(self, run_id: int, *, include_history: bool | None = None) -> Run:
        assert include_history
        ended = RunState(life_cycle_state=RunLifeCycleState.TERMINATED, result_state=RunResultState.FAILED)
        return Run(run_id=run_id, job_id=7, tasks=self.tasks, state=ended)

    def repair_run(self, run_id: int, *, rerun_tasks: list[str], **more: Any) -> None:
        assert (run_id, more) == (5, {"latest_repair_id": None, "job_parameters": {}})
        self.repaired = rerun_tasks


def task(key: str, *after: str, notebook: str = "run_dbt", **parameters: str) -> RunTask:
    return RunTask(
        task_key=key,
        notebook_task=NotebookTask(f"notebooks/{notebook}", base_parameters=parameters),
        depends_on=[TaskDependency(name) for name in after],
    )


def two_gates() -> Jobs:
    return Jobs(
        task("stg_build", target="stg"),
        task("uat_gate", "stg_build", notebook="approval_gate", target="uat"),
        task("uat_build", "uat_gate", target="uat"),
        task("prod_gate", "uat_build", notebook="approval_gate", target="prod"),
        task("prod_build", "prod_gate", target="prod"),
    )


def repaired(jobs: Jobs, target: str | None = None) -> list[str]:
    resume(SimpleNamespace(jobs=jobs), RELEASE, target=target)  # type: ignore[arg-type]
    return jobs.repaired


def test_the_gate_that_was_decided_about_and_all_after_it_run_again() -> None:
    assert repaired(two_gates(), "prod") == ["prod_gate", "prod_build"]
    assert repaired(two_gates(), "uat") == ["uat_gate", "uat_build", "prod_gate", "prod_build"]


def test_a_run_goes_on_from_any_task_that_is_named() -> None:
    jobs = two_gates()
    resume(SimpleNamespace(jobs=jobs), RELEASE, task="uat_build")  # type: ignore[arg-type]
    assert jobs.repaired == ["uat_build", "prod_gate", "prod_build"]
    with pytest.raises(
        WorkflowError, match=r"the run has no task 'prod_smoke'.*name one of stg_build, .*, prod_build$"
    ):
        resume(SimpleNamespace(jobs=jobs), RELEASE, task="prod_smoke")  # type: ignore[arg-type]


def test_of_two_gates_one_has_to_be_named() -> None:
    with pytest.raises(WorkflowError, match="the run has 2 gate tasks"):
        repaired(two_gates())


def test_a_target_without_a_gate_is_refused() -> None:
    with pytest.raises(WorkflowError, match="the run has 0 gate tasks for eu"):
        repaired(two_gates(), "eu")


@pytest.mark.parametrize("target", [None, "prod"])
def test_a_gate_that_does_not_say_its_target_is_the_only_one(target: str | None) -> None:
    jobs = Jobs(task("gate", notebook="approval_gate"), task("prod_build", "gate"))
    assert repaired(jobs, target) == ["gate", "prod_build"]
