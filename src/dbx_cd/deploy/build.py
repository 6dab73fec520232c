"""`build_release`: the only way to a gated target, and the composition of everything a build needs."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from dbx_cd import html
from dbx_cd.approval.decision import approved_request
from dbx_cd.approval.request import ApprovalRequest
from dbx_cd.artifacts import archive as project_archive
from dbx_cd.artifacts.version import ArtifactVersion
from dbx_cd.dbt.artifacts import Manifest
from dbx_cd.dbt.effects import BuildEffects, affected_relations, known_readers, table_replacements
from dbx_cd.dbt.invocation import DbtRun, run_dbt
from dbx_cd.dbt.selection import WithParents
from dbx_cd.errors import ApprovalStale, ReleaseError, ReleaseSuperseded
from dbx_cd.plan.rollback_readiness import require_readiness
from dbx_cd.records import Record
from dbx_cd.release.context import Cd
from dbx_cd.release.events import Built, Deployed, Deploying, Failed, Release
from dbx_cd.rollback.journal import unfinished
from dbx_cd.rollback.point import RestorePoint, capture_restore_point, record_versions_after

_PROJECT_LOCK = "package-lock.yml"


@dataclass(frozen=True)
class BuildResult(Record):
    """What one build left; `restore_point` only where the target is gated."""

    KIND: ClassVar[str] = "build_result"

    run: DbtRun
    artifacts: ArtifactVersion
    restore_point: RestorePoint | None = None

    @property
    def ok(self) -> bool:
        """Whether dbt succeeded."""
        return self.run.ok

    def __str__(self) -> str:
        return f"{self.run}; artifacts {self.artifacts.path}"

    def to_html(self) -> str:
        """The dbt run, where its artifacts are, and how the target can be brought back."""
        point = (
            [html.fold(self.restore_point, html.trusted(self.restore_point.to_html()))] if self.restore_point else []
        )
        where = html.paragraph("Artifacts: ", self.artifacts.path)
        return str(html.join([html.trusted(self.run.to_html()), where, *point]))


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

    An open target (staging) is built from `project_dir`, which is archived beside the artifacts. A gated target
    (production) is built from that archive and never from a checkout: approval, restore point, dbt deferred to the
    pinned staging artifacts, artifacts, versions afterwards. Failed builds publish their artifacts as well, but
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
        ApprovalRequired: the target is gated and there is no valid approval.
        ReleaseSuperseded, ReleaseError: the release is over, or another one is deploying.
        DbtFailed: dbt failed; `.result` is the `DbtRun`, whose artifacts are published.
    """
    gated = cd.config.target(target).gate is not None or _was_gated(cd, target)
    asked = _Asked(target, cmd, select or None, exclude or None, with_parents, full_refresh)
    with tempfile.TemporaryDirectory(prefix="dbx_cd-", ignore_cleanup_errors=True) as folder:
        work = Path(folder)
        if gated:
            result = _build_gated(cd, release, asked, work=work, profiles_dir=profiles_dir)
        else:
            state = cd.store.resolve(state_path).path if state_path else None
            result = _build_open(
                cd, release, asked, defer=defer, state=state, work=work,
                project_dir=Path(project_dir), profiles_dir=profiles_dir,
            )  # fmt: skip
    result.run.raise_if_failed()
    return result


def _was_gated(cd: Cd, target: str) -> bool:
    """Whether a release was ever deployed to a target through its gate; a commit cannot take that gate away."""
    return any(event.payload.get("target") == target for event in cd.log.events(kinds=(Deploying.KIND,)))


@dataclass(frozen=True)
class _Asked:
    """The parameters of the task that say what to build."""

    target: str
    cmd: str
    select: str | None
    exclude: str | None
    with_parents: WithParents
    full_refresh: bool


def _build_open(
    cd: Cd,
    release: Release,
    asked: _Asked,
    *,
    defer: bool,
    state: Path | None,
    work: Path,
    project_dir: Path,
    profiles_dir: str | Path | None,
) -> BuildResult:
    phase = cd.log.state(release)
    if phase.phase == "superseded":
        raise ReleaseSuperseded(f"{release} was overtaken by {phase.superseded_by}", next_step="nothing: let it rest")
    run = run_dbt(
        asked.cmd, target=asked.target, select=asked.select, exclude=asked.exclude, defer=defer, state_path=state,
        with_parents=asked.with_parents, full_refresh=asked.full_refresh, project_dir=project_dir,
        profiles_dir=profiles_dir, work_dir=work, check=False,
    )  # fmt: skip
    # The lock file that `dbt deps` wrote belongs to what was tested: production installs the same packages by it.
    lock = work / "project" / _PROJECT_LOCK
    archive = run.files_dir / project_archive.ARCHIVE_NAME
    project_archive.pack(project_dir, archive, extra={_PROJECT_LOCK: lock} if lock.is_file() else None)
    return _publish(cd, release, asked, run, gated=False)


