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

OF_THE_WORKFLOW = (
    *("superseded", "built", "smoked", "approval_requested", "deploying", "claim_withdrawn", "deployed", "failed"),
    *("deploy_planned", "restore_point", "built_versions", "build_begun"),
)
"""The kinds of events by which a release gets on: they count in the name of whoever opened the release, and at the gate
in the Workflow's name only. A rollback is a person's as well; the smoke test after it lets nothing on."""


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


def not_by_their_opener(events: Iterable[Event]) -> tuple[Event, ...]:
    """The Workflow's kinds of events that somebody else has written than opened the release, in their own name."""
    listed = tuple(events)
    openers: dict[str, str] = {}
    for event in sorted(listed, key=lambda e: e.version):
        if event.kind == "opened":
            openers.setdefault(event.release_id, event.actor)
    return tuple(
        event
        for event in listed
        if event.kind in OF_THE_WORKFLOW
        and event.release_id in openers
        and event.actor.casefold() != openers[event.release_id].casefold()
    )


def in_words(events: Iterable[Event]) -> Mapping[int, str]:
    """What is wrong with misattributed events, by the version of their commit."""
    found: dict[int, list[str]] = {}
    for event in events:
        found.setdefault(event.version, []).append(f"{event.kind}, as {committer_expected(event) or 'nobody'}")
    return {version: "WRITE of events in another's name: " + "; ".join(whose) for version, whose in found.items()}


def written_by_others(
    events: Iterable[Event], *, identity: str, kinds: Collection[str] = OF_THE_WORKFLOW
) -> tuple[Event, ...]:
    """The events of kinds that the Workflow alone writes and that say they are of somebody else.

    Args:
        events: events of the log.
        identity: the Workflow's own identity.
        kinds: the kinds.
    """
    return tuple(e for e in events if e.kind in kinds and not same_person(e.actor, identity))
