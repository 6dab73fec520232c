"""Who wrote an event, by the platform's word."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from dbx_cd.delta.history import Commit
from dbx_cd.people import same_person
from dbx_cd.release.authorship import Identities, in_words, misattributed, written_by_others
from dbx_cd.release.state import Event

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def event(version: int, *, kind: str = "approved", actor: str = "owner@example.org") -> Event:
    return Event(f"e{version}{kind}", "r", kind, NOW, actor, {}, version)


def commit(version: int, user: str | None) -> Commit:
    return Commit(version, NOW, "WRITE", user, {"mode": "Append"})


def test_an_event_that_somebody_else_committed_is_misattributed() -> None:
    forged, own = event(2), event(3)
    commits = [commit(3, "owner@example.org"), commit(2, "dev@example.org")]
    assert misattributed([forged, own], commits) == (forged,)


@pytest.mark.parametrize("user", ["owner@example.org", "Owner@Example.org", None])
def test_an_event_is_its_actor_s_where_the_platform_says_so_or_nothing(user: str | None) -> None:
    assert misattributed([event(2)], [commit(2, user)]) == ()


def test_what_the_history_does_not_reach_back_to_is_not_judged() -> None:
    assert misattributed([event(1)], [commit(2, "dev@example.org")]) == ()


def test_an_event_of_nobody_is_not_that_of_whoever_committed_it() -> None:
    assert misattributed([event(2, actor="")], [commit(2, "dev@example.org")]) == (event(2, actor=""),)


def test_what_is_wrong_with_a_commit_names_every_event_in_it() -> None:
    words = in_words([event(2), event(2, kind="smoked", actor="bot"), event(4, actor="")])
    assert words == {
        2: "WRITE of events in another's name: approved, as owner@example.org; smoked, as bot",
        4: "WRITE of events in another's name: approved, as nobody",
    }


def test_kinds_that_the_workflow_writes_are_told_from_those_of_people() -> None:
    smoked = event(2, kind="smoked", actor="dev@example.org")
    built = event(3, kind="built", actor="BOT")
    assert written_by_others(
        [smoked, built, event(4)], workflow=Identities("bot", "bot"), kinds=("smoked", "built")
    ) == (smoked,)


@pytest.mark.parametrize(("one", "other"), [("A@x.org", "a@X.ORG"), (" a@x.org", "a@x.org")])
def test_names_are_compared_in_any_case(one: str, other: str) -> None:
    assert same_person(one, other)


@pytest.mark.parametrize(("one", "other"), [(None, None), ("", None), ("a@x.org", "b@x.org")])
def test_nobody_is_the_same_as_nobody(one: str | None, other: str | None) -> None:
    assert not same_person(one, other)
