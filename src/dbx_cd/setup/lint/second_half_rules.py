"""The job that builds what has a gate, where that is one of its own: whom it believes, and who may do what with it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from databricks.sdk.service.iam import PermissionLevel

from dbx_cd.release.job import SETTLED
from dbx_cd.release.second_half import STAGING_IDENTITY
from dbx_cd.setup.bundle_options import NOBODY
from dbx_cd.setup.lint.finding import Finding
from dbx_cd.setup.lint.linted_job import LintedJob, PlacedTask
from dbx_cd.setup.lint.rights_rules import may_at_most, rank, rights_of
from dbx_cd.setup.lint.task_rules import nearest

_RUN_ID = re.compile(r"\{\{\s*job\.run_id\s*\}\}")
_HANDED = ("run_job_task", "job_parameters")


def second_half_findings(job: LintedJob) -> Iterator[Finding]:
    """Everything that is wrong between the two halves of a release."""
    if not job.is_second_half:
        return
    for placed in job.tasks:
        if placed.task.notebook_task is not None and job.is_of_git(placed):
            message = "its notebook is what a commit brings, and would run as production's identity unapproved"
            next_step = "take it from the bundle's files: source: WORKSPACE, ../notebooks/..., and no git_source"
            place = ("notebook_task", "notebook_path")
            yield job.found("code-of-the-commit", place, message, next_step=next_step, task=placed)
    yield from _rights_of_staging(job)
    for first, placed in job.starters:
        yield from _handed_over(job, first, placed)
        yield from _rights_on_the_first(job, first)


def _rights_of_staging(job: LintedJob) -> Iterator[Finding]:
    staging = job.parameters.get(STAGING_IDENTITY, "")
    if staging in ("", NOBODY):
        return
    if staging == job.runs_as:
        message = f"it runs as {staging}, which builds staging: any merged macro may write what has a gate"
        yield job.found("one-identity", ("run_as",), message, next_step="give it an identity of its own")
        return
    others = [first.runs_as for first, _ in job.starters if first.runs_as != staging]
    if others:
        message = (
            f"staging_identity is {staging}, and the job that starts this one runs as {others[0] or 'nobody named'}"
        )
        place = job.place_of_parameter(STAGING_IDENTITY)
        yield job.found("one-identity", place, message, next_step="name whom the first job runs as")
    if may_at_most(job, staging) < rank(PermissionLevel.CAN_MANAGE_RUN):
        message = f"{staging}, which builds staging, may not start it"
        next_step = "give it CAN_MANAGE_RUN in permissions"
        yield job.found("run-as-rights", ("permissions",), message, next_step=next_step)
    for number, level in rights_of(job, staging):
        if level > rank(PermissionLevel.CAN_MANAGE_RUN):
            message = f"{staging}, which builds staging, may change it: so may every macro that is merged"
            yield job.found("run-as-manages", ("permissions", number), message, next_step="give it CAN_MANAGE_RUN")


def _rights_on_the_first(job: LintedJob, first: LintedJob) -> Iterator[Finding]:
    if (
        job.runs_as
        and job.runs_as != first.runs_as
        and may_at_most(first, job.runs_as) < rank(PermissionLevel.CAN_VIEW)
    ):
        message = f"{job.runs_as}, whom the second half runs as, may not see who asked for a release"
        next_step = "give it CAN_VIEW in permissions"
        yield first.found("run-as-rights", ("permissions",), message, next_step=next_step)


def _handed_over(job: LintedJob, first: LintedJob, placed: PlacedTask) -> Iterator[Finding]:
    started = placed.task.run_job_task
    given = (started.job_parameters if started is not None else None) or {}
    run_id = str(given.get("release_run_id", ""))
    if not _RUN_ID.fullmatch(run_id.strip()):
        message = f"release_run_id is {run_id!r}" if "release_run_id" in given else "release_run_id is not handed over"
        next_step = 'give it release_run_id: "{{job.run_id}}"'
        yield first.found("run-id", (*_HANDED, "release_run_id"), message, next_step=next_step, task=placed)
    for name in given:
        if name not in job.parameters:
            if name == "release_run_id":  # that the second half lacks it is said there
                continue
            message = f"the job that it starts has no parameter {name}"
            next_step = nearest(name, list(job.parameters))
            yield first.found("unread-parameter", (*_HANDED, name), message, next_step=next_step, task=placed)
        elif name in SETTLED:
            message = f"it hands over {name}, which the job that it starts believes from its own definition alone"
            yield first.found("overrides-task", (*_HANDED, name), message, next_step="take it out", task=placed)
