"""A new run of a saved job: whose it is, as whom it works, with which parameters."""

from __future__ import annotations

from typing import Any

from dbx_cd.local.rest.api_error import invalid_parameter
from dbx_cd.local.rest.identity import Directory
from dbx_cd.local.rest.job_runs import Job, JobRun, WorkspaceStore
from dbx_cd.local.rest.run_view import Json


def run_of(job: Job, given: Json, *, creator: str, store: WorkspaceStore, directory: Directory) -> JobRun:
    """A run that is not started yet.

    Args:
        job: the job.
        given: `job_parameters`, `notebook_params` and `idempotency_token`, as run-now takes them.
        creator: who starts it.
        store: where runs are kept; the caller holds its lock.
        directory: the users.

    Raises:
        ApiError: a parameter is none of the job's, or whom it runs as is gone.
    """
    run = JobRun(
        run_id=store.next_id(),
        job_id=job.job_id,
        number_in_job=len(list(store.runs_of(job.job_id))) + 1,
        name=job.settings.get("name", "Untitled"),
        creator=creator,
        run_as=directory.run_as(job.settings.get("run_as"), job.creator),
        settings=job.settings,
        idempotency_token=given.get("idempotency_token"),
    )
    set_parameters(run, given)
    return run


def set_parameters(run: JobRun, given: Json, settings: Json | None = None) -> None:
    """Job parameters of a run: defaults, then what this request overrides; an earlier request's are forgotten."""
    declared = {p["name"]: str(p.get("default", "")) for p in (settings or run.settings).get("parameters") or []}
    overrides = {name: str(value) for name, value in (given.get("job_parameters") or {}).items()}
    undeclared = sorted(set(overrides) - set(declared))
    if undeclared:
        raise invalid_parameter(f"job_parameters: not declared by the job: {', '.join(undeclared)}")
    if given.get("notebook_params") and declared:
        raise invalid_parameter("notebook_params cannot be used with a job that declares job parameters")
    run.overrides = overrides
    run.job_parameters = {**declared, **overrides}
    run.notebook_params = given.get("notebook_params") or {}


def is_queued(given: Json, settings: Json) -> bool:
    """Whether a run waits where its job has as many as it may."""
    queue: Any = given.get("queue") or settings.get("queue") or {}
    return bool(queue.get("enabled"))
