"""Tasks that run another job (``run_job_task``): its run is started as the identity of the run that the task is in.

From the public documentation ("Run Job task for jobs"): parameters are given to the other job's own, a circle of jobs
and a nesting of more than three are not supported. A repair of such a task starts the other job anew here; whether the
platform repairs the earlier run of it instead is not documented.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from typing import Protocol

from dbx_cd.local.rest.access_list import CAN_MANAGE_RUN
from dbx_cd.local.rest.api_error import ApiError
from dbx_cd.local.rest.identity import Directory
from dbx_cd.local.rest.job_rights import JobRights
from dbx_cd.local.rest.job_runs import JobRun, TaskRun, WorkspaceStore
from dbx_cd.local.rest.jobs_api import find_job
from dbx_cd.local.rest.new_run import is_queued, run_of
from dbx_cd.local.rest.run_outcome import Outcome
from dbx_cd.local.rest.task_graph import CANCELED, FAILED, SUCCESS

_DEEPEST = 3
_GOOD = (SUCCESS, "SUCCESS_WITH_FAILURES")


class Runs(Protocol):
    """What starts and ends runs."""

    def start(self, run: JobRun, *, queue: bool) -> None:
        """Start a run, or queue it."""

    def cancel(self, run: JobRun) -> None:
        """End a run."""

    def wait(self, run_id: int) -> bool:
        """Wait until a run has ended."""


class OtherJobs:
    """Starts the jobs that tasks name, waits for them, and ends them with the task.

    Args:
        store: the jobs and runs.
        directory: the users.
        rights: who may run which job.
    """

    def __init__(self, store: WorkspaceStore, directory: Directory, rights: JobRights) -> None:
        self._store = store
        self._directory = directory
        self._rights = rights
        self._cancelled: set[int] = set()
        self._lock = threading.Lock()

    def serve(self, runs: Runs) -> None:
        """Say what runs are started by, which needs this object to be made."""
        self._runs = runs

    def run(self, parent: JobRun, attempt: TaskRun, parameters: Mapping[str, str]) -> Outcome:
        """Run the job that a task names, to its end.

        Args:
            parent: the run that the task is in.
            attempt: the attempt at the task.
            parameters: the job's parameters, with references resolved.
        """
        try:
            child = self._start(parent, attempt, parameters)
        except ApiError as exc:
            attempt.error = str(exc)
            return Outcome(FAILED, attempt.error)
        with self._lock:
            is_cancelled = attempt.run_id in self._cancelled
        if is_cancelled:
            self._runs.cancel(child)
        self._runs.wait(child.run_id)
        if child.state.result_state in _GOOD:
            return Outcome(SUCCESS)
        attempt.error = f"Run {child.run_id} of job {child.job_id} ended as {child.state.result_state}: " + (
            child.state.state_message or "it gives no reason"
        )
        return Outcome(CANCELED if child.state.result_state == CANCELED else FAILED, attempt.error)

    def cancel(self, task_run_id: int) -> None:
        """End the run that an attempt has started, if it is one that starts runs."""
        with self._lock:
            self._cancelled.add(task_run_id)
        for run in list(self._store.runs.values()):
            if run.started_by == task_run_id and not run.state.finished:
                self._runs.cancel(run)

    def _start(self, parent: JobRun, attempt: TaskRun, parameters: Mapping[str, str]) -> JobRun:
        with self._store.lock:
            job = find_job(self._store, int(attempt.settings["run_job_task"]["job_id"]))
            self._rights.require(self._directory.user(parent.run_as), CAN_MANAGE_RUN, job)
            above = [parent, *self._above(parent)]
            if job.job_id in {run.job_id for run in above}:
                raise ApiError(400, "INVALID_PARAMETER_VALUE", f"Job {job.job_id} runs itself, by tasks that run jobs.")
            if len(above) > _DEEPEST:
                raise ApiError(400, "INVALID_PARAMETER_VALUE", f"Jobs are nested more than {_DEEPEST} deep.")
            given = {"job_parameters": dict(parameters)}
            child = run_of(job, given, creator=parent.run_as, store=self._store, directory=self._directory)
            child.started_by = attempt.run_id
            attempt.started_run = child.run_id
            self._runs.start(child, queue=is_queued({}, job.settings))
            return child

    def _above(self, run: JobRun) -> Iterator[JobRun]:
        """The runs by whose tasks a run was started, the nearest first."""
        for other in self._store.runs.values():
            if any(attempt.run_id == run.started_by for attempt in other.attempts):
                yield other
                yield from self._above(other)
                return
