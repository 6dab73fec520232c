from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dbx_cd.release.state import Event, ReleaseState, state_of

START = datetime(2026, 1, 1, tzinfo=UTC)

# One word for each event a release can have, as the release log stores it.
EVENTS: dict[str, tuple[str, dict[str, Any]]] = {
    "opened": ("opened", {}),
    "staged": ("built", {"ok": True, "gated": False, "target": "stg"}),
    "staging broke": ("built", {"ok": False, "gated": False, "target": "stg", "summary": "orders: no such column"}),
    "smoked": ("smoked", {"ok": True, "target": "stg"}),
    "smoke failed": ("smoked", {"ok": False, "target": "stg", "summary": "revenue below 0"}),
    "requested": ("approval_requested", {"seal": "s1"}),
    "requested anew": ("approval_requested", {"seal": "s2"}),
    "approved": ("approved", {"seal": "s1", "actor": "owner", "reason": None}),
    "approved anew": ("approved", {"seal": "s2", "actor": "owner", "reason": None}),
    "rejected": ("rejected", {"seal": "s1", "actor": "other", "reason": "wrong revenue"}),
    "superseded": ("superseded", {"by": "r2"}),
    "restore point": ("restore_point", {}),
    "deploying": ("deploying", {"target": "prod"}),
    "prod built": ("built", {"ok": True, "gated": True, "target": "prod"}),
    "prod broke": ("built", {"ok": False, "gated": True, "target": "prod"}),
    "deployed": ("deployed", {"target": "prod"}),
    "deployed too": ("deployed", {"target": "prod_eu"}),
    "failed": ("failed", {"target": "prod", "reason": "a model failed"}),
    "prod smoked": ("smoked", {"ok": True, "target": "prod"}),
    "prod smoke failed": ("smoked", {"ok": False, "target": "prod", "summary": "3 checks failed"}),
    "staged as A": ("built", {"ok": True, "gated": False, "target": "stg", "timestamp": "A"}),
    "staged as B": ("built", {"ok": True, "gated": False, "target": "stg", "timestamp": "B"}),
    "A smoked": ("smoked", {"ok": True, "target": "stg", "artifacts": "A"}),
    "A smoke failed": ("smoked", {"ok": False, "target": "stg", "artifacts": "A"}),
    "B smoked": ("smoked", {"ok": True, "target": "stg", "artifacts": "B"}),
    "prod built as A": ("built", {"ok": True, "gated": True, "target": "prod", "timestamp": "A"}),
    "prod built as B": ("built", {"ok": True, "gated": True, "target": "prod", "timestamp": "B"}),
    "prod A smoked": ("smoked", {"ok": True, "target": "prod", "artifacts": "A"}),
    "prod A smoke failed": ("smoked", {"ok": False, "target": "prod", "artifacts": "A"}),
    "prod B smoke failed": ("smoked", {"ok": False, "target": "prod", "artifacts": "B"}),
    "docs": ("docs_published", {}),
    "planned": ("restore_planned", {}),
    "restored one": ("restored_relation", {}),
    "rolled back": ("rolled_back", {"complete": True}),
    "rolled back in part": ("rolled_back", {"complete": False}),
    "of a newer wheel": ("not_known_yet", {"ok": False}),
}


def replay(*words: str) -> ReleaseState:
    events = [
        Event(f"e{version}", "r1", kind, START + timedelta(minutes=version), "job", payload, version)
        for version, (kind, payload) in enumerate(map(EVENTS.__getitem__, words))
    ]
    state = state_of(events)
    assert state is not None
    return state


STAGED = ("opened", "staged", "smoked")
WAITING = (*STAGED, "requested")
APPROVED = (*WAITING, "approved")
DEPLOYING = (*APPROVED, "restore point", "deploying")
DEPLOYED = (*DEPLOYING, "prod built", "deployed")
DONE = (*DEPLOYED, "prod smoked", "docs")

