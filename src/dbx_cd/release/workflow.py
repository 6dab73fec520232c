"""The Databricks job behind the Workflow: start, resume, run a notebook like it. The only user of the Jobs API."""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, ClassVar

from dbx_cd.errors import WorkflowError
from dbx_cd.records import Record
from dbx_cd.release.job import gate_target

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient
    from databricks.sdk.service.jobs import GitSource, Job, JobSettings, Run, RunNowResponse, RunTask

    from dbx_cd.release.events import Release

_log = logging.getLogger(__name__)

JOB_NAME = "dbx_cd"
# The job parameters that say where things are.
_PLACES = ("project_dir", "artifacts_root")
_SHA = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class ReleaseRun(Record):
    """A run of the Workflow that was started or resumed."""

    KIND: ClassVar[str] = "triggered"

    job_id: int
    """The job."""
    run_id: int
    """The job run."""
    commit: str
    """The full SHA that it was started at."""
    url: str | None = None
    """The run's page."""

    def __str__(self) -> str:
        return f"run {self.run_id} of job {self.job_id} at commit {self.commit[:12]}"


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


def trigger(
    workspace: WorkspaceClient, job: str | int, *, commit: str, full_refresh: bool = False, reason: str | None = None
) -> ReleaseRun:
    """Run the Workflow at exactly one commit. Code rollback is this, at an earlier commit.

    `run_now` takes no git source, so the commit is pinned in the job's settings first (Jobs API documentation). A
    later trigger moves the pin; the release it overtakes then says so by `ReleaseSuperseded` or `WrongCommit`.

    Args:
        workspace: a client with the right to manage the job.
        job: the job's name or id.
        commit: the full SHA.
        full_refresh: rebuild incremental models from nothing.
        reason: why, for the release log.

    Returns:
        The run; it may be queued behind one that is under way.

    Raises:
        WorkflowError: no such job, more than one of that name, no git source in it, or not a full SHA.
    """
    from databricks.sdk.service.jobs import JobSettings

    if not _SHA.fullmatch(commit):
        raise WorkflowError(f"not a full commit SHA: {commit!r}", next_step="give all 40 hexadecimal digits")
    job_id, settings, source = _job_with_git_source(workspace, job)
    source.git_commit, source.git_branch, source.git_tag, source.git_snapshot = commit, None, None, None
    workspace.jobs.update(job_id, new_settings=JobSettings(git_source=source))
    declared = {p.name for p in settings.parameters or ()}
    wanted = {"commit": commit, "full_refresh": str(full_refresh).lower(), "reason": reason or ""}
    # One token an attempt: a token per commit would answer with the old run when a commit is deployed again.
    started = workspace.jobs.run_now(
        job_id,
        job_parameters={k: v for k, v in wanted.items() if k in declared},
        idempotency_token=uuid.uuid4().hex,
    )
    response: RunNowResponse = started.response
    run_id = int(response.run_id or 0)
    run = workspace.jobs.get_run(run_id)
    started_run = ReleaseRun(job_id, run_id, commit, run.run_page_url)
    _log.info("started %s", started_run)
    return started_run


def resume(workspace: WorkspaceClient, release: Release, *, target: str | None = None) -> ReleaseRun:
    """Repair a release's run from an approval gate on, after a decision.

    Args:
        workspace: a client of somebody who may manage runs of the job.
        release: the release whose run waits.
        target: the gated target that was decided about; not needed where the run has one gate.

    Raises:
        WorkflowError: the run is still under way, or has no gate task for the target.
    """
    run = workspace.jobs.get_run(int(release.run_id), include_history=True)
    if run.job_id is None or (run.state is not None and run.state.result_state is None):
        raise WorkflowError(
            "the run is still under way",
            where=f"run {release.run_id}",
            next_step="wait until it has stopped at the gate",
        )
    gate = _gate_of(run, target)
    repairs = [item for item in run.repair_history or () if item.id is not None and str(item.type).endswith("REPAIR")]
    workspace.jobs.repair_run(
        int(release.run_id),
        rerun_tasks=_from_on(gate, run),
        latest_repair_id=repairs[-1].id if repairs else None,
        # A repair forgets overridden parameters (Jobs API documentation).
        job_parameters={p.name: p.value or p.default or "" for p in run.job_parameters or () if p.name},
    )
    resumed = ReleaseRun(run.job_id, int(release.run_id), release.commit, run.run_page_url)
    _log.info("resumed %s from %s on", resumed, gate)
    return resumed


