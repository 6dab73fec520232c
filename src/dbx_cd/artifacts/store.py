"""Artifacts of dbt invocations on a Unity Catalog Volume: published once, verified on every read.

A Volume's FUSE path has no append, no random writes and no hard links, and nothing is documented about rename
atomicity or locks (Databricks documentation on Volumes). So every file is written sequentially and whole, the record
of checksums (`artifacts.json`) last, and one small pointer file (`latest.json`) after that: the pointer is the switch.
`latest/` beside it is a copy for readers of raw paths; this module never reads it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from dbx_cd import volume
from dbx_cd.artifacts.latest import clear, switch, switch_to_new, withdraw
from dbx_cd.artifacts.pruning import PruneResult, Pruning
from dbx_cd.artifacts.target_folder import PAGES_NAME, TargetFolder, Versions, is_plain
from dbx_cd.artifacts.version import (
    RECORD_NAME,
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

        The command and whether it succeeded are read from the files, not taken from the caller: from what `run_dbt`
        has written of the process, else from `run_results.json` alone, and the record says so. What a failed
        invocation left is published too, for audit.

        Args:
            target: the dbt target, which names the folder below the root.
            files_dir: a folder on local disk; subfolders are left out.
            commit: the commit the artifacts were made from.
            release_id: the release they belong to.
            latest: also make this the version that `latest` serves.

        Raises:
            ArtifactError: the folder is empty, its files are damaged, the target's name is no plain name, or `latest`
                was asked for something that is not a successful build or run.
        """
        source = Path(files_dir)
        names = volume.files_in(source)
        if not names:
            raise ArtifactError("nothing to publish: the folder is empty", where=source, next_step="run dbt first")
        version_dir = self._in(target).new_version(self._clock())
        try:
            # Reading the results of a large project takes as long as copying its files, so both are done at once.
            with ThreadPoolExecutor(1) as pool:
                copying = pool.submit(copy_files, source, version_dir, [name for name in names if name != RECORD_NAME])
                outcome = Outcome.read(source)
            if latest:
                outcome.require_deployable(source)
        except ArtifactError:
            with suppress(ArtifactError):  # what stays of it has no record, and is pruned
                volume.remove_folder(version_dir)
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
            ok_from=outcome.ok_from,
            latest=latest,
            environment=outcome.environment,
        )
        write_json(version_dir / RECORD_NAME, contents.to_dict())
        if latest:
            switch_to_new(self.folder(target), version_dir)
        published = make_version(version_dir, contents, is_latest=latest)
        _log.info("published %s: %d files%s", published, len(contents.files), ", now latest" if latest else "")
        return published

    def latest(self, target: str) -> ArtifactVersion:
        """The newest version that was published as `latest`, verified.

        The pointer is overwritten in place, so a crash can leave it unreadable. Then the newest complete successful
        build that was published as latest and not withdrawn is served, which is what the pointer was about to say.

        Raises:
            ArtifactNotFound: nothing was ever published as latest, or all that was is withdrawn.
            ChecksumMismatch: a file is not what was published.
            ArtifactError: a newer version of dbx_cd published it.
        """
        serving = self._in(target).serving()
        if serving is not None:
            return self._verified(target, serving, serving=serving)
        raise ArtifactNotFound(
            f"no artifacts of target {target!r} have been published as latest",
            where=self.folder(target),
            next_step=f"run the Workflow once, so that a build of {target!r} succeeds",
        )

    def get(self, target: str, timestamp: str) -> ArtifactVersion:
        """One version by its timestamp, verified.

        Raises:
            ArtifactNotFound: there is none, or it was never completed.
            ChecksumMismatch: a file is not what was published.
        """
        return self._verified(target, timestamp, serving=self._in(target).serving_or_none())

    def list(self, target: str) -> Sequence[ArtifactVersion]:
        """Every complete version, oldest first; files are not verified until one is fetched.

        One whose record a newer dbx_cd has written, or is damaged, is left out, with a warning that names it.

        Raises:
            ArtifactError: what is there cannot be read now.
        """
        return self.versions(target).complete

    def versions(self, target: str) -> Versions:
        """What has the name of a version: those that are complete, and of which nothing is known, and why.

        Raises:
            ArtifactError: what is there cannot be read now.
        """
        found = self._in(target).versions()
        for error in found.unreadable.values():
            _log.warning("%s", error)
        return found

    def find(self, target: str, release_id: str) -> ArtifactVersion:
        """The newest successful build of a release in a target, verified.

        Raises:
            ArtifactNotFound: that release has none.
            ArtifactError: what is there cannot be read now.
        """
        found = self.versions(target)
        for version in reversed(found.complete):
            if version.release_id == release_id and version.is_deployable:
                return self.get(target, version.timestamp)
        unread = "".join(f"; {name} cannot be read" for name in found.unreadable)
        steps = [error.next_step for error in found.unreadable.values() if error.next_step]
        raise ArtifactNotFound(
            f"release {release_id} has no successful build in target {target!r}{unread}",
            where=self.folder(target),
            next_step=", or ".join(["run its build task first", *dict.fromkeys(steps)]),
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
            ArtifactError: what `latest` serves is damaged, or what it should serve now; or the store cannot be
                written.
        """
        gone = {version.timestamp: version for version in withdrawn}
        for timestamp in sorted(gone):
            withdraw(self.folder(target) / timestamp)
        before = gone.get(self._in(target).serving() or "")
        if before is not None and to is not None:
            switch(self.folder(target), self.folder(target) / to.timestamp)
            self.latest(target)
        elif before is not None:
            clear(self.folder(target))
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
        if not (is_plain(name) and is_plain(release_id)):
            raise ArtifactError(
                f"not the plain names of a release and a page: {release_id!r}, {name!r}",
                where=self.root / PAGES_NAME,
                next_step="give names without a slash",
            )
        path = self.root / PAGES_NAME / release_id / name
        volume.make_folder(path.parent)
        volume.write(path, content.encode() if isinstance(content, str) else content)
        return path

    def diff(self, a: ArtifactVersion, b: ArtifactVersion) -> ArtifactDiff:
        """What changed in the project from version `a` to version `b`, of any targets."""
        found = diff_manifests(a.manifest(), b.manifest(), old_catalog=a.catalog(), new_catalog=b.catalog())
        return replace(found, old=f"{a.target}/{a.timestamp}", new=f"{b.target}/{b.timestamp}")

    def prune(
        self,
        target: str,
        *,
        keep: int,
        older_than: timedelta = timedelta(0),
        pinned: Collection[str] = (),
        dry_run: bool = True,
    ) -> PruneResult:
        """Remove old versions; never the one `latest` serves, nor a pinned one, nor one that a newer wheel wrote.

        Docs sites go by the same rule. What a killed publish left, without a record, goes after a day.

        Args:
            target: the dbt target.
            keep: how many of the newest complete versions stay, at least 1.
            older_than: only versions older than this are removed.
            pinned: timestamps or release ids to keep; a text is one of them.
            dry_run: only say what would go.

        Raises:
            ArtifactError: `keep` is below 1, or what is there, or what `latest` serves, cannot be told.
        """
        if keep < 1:
            raise ArtifactError(f"keep must be at least 1, not {keep}", where=self.folder(target))
        # The letters of a text, or an iterator that is read once, would pin nothing.
        spared = frozenset((pinned,) if isinstance(pinned, str) else pinned)
        pruning = Pruning(self._in(target), keep, self._clock(), older_than, spared)
        result = pruning.plan(dry_run=dry_run)
        if not dry_run:
            pruning.remove(result)
        return result

    def folder(self, target: str) -> Path:
        """The folder of a target below the root, which need not exist.

        Raises:
            ArtifactError: the name would lead elsewhere.
        """
        return self._in(target).path

    def _in(self, target: str) -> TargetFolder:
        return TargetFolder.of(self.root, target)

    def _verified(self, target: str, timestamp: str, *, serving: str | None) -> ArtifactVersion:
        path = self.folder(target) / timestamp
        if not is_timestamp(timestamp) or not volume.is_file(path / RECORD_NAME):
            raise ArtifactNotFound(
                f"no complete artifacts of target {target!r} at {timestamp!r}",
                where=path,
                next_step="list what there is with ArtifactStore.list",
            )
        version = read_version(path, serving=serving)
        version.verify()
        return version
