"""What of a target's artifacts is removed: old versions, what a killed publish left, old docs sites."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from dbx_cd import volume
from dbx_cd.artifacts.target_folder import TargetFolder
from dbx_cd.artifacts.version import RECORD_NAME, TIMESTAMP_FORMAT, ArtifactVersion, is_timestamp

DOCS_NAME = "docs"
"""The folder of a target's docs sites."""
DOCS_POINTER_NAME = "docs.json"
"""The file that names the docs site which is served."""
# Publishing the artifacts of a large project takes minutes; what is without a record after a day is of a killed one.
_UNFINISHED_FOR = timedelta(days=1)

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PruneResult:
    """Which versions of a target were removed, and which were kept."""

    removed: tuple[str, ...]
    """Timestamps of the versions removed, or to be removed in a dry run."""
    kept: tuple[str, ...]
    """Timestamps of the versions that stay."""
    dry_run: bool
    """Whether nothing was removed."""
    incomplete: tuple[str, ...] = ()
    """Timestamps of what was never completed and is removed: a publish was killed, or an earlier removal was."""
    docs: tuple[str, ...] = ()
    """Timestamps of the docs sites removed, or to be removed in a dry run."""


@dataclass(frozen=True)
class Pruning:
    """What may be removed from one target's folder."""

    folder: TargetFolder
    """The folder of the target."""
    keep: int
    """How many of the newest stay."""
    now: datetime
    """The time, UTC."""
    older_than: timedelta
    """Only what is older than this goes."""
    pinned: frozenset[str]
    """Timestamps and release ids to keep."""

    def plan(self, *, dry_run: bool) -> PruneResult:
        """What goes and what stays. Removes nothing.

        Raises:
            ArtifactError: what `latest` serves cannot be told, so that it could not be spared.
        """
        found, serving = self.folder.versions(), self.folder.serving()
        complete = found.complete
        removed = tuple(v.timestamp for v in complete[: -self.keep] if v.timestamp != serving and self._may_go(v))
        kept = tuple(v.timestamp for v in complete if v.timestamp not in removed)
        return PruneResult(removed, kept, dry_run, self._incomplete(found.unfinished), self._docs())

    def remove(self, result: PruneResult) -> None:
        """Remove what the result names."""
        folder = self.folder.path
        for timestamp in (*result.removed, *result.incomplete):
            # The record first: from then on the version counts as incomplete and is not served half removed.
            volume.remove_file(folder / timestamp / RECORD_NAME)
            volume.remove_folder(folder / timestamp)
            _log.info("removed %s/%s", folder.name, timestamp)
        for timestamp in result.docs:
            volume.remove_folder(folder / DOCS_NAME / timestamp)
            _log.info("removed %s/%s/%s", folder.name, DOCS_NAME, timestamp)

    def _may_go(self, version: ArtifactVersion) -> bool:
        pinned = {version.timestamp, version.release_id} & self.pinned
        return not pinned and self._is_old(version.timestamp, self.older_than)

    def _incomplete(self, unfinished: Sequence[str]) -> tuple[str, ...]:
        """What nobody can still be writing."""
        old_enough = max(self.older_than, _UNFINISHED_FOR)
        return tuple(n for n in unfinished if n not in self.pinned and self._is_old(n, old_enough))

    def _docs(self) -> tuple[str, ...]:
        """The docs sites that go; never the newest ones, nor the one that is served."""
        spared = {_served_docs(self.folder.path), *self.pinned}
        old = (site for site in _timestamps(self.folder.path / DOCS_NAME)[: -self.keep] if site not in spared)
        return tuple(site for site in old if self._is_old(site, self.older_than))

    def _is_old(self, timestamp: str, age: timedelta) -> bool:
        return datetime.strptime(timestamp, TIMESTAMP_FORMAT).replace(tzinfo=UTC) < self.now - age


def _timestamps(folder: Path) -> list[str]:
    """The names of folders that are timestamps, oldest first."""
    return [name for name in volume.folders_in(folder) if is_timestamp(name)]


def _served_docs(folder: Path) -> str | None:
    try:
        return str(json.loads(volume.read(folder / DOCS_POINTER_NAME))["timestamp"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
