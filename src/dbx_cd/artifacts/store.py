"""Artifacts of dbt invocations on a Unity Catalog Volume: published once, verified on every read.

A Volume's FUSE path has no append, no random writes and no hard links, and nothing is documented about rename
atomicity or locks (Databricks documentation on Volumes). So every file is written sequentially and whole, the record
of checksums (`artifacts.json`) last, and one small pointer file (`latest.json`) after that: the pointer is the switch.
`latest/` beside it is a copy for readers of raw paths; this module never reads it.
"""

from __future__ import annotations

import contextlib
import logging
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from dbx_cd.artifacts.latest import POINTER_NAME, clear, is_withdrawn, pointed_at, switch, was_switched, withdraw
from dbx_cd.artifacts.version import (
    RECORD_NAME,
    TIMESTAMP_FORMAT,
    ArtifactVersion,
    Contents,
    Outcome,
    copy_files,
    is_timestamp,
    make_version,
    read_version,
    write_json,
)
from dbx_cd.dbt.diff import ArtifactDiff, diff_manifests
from dbx_cd.errors import ArtifactError, ArtifactNotFound

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


class ArtifactStore:
    """Publishes and serves artifacts below one root, such as `/Volumes/ops/dbt_meta/artifacts`.

    Publishing into one target from two processes at once is not supported: the Workflow runs one release at a time.

    Args:
        root: the folder that holds one folder for each target.
        clock: tells the time in UTC, for names of versions and their age.
    """

    def __init__(self, root: str | Path, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.root = Path(root)
        self._clock = clock

    def publish(
        self, target: str, files_dir: str | Path, *, commit: str, release_id: str | None = None, latest: bool = False
    ) -> ArtifactVersion:
        """Publish every file of a folder as a new version.

        The command and whether it succeeded are read from `run_results.json`, not taken from the caller. What a
        failed invocation left is published too, for audit.

        Args:
            target: the dbt target, which names the folder below the root.
            files_dir: a folder on local disk; subfolders are left out.
            commit: the commit the artifacts were made from.
            release_id: the release they belong to.
            latest: also make this the version that `latest` serves.

        Raises:
            ArtifactError: the folder is empty, or `latest` was asked for something that is not a successful
                build or run.
        """
        source = Path(files_dir)
        names = sorted(p.name for p in source.iterdir() if p.is_file()) if source.is_dir() else []
        if not names:
            raise ArtifactError("nothing to publish: the folder is empty", where=source, next_step="run dbt first")
        version_dir = self._new_version_dir(target)
        try:
            # Reading the results of a large project takes as long as copying its files, so both are done at once.
            with ThreadPoolExecutor(1) as pool:
                copying = pool.submit(copy_files, source, version_dir, [name for name in names if name != RECORD_NAME])
                outcome = Outcome.read(source)
            if latest:
                outcome.require_deployable(source)
        except ArtifactError:
            shutil.rmtree(version_dir)
            raise
        contents = Contents(
            target=target,
            timestamp=version_dir.name,
            release_id=release_id,
            commit=commit,
            command=outcome.command,
            ok=outcome.ok,
            dbt_version=outcome.dbt_version,
            adapter_version=outcome.adapter_version,
            files=copying.result(),
        )
        write_json(version_dir / RECORD_NAME, contents.to_dict())
        if latest:
            switch(self.root / target, version_dir)
        published = make_version(version_dir, contents, is_latest=latest)
        _log.info("published %s: %d files%s", published, len(contents.files), ", now latest" if latest else "")
        return published

    def latest(self, target: str) -> ArtifactVersion:
        """The newest version that was published as `latest`, verified.

        The pointer is overwritten in place, so a crash can leave it unreadable. Then the newest complete successful
        build that was not withdrawn is served, which is what the pointer was about to say.

        Raises:
            ArtifactNotFound: nothing was ever published as latest, or all that was is withdrawn.
            ChecksumMismatch: a file is not what was published.
        """
        serving = self._serving(target)
        if serving is not None:
            return self._verified(target, serving, serving=serving)
        raise ArtifactNotFound(
            f"no artifacts of target {target!r} have been published as latest",
            where=self.root / target,
            next_step=f"run the Workflow once, so that a build of {target!r} succeeds",
        )

    def get(self, target: str, timestamp: str) -> ArtifactVersion:
        """One version by its timestamp, verified.

        Raises:
            ArtifactNotFound: there is none, or it was never completed.
            ChecksumMismatch: a file is not what was published.
        """
        return self._verified(target, timestamp, serving=self._serving_or_none(target))

    def list(self, target: str) -> Sequence[ArtifactVersion]:
        """Every complete version, oldest first; files are not verified until one is fetched."""
        return self._complete(target)

    def find(self, target: str, release_id: str) -> ArtifactVersion:
        """The newest successful build of a release in a target, verified.

        Raises:
            ArtifactNotFound: that release has none.
        """
        for version in reversed(self._complete(target)):
            if version.release_id == release_id and version.is_deployable:
                return self.get(target, version.timestamp)
        raise ArtifactNotFound(
            f"release {release_id} has no successful build in target {target!r}",
            where=self.root / target,
            next_step="run its build task first",
        )

    def move_latest_back(
        self, target: str, *, withdrawn: Iterable[ArtifactVersion], to: ArtifactVersion | None
    ) -> ArtifactVersion | None:
        """Withdraw versions, and let `latest` serve another one where it serves one of them.

        Killed at any step it serves what it did before or what it should; calling it again goes on.

        Args:
            target: the dbt target.
            withdrawn: the versions that are not in the target any more.
            to: the version that is; None where there is none, and `latest` serves nothing from then on.

        Returns:
            The version that `latest` served and does not serve any more; None where it stays as it is.

        Raises:
            ArtifactError: what `latest` serves is damaged, or what it should serve now.
            OSError: the store cannot be written.
        """
        gone = {version.timestamp: version for version in withdrawn}
        for timestamp in sorted(gone):
            withdraw(self.root / target / timestamp)
        before = gone.get(self._serving(target) or "")
        if before is not None and to is not None:
            switch(self.root / target, self.root / target / to.timestamp)
            self.latest(target)
        elif before is not None:
            clear(self.root / target)
        return before

    def resolve(self, path: str | Path) -> ArtifactVersion:
        """The immutable version behind a path such as `<root>/stg/latest/` or `<root>/stg/<timestamp>`.

        Raises:
            ArtifactNotFound: the path is not below the root, or names no version.
        """
        try:
            target, name = Path(path).relative_to(self.root).parts
        except ValueError as exc:
            raise ArtifactNotFound(
                f"not a path of this store: {path}",
                where=self.root,
                next_step=f"give {self.root}/<target>/latest/ or {self.root}/<target>/<timestamp>/",
            ) from exc
        return self.latest(target) if name == "latest" else self.get(target, name)

    def attach(self, release_id: str, name: str, content: str | bytes) -> Path:
        """Store a page with a release, under `<root>/releases/<release id>/`; a page of that name is replaced.

        Returns:
            The path of the stored page.
        """
        if Path(name).name != name or Path(release_id).name != release_id:
            raise ArtifactError(f"not the plain name of a page: {name!r}", where=f"release {release_id}")
        path = self.root / "releases" / release_id / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def diff(self, a: ArtifactVersion, b: ArtifactVersion) -> ArtifactDiff:
        """What changed in the project from version `a` to version `b`."""
        return diff_manifests(a.manifest(), b.manifest())

    def prune(
        self,
        target: str,
        *,
        keep: int,
        older_than: timedelta = timedelta(0),
        pinned: Collection[str] = (),
        dry_run: bool = True,
    ) -> PruneResult:
        """Remove old versions; never the one `latest` serves, nor a pinned one.

        Args:
            target: the dbt target.
            keep: how many of the newest complete versions stay, at least 1.
            older_than: only versions older than this are removed.
            pinned: timestamps or release ids to keep.
            dry_run: only say what would go.
        """
        if keep < 1:
            raise ArtifactError(f"keep must be at least 1, not {keep}", where=self.root / target)
        versions = self._complete(target)
        serving = self._serving(target)
        before = self._clock() - older_than
        removed = tuple(
            v.timestamp
            for v in versions[:-keep]
            if v.timestamp != serving
            and not {v.timestamp, v.release_id} & set(pinned)
            and datetime.strptime(v.timestamp, TIMESTAMP_FORMAT).replace(tzinfo=UTC) < before
        )
        if not dry_run:
            for timestamp in removed:
                # The record first: from then on the version counts as incomplete and is not served half removed.
                (self.root / target / timestamp / RECORD_NAME).unlink()
                shutil.rmtree(self.root / target / timestamp)
                _log.info("removed %s/%s", target, timestamp)
        return PruneResult(removed, tuple(v.timestamp for v in versions if v.timestamp not in removed), dry_run)

    def _new_version_dir(self, target: str) -> Path:
        now = self._clock()
        while True:
            path = self.root / target / now.strftime(TIMESTAMP_FORMAT)
            try:
                path.mkdir(parents=True)
            except FileExistsError:
                now += timedelta(microseconds=1)
            else:
                return path

    def _serving(self, target: str) -> str | None:
        """The timestamp that `latest` serves; None when nothing was ever published as latest."""
        folder = self.root / target
        pointed = pointed_at(folder)
        if pointed is not None or not was_switched(folder):
            return pointed
        served = (v for v in self._records(target) if v.is_deployable and not is_withdrawn(v.path))
        newest = max((v.timestamp for v in served), default=None)
        if newest is not None:
            _log.warning("%s is damaged: the newest complete build, %s, is served", folder / POINTER_NAME, newest)
        return newest

    def _serving_or_none(self, target: str) -> str | None:
        """As `_serving`, for readers of other versions: a damaged `latest` does not concern them."""
        try:
            return self._serving(target)
        except ArtifactError:
            return None

    def _complete(self, target: str) -> Sequence[ArtifactVersion]:
        serving = self._serving_or_none(target)
        return [replace(v, is_latest=True) if v.timestamp == serving else v for v in self._records(target)]

    def _records(self, target: str) -> Iterator[ArtifactVersion]:
        folder = self.root / target
        names = sorted(p.parent.name for p in folder.glob(f"*/{RECORD_NAME}")) if folder.is_dir() else []
        for name in filter(is_timestamp, names):
            # Killed while it wrote the record, a publish leaves a torn one: as incomplete as a version without.
            with contextlib.suppress(ArtifactError):
                yield read_version(folder / name, serving=None)

    def _verified(self, target: str, timestamp: str, *, serving: str | None) -> ArtifactVersion:
        path = self.root / target / timestamp
        if not is_timestamp(timestamp) or not (path / RECORD_NAME).is_file():
            raise ArtifactNotFound(
                f"no complete artifacts of target {target!r} at {timestamp!r}",
                where=path,
                next_step="list what there is with ArtifactStore.list",
            )
        version = read_version(path, serving=serving)
        version.verify()
        return version