def _build_gated(
    cd: Cd, release: Release, asked: _Asked, *, work: Path, profiles_dir: str | Path | None
) -> BuildResult:
    request, _ = approved_request(cd, release, target=asked.target)
    _refuse_other_parameters(asked, request)
    staged = cd.store.find(request.state_target, release.id)
    project = project_archive.unpack(staged, work / "approved")
    flags = {
        "target": request.target,
        "select": request.select,
        "exclude": request.exclude,
        "defer": True,
        "state_path": staged.path,
        "favor_state": request.favor_state,
        "project_dir": project,
        "profiles_dir": profiles_dir or None,
        "work_dir": work,
    }
    listed = run_dbt("ls", **flags)  # type: ignore[arg-type]
    manifest = Manifest.load(listed.files_dir / "manifest.json")
    affected = affected_relations(manifest, listed.listed)
    effects = BuildEffects(
        table_replacements(manifest, listed.listed, full_refresh=request.full_refresh), known_readers(manifest)
    )
    _claim(cd, release, request.target)
    try:
        point = capture_restore_point(cd, release, affected, effects=effects)
        if cd.config.policies.require_rollback_ready != "ignore":
            print(point)
        require_readiness(point, policy=cd.config.policies.require_rollback_ready)
        run = run_dbt(asked.cmd, full_refresh=request.full_refresh, check=False, **flags)  # type: ignore[arg-type]
        (run.files_dir / project_archive.ARCHIVE_NAME).write_bytes(
            staged.file(project_archive.ARCHIVE_NAME).read_bytes()
        )
        result = _publish(cd, release, asked, run, gated=True, restore_point=point)
        record_versions_after(cd, release, point)
    except BaseException as exc:
        cd.log.append(release, Failed(request.target, str(exc) or type(exc).__name__))
        raise
    if run.ok:
        cd.log.append(release, Deployed(request.target, project_archive.archive_digest(staged)))
    else:
        cd.log.append(release, Failed(request.target, str(run)))
    return result


def _refuse_other_parameters(asked: _Asked, request: ApprovalRequest) -> None:
    """Selection and flags come from the approved request; job parameters that say otherwise are not just ignored."""
    differing = [
        name
        for name, given, approved in (
            ("select", asked.select, request.select),
            ("exclude", asked.exclude, request.exclude),
            ("full_refresh", asked.full_refresh or None, request.full_refresh or None),
        )
        if given is not None and given != approved
    ]
    if differing:
        raise ApprovalStale(
            f"the task's parameters are not those that were approved: {', '.join(differing)}",
            changed=differing,
            where=request.release,
            next_step="give approval_gate and the build task the same parameters, and run from approval_gate on",
        )


def _claim(cd: Cd, release: Release, target: str) -> None:
    """Say in the log that this release deploys; of two that say so at once the earlier commit has the target.

    A restore looks for `deploying` in the same way before it begins, so that the two exclude each other.
    """
    cd.log.append(release, Deploying(target))
    log = cd.log.read()
    others = [r for r, state in log.history if r.id != release.id and state.deploying_to == target]
    restoring = unfinished(log.events)
    if others:
        held = f"{others[0]} is deploying to {target}"
        next_step = "wait for it; if its run has died, repair that run or roll the release back"
    elif restoring:
        held = f"release {restoring[0]} is being rolled back"
        next_step = "wait for it; if it has died, restore again: it goes on where it was"
    else:
        return
    cd.log.append(release, Failed(target, held))
    raise ReleaseError(held, where=release, next_step=next_step)


def _publish(
    cd: Cd, release: Release, asked: _Asked, run: DbtRun, *, gated: bool, restore_point: RestorePoint | None = None
) -> BuildResult:
    artifacts = cd.store.publish(
        asked.target, run.files_dir, commit=release.commit, release_id=release.id, latest=run.ok
    )
    event = Built(
        target=asked.target,
        gated=gated,
        ok=run.ok,
        outcome=str(run),
        timestamp=artifacts.timestamp,
        project_digest=project_archive.archive_digest(artifacts),
        select=asked.select,
        exclude=asked.exclude,
        with_parents=asked.with_parents,
        full_refresh=asked.full_refresh,
    )
    cd.log.append(release, event)
    return BuildResult(run, artifacts, restore_point)
