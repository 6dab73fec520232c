"""Runs that tasks of a run have started (`run_job_task`): a half of a release may be a job of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbx_cd.release.job import JobDefinition
from dbx_cd.release.jobs import Jobs

if TYPE_CHECKING:
    from databricks.sdk.service.jobs import RunTask


def run_started_by(jobs: Jobs, task: RunTask) -> int | None:
    """The run that an attempt at a task has started; None where it starts none, or has not yet.

    Raises:
        WorkflowError: its output cannot be read.
    """
    if task.run_job_task is None or task.run_id is None:
        return None
    started = jobs.output(task.run_id).run_job_output
    return started.run_id if started is not None else None


def gates_behind(jobs: Jobs, task: RunTask) -> tuple[str, ...]:
    """The targets of the gates in the job that a task runs; none where it runs no other job.

    Raises:
        WorkflowError: that job cannot be read.
        ConfigError: a gate task of it does not say its target.
    """
    if task.run_job_task is None:
        return ()
    settings = jobs.job(task.run_job_task.job_id).settings
    return JobDefinition.of(settings).gates if settings is not None else ()