TRANSITIONS = [
    # what happened so far, what happens now, the phase then
    ((), "opened", "opened"),
    (("opened",), "opened", "opened"),
    (("opened",), "staged", "built"),
    (("opened",), "staging broke", "failed"),
    (("opened", "staging broke"), "staged", "built"),
    (("opened", "staged"), "smoked", "smoked"),
    (("opened", "staged"), "smoke failed", "failed"),
    (("opened", "staged", "smoke failed"), "smoked", "smoked"),
    (STAGED, "requested", "waiting"),
    (STAGED, "approved", "smoked"),
    (STAGED, "rejected", "smoked"),
    (WAITING, "requested", "waiting"),
    (WAITING, "requested anew", "waiting"),
    (WAITING, "approved", "approved"),
    (WAITING, "approved anew", "waiting"),
    (WAITING, "rejected", "rejected"),
    (APPROVED, "requested", "approved"),
    (APPROVED, "requested anew", "waiting"),
    (APPROVED, "restore point", "approved"),
    (APPROVED, "deploying", "deploying"),
    (DEPLOYING, "requested", "deploying"),
    (DEPLOYING, "prod built", "deploying"),
    (DEPLOYING, "prod broke", "deploying"),
    (DEPLOYING, "failed", "failed"),
    (DEPLOYING, "deployed", "deployed"),
    (DEPLOYED, "requested", "deployed"),
    (DEPLOYED, "prod smoked", "deployed"),
    (DEPLOYED, "prod smoke failed", "failed"),
    (DEPLOYED, "docs", "deployed"),
    (DEPLOYED, "deployed too", "deployed"),
    (DONE, "planned", "deployed"),
    (DONE, "restored one", "deployed"),
    (DONE, "rolled back", "rolled_back"),
    (DONE, "rolled back in part", "deployed"),
    ((*DEPLOYED, "prod smoke failed"), "rolled back", "rolled_back"),
    ((*DEPLOYING, "failed"), "rolled back", "rolled_back"),
    *((state, "of a newer wheel", phase) for state, phase in ((WAITING, "waiting"), (DONE, "deployed"))),
]


@pytest.mark.parametrize(("before", "event", "phase"), TRANSITIONS)
def test_phase_after(before: tuple[str, ...], event: str, phase: str) -> None:
    assert replay(*before, event).phase == phase


@pytest.mark.parametrize("before", [("opened",), ("opened", "staged"), STAGED, WAITING])
def test_undecided_release_can_be_superseded(before: tuple[str, ...]) -> None:
    state = replay(*before, "superseded")
    assert replay(*before).undecided
    assert (state.phase, state.superseded_by, state.undecided) == ("superseded", "r2", False)


@pytest.mark.parametrize(
    "before",
    [APPROVED, (*WAITING, "rejected"), DEPLOYING, DEPLOYED, ("opened", "staging broke"), (*DONE, "rolled back")],
)
def test_decided_release_is_never_superseded(before: tuple[str, ...]) -> None:
    assert not replay(*before).undecided
    assert replay(*before, "superseded") == replay(*before)


ENDED = {
    "rejected": (*WAITING, "rejected"),
    "superseded": (*WAITING, "superseded"),
    "rolled_back": (*DONE, "rolled back"),
}


@pytest.mark.parametrize("phase", ENDED)
@pytest.mark.parametrize("event", [e for e in EVENTS if e not in ("opened", "rolled back")])
def test_nothing_goes_on_after_the_end(phase: str, event: str) -> None:
    assert replay(*ENDED[phase]).ended
    assert replay(*ENDED[phase], event).phase == phase


def test_release_that_is_not_over_has_not_ended() -> None:
    for words in (("opened",), WAITING, APPROVED, DEPLOYING, DONE, ("opened", "staging broke")):
        assert not replay(*words).ended


