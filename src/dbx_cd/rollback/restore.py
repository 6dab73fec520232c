"""Carry out a restore plan: journaled relation by relation, in parallel, resumable, verified."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dbx_cd.delta.sql import THREADS
from dbx_cd.errors import RestoreFailed, RestoreRefused, SqlFailed
from dbx_cd.release.in_place import take_from_latest
from dbx_cd.release.reading import LogReading
from dbx_cd.release.state import ReleaseState
from dbx_cd.rollback.attempt import Attempt
from dbx_cd.rollback.consent import agreed, require_consent
from dbx_cd.rollback.differences import found_afterwards
from dbx_cd.rollback.journal import (
    RestoredRelation,
    RestoreResult as RestoreResult,
    ended_with,
    restoring_since,
    unfinished,
)
from dbx_cd.rollback.plan import RestorePlan, assess, states_before
from dbx_cd.rollback.plan_item import PlanItem
from dbx_cd.rollback.point import RestorePoint, VersionsAfter
from dbx_cd.rollback.progress import OnProgress, silent
from dbx_cd.rollback.relation_state import RelationState
from dbx_cd.rollback.statements import RestoreStatements

if TYPE_CHECKING:
    from dbx_cd.release.context import Cd
    from dbx_cd.release.events import Release

_log = logging.getLogger(__name__)


def restore(
    cd: Cd,
    plan: RestorePlan,
    *,
    seal: str,
    reason: str | None = None,
    discard_later_writes: bool = False,
    on_progress: OnProgress = silent,
    threads: int = THREADS,
) -> RestoreResult:
    """Bring every relation of a plan back, prove it, and write it all to the release log.

    A restore that was killed, or that failed, goes on where it was when it is called again, with the same plan or a
    new one: what is by then what the plan makes of it gets no further commit.

    Args:
        cd: the context.
        plan: from `plan_restore`.
        seal: the plan's seal, which says that somebody has read this plan.
        reason: why, for the release log.
        discard_later_writes: erase what others wrote after the release, as the plan lists it.
        on_progress: called with each relation that is done, or has failed; see `RestoreProgress`.
        threads: how many tables to restore at the same time.

    Raises:
        RestoreRefused: the seal is not the plan's, the relations have changed since the plan, others wrote after the
            release, something cannot be brought back, or a release is deploying. Nothing has been changed.
        RestoreFailed: a relation is not what it should be; `.result` says which. Call again to go on.
    """
    started, clock = datetime.now(UTC), time.monotonic()
    release = cd.log.release(plan.release_id)
    log = cd.log.read(release)
    _refuse_while_others_work(log, discard_later_writes=discard_later_writes)
    require_consent(plan, seal=seal, discard_later_writes=discard_later_writes)
    now = assess(
        cd.tables,
        log,
        only=plan.only or None,
        skip=plan.skip,
        to=plan.to,
        new_tables=plan.new_tables,
        details=False,
        planned=plan,
    )
    items = agreed(plan, now)
    finished = log.last(RestoreResult)
    begun = unfinished(log.events).get(release.id, [])
    done_before = finished is not None and finished.complete and log.state.deploying_to is None
    if finished is not None and done_before and not begun and not any(i.changes for i in items):
        # Two restores of one release are one; what `latest` names may have been out of reach at the end of the first.
        return replace(finished, latest=take_from_latest(cd.store, log, release))
    planned = {e.version: RestorePlan.read(dict(e.payload)) for e in log.of(release.id, kinds=(RestorePlan.KIND,))}
    earlier = list(planned.values())
    ends = ended_with(log.events, release.id, seal=plan.seal, only=plan.only)
    ended = [plan, *(p for version, p in planned.items() if version in ends)]
    if plan.seal in begun:
        reason = reason or next(p.reason for p in reversed(earlier) if p.seal == plan.seal)
    else:
        _claim(cd, release, replace(plan, reason=reason), discard_later_writes=discard_later_writes)
    _log.info("%s: restoring %d of %d relations", release, sum(i.changes for i in items), len(items))
    for item in plan.later_writes:
        _log.warning("%s: erasing what others wrote: %s", item.name, "; ".join(item.later_writes))
    attempt = Attempt(
        cd=cd,
        release=release,
        seal=plan.seal,
        before={s.name: s for s in states_before(log.all(RestorePoint))},
        journal={r.name: r for r in log.all(RestoredRelation) if r.seal == plan.seal and r.ok},
        statements=RestoreStatements.signed(cd.tables, release_id=release.id),
        at_point=plan.to is None,
        on_progress=on_progress,
    )
    done = attempt.all(_with_kept_properties(items, ended), threads=threads)
    if plan.to is None:  # of another time nothing of the kind is recorded
        done = _with_differences(cd, done, attempt.before)
    complete = all(r.ok for r in done) and not (plan.only or plan.skip) and plan.to is None
    result = RestoreResult(
        release_id=release.id,
        seal=plan.seal,
        relations=tuple(done),
        complete=complete,
        started_at=started,
        seconds=round(time.monotonic() - clock, 1),
        discarded_later_writes=discard_later_writes,
        reason=reason,
        brought_back=any(p.changes for p in ended),
        left_out=plan.skip,
        of_all=not plan.only and (plan.to is None or not plan.items),
        # Before the log says that the restore has ended: no deploy moves `latest` until then.
        latest=take_from_latest(cd.store, log, release) if complete else (),
    )
    _say_what_was_erased(cd, release, ended)
    cd.log.append(release, result)
    if not result.ok:
        raise RestoreFailed(
            f"{len(result.failed)} of {len(done)} relations are not restored: {result.failed[0]}",
            result=result,
            where=release,
            next_step=f"{result.failed[0].next_step or 'read .result'}; when the cause is gone, plan and restore "
            "again: it goes on where it was",
        )
    return result


def _with_differences(
    cd: Cd, done: list[RestoredRelation], before: Mapping[str, RelationState]
) -> list[RestoredRelation]:
    """Look once more at what the catalog keeps of what was brought back: a plan may be older than a change of it."""
    back = {r.name: before[r.name] for r in done if r.ok and r.action in ("restore", "recreate_view", "none")}
    try:
        settings = cd.tables.settings([state.relation for state in back.values()])
    except SqlFailed as exc:  # the data is back all the same
        _log.warning("what the catalog keeps was not looked at after the restore: %s", exc)
        return done
    return [
        replace(r, differences=found_afterwards(r.differences, back[r.name], settings[back[r.name].relation.key]))
        if r.name in back
        else r
        for r in done
    ]


def _say_what_was_erased(cd: Cd, release: Release, plans: list[RestorePlan]) -> None:
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
        _say_erased(cd, other, state, newer, by=release, seal=plans[0].seal)
    for other, state in log.before(release) if older else ():
        _say_erased(cd, other, state, older, by=release, seal=plans[0].seal, since=min(moments))


def _say_erased(
    cd: Cd,
    other: Release,
    state: ReleaseState,
    relations: set[str],
    *,
    by: Release,
    seal: str,
    since: datetime | None = None,
) -> None:
    if not any(target.is_changed for target in state.targets.values()):
        return
    points, afters = cd.log.all(other, RestorePoint), cd.log.all(other, VersionsAfter)
    if since is not None:
        ends = [min((a.taken_at for a in afters if a.taken_at >= p.taken_at), default=None) for p in points]
        points = [p for p, end in zip(points, ends, strict=True) if end is None or end >= since]
    if relations & {state.relation.key for point in points for state in point.relations}:
        reason = f"erased by the rollback of {by.id}"
        cd.log.append(other, RestoreResult(other.id, seal, (), False, datetime.now(UTC), 0.0, True, reason))


def _claim(cd: Cd, release: Release, plan: RestorePlan, *, discard_later_writes: bool) -> None:
    """Say in the log that the restore begins, then look once more whether somebody else began at the same time.

    A deploy writes `deploying` and then looks for `restore_planned`: whoever writes second sees the other one.
    """
    cd.log.append(release, plan)
    try:
        _refuse_while_others_work(cd.log.read(release), discard_later_writes=discard_later_writes)
    except RestoreRefused as refused:
        withdrawn = f"withdrawn: {refused.what}"
        cd.log.append(
            release,
            RestoreResult(
                release.id,
                plan.seal,
                (),
                False,
                datetime.now(UTC),
                0.0,
                reason=withdrawn,
                withdrawn=True,
                brought_back=False,
            ),
        )
        raise


def _refuse_while_others_work(log: LogReading, *, discard_later_writes: bool) -> None:
    """A restore excludes any deploy, and the restore of another release: the one that began first goes on.

    Whether a deploy of this very release still runs, or was killed, the log cannot tell: that is for a person to say.
    """
    assert log.release is not None
    since = restoring_since(log.events)
    mine = since.pop(log.release.id, None)
    half_done = next((release_id for release_id, began in since.items() if mine is None or began < mine), None)
    if half_done is not None:
        raise RestoreRefused(
            f"release {half_done} is being restored, or its restore was killed",
            next_step="finish that restore first: plan and restore it again",
        )
    for other, state in log.history:
        if state.deploying_to is None:
            continue
        if other.id != log.release.id:
            if mine is None or state.of(state.deploying_to).claimed < mine:
                raise RestoreRefused(
                    f"{other} is deploying to {state.deploying_to}", next_step="wait until it has ended"
                )
        elif not discard_later_writes:
            raise RestoreRefused(
                f"{other} is still deploying to {state.deploying_to}, or its run was killed",
                next_step="make sure that no run of it is left, then restore with discard_later_writes=True",
            )


def _with_kept_properties(items: list[PlanItem], earlier: list[RestorePlan]) -> list[PlanItem]:
    """A restore killed between RESTORE and setting retention again left only its plan to say what to set."""
    planned = {i.name: i.keep_properties for p in earlier for i in p.items if i.keep_properties}
    return [i if i.keep_properties else replace(i, keep_properties=planned.get(i.name, {})) for i in items]
