"""What a restore has done, relation by relation, in the release log: a restore that was killed goes on from there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from dbx_cd import html
from dbx_cd.records import Record
from dbx_cd.release.state import Event
from dbx_cd.rollback.plan_item import CHANGING, Action


@dataclass(frozen=True)
class RestoredRelation(Record):
    """One relation of a restore."""

    KIND: ClassVar[str] = "restored_relation"

    name: str
    """The relation, with catalog and schema."""
    action: Action
    """What was done with it."""
    seal: str
    """The plan's seal."""
    ok: bool
    """Whether it is what the plan said."""
    proof: str = ""
    """How that was proved, for people."""
    error: str | None = None
    """Why it is not."""
    from_version: int | None = None
    """The version of the table before."""
    to_version: int | None = None
    """The version that it was brought back to."""
    version_after: int | None = None
    """The version of the table afterwards."""
    moved_to: str | None = None
    """The new name of what stood in the way."""
    differences: tuple[str, ...] = ()
    """What is not as it was all the same."""
    next_step: str | None = None
    """What to do, where it failed and more is known than to try again."""
    seconds: float = 0.0
    """Wall time."""

    @property
    def changes(self) -> bool:
        """Whether the relation was changed, or was to be."""
        return self.action in CHANGING

    def __post_serialize__(self, d: dict[Any, Any]) -> dict[Any, Any]:
        return {**super().__post_serialize__(d), "changes": self.changes}

    def __str__(self) -> str:
        left = f"; not as it was: {'; '.join(self.differences)}" if self.differences else ""
        moved = f"; what stood there is {self.moved_to} now" if self.moved_to else ""
        return f"{self.name}: {self.action}, {self.proof if self.ok else f'FAILED: {self.error}'}{moved}{left}"

    @property
    def failure(self) -> str | None:
        """What failed, and what to do where that is known; None where nothing did."""
        return self.error if self.next_step is None else f"{self.error}. Next: {self.next_step}"


@dataclass(frozen=True)
class RestoreResult(Record):
    """What a restore did."""

    KIND: ClassVar[str] = "rolled_back"

    release_id: str
    """The release that was undone."""
    seal: str
    """The plan's seal."""
    relations: tuple[RestoredRelation, ...]
    """Every relation of the plan."""
    complete: bool
    """Whether the whole release is undone, which ends the release."""
    started_at: datetime
    """When, UTC."""
    seconds: float
    """Wall time."""
    discarded_later_writes: bool = False
    """Whether somebody agreed to erase what others wrote."""
    reason: str | None = None
    """Why, where somebody gave a reason."""
    withdrawn: bool = False
    """Whether it stepped back before it changed anything, because somebody else had begun."""
    brought_back: bool = True
    """Whether it was to change anything, or a killed attempt was, which it ends: what that one did, it may not have
    said."""
    left_out: tuple[str, ...] = ()
    """The relations that were left as they are on purpose."""
    of_all: bool = False
    """Whether it was of all that the release changed, but for what was left out on purpose: a deploy that was killed is
    over then."""
    latest: tuple[str, ...] = ()
    """What became of `latest` of the targets, or why it could not be moved and what to do; empty where it stays."""

    @property
    def ok(self) -> bool:
        """Whether every relation is what the plan says, and proved so."""
        return all(r.ok for r in self.relations)

    @property
    def failed(self) -> tuple[RestoredRelation, ...]:
        """The relations that are not."""
        return tuple(r for r in self.relations if not r.ok)

    def __str__(self) -> str:
        done = sum(r.ok and r.changes for r in self.relations)
        same = sum(r.ok and not r.changes for r in self.relations)
        failed = f", {len(self.failed)} FAILED: {', '.join(r.name for r in self.failed)}" if self.failed else ""
        left_out = f", left out on purpose: {', '.join(self.left_out)}" if self.left_out else ""
        why = f" ({self.reason})" if self.reason else ""
        if self.left_out and not self.relations:
            return f"release {self.release_id}: NOTHING was brought back{left_out}{why}"
        return f"release {self.release_id}: {done} relations restored, {same} left as they are{left_out}{failed}{why}"

    @property
    def text(self) -> str:
        """The result for a terminal: every relation with its proof, what failed first."""
        ordered = (*self.failed, *(r for r in self.relations if r.ok))
        return "\n".join([str(self), *(f"  {r}" for r in ordered), *self.latest])

    def to_html(self) -> str:
        """Every relation with its proof."""
        rows = [
            (r.name, html.badge("done" if r.ok else "failed"), r.action, r.from_version, r.to_version, r.version_after,
             r.proof or r.failure, "; ".join(r.differences), r.moved_to, f"{r.seconds:.1f} s")
            for r in (*self.failed, *(r for r in self.relations if r.ok))
        ]  # fmt: skip
        headers = (
            "relation", "", "action", "from", "to", "now at", "proof", "not as it was", "what stood there is now",
            "took",
        )  # fmt: skip
        latest = [html.paragraph(message) for message in self.latest]
        return str(html.section("Restore", html.paragraph(str(self)), html.table(headers, rows), *latest))


