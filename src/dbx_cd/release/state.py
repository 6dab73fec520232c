"""What a release's events add up to: one pure function.

The release log only ever grows, so nothing stores "the state" of a release. Whoever wants it replays the events.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

Phase = Literal[
    "opened",
    "built",
    "smoked",
    "waiting",
    "approved",
    "rejected",
    "superseded",
    "deploying",
    "deployed",
    "failed",
    "rolled_back",
]
UNDECIDED: tuple[Phase, ...] = ("opened", "built", "smoked", "waiting")
# What `state_of`, and whoever compares releases, read of an event's payload, with the types of Spark SQL.
STATE_FIELDS = {
    "format": "INT",
    "ok": "BOOLEAN",
    "gated": "BOOLEAN",
    "complete": "BOOLEAN",
    "target": "STRING",
    "seal": "STRING",
    "actor": "STRING",
    "reason": "STRING",
    "summary": "STRING",
    "by": "STRING",
    "project_digest": "STRING",
}


@dataclass(frozen=True)
class Event:
    """One row of the release log; `version` is the Delta version of the commit that wrote it, the only order."""

    event_id: str
    release_id: str
    kind: str
    at: datetime
    actor: str
    payload: Mapping[str, Any]
    version: int


@dataclass(frozen=True)
class ReleaseState:
    """Where a release stands."""

    release_id: str
    phase: Phase
    since: datetime
    seal: str | None = None
    actor: str | None = None
    reason: str | None = None
    deployed_to: tuple[str, ...] = ()
    deploying_to: str | None = None
    superseded_by: str | None = None

    @property
    def undecided(self) -> bool:
        """Whether a newer release may still overtake this one."""
        return self.phase in UNDECIDED

    @property
    def ended(self) -> bool:
        """Whether nothing more can be built from this release."""
        return self.phase in ("rejected", "superseded", "rolled_back")


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
            state = state or ReleaseState(event.release_id, "opened", event.at)
        elif state is not None:
            state = _next(state, event)
    return state


def _next(state: ReleaseState, event: Event) -> ReleaseState:
    payload = event.payload

    def to(phase: Phase, **changes: Any) -> ReleaseState:
        return replace(state, phase=phase, since=event.at, **changes)

    if event.kind == "rolled_back":
        whole = payload.get("complete", True)
        return to("rolled_back", deploying_to=None, reason=payload.get("reason")) if whole else state
    if state.ended:
        return state
    match event.kind:
        case "built" if payload.get("gated"):
            return state
        case "built":
            return to("built", reason=None) if payload.get("ok") else to("failed", reason=payload.get("summary"))
        case "smoked":
            if not payload.get("ok"):
                return to("failed", reason=payload.get("summary"))
            # After a deploy the smoke test of production was repaired: the release is good after all.
            return to("deployed" if payload.get("target") in state.deployed_to else "smoked", reason=None)
        case "approval_requested":
            decided = state.phase in ("approved", "deploying", "deployed") and payload.get("seal") == state.seal
            return state if decided else to("waiting", seal=payload.get("seal"), reason=None)
        case "approved" | "rejected" if state.phase == "waiting" and payload.get("seal") == state.seal:
            phase: Phase = "approved" if event.kind == "approved" else "rejected"
            return to(phase, actor=payload.get("actor"), reason=payload.get("reason"))
        case "superseded" if state.undecided:
            return to("superseded", superseded_by=payload.get("by"))
        case "deploying":
            return to("deploying", deploying_to=payload.get("target"))
        case "deployed":
            target = str(payload.get("target"))
            return to("deployed", deploying_to=None, deployed_to=tuple(dict.fromkeys((*state.deployed_to, target))))
        case "failed":
            still = tuple(target for target in state.deployed_to if target != payload.get("target"))
            return to("failed", deploying_to=None, deployed_to=still, reason=payload.get("reason"))
    return state
