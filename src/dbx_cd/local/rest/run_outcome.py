"""How a run ends, seen from how its tasks ended."""

from __future__ import annotations

from dataclasses import dataclass

from dbx_cd.local.rest.job_runs import JobRun
from dbx_cd.local.rest.task_graph import FAILED, SUCCESS, TIMEDOUT, UPSTREAM_FAILED, leaves, run_result


@dataclass(frozen=True)
class Outcome:
    """A result state and its message, of an attempt or of a run."""

    result_state: str
    message: str = ""


def verdict(run: JobRun) -> Outcome:
    """The outcome of a run all of whose tasks are done."""
    latest = run.latest()
    results = {key: attempt.state.result_state or FAILED for key, attempt in latest.items()}
    result = run_result(results, leaves(run.settings.get("tasks") or []))
    failed = next((a for a in latest.values() if a.state.result_state in (FAILED, TIMEDOUT)), None)
    if result == SUCCESS or failed is None:
        return Outcome(result)
    message = f"Task {failed.task_key} failed with message: {failed.state.state_message}."
    if UPSTREAM_FAILED in results.values():
        message += " This caused all downstream tasks to get skipped."
    return Outcome(result, message)


def close_run(run: JobRun, early: Outcome | None) -> None:
    """Write the final state of a run, of its newest repair, and of attempts that never began.

    Args:
        run: the run; nothing of it is running any more.
        early: why it ended before its tasks were done, if it did.
    """
    if early is not None:
        for attempt in run.attempts:
            if not attempt.state.finished:
                attempt.state.end(early.result_state, early.message)
    outcome = early or verdict(run)
    skipped = any(attempt.state.result_state == UPSTREAM_FAILED for attempt in run.latest().values())
    # The platform reports INTERNAL_ERROR when it could not run the job, and also when a failed task kept others from
    # running (seen in public reports: "This caused all downstream tasks to get skipped").
    internal = outcome.result_state == FAILED and (early is not None or skipped)
    for state in (run.state, *(repair.state for repair in run.repairs[-1:])):
        life_cycle_state = "INTERNAL_ERROR" if internal else "TERMINATED"
        state.end(outcome.result_state, outcome.message, life_cycle_state=life_cycle_state)