def unfinished(events: Iterable[Event]) -> dict[str, list[str]]:
    """The releases whose restore has begun and not ended: it runs now, or its process was killed.

    Nothing else may change production then: half of it is the old state. A restore that ended with failures has
    ended, and said so. It also ends an earlier one of the same release whose relations are all among those it is about,
    as when the plan was made anew after a kill, without what cannot be brought back; one of other relations goes on.
    One that stepped back as it began ends nothing but itself.

    Args:
        events: events of the release log in commit order.

    Returns:
        By release, in the order in which their restores began: the seals of the plans, "" for one of an earlier wheel.
    """
    return {release_id: [plan.seal or "" for plan in plans] for release_id, plans in _begun(events).items()}


def restoring_since(events: Iterable[Event]) -> dict[str, int]:
    """The commit with which the restore of each release of `unfinished` began.

    Of a restore and a deploy, and of two restores, that begin at the same time the one whose event comes first goes on;
    the other one steps back, or was killed before it could.
    """
    return {release_id: plans[0].version for release_id, plans in _begun(events).items()}


def ended_with(events: Iterable[Event], release_id: str, *, seal: str, only: Sequence[str]) -> frozenset[int]:
    """The commits with which those restores of a release began that end when one of a plan ends; see `unfinished`.

    Args:
        events: events of the release log in commit order, of before the plan began or after.
        release_id: the release.
        seal: the plan's seal.
        only: what the plan is about.
    """
    plans = _begun(events).get(release_id, [])
    return frozenset(plan.version for plan in _ended_by(_Begun(seal, frozenset(only), -1), plans))


def _begun(events: Iterable[Event]) -> dict[str, list[_Begun]]:
    begun: dict[str, list[_Begun]] = {}
    for event in events:
        if event.kind == "restore_planned":
            plan = _Begun(event.payload.get("seal"), frozenset(event.payload.get("only") or ()), event.version)
            begun.setdefault(event.release_id, []).append(plan)
        elif event.kind == RestoreResult.KIND and event.release_id in begun:
            begun[event.release_id] = _after_end(begun[event.release_id], event)
            if not begun[event.release_id]:
                del begun[event.release_id]
    return begun


@dataclass(frozen=True)
class _Begun:
    seal: str | None
    """None in logs of before plans said their seal."""
    only: frozenset[str]
    version: int

    def is_within(self, other: _Begun) -> bool:
        """Whether all that it is about is among what another plan of the release is about."""
        return not other.only or (bool(self.only) and self.only <= other.only)


def _after_end(plans: list[_Begun], result: Event) -> list[_Begun]:
    """The plans that go on after one of them has ended, or stepped back."""
    known = [plan.seal for plan in plans]
    seal = result.payload.get("seal") if result.payload.get("seal") in known else None
    if seal not in known:
        return plans
    last = len(known) - 1 - known[::-1].index(seal)
    if result.payload.get("withdrawn"):
        return plans[:last] + plans[last + 1 :]
    ended = _ended_by(plans[last], plans)
    return [plan for plan in plans if plan not in ended]


def _ended_by(ending: _Begun, plans: list[_Begun]) -> list[_Begun]:
    """The plans that end when one of them does, or a new one: none that began after it."""
    seals = [plan.seal for plan in plans]
    upto = len(seals) - seals[::-1].index(ending.seal) if ending.seal in seals else len(seals)
    return [plan for plan in plans[:upto] if plan.is_within(ending)]
