"""Carry out a restore plan: journaled relation by relation, in parallel, resumable, verified."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dbx_cd.delta.sql import THREADS
from dbx_cd.enumeration import listed
from dbx_cd.errors import RestoreFailed, SqlFailed
from dbx_cd.release.in_place import take_from_latest
from dbx_cd.release.reading import LogReading
from dbx_cd.rollback.attempt import Attempt
from dbx_cd.rollback.consent import agreed, require_consent
from dbx_cd.rollback.differences import found_afterwards
from dbx_cd.rollback.erased import say_what_was_erased
from dbx_cd.rollback.exclusion import claim_restore, refuse_while_others_work
from dbx_cd.rollback.journal import (
    RestoredRelation,
    RestoreResult as RestoreResult,
    ended_with,
    unfinished,
)
from dbx_cd.rollback.late_commits import look_again
from dbx_cd.rollback.of_target import points_of, writers_of
from dbx_cd.rollback.plan import RestorePlan, assess, states_before
from dbx_cd.rollback.plan_item import PlanItem
from dbx_cd.rollback.progress import OnProgress, silent
from dbx_cd.rollback.relation_state import RelationState
from dbx_cd.rollback.release_run import Settle, end_run, require_other_tasks_ended
from dbx_cd.rollback.statements import RestoreStatements

if TYPE_CHECKING:
    from dbx_cd.release.context import Cd
    from dbx_cd.release.events import Release

_log = logging.getLogger(__name__)

_NAMED = 3
"""How many relations the error of a restore that failed names; `.result` has all."""


@dataclass(frozen=True)
class _Begun:
    """A restore that has begun."""

    log: LogReading
    """The release log as it was before."""
    plan: RestorePlan
    """The plan, with why somebody carries it out."""
    ends: tuple[RestorePlan, ...]
    """The plan, then those whose killed attempts it ends."""
    started: datetime
    """When, UTC."""
    clock: float
    """The same as `time.monotonic` had it."""
    discard_later_writes: bool
    """Whether somebody agreed to erase what others wrote."""
    not_known: tuple[str, ...]
    """What could not be known of what of the release is still at work."""

    @property
    def release(self) -> Release:
        """The release that is undone."""
        assert self.log.release is not None
        return self.log.release


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

    Nothing of the release may be at work meanwhile: its run is cancelled where it goes on, and waited for, and so are
    the statements that it has left in a warehouse, as far as this identity may see those. What came all the same after
    a table was proved is reported, and is a failure where it may be the release's own.

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
            release, something cannot be brought back, a release is deploying, or its run cannot be ended. Nothing has
            been changed.
        RestoreFailed: a relation is not what it should be; `.result` says which. Call again to go on.
    """
    return _restore(
        cd,
        plan,
        seal=seal,
        reason=reason,
        discard_later_writes=discard_later_writes,
        on_progress=on_progress,
        threads=threads,
        settle=end_run,
    )


def restore_inside_its_run(cd: Cd, plan: RestorePlan, *, reason: str) -> RestoreResult:
    """As `restore`, by a task of the release's own run: that one goes on, and the other tasks of it have to have ended.

    Raises:
        RestoreRefused, RestoreFailed: as for `restore`.
    """
    return _restore(cd, plan, seal=plan.seal, reason=reason, settle=require_other_tasks_ended)


def _restore(
    cd: Cd,
    plan: RestorePlan,
    *,
    seal: str,
    reason: str | None,
    settle: Settle,
    discard_later_writes: bool = False,
    on_progress: OnProgress = silent,
    threads: int = THREADS,
) -> RestoreResult:
    started, clock = datetime.now(UTC), time.monotonic()
    log = cd.log.read(cd.log.release(plan.release_id))
    refuse_while_others_work(log, target=plan.target, gates=cd.config.gates, discard_later_writes=discard_later_writes)
    require_consent(plan, seal=seal, discard_later_writes=discard_later_writes)
    not_known = settle(cd, log, plan.target)
    items = agreed(plan, _as_it_is_now(cd, log, plan))
    before = _result_of_before(log, items, target=plan.target)
    if before is not None:
        # Two restores of one release are one; what `latest` names may have been out of reach at the end of the first.
        assert log.release is not None
        return replace(before, latest=take_from_latest(cd.store, log, log.release, target=plan.target))
    plan, ends = _begin(cd, log, replace(plan, reason=reason), discard_later_writes=discard_later_writes)
    begun = _Begun(log, plan, ends, started, clock, discard_later_writes, not_known)
    done = _carry_out(cd, begun, items, on_progress=on_progress, threads=threads)
    result = _conclude(cd, begun, done, threads=threads)
    if not result.ok:
        raise _failure(begun.release, result)
    return result


def _failure(release: Release, result: RestoreResult) -> RestoreFailed:
    known = next((f"{r.next_step}; " for r in result.failed if r.next_step), "")
    return RestoreFailed(
        f"{len(result.failed)} of {len(result.relations)} relations are not restored: "
        f"{listed(result.failed, most=_NAMED, separator='; ')}",
        result=result,
        where=release,
        next_step=f"{known}when the cause is gone, plan and restore again: it goes on where it was",
    )


