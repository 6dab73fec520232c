"""One append-only Delta table of events: its rows, its columns, and how it is written and read."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from functools import cache
from typing import Any, Protocol, TypeVar, get_type_hints

from dbx_cd.delta.history import Commit
from dbx_cd.delta.sql import Sql
from dbx_cd.errors import SqlFailed
from dbx_cd.patience import Patience, passing_sql_error
from dbx_cd.relations import RelationName, quote, string_literal

T = TypeVar("T")

_log = logging.getLogger(__name__)

# Row tracking keeps the commit version of every row, also through OPTIMIZE, so that order survives the cleaning of
# the Delta log (30 days by default), which a join with DESCRIBE HISTORY would not.
LOG_PROPERTIES = {
    "delta.appendOnly": "true",
    "delta.enableRowTracking": "true",
    "delta.logRetentionDuration": "interval 400 days",
}
"""What a log is made with: nobody changes a row, rows keep their order, and commits stay to be looked at."""
# Databricks and open-source Spark 4 say the first, older ones the second.
_NO_SCHEMA = ("SCHEMA_NOT_FOUND", "NO_SUCH_SCHEMA_EXCEPTION")
_SQL_TYPES = {str: "STRING", int: "INT", datetime: "TIMESTAMP"}


@dataclass(frozen=True)
class LogRow:
    """One event as the table has it: the table's columns are these fields."""

    event_id: str
    """Unique."""
    release_id: str
    """The release it is about."""
    kind: str
    """What kind of record the payload is."""
    at: datetime
    """When, UTC."""
    actor: str | None
    """Who, as the platform names them."""
    format: int | None
    """The format of the payload."""
    payload: str | None
    """The record as JSON."""


@dataclass(frozen=True)
class Brief:
    """Which payloads are cut to a few fields: a restore point or a smoke report can be large, and a log is long."""

    fields: Mapping[str, str]
    """The fields to keep, by name, with their type in Spark SQL."""
    but_kinds: tuple[str, ...] = ()
    """Events of these kinds are whole."""
    but_release: str | None = None
    """Events of this release are whole."""

    def cuts(self, kind: str, release_id: str) -> bool:
        """Whether an event's payload is cut."""
        return kind not in self.but_kinds and release_id != self.but_release


def create_log(name: RelationName) -> str:
    """The statement that makes a log where there is none."""
    columns = ", ".join(f"{n} {t}{'' if optional else ' NOT NULL'}" for n, (t, optional) in _types().items())
    properties = ", ".join(f"'{name}' = '{value}'" for name, value in LOG_PROPERTIES.items())
    return f"CREATE TABLE IF NOT EXISTS {name.quoted} ({columns}) USING delta TBLPROPERTIES ({properties})"


class LogTable(Protocol):
    """Where a release log keeps its rows."""

    name: RelationName

    def append(self, rows: Sequence[LogRow]) -> None:
        """Append rows in one commit, which also makes the table where there is none."""

    def rows(
        self, *, release_id: str | None = None, kinds: Sequence[str] = (), brief: Brief | None = None
    ) -> list[tuple[int, LogRow]]:
        """Rows, each with the version of the commit that wrote it, in that order; none where there is no table.

        Args:
            release_id: by default rows of every release.
            kinds: by default all.
            brief: which payloads to cut; by default none.
        """

    def newest(
        self, kind: str, *, where: Mapping[str, str], but_release: str | None, limit: int
    ) -> list[tuple[int, LogRow]]:
        """The newest row of each release, of the `limit` releases that have the newest ones, in commit order.

        Args:
            kind: the kind of the rows.
            where: values that fields of the payload have.
            but_release: a release to leave out.
            limit: how many rows at most.
        """

    def commits(self) -> list[Commit]:
        """The table's history, newest first; none where there is no table."""

    def table_id(self) -> str | None:
        """What tells this table from any other, also from one of the same name; None where there is no table."""


