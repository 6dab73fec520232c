"""The commits of one Delta table, and which of them changed its content."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from dbx_cd.delta.operations import LAYOUT, MAINTENANCE, is_housekeeping, property_changes
from dbx_cd.delta.retention import CHECKPOINT_INTERVAL, CHECKPOINT_INTERVAL_BEFORE
from dbx_cd.digest import digest

IN_COMMIT_TIMES = "delta.enableInCommitTimestamps"
_ZONES = range(-12, 15)
"""Offsets from UTC in hours that a JVM may have."""
_BOTH_TIMES = timedelta(minutes=1)
"""How far apart the time of a commit's file and the one within may be: both are written at once, but a copied log has
new file times, and is then taken for another table's, which is the safe side."""


@dataclass(frozen=True)
class Commit:
    """One row of DESCRIBE HISTORY."""

    version: int
    """The version that it made."""
    at: datetime
    """When, UTC."""
    operation: str
    """Delta's word for it, such as `WRITE` or `RESTORE`."""
    user: str | None = None
    """Who, as Databricks names them; absent elsewhere."""
    parameters: Mapping[str, str] = field(default_factory=dict, compare=False)
    """What the operation was given."""
    metrics: Mapping[str, str] = field(default_factory=dict, compare=False)
    """What it counted."""
    user_metadata: str | None = None
    """Text that whoever wrote the commit put into it."""

    @classmethod
    def read(cls, row: Mapping[str, Any]) -> Commit:
        """Take one row of DESCRIBE HISTORY."""
        return cls(
            version=row["version"],
            # Spark hands timestamps over as naive local times of this process.
            at=row["timestamp"].astimezone(UTC),
            operation=row["operation"],
            user=row.get("userName"),
            parameters={k: v for k, v in (row.get("operationParameters") or {}).items() if v is not None},
            metrics=dict(row.get("operationMetrics") or {}),
            user_metadata=row.get("userMetadata"),
        )

    @property
    def is_maintenance(self) -> bool:
        """Whether the commit left rows, schema and settings as they were: files, statistics or housekeeping only."""
        if self.operation in ("SET TBLPROPERTIES", "UNSET TBLPROPERTIES"):
            return is_housekeeping(self.parameters.get("properties"))
        return self.operation in MAINTENANCE

    @property
    def is_layout(self) -> bool:
        """Whether the commit changed only how rows are to lie in files from now on."""
        return self.operation in LAYOUT

    @property
    def changed_properties(self) -> frozenset[str]:
        """The names of the table properties that the commit set or unset."""
        if self.operation not in ("SET TBLPROPERTIES", "UNSET TBLPROPERTIES"):
            return frozenset()
        return frozenset(property_changes(self.parameters.get("properties")))

    @property
    def mark(self) -> str:
        """A digest of what every reader is told of the commit alike.

        That is not its time (see `History.has`), nor the text of parameters, which is the reader's to write, nor its
        user, whom a platform may hide.
        """
        return digest([self.version, self.operation, dict(self.metrics), self.user_metadata])[:16]

    @property
    def rows_written(self) -> int:
        """Rows that the commit inserted, updated or deleted, as far as its metrics say."""
        names = ("numTargetRowsInserted", "numTargetRowsUpdated", "numTargetRowsDeleted")
        if any(name in self.metrics for name in names):
            return sum(int(self.metrics.get(name, 0)) for name in names)
        names = ("numOutputRows", "numUpdatedRows", "numDeletedRows")
        return sum(int(self.metrics.get(name, 0)) for name in names)

    def __str__(self) -> str:
        who = f" by {self.user}" if self.user else ""
        signed = f" [{self.user_metadata}]" if self.user_metadata else ""
        return f"version {self.version}, {self.at:%Y-%m-%d %H:%M:%S} UTC: {self.operation}{who}{signed}"