def start_notebook(
    workspace: WorkspaceClient, job: str | int, *, notebook: str, parameters: Mapping[str, str]
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
        WorkflowError: no such job, more than one of that name, no git source, or no notebook task in it.
    """
    from databricks.sdk.service.jobs import NotebookTask, SubmitTask

    _, settings, source = _job_with_git_source(workspace, job)
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
    started = workspace.jobs.submit(
        run_name=f"{settings.name} {notebook}",
        tasks=[task],
        git_source=source,
        environments=settings.environments,
        idempotency_token=uuid.uuid4().hex,
    )
    run = workspace.jobs.get_run(started.run_id)
    notebook_run = NotebookRun(notebook, started.run_id, run.run_page_url)
    _log.info("started %s", notebook_run)
    return notebook_run


def notebook_result(
    workspace: WorkspaceClient, started: NotebookRun, *, timeout: timedelta = timedelta(hours=2)
) -> str:
    """Wait for a notebook; returns what it ended with by `dbutils.notebook.exit`.

    Raises:
        WorkflowError: it failed, which is reported in its own words, or has not ended in time.
    """
    from databricks.sdk.service.jobs import RunResultState

    run = _ended(workspace, started.run_id, timeout, what=str(started), url=started.url)
    attempts = [t.run_id for t in run.tasks or () if t.run_id is not None]
    output = workspace.jobs.get_run_output(attempts[-1]) if attempts else None
    if run.state is None or run.state.result_state != RunResultState.SUCCESS:
        message = (output.error if output else None) or (run.state.state_message if run.state else None)
        raise WorkflowError(f"{started} failed: {message}", where=started.url, next_step="its page says what was done")
    return str(output.notebook_output.result or "") if output and output.notebook_output else ""


def wait(workspace: WorkspaceClient, run: ReleaseRun, *, timeout: timedelta = timedelta(hours=2)) -> Run:
    """Wait until a run has ended, well or not.

    Returns:
        The run as the Jobs API describes it.

    Raises:
        WorkflowError: it has not ended in time.
    """
    return _ended(workspace, run.run_id, timeout, what=str(run), url=run.url)


def _ended(workspace: WorkspaceClient, run_id: int, timeout: timedelta, *, what: str, url: str | None) -> Run:
    from databricks.sdk.errors import OperationFailed

    try:
        return workspace.jobs.wait_get_run_job_terminated_or_skipped(run_id, timeout=timeout)
    except OperationFailed:
        # The SDK raises for INTERNAL_ERROR, which is also how a run ends whose gate waits for an approval.
        return workspace.jobs.get_run(run_id)
    except TimeoutError as exc:
        raise WorkflowError(f"{what} has not ended within {timeout}", where=url) from exc


def _job_with_git_source(workspace: WorkspaceClient, job: str | int) -> tuple[int, JobSettings, GitSource]:
    found = _job(workspace, job)
    settings = found.settings
    if settings is None or settings.git_source is None or found.job_id is None:
        raise WorkflowError(
            "the job has no git source",
            where=f"job {job}",
            next_step="deploy the job from resources/dbx_cd.job.yml, which has one",
        )
    return found.job_id, settings, settings.git_source


def _job(workspace: WorkspaceClient, job: str | int) -> Job:
    if isinstance(job, int) or job.isdigit():
        return workspace.jobs.get(int(job))
    named = [j for j in workspace.jobs.list(name=job) if j.job_id is not None]
    if len(named) != 1:
        raise WorkflowError(
            f"{len(named)} jobs are named {job!r}", next_step="deploy the Workflow, or give the job's id instead"
        )
    return workspace.jobs.get(named[0].job_id)  # type: ignore[arg-type]


def _gate_of(run: Run, target: str | None) -> str:
    """The key of the gate task for a target."""
    parameters = {p.name: p.value or p.default or "" for p in run.job_parameters or () if p.name}
    gates = {t.task_key: gate_target(t, parameters) for t in run.tasks or () if t.task_key}
    # One that does not say its target asks about the notebook's own.
    found = sorted(key for key, asked in gates.items() if asked is not None and (target in (None, asked) or not asked))
    if len(found) != 1:
        what = f"{len(found)} gate tasks" + (f" for {target}" if target else "")
        raise WorkflowError(
            f"the run has {what}", where=f"run {run.run_id}", next_step="repair it from the right task on, in its page"
        )
    return found[0]


def _from_on(first: str, run: Run) -> list[str]:
    """A task and all that come after it."""
    tasks: dict[str, RunTask] = {t.task_key: t for t in run.tasks or () if t.task_key}
    chosen = {first}
    while more := {
        k for k, t in tasks.items() if k not in chosen and {d.task_key for d in t.depends_on or ()} & chosen
    }:
        chosen |= more
    return [key for key in tasks if key in chosen]
