"""What a restore erased of other releases, said in their own part of the release log."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dbx_cd.release.state import ReleaseState
from dbx_cd.rollback.journal import RestoreResult
from dbx_cd.rollback.of_target import afters_of, points_of
from dbx_cd.rollback.plan import RestorePlan

if TYPE_CHECKING:
    from dbx_cd.release.context import Cd
    from dbx_cd.release.events import Release


def say_what_was_erased(cd: Cd, release: Release, plans: Sequence[RestorePlan]) -> None:
    """A release whose writes were erased is not whole in production any more.

    Of newer ones that is said in the plan, and somebody has agreed. An older one loses what it wrote after the time
    that the tables went back to.

    Args:
        cd: the context.
        release: the release that was undone.
        plans: the plan that was carried out, then those whose killed attempts it ended: they may have erased it.
    """
    newer = {item.relation.key for plan in plans for item in plan.later_writes}
    moments = [plan.to for plan in plans if plan.to is not None]
    older = {item.relation.key for plan in plans if plan.to is not None for item in plan.changes}
    log = cd.log.read()
    for other, state in log.after(release) if newer else ():
        _say_erased(cd, other, state, newer, by=release, plan=plans[0])
    for other, state in log.before(release) if older else ():
        _say_erased(cd, other, state, older, by=release, plan=plans[0], since=min(moments))


def _say_erased(
    cd: Cd,
    other: Release,
    state: ReleaseState,
    relations: set[str],
    *,
    by: Release,
    plan: RestorePlan,
    since: datetime | None = None,
) -> None:
    changed = {name for name, there in state.targets.items() if there.is_changed}
    if not changed or (plan.target and plan.target not in changed):
        return
    log = cd.log.read(other)
    points, afters = points_of(log, plan.target), afters_of(log, plan.target)
    if since is not None:
        ends = [min((a.taken_at for a in afters if a.taken_at >= p.taken_at), default=None) for p in points]
        points = [p for p, end in zip(points, ends, strict=True) if end is None or end >= since]
    if relations & {state.relation.key for point in points for state in point.relations}:
        reason = f"erased by the rollback of {by.id}"
        result = RestoreResult(other.id, plan.seal, (), False, datetime.now(UTC), 0.0, True, reason, target=plan.target)
        cd.log.append(other, result)
