"""Carries out one attempt at one task: identity, parameters, notebook, process."""

from __future__ import annotations

import operator
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dbx_cd.errors import DbxCdError
from dbx_cd.local.notebooks.process import NotebookOrder
from dbx_cd.local.rest.git_source import Checkout
from dbx_cd.local.rest.job_runs import JobRun, TaskRun
from dbx_cd.local.rest.job_settings import notebook_source
from dbx_cd.local.rest.libraries import Libraries
from dbx_cd.local.rest.other_jobs import OtherJobs
from dbx_cd.local.rest.parameters import (
    RunFacts,
    UnknownReference,
    resolve,
    task_parameters,
    with_resolved_job_parameters,
)
from dbx_cd.local.rest.run_outcome import Outcome
from dbx_cd.local.rest.task_access import TaskAccess
from dbx_cd.local.rest.task_graph import CANCELED, FAILED, SUCCESS, TIMEDOUT
from dbx_cd.local.rest.task_process import GatewayInfo, TaskPlace, TaskProcess, child_environment
from dbx_cd.local.scratch import task_folder
from dbx_cd.local.volume_path import VOLUMES

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "EQUAL_TO": operator.eq,
    "NOT_EQUAL": operator.ne,
    "GREATER_THAN": operator.gt,
    "GREATER_THAN_OR_EQUAL": operator.ge,
    "LESS_THAN": operator.lt,
    "LESS_THAN_OR_EQUAL": operator.le,
}
_WORKLOAD_FAILED = "Workload failed, see run output for details"


class NotebookNotFound(DbxCdError):
    """A task names a notebook that is neither in the job's source nor among the packaged ones."""


@dataclass(frozen=True)
class WorkspaceSetup:
    """What every task of a workspace shares."""

    host: str
    """The address of the REST server."""
    state_dir: Path
    """Where the workspace keeps everything."""
    access: TaskAccess
    """What lets tasks in, and ends what they have left."""
    other_jobs: OtherJobs
    """What runs the jobs that tasks name."""
    libraries: Libraries
    """What is asked of their libraries."""
    environment: Mapping[str, str]
    """Variables for every task."""
    warm_notebooks: Path | None
    """The socket of the warm parent of notebook processes; ``None`` starts each one anew."""
    spark_gateway: GatewayInfo | None
    """Its JVM; ``None`` runs notebooks without ``spark``."""
    packaged_notebooks: Path | None
    """Used where a job's source has no notebook of that name."""
    on_output: Callable[[int, str, str], None]
    """Called with run id, task key and line for everything that tasks print."""


