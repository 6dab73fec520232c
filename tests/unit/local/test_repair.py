from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from databricks.sdk.errors import BadRequest, DatabricksError, InvalidParameterValue
from databricks.sdk.service.jobs import RepairHistoryItemType, RunResultState
from local_rest import URL, Workspace, latest, results, task

GATE = "import os\nassert os.path.exists({switch!r}), 'closed'"


class Gate:
    """A job `before -> gate -> after` whose gate fails until it is opened."""

    def __init__(self, folder: Path) -> None:
        self.switch = folder / "open"
        self.workspace = Workspace(folder)
        self.commit = self.workspace.repository.commit(
            before="1",
            gate=GATE.format(switch=str(self.switch)),
            after="dbutils.notebook.exit('first')",
            show="dbutils.notebook.exit(dbutils.widgets.get('reason') + dbutils.widgets.get('repairs'))",
        )
        self.tasks = [task("before"), task("gate", "before"), task("after", "gate")]

    def job(self, *more, **settings) -> int:
        return self.workspace.job(*self.tasks, *more, commit=self.commit, **settings)


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    gate = Gate(tmp_path)
    yield gate
    gate.workspace.server.stop()


def test_repair_runs_only_failed_tasks_and_what_they_held_back(gate: Gate) -> None:
    first = gate.workspace.run(gate.job())
    assert results(first) == {"before": "SUCCESS", "gate": "FAILED", "after": "UPSTREAM_FAILED"}
    gate.switch.touch()
    repaired = gate.workspace.repair(first.run_id, rerun_all_failed_tasks=True)
    assert repaired.state.result_state == RunResultState.SUCCESS
    attempts = [(attempt.task_key, attempt.attempt_number) for attempt in repaired.tasks]
    assert attempts == [("before", 0), ("gate", 0), ("after", 0), ("gate", 1), ("after", 1)]


def test_repair_of_one_task_takes_dependants_only_when_asked(gate: Gate) -> None:
    run = gate.workspace.run(gate.job())
    gate.switch.touch()
    alone = gate.workspace.repair(run.run_id, rerun_tasks=["gate"])
    assert results(alone) == {"before": "SUCCESS", "gate": "SUCCESS", "after": "UPSTREAM_FAILED"}
    last = alone.repair_history[-1].id
    all_of_it = gate.workspace.repair(
        run.run_id, rerun_tasks=["gate"], rerun_dependent_tasks=True, latest_repair_id=last
    )
    assert results(all_of_it)["after"] == "SUCCESS"


def test_history_lists_the_original_and_every_repair(gate: Gate) -> None:
    run = gate.workspace.run(gate.job())
    gate.switch.touch()
    history = gate.workspace.repair(run.run_id, rerun_all_failed_tasks=True).repair_history
    assert [item.type for item in history] == [RepairHistoryItemType.ORIGINAL, RepairHistoryItemType.REPAIR]
    assert [item.state.result_state for item in history] == [RunResultState.FAILED, RunResultState.SUCCESS]
    assert [len(item.task_run_ids) for item in history] == [3, 2]


def test_second_repair_needs_the_id_of_the_first(gate: Gate) -> None:
    run_id = gate.workspace.run(gate.job()).run_id
    repaired = gate.workspace.repair(run_id, rerun_all_failed_tasks=True)
    with pytest.raises(InvalidParameterValue, match="latest repair ID"):
        gate.workspace.owner.jobs.repair_run(run_id, rerun_all_failed_tasks=True)
    gate.switch.touch()
    last = repaired.repair_history[-1].id
    again = gate.workspace.repair(run_id, rerun_all_failed_tasks=True, latest_repair_id=last)
    assert again.state.result_state == RunResultState.SUCCESS


def test_repair_uses_the_current_settings_of_the_job(gate: Gate) -> None:
    job = gate.job()
    run = gate.workspace.run(job)
    newer = gate.workspace.repository.commit(after="dbutils.notebook.exit('second')")
    gate.switch.touch()
    source = {"git_url": URL, "git_provider": "gitHub", "git_commit": newer}
    gate.workspace.post("update", {"job_id": job, "new_settings": {"git_source": source}})
    repaired = gate.workspace.repair(run.run_id, rerun_all_failed_tasks=True)
    assert run.git_source.git_snapshot.used_commit == gate.commit
    assert repaired.git_source.git_snapshot.used_commit == newer
    output = gate.workspace.owner.jobs.get_run_output(latest(repaired)["after"].run_id)
    assert output.notebook_output.result == "second"


def test_overridden_parameters_must_be_passed_again(gate: Gate) -> None:
    show = task("show", "gate", base_parameters={"repairs": "{{job.repair_count}}"})
    job = gate.job(show, parameters=[{"name": "reason", "default": "none"}])
    run = gate.workspace.run(job, job_parameters={"reason": "urgent"})
    gate.switch.touch()
    forgotten = gate.workspace.repair(run.run_id, rerun_all_failed_tasks=True)
    output = gate.workspace.owner.jobs.get_run_output(latest(forgotten)["show"].run_id)
    assert output.notebook_output.result == "none1"
    again = gate.workspace.repair(
        run.run_id,
        rerun_tasks=["show"],
        latest_repair_id=forgotten.repair_history[-1].id,
        job_parameters={"reason": "urgent"},
    )
    output = gate.workspace.owner.jobs.get_run_output(latest(again)["show"].run_id)
    assert output.notebook_output.result == "urgent2"


def test_repair_keeps_the_page_of_the_earlier_attempt(gate: Gate) -> None:
    run = gate.workspace.run(gate.job())
    gate.switch.touch()
    gate.workspace.repair(run.run_id, rerun_all_failed_tasks=True)
    folder = gate.workspace.state / "runs" / str(run.run_id)
    assert "AssertionError" in (folder / "gate.0.html").read_text(encoding="utf-8")
    assert "AssertionError" not in (folder / "gate.html").read_text(encoding="utf-8")


def test_any_user_may_repair(gate: Gate) -> None:
    run = gate.workspace.run(gate.job())
    gate.switch.touch()
    gate.workspace.dev.jobs.repair_run(run.run_id, rerun_all_failed_tasks=True)
    assert gate.workspace.finished(run.run_id).state.result_state == RunResultState.SUCCESS


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({}, "exactly one of"),
        ({"rerun_tasks": ["gate"], "rerun_all_failed_tasks": True}, "exactly one of"),
        ({"rerun_tasks": ["nobody"]}, "nobody"),
        ({"rerun_all_failed_tasks": True, "job_parameters": {"x": "1"}}, "not declared"),
    ],
)
def test_unclear_repairs_are_refused(gate: Gate, arguments, reason: str) -> None:
    run = gate.workspace.run(gate.job())
    with pytest.raises(BadRequest, match=reason):
        gate.workspace.owner.jobs.repair_run(run.run_id, **arguments)


def test_successful_run_has_nothing_to_repair(gate: Gate) -> None:
    gate.switch.touch()
    run = gate.workspace.run(gate.job())
    with pytest.raises(BadRequest, match="no failed task"):
        gate.workspace.owner.jobs.repair_run(run.run_id, rerun_all_failed_tasks=True)


def test_submitted_runs_are_not_repaired(gate: Gate) -> None:
    settings = gate.workspace.settings(*gate.tasks, commit=gate.commit)
    settings["run_name"] = settings.pop("name")
    run_id = gate.workspace.post("runs/submit", settings)["run_id"]
    gate.workspace.finished(run_id)
    with pytest.raises(DatabricksError, match="repair of a submitted run"):
        gate.workspace.owner.jobs.repair_run(run_id, rerun_all_failed_tasks=True)
