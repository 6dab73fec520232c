"""One target's folder below the root: its versions, which of them can be read, and which one `latest` serves."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from dbx_cd.artifacts import volume
from dbx_cd.artifacts.latest import POINTER_NAME, is_withdrawn, pointed_at, was_switched
from dbx_cd.artifacts.version import (
    RECORD_NAME,
    TIMESTAMP_FORMAT,
    ArtifactVersion,
    is_of_newer_format,
    is_timestamp,
    read_version,
)
from dbx_cd.errors import ArtifactError

PAGES_NAME = "releases"
"""The folder of the pages that are attached to releases, beside those of the targets."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TargetFolder:
    """The folder of one target, which need not exist."""

    path: Path
    """The folder."""

    @classmethod
    def of(cls, root: Path, target: str) -> TargetFolder:
        """The folder of a target below the root.

        Raises:
            ArtifactError: the name would lead elsewhere.
        """
        if not is_plain(target) or target == PAGES_NAME:
            raise ArtifactError(
                f"{target!r} cannot name a folder of artifacts",
                where=root,
                next_step=f"give the name of a dbt target: without a slash, and not {PAGES_NAME!r}",
            )
        return cls(root / target)

    def new_version(self, now: datetime) -> Path:
        """Make the folder of a new version, named by the time or a little later."""
        while True:
            path = self.path / now.strftime(TIMESTAMP_FORMAT)
            try:
                path.mkdir(parents=True)
            except FileExistsError:
                now += timedelta(microseconds=1)
            else:
                return path

    def complete(self) -> Sequence[ArtifactVersion]:
        """Every version that can be read, oldest first, unverified; the one that is served is marked."""
        serving = self.serving_or_none()
        return [replace(v, is_latest=True) if v.timestamp == serving else v for v in self._records()]

    def of_newer_format(self) -> Sequence[str]:
        """The timestamps of the versions that a newer dbx_cd has published: nothing more is known of them."""
        return [name for name in self._with_record() if is_of_newer_format(self.path / name)]

    def serving(self) -> str | None:
        """The timestamp that `latest` serves; None when nothing was ever published as latest.

        Raises:
            ArtifactError: what it serves is damaged, or it cannot be told.
        """
        pointed = pointed_at(self.path)
        if pointed is not None or not was_switched(self.path):
            return pointed
        served = (v for v in self._records() if v.was_latest and not is_withdrawn(v.path))
        newest = max((v.timestamp for v in served), default=None)
        for timestamp in self.of_newer_format():
            if timestamp > (newest or ""):
                read_version(self.path / timestamp, serving=None)  # raises: it may be what the pointer named
        if newest is not None:
            _log.warning("%s is damaged: the newest complete build, %s, is served", self.path / POINTER_NAME, newest)
        return newest

    def serving_or_none(self) -> str | None:
        """As `serving`, for readers of other versions: a damaged `latest` does not concern them."""
        try:
            return self.serving()
        except ArtifactError:
            return None

    def _records(self) -> Iterator[ArtifactVersion]:
        for name in self._with_record():
            # Killed while it wrote the record, a publish leaves a torn one: as incomplete as a version without.
            with contextlib.suppress(ArtifactError):
                yield read_version(self.path / name, serving=None)

    def _names(self) -> Sequence[str]:
        return sorted(p.parent.name for p in self.path.glob(f"*/{RECORD_NAME}")) if self.path.is_dir() else []

    def _with_record(self) -> Sequence[str]:
        names = volume.steady(self._names, path=self.path, doing="listed")
        return [name for name in names if is_timestamp(name)]


def is_plain(name: str) -> bool:
    """Whether a name stands for an entry of the folder it is put into, and for nothing above, below or beside it."""
    return bool(name) and Path(name).name == name and name not in (".", "..") and "\0" not in name
