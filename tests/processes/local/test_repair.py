from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from databricks.sdk.errors import BadRequest, DatabricksError, InvalidParameterValue
from databricks.sdk.service.jobs import RepairHistoryItemType, Run, RunResultState
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
        """The owner's, whose runs developers may manage."""
        settings["access_control_list"] = [{"group_name": "developers", "permission_level": "CAN_MANAGE_RUN"}]
        return self.workspace.job(*self.tasks, *more, commit=self.commit, **settings)


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    gate = Gate(tmp_path)
    yield gate
    gate.workspace.server.stop()


@dataclass
class Repaired:
    """A run of the owner that stopped at the gate, and how it ended once another user had repaired it."""

    gate: Gate
    first: Run
    run: Run


@pytest.fixture(scope="module")
def repaired(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Repaired]:
    """For tests that only look."""
    gate = Gate(tmp_path_factory.mktemp("repaired"))
    first = gate.workspace.run(gate.job())
    gate.switch.touch()
    gate.workspace.dev.jobs.repair_run(first.run_id, rerun_all_failed_tasks=True)
    yield Repaired(gate, first, gate.workspace.finished(first.run_id))
    gate.workspace.server.stop()


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Gate, int]]:
    """A run that stopped at the gate, for what is refused and changes nothing."""
    gate = Gate(tmp_path_factory.mktemp("stopped"))
    yield gate, gate.workspace.run(gate.job()).run_id
    gate.workspace.server.stop()


def test_repair_runs_only_failed_tasks_and_what_they_held_back(repaired: Repaired) -> None:
    assert results(repaired.first) == {"before": "SUCCESS", "gate": "FAILED", "after": "UPSTREAM_FAILED"}
    assert repaired.run.state.result_state == RunResultState.SUCCESS
    attempts = [(attempt.task_key, attempt.attempt_number) for attempt in repaired.run.tasks]
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


def test_history_lists_the_original_and_every_repair(repaired: Repaired) -> None:
    history = repaired.run.repair_history
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


def test_repair_keeps_the_page_of_the_earlier_attempt(repaired: Repaired) -> None:
    folder = repaired.gate.workspace.state / "runs" / str(repaired.run.run_id)
    assert "AssertionError" in (folder / "gate.0.html").read_text(encoding="utf-8")
    assert "AssertionError" not in (folder / "gate.html").read_text(encoding="utf-8")


def test_who_may_manage_runs_may_repair(repaired: Repaired) -> None:
    """Here the developer, which does not make it a run of theirs."""
    assert repaired.run.creator_user_name == "owner@example.org"
    assert repaired.run.state.result_state == RunResultState.SUCCESS


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({}, "exactly one of"),
        ({"rerun_tasks": ["gate"], "rerun_all_failed_tasks": True}, "exactly one of"),
        ({"rerun_tasks": ["nobody"]}, "nobody"),
        ({"rerun_all_failed_tasks": True, "job_parameters": {"x": "1"}}, "not declared"),
    ],
)
def test_unclear_repairs_are_refused(stopped: tuple[Gate, int], arguments, reason: str) -> None:
    gate, run_id = stopped
    with pytest.raises(BadRequest, match=reason):
        gate.workspace.owner.jobs.repair_run(run_id, **arguments)
    assert len(gate.workspace.owner.jobs.get_run(run_id).tasks) == 3


def test_successful_run_has_nothing_to_repair(repaired: Repaired) -> None:
    last = repaired.run.repair_history[-1].id
    jobs = repaired.gate.workspace.owner.jobs
    with pytest.raises(BadRequest, match="no failed task"):
        jobs.repair_run(repaired.run.run_id, rerun_all_failed_tasks=True, latest_repair_id=last)


def test_submitted_runs_are_not_repaired(stopped: tuple[Gate, int]) -> None:
    gate, _ = stopped
    settings = gate.workspace.settings(*gate.tasks, commit=gate.commit)
    settings["run_name"] = settings.pop("name")
    run_id = gate.workspace.post("runs/submit", settings)["run_id"]
    gate.workspace.finished(run_id)
    with pytest.raises(DatabricksError, match="repair of a submitted run"):
        gate.workspace.owner.jobs.repair_run(run_id, rerun_all_failed_tasks=True)
