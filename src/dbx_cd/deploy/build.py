"""`build_release`: the only way to a gated target, and the composition of everything a build needs."""

from __future__ import annotations

import logging
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

from dbx_cd.artifacts import archive
from dbx_cd.dbt.artifacts import Manifest
from dbx_cd.dbt.process import refuse_flags_of_environment
from dbx_cd.dbt.project import COPY
from dbx_cd.dbt.run import DbtRun
from dbx_cd.dbt.runnable import built_by
from dbx_cd.dbt.selection import Selection, WithParents
from dbx_cd.deploy.build_result import BuildResult, publish_build
from dbx_cd.deploy.connection import connected, refuse_on_cluster
from dbx_cd.deploy.failures import keeping_log, noting_refusal
from dbx_cd.deploy.gated_build import build_gated
from dbx_cd.deploy.layout import Refusal, make_room, refusals, way_out
from dbx_cd.deploy.staging_changes import completed, staging_changes
from dbx_cd.deploy.staging_parents import with_parents_there
from dbx_cd.errors import ArtifactError, ConfigError, DbtFailed
from dbx_cd.people import same_person
from dbx_cd.plan.apart import require_apart
from dbx_cd.plan.asked_selection import deployable
from dbx_cd.plan.in_staging import counts_changes
from dbx_cd.plan.project_dbt import ProjectDbt, warm_for
from dbx_cd.release.context import Cd
from dbx_cd.release.events import BuildBegun, Deploying, Release
from dbx_cd.release.in_place import settle_latest
from dbx_cd.release.reading import LogReading
from dbx_cd.release.turn import refuse_over

_log = logging.getLogger(__name__)


def build_release(
    cd: Cd,
    release: Release,
    *,
    target: str,
    cmd: str = "build",
    select: str | None = None,
    exclude: str | None = None,
    defer: bool = False,
    state_path: str | Path | None = None,
    with_parents: WithParents = "none",
    full_refresh: bool = False,
    project_dir: str | Path = ".",
    profiles_dir: str | Path | None = None,
) -> BuildResult:
    """Build a release into a target, publish the artifacts and write it all down.

    An open target (staging) is built from the archive of `project_dir` and its packages that is kept beside the
    artifacts; a table of it that cannot get its new layout in place is dropped, and the build runs once more. A gated
    target (production) is built from that archive and never from a checkout: approval, restore point, dbt deferred to
    the pinned staging artifacts, artifacts, versions afterwards. Failed builds publish their artifacts as well, but
    `latest` moves only on success.

    Args:
        cd: the context.
        release: the release this build is part of.
        target: the dbt target.
        cmd: "build" or "run".
        select, exclude, with_parents, full_refresh: as `run_dbt`. For a gated target they must be what was approved.
        defer: resolve unselected parents by the state's manifest.
        state_path: `<root>/<target>/latest/` or an exact version; resolved to an immutable version first.
        project_dir: folder with `dbt_project.yml`; not used for a gated target.
        profiles_dir: folder with `profiles.yml`; by default the one that dbt takes when started in the project's
            folder, as `run_dbt` says.

    Raises:
        ConfigError: another command, a flag among the selection, or an environment variable that changes the build;
            the project's files are not as the commit has them, or no archive can hold them; or an open target would
            write what a gated one holds, and then dbt has run no statement.
        ApprovalRequired: the target is gated and there is no valid approval.
        ReleaseSuperseded, ReleaseError: the release is over, or another one is deploying.
        SetupError: another dbt is installed than the one that staging was built with.
        DbtFailed: dbt failed; `.result` is the `DbtRun`, whose artifacts are published: its `files_dir` is on the
            Volume.
    """
    with noting_refusal(cd, release, target=target):
        selection = Selection(deployable(cmd), select or None, exclude or None, with_parents, full_refresh)
        _refuse_parameters(selection, profiles_dir)
        gated = _begin(cd, release, target)
        with tempfile.TemporaryDirectory(prefix="dbx_cd-", ignore_cleanup_errors=True) as folder:
            work = Path(folder)
            with keeping_log(cd, release, work=work):
                if gated:
                    result = build_gated(cd, release, selection, target=target, work=work, profiles_dir=profiles_dir)
                else:
                    state = cd.store.resolve(state_path).path if state_path else None
                    with connected(cd) as connection, warm_for(cd, project_dir, connection) as parent:
                        dbt = ProjectDbt(
                            cd, target, work, Path(project_dir), profiles_dir, state, defer, warm_parent=parent,
                            connection=connection,
                        )  # fmt: skip
                        result = _build_open(cd, release, selection, dbt)
    refused = _refused(result.run, result.artifacts.path) if gated else []
    result.run.raise_if_failed(next_step=way_out(refused, target=target))
    return result


