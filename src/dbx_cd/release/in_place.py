"""Which builds of a target are in place: `latest` names the newest, and goes back to it when a release is undone."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dbx_cd.errors import ChecksumMismatch, DbxCdError, what_failed
from dbx_cd.release.reading import LogReading

if TYPE_CHECKING:
    from dbx_cd.artifacts.store import ArtifactStore
    from dbx_cd.artifacts.version import ArtifactVersion
    from dbx_cd.release.events import Release

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Builds:
    """The successful builds of one target, each oldest first."""

    in_place: tuple[ArtifactVersion, ...]
    """Those whose release was not rolled back in the target."""
    undone: tuple[ArtifactVersion, ...]
    """Those whose release was."""

    @property
    def newest(self) -> ArtifactVersion | None:
        """The newest that is in place."""
        return self.in_place[-1] if self.in_place else None


def builds_of(store: ArtifactStore, log: LogReading, target: str, *, without: Release | None = None) -> Builds:
    """The builds of a target that `latest` may name, and those that it may not name any more.

    Args:
        store: the artifacts.
        log: a reading of the release log.
        target: the dbt target.
        without: a release that is being rolled back there, which the log does not say yet.
    """
    undone = {release.id for release, state in log.history if state.of(target).is_undone}
    undone |= {without.id} if without else set()
    builds = [version for version in store.list(target) if version.is_deployable]
    return Builds(
        in_place=tuple(version for version in builds if version.release_id not in undone),
        undone=tuple(version for version in builds if version.release_id in undone),
    )


def take_from_latest(store: ArtifactStore, log: LogReading, release: Release, *, target: str = "") -> tuple[str, ...]:
    """Let `latest` of a gated target that a release was deployed to go back to what is in place without it.

    Where `latest` names a build of a release that was not rolled back, it stays. The data is what it should be by then,
    so whatever fails here is only said.

    Args:
        store: the artifacts.
        log: a reading of the release log.
        release: the release all of whose changes are undone there.
        target: the gated target; by default every one that the release has changed.

    Returns:
        What became of `latest`, or why it could not be moved and what to do, in words.
    """
    targets = sorted(name for name in log.state.changed_gates if target in ("", name))
    return tuple(message for name in targets if (message := _move(store, log, name, without=release)))


def settle_latest(store: ArtifactStore, log: LogReading, targets: Iterable[str]) -> None:
    """Let `latest` of targets serve what is in place, where whoever rolled a release back could not write the store.

    A target that is being deployed to is left alone: its deploy moves `latest` itself.

    Args:
        store: the artifacts.
        log: a reading of the release log.
        targets: gated targets.
    """
    busy = {name for _, state in log.history for name in state.deploying}
    for target in targets:
        if target not in busy:
            _move(store, log, target)


def _move(store: ArtifactStore, log: LogReading, target: str, *, without: Release | None = None) -> str:
    try:
        builds = builds_of(store, log, target, without=without)
        before = store.move_latest_back(target, withdrawn=builds.undone, to=builds.newest)
    except ChecksumMismatch as exc:
        _log.warning("latest of %s names what is in place, and that is damaged: %s", target, exc)
        return f"latest of {target} names what is in place, and that is damaged: {exc}"
    except (DbxCdError, OSError) as exc:
        message = (
            f"latest of {target} does not serve what is in place: {what_failed(exc)}. The next staging "
            "build tries again, and so does the same rollback, once more: it does nothing else then"
        )
        _log.warning("%s", message)
        return message
    if before is None:
        return ""
    there = builds.newest
    message = (
        f"latest of {target} is {there} again" if there else f"latest of {target} names no build: none is in place"
    )
    _log.info("%s", message)
    return message
