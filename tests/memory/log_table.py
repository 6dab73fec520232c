"""A release log's table in memory."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from dbx_cd.delta.history import Commit
from dbx_cd.delta.log_table import Brief, LogRow
from dbx_cd.relations import RelationName


class MemoryLogTable:
    """Rows in commit order.

    Args:
        before_append: called with the rows before they are there; what it raises keeps them out, as when the process
            was killed at that moment.
        after_append: called with the rows when they are there.
        after_read: called when rows were read and not yet handed over: what happens then, the reader does not know.
    """

    def __init__(
        self,
        name: RelationName | None = None,
        *,
        before_append: Callable[[Sequence[LogRow]], None] = lambda _rows: None,
        after_append: Callable[[Sequence[LogRow]], None] = lambda _rows: None,
        after_read: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = name or RelationName("ops", "memory", "release_log")
        self.before_append, self.after_append, self.after_read = before_append, after_append, after_read
        self.user: str | None = None  # who the platform says commits
        self.names_users = False  # whether it says so by itself: then it is who the rows say they are of
        self.id = uuid.uuid4().hex
        self._rows: list[tuple[int, LogRow]] = []
        self._commits: list[Commit] = []
        self._briefs: dict[tuple[str, tuple[str, ...]], LogRow] = {}

    def append(self, rows: Sequence[LogRow]) -> None:
        """One commit."""
        self.before_append(rows)
        user = self.user or (rows[0].actor if self.names_users else None)
        if not self._commits:
            self._commit("CREATE TABLE", {}, user=user)
        version = self._commit("WRITE", {"mode": "Append"}, user=user)
        self._rows += [(version, row) for row in rows]
        self.after_append(rows)

    def rows(
        self, *, release_id: str | None = None, kinds: Sequence[str] = (), brief: Brief | None = None
    ) -> list[tuple[int, LogRow]]:
        """See `LogTable`."""
        found = [
            (version, self._cut(row, brief))
            for version, row in self._rows
            if release_id in (None, row.release_id) and (not kinds or row.kind in kinds)
        ]
        self.after_read()
        return found

    def newest(
        self, kind: str, *, where: Mapping[str, str], but_release: str | None, limit: int
    ) -> list[tuple[int, LogRow]]:
        """See `LogTable`."""
        found: dict[str, tuple[int, LogRow]] = {}
        for version, row in self._rows:
            payload = json.loads(row.payload or "{}")
            if row.kind == kind and row.release_id != but_release and where.items() <= payload.items():
                found[row.release_id] = (version, row)
        self.after_read()
        return sorted(found.values(), key=lambda read: read[0])[-limit:] if limit > 0 else []

    def commits(self) -> list[Commit]:
        """Newest first."""
        return self._commits[::-1]

    def table_id(self) -> str | None:
        """See `LogTable`."""
        return self.id if self._commits else None

    def made_anew(self, rows: Sequence[LogRow]) -> None:
        """Drop the table and make it again with rows of somebody's choice."""
        self._rows, self._commits, self.id = [], [], uuid.uuid4().hex
        self.append(rows)

    def created_by(self, operation: str) -> None:
        """The first commit is of another operation than CREATE TABLE."""
        self._commits[0] = replace(self._commits[0], operation=operation)

    def alter(self, operation: str, **parameters: str) -> None:
        """A commit that is no append, as somebody makes who owns the table."""
        self._commit(operation, parameters, user=self.user)

    def forget(self, kind: str) -> None:
        """The rows of a kind are not there any more."""
        self._rows = [(version, row) for version, row in self._rows if row.kind != kind]

    def move_back(self, by: Mapping[str, timedelta]) -> None:
        """The commit times that rows hold of tables, so much earlier: as if the clock had moved on.

        `by`: by the names that the rows give the tables.
        """
        for n, (version, row) in enumerate(self._rows):
            payload: dict[str, Any] = json.loads(row.payload or "{}")
            for state in payload.get("relations", ()):
                if state.get("committed_at") and state["name"] in by:
                    moved = datetime.fromisoformat(state["committed_at"]) - by[state["name"]]
                    state["committed_at"] = moved.isoformat()
            self._rows[n] = (version, replace(row, payload=json.dumps(payload)))

    def _commit(self, operation: str, parameters: dict[str, str], *, user: str | None) -> int:
        version = len(self._commits)
        self._commits.append(Commit(version, datetime.now(UTC), operation, user, parameters))
        return version

    def _cut(self, row: LogRow, brief: Brief | None) -> LogRow:
        if brief is None or not brief.cuts(row.kind, row.release_id):
            return row
        key = (row.event_id, tuple(brief.fields))
        if key not in self._briefs:
            payload = _object(row.payload)
            # As Spark's to_json(from_json(...)): fields without a value are left out.
            kept = {name: payload[name] for name in brief.fields if payload.get(name) is not None}
            self._briefs[key] = LogRow(**{**vars(row), "payload": json.dumps(kept)})
        return self._briefs[key]


def _object(text: str | None) -> dict[str, Any]:
    """JSON as Spark's from_json takes it: what is no object has no fields."""
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