def _refuse_parameters(selection: Selection, profiles_dir: str | Path | None) -> None:
    selection.refuse_flags()
    if profiles_dir and not Path(profiles_dir).is_absolute():
        raise ConfigError(
            f"profiles_dir {str(profiles_dir)!r} lies in the checkout, and a repaired run may check out another commit",
            where="parameter profiles_dir",
            next_step="keep profiles.yml beside dbt_project.yml, where it is archived; or give an absolute path",
        )
    refuse_flags_of_environment(profiles_dir=profiles_dir)


def _begin(cd: Cd, release: Release, target: str) -> bool:
    """Refuse what must not be built, bring `latest` to where the log is; returns whether the target is gated."""
    cd.config.target(target)  # one that is not known is refused
    gated = target in cd.config.gates
    if not gated:
        log = cd.log.read(release)
        # A job that builds a target past no gate is right about it.
        is_open = any(target in source.open_targets for source in cd.standing)
        gated = not is_open and _was_gated(log, target, workflow=cd.user)
        if not gated:
            refuse_over(release, log.state)
            # This task may write the store, which somebody who rolled a release back may not.
            settle_latest(cd.store, log, cd.config.gates)
    _log.info("%s: building into %s", release, target)
    return gated


def _was_gated(log: LogReading, target: str, *, workflow: str) -> bool:
    """Whether a release was ever deployed to a target through its gate; a commit cannot take that gate away."""
    claims = (event for event in log.events if event.kind == Deploying.KIND and same_person(event.actor, workflow))
    return any(event.payload.get("target") == target for event in claims)


def _build_open(cd: Cd, release: Release, selection: Selection, dbt: ProjectDbt) -> BuildResult:
    try:
        packed = dbt.pack()
    except DbtFailed as exc:
        if not isinstance(exc.result, DbtRun):
            raise
        # Packages that cannot be installed end a build as a model that fails does: its log is published.
        return publish_build(cd, release, selection, exc.result, target=dbt.target, gated=False)
    # Staging builds what the archive holds, as production will: not the checkout, which may hold more.
    dbt = replace(dbt, project_dir=archive.unpack_files(packed, dbt.work / COPY))
    listed, asked, changes = dbt.list(selection), selection, None
    if listed.ok:
        manifest = Manifest.load(listed.files_dir / "manifest.json")
        require_apart(
            cd, target=dbt.target, cmd=selection.cmd, manifest=manifest, selected=listed.listed, names_in=dbt.names_in
        )
        built = built_by(manifest, listed.listed, selection.cmd)
        refuse_on_cluster(cd, manifest, built)
        resolving = with_parents_there(dbt, selection, manifest, built)
        changes = staging_changes(dbt, asked, resolving) if cd.config.policies.changed_only else None
        dbt, selection = resolving
        selection = selection if changes is None else changes.selection
        if counts_changes(cd, dbt.target):
            cd.log.append(release, BuildBegun(dbt.target))
    run = dbt.run(selection) if listed.ok else listed
    replaced = make_room(cd, _refused(run, run.files_dir))
    if replaced:
        run = dbt.run(selection)
    run, kept = completed(changes, run)
    shutil.copyfile(packed, run.files_dir / archive.ARCHIVE_NAME)
    result = publish_build(cd, release, asked, run, target=dbt.target, gated=False, replaced=replaced)
    return replace(result, kept=kept)


def _refused(run: DbtRun, folder: Path) -> list[Refusal]:
    """The nodes that their own tables have refused; none where dbt did not get as far as building."""
    if not run.failed:
        return []
    try:
        return refusals(Manifest.load(folder / "manifest.json"), run.nodes)
    except ArtifactError:  # dbt was ended before it had written all of it, or any
        return []
