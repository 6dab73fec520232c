"""The half of a release that has a gate, where a job of its own, run as an identity of its own, carries it out.

The first job opens the release, builds and tests staging, and then runs the second one (`run_job_task`), which it may
start and not change. What staging's identity may write, any macro of a merged commit may: so nothing that it hands over
is believed. Where log and artifacts are, who approves and who staging's identity is, the second job's own definition
says; who asked for the release, and at which commit, the platform says about the first job's run.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from dbx_cd.artifacts.store import ArtifactStore
from dbx_cd.artifacts.version import ArtifactVersion
from dbx_cd.errors import ConfigError, ReleaseError, WrongCommit
from dbx_cd.people import same_person
from dbx_cd.release.anchor import read_anchor, write_anchor
from dbx_cd.release.events import Built, Release
from dbx_cd.release.job import JobDefinition, run_facts
from dbx_cd.release.jobs import Jobs
from dbx_cd.release.log import ReleaseLog

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient

STAGING_IDENTITY = "staging_identity"
"""The job parameter that names who opens releases and builds staging."""
_NEEDED = ("artifacts_root", "release_log", "approvers", STAGING_IDENTITY)


class HandedOver(NamedTuple):
    """A release as the first job has left it."""

    release: Release
    """The release."""
    staged: ArtifactVersion
    """Its newest successful build of a target without a gate, with the project archive."""


def require_second_half(definition: JobDefinition) -> str:
    """Who staging's identity is, by the definition of a job that is only the second half.

    Raises:
        ConfigError: it does not say all that must not be left to the first half, or has no gate.
    """
    missing = [name for name in _NEEDED if not definition.parameters.get(name)]
    if missing or not definition.gates or definition.open_targets:
        what = f"it has no parameter {', '.join(missing)}" if missing else "it does not build gated targets alone"
        raise ConfigError(
            f"the job cannot be the second half of a release: {what}",
            where="the job's definition",
            next_step="deploy it as `python -m dbx_cd init --identities 2` writes it, or run the Workflow itself",
        )
    return definition.parameters[STAGING_IDENTITY]


def handed_over(
    workspace: WorkspaceClient, log: ReleaseLog, *, run_id: str, staging_identity: str, definition: JobDefinition
) -> HandedOver:
    """The release that the first job's run has opened.

    Args:
        workspace: the SDK's client of the second job's identity.
        log: the release log.
        run_id: the first job's run.
        staging_identity: whom it has to run as.
        definition: the second job.

    Raises:
        WorkflowError: the run cannot be read.
        ReleaseError: it is none of staging's identity, has opened no release, or one that says another requester; or
            the release has no successful build.
        WrongCommit: the release says another commit than the run has checked out.
    """
    facts = run_facts(workspace, run_id)
    runs_as = Jobs(workspace).job(facts.job_id).run_as_user_name if facts.job_id is not None else None
    if runs_as is None or not same_person(runs_as, staging_identity):
        of = "no saved job" if runs_as is None else f"a job that runs as {runs_as}"
        raise ReleaseError(
            f"run {run_id} is of {of}, and releases are opened by {staging_identity}",
            next_step="start the Workflow's first job, whose last task runs this one",
        )
    release = log.for_run(run_id)
    if not same_person(release.requester, facts.creator):
        raise ReleaseError(
            f"{release} says that {release.requester} asked for it, and its run was started by {facts.creator}",
            where=log.table,
            next_step="find out who wrote that; then trigger the Workflow for a new release",
        )
    if facts.used_commit not in (None, release.commit):
        raise WrongCommit(
            f"{release} was opened by a run that has checked out {facts.used_commit}",
            where=log.table,
            next_step="find out who wrote that; then trigger the Workflow for a new release",
        )
    return HandedOver(release, _staged(log, release, definition))


def remember_production(root: str, identity: str) -> None:
    """Let everybody who reads the log know, by the file on the Volume, who builds what has a gate.

    Raises:
        ConfigError: the Volume remembers no log yet, or somebody else.
    """
    anchor = read_anchor(root)
    if anchor is not None and anchor.production is None:
        anchor = replace(anchor, production=identity)
        write_anchor(root, anchor)
    if anchor is None or not same_person(anchor.production, identity):
        known = "no release log" if anchor is None else f"{anchor.production} as production's identity"
        raise ConfigError(
            f"the artifacts remember {known}, and this is {identity}",
            where=f"{root}/release_log.json",
            next_step="where the identity was changed on purpose, put `production` right in that file; else find out "
            "who wrote it",
        )


def _staged(log: ReleaseLog, release: Release, definition: JobDefinition) -> ArtifactVersion:
    builds = [built for built in log.all(release, Built) if built.target not in definition.gates and built.ok]
    if not builds:
        raise ReleaseError(
            f"{release} has no successful build of a target without a gate",
            where=log.table,
            next_step="repair its run from stg_build on",
        )
    return ArtifactStore(definition.parameters["artifacts_root"]).find(builds[-1].target, release.id)
