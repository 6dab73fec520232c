"""The Databricks job behind the Workflow: start it at a commit, resume it after a decision, wait for it."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar

from dbx_cd.errors import WorkflowError
from dbx_cd.records import Record
from dbx_cd.release.child_runs import gates_behind
from dbx_cd.release.job import gate_target
from dbx_cd.release.jobs import Jobs
from dbx_cd.release.pinned_commit import job_with_git_source, pin, put_back
from dbx_cd.release.run_ending import has_ended, result_of

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient
    from databricks.sdk.service.jobs import Run, RunTask

from dbx_cd.release.events import Release

_log = logging.getLogger(__name__)

JOB_NAME = "dbx_cd"
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


def trigger(
    workspace: WorkspaceClient,
    job: str | int,
    *,
    commit: str,
    full_refresh: bool = False,
    reason: str | None = None,
) -> ReleaseRun:
    """Run the Workflow at exactly one commit. Code rollback is this, at an earlier commit.

    `run_now` takes no git source, so the commit is pinned in the job's settings first (Jobs API documentation). A
    later trigger moves the pin; the release it overtakes then says so by `ReleaseSuperseded` or `WrongCommit`. Where no
    run could be started, the job is set back to what it had before, so that it does not name a commit that never ran.

    Args:
        workspace: a client with the right to manage the job.
        job: the job's name or id.
        commit: the full SHA.
        full_refresh: rebuild incremental models from nothing.
        reason: why, for the release log.

    Returns:
        The run; it may be queued behind one that is under way.

    Raises:
        WorkflowError: no such job, more than one of that name, no git source in it, or not a full SHA; or the platform
            refused or failed: the message says what the job is left with.
    """
    if not _SHA.fullmatch(commit):
        raise WorkflowError(f"not a full commit SHA: {commit!r}", next_step="give all 40 hexadecimal digits")
    jobs = Jobs(workspace)
    job_id, settings, before = job_with_git_source(jobs, job)
    declared = {p.name for p in settings.parameters or ()}
    wanted = {"commit": commit, "full_refresh": str(full_refresh).lower(), "reason": reason or ""}
    with _saying_what_is_left(
        f"job {job_id} may be pinned to {commit}, and a run of it started: look at the job's runs"
    ):
        pin(jobs, job_id, commit=commit, before=before)
        try:
            run_id = jobs.start(job_id, {k: v for k, v in wanted.items() if k in declared})
        except WorkflowError as exc:
            raise put_back(jobs, job_id, exc, commit=commit, before=before) from exc
    with _saying_what_is_left(f"run {run_id} of job {job_id} was started, and goes on"):
        started_run = ReleaseRun(job_id, run_id, commit, jobs.page_of(run_id))
    _log.info("started %s", started_run)
    return started_run


@contextmanager
def _saying_what_is_left(left: str) -> Iterator[None]:
    """Let who interrupts a call, which may be tried again for minutes, know what it leaves."""
    try:
        yield
    except KeyboardInterrupt as exc:
        exc.add_note(left)
        raise


def resume(
    workspace: WorkspaceClient,
    release: Release,
    *,
    target: str | None = None,
    task: str | None = None,
    after: Record | None = None,
) -> ReleaseRun:
    """Repair a release's run from an approval gate on, after a decision, or from another task on.

    Args:
        workspace: a client of somebody who may manage runs of the job.
        release: the release whose run waits, or has failed.
        target: the gated target that was decided about; not needed where the run has one gate.
        task: the task to begin with in place of a gate, such as "prod_smoke"; what follows it runs again as well.
            `target` is not looked at then.
        after: the decision, for an error to say that it stands.

    Raises:
        WorkflowError: the run is still under way, has succeeded and no task is named, has no gate task for the target
            or no such task, or could not be repaired; or nobody knows whether it was.
    """
    decided = f"{after.kind}; " if after is not None else ""
    stands = "the decision stands. " if after is not None else ""
    if not (release.run_id.isascii() and release.run_id.isdigit()):
        raise WorkflowError(
            f"{decided}there is no run to go on: {release} was opened by {release.run_id!r}, which is no run of a job",
            next_step=f"{stands}go on by hand, from the gate on, where it was opened",
        )
    jobs = Jobs(workspace)
    try:
        return _resumed(jobs, release, target=target, task=task)
    except _NeverRepaired as exc:
        what, next_step = f"{decided}the run was not repaired: {exc.what}", f"{stands}{exc.next_step}"
        raise WorkflowError(what, where=exc.where, next_step=next_step) from exc
    except WorkflowError as exc:
        named = "".join(f", {key}={value!r}" for key, value in (("target", target), ("task", task)) if value)
        repaired = (
            "it is not known whether the run was repaired" if exc.may_be_done else "the run could not be repaired now"
        )
        begin = task or "the gate's task (approval_gate)"
        raise WorkflowError(
            f"{decided}{repaired}: {exc.what}",
            where=exc.where,
            may_be_done=exc.may_be_done,
            next_step=f"{stands}{exc.next_step or 'see the run in its page'}; then here or in any notebook "
            f"resume(cd.workspace, cd.log.release({release.id!r}){named}), or repair run {release.run_id} in its page "
            f"from {begin} on",
        ) from exc


class _NeverRepaired(WorkflowError):
    """A run cannot be repaired as was asked, now or later: to call for the same once more is no next step."""


def _resumed(jobs: Jobs, release: Release, *, target: str | None, task: str | None) -> ReleaseRun:
    run = jobs.run(int(release.run_id), with_repairs=True)
    has_stopped, where = has_ended(run), f"run {release.run_id}"
    if run.job_id is None:
        raise _NeverRepaired("it is of no saved job", where=where, next_step="check that this is the right workspace")
    if has_stopped is None:
        raise WorkflowError(
            "whether it is under way the platform does not say", where=where, next_step="look at its page, and wait"
        )
    if not has_stopped:
        raise WorkflowError("it is still under way", where=where, next_step="wait until it has stopped")
    if task is None and result_of(run) == "SUCCESS":
        raise _NeverRepaired("it has succeeded", where=where, next_step="nothing is left to do: look at its page")
    first = _gate_of(jobs, run, target) if task is None else _named(task, run)
    parameters = {p.name: p.value or p.default or "" for p in run.job_parameters or () if p.name}
    jobs.repair(run, tasks=_from_on(first, run), parameters=parameters)
    resumed = ReleaseRun(run.job_id, int(release.run_id), release.commit, run.run_page_url)
    _log.info("resumed %s from %s on", resumed, first)
    return resumed


def wait(
    workspace: WorkspaceClient,
    run: ReleaseRun,
    *,
    timeout: timedelta = timedelta(hours=2),
) -> Run:
    """Wait until a run has ended, well or not.

    Returns:
        The run as the Jobs API describes it.

    Raises:
        WorkflowError: it has not ended in time, or cannot be followed any longer, though it goes on.
    """
    return ended_run(Jobs(workspace), run.run_id, timeout=timeout, what=str(run), url=run.url)


def ended_run(jobs: Jobs, run_id: int, *, timeout: timedelta, what: str, url: str | None) -> Run:
    """A run, once it has ended.

    Args:
        jobs: the Jobs API.
        run_id: the run.
        timeout: how long to wait.
        what: what runs, for errors.
        url: its page.

    Raises:
        WorkflowError: it has not ended in time, or cannot be followed any longer.
    """
    try:
        run = jobs.ended(run_id, timeout=timeout)
    except WorkflowError as exc:
        next_step = f"do not start it again: look at its page; {exc.next_step}"
        raise WorkflowError(f"{what}: {exc.what}", where=url or exc.where, next_step=next_step) from exc
    if run is None:
        next_step = "it goes on by itself: look at its page, and do not start it again"
        raise WorkflowError(f"{what} has not ended within {timeout}", where=url, next_step=next_step)
    return run


def _gate_of(jobs: Jobs, run: Run, target: str | None) -> str:
    """The key of the gate task for a target, or of the task that runs the job which has it."""
    parameters = {p.name: p.value or p.default or "" for p in run.job_parameters or () if p.name}
    gates = {t.task_key: gate_target(t, parameters) for t in run.tasks or () if t.task_key}
    # One that does not say its target asks about the notebook's own.
    found = sorted(key for key, asked in gates.items() if asked is not None and (target in (None, asked) or not asked))
    if not found:
        behind = {t.task_key: gates_behind(jobs, t) for t in run.tasks or () if t.task_key}
        found = sorted(key for key, asked in behind.items() if asked and target in (None, *asked))
    if len(found) != 1:
        what = f"{len(found)} gate tasks" + (f" for {target}" if target else "")
        raise _NeverRepaired(
            f"the run has {what}",
            where=f"run {run.run_id}",
            next_step="name the target of one, or the task to begin with by `task`; or repair it in its page",
        )
    return found[0]


def _named(task: str, run: Run) -> str:
    """A task of the run, by its key."""
    keys = [t.task_key for t in run.tasks or () if t.task_key]
    if task not in keys:
        raise _NeverRepaired(
            f"the run has no task {task!r}", where=f"run {run.run_id}", next_step=f"name one of {', '.join(keys)}"
        )
    return task


def _from_on(first: str, run: Run) -> list[str]:
    """A task and all that come after it."""
    tasks: dict[str, RunTask] = {t.task_key: t for t in run.tasks or () if t.task_key}
    chosen = {first}
    while more := {
        k for k, t in tasks.items() if k not in chosen and {d.task_key for d in t.depends_on or ()} & chosen
    }:
        chosen |= more
    return [key for key in tasks if key in chosen]
