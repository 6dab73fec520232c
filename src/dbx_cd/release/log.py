"""The release log: one append-only Delta table of events, the only durable state besides artifacts."""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

from dbx_cd.delta.log_table import Brief, DeltaLogTable, LogRow, LogTable
from dbx_cd.delta.sql import Sql
from dbx_cd.errors import ReleaseError, SqlFailed
from dbx_cd.records import Record
from dbx_cd.relations import RelationName
from dbx_cd.release.alteration import AlterationAcknowledged, Alterations, alterations_of, not_acknowledged
from dbx_cd.release.anchor import LogAnchor
from dbx_cd.release.authorship import Identities, in_words, misattributed, written_by_others
from dbx_cd.release.events import Release, Superseded
from dbx_cd.release.history import ReleaseHistory
from dbx_cd.release.reading import LogReading, counting, events_of, is_opening, unreadable
from dbx_cd.release.state import STATE_FIELDS, Event, ReleaseState

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

R = TypeVar("R", bound=Record)

# The column is NOT NULL. No release has this id, and whoever reads the log for releases begins at what opened them.
ABOUT_THE_LOG = ""

_log = logging.getLogger(__name__)


class ReleaseLog:
    """Reads and appends events.

    Args:
        spark: a classic or Spark Connect session.
        table: three-level name; schema and table are created on first use.
        actor: who appends, as the platform names them.
        anchor: what the Volume remembers of the log: which table it is, and who writes for the Workflow.
    """

    def __init__(self, spark: SparkSession, table: str, *, actor: str = "", anchor: LogAnchor | None = None) -> None:
        self._sql: Sql | None = Sql(spark)
        self._rows: LogTable = DeltaLogTable(self._sql, RelationName.parse(table))
        self.actor, self._anchor = actor, anchor

    @classmethod
    def on(cls, table: LogTable, *, actor: str = "", anchor: LogAnchor | None = None) -> ReleaseLog:
        """A log on any `LogTable`, such as one in memory."""
        log = cls.__new__(cls)
        log._sql, log._rows, log.actor, log._anchor = None, table, actor, anchor
        return log

    @property
    def table_id(self) -> str | None:
        """Delta's id of the table; None where there is no table yet."""
        return self._rows.table_id()

    @property
    def table(self) -> RelationName:
        """The table's name."""
        return self._rows.name

    def open(self, commit: str, *, run_id: str, requester: str, reason: str | None = None) -> Release:
        """Open the release of a Workflow run, or find it again: idempotent per run.

        Older releases that nobody has decided on yet are superseded, also when a first attempt was killed before it
        could say so.

        Args:
            commit: the full SHA the run was started at.
            run_id: the job run's id, kept by repairs.
            requester: who started the run.
            reason: why, where somebody gave one (a rollback).
        """
        return self.open_with_state(commit, run_id=run_id, requester=requester, reason=reason)[0]

    def open_with_state(
        self, commit: str, *, run_id: str, requester: str, reason: str | None = None
    ) -> tuple[Release, ReleaseState]:
        """Open a release as `open` does, and say where it stands, by the same reading of the log."""
        log = self.read()
        while (opened := log.of_run(run_id)) is None:
            # Two runs may open in the same second: the commit order of the events says whose the id is, and the other
            # one comes round again.
            taken = {event.release_id for event in log.events}
            self._append_opened(taken, commit, run_id=run_id, requester=requester, reason=reason)
            log = self.read()
        for older, state in log.before(opened):
            if state.undecided:
                self.append(older, Superseded(by=opened.id))
        return opened, replace(log, release=opened).state

    def _append_opened(self, taken: set[str], commit: str, *, run_id: str, requester: str, reason: str | None) -> None:
        now = datetime.now(UTC)
        release_id = next(
            candidate
            for seconds in range(len(taken) + 1)
            if (candidate := f"{now + timedelta(seconds=seconds):%Y%m%dT%H%M%SZ}-{commit[:7]}") not in taken
        )
        release = Release(release_id, commit, run_id, requester, now, reason)
        self.append(release, release)
        _log.info("opened %s", release)

    def release(self, release_id: str) -> Release:
        """The release of that id.

        Raises:
            ReleaseError: there is none.
        """
        for event in filter(is_opening, self.events(release_id, kinds=(Release.KIND,))):
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
        """The newest release that is deployed to a target, not failed since and not rolled back, not even in part.

        Args:
            target: the dbt target.
            before: leave out this release and newer ones; for a bad release that the log still takes for good.

        Raises:
            ReleaseError: there is none.
        """
        older = before is None
        for release, state in self.history():
            if older and state.of(target).is_in_place:
                return release
            older = older or (before is not None and release.id == before.id)
        raise ReleaseError(
            f"no release is deployed to {target!r}", where=self.table, next_step=self._others_than(target)
        )

    def newest_in(self, target: str) -> Release:
        """The newest release that has changed a gated target and was not rolled back, whether it is good or not.

        Args:
            target: the dbt target.

        Raises:
            ReleaseError: there is none.
        """
        for release, state in self.history():
            if state.of(target).is_changed:
                return release
        raise ReleaseError(f"no release has changed {target!r}", where=self.table, next_step=self._others_than(target))

    def _others_than(self, target: str) -> str | None:
        """Which gated targets releases have changed, for whoever asks for one that none ever has."""
        changed = sorted({name for _, state in self.history() for name in state.changed_gates})
        return (
            f"ask for one that they have changed: {', '.join(changed)}" if changed and target not in changed else None
        )

    def append(self, release: Release, record: Record) -> Event:
        """Append one event: one row, one Delta commit, tagged with the event's id."""
        return self.append_all(release, [record])[0]

    def append_all(self, release: Release, records: Sequence[Record]) -> list[Event]:
        """Append events of one release in one commit, which is tagged with the first event's id."""
        return self._append(release.id, records)

    def _append(self, release_id: str, records: Sequence[Record]) -> list[Event]:
        events = [self._event(release_id, record) for record in records]
        rows = [
            LogRow(
                event_id=event.event_id,
                release_id=event.release_id,
                kind=event.kind,
                at=event.at,
                actor=event.actor,
                format=record.FORMAT,
                payload=json.dumps(event.payload, default=str, sort_keys=True, allow_nan=False),
            )
            for event, record in zip(events, records, strict=True)
        ]
        self._rows.append(rows)
        for event, record in zip(events, records, strict=True):
            _log.info("%s: %s: %s", event.release_id or "the release log", event.kind, record)
        return events

    def _event(self, release_id: str, record: Record) -> Event:
        # `summary` and `ok` are derived from the record, and written out for those who read the table with SQL.
        payload = {**record.to_dict(), "summary": str(record), "ok": getattr(record, "ok", None)}
        return Event(uuid.uuid4().hex, release_id, record.kind, datetime.now(UTC), self.actor, payload, -1)

    def last(self, release: Release, record_type: type[R]) -> R | None:
        """The newest record of a type in a release, or None."""
        records = self.all(release, record_type)
        return records[-1] if records else None

    def all(self, release: Release, record_type: type[R]) -> list[R]:
        """The records of a type in a release, in commit order."""
        kinds = getattr(record_type, "KINDS", (record_type.KIND,))
        events = self.events(release.id, kinds=(*kinds, Release.KIND))
        return [record_type.read(dict(e.payload)) for e in self._counting(events).events if e.kind in kinds]

    def state(self, release: Release) -> ReleaseState:
        """Where a release stands."""
        return self._counting(self.events(release.id, brief=True), release).state

    def history(self) -> ReleaseHistory:
        """Every release with its state, newest first."""
        return ReleaseHistory(self.read().history, self._sql)

    def read(self, release: Release | None = None) -> LogReading:
        """The whole log at one moment, in one query: the release's events whole, of every other what its state needs.

        What the Workflow alone writes counts in the name of whoever opened the release.

        Args:
            release: the release whose records will be asked for.
        """
        return self._counting(self.events(brief=True, whole=release), release)

    def _counting(self, events: Sequence[Event], release: Release | None = None) -> LogReading:
        return counting(events, release, production=self._anchor.production if self._anchor is not None else None)

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
        cut = Brief(STATE_FIELDS, (Release.KIND,), None if whole is None else whole.id) if brief else None
        return events_of(self._rows.rows(release_id=release_id, kinds=kinds, brief=cut))

    def newest(self, kind: str, *, where: Mapping[str, str], but: Release | None, limit: int) -> list[Event]:
        """See `LogTable.newest`: no other events leave the log's table."""
        but_release = None if but is None else but.id
        return events_of(self._rows.newest(kind, where=where, but_release=but_release, limit=limit))

    def tampering(self, *, may_acknowledge: Callable[[str], bool] = lambda _person: True) -> Alterations:
        """What was done to the log besides creation, appends and maintenance, and was not acknowledged.

        The log is tamper-evident, not tamper-proof: an owner can unset `delta.appendOnly`, and RESTORE ignores it
        (measured). Events in another's name count as well, and a table that was put in the place of the one that the
        Volume remembers. The gate refuses a log while there is anything that nobody has acknowledged.

        Args:
            may_acknowledge: whose acknowledgements count.
        """
        return self.examined(may_acknowledge=may_acknowledge)[1]

    def examined(
        self,
        release: Release | None = None,
        *,
        workflow: Identities | None = None,
        may_acknowledge: Callable[[str], bool] = lambda _person: True,
    ) -> tuple[LogReading, Alterations]:
        """The log as `read` gives it, without the events that do not count, and with what was done to it.

        Args:
            release: the release whose records will be asked for.
            workflow: as whom the Workflow works: what it alone writes does not count in the name of somebody else.
            may_acknowledge: whose acknowledgements of alterations count.
        """
        try:
            log = self.read(release)
        except SqlFailed as failed:
            altered = alterations_of(self._rows.commits())
            if failed.condition != "FIELD_NOT_FOUND" or not altered:
                raise
            # Row tracking was turned off (measured): say that, rather than fail at the rows.
            return LogReading((), release), Alterations(altered)
        # Read after the rows: whatever wrote a row is in it.
        commits = self._rows.commits()
        foreign = misattributed((*log.events, *log.not_counted), commits)
        wrong = {**dict.fromkeys(unreadable(log), "WRITE of a row that cannot be read"), **in_words(foreign)}
        altered = alterations_of(commits, misattributed=wrong, made_anew=self._made_anew())
        others = () if workflow is None else written_by_others(log.events, workflow=workflow)
        log = log.without([*foreign, *others])
        if not altered:
            return log, Alterations()  # nothing to ask of the rows: so it is nearly always
        records = [
            (e.version, AlterationAcknowledged.read(dict(e.payload)))
            for e in self.events(ABOUT_THE_LOG, kinds=(AlterationAcknowledged.KIND,))
        ]
        counting = [(version, record) for version, record in records if may_acknowledge(record.actor)]
        return log, not_acknowledged(commits, altered, counting)

    def _made_anew(self) -> str | None:
        """What is wrong with the table's id, in words; None where it is the one that the Volume remembers."""
        known = self._anchor.table_id if self._anchor is not None else None
        there = self._rows.table_id() if known is not None else None
        if there in (None, known):
            return None
        return f"(of table {there}, in place of the log that the Volume remembers, {known})"

    def append_acknowledgement(self, record: AlterationAcknowledged) -> Event:
        """Append the one event that is about the log itself."""
        return self._append(ABOUT_THE_LOG, [record])[0]
