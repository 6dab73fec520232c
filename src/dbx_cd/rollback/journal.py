"""What a restore has done, relation by relation, in the release log: a restore that was killed goes on from there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from dbx_cd import html
from dbx_cd.records import Record
from dbx_cd.release.events import ClaimWithdrawn, Deploying
from dbx_cd.release.state import Event
from dbx_cd.rollback.plan_item import CHANGING, Action


@dataclass(frozen=True)
class RestoredRelation(Record):
    """One relation of a restore."""

    KIND: ClassVar[str] = "restored_relation"
    # Format 1 had no target: a wheel that reads that one takes a rollback of one target for one of all.
    FORMAT: ClassVar[int] = 2

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
    target: str = ""
    """The gated target; "" in records of wheels that took a rollback to be of all that a release had changed."""

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
    FORMAT: ClassVar[int] = 2

    release_id: str
    """The release that was undone."""
    seal: str
    """The plan's seal."""
    relations: tuple[RestoredRelation, ...]
    """Every relation of the plan."""
    complete: bool
    """Whether all that the release changed in the target is undone, which ends the release there."""
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
    """Whether it was of all that the release changed in the target, but for what was left out on purpose: a deploy that
    was killed is over then."""
    latest: tuple[str, ...] = ()
    """What became of `latest` of the target, or why it could not be moved and what to do; empty where it stays."""
    target: str = ""
    """The gated target; "" in records of wheels that took a rollback to be of all that a release had changed."""
    late_commits: tuple[str, ...] = ()
    """What was committed after the table it is in was proved."""
    not_known: tuple[str, ...] = ()
    """What could not be known of what of the release was still at work."""

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
        what = f"release {self.release_id}{f' in {self.target}' if self.target else ''}"
        if self.left_out and not self.relations:
            return f"{what}: NOTHING was brought back{left_out}{why}"
        return f"{what}: {done} relations restored, {same} left as they are{left_out}{failed}{why}"

    @property
    def text(self) -> str:
        """The result for a terminal: every relation with its proof, what failed first."""
        ordered = (*self.failed, *(r for r in self.relations if r.ok))
        return "\n".join([str(self), *(f"  {r}" for r in ordered), *self._notes, *self.latest])

    @property
    def _notes(self) -> list[str]:
        return [*(f"committed late: {text}" for text in self.late_commits), *self.not_known]

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
        latest = [html.paragraph(message) for message in (*self._notes, *self.latest)]
        return str(html.section("Restore", html.paragraph(str(self)), html.table(headers, rows), *latest))


def unfinished(events: Iterable[Event], *, target: str = "") -> dict[str, list[str]]:
    """The releases whose restore has begun and not ended: it runs now, or its process was killed.

    Nothing else may change that target then: half of it is the old state. A restore that ended with failures has
    ended, and said so. It also ends an earlier one of the same release and target whose relations are all among those
    it is about, as when the plan was made anew after a kill, without what cannot be brought back; one of other
    relations goes on. One that stepped back as it began ends nothing but itself.

    Args:
        events: events of the release log in commit order.
        target: restores in this gated target; in any by default.

    Returns:
        By release, in the order in which their restores began: the seals of the plans, "" for one of an earlier wheel.
    """
    begun = _begun(events, target).items()
    return {release_id: list({plan.version: plan.seal or "" for plan in plans}.values()) for release_id, plans in begun}


def restoring_since(events: Iterable[Event], *, target: str = "") -> dict[str, int]:
    """The commit with which the restore of each release of `unfinished` began.

    Of a restore and a deploy, and of two restores, that begin at the same time in one target the one whose event comes
    first goes on; the other one steps back, or was killed before it could.
    """
    return {release_id: plans[0].version for release_id, plans in _begun(events, target).items()}


def ended_with(
    events: Iterable[Event], release_id: str, *, seal: str, only: Sequence[str], target: str = ""
) -> frozenset[int]:
    """The commits with which those restores of a release began that end when one of a plan ends; see `unfinished`.

    Args:
        events: events of the release log in commit order, of before the plan began or after.
        release_id: the release.
        seal: the plan's seal.
        only: what the plan is about.
        target: the plan's target.
    """
    plans = _begun(events, target).get(release_id, [])
    return frozenset(plan.version for plan in _ended_by(_Begun(seal, frozenset(only), -1, target), plans))


def _begun(events: Iterable[Event], target: str) -> dict[str, list[_Begun]]:
    """The plans that have begun and not ended, of one target or all, by release.

    A plan of an earlier wheel names no target and is of all that the release has changed: in each it ends by itself.
    """
    begun: dict[str, list[_Begun]] = {}
    claimed: dict[str, list[str]] = {}
    for event in events:
        plans, claims = begun.pop(event.release_id, []), claimed.setdefault(event.release_id, [])
        named = str(event.payload.get("target") or "")
        if event.kind == Deploying.KIND:
            claims.append(named)
        elif event.kind == ClaimWithdrawn.KIND and named in claims:
            claims.remove(named)
        elif event.kind == "restore_planned":
            seal, only = event.payload.get("seal"), frozenset(event.payload.get("only") or ())
            about = [named] if named else [*dict.fromkeys(claims)] or [""]
            plans = [*plans, *(_Begun(seal, only, event.version, name) for name in about)]
        elif event.kind == RestoreResult.KIND:
            plans = _after_end(plans, event)
        if plans:
            begun[event.release_id] = plans
    of_target = {r: [p for p in plans if p.is_in(target)] for r, plans in begun.items()}
    found = [(release_id, plans) for release_id, plans in of_target.items() if plans]
    return dict(sorted(found, key=lambda item: item[1][0].version))


@dataclass(frozen=True)
class _Begun:
    seal: str | None
    """None in logs of before plans said their seal."""
    only: frozenset[str]
    version: int
    target: str

    def is_in(self, target: str) -> bool:
        """Whether it is about a target, as far as both are known."""
        return "" in (target, self.target) or target == self.target

    def is_within(self, other: _Begun) -> bool:
        """Whether all that it is about is among what another plan of the release is about."""
        return self.is_in(other.target) and (not other.only or (bool(self.only) and self.only <= other.only))


def _after_end(plans: list[_Begun], result: Event) -> list[_Begun]:
    """The plans that go on after one of them has ended, or stepped back."""
    named = str(result.payload.get("target") or "")
    known = [plan.seal for plan in plans if plan.is_in(named)]
    seal = result.payload.get("seal") if result.payload.get("seal") in known else None
    if seal not in known:
        return plans
    last = max(plan.version for plan in plans if plan.seal == seal and plan.is_in(named))
    ending = [plan for plan in plans if plan.version == last and plan.is_in(named)]
    if result.payload.get("withdrawn"):
        return [plan for plan in plans if plan not in ending]
    ended = [plan for each in ending for plan in _ended_by(each, plans)]
    return [plan for plan in plans if plan not in ended]


def _ended_by(ending: _Begun, plans: list[_Begun]) -> list[_Begun]:
    """The plans that end when one of them does, or a new one: none that began after it."""
    alike = [n for n, plan in enumerate(plans) if plan.seal == ending.seal and plan.is_in(ending.target)]
    upto = alike[-1] + 1 if alike else len(plans)
    return [plan for plan in plans[:upto] if plan.is_within(ending)]
