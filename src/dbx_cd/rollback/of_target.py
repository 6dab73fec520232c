"""What the log holds of a release in one of its gated targets, and which target a rollback means."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from dbx_cd.errors import RestoreRefused
from dbx_cd.release.events import Deploying
from dbx_cd.release.reading import LogReading
from dbx_cd.rollback.point import RestorePoint, VersionsAfter

T = TypeVar("T", RestorePoint, VersionsAfter)


def points_of(log: LogReading, target: str) -> list[RestorePoint]:
    """The restore points of the reading's release in one gated target, in commit order; of all where "" is given."""
    return list(_recorded(log, RestorePoint, target))


def afters_of(log: LogReading, target: str) -> list[VersionsAfter]:
    """Where the builds of the reading's release left the relations of one gated target; of all where "" is given."""
    return list(_recorded(log, VersionsAfter, target))


def writers_of(log: LogReading, target: str) -> tuple[str, ...]:
    """As whom the reading's release writes in one gated target, each once; in all where "" is given."""
    return tuple(dict.fromkeys(name for point in points_of(log, target) for name in point.writers))


def target_to_restore(log: LogReading, target: str | None) -> str:
    """The gated target that a rollback of the reading's release is about.

    Args:
        log: a reading of the release.
        target: the target that somebody has named, if any.

    Returns:
        That target, or the only one that the release has changed; "" where the log does not say which that is.

    Raises:
        RestoreRefused: the release never began to change that target; or it has changed several, and none is named.
    """
    changed, release = log.state.changed_gates, log.release
    if target:
        if target not in changed and not points_of(log, target):
            raise RestoreRefused(
                f"{release} never began to change {target}",
                next_step=f"name a target that it has changed: {', '.join(changed) or 'there is none'}",
            )
        return target
    if len(changed) > 1:
        raise RestoreRefused(
            f"{release} has changed {', '.join(changed)}, and a rollback is of one of them",
            next_step=f"name the target, beginning with the one that was changed last: target={changed[-1]!r}",
        )
    return changed[0] if changed else ""


def _recorded(log: LogReading, record_type: type[T], target: str) -> Iterator[T]:
    """Records of earlier wheels do not say their target: the claim that comes before them does."""
    assert log.release is not None
    claimed = ""
    for event in log.of(log.release.id, kinds=(Deploying.KIND, record_type.KIND)):
        if event.kind == Deploying.KIND:
            claimed = str(event.payload.get("target") or "")
            continue
        record = record_type.read(dict(event.payload))
        if not target or (record.target or claimed) in ("", target):
            yield record
