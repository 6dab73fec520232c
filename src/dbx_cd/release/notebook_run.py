"""Notebooks of the Workflow's repository as one-time runs of a person, and waiting for what was started."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from dbx_cd.errors import WorkflowError
from dbx_cd.release.jobs import Jobs
from dbx_cd.release.pinned_commit import job_with_git_source
from dbx_cd.release.run_ending import message_of, result_of
from dbx_cd.release.workflow import ended_run

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient

_log = logging.getLogger(__name__)

# The job parameters that say where things are.
_PLACES = ("project_dir", "artifacts_root")


@dataclass(frozen=True)
class NotebookRun:
    """A notebook that was started as a one-time run."""

    notebook: str
    """The name of the notebook."""
    run_id: int
    """The job run."""
    url: str | None = None
    """The run's page."""

    def __str__(self) -> str:
        return f"notebook {self.notebook}, run {self.run_id}"


def start_notebook(
    workspace: WorkspaceClient,
    job: str | int,
    *,
    notebook: str,
    parameters: Mapping[str, str],
) -> NotebookRun:
    """Run a notebook of the Workflow's repository once, as the user, where the Workflow runs its own.

    Git source and commit, cluster or environment, libraries, and where project and artifacts are: all as the deployed
    job has them now. The run is the user's own: so are its rights, and the name in the log.

    Args:
        workspace: a client with the right to see the job and to submit runs.
        job: the job's name or id.
        notebook: its name, in the folder of the Workflow's other notebooks.
        parameters: its widgets; they win over the job's.

    Raises:
        WorkflowError: no such job, more than one of that name, no git source, or no notebook task in it; or the
            platform refused or failed.
    """
    from databricks.sdk.service.jobs import NotebookTask, SubmitTask

    jobs = Jobs(workspace)
    _, settings, source = job_with_git_source(jobs, job)
    model = next((t for t in settings.tasks or () if t.notebook_task is not None), None)
    if model is None or model.notebook_task is None:
        raise WorkflowError("the job has no notebook task", where=f"job {job}", next_step="deploy the Workflow's job")
    shared = {c.job_cluster_key: c.new_cluster for c in settings.job_clusters or ()}
    places = {p.name: p.default for p in settings.parameters or () if p.name in _PLACES and p.default}
    task = SubmitTask(
        task_key=notebook,
        notebook_task=NotebookTask(
            str(PurePosixPath(model.notebook_task.notebook_path).with_name(notebook)),
            base_parameters={**places, **parameters},
            source=model.notebook_task.source,
        ),
        existing_cluster_id=model.existing_cluster_id,
        # A one-time run has no shared clusters (Jobs API documentation): the task gets its own of the same kind.
        new_cluster=model.new_cluster or shared.get(model.job_cluster_key or ""),
        environment_key=model.environment_key,
        libraries=model.libraries,
    )
    name = f"{settings.name} {notebook}"
    try:
        run_id = jobs.submit(name, task, git_source=source, environments=settings.environments)
    except WorkflowError as exc:
        if not exc.may_be_done:
            raise
        raise WorkflowError(
            f"{exc.what}; whether it was is not known",
            where=exc.where,
            next_step=f"look for a run {name!r} among the job runs before you start it again; else {exc.next_step}",
            may_be_done=True,
        ) from exc
    notebook_run = NotebookRun(notebook, run_id, jobs.page_of(run_id))
    _log.info("started %s", notebook_run)
    return notebook_run


def notebook_result(
    workspace: WorkspaceClient,
    started: NotebookRun,
    *,
    timeout: timedelta = timedelta(hours=2),
) -> str:
    """Wait for a notebook; returns what it ended with by `dbutils.notebook.exit`.

    Raises:
        WorkflowError: it failed, which is reported in its own words; it has not ended in time; or it cannot be
            followed any longer, though it goes on.
    """
    jobs = Jobs(workspace)
    run = ended_run(jobs, started.run_id, timeout=timeout, what=str(started), url=started.url)
    result = result_of(run)
    ended = f"{started} ended as {result}"
    attempts = [t.run_id for t in run.tasks or () if t.run_id is not None]
    try:
        output = jobs.output(attempts[-1]) if attempts else None
    except WorkflowError as exc:
        next_step = "read in its page what was done, before you start it again"
        raise WorkflowError(f"{ended}; {exc.what}", where=started.url or exc.where, next_step=next_step) from exc
    if result != "SUCCESS":
        message = (output.error if output else None) or message_of(run) or f"it ended as {result}"
        raise WorkflowError(f"{started} failed: {message}", where=started.url, next_step="its page says what was done")
    return str(output.notebook_output.result or "") if output and output.notebook_output else ""
