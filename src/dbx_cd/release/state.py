"""What a release's events add up to: one pure function.

The release log only ever grows, so nothing stores "the state" of a release. Whoever wants it replays the events. A
release stands somewhere in each target on its own: what a repaired task does to staging later does not move what is in
production, and what is brought back in one gated target stays in another.

A newer release overtakes an older one per gated target. When it opens, it supersedes as a whole what nobody has decided
on yet and what is in no gated target. A release that is deployed to one gated target and waits for the next is not
superseded so: it is what the first target holds. It is overtaken in the next one, by itself and without an event, as
soon as a newer release has changed that one, or has been asked about for it; see `turn.refuse_ended`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from dbx_cd.release.target_state import NOWHERE, Phase, TargetState

# What `state_of`, and whoever compares releases, read of an event's payload, with the types of Spark SQL.
STATE_FIELDS = {
    "format": "INT",
    "ok": "BOOLEAN",
    "gated": "BOOLEAN",
    "complete": "BOOLEAN",
    "withdrawn": "BOOLEAN",
    "brought_back": "BOOLEAN",
    "of_all": "BOOLEAN",
    "changes": "BOOLEAN",
    "target": "STRING",
    "state_target": "STRING",
    "seal": "STRING",
    "actor": "STRING",
    "reason": "STRING",
    "summary": "STRING",
    "by": "STRING",
    "project_digest": "STRING",
    "approvers": "STRING",
    "timestamp": "STRING",
    "artifacts": "STRING",
    "only": "ARRAY<STRING>",
}
ADDED = ("summary", "ok")
"""What the log derives from a record and writes beside it, for those who read the table with SQL."""
_UNDECIDED: tuple[Phase, ...] = ("opened", "built", "smoked", "waiting")


@dataclass(frozen=True)
class Event:
    """One row of the release log."""

    event_id: str
    """Unique."""
    release_id: str
    """The release that the event is about."""
    kind: str
    """The `KIND` of the record in the payload."""
    at: datetime
    """When it was written, UTC, by the clock of whoever wrote it: for people, never for the order."""
    actor: str
    """Who wrote it, as the platform names them."""
    payload: Mapping[str, Any]
    """The record, as `to_dict` gives it."""
    version: int
    """The Delta version of the commit that wrote it: the only order."""

    @property
    def record(self) -> dict[str, Any]:
        """The record as it was written, without what the log adds for those who read the table with SQL."""
        return {name: value for name, value in self.payload.items() if name not in ADDED}


@dataclass(frozen=True)
class End:
    """How a release ended. Nothing that happens later un-finishes it; only a rollback may follow a rejection."""

    phase: Literal["rejected", "superseded", "rolled_back"]
    """It was rejected, a newer release has overtaken it, or what it changed was brought back."""
    at: datetime
    """When, UTC."""
    reason: str | None = None
    """Why it was rejected or rolled back."""


@dataclass(frozen=True)
class ReleaseState:
    """Where a release stands."""

    release_id: str
    """The release."""
    opened_at: datetime
    """When it was opened, UTC."""
    targets: Mapping[str, TargetState] = field(default_factory=dict)
    """Where it stands in each target that it was built into or asked for."""
    superseded_by: str | None = None
    """The newer release that has overtaken it."""
    end: End | None = None
    """How it ended, where it has."""

    @property
    def phase(self) -> Phase:
        """One word for the whole release: its end, else what is in a gated target, else what happened last.

        It is `rolled_back` when all is brought back in every gated target that it has changed; until then what is left
        in the others counts.
        """
        return self.end.phase if self.end else self._leading.phase

    @property
    def since(self) -> datetime:
        """Since when that word is true."""
        return self.end.at if self.end else self._leading.since or self.opened_at

    @property
    def reason(self) -> str | None:
        """Why it failed, was rejected or rolled back, or what its approver remarked."""
        return self.end.reason if self.end else self._leading.reason

    @property
    def actor(self) -> str | None:
        """Who decided, where somebody has: about the target that was asked for last."""
        asked = [t for t in self.targets.values() if t.approval is not None]
        newest = max(asked, key=lambda t: t.approval.version if t.approval else -1, default=NOWHERE)
        return newest.approval.actor if newest.approval else None

    @property
    def deployed_to(self) -> tuple[str, ...]:
        """The gated targets that have this release, in the order in which they first had it."""
        found = sorted((t.first_deployed, name) for name, t in self.targets.items() if t.deployment == "deployed")
        return tuple(name for _, name in found)

    @property
    def partly_rolled_back(self) -> tuple[str, ...]:
        """The gated targets in which some of what it changed was brought back, and not all."""
        return tuple(name for name, t in self.targets.items() if t.is_partly_rolled_back)

    @property
    def changed_gates(self) -> tuple[str, ...]:
        """The gated targets that it changes or has changed, also where that was brought back; oldest claim first."""
        found = sorted((t.claimed, name) for name, t in self.targets.items() if t.deployment is not None)
        return tuple(name for _, name in found)

    @property
    def deploying(self) -> tuple[str, ...]:
        """The gated targets that it is being deployed to, or whose deploys were killed."""
        return tuple(name for name, t in self.targets.items() if t.deployment == "deploying")

    @property
    def deploying_to(self) -> str | None:
        """The first of them; None where there is none."""
        return next(iter(self.deploying), None)

    @property
    def undecided(self) -> bool:
        """Whether a newer release that opens supersedes this one: not where it is in a gated target already."""
        return self.phase in _UNDECIDED and not self.deployed_to

    @property
    def is_on_its_way(self) -> bool:
        """Whether it may still go into a gated target: it is undecided, waits there, is approved or being deployed."""
        words: tuple[Phase, ...] = ("waiting", "approved", "deploying")
        return self.undecided or (not self.ended and any(t.phase in words for t in self.targets.values()))

    @property
    def where(self) -> str:
        """Where it stands in each gated target, where it has changed several: its one word does not say that."""
        words = [f"{name}: {(self.of(name).deployment or '').replace('_', ' ')}" for name in self.changed_gates]
        return ", ".join(words) if len(words) > 1 else ""

    @property
    def ended(self) -> bool:
        """Whether nothing more can be built from this release."""
        return self.phase in ("rejected", "superseded", "rolled_back")

    @property
    def waiting_for(self) -> tuple[str, ...]:
        """The gated targets for which somebody is asked to decide; what was built since in the target that is asked
        about, or in an open one, makes a question void."""
        staged = max((t.changed for t in self.targets.values() if t.build is not None), default=-1)
        asked = [(n, t.approval) for n, t in self.targets.items() if t.approval is not None and not self.ended]
        return tuple(
            name
            for name, a in asked
            if a.phase == "waiting" and a.version > max(staged, self.of(a.state_target).changed)
        )

    def of(self, target: str) -> TargetState:
        """Where it stands in one target."""
        return self.targets.get(target, NOWHERE)

    @property
    def _leading(self) -> TargetState:
        """The target whose word stands for the release; not one in which all is brought back, and elsewhere is not."""
        kept = [t for t in self.targets.values() if t.deployment != "rolled_back"]
        states = sorted(kept or self.targets.values(), key=lambda t: t.version, reverse=True)
        for word in ("deploying", "deployed"):
            found = next((t for t in states if t.phase == word), None)
            if found is not None and not (word == "deployed" and _fails_later(states, found)):
                return found
        return states[0] if states else NOWHERE


def state_of(events: Iterable[Event]) -> ReleaseState | None:
    """Replay the events of one release, in commit order.

    The first decision on a seal counts; a later one on the same seal changes nothing. A new request with another seal
    reopens the question.

    Args:
        events: the events of a single release.

    Returns:
        The state, or None when there is no `opened` event.
    """
    state: ReleaseState | None = None
    for event in sorted(events, key=lambda e: e.version):
        if event.kind == "opened":
            state = state or ReleaseState(event.release_id, event.at)
        elif state is not None:
            state = _next(state, event)
    return state


def _fails_later(states: Iterable[TargetState], deployed: TargetState) -> bool:
    """Whether the release has failed in another gated target after it was deployed to one."""
    return any(t.deployment == "failed" and t.version > deployed.version for t in states)


def _next(state: ReleaseState, event: Event) -> ReleaseState:
    if event.kind == "superseded" and state.undecided:
        return replace(state, superseded_by=str(event.payload.get("by")), end=End("superseded", event.at))
    if event.kind in ("rolled_back", "restored_relation"):
        return _after_restore(state, event)
    name = str(event.payload.get("target") or "")
    if event.kind in ("approved", "rejected") and not name:
        name = _asked(state, str(event.payload.get("seal")))
    before = state.of(name)
    after = before.after(event.kind, event.payload, at=event.at, version=event.version, release_ended=state.ended)
    if after == before:
        return state
    state = replace(state, targets={**state.targets, name: after})
    if after.deployment == "rolled_back":  # a claim was withdrawn, and meanwhile the rest may have been brought back
        return replace(state, end=state.end or _rolled_back(state, event.at, after.failure))
    decided = after.approval if after.approval != before.approval else None
    if decided is not None and decided.phase == "rejected":
        return replace(state, end=state.end or End("rejected", event.at, decided.reason))
    return state


def _after_restore(state: ReleaseState, event: Event) -> ReleaseState:
    """A rollback is of what the release changed in one gated target; one of older wheels names none, and is of all."""
    named = event.payload.get("target")
    undone = {
        name: target.after_restore(event.kind, event.payload, at=event.at, version=event.version)
        for name, target in state.targets.items()
        if target.deployment is not None and named in (None, "", name)
    }
    state = replace(state, targets={**state.targets, **undone})
    whole = event.kind == "rolled_back" and event.payload.get("complete", True)
    end = _rolled_back(state, event.at, event.payload.get("reason")) if whole else None
    return replace(state, end=end or state.end)


def _rolled_back(state: ReleaseState, at: datetime, reason: str | None) -> End | None:
    """How a release ends whose changes are brought back, if they are in every gated target that it has changed."""
    is_whole = all(t.deployment in (None, "rolled_back") for t in state.targets.values())
    return End("rolled_back", at, reason) if is_whole else None


def _asked(state: ReleaseState, seal: str) -> str:
    """The target whose approval was asked for under a seal: a decision names the seal alone."""
    return next((name for name, target in state.targets.items() if seal in target.requests), "")
