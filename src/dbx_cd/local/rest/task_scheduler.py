"""Carries out the tasks of one go at a run: their order, ``run_if``, retries, time limit, and their early end."""

from __future__ import annotations

import logging
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any

from dbx_cd.local.rest.execution import Execution
from dbx_cd.local.rest.job_runs import JobRun, TaskRun, WorkspaceStore
from dbx_cd.local.rest.notifications import Notifications
from dbx_cd.local.rest.run_outcome import Outcome
from dbx_cd.local.rest.task_graph import (
    FAILED,
    SUCCESS,
    TIMEDOUT,
    UPSTREAM_FAILED,
    as_seen_by,
    dependencies,
    skip_reason,
)
from dbx_cd.local.rest.task_runner import TaskRunner

_log = logging.getLogger(__name__)

_SKIP_MESSAGES = {UPSTREAM_FAILED: "An upstream task failed.", "UPSTREAM_CANCELED": "An upstream task was cancelled."}


class TaskScheduler:
    """Starts tasks when their turn has come; every change is stored before it can be observed.

    Args:
        store: where runs are kept.
        tasks: what carries out one attempt at a task.
        notifications: who is told of begin and end.
    """

    def __init__(self, store: WorkspaceStore, *, tasks: TaskRunner, notifications: Notifications) -> None:
        self._store = store
        self._tasks = tasks
        self._notifications = notifications

    def add_attempts(self, run: JobRun, tasks: list[dict[str, Any]], *, repair_id: int | None) -> None:
        """A waiting attempt for every task, so that all of them are visible from the start."""
        for task in tasks:
            self._new_attempt(run, task, repair_id)

    def _new_attempt(self, run: JobRun, task: dict[str, Any], repair_id: int | None) -> TaskRun:
        earlier = run.latest().get(task["task_key"])
        number = earlier.attempt_number + 1 if earlier else 0
        attempt = TaskRun(self._store.next_id(), task["task_key"], number, task, repair_id)
        run.attempts.append(attempt)
        return attempt

    def run(self, execution: Execution) -> None:
        """Run the tasks to their end; returns when nothing of them is at work."""
        waiting = {task["task_key"]: task for task in execution.tasks}
        running: dict[Future[None], str] = {}
        limit = execution.run.settings.get("timeout_seconds") or 0
        deadline = time.monotonic() + limit if limit else None
        with ThreadPoolExecutor(max_workers=max(1, len(waiting)), thread_name_prefix="task") as pool:
            while waiting or running:
                if not execution.stop.is_set():
                    for task in self._startable(execution, waiting, set(running.values())):
                        del waiting[task["task_key"]]
                        running[pool.submit(self._run_task, execution, task)] = task["task_key"]
                if not running:
                    break
                left = None if deadline is None else max(0.0, deadline - time.monotonic())
                finished, _ = wait(running, timeout=left, return_when=FIRST_COMPLETED)
                for future in finished:
                    del running[future]
                    if future.exception() is not None:
                        self._abandon(execution)  # the others have to end, or nobody would get to say so
                    future.result()
                if not finished:
                    deadline = None
                    self.end(execution, Outcome(TIMEDOUT, f"Run timed out after {limit} seconds."))

    def _abandon(self, execution: Execution) -> None:
        execution.stop.set()
        for attempt in execution.run.attempts:
            if not attempt.state.finished:
                self._tasks.cancel(attempt.run_id)

    def _startable(
        self, execution: Execution, waiting: dict[str, dict[str, Any]], running: set[str]
    ) -> list[dict[str, Any]]:
        """Tasks whose dependencies are done and whose ``run_if`` is met; the others that are done are closed here."""
        startable = []
        changed = True
        while changed:
            changed = False
            for key, task in list(waiting.items()):
                if task in startable or any(d.task_key in waiting or d.task_key in running for d in dependencies(task)):
                    continue
                skip = self._skip(execution.run, task)
                if skip is None:
                    startable.append(task)
                else:
                    del waiting[key]
                    changed = True
        return startable

    def _skip(self, run: JobRun, task: dict[str, Any]) -> str | None:
        with self._store.lock:
            latest = run.latest()
            upstream = [
                as_seen_by(dependency, latest[dependency.task_key].state.result_state or FAILED, other.outcome)
                for dependency in dependencies(task)
                if (other := latest.get(dependency.task_key)) is not None
            ]
            skip = skip_reason(task.get("run_if", "ALL_SUCCESS"), upstream)
            if skip is not None:
                latest[task["task_key"]].state.end(skip, _SKIP_MESSAGES.get(skip, "The run_if condition is not met."))
                self._store.save_run(run)
        return skip

    def _run_task(self, execution: Execution, task: dict[str, Any]) -> None:
        """All attempts at one task, until one succeeds or the retries are used up."""
        run, retries = execution.run, task.get("max_retries", 0)
        attempt = run.latest()[task["task_key"]]
        while True:
            self._attempt(execution, attempt)
            result = attempt.state.result_state
            retry = result == FAILED or (result == TIMEDOUT and task.get("retry_on_timeout", False))
            if not retry or retries == 0 or execution.stop.wait(task.get("min_retry_interval_millis", 0) / 1000):
                return
            retries -= 1
            with self._store.lock:
                attempt = self._new_attempt(run, task, attempt.repair_id)
                self._store.save_run(run)

    def _attempt(self, execution: Execution, attempt: TaskRun) -> None:
        run = execution.run
        with self._store.lock:
            if execution.stop.is_set():
                return  # closed together with the run
            attempt.state.begin()
            self._store.save_run(run)
        _log.info("run %d, task %s begins: attempt %d", run.run_id, attempt.task_key, attempt.attempt_number)
        self._notifications.task_event("on_start", run, attempt)
        try:
            outcome = self._tasks.run(
                run, attempt, checkout=execution.checkout, run_dir=self._store.run_dir(run.run_id)
            )
        except Exception as exc:  # a defect of the workspace must end the task, not hang the run
            _log.exception("run %d, task %s", run.run_id, attempt.task_key)
            attempt.error = f"Internal error of the embedded workspace: {type(exc).__name__}: {exc}"
            outcome = Outcome(FAILED, attempt.error)
        else:
            if execution.ended_by is not None and outcome.result_state != SUCCESS:
                outcome = execution.ended_by
        with self._store.lock:
            attempt.state.end(outcome.result_state, outcome.message)
            self._store.save_run(run)
        _log.info("run %d, task %s ends: %s", run.run_id, attempt.task_key, outcome.result_state)
        event = "on_success" if outcome.result_state == SUCCESS else "on_failure"
        self._notifications.task_event(event, run, attempt)

    def end(self, execution: Execution, outcome: Outcome) -> None:
        """Stop an execution early; its own thread closes the run."""
        with self._store.lock:
            execution.ended_by = execution.ended_by or outcome
            execution.stop.set()
            begun = [attempt for attempt in execution.run.attempts if not attempt.state.finished]
            # Not over before nothing of it runs: its own thread says so then.
            repair = [repair.state for repair in execution.run.repairs[-1:]]
            for state in (execution.run.state, *repair, *(attempt.state for attempt in begun)):
                if state.life_cycle_state == "RUNNING":
                    state.life_cycle_state = "TERMINATING"
            self._store.save_run(execution.run)
        for attempt in begun:
            self._tasks.cancel(attempt.run_id)
