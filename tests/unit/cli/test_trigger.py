"""`trigger --wait`: how the run ended, at which task and why, or who has to approve it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from failing_api import Json, PassingTime, in_turn, serving
from workflow_api import DENIED, SHA, Workflow

from dbx_cd.cli.main import main

PENDING = (
    "ApprovalPending: waiting for approval of release r1 of commit cccc for prod (sealed 5ea1). Next: somebody of "
    "owners reads the page, opens the notebook approve and gives its seal; the run then goes on by itself"
)
UPSTREAM = {"life_cycle_state": "TERMINATED", "result_state": "UPSTREAM_FAILED"}
FAILED = {"life_cycle_state": "TERMINATED", "result_state": "FAILED", "state_message": "Workload failed"}
STOPPED = {"life_cycle_state": "INTERNAL_ERROR", "result_state": "FAILED"}

Ended = Callable[..., tuple[int, str, str]]


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Ended:
    """Exit code, output and errors of `trigger --wait`, for a run that ends so."""
    PassingTime().instead_of_the_machine_s(monkeypatch)
    monkeypatch.chdir(tmp_path)

    def run(state: Json, *tasks: Json, **outputs: str) -> tuple[int, str, str]:
        def said(given: Json) -> Json:
            if given["run_id"] not in outputs:
                raise DENIED
            return {"error": outputs[given["run_id"]]}

        page = {"run_id": 100, "job_id": 7, "run_page_url": "http://here/run/100", "state": state, "tasks": list(tasks)}
        workflow = Workflow(jobs_runs_get=in_turn(page), jobs_runs_get_output=said)
        with serving(workflow) as client:
            monkeypatch.setenv("DATABRICKS_HOST", client.config.host)
            monkeypatch.setenv("DATABRICKS_TOKEN", "t")
            code = main(["trigger", "--commit", SHA, "--wait"])
        out, err = capsys.readouterr()
        return code, out, err

    return run


def task(key: str, run_id: int, state: Json, *, notebook: str = "run_dbt", attempt: int = 0) -> Json:
    shown = {"notebook_path": f"notebooks/{notebook}", "base_parameters": {"target": "prod"}}
    return {"task_key": key, "run_id": run_id, "state": state, "notebook_task": shown, "attempt_number": attempt}


def gate(run_id: int, state: Json, *, attempt: int = 0) -> Json:
    return task("prod_gate", run_id, state, notebook="approval_gate", attempt=attempt)


def test_a_run_that_succeeded_is_exit_0(ended: Ended) -> None:
    code, out, err = ended({"life_cycle_state": "TERMINATED", "result_state": "SUCCESS"})
    assert (code, out.splitlines()[-1], err) == (0, "SUCCESS", "")


def test_a_run_that_waits_for_approval_says_who_must_do_what(ended: Ended) -> None:
    code, out, err = ended(STOPPED, gate(9, FAILED), task("prod_build", 10, UPSTREAM), **{"9": PENDING})
    assert code == 1
    assert "FAILED" not in out + err
    assert err.startswith(
        "ApprovalPending: run 100 of job 7 at commit cccccccccccc: waiting for approval of release r1"
    )
    assert "(http://here/run/100). Next: somebody of owners reads the page, opens the notebook approve" in err


def test_a_gate_that_fails_for_another_reason_does_not_wait(ended: Ended) -> None:
    _, _, err = ended(STOPPED, gate(9, FAILED), **{"9": "ApprovalRejected: owner said no"})
    assert err.startswith("WorkflowError: ")
    assert "ended as FAILED at the task prod_gate (FAILED): ApprovalRejected: owner said no" in err


def test_a_build_that_says_approval_pending_does_not_wait_at_a_gate(ended: Ended) -> None:
    _, _, err = ended(STOPPED, task("prod_build", 9, FAILED), **{"9": PENDING})
    assert "ended as FAILED at the task prod_build" in err


def test_a_failed_run_says_at_which_task_and_why_and_what_that_says_to_do(ended: Ended) -> None:
    why = "DbtFailed: dbt build failed: model orders. Next: read dbt.log"
    code, _, err = ended(STOPPED, task("stg", 9, FAILED), gate(10, UPSTREAM), **{"9": why})
    assert code == 1
    assert "ended as FAILED at the task stg (FAILED): DbtFailed: dbt build failed: model orders" in err
    assert "http://here/run/100" in err
    assert err.rstrip().endswith("Next: read dbt.log")


def test_of_two_failed_tasks_both_are_named(ended: Ended) -> None:
    _, _, err = ended(STOPPED, task("docs", 9, FAILED), task("smoke", 10, FAILED), **{"9": "one", "10": "two"})
    assert "at the tasks docs (FAILED): one; smoke (FAILED): two" in err
    assert "Next: read the run's page" in err


def test_a_task_that_was_repaired_is_told_by_its_newest_attempt(ended: Ended) -> None:
    good = {"life_cycle_state": "TERMINATED", "result_state": "SUCCESS"}
    tasks = (gate(11, good, attempt=1), gate(9, FAILED), task("prod_build", 12, FAILED, attempt=1))
    _, _, err = ended(STOPPED, *tasks, **{"9": PENDING, "12": "DbtFailed: no"})
    assert "at the task prod_build (FAILED): DbtFailed: no" in err


def test_what_a_task_said_may_be_unreadable_and_the_platform_s_words_stay(ended: Ended) -> None:
    _, _, err = ended(STOPPED, task("stg", 9, FAILED))
    assert "at the task stg (FAILED): Workload failed; what the task said cannot be read: permission denied" in err


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({"life_cycle_state": "INTERNAL_ERROR"}, "ended as INTERNAL_ERROR: the platform gives no reason"),
        ({"life_cycle_state": "SKIPPED", "state_message": "one is active"}, "ended as SKIPPED: one is active"),
        ({"life_cycle_state": "TERMINATED", "result_state": "CANCELED"}, "ended as CANCELED: "),
    ],
)
def test_an_end_without_a_result_or_a_task_is_said_in_words(ended: Ended, state: Json, words: str) -> None:
    code, _, err = ended(state)
    assert code == 1
    assert words in err
    assert ". Next: read the run's page" in err
    assert "None" not in err
    assert "UNKNOWN" not in err
