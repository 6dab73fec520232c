"""`build_release`: the only way to a gated target, and the composition of everything a build needs."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from dbx_cd import html
from dbx_cd.approval.decision import approved_request
from dbx_cd.approval.request import ApprovalRequest, deployable
from dbx_cd.artifacts import archive, volume
from dbx_cd.artifacts.version import ArtifactVersion
from dbx_cd.dbt.artifacts import Manifest
from dbx_cd.dbt.effects import BuildEffects, affected_relations
from dbx_cd.dbt.packages import needs_deps
from dbx_cd.dbt.process import refuse_flags_of_environment
from dbx_cd.dbt.project import COPY
from dbx_cd.dbt.run import DbtRun
from dbx_cd.dbt.selection import Selection, WithParents
from dbx_cd.dbt.warm_parent import warm_dbt
from dbx_cd.deploy.claim import claim
from dbx_cd.deploy.dbt_versions import refuse_other_dbt
from dbx_cd.deploy.failures import keeping_log, noting_refusal
from dbx_cd.deploy.layout import Refusal, make_room, refusals, way_out
from dbx_cd.deploy.project_dbt import ProjectDbt
from dbx_cd.errors import ApprovalStale, ConfigError, DbtFailed, DbxCdError, what_failed
from dbx_cd.people import same_person
from dbx_cd.plan.apart import require_apart
from dbx_cd.plan.rollback_readiness import require_readiness
from dbx_cd.records import Record
from dbx_cd.relations import RelationName
from dbx_cd.release.context import Cd
from dbx_cd.release.events import Built, Deployed, Deploying, Failed, Release
from dbx_cd.release.in_place import settle_latest
from dbx_cd.release.reading import LogReading
from dbx_cd.release.turn import refuse_over
from dbx_cd.rollback.capture import capture_restore_point, record_versions_after
from dbx_cd.rollback.of_target import points_of
from dbx_cd.rollback.plan import plan_restore
from dbx_cd.rollback.point import RestorePoint

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class BuildResult(Record):
    """What one build left."""

    KIND: ClassVar[str] = "build_result"

    run: DbtRun
    """What dbt did."""
    artifacts: ArtifactVersion
    """Where its artifacts are."""
    restore_point: RestorePoint | None = None
    """What the target was before; only where it is gated."""
    replaced: tuple[str, ...] = ()
    """What was dropped so that it could be built, and why; only where the target is open."""

    @property
    def ok(self) -> bool:
        """Whether dbt succeeded."""
        return self.run.ok

    def __str__(self) -> str:
        return "; ".join([str(self.run), *self.replaced, f"artifacts {self.artifacts.path}"])

    def to_html(self) -> str:
        """The dbt run, where its artifacts are, and how the target can be brought back."""
        point = (
            [html.fold(self.restore_point, html.trusted(self.restore_point.to_html()))] if self.restore_point else []
        )
        where = html.paragraph("Artifacts: ", self.artifacts.path)
        replaced = [html.paragraph(what) for what in self.replaced]
        return str(html.join([html.trusted(self.run.to_html()), *replaced, where, *point]))


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
        profiles_dir: folder with `profiles.yml`; by default the project's own.

    Raises:
        ConfigError: another command, a flag among the selection, or an environment variable that changes the build;
            or an open target would write what a gated one holds, and then dbt has run no statement.
        ApprovalRequired: the target is gated and there is no valid approval.
        ReleaseSuperseded, ReleaseError: the release is over, or another one is deploying.
        ConfigError: the project's files are not as the commit has them, or no archive can hold them.
        SetupError: another dbt is installed than the one that staging was built with.
        DbtFailed: dbt failed; `.result` is the `DbtRun`, whose artifacts are published: its `files_dir` is on the
            Volume.
    """
    with noting_refusal(cd, release, target=target):
        selection = Selection(deployable(cmd), select or None, exclude or None, with_parents, full_refresh)
        _refuse_parameters(selection, profiles_dir)
        gated = _begin(cd, release, target)
        with (
            tempfile.TemporaryDirectory(prefix="dbx_cd-", ignore_cleanup_errors=True) as folder,
            keeping_log(cd, release),
        ):
            work = Path(folder)
            if gated:
                result = _build_gated(cd, release, selection, target=target, work=work, profiles_dir=profiles_dir)
            else:
                state = cd.store.resolve(state_path).path if state_path else None
                with _warm(cd) as parent:
                    dbt = ProjectDbt(cd, target, work, Path(project_dir), profiles_dir, state, defer, parent)
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


def _warm(cd: Cd) -> AbstractContextManager[Path | None]:
    """A process that has imported dbt, for the several invocations of a build."""
    return nullcontext() if cd.dbt is not None else warm_dbt()


def _build_open(cd: Cd, release: Release, selection: Selection, dbt: ProjectDbt) -> BuildResult:
    try:
        packed = dbt.pack()
    except DbtFailed as exc:
        if not isinstance(exc.result, DbtRun):
            raise
        # Packages that cannot be installed end a build as a model that fails does: its log is published.
        return _publish(cd, release, selection, exc.result, target=dbt.target, gated=False)
    # Staging builds what the archive holds, as production will: not the checkout, which may hold more.
    dbt = replace(dbt, project_dir=archive.unpack_files(packed, dbt.work / COPY))
    listed = dbt.list(selection)
    if listed.ok:
        manifest = Manifest.load(listed.files_dir / "manifest.json")
        require_apart(
            cd, target=dbt.target, cmd=selection.cmd, manifest=manifest, selected=listed.listed, names_in=dbt.names_in
        )
    run = dbt.run(selection) if listed.ok else listed
    replaced = make_room(cd, _refused(run, run.files_dir))
    if replaced:
        run = dbt.run(selection)
    shutil.copyfile(packed, run.files_dir / archive.ARCHIVE_NAME)
    return _publish(cd, release, selection, run, target=dbt.target, gated=False, replaced=replaced)