@dataclass(frozen=True)
class History:
    """Commits by version, and what content each version has.

    A RESTORE makes the table what an earlier version was, and maintenance leaves it as it is. So the content of any
    version is that of one version that wrote it, found here without reading data.
    """

    commits: Mapping[int, Commit]
    """The commits by version, newest first."""
    has_other_times: bool = False
    """Whether its commits have other times by now than when they were recorded; see `with_times_of`."""

    @classmethod
    def of(cls, commits: Iterable[Commit]) -> History:
        """A history from its commits in any order."""
        return cls({c.version: c for c in sorted(commits, key=lambda c: -c.version)})

    @property
    def version(self) -> int:
        """The current version."""
        return max(self.commits)

    def has(self, version: int, *, at: datetime | None, mark: str | None) -> bool:
        """Whether a commit that was recorded is one of this table's, and not of a dropped table of the same name.

        Delta moves equal or decreasing times on by a millisecond within the range that it reads (measured), so one
        commit has different times in a short history and in a long one wherever files have whole-second times.

        Args:
            version: the version that it made.
            at: its time then, UTC; None where that is not known.
            mark: its mark; None in records that have none.

        Returns:
            True as well where log cleaning removed the entry: whether the version can be read is for others to prove.
        """
        commit = self.commits.get(version)
        if commit is None:
            return version < min(self.commits)
        apart = timedelta(milliseconds=version + 1)
        if self.has_other_times and mark is not None:
            apart += _BOTH_TIMES
        return (mark is None or mark == commit.mark) and (at is None or abs(commit.at - at) <= apart)

    def with_times_of(self, properties: Mapping[str, str], *, recorded: Mapping[str, str]) -> History:
        """The same history for comparing with times that were recorded under other properties.

        Where in-commit timestamps are turned on or off, all earlier commits have other times from then on: those of
        their files, or those within (measured).

        Args:
            properties: the table's properties now.
            recorded: those at the time of the record.
        """
        then, now = (p.get(IN_COMMIT_TIMES, "false").lower() for p in (recorded, properties))
        return self if then == now else replace(self, has_other_times=True)

    def reachable_until(self, version: int, *, kept: timedelta) -> datetime | None:
        """Until when Delta goes back to a version; None for the current one, which has no such end.

        Delta refuses VERSION AS OF, RESTORE and clones where the commit of the version is older than
        `delta.deletedFileRetentionDuration` of the table as it is now, whatever files exist (measured on 4.4;
        Databricks raises the same error, by its documentation of error conditions).

        Args:
            version: the version to go back to.
            kept: that retention.
        """
        commit = self.commits.get(version)
        return None if commit is None or version == self.version else commit.at + kept

    def content_version(self, version: int | None = None) -> int:
        """The version whose commit wrote what `version` (by default the current one) holds."""
        at = self.version if version is None else version
        while (commit := self.commits.get(at)) is not None:
            before = self._before(commit)
            if before is None:
                return at
            at = before
        return at

    def changes_since(self, version: int) -> tuple[Commit, ...]:
        """The commits after `version` whose effect the table still shows, newest first, maintenance aside."""
        known = self.content_version(version)
        changes: list[Commit] = []
        at = self.version
        while at > version and (commit := self.commits.get(at)) is not None:
            before = self._before(commit)
            if before is not None and before < version and self.content_version(before) != known:
                before = None  # restored to something older than what is known: a change of its own
            if before is None:
                changes.append(commit)
                before = at - 1
                if commit.operation == "RESTORE":
                    break
            at = before
        return tuple(changes)

    def version_at(self, moment: datetime) -> int | None:
        """The newest version at a time; None when the log does not reach back that far."""
        return max((c.version for c in self.commits.values() if c.at <= moment), default=None)

    def way_back(self, version: int, *, kept: timedelta) -> tuple[int, datetime | None]:
        """The version to go back to for what a version was, and until when Delta does.

        That is itself, or, where it is too old, the newest one that only files or restore points made of it: a version
        of today (see `rollback.refresh`), or one that OPTIMIZE left. Content and properties are the same.

        Args:
            version: the version.
            kept: `delta.deletedFileRetentionDuration` of the table as it is now.

        Returns:
            Both; the second is past where Delta goes back to none of them, and None for the current version.
        """
        until = self.reachable_until(version, kept=kept)
        if until is None or until > datetime.now(UTC):
            return version, until
        alike = at = version
        while (commit := self.commits.get(at := at + 1)) is not None:
            is_of_files = commit.is_maintenance and not commit.changed_properties
            if not is_of_files and at not in self.refreshes:
                break
            if is_of_files or commit.operation == "UNSET TBLPROPERTIES":
                alike = at
        return alike, self.reachable_until(alike, kept=kept)

    @cached_property
    def refreshes(self) -> frozenset[int]:
        """The commits by which restore points made versions of today; see `rollback.refresh`."""
        found, is_under_way = set(), False
        for version, commit in sorted(self.commits.items()):
            is_marked = CHECKPOINT_INTERVAL_BEFORE in commit.changed_properties
            if is_marked or (is_under_way and commit.changed_properties == {CHECKPOINT_INTERVAL}):
                found.add(version)
            if is_marked:
                is_under_way = commit.operation == "SET TBLPROPERTIES"
        return frozenset(found)

    def _before(self, commit: Commit) -> int | None:
        """An earlier version with the same content, or None when the commit wrote content of its own."""
        if commit.is_maintenance:
            return commit.version - 1
        if commit.operation != "RESTORE":
            return None
        if "version" in commit.parameters:
            text = commit.parameters["version"]
            restored = int(text) if text.isascii() and text.isdigit() else commit.version
            return restored if restored < commit.version else None
        if "timestamp" in commit.parameters:
            return self._restored_to(commit.parameters["timestamp"], before=commit.version)
        return None

    def _restored_to(self, local_time: str, *, before: int) -> int | None:
        """What RESTORE TO TIMESTAMP went back to, where that is the same in every time zone.

        Delta writes the time down as the JVM's local time without its zone (measured). Where zones disagree nobody can
        tell from the log, and the commit counts as one with content of its own.
        """
        try:
            moment = datetime.fromisoformat(local_time)
        except ValueError:
            return None
        earlier = [c for c in self.commits.values() if c.version < before]
        if moment.tzinfo is not None:
            candidates = [moment]
        else:
            candidates = [moment.replace(tzinfo=UTC) - timedelta(hours=hours) for hours in _ZONES]
        found = {max((c.version for c in earlier if c.at <= then), default=None) for then in candidates}
        return found.pop() if len(found) == 1 else None
