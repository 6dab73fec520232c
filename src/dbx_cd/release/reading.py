"""The release log as it was at one moment: read once, asked many things, so that all answers fit together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import TypeVar

from dbx_cd.records import Record
from dbx_cd.release.events import Release
from dbx_cd.release.state import Event, ReleaseState, state_of

R = TypeVar("R", bound=Record)


@dataclass(frozen=True)
class LogReading:
    """Events in commit order; those of `release` are whole, of all others only what a release's state needs."""

    events: tuple[Event, ...]
    release: Release | None = None

    def of(self, release_id: str, *, kinds: Sequence[str] = ()) -> list[Event]:
        """The events of one release, of some kinds or all."""
        return [e for e in self.events if e.release_id == release_id and (not kinds or e.kind in kinds)]

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

    def of_run(self, run_id: str) -> Release | None:
        """The first release, in commit order, that a job run opened: two tasks racing to open agree on it."""
        opened = (e for e in self.events if e.kind == Release.KIND)
        return next((Release.read(dict(e.payload)) for e in opened if e.payload.get("run_id") == run_id), None)

    @cached_property
    def history(self) -> tuple[tuple[Release, ReleaseState], ...]:
        """Every release with its state, newest first."""
        rows = []
        by_release = sorted(self.events, key=lambda e: (e.release_id, e.version))
        for _, group in groupby(by_release, key=lambda e: e.release_id):
            of_release = list(group)
            state = state_of(of_release)
            if state is not None:
                opened = next(e for e in of_release if e.kind == Release.KIND)
                rows.append((opened.version, Release.read(dict(opened.payload)), state))
        return tuple((release, state) for _, release, state in sorted(rows, key=lambda row: row[0], reverse=True))
