"""What one build left, and how it is published and written down."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from dbx_cd import html
from dbx_cd.artifacts import archive
from dbx_cd.artifacts.version import ArtifactVersion
from dbx_cd.dbt.run import DbtRun
from dbx_cd.dbt.selection import Selection
from dbx_cd.deploy.timeline_page import keep_timeline
from dbx_cd.errors import DbxCdError, noting, what_failed
from dbx_cd.plan.leaks import Leak
from dbx_cd.records import Record
from dbx_cd.release.context import Cd
from dbx_cd.release.events import Built, Release
from dbx_cd.rollback.point import RestorePoint


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
    leaks: tuple[Leak, ...] = ()
    """What of a gated target refers to staging now."""
    kept: tuple[str, ...] = ()
    """The unique ids of what was asked for and found unchanged, so that it stands as it was."""
    timeline: Path | None = None
    """The page that shows when its nodes ran; None where dbt left no times."""

    @property
    def ok(self) -> bool:
        """Whether dbt succeeded."""
        return self.run.ok

    def __str__(self) -> str:
        kept = [f"{len(self.kept)} unchanged relations stand as they are"] if self.kept else []
        parts = [
            str(self.run),
            *kept,
            *self.replaced,
            *(f"leak (policies.staging_leak): {leak}" for leak in self.leaks),
            f"artifacts {self.artifacts.path}",
        ]
        return "; ".join(parts)

    def to_html(self) -> str:
        """The dbt run, where its artifacts are, and how the target can be brought back."""
        point = (
            [html.fold(self.restore_point, html.trusted(self.restore_point.to_html()))] if self.restore_point else []
        )
        where = html.paragraph("Artifacts: ", self.artifacts.path)
        ran_in = self.artifacts.environment
        environment = [html.paragraph("dbt's environment: ", ran_in)] if ran_in is not None else []
        times = [html.paragraph("When its nodes ran: ", self.timeline)] if self.timeline else []
        names = ", ".join(self.kept)
        kept = [html.fold(f"{len(self.kept)} unchanged relations stand as they are", names)] if self.kept else []
        replaced = [html.paragraph(what) for what in self.replaced]
        leaks = [html.paragraph(html.badge("warn"), " ", leak) for leak in self.leaks]
        return str(
            html.join([html.trusted(self.run.to_html()), *kept, *replaced, *leaks, where, *environment, *times, *point])
        )


def publish_build(
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
    """Publish what dbt left, well or not; `latest` moves only on success. Then the log says where it is.

    Args:
        cd: the context.
        release: the release that was built.
        selection: what was asked for.
        run: what dbt did.
        target: the dbt target.
        gated: whether it has a gate.
        restore_point: what the target was before.
        replaced: what was dropped so that it could be built.

    Raises:
        ArtifactError: the files cannot be published.
        DbxCdError: the log cannot have it.
        DbtFailed: dbt failed, which is what has to be known first, and the one or the other.
    """
    try:
        artifacts = cd.store.publish(target, run.files_dir, commit=release.commit, release_id=release.id, latest=run.ok)
    except (DbxCdError, OSError) as exc:
        with noting(f"and what it left cannot be published: {what_failed(exc)}"):
            run.raise_if_failed()
        raise
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
    try:
        cd.log.append(release, event)
    except DbxCdError as exc:
        with noting(f"and the log cannot have it: {what_failed(exc)}"):
            run.raise_if_failed()
        raise
    return BuildResult(run, artifacts, restore_point, replaced, timeline=keep_timeline(cd.store, artifacts))
