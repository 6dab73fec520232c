"""Jobs and runs as this workspace remembers them: small JSON files, written atomically, that survive a restart.

The records are mutable because a run changes while others read it; whoever changes one takes ``WorkspaceStore.lock``.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mashumaro import DataClassDictMixin

from dbx_cd.local.rest.access_list import AccessList
from dbx_cd.local.rest.task_graph import FAILED

FORMAT = 1
STOPPED = "the workspace stopped"
FINISHED = frozenset({"TERMINATED", "SKIPPED", "INTERNAL_ERROR"})


def now_ms() -> int:
    """Milliseconds since the epoch, the API's unit of time."""
    return time.time_ns() // 1_000_000


@dataclass
class State(DataClassDictMixin):
    """Where a run, a repair or a task attempt stands; names are those of the Jobs API."""

    life_cycle_state: str = "PENDING"
    result_state: str | None = None
    state_message: str = ""
    start_time: int = 0
    end_time: int = 0

    @property
    def finished(self) -> bool:
        """Whether nothing more will happen."""
        return self.life_cycle_state in FINISHED

    def begin(self) -> None:
        """Now running."""
        self.life_cycle_state = "RUNNING"
        self.start_time = self.start_time or now_ms()

    def end(self, result_state: str, message: str = "", *, life_cycle_state: str = "TERMINATED") -> None:
        """Now finished."""
        self.life_cycle_state, self.result_state, self.state_message = life_cycle_state, result_state, message
        self.end_time = now_ms()
        self.start_time = self.start_time or self.end_time


@dataclass
class TaskRun(DataClassDictMixin):
    """One attempt at one task: the first, a retry or a repair."""

    run_id: int
    task_key: str
    attempt_number: int
    settings: dict[str, Any]
    repair_id: int | None = None
    state: State = field(default_factory=lambda: State(life_cycle_state="BLOCKED"))
    parameters: dict[str, str] = field(default_factory=dict)
    outcome: str | None = None
    exit_value: str | None = None
    error: str | None = None
    error_trace: str | None = None
    values: dict[str, Any] = field(default_factory=dict)
    started_run: int | None = None


@dataclass
class Repair(DataClassDictMixin):
    """One repair of a run."""

    id: int
    state: State = field(default_factory=State)


@dataclass
class JobRun(DataClassDictMixin):
    """One run of a job, or a one-time run (``job_id`` is ``None``)."""

    run_id: int
    job_id: int | None
    number_in_job: int
    name: str
    creator: str
    run_as: str
    settings: dict[str, Any]
    job_parameters: dict[str, str] = field(default_factory=dict)
    overrides: dict[str, str] = field(default_factory=dict)
    notebook_params: dict[str, str] = field(default_factory=dict)
    idempotency_token: str | None = None
    used_commit: str | None = None
    state: State = field(default_factory=State)
    original_state: State | None = None
    repairs: list[Repair] = field(default_factory=list)
    attempts: list[TaskRun] = field(default_factory=list)
    access: AccessList | None = None
    started_by: int | None = None

    def latest(self) -> dict[str, TaskRun]:
        """The newest attempt of every task."""
        return {attempt.task_key: attempt for attempt in self.attempts}

    @property
    def active(self) -> bool:
        """Whether the run occupies one of the job's concurrent runs."""
        return not self.state.finished and self.state.life_cycle_state != "QUEUED"


@dataclass
class Job(DataClassDictMixin):
    """A saved job."""

    job_id: int
    creator: str
    created_time: int
    settings: dict[str, Any]
    access: AccessList | None = None


class WorkspaceStore:
    """Jobs in ``workspace.json``, one ``runs/<run_id>/run.json`` for each run."""

    def __init__(self, state_dir: Path) -> None:
        self.lock = threading.RLock()
        self.jobs: dict[int, Job] = {}
        self.runs: dict[int, JobRun] = {}
        self._file = state_dir / "workspace.json"
        self._runs_dir = state_dir / "runs"
        self._last_id = 1000
        self._runs_dir.mkdir(parents=True, exist_ok=True)
        self._load()

    def next_id(self) -> int:
        """An id for a job, run, task run or repair: all from one sequence, never given twice."""
        with self.lock:
            self._last_id += 1
            self._save_index()
            return self._last_id

    def run_dir(self, run_id: int) -> Path:
        """Where a run keeps its record, logs and pages."""
        return self._runs_dir / str(run_id)

    def save_job(self, job: Job) -> None:
        """Add or replace a job."""
        with self.lock:
            self.jobs[job.job_id] = job
            self._save_index()

    def delete_job(self, job_id: int) -> None:
        """Forget a job; its runs stay, as on the platform."""
        with self.lock:
            del self.jobs[job_id]
            self._save_index()

    def save_run(self, run: JobRun) -> None:
        """Add or replace a run."""
        with self.lock:
            self.runs[run.run_id] = run
            write_json(self.run_dir(run.run_id) / "run.json", {"format": FORMAT, **run.to_dict()})

    def delete_run(self, run_id: int) -> None:
        """Forget a run; its folder keeps logs and pages."""
        with self.lock:
            del self.runs[run_id]
            (self.run_dir(run_id) / "run.json").unlink()

    def runs_of(self, job_id: int) -> Iterable[JobRun]:
        """All runs of one job, oldest first."""
        return [run for run in self.runs.values() if run.job_id == job_id]

    def _save_index(self) -> None:
        jobs = [job.to_dict() for job in self.jobs.values()]
        write_json(self._file, {"format": FORMAT, "last_id": self._last_id, "jobs": jobs})

    def _load(self) -> None:
        if self._file.exists():
            index = json.loads(self._file.read_text(encoding="utf-8"))
            self._last_id = index["last_id"]
            self.jobs = {job.job_id: job for job in map(Job.from_dict, index["jobs"])}
        for file in sorted(self._runs_dir.glob("*/run.json"), key=lambda path: int(path.parent.name)):
            run = JobRun.from_dict(json.loads(file.read_text(encoding="utf-8")))
            self.runs[run.run_id] = run
            if close_interrupted(run):
                self.save_run(run)


def close_interrupted(run: JobRun) -> bool:
    """End whatever was still going on when the workspace stopped; returns whether anything was."""
    states = [run.state, *(repair.state for repair in run.repairs), *(attempt.state for attempt in run.attempts)]
    interrupted = [state for state in states if not state.finished]
    for state in interrupted:
        state.end(FAILED, STOPPED, life_cycle_state="INTERNAL_ERROR")
    for attempt in run.attempts:
        if attempt.state.state_message == STOPPED:
            attempt.error = STOPPED
    return bool(interrupted)


def write_json(path: Path, content: object) -> None:
    """Write a file so that a reader, or a restart, sees the old content or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    temporary.write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")
    temporary.replace(path)