class TaskRunner:
    """Runs attempts, each in the thread that calls ``run``; ``cancel`` may come from any thread, also before it."""

    def __init__(self, setup: WorkspaceSetup) -> None:
        self._setup = setup
        self._processes: dict[int, TaskProcess] = {}
        self._cancelled: set[int] = set()
        self._lock = threading.Lock()

    def run(self, run: JobRun, attempt: TaskRun, *, checkout: Checkout | None, run_dir: Path) -> Outcome:
        """Run one attempt to its end; what it produced is stored in ``attempt``."""
        try:
            if attempt.settings.get("condition_task"):
                return self._condition(run, attempt)
            if attempt.settings.get("run_job_task"):
                return self._other_job(run, attempt)
            return self._notebook(run, attempt, checkout, run_dir)
        except (DbxCdError, UnknownReference) as exc:
            attempt.error = str(exc)
            return Outcome(FAILED, str(exc))

    def cancel(self, task_run_id: int) -> None:
        """End an attempt's process, if it has one."""
        with self._lock:
            self._cancelled.add(task_run_id)
            process = self._processes.get(task_run_id)
        if process is not None:
            process.cancel()
        self._setup.other_jobs.cancel(task_run_id)

    def _other_job(self, run: JobRun, attempt: TaskRun) -> Outcome:
        facts = self._facts(run, attempt)
        given = attempt.settings["run_job_task"].get("job_parameters") or {}
        attempt.parameters = {name: resolve(str(value), facts) for name, value in given.items()}
        return self._setup.other_jobs.run(run, attempt, attempt.parameters)

    def _condition(self, run: JobRun, attempt: TaskRun) -> Outcome:
        condition = attempt.settings["condition_task"]
        facts = self._facts(run, attempt)
        left, right = (resolve(condition[side], facts) for side in ("left", "right"))
        attempt.parameters = {"left": left, "right": right}
        if condition["op"] in ("EQUAL_TO", "NOT_EQUAL"):  # these compare text, the others numbers (documented)
            is_met = _COMPARE[condition["op"]](left, right)
        else:
            try:
                is_met = _COMPARE[condition["op"]](float(left), float(right))
            except ValueError:
                attempt.error = f"{condition['op']} compares numbers, not {left!r} and {right!r}"
                return Outcome(FAILED, attempt.error)
        attempt.outcome = str(is_met).lower()
        return Outcome(SUCCESS)

    def _notebook(self, run: JobRun, attempt: TaskRun, checkout: Checkout | None, run_dir: Path) -> Outcome:
        setup, task = self._setup, attempt.settings["notebook_task"]
        setup.libraries.require(attempt.settings.get("libraries") or (), run_as=run.run_as)
        facts = self._facts(run, attempt)
        overriding = {**run.notebook_params, **facts.job_parameters}
        attempt.parameters = task_parameters(task.get("base_parameters") or {}, overriding, facts)
        notebook, cwd, root = self._locate(task, run.settings.get("git_source"), checkout)
        page = _fresh_page(run_dir, attempt)
        result_file = run_dir / f"{attempt.run_id}.json"
        order = NotebookOrder(
            notebook=str(notebook),
            title=f"{run.name} / {attempt.task_key} (run {run.run_id}, attempt {attempt.attempt_number})",
            task_key=attempt.task_key,
            job_group=f"run-{run.run_id}-task-{attempt.run_id}",
            user=run.run_as,
            result_file=str(result_file),
            page_file=str(page),
            import_paths=[str(path) for path in dict.fromkeys((cwd, root)) if path is not None],
            parameters=attempt.parameters,
            task_values={key: other.values for key, other in run.latest().items()},
            gateway_port=setup.spark_gateway.port if setup.spark_gateway else None,
            gateway_secret=setup.spark_gateway.secret if setup.spark_gateway else None,
        )
        with (
            setup.access.of(run.run_as, task=order.job_group) as token,
            task_folder(setup.state_dir, str(attempt.run_id)) as temporary,
        ):
            extra = {**setup.environment, "TMPDIR": str(temporary)}
            process = TaskProcess(
                order,
                TaskPlace(cwd, page.with_suffix(".log"), result_file),
                environment=child_environment(
                    host=setup.host, token=token, volumes=setup.state_dir / VOLUMES, extra=extra
                ),
                warm_parent=setup.warm_notebooks,
            )
            with self._lock:
                self._processes[attempt.run_id] = process
                process.cancelled = attempt.run_id in self._cancelled
            try:
                result = process.run(
                    timeout_seconds=attempt.settings.get("timeout_seconds"),
                    on_line=lambda line: setup.on_output(run.run_id, attempt.task_key, line),
                )
            finally:
                with self._lock:
                    del self._processes[attempt.run_id]
        attempt.exit_value, attempt.values = result.exit_value, result.values
        attempt.error, attempt.error_trace = result.error, result.error_trace
        if process.timed_out:
            return Outcome(TIMEDOUT, f"Timed out after {attempt.settings['timeout_seconds']} seconds")
        if process.cancelled:
            return Outcome(CANCELED, "Run cancelled.")
        return Outcome(FAILED, _WORKLOAD_FAILED) if result.error is not None else Outcome(SUCCESS)

    def _locate(
        self, task: Mapping[str, Any], git_source: dict[str, Any] | None, checkout: Checkout | None
    ) -> tuple[Path, Path, Path | None]:
        """The notebook's file, the current directory it runs in, and the root to import from.

        A project's own copy wins over the packaged notebook of the same name.
        """
        path = task["notebook_path"]
        root: Path | None = None
        if notebook_source(task, git_source) == "GIT":
            assert checkout is not None
            root = checkout.path
            wanted = root / f"{path}.py"
        else:
            files = self._setup.state_dir / "Workspace"
            wanted = files / (path.removeprefix("/Workspace").lstrip("/") + ".py")
            if not wanted.resolve().is_relative_to(files.resolve()):
                raise NotebookNotFound("Notebook not found", where=path)
        if wanted.is_file():
            return wanted, wanted.parent, root
        packaged = self._setup.packaged_notebooks
        if packaged is not None and (packaged / f"{wanted.stem}.py").is_file():
            nearest = wanted.parent if wanted.parent.is_dir() else root or packaged
            return packaged / f"{wanted.stem}.py", nearest, root
        raise NotebookNotFound("Notebook not found", where=path, next_step="check notebook_path and the commit")

    def _facts(self, run: JobRun, attempt: TaskRun) -> RunFacts:
        latest = run.latest()
        facts = RunFacts(
            job_id=run.job_id or 0,
            job_name=run.name,
            run_id=run.run_id,
            start_time=run.state.start_time,
            trigger_type="ONE_TIME",
            repair_count=len(run.repairs),
            task_key=attempt.task_key,
            task_run_id=attempt.run_id,
            execution_count=attempt.attempt_number + 1,
            notebook_path=(attempt.settings.get("notebook_task") or {}).get("notebook_path"),
            workspace_url=self._setup.host,
            job_parameters=run.job_parameters,
            results={key: other.state.result_state for key, other in latest.items() if other.state.result_state},
            values={key: other.values for key, other in latest.items()},
        )
        return with_resolved_job_parameters(facts)


def _fresh_page(run_dir: Path, attempt: TaskRun) -> Path:
    """``<task_key>.html``; pages and logs of earlier attempts are kept under their attempt's number."""
    run_dir.mkdir(parents=True, exist_ok=True)
    page = run_dir / f"{attempt.task_key}.html"
    for earlier in (page, page.with_suffix(".log")):
        if earlier.exists():
            earlier.rename(earlier.with_name(f"{page.stem}.{attempt.attempt_number - 1}{earlier.suffix}"))
    return page
