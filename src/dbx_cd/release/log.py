"""The release log: one append-only Delta table of events, the only durable state besides artifacts."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from dbx_cd import html
from dbx_cd.errors import ReleaseError
from dbx_cd.records import Record
from dbx_cd.relations import RelationName, quote, string_literal
from dbx_cd.release.events import Release, Superseded
from dbx_cd.release.reading import LogReading
from dbx_cd.release.state import STATE_FIELDS, Event, ReleaseState

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

R = TypeVar("R", bound=Record)

_COLUMNS = (
    "event_id STRING NOT NULL, release_id STRING NOT NULL, kind STRING NOT NULL, at TIMESTAMP NOT NULL, "
    "actor STRING, format INT, payload STRING"
)
_NAMES = tuple(column.split()[0] for column in _COLUMNS.split(", "))
_BRIEF = f"to_json(from_json(payload, '{', '.join(f'{name} {kind}' for name, kind in STATE_FIELDS.items())}'))"
# Rows as the parameter of a query: no Python worker has to start for a few rows, as createDataFrame would need.
_ROWS = (
    "SELECT event_id, release_id, kind, CAST(at AS TIMESTAMP) AS at, actor, format, payload FROM (SELECT inline("
    "from_json(:rows, 'ARRAY<STRUCT<event_id: STRING, release_id: STRING, kind: STRING, at: STRING, actor: STRING, "
    "format: INT, payload: STRING>>')))"
)
# Row tracking keeps the commit version of every row, also through OPTIMIZE, so that order survives the cleaning of
# the Delta log (30 days by default), which a join with DESCRIBE HISTORY would not.
_PROPERTIES = (
    "'delta.appendOnly' = 'true', 'delta.enableRowTracking' = 'true', "
    "'delta.logRetentionDuration' = 'interval 400 days'"
)
_HARMLESS = frozenset(
    {"WRITE", "OPTIMIZE", "VACUUM START", "VACUUM END", "ANALYZE", "COMPUTE STATS", "SET TBLPROPERTIES"}
)


@dataclass(frozen=True)
class ReleaseHistory:
    """Every release with its state, newest first."""

    rows: tuple[tuple[Release, ReleaseState], ...]
    spark: SparkSession | None = None

    def __iter__(self) -> Iterator[tuple[Release, ReleaseState]]:
        return iter(self.rows)

    def __str__(self) -> str:
        return "\n".join(f"{r.id}  {r.commit[:12]}  {s.phase:<12} {r.requester}" for r, s in self.rows) or "no releases"

    def to_df(self) -> DataFrame:
        """The history as a DataFrame."""
        if self.spark is None:
            raise ReleaseError("this history was made without a Spark session", next_step="use ReleaseLog.history()")
        schema = (
            "release_id string, commit string, phase string, since timestamp, requester string, "
            "decided_by string, reason string"
        )
        rows = [(r.id, r.commit, s.phase, s.since, r.requester, s.actor, s.reason or r.reason) for r, s in self.rows]
        return self.spark.createDataFrame(rows, schema)

    def to_html(self) -> str:
        """The history as a table."""
        headers = ("release", "commit", "state", "since", "requested by", "decided by", "reason")
        rows = [
            (r.id, r.commit[:12], html.badge(s.phase), f"{s.since:%Y-%m-%d %H:%M}", r.requester, s.actor, s.reason)
            for r, s in self.rows
        ]
        return str(html.section("Releases", html.table(headers, rows)))

    def _repr_html_(self) -> str:
        return self.to_html()


class ReleaseLog:
    """Reads and appends events.

    Args:
        spark: a classic or Spark Connect session.
        table: three-level name; schema and table are created on first use.
        actor: who appends, as the platform names them.
    """

    def __init__(self, spark: SparkSession, table: str, *, actor: str = "") -> None:
        self.spark = spark
        self.table = RelationName.parse(table)
        self.actor = actor
        self._ready = False

    def open(self, commit: str, *, run_id: str, requester: str, reason: str | None = None) -> Release:
        """Open the release of a Workflow run, or find it again: idempotent per run.

        Older releases that nobody has decided on yet are superseded.

        Args:
            commit: the full SHA the run was started at.
            run_id: the job run's id, kept by repairs.
            requester: who started the run.
            reason: why, where somebody gave one (a rollback).
        """
        before = self.read()
        known = before.of_run(run_id)
        if known is not None:
            return known
        now = datetime.now(UTC)
        taken = {release.id for release, _ in before.history}
        release_id = next(
            candidate
            for seconds in range(len(taken) + 1)
            if (candidate := f"{now + timedelta(seconds=seconds):%Y%m%dT%H%M%SZ}-{commit[:7]}") not in taken
        )
        mine = Release(release_id, commit, run_id, requester, now, reason)
        self.append(mine, mine)
        after = self.read()
        opened = after.of_run(run_id)
        assert opened is not None
        if opened.id == mine.id:
            for older, state in after.history:
                if state.undecided and older.id != mine.id and older.opened_at <= mine.opened_at:
                    self.append(older, Superseded(by=mine.id))
        return opened

    def release(self, release_id: str) -> Release:
        """The release of that id.

        Raises:
            ReleaseError: there is none.
        """
        for event in self.events(release_id, kinds=("opened",)):
            return Release.read(dict(event.payload))
        raise ReleaseError(
            f"unknown release {release_id!r}", where=self.table, next_step="list releases with ReleaseLog.history()"
        )

    def for_run(self, run_id: str) -> Release:
        """The release of a Workflow run.

        Raises:
            ReleaseError: that run has opened none.
        """
        opened = LogReading(tuple(self.events(kinds=(Release.KIND,))))
        release = opened.of_run(run_id)
        if release is None:
            raise ReleaseError(
                f"job run {run_id} has no release",
                where=self.table,
                next_step="run the Workflow from its first task, stg_build, which opens one",
            )
        return release

    def last_good(self, target: str, *, before: Release | None = None) -> Release:
        """The newest release that is deployed to a target, not failed since and not rolled back.

        Args:
            target: the dbt target.
            before: leave out this release and newer ones; for a bad release that the log still takes for good.

        Raises:
            ReleaseError: there is none.
        """
        older = before is None
        for release, state in self.history():
            if older and state.phase == "deployed" and target in state.deployed_to:
                return release
            older = older or (before is not None and release.id == before.id)
        raise ReleaseError(f"no release is deployed to {target!r}", where=self.table)

    def append(self, release: Release, record: Record) -> Event:
        """Append one event: one row, one Delta commit, tagged with the event's id."""
        return self.append_all(release, [record])[0]

    def append_all(self, release: Release, records: Sequence[Record]) -> list[Event]:
        """Append events of one release in one Delta commit, which is tagged with the first event's id."""
        self._create()
        events = [self._event(release, record) for record in records]
        rows = [
            {
                "event_id": event.event_id,
                "release_id": event.release_id,
                "kind": event.kind,
                "at": event.at.isoformat(),
                "actor": event.actor,
                "format": record.FORMAT,
                "payload": json.dumps(event.payload, default=str, sort_keys=True),
            }
            for event, record in zip(events, records, strict=True)
        ]
        # The writer option, not a session setting: the latter is for classic compute only (Delta documentation).
        frame = self.spark.sql(_ROWS, args={"rows": json.dumps(rows)}).write.format("delta").mode("append")
        frame.option("userMetadata", f"dbx_cd {events[0].event_id}").saveAsTable(self.table.quoted)
        return events

    def _event(self, release: Release, record: Record) -> Event:
        # `summary` and `ok` are derived from the record, and written out for those who read the table with SQL.
        payload = {**record.to_dict(), "summary": str(record), "ok": getattr(record, "ok", None)}
        return Event(uuid.uuid4().hex, release.id, record.kind, datetime.now(UTC), self.actor, payload, -1)

    def last(self, release: Release, record_type: type[R]) -> R | None:
        """The newest record of a type in a release, or None."""
        records = self.all(release, record_type)
        return records[-1] if records else None

    def all(self, release: Release, record_type: type[R]) -> list[R]:
        """The records of a type in a release, in commit order."""
        kinds = getattr(record_type, "KINDS", (record_type.KIND,))
        return [record_type.read(dict(e.payload)) for e in self.events(release.id, kinds=kinds)]

    def state(self, release: Release) -> ReleaseState:
        """Where a release stands."""
        return LogReading(tuple(self.events(release.id, brief=True)), release).state

    def history(self) -> ReleaseHistory:
        """Every release with its state, newest first."""
        return ReleaseHistory(self.read().history, self.spark)

    def read(self, release: Release | None = None) -> LogReading:
        """The whole log at one moment, in one query: the release's events whole, of every other what its state needs.

        Args:
            release: the release whose records will be asked for.
        """
        return LogReading(tuple(self.events(brief=True, whole=release)), release)

    def events(
        self,
        release_id: str | None = None,
        *,
        kinds: Sequence[str] = (),
        brief: bool = False,
        whole: Release | None = None,
    ) -> list[Event]:
        """Events in commit order, of one release or all, of some kinds or all.

        Args:
            release_id: by default the events of every release.
            kinds: by default all.
            brief: of each payload take only the fields that a release's state needs: a restore point of many tables or
                a smoke report can be large, and a log is long.
            whole: with `brief`, take the payloads of this release whole.
        """
        if not self._exists():
            return []
        columns = [c for c in _NAMES if c != "payload"]
        frame = self.spark.table(self.table.quoted)
        if release_id is not None:
            frame = frame.where(frame["release_id"] == release_id)
        if kinds:
            frame = frame.where(frame["kind"].isin(list(kinds)))
        payload = f"CASE WHEN kind = '{Release.KIND}'{_or_release(whole)} THEN payload ELSE {_BRIEF} END AS payload"
        frame = frame.selectExpr(*columns, payload if brief else "payload", "_metadata.row_commit_version AS version")
        return sorted(_events(frame.collect()), key=lambda e: e.version)

    def tampering(self) -> tuple[str, ...]:
        """Commits of the log that are neither its creation, nor appends, nor maintenance, as short descriptions.

        The log is tamper-evident, not tamper-proof: an owner can unset `delta.appendOnly`, and RESTORE ignores it
        (measured). The gate refuses a log for which this is not empty.
        """
        if not self._exists():
            return ()
        found = []
        for row in self.spark.sql(f"DESCRIBE HISTORY {self.table.quoted}").collect():
            parameters = row["operationParameters"] or {}
            appended = row["operation"] != "WRITE" or parameters.get("mode") == "Append"
            created = row["operation"].startswith("CREATE TABLE") and row["version"] == 0
            unlocked = row["operation"] == "SET TBLPROPERTIES" and "appendOnly" in str(parameters)
            if not (created or (row["operation"] in _HARMLESS and appended and not unlocked)):
                found.append(f"version {row['version']}: {row['operation']}")
        return tuple(found)

    def _exists(self) -> bool:
        if not self._ready:
            self._ready = self.spark.catalog.tableExists(self.table.quoted)
        return self._ready

    def _create(self) -> None:
        if self._exists():
            return
        schema = f"{quote(self.table.catalog)}.{quote(self.table.schema)}"
        self.spark.sql(f"CREATE SCHEMA IF NOT EXISTS {schema}")
        self.spark.sql(
            f"CREATE TABLE IF NOT EXISTS {self.table.quoted} ({_COLUMNS}) USING delta TBLPROPERTIES ({_PROPERTIES})"
        )
        self._ready = True


def _or_release(release: Release | None) -> str:
    return "" if release is None else f" OR release_id = {string_literal(release.id)}"


def _events(rows: Iterable[Any]) -> Iterable[Event]:
    for row in rows:
        # Spark hands timestamps over as naive local times of this process.
        at = row["at"].astimezone(UTC)
        payload = json.loads(row["payload"] or "{}")
        yield Event(row["event_id"], row["release_id"], row["kind"], at, row["actor"], payload, row["version"])
