"""What the notebooks start with: widgets, the release of this job run, and the project to work on."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from dbx_cd.artifacts import archive as project_archive
from dbx_cd.artifacts.version import ArtifactVersion
from dbx_cd.config import CdConfig
from dbx_cd.errors import ArtifactNotFound, ConfigError, DbxCdError, WrongCommit, what_failed
from dbx_cd.local_disk import temporary_folder
from dbx_cd.release.anchor import LogAnchor, read_anchor, write_anchor
from dbx_cd.release.context import Cd, find_project, open_cd
from dbx_cd.release.events import Release
from dbx_cd.release.job import JOB_WIDGETS, JobDefinition, RunFacts, job_definition, run_facts
from dbx_cd.release.log import ReleaseLog
from dbx_cd.release.second_half import handed_over, remember_production, require_second_half
from dbx_cd.release.standing import require_targets, settle
from dbx_cd.release.state import ReleaseState
from dbx_cd.release.turn import refuse_over
from dbx_cd.workspace_calls import whoami
from dbx_cd.workspace_host import current_workspace

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient
    from pyspark.sql import SparkSession

_log = logging.getLogger(__name__)

# Set by the job itself (resources/dbx_cd.job.yml), the same for every task.
_JOB_WIDGETS = dict.fromkeys(JOB_WIDGETS, "")
_BOOLEANS = {"true": True, "false": False, "1": True, "0": False, "yes": True, "no": False, "": False}


@dataclass(frozen=True)
class Task:
    """One task of the Workflow, ready to work."""

    cd: Cd
    """The project's configuration, session, artifacts, release log and workspace."""
    release: Release
    """The release of this job run."""
    params: dict[str, Any]
    """The task's parameters by name, each typed like its default."""

    def keep_pages(self, pages: Mapping[str, str | bytes]) -> None:
        """Store pages with the release; from the first on that cannot be, say so and go on.

        What a page shows is in the release log. A Volume that takes nothing must not hide why a smoke test failed, nor
        keep a release from being approved; nor is each page waited for anew.

        Args:
            pages: each page by its file name.
        """
        for name, content in pages.items():
            try:
                self.cd.store.attach(self.release.id, name, content)
            except (DbxCdError, OSError) as exc:
                _log.warning("the page %s and what comes after it cannot be kept: %s", name, what_failed(exc))
                return


def start_task(dbutils: Any, spark: SparkSession, **widgets: str | bool) -> Task:
    """Begin a notebook task: declare its widgets, open or find the release of this job run, choose the project.

    The first task works on the checkout, which must be at the run's commit. Once a task has archived the project,
    every later one works on that archive: a repaired run may have checked out something else. A job that is handed the
    run of another one (`release_run_id`) builds only what has a gate, and never has a checkout.

    Args:
        dbutils: the notebook's `dbutils`.
        spark: the notebook's session.
        widgets: the task's parameters with their defaults; text or booleans.

    Returns:
        The task. `params` holds exactly the widgets asked for.

    Raises:
        ConfigError: a parameter is not of its type, the notebook does not run as a task of the Workflow, the run
            overrides what its job has settled, or the job's targets are not those of the project.
        WorkflowError: the platform does not say what run and job this is.
        WrongCommit: the checkout is not at the release's commit.
        ReleaseSuperseded: a newer release has overtaken this one.
    """
    params = read_widgets(dbutils, widgets)
    job = read_widgets(dbutils, _JOB_WIDGETS)
    if not job["run_id"] or not (job["commit"] or job["release_run_id"]):
        raise ConfigError(
            "the job parameters run_id and commit are not set",
            where="notebook widgets",
            next_step="run this notebook as a task of the Workflow; for a look by hand use open_cd(spark)",
        )
    if params.get("target") == "":
        raise ConfigError(
            "the task does not say its target",
            where="notebook widgets",
            next_step="give it the parameter target, written out, in resources/dbx_cd.job.yml",
        )
    workspace = current_workspace()
    facts = run_facts(workspace, job["run_id"])
    definition = job_definition(workspace, facts, run_id=job["run_id"])
    # Not every task has every parameter; the run has all of the job's.
    definition.require_not_overridden(facts.parameters, defaults=facts.parameters, run_id=job["run_id"])
    delivered = {name: str(value) for name, value in {**params, **job}.items()}
    definition.require_not_overridden(delivered, defaults=_texts({**widgets, **_JOB_WIDGETS}), run_id=job["run_id"])
    # A secret is asked for only when dbt is about to run; what is answered goes to its processes and is kept nowhere.
    opening = partial(open_cd, spark, workspace=workspace, secrets=lambda scope, key: dbutils.secrets.get(scope, key))
    if job["release_run_id"]:
        work = _second_half(opening, spark, workspace, definition, run_id=job["release_run_id"])
    else:
        checkout = find_project(str(params.get("project_dir") or "."), dbutils=dbutils)
        work = _opened(opening, definition, facts, job, checkout)
    for line in work.cd.config.overruled:
        _log.warning("%s", line)
    if "project_dir" in params:
        params["project_dir"] = str(work.project)
    of = "the checkout" if work.staged is None else f"unpacked of {work.staged}"
    _log.info("%s: working on %s, %s", work.release, work.project, of)
    return Task(work.cd, work.release, params)


