"""Carries out runs: order of the tasks, ``run_if``, retries, repair, queue, cancellation, time limits."""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict, deque
from collections.abc import Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any

from dbx_cd.local.rest.api_error import invalid_state
from dbx_cd.local.rest.execution import Execution
from dbx_cd.local.rest.git_source import CheckoutFailed, GitCheckouts
from dbx_cd.local.rest.job_runs import STOPPED, JobRun, Repair, State, TaskRun, WorkspaceStore
from dbx_cd.local.rest.notifications import Notifications
from dbx_cd.local.rest.run_outcome import Outcome, close_run
from dbx_cd.local.rest.task_graph import (
    CANCELED,
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

_CANCELLED = "Run cancelled."
_SKIP_MESSAGES = {UPSTREAM_FAILED: "An upstream task failed.", "UPSTREAM_CANCELED": "An upstream task was cancelled."}


class JobRunner:
    """Starts runs in threads of their own; every change is stored before it can be observed."""

    def __init__(
        self, store: WorkspaceStore, *, tasks: TaskRunner, checkouts: GitCheckouts, notifications: Notifications
    ) -> None:
        self._store = store
        self._tasks = tasks
        self._checkouts = checkouts
        self._notifications = notifications
        self._executions: dict[int, Execution] = {}
        self._queues: dict[int, deque[Execution]] = defaultdict(deque)
        self._finished = threading.Condition(store.lock)
        self._stopping = False

    def start(self, run: JobRun, *, queue: bool) -> None:
        """Start a new run, or queue it, or skip it, as the job's concurrency allows."""
        with self._store.lock:
            self._block(run, run.settings.get("tasks") or [], repair_id=None)
            self._admit(Execution(run, run.settings.get("tasks") or []), queue=queue)
            self._store.save_run(run)

    def require_room(self, run: JobRun, *, queue: bool) -> None:
        """Refuse to begin a run anew, while the store is locked, where it could neither start nor wait."""
        if self._full(run) and not queue:
            raise invalid_state(f"job {run.job_id} has reached max_concurrent_runs, and its queue is not enabled")

    def repair(self, run: JobRun, *, settings: dict[str, Any], task_keys: Iterable[str], queue: bool) -> int:
        """Run tasks of a finished run again, with the job's current settings; `require_room` comes before.

        Returns:
            The id of the repair.
        """
        with self._store.lock:
            wanted = set(task_keys)
            repair = Repair(self._store.next_id())
            run.original_state = run.original_state or State(**vars(run.state))
            run.repairs.append(repair)
            run.settings = settings
            run.state = State(start_time=run.state.start_time)
            tasks = [task for task in settings["tasks"] if task["task_key"] in wanted]
            self._block(run, tasks, repair_id=repair.id)
            self._admit(Execution(run, tasks), queue=queue)
            self._store.save_run(run)
            return repair.id

    def cancel(self, run: JobRun) -> None:
        """End a run: running tasks are killed, waiting ones never start. Does nothing to a finished run."""
        with self._store.lock:
            for queued in list(self._queues[run.job_id or 0]):
                if queued.run is run:
                    self._queues[run.job_id or 0].remove(queued)
                    close_run(run, Outcome(CANCELED, _CANCELLED))
                    self._store.save_run(run)
                    self._finished.notify_all()
                    return
            execution = self._executions.get(run.run_id)
            if execution is not None:
                run.state.life_cycle_state = "TERMINATING"
                self._store.save_run(run)
        if execution is not None:
            self._end(execution, Outcome(CANCELED, _CANCELLED))

    def wait(self, run_id: int, *, timeout_seconds: float | None = None) -> bool:
        """Block until a run is finished; returns whether it is."""
        with self._finished:
            return self._finished.wait_for(lambda: self._store.runs[run_id].state.finished, timeout_seconds)

    def stop(self) -> None:
        """Kill all tasks and close all runs as interrupted."""
        with self._store.lock:
            self._stopping = True
            executions = list(self._executions.values())
            queued = [execution for queue in self._queues.values() for execution in queue]
            self._queues.clear()
        for execution in executions:
            self._end(execution, Outcome(FAILED, STOPPED))
        for execution in executions:
            if execution.thread is not None:
                execution.thread.join()
        with self._store.lock:
            for execution in queued:
                close_run(execution.run, Outcome(FAILED, STOPPED))
                self._store.save_run(execution.run)

    def _full(self, run: JobRun) -> bool:
        if run.job_id is None:
            return False
        active = sum(other.active for other in self._store.runs_of(run.job_id) if other is not run)
        limit: int = run.settings.get("max_concurrent_runs", 1)
        return active >= limit

    def _block(self, run: JobRun, tasks: list[dict[str, Any]], *, repair_id: int | None) -> None:
        """A waiting attempt for every task, so that all of them are visible from the start."""
        for task in tasks:
            self._new_attempt(run, task, repair_id)

    def _new_attempt(self, run: JobRun, task: dict[str, Any], repair_id: int | None) -> TaskRun:
        earlier = run.latest().get(task["task_key"])
        number = earlier.attempt_number + 1 if earlier else 0
        attempt = TaskRun(self._store.next_id(), task["task_key"], number, task, repair_id)
        run.attempts.append(attempt)
        return attempt

    def _admit(self, execution: Execution, *, queue: bool) -> None:
        run = execution.run
        if not self._full(run):
            self._launch(execution)
        elif queue:
            run.state.life_cycle_state = "QUEUED"
            run.state.state_message = "Queued: the job has reached max_concurrent_runs."
            self._queues[run.job_id or 0].append(execution)
        else:
            message = "Skipped: the job has reached max_concurrent_runs, and its queue is not enabled."
            run.state.end("MAXIMUM_CONCURRENT_RUNS_REACHED", message, life_cycle_state="SKIPPED")
            run.attempts.clear()

    def _launch(self, execution: Execution) -> None:
        run = execution.run
        run.state.life_cycle_state, run.state.state_message = "PENDING", ""
        self._executions[run.run_id] = execution
        execution.thread = threading.Thread(target=self._work, args=(execution,), name=f"run-{run.run_id}")
        execution.thread.start()

    def _work(self, execution: Execution) -> None:
        run = execution.run
        try:
            failure = self._carry_out(execution)
        except Exception as exc:  # a full disk, say: who waits for the run must not wait for ever
            _log.exception("run %d", run.run_id)
            failure = Outcome(FAILED, f"Internal error of the embedded workspace: {exc}")
        with self._store.lock:
            close_run(run, failure or execution.ended_by)
            del self._executions[run.run_id]
            try:
                self._store.save_run(run)
                _log.info("run %d ends: %s", run.run_id, run.state.result_state)
                self._notifications.run_event("on_success" if run.state.result_state == SUCCESS else "on_failure", run)
            except OSError as exc:
                _log.error("run %d ends: %s, which cannot be kept: %s", run.run_id, run.state.result_state, exc)
            self._finished.notify_all()
            if not self._stopping and self._queues[run.job_id or 0]:
                self._launch(self._queues[run.job_id or 0].popleft())

    def _carry_out(self, execution: Execution) -> Outcome | None:
        """Run the tasks; returns why that could not begin."""
        run = execution.run
        with self._store.lock:
            run.state.begin()
            if run.repairs:
                run.repairs[-1].state.begin()
            self._store.save_run(run)
        _log.info("run %d begins: %s", run.run_id, run.name)
        self._notifications.run_event("on_start", run)
        failure = self._check_out(execution)
        if failure is None:
            self._run_tasks(execution)
        return failure

    def _check_out(self, execution: Execution) -> Outcome | None:
        git_source = execution.run.settings.get("git_source")
        if not git_source:
            return None
        try:
            execution.checkout = self._checkouts.checkout(git_source)
        except CheckoutFailed as exc:
            return Outcome(FAILED, f"Failed to checkout git repository: {exc}")
        with self._store.lock:
            execution.run.used_commit = execution.checkout.commit
            self._store.save_run(execution.run)
        return None

    def _run_tasks(self, execution: Execution) -> None:
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
                    self._end(execution, Outcome(TIMEDOUT, f"Run timed out after {limit} seconds."))

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

    def _end(self, execution: Execution, outcome: Outcome) -> None:
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