@pytest.mark.parametrize(
    ("first", "second", "phase", "actor"),
    [("approved", "rejected", "approved", "owner"), ("rejected", "approved", "rejected", "other")],
)
def test_first_decision_wins(first: str, second: str, phase: str, actor: str) -> None:
    state = replay(*WAITING, first, second)
    assert (state.phase, state.actor) == (phase, actor)


def test_approval_of_an_earlier_seal_counts_for_nothing() -> None:
    assert replay(*WAITING, "requested anew", "approved").phase == "waiting"
    assert replay(*WAITING, "requested anew", "approved anew").phase == "approved"


def test_order_is_that_of_the_commits_not_of_the_clock() -> None:
    opened = Event("a", "r1", "opened", START + timedelta(hours=1), "job", {}, 0)
    built = Event("b", "r1", "built", START, "job", {"ok": True}, 1)
    state = state_of([built, opened])
    assert state is not None
    assert (state.phase, state.since) == ("built", START)


def test_events_without_an_opening_make_no_release() -> None:
    assert state_of([]) is None
    assert state_of([Event("b", "r1", "built", START, "job", {"ok": True}, 1)]) is None


def test_rejection_says_who_and_why() -> None:
    state = replay(*WAITING, "rejected")
    assert (state.actor, state.reason) == ("other", "wrong revenue")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("opened", "staging broke"), "orders: no such column"),
        (("opened", "staged", "smoke failed"), "revenue below 0"),
        ((*DEPLOYING, "failed"), "a model failed"),
        ((*DEPLOYED, "prod smoke failed"), "3 checks failed"),
    ],
)
def test_failure_says_why(words: tuple[str, ...], reason: str) -> None:
    assert replay(*words).reason == reason


def test_reason_of_a_failure_is_gone_once_fixed() -> None:
    assert replay("opened", "staging broke", "staged").reason is None


def test_target_being_deployed_is_known_until_it_is_done() -> None:
    assert replay(*DEPLOYING).deploying_to == "prod"
    for end in ("deployed", "failed", "rolled back"):
        assert replay(*DEPLOYING, end).deploying_to is None


def test_targets_are_named_once_each_in_the_order_they_were_deployed() -> None:
    assert replay(*DEPLOYED, "deployed too", "deployed").deployed_to == ("prod", "prod_eu")


def test_release_knows_since_when_it_is_in_its_phase() -> None:
    assert replay(*WAITING, "of a newer wheel").since == START + timedelta(minutes=3)


@pytest.mark.parametrize("word", ["restored one", "rolled back in part"])
def test_a_restore_of_an_earlier_wheel_counts_as_one_that_brought_something_back(word: str) -> None:
    assert replay(*DONE, word).partly_rolled_back == ("prod",)


@pytest.mark.parametrize(
    ("words", "phase"),
    [
        (("staged as A", "A smoked"), "smoked"),
        (("staged as A", "staged as B", "A smoked"), "built"),
        (("staged as A", "staged as B", "A smoke failed"), "built"),
        (("staged as A", "staged as B", "B smoked", "A smoke failed"), "smoked"),
        (("staged", "A smoked"), "smoked"),  # of which build, an older record does not say
        (("staged as A", "smoked"), "smoked"),
    ],
)
def test_a_smoke_test_of_an_older_build_says_nothing_about_a_newer_one(words: tuple[str, ...], phase: str) -> None:
    assert replay("opened", *words).of("stg").phase == phase


def test_a_smoke_test_of_an_older_build_does_not_make_a_failed_deploy_good() -> None:
    first = (*DEPLOYING, "prod built as A", "deployed")
    second = (*first, "deploying", "prod built as B", "deployed")
    assert replay(*first, "prod A smoke failed", "prod A smoked").of("prod").is_in_place
    assert replay(*second, "prod A smoke failed").of("prod").is_in_place
    assert not replay(*second, "prod B smoke failed", "prod A smoked").of("prod").is_in_place