class _Work(NamedTuple):
    """What a task works on: the context, the release, the project's folder, and what that was unpacked of."""

    cd: Cd
    release: Release
    project: Path
    staged: ArtifactVersion | None


def _opened(
    opening: Callable[..., Cd], definition: JobDefinition, facts: RunFacts, job: Mapping[str, str], checkout: Path
) -> _Work:
    """The release of a run of the Workflow, which its first task opens, and what to work on."""
    overrides = {"artifacts_root": job["artifacts_root"]}
    require_targets(CdConfig.load(checkout, overrides=overrides), definition.standing)
    cd = opening(project_dir=checkout, overrides=overrides, definition=definition.standing)
    release, state = cd.log.open_with_state(
        job["commit"], run_id=job["run_id"], requester=facts.creator, reason=job["reason"] or None
    )
    if read_anchor(cd.store.root) is None:
        write_anchor(cd.store.root, LogAnchor(str(cd.log.table), cd.log.table_id))
    _refuse_over(release, state)
    staged = _staged(cd, release)
    if staged is None:
        if facts.used_commit not in (None, release.commit):
            raise WrongCommit(
                f"the checkout is at {facts.used_commit}, not at the release's commit {release.commit}",
                where=release,
                next_step="a later trigger moved the job's commit: let its run go on, or trigger this commit again",
            )
        return _Work(cd, release, checkout, None)
    project = project_archive.unpack(staged, temporary_folder() / "project")
    cd = replace(cd, config=settle(CdConfig.load(project, overrides=overrides), *cd.standing))
    return _Work(cd, release, project, staged)


def _second_half(
    opening: Callable[..., Cd],
    spark: SparkSession,
    workspace: WorkspaceClient,
    definition: JobDefinition,
    *,
    run_id: str,
) -> _Work:
    """The release of another run, of which this job builds what has a gate; there is no checkout here."""
    staging = require_second_half(definition)
    root, table = (definition.parameters[name] for name in ("artifacts_root", "release_log"))
    log = ReleaseLog(spark, table, actor=str(whoami(workspace).user_name))
    release, staged = handed_over(workspace, log, run_id=run_id, staging_identity=staging, definition=definition)
    remember_production(root, log.actor)
    project = project_archive.unpack(staged, temporary_folder() / "project")
    standing = replace(definition.standing, staging=staged.target)
    require_targets(CdConfig.load(project, overrides={"artifacts_root": root}), standing)
    cd = opening(
        project_dir=project,
        overrides={"artifacts_root": root},
        definition=standing,
        staging_identity=staging,
    )
    _refuse_over(release, cd.log.state(release))
    return _Work(cd, release, project, staged)


def _refuse_over(release: Release, state: ReleaseState) -> None:
    if state.phase != "rolled_back":  # what a rollback left to do, such as its smoke test, is not over
        refuse_over(release, state)


def read_widgets(dbutils: Any, widgets: Mapping[str, str | bool]) -> dict[str, Any]:
    """Declare text widgets and read them, each as the type of its default.

    Raises:
        ConfigError: a boolean widget holds something else than true or false.
    """
    values: dict[str, Any] = {}
    for name, default in widgets.items():
        text = str(default).lower() if isinstance(default, bool) else default
        dbutils.widgets.text(name, text)
        given = str(dbutils.widgets.get(name)).strip()
        if isinstance(default, bool):
            if given.lower() not in _BOOLEANS:
                raise ConfigError(f"must be true or false, not {given!r}", where=f"parameter {name}")
            values[name] = _BOOLEANS[given.lower()]
        else:
            values[name] = given
    return values


def _texts(widgets: Mapping[str, str | bool]) -> dict[str, str]:
    """Defaults of widgets as a task gets them."""
    return {name: str(default).lower() if isinstance(default, bool) else default for name, default in widgets.items()}


def _staged(cd: Cd, release: Release) -> ArtifactVersion | None:
    """The artifacts of this release that hold its project archive; None before its first build."""
    for target in cd.config.targets:
        if target not in cd.config.gates:
            try:
                return cd.store.find(target, release.id)
            except ArtifactNotFound:
                continue
    return None