def _as_it_is_now(cd: Cd, log: LogReading, plan: RestorePlan) -> RestorePlan:
    return assess(
        cd.tables,
        log,
        target=plan.target,
        only=plan.only or None,
        skip=plan.skip,
        to=plan.to,
        new_tables=plan.new_tables,
        details=False,
        planned=plan,
    )


def _result_of_before(log: LogReading, items: Sequence[PlanItem], *, target: str) -> RestoreResult | None:
    """The result of an earlier restore of all of the release in the target, where every relation is as it left it.

    What is left alone because somebody else has changed it since is not: then this restore has its own result.
    """
    assert log.release is not None
    results = [r for r in log.all(RestoreResult) if "" in (target, r.target) or r.target == target]
    finished = results[-1] if results else None
    if finished is None or not finished.complete or log.state.of(target).deployment == "deploying":
        return None
    if log.release.id in unfinished(log.events, target=target):
        return None
    kept = {r.name for r in finished.relations if r.action == "keep"}
    is_left = (
        item.action == "none" or (item.action == "keep" and item.kind_before == "missing" and item.name in kept)
        for item in items
    )
    return finished if all(is_left) else None


def _begin(
    cd: Cd, log: LogReading, plan: RestorePlan, *, discard_later_writes: bool
) -> tuple[RestorePlan, tuple[RestorePlan, ...]]:
    """Say in the log that the restore begins, unless an attempt at this plan that was killed has said so.

    Returns:
        The plan with why it is carried out, which may be that attempt's reason; and the plan with those whose killed
        attempts it ends.
    """
    assert log.release is not None
    release = log.release
    planned = {e.version: RestorePlan.read(dict(e.payload)) for e in log.of(release.id, kinds=(RestorePlan.KIND,))}
    ended = ended_with(log.events, release.id, seal=plan.seal, only=plan.only, target=plan.target)
    ends = (plan, *(p for version, p in planned.items() if version in ended))
    if plan.seal in unfinished(log.events, target=plan.target).get(release.id, []):
        reason = plan.reason or next(p.reason for p in reversed(planned.values()) if p.seal == plan.seal)
        return replace(plan, reason=reason), ends
    claim_restore(cd, release, plan, discard_later_writes=discard_later_writes)
    return plan, ends


def _carry_out(
    cd: Cd, begun: _Begun, items: list[PlanItem], *, on_progress: OnProgress, threads: int
) -> list[RestoredRelation]:
    """Do what is left to do of the items."""
    log, plan, release = begun.log, begun.plan, begun.release
    _log.info("%s: restoring %d of %d relations", release, sum(i.changes for i in items), len(items))
    for item in plan.later_writes:
        _log.warning("%s: erasing what others wrote: %s", item.name, "; ".join(item.later_writes))
    tried: dict[str, list[PlanItem]] = defaultdict(list)
    for item in (i for p in begun.ends for i in p.changes):
        tried[item.name].append(item)
    attempt = Attempt(
        cd=cd,
        release=release,
        target=plan.target,
        seal=plan.seal,
        before={s.name: s for s in states_before(points_of(log, plan.target))},
        journal={r.name: r for r in log.all(RestoredRelation) if r.seal == plan.seal and r.ok},
        tried=tried,
        statements=RestoreStatements.signed(cd.tables, release_id=release.id),
        at_point=plan.to is None,
        on_progress=on_progress,
    )
    done = attempt.all(_with_kept_properties(items, begun.ends), threads=threads)
    # Of another time nothing of the kind is recorded.
    return _with_differences(cd, done, attempt.before) if plan.to is None else done


def _conclude(cd: Cd, begun: _Begun, done: Sequence[RestoredRelation], *, threads: int) -> RestoreResult:
    """Say in the log how the restore has ended, and let `latest` go back where all is undone in the target."""
    log, plan, release = begun.log, begun.plan, begun.release
    late = look_again(cd.tables, done, writers=writers_of(log, plan.target), threads=threads)
    done = late.relations
    not_known = (*begun.not_known, *late.not_known)
    for text in (*late.commits, *not_known):
        _log.warning("%s: %s", release, text)
    complete = all(r.ok for r in done) and not (plan.only or plan.skip) and plan.to is None
    result = RestoreResult(
        release_id=release.id,
        seal=plan.seal,
        relations=tuple(done),
        complete=complete,
        started_at=begun.started,
        seconds=round(time.monotonic() - begun.clock, 1),
        discarded_later_writes=begun.discard_later_writes,
        reason=plan.reason,
        brought_back=any(p.changes for p in begun.ends),
        left_out=plan.skip,
        of_all=not plan.only and (plan.to is None or not plan.items),
        # Before the log says that the restore has ended: no deploy moves `latest` until then.
        latest=take_from_latest(cd.store, log, release, target=plan.target) if complete else (),
        target=plan.target,
        late_commits=late.commits,
        not_known=not_known,
    )
    say_what_was_erased(cd, release, begun.ends)
    cd.log.append(release, result)
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


def _with_kept_properties(items: list[PlanItem], earlier: Sequence[RestorePlan]) -> list[PlanItem]:
    """A restore killed between RESTORE and setting retention again left only its plan to say what to set."""
    planned = {i.name: i.keep_properties for p in earlier for i in p.items if i.keep_properties}
    return [i if i.keep_properties else replace(i, keep_properties=planned.get(i.name, {})) for i in items]
