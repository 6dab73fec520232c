"""Carries out runs: queue, repair, cancellation, checkout. What their tasks do is in `task_scheduler`."""

from __future__ import annotations

import logging
import threading
from collections import defaultdict, deque
from collections.abc import Iterable
from typing import Any

from dbx_cd.local.rest.api_error import invalid_state
from dbx_cd.local.rest.execution import Execution
from dbx_cd.local.rest.git_source import CheckoutFailed, GitCheckouts
from dbx_cd.local.rest.job_runs import STOPPED, JobRun, Repair, State, WorkspaceStore
from dbx_cd.local.rest.notifications import Notifications
from dbx_cd.local.rest.run_outcome import Outcome, close_run
from dbx_cd.local.rest.task_graph import CANCELED, FAILED, SUCCESS
from dbx_cd.local.rest.task_runner import TaskRunner
from dbx_cd.local.rest.task_scheduler import TaskScheduler

_log = logging.getLogger(__name__)

_CANCELLED = "Run cancelled."


class JobRunner:
    """Starts runs in threads of their own; every change is stored before it can be observed."""

    def __init__(
        self, store: WorkspaceStore, *, tasks: TaskRunner, checkouts: GitCheckouts, notifications: Notifications
    ) -> None:
        self._store = store
        self._scheduler = TaskScheduler(store, tasks=tasks, notifications=notifications)
        self._checkouts = checkouts
        self._notifications = notifications
        self._executions: dict[int, Execution] = {}
        self._queues: dict[int, deque[Execution]] = defaultdict(deque)
        self._finished = threading.Condition(store.lock)
        self._stopping = False

    def start(self, run: JobRun, *, queue: bool) -> None:
        """Start a new run, or queue it, or skip it, as the job's concurrency allows."""
        with self._store.lock:
            self._scheduler.add_attempts(run, run.settings.get("tasks") or [], repair_id=None)
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
            self._scheduler.add_attempts(run, tasks, repair_id=repair.id)
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
            self._scheduler.end(execution, Outcome(CANCELED, _CANCELLED))

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
            self._scheduler.end(execution, Outcome(FAILED, STOPPED))
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
            self._scheduler.run(execution)
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
