"""Who wrote an event, by the platform's word: an event is of whom it says only if that user committed it.

Anybody with MODIFY on the log's table can append a row that names somebody else as its actor. The table's history names
who committed it, and that nobody can write (Databricks documentation on DESCRIBE HISTORY: `userName`). Open-source
Delta names nobody; then there is nothing to compare with.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from dbx_cd.delta.history import Commit
from dbx_cd.people import same_person
from dbx_cd.release.state import Event


def committer_expected(event: Event) -> str:
    """As whom an event must have been committed: the one place for this."""
    return event.actor


def misattributed(events: Iterable[Event], commits: Iterable[Commit]) -> tuple[Event, ...]:
    """The events that somebody else committed than they say.

    Args:
        events: events of the log.
        commits: the log's history; what it does not reach back to is not judged.
    """
    users = {commit.version: commit.user for commit in commits}
    return tuple(
        event
        for event in events
        if (user := users.get(event.version)) is not None and not same_person(user, committer_expected(event))
    )


def in_words(events: Iterable[Event]) -> Mapping[int, str]:
    """What is wrong with misattributed events, by the version of their commit."""
    found: dict[int, list[str]] = {}
    for event in events:
        found.setdefault(event.version, []).append(f"{event.kind}, as {committer_expected(event) or 'nobody'}")
    return {version: "WRITE of events in another's name: " + "; ".join(whose) for version, whose in found.items()}


def written_by_others(events: Iterable[Event], *, identity: str, kinds: Collection[str]) -> tuple[Event, ...]:
    """The events of kinds that the Workflow alone writes and that say they are of somebody else.

    Args:
        events: events of a release.
        identity: the Workflow's own identity.
        kinds: the kinds.
    """
    return tuple(e for e in events if e.kind in kinds and not same_person(e.actor, identity))