def _refused(run: DbtRun, folder: Path) -> list[Refusal]:
    """The nodes that their own tables have refused; none where dbt did not get as far as building."""
    if not (run.failed and (folder / "manifest.json").is_file()):
        return []
    return refusals(Manifest.load(folder / "manifest.json"), run.nodes)


def _build_gated(
    cd: Cd, release: Release, asked: Selection, *, target: str, work: Path, profiles_dir: str | Path | None
) -> BuildResult:
    request, _ = approved_request(cd, release, target=target)
    _refuse_other_parameters(asked, request)
    # The very version that was approved: staging may have been built again since this was asked.
    staged = cd.store.get(request.state_target, request.state_timestamp)
    project = archive.unpack(staged, work / COPY)
    if needs_deps(project):
        _log.warning(
            "%s: the archive of %s has no packages, as those of 0.1.0: `dbt deps` installs them now, from the network, "
            "and they may differ from what staging was built with",
            release, staged,
        )  # fmt: skip
    with _warm(cd) as parent:
        dbt = ProjectDbt(cd, target, work, project, profiles_dir, staged.path, defer=True, warm_parent=parent)
        return _deploy(cd, release, request, staged, dbt)


def _deploy(
    cd: Cd, release: Release, request: ApprovalRequest, staged: ArtifactVersion, dbt: ProjectDbt
) -> BuildResult:
    target, selection = request.target, request.selection
    listed = dbt.list(selection, check=True)
    manifest = Manifest.load(listed.files_dir / "manifest.json")
    refuse_other_dbt(staged, manifest)
    effects = BuildEffects.of(manifest, listed.listed, full_refresh=selection.full_refresh)
    claim(cd, release, target=target, seal=request.seal)
    try:
        affected = affected_relations(manifest, listed.listed)
        writers = cd.config.target(target).writers
        point = capture_restore_point(cd, release, affected, target=target, effects=effects, writers=writers)
        touched: Sequence[RelationName] | None = ()
        try:
            _require_readiness(cd, release, point)
            touched = None  # a dbt that is killed does not say
            built = dbt.run(selection)
            touched = built.touched
        finally:
            # Before anything else can fail, and also when the task is cancelled: without it a rollback cannot tell the
            # release's own commits from later ones.
            _record_versions_after(cd, release, point, touched)
        volume.copy(staged.file(archive.ARCHIVE_NAME), built.files_dir / archive.ARCHIVE_NAME)
        result = _publish(cd, release, selection, built, target=target, gated=True, restore_point=point)
    except BaseException as exc:
        cd.log.append(release, Failed(target, what_failed(exc)))
        raise
    digest = archive.archive_digest(staged)
    cd.log.append(release, Deployed(target, digest) if built.ok else Failed(target, str(built)))
    return result


def _require_readiness(cd: Cd, release: Release, point: RestorePoint) -> None:
    """Judge the restore point by the policy; that of a repaired build by what a rollback would go back to, as well."""
    blocked = []
    if len(points_of(cd.log.read(release), point.target)) > 1:
        plan = plan_restore(cd, release, target=point.target)
        blocked = [item for item in plan.blocked if item.kind_before == "table"]
    require_readiness(point, blocked=blocked, policy=cd.config.policies.require_rollback_ready)


def _record_versions_after(
    cd: Cd, release: Release, point: RestorePoint, touched: Sequence[RelationName] | None
) -> None:
    """Where the build left its relations; a rollback asks more where that cannot be said, and the deploy goes on."""
    try:
        record_versions_after(cd, release, point, built=touched)
    except DbxCdError as exc:
        _log.warning("%s: where the build left its relations is not recorded: %s", release, exc)


def _refuse_other_parameters(asked: Selection, request: ApprovalRequest) -> None:
    """The selection comes from the approved request; job parameters that say otherwise are not just ignored."""
    differing = request.selection.differing(asked)
    if differing:
        raise ApprovalStale(
            f"the task's parameters are not those that were approved: {', '.join(differing)}",
            changed=differing,
            where=request.release,
            next_step="give approval_gate and the build task the same parameters, and run from approval_gate on",
        )


def _publish(
    cd: Cd,
    release: Release,
    selection: Selection,
    run: DbtRun,
    *,
    target: str,
    gated: bool,
    restore_point: RestorePoint | None = None,
    replaced: tuple[str, ...] = (),
) -> BuildResult:
    artifacts = cd.store.publish(target, run.files_dir, commit=release.commit, release_id=release.id, latest=run.ok)
    run = replace(run, files_dir=artifacts.path)  # the local folder goes
    event = Built(
        target=target,
        gated=gated,
        ok=run.ok,
        outcome="; ".join([str(run), *replaced]),
        timestamp=artifacts.timestamp,
        project_digest=archive.archive_digest(artifacts) if archive.ARCHIVE_NAME in artifacts.files else "",
        selection=selection,
    )
    cd.log.append(release, event)
    return BuildResult(run, artifacts, restore_point, replaced)
