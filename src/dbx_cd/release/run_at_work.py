"""What of a run is at work, from outside of it and by one of its own tasks; and the end of a run that goes on."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from dbx_cd.errors import WorkflowError, what_failed
from dbx_cd.release.child_runs import run_started_by
from dbx_cd.release.job import is_rollback_task
from dbx_cd.release.jobs import MANAGE_RUN, Jobs
from dbx_cd.release.run_ending import has_ended

if TYPE_CHECKING:
    from databricks.sdk.service.jobs import RunTask

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunEnd:
    """How a run stands that is to be over."""

    at: datetime | None = None
    """When it ended, UTC, where the platform says so."""
    goes_on: str | None = None
    """Why it goes on all the same, as one clause; None where it has ended."""
    next_step: str | None = None
    """What to do about that."""
    where: str | None = None
    """Its page."""


def ended_run(jobs: Jobs, run_id: int, *, patience: timedelta) -> RunEnd:
    """The end of a run; one that goes on is cancelled, where this identity may, and waited for.

    Args:
        jobs: the Jobs API.
        run_id: the run.
        patience: how long to wait for a run that was cancelled.

    Raises:
        WorkflowError: there is no such run, or it cannot be read.
    """
    run = jobs.run(run_id)
    where = run.run_page_url or f"run {run_id}"
    for child in [run_started_by(jobs, task) for task in run.tasks or () if _is_at_work(task)]:
        # That the platform cancels it with the run that has started it is not documented.
        end = ended_run(jobs, child, patience=patience) if child is not None else RunEnd()
        if end.goes_on is not None:
            return end
    if not has_ended(run):
        _log.warning("run %d goes on, and is cancelled", run_id)
        try:
            jobs.cancel(run_id)
            ended = jobs.ended(run_id, timeout=patience)
        except WorkflowError as exc:
            asks = f"have somebody with {MANAGE_RUN} cancel it, wait until it has ended"
            return RunEnd(goes_on=f"goes on: {what_failed(exc)}", next_step=asks, where=where)
        if ended is None:
            why = f"was cancelled and has not ended within {patience.seconds // 60} minutes"
            return RunEnd(
                goes_on=why, next_step="see on its page what is at work, wait until it has ended", where=where
            )
        run = ended
    return RunEnd(datetime.fromtimestamp(run.end_time / 1000, UTC) if run.end_time else None, where=where)


def others_at_work(jobs: Jobs, run_id: int) -> list[str]:
    """The tasks of a run that have begun and not ended, each by its newest attempt, but for those that roll back.

    Raises:
        WorkflowError: there is no such run, or it cannot be read.
    """
    newest: dict[str, RunTask] = {}
    for task in sorted(jobs.run(run_id).tasks or (), key=lambda t: (t.attempt_number or 0, t.start_time or 0)):
        newest[task.task_key] = task
    working = [task for task in newest.values() if _is_at_work(task) and not is_rollback_task(task)]
    # A task that runs another job is at work for as long as that is: this very task may be of it.
    started = [run_started_by(jobs, task) for task in working]
    inner = [key for child in started if child is not None for key in others_at_work(jobs, child)]
    return [*(task.task_key for task in working if task.run_job_task is None), *inner]


def _is_at_work(task: RunTask) -> bool:
    state = task.state.life_cycle_state if task.state is not None else None
    return state is not None and state.value in ("PENDING", "RUNNING", "TERMINATING")
