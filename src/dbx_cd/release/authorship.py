"""Who wrote an event, by the platform's word: an event is of whom it says only if that user committed it.

Anybody with MODIFY on the log's table can append a row that names somebody else as its actor. The table's history names
who committed it, and that nobody can write (Databricks documentation on DESCRIBE HISTORY: `userName`). Open-source
Delta names nobody; then there is nothing to compare with.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from dbx_cd.delta.history import Commit
from dbx_cd.people import same_person
from dbx_cd.release.state import Event

OF_THE_WORKFLOW = (
    *("superseded", "built", "smoked", "approval_requested", "deploying", "claim_withdrawn", "deployed", "failed"),
    *("deploy_planned", "restore_point", "built_versions", "build_begun"),
)
"""The kinds of events by which a release gets on: they count in the name of whoever opened the release, and at the gate
in the Workflow's name only. A rollback is a person's as well; the smoke test after it lets nothing on."""
_OF_STAGING = ("opened", "superseded", "build_begun")
_OF_EITHER = ("built", "smoked", "failed")


@dataclass(frozen=True)
class Identities:
    """As whom the Workflow works: one identity for all of it, or one for each half."""

    staging: str
    """Who opens releases, and builds and tests what has no gate."""
    production: str
    """Who asks for approvals, and builds, tests and rolls back what has a gate."""
    gates: tuple[str, ...] = ()
    """The gated targets."""

    def writer_of(self, event: Event) -> str:
        """Which of the two alone writes an event of the Workflow's kinds."""
        gated = event.kind not in _OF_EITHER or event.payload.get("target") in self.gates
        return self.production if gated and event.kind not in _OF_STAGING else self.staging


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


def not_by_their_opener(events: Iterable[Event], *, production: str | None = None) -> tuple[Event, ...]:
    """The Workflow's kinds of events that somebody else has written than opened the release, in their own name.

    Args:
        events: events of the log.
        production: who works for the Workflow as well, where what has a gate is built by an identity of its own.
    """
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
        and event.actor.casefold() not in (openers[event.release_id].casefold(), (production or "").casefold())
    )


def in_words(events: Iterable[Event]) -> Mapping[int, str]:
    """What is wrong with misattributed events, by the version of their commit."""
    found: dict[int, list[str]] = {}
    for event in events:
        found.setdefault(event.version, []).append(f"{event.kind}, as {committer_expected(event) or 'nobody'}")
    return {version: "WRITE of events in another's name: " + "; ".join(whose) for version, whose in found.items()}


def written_by_others(
    events: Iterable[Event], *, workflow: Identities, kinds: Collection[str] = OF_THE_WORKFLOW
) -> tuple[Event, ...]:
    """The events of kinds that the Workflow alone writes and that say they are of somebody else.

    Args:
        events: events of the log.
        workflow: as whom the Workflow works.
        kinds: the kinds.
    """
    return tuple(e for e in events if e.kind in kinds and not same_person(e.actor, workflow.writer_of(e)))