class DeltaLogTable:
    """A `LogTable` in Delta; schema and table are made when something is appended first."""

    def __init__(self, sql: Sql, name: RelationName, *, patience: Patience | None = None) -> None:
        self.name = name
        self._patience = patience or Patience()
        self._sql = sql
        self._known = False

    def append(self, rows: Sequence[LogRow]) -> None:
        """One Delta commit, tagged with the first event's id; written once, whatever answers are lost on the way."""
        self._patience.repeat(lambda: self._append(rows), passing=passing_sql_error)

    def _append(self, rows: Sequence[LogRow]) -> None:
        try:
            self._create()
            self._write(rows)
        except SqlFailed as exc:
            # A commit can be made although its statement fails: the answer is lost, or what Delta does after it fails.
            if not self._has(rows[0].event_id, after=exc):
                raise
            _log.warning("the event %s is in %s, although its statement failed: %s", rows[0].kind, self.name, exc)

    def _has(self, event_id: str, *, after: SqlFailed) -> bool:
        """Whether an event is in the table; where that cannot be seen either, the failure says so."""
        try:
            if not self._exists():
                return False
            found = f"SELECT 1 FROM {self.name.quoted} WHERE event_id = {string_literal(event_id)} LIMIT 1"
            return bool(self._sql.query(found))
        except SqlFailed as exc:
            after.note(f"whether the event {event_id} is in {self.name} cannot be seen: {exc.what}")
            return False

    def _write(self, rows: Sequence[LogRow]) -> None:
        written = json.dumps([{**vars(row), "at": row.at.isoformat()} for row in rows])
        # Spark puts settings and the environment in place of ${...}, in the values of parameters as well (measured).
        as_is = written.replace("${", "\\u0024{")
        self._sql.append(
            self.name, _from_json(), user_metadata=f"dbx_cd {rows[0].event_id}", once_as=rows[0].event_id, rows=as_is
        )

    def rows(
        self, *, release_id: str | None = None, kinds: Sequence[str] = (), brief: Brief | None = None
    ) -> list[tuple[int, LogRow]]:
        """See `LogTable`; one query."""
        if not self._ask(self._exists):
            return []
        payload = "payload" if brief is None else _cut(brief)
        wanted = [] if release_id is None else [f"release_id = {string_literal(release_id)}"]
        wanted += [f"kind IN ({_literals(kinds)})"] if kinds else []
        found = self._rows(
            f"SELECT _metadata.row_commit_version AS version, {', '.join(_columns()[:-1])}, {payload} AS payload "
            f"FROM {self.name.quoted} WHERE {' AND '.join(wanted) or 'true'}"
        )
        return sorted(((row["version"], _read(row)) for row in found), key=lambda read: read[0])

    def newest(
        self, kind: str, *, where: Mapping[str, str], but_release: str | None, limit: int
    ) -> list[tuple[int, LogRow]]:
        """See `LogTable`; one query, whose payloads are only those of the rows that it answers with."""
        if not self._ask(self._exists):
            return []
        wanted = [f"kind = {string_literal(kind)}"]
        wanted += [f"get_json_object(payload, '$.{f}') = {string_literal(value)}" for f, value in where.items()]
        wanted += [f"release_id <> {string_literal(but_release)}"] if but_release is not None else []
        version = "_metadata.row_commit_version"
        found = self._rows(
            f"SELECT {version} AS version, {', '.join(_columns())} FROM {self.name.quoted} WHERE event_id IN ("
            f"SELECT max_by(event_id, {version}) FROM {self.name.quoted} WHERE {' AND '.join(wanted)} "
            f"GROUP BY release_id ORDER BY max({version}) DESC LIMIT {int(limit)})"
        )
        return sorted(((row["version"], _read(row)) for row in found), key=lambda read: read[0])

    def commits(self) -> list[Commit]:
        """DESCRIBE HISTORY."""
        if not self._ask(self._exists):
            return []
        return [Commit.read(row.asDict()) for row in self._rows(f"DESCRIBE HISTORY {self.name.quoted}")]

    def table_id(self) -> str | None:
        """Delta's own id, from DESCRIBE DETAIL."""
        is_there = self._ask(self._exists)
        return str(self._rows(f"DESCRIBE DETAIL {self.name.quoted}")[0]["id"]) if is_there else None

    def _ask(self, question: Callable[[], T]) -> T:
        """Read, again where the connection broke. What an append looks at is not asked so: it is repeated itself."""
        return self._patience.repeat(question, passing=passing_sql_error)

    def _rows(self, query: str) -> list[Any]:
        return self._ask(lambda: self._sql.query(query))

    def _exists(self) -> bool:
        self._known = self._known or self._sql.exists(self.name)
        return self._known

    def _create(self) -> None:
        if self._exists():
            return
        create = create_log(self.name)
        try:
            self._sql.execute(create)
        except SqlFailed as exc:
            if exc.condition not in _NO_SCHEMA:
                raise
            # Not beforehand: CREATE SCHEMA takes a right on the catalog also where the schema is there (IF NOT EXISTS).
            self._sql.execute(f"CREATE SCHEMA IF NOT EXISTS {quote(self.name.catalog)}.{quote(self.name.schema)}")
            self._sql.execute(create)
        self._known = True


@cache
def _types() -> dict[str, tuple[str, bool]]:
    """Each column's SQL type, and whether it may be NULL: what `LogRow` says of its fields."""
    found = {}
    for name, hint in get_type_hints(LogRow).items():
        optional = type(None) in getattr(hint, "__args__", ())
        plain = next(t for t in _SQL_TYPES if t is hint or t in getattr(hint, "__args__", ()))
        found[name] = (_SQL_TYPES[plain], optional)
    return found


def _columns() -> list[str]:
    return [f.name for f in fields(LogRow)]


def _from_json() -> str:
    """Rows as the parameter of a query: no Python worker has to start for a few rows, as createDataFrame would need."""
    # As text: Spark would read a timestamp in JSON in the session's time zone where it names none.
    listed = ", ".join(f"{n}: {'STRING' if t == 'TIMESTAMP' else t}" for n, (t, _) in _types().items())
    taken = ", ".join(f"CAST({n} AS TIMESTAMP) AS {n}" if t == "TIMESTAMP" else n for n, (t, _) in _types().items())
    return f"SELECT {taken} FROM (SELECT inline(from_json(:rows, 'ARRAY<STRUCT<{listed}>>')))"


def _cut(brief: Brief) -> str:
    whole = [f"kind IN ({_literals(brief.but_kinds)})"] if brief.but_kinds else []
    whole += [f"release_id = {string_literal(brief.but_release)}"] if brief.but_release is not None else []
    shape = ", ".join(f"{name} {kind}" for name, kind in brief.fields.items())
    cut = f"to_json(from_json(payload, '{shape}'))"
    return f"CASE WHEN {' OR '.join(whole) or 'false'} THEN payload ELSE {cut} END"


def _literals(words: Sequence[str]) -> str:
    return ", ".join(map(string_literal, words))


def _read(row: Any) -> LogRow:
    # Spark hands timestamps over as naive local times of this process.
    return LogRow(**{name: row[name] for name in _columns()} | {"at": row["at"].astimezone(UTC)})
