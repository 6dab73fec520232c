"""The commit in a job's settings that its next run checks out: set for a run, and put back where none was started.

`run_now` takes no git source (Jobs API documentation), so the commit is set first. What the job is left with is looked
up, not guessed: a change that was answered with an error may have been made.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from dbx_cd.errors import WorkflowError, what_failed
from dbx_cd.release.jobs import Jobs

if TYPE_CHECKING:
    from databricks.sdk.service.jobs import GitSource, JobSettings

_log = logging.getLogger(__name__)


def job_with_git_source(jobs: Jobs, job: str | int) -> tuple[int, JobSettings, GitSource]:
    """A job's id, its definition, and what its runs check out.

    Raises:
        WorkflowError: no such job, more than one of that name, or no git source in it.
    """
    found = jobs.job(job)
    settings = found.settings
    if settings is None or settings.git_source is None or found.job_id is None:
        raise WorkflowError(
            "the job has no git source",
            where=f"job {job}",
            next_step="deploy the job from resources/dbx_cd.job.yml, which has one",
        )
    # What was checked out last is the platform's to say, not part of the definition.
    return found.job_id, settings, replace(settings.git_source, git_snapshot=None)


def pin(jobs: Jobs, job_id: int, *, commit: str, before: GitSource) -> None:
    """Let the job's next runs check out a commit.

    Args:
        jobs: the Jobs API.
        job_id: the job.
        commit: the full SHA.
        before: what its runs check out now.

    Raises:
        WorkflowError: it could not be set; the message says what the job's runs check out.
    """
    try:
        jobs.set_git_source(job_id, _at(commit, before))
    except WorkflowError as exc:
        next_step = exc.next_step
        try:
            now = _source_of(jobs, job_id)
        except WorkflowError as unknown:
            left = f"whether it was is not known, since {what_failed(unknown)}; no run was started"
            next_step = f"{next_step}; trigger again before anybody starts the job by hand"
        else:
            if exc.may_be_done and _is_at(now, commit):
                _log.info("job %s is pinned to %s, although %s", job_id, commit, what_failed(exc))
                return
            left = f"no run was started, and the job is at {_named(now)}"
        raise WorkflowError(
            f"{exc.what}; {left}", where=exc.where, next_step=next_step, may_be_done=exc.may_be_done
        ) from exc


def put_back(jobs: Jobs, job_id: int, failure: WorkflowError, *, commit: str, before: GitSource) -> WorkflowError:
    """Put back what a job checked out before, where a commit was pinned and no run was started.

    Args:
        jobs: the Jobs API.
        job_id: the job.
        failure: why no run was started. Where one may have been, the commit stays, since that run needs it.
        commit: the commit that is pinned.
        before: what the job had before.

    Returns:
        What to raise: it says what the job is left with.
    """
    where, next_step = failure.where, failure.next_step
    if failure.may_be_done:
        return WorkflowError(
            f"{failure.what}; whether it was is not known, and the job is pinned to {commit}",
            where=where,
            next_step=f"look at the job's runs: where there is one of this commit, let it go on; else {next_step}",
            may_be_done=True,
        )
    try:
        if not _is_at(_source_of(jobs, job_id), commit):
            left = "meanwhile somebody else has set the job's commit, which stays"
        else:
            _set_back(jobs, job_id, commit=commit, before=before)
            left = f"the job is at {_named(before)} again, as before"
    except WorkflowError as exc:
        left = f"the job is left pinned to {commit}, of which there is no run, since {what_failed(exc)}"
        next_step = f"{next_step}; trigger again before anybody starts the job by hand"
    return WorkflowError(f"{failure.what}; {left}", where=where, next_step=next_step)


def _set_back(jobs: Jobs, job_id: int, *, commit: str, before: GitSource) -> None:
    try:
        jobs.set_git_source(job_id, before)
    except WorkflowError as exc:
        if not exc.may_be_done or _is_at(_source_of(jobs, job_id), commit):
            raise
        _log.info("job %s is at %s again, although %s", job_id, _named(before), what_failed(exc))


def _at(commit: str, source: GitSource) -> GitSource:
    return replace(source, git_commit=commit, git_branch=None, git_tag=None)


def _is_at(source: GitSource | None, commit: str) -> bool:
    return source is not None and source.git_commit == commit


def _source_of(jobs: Jobs, job_id: int) -> GitSource | None:
    """What the job's runs check out now."""
    settings = jobs.job(job_id).settings
    return settings.git_source if settings is not None else None


def _named(source: GitSource | None) -> str:
    if source is None:
        return "no git source"
    kinds = {"commit": source.git_commit, "branch": source.git_branch, "tag": source.git_tag}
    return next((f"{kind} {name}" for kind, name in kinds.items() if name), "what it had")
