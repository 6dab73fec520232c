"""The release log as it was at one moment: read once, asked many things, so that all answers fit together."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar

from dbx_cd.delta.log_table import LogRow
from dbx_cd.errors import DbxCdError
from dbx_cd.records import Record
from dbx_cd.release.authorship import not_by_their_opener
from dbx_cd.release.events import Release
from dbx_cd.release.state import Event, ReleaseState, state_of

R = TypeVar("R", bound=Record)

UNREADABLE = "unreadable"
"""The kind of an event whose row is not one of this library's."""


def is_opening(event: Event) -> bool:
    """Whether an event opens a release that can be read; anybody with MODIFY can write one that cannot."""
    try:
        Release.read(dict(event.payload))
    except DbxCdError:
        return False
    return True


@dataclass(frozen=True)
class LogReading:
    """Events in commit order."""

    events: tuple[Event, ...]
    """All events: whole of `release`, of any other only what a release's state needs."""
    release: Release | None = None
    """The release whose records can be asked for."""
    not_counted: tuple[Event, ...] = ()
    """Events that were left out, since they do not count."""

    def of(self, release_id: str, *, kinds: Sequence[str] = ()) -> list[Event]:
        """The events of one release, of some kinds or all."""
        return [e for e in self.events if e.release_id == release_id and (not kinds or e.kind in kinds)]

    def without(self, events: Collection[Event]) -> LogReading:
        """The same reading, in which some events do not count."""
        # Not by their ids, which whoever writes a row chooses.
        left_out = set(map(id, events))
        if not left_out:
            return self
        remaining = tuple(e for e in self.events if id(e) not in left_out)
        removed = (e for e in self.events if id(e) in left_out)
        return replace(self, events=remaining, not_counted=(*self.not_counted, *removed))

    def all(self, record_type: type[R]) -> list[R]:
        """The records of a type in the reading's release, in commit order."""
        assert self.release is not None, "this reading is of no release"
        kinds = getattr(record_type, "KINDS", (record_type.KIND,))
        return [record_type.read(dict(e.payload)) for e in self.of(self.release.id, kinds=kinds)]

    def last(self, record_type: type[R]) -> R | None:
        """The newest record of a type in the reading's release, or None."""
        return next(reversed(self.all(record_type)), None)

    @property
    def state(self) -> ReleaseState:
        """Where the reading's release stands."""
        assert self.release is not None, "this reading is of no release"
        state = state_of(self.of(self.release.id))
        assert state is not None, f"{self.release} has no opened event"
        return state

    @cached_property
    def openings(self) -> tuple[Event, ...]:
        """The events that opened a release, in commit order.

        Of two `opened` events with one id, or of one run, only the first counts: the release's tasks agree on it.
        """
        found: list[Event] = []
        ids: set[str] = set()
        runs: set[str] = set()
        for event in self.events:
            run = str(event.payload.get("run_id"))
            if event.kind == Release.KIND and is_opening(event) and event.release_id not in ids and run not in runs:
                found.append(event)
                ids.add(event.release_id)
                runs.add(run)
        return tuple(found)

    def of_run(self, run_id: str) -> Release | None:
        """The release that a job run opened."""
        return next((Release.read(dict(e.payload)) for e in self.openings if e.payload.get("run_id") == run_id), None)

    @cached_property
    def history(self) -> tuple[tuple[Release, ReleaseState], ...]:
        """Every release with its state, newest first."""
        by_release: dict[str, list[Event]] = defaultdict(list)
        for event in self.events:
            by_release[event.release_id].append(event)
        rows = []
        for opened in reversed(self.openings):
            state = state_of(by_release[opened.release_id])
            assert state is not None
            rows.append((Release.read(dict(opened.payload)), state))
        return tuple(rows)

    def before(self, release: Release) -> tuple[tuple[Release, ReleaseState], ...]:
        """The releases that were opened before another one, newest first."""
        ids = [older.id for older, _ in self.history]
        return self.history[ids.index(release.id) + 1 :]

    def after(self, release: Release) -> tuple[tuple[Release, ReleaseState], ...]:
        """The releases that were opened after another one, newest first."""
        ids = [newer.id for newer, _ in self.history]
        return self.history[: ids.index(release.id)]


def events_of(rows: Sequence[tuple[int, LogRow]]) -> list[Event]:
    """Rows of the log's table, each with the version of its commit, as events; of one that cannot be read the kind says
    so, which counts for nothing.
    """
    return [_event(version, row) for version, row in rows]


def counting(events: Sequence[Event], release: Release | None = None, *, production: str | None = None) -> LogReading:
    """A reading of these events in which the Workflow's own kinds count in the name of who opened the release.

    Args:
        events: events of the log.
        release: the release whose records will be asked for.
        production: who works for the Workflow as well, see `not_by_their_opener`.
    """
    log = LogReading(tuple(events), release)
    return log.without(not_by_their_opener(log.events, production=production))


def unreadable(log: LogReading) -> list[int]:
    """The versions of the commits that wrote rows which nobody can read."""
    return [e.version for e in log.events if e.kind == UNREADABLE or (e.kind == Release.KIND and not is_opening(e))]


def _event(version: int, row: LogRow) -> Event:
    try:
        payload = json.loads(row.payload or "{}")
    except ValueError:
        payload = None
    kind = row.kind if isinstance(payload, dict) else UNREADABLE
    known = payload if isinstance(payload, dict) else {}
    return Event(row.event_id, row.release_id, kind, row.at, row.actor or "", known, version)
