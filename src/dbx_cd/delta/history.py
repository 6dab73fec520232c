"""The commits of one Delta table, and which of them changed its content."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from dbx_cd.delta.retention import RETENTION

# Commits that leave rows, schema and settings as they are. RESTORE does not revert the protocol (measured), so an
# upgrade of it changes nothing a restore would touch. Databricks runs OPTIMIZE and VACUUM by itself.
MAINTENANCE = frozenset(
    {
        "OPTIMIZE",
        "VACUUM START",
        "VACUUM END",
        "ANALYZE",
        "COMPUTE STATS",
        "REORG",
        "UPGRADE PROTOCOL",
        "ADD FEATURE",
        "ROW TRACKING BACKFILL",
    }
)


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
        """Whether the commit changed nothing a reader could see: file layout, statistics or retention only."""
        if self.operation in MAINTENANCE:
            return True
        if self.operation not in ("SET TBLPROPERTIES", "UNSET TBLPROPERTIES"):
            return False
        changed = _property_names(self.parameters.get("properties", ""))
        return bool(changed) and changed <= set(RETENTION)

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


def _property_names(text: str) -> set[str]:
    """The names in the `properties` parameter: a JSON object after SET, a JSON list after UNSET."""
    try:
        return set(json.loads(text))
    except (ValueError, TypeError):
        return set()


@dataclass(frozen=True)
class History:
    """Commits by version, and what content each version has.

    A RESTORE makes the table what an earlier version was, and maintenance leaves it as it is. So the content of any
    version is that of one version that wrote it, found here without reading data.
    """

    commits: Mapping[int, Commit]
    """The commits by version, newest first."""

    @classmethod
    def of(cls, commits: Iterable[Commit]) -> History:
        """A history from its commits in any order."""
        return cls({c.version: c for c in sorted(commits, key=lambda c: -c.version)})

    @property
    def version(self) -> int:
        """The current version."""
        return max(self.commits)

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

    def _before(self, commit: Commit) -> int | None:
        """An earlier version with the same content, or None when the commit wrote content of its own."""
        if commit.is_maintenance:
            return commit.version - 1
        if commit.operation != "RESTORE":
            return None
        if "version" in commit.parameters:
            return int(commit.parameters["version"])
        if "timestamp" in commit.parameters:
            moment = datetime.fromisoformat(commit.parameters["timestamp"])
            return self.version_at(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
        return None
