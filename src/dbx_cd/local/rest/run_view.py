"""Runs as the Jobs API shows them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dbx_cd.local.rest.job_runs import Job, JobRun, State, TaskRun

Json = dict[str, Any]

_V2_STATES = {
    "PENDING": "PENDING",
    "BLOCKED": "BLOCKED",
    "QUEUED": "QUEUED",
    "RUNNING": "RUNNING",
    "TERMINATING": "TERMINATING",
}
_TERMINATION_CODES = {
    "SUCCESS": "SUCCESS",
    "SUCCESS_WITH_FAILURES": "SUCCESS_WITH_FAILURES",
    "CANCELED": "USER_CANCELED",
    "UPSTREAM_CANCELED": "USER_CANCELED",
    "TIMEDOUT": "RUN_EXECUTION_ERROR",
    "EXCLUDED": "SKIPPED",
    "MAXIMUM_CONCURRENT_RUNS_REACHED": "MAX_CONCURRENT_RUNS_EXCEEDED",
}


def job_view(job: Job, *, run_as: str) -> Json:
    """A saved job as ``jobs/get`` shows it."""
    return {
        "job_id": job.job_id,
        "creator_user_name": job.creator,
        "created_time": job.created_time,
        "run_as_user_name": run_as,
        "settings": job.settings,
    }


def run_view(run: JobRun, *, run_dir: Path, expand: bool = True, history: bool = False) -> Json:
    """A run as ``runs/get`` shows it. ``tasks`` holds every attempt, oldest first: repaired tasks appear again."""
    view: Json = {
        "run_id": run.run_id,
        "number_in_job": run.number_in_job,
        "creator_user_name": run.creator,
        "run_as_user_name": run.run_as,
        "original_attempt_run_id": run.run_id,
        "attempt_number": 0,
        "run_name": run.name,
        "run_type": "SUBMIT_RUN" if run.job_id is None else "JOB_RUN",
        "format": "MULTI_TASK",
        "trigger": "ONE_TIME",
        "run_page_url": run_dir.as_uri(),
        "job_parameters": _job_parameters(run),
        **_state(run.state),
    }
    if run.job_id is not None:
        view["job_id"] = run.job_id
    if run.notebook_params:
        view["overriding_parameters"] = {"notebook_params": run.notebook_params}
    if run.settings.get("git_source"):
        view["git_source"] = _git_source(run)
    if expand:
        view["tasks"] = [task_view(run, attempt, run_dir=run_dir) for attempt in run.attempts]
    if history:
        view["repair_history"] = _history(run)
    return view


def task_view(run: JobRun, attempt: TaskRun, *, run_dir: Path) -> Json:
    """One attempt at a task."""
    view: Json = {
        **attempt.settings,
        "run_id": attempt.run_id,
        "attempt_number": attempt.attempt_number,
        "run_page_url": (run_dir / f"{attempt.task_key}.html").as_uri(),
        "run_if": attempt.settings.get("run_if", "ALL_SUCCESS"),
        **_state(attempt.state),
    }
    if attempt.settings.get("condition_task"):
        view["condition_task"] = {**attempt.settings["condition_task"], **attempt.parameters}
        if attempt.outcome is not None:
            view["condition_task"]["outcome"] = attempt.outcome
    elif attempt.settings.get("run_job_task"):
        view["run_job_task"] = {**attempt.settings["run_job_task"], "job_parameters": attempt.parameters}
    elif attempt.parameters:
        view["resolved_values"] = {"notebook_task": {"base_parameters": attempt.parameters}}
    if run.settings.get("git_source"):
        view["git_source"] = _git_source(run)
    return view


def task_run_view(run: JobRun, attempt: TaskRun, *, run_dir: Path) -> Json:
    """``runs/get`` for the id of a task's attempt: a run with that one task."""
    view = run_view(run, run_dir=run_dir, expand=False)
    return {
        **view,
        **_state(attempt.state),
        "run_id": attempt.run_id,
        "job_run_id": run.run_id,
        "run_name": attempt.task_key,
        "attempt_number": attempt.attempt_number,
        "run_page_url": (run_dir / f"{attempt.task_key}.html").as_uri(),
        "tasks": [task_view(run, attempt, run_dir=run_dir)],
    }


def output_view(run: JobRun, attempt: TaskRun, *, run_dir: Path) -> Json:
    """``runs/get-output`` of one attempt."""
    view: Json = {"metadata": task_run_view(run, attempt, run_dir=run_dir)}
    if attempt.settings.get("notebook_task"):
        view["notebook_output"] = {"truncated": False}
        if attempt.exit_value is not None:
            view["notebook_output"]["result"] = attempt.exit_value
    if attempt.started_run is not None:
        view["run_job_output"] = {"run_id": attempt.started_run}
    if attempt.error is not None:
        view["error"] = attempt.error
    if attempt.error_trace is not None:
        view["error_trace"] = attempt.error_trace
    return view


def _state(state: State) -> Json:
    view: Json = {"life_cycle_state": state.life_cycle_state, "state_message": state.state_message}
    if state.result_state is not None:
        view["result_state"] = state.result_state
        view["user_cancelled_or_timedout"] = state.result_state in ("CANCELED", "TIMEDOUT")
    status: Json = {"state": _V2_STATES.get(state.life_cycle_state, "TERMINATED")}
    if state.finished:
        good = state.result_state in ("SUCCESS", "SUCCESS_WITH_FAILURES", "EXCLUDED")
        code = _TERMINATION_CODES.get(state.result_state or "", "RUN_EXECUTION_ERROR")
        kind = "SUCCESS" if good else "CLIENT_ERROR"
        status["termination_details"] = {"code": code, "type": kind, "message": state.state_message}
    if state.life_cycle_state == "QUEUED":
        status["queue_details"] = {"code": "MAX_CONCURRENT_RUNS_REACHED", "message": state.state_message}
        view["queue_reason"] = state.state_message
    duration = max(0, state.end_time - state.start_time)
    times = {"start_time": state.start_time, "end_time": state.end_time, "run_duration": duration}
    return {"state": view, "status": status, **times, "execution_duration": duration}


def _git_source(run: JobRun) -> Json:
    snapshot = {"git_snapshot": {"used_commit": run.used_commit}} if run.used_commit else {}
    return {**run.settings["git_source"], **snapshot}


def _job_parameters(run: JobRun) -> list[Json]:
    defaults = {parameter["name"]: parameter.get("default") for parameter in run.settings.get("parameters") or []}
    return [
        {"name": name, "default": defaults.get(name), **({"value": value} if name in run.overrides else {})}
        for name, value in run.job_parameters.items()
    ]


def _history(run: JobRun) -> list[Json]:
    def item(kind: str, state: State, repair_id: int | None) -> Json:
        ids = [attempt.run_id for attempt in run.attempts if attempt.repair_id == repair_id]
        view = {"type": kind, "task_run_ids": ids, **_state(state)}
        return view if repair_id is None else {**view, "id": repair_id}

    original = item("ORIGINAL", run.original_state or run.state, None)
    return [original, *(item("REPAIR", repair.state, repair.id) for repair in run.repairs)]
