"""One target's folder below the root: its versions, which of them can be read, and which one `latest` serves."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from dbx_cd import volume
from dbx_cd.artifacts.latest import POINTER_NAME, is_withdrawn, pointed_at, was_switched
from dbx_cd.artifacts.version import (
    TIMESTAMP_FORMAT,
    ArtifactVersion,
    NeverFinished,
    NotUnderstood,
    is_timestamp,
    read_version,
)
from dbx_cd.errors import ArtifactError

PAGES_NAME = "releases"
"""The folder of the pages that are attached to releases, beside those of the targets."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Versions:
    """What has the name of a version in a target's folder, oldest first."""

    complete: Sequence[ArtifactVersion]
    """The versions."""
    unreadable: Mapping[str, NotUnderstood]
    """Versions of which nothing is known, and why: a newer dbx_cd wrote them, or their record is damaged. They hide no
    other one and are never removed."""
    unfinished: Sequence[str]
    """What a killed publish, or a killed removal, has left."""


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
        """Make the folder of a new version, named by the time, and always after every version that is there.

        Versions are ordered by their names, and the clock of this machine may be behind that of another.

        Raises:
            ArtifactError: the Volume refuses it.
        """
        volume.make_folder(self.path)  # first: what stands in its way must not be taken for the version's own name
        newest = max(filter(is_timestamp, volume.folders_in(self.path)), default="")
        if now.strftime(TIMESTAMP_FORMAT) <= newest:
            now = datetime.strptime(newest, TIMESTAMP_FORMAT) + timedelta(microseconds=1)
        while True:
            path = self.path / now.strftime(TIMESTAMP_FORMAT)
            try:
                volume.make_new_folder(path)
            except FileExistsError:
                now += timedelta(microseconds=1)
            else:
                return path

    def versions(self) -> Versions:
        """What is there, unverified; the version that is served is marked.

        Raises:
            ArtifactError: the folder or a record cannot be read now: nobody can say what is there.
        """
        found, serving = self._found(), self.serving_or_none()
        marked = [replace(v, is_latest=True) if v.timestamp == serving else v for v in found.complete]
        return replace(found, complete=marked)

    def serving(self) -> str | None:
        """The timestamp that `latest` serves; None when nothing was ever published as latest.

        Raises:
            ArtifactError: what it serves is damaged, or it cannot be told.
        """
        pointed = pointed_at(self.path)
        if pointed is not None or not was_switched(self.path):
            return pointed
        found = self._found()
        served = (v for v in found.complete if v.was_latest and not is_withdrawn(v.path))
        newest = max((v.timestamp for v in served), default=None)
        for timestamp, error in found.unreadable.items():
            if timestamp > (newest or ""):
                raise error  # it may be what the pointer named
        if newest is not None:
            _log.warning("%s is damaged: the newest complete build, %s, is served", self.path / POINTER_NAME, newest)
        return newest

    def serving_or_none(self) -> str | None:
        """As `serving`, for readers of other versions: a damaged `latest` does not concern them.

        Raises:
            ArtifactError: what it serves cannot be read now, so that it could not be marked.
        """
        try:
            return self.serving()
        except volume.Unreachable:
            raise
        except ArtifactError:
            return None

    def _found(self) -> Versions:
        complete: list[ArtifactVersion] = []
        unreadable: dict[str, NotUnderstood] = {}
        unfinished: list[str] = []
        for name in filter(is_timestamp, volume.folders_in(self.path)):
            try:
                complete.append(read_version(self.path / name, serving=None))
            except NeverFinished:
                unfinished.append(name)
            except NotUnderstood as exc:
                unreadable[name] = exc
        return Versions(complete, unreadable, unfinished)


def is_plain(name: str) -> bool:
    """Whether a name stands for an entry of the folder it is put into, and for nothing above, below or beside it."""
    return bool(name) and Path(name).name == name and name not in (".", "..") and "\0" not in name
