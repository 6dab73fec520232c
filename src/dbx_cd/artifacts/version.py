"""One published set of artifacts: the record beside the files, how files are copied in and checked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from dbx_cd import volume
from dbx_cd.dbt.artifacts import Manifest, RunResults
from dbx_cd.dbt.catalog import Catalog, load_catalog
from dbx_cd.dbt.environment import EnvironmentRecord, installed_version
from dbx_cd.dbt.outcome import OUTCOME_NAME, InvocationOutcome
from dbx_cd.dbt.selection import command_name
from dbx_cd.errors import ArtifactError, ArtifactNotFound, ChecksumMismatch, DbxCdError, what_failed
from dbx_cd.records import Record

RECORD_NAME = "artifacts.json"
RESULTS_NAME = "run_results.json"
CATALOG_NAME = "catalog.json"
DEPLOYABLE_COMMANDS = ("build", "run")
TIMESTAMP_FORMAT = "%Y%m%dT%H%M%S.%fZ"
AT_ONCE = 4  # files that are copied at the same time


@dataclass(frozen=True)
class FileRecord:
    """One published file."""

    sha256: str
    """The checksum of its content, in hex."""
    size: int
    """Its length in bytes."""


@dataclass(frozen=True)
class Contents(Record):
    """`artifacts.json`: written last, so that a version without it is known to be incomplete."""

    target: str
    """The dbt target it was built for."""
    timestamp: str
    """When it was published, UTC; also the name of its folder."""
    release_id: str | None
    """The release it belongs to; None for one published by hand."""
    commit: str
    """The commit it was made from."""
    command: str
    """The dbt command that left it; empty when dbt stopped before it ran anything."""
    ok: bool
    """Whether that command succeeded."""
    dbt_version: str
    """The version of dbt-core that made it."""
    adapter_version: str
    """The version of dbt-databricks that made it."""
    files: dict[str, FileRecord]
    """Checksum and size of every file, by name."""
    ok_from: str = ""
    """The file that says whether it succeeded; "" where nobody recorded it (0.1.0), and then `run_results.json` did."""
    latest: bool | None = None
    """Whether it was published to be what `latest` serves; None where nobody recorded it (0.1.0)."""
    environment: EnvironmentRecord | None = None
    """The Python environment that dbt ran in; None where nobody recorded it (0.2.0)."""


@dataclass(frozen=True)
class ArtifactVersion(Record):
    """One published set of artifacts. Never changes once it exists."""

    KIND: ClassVar[str] = "published"

    path: Path
    """The folder that has its files."""
    target: str
    """The dbt target it was built for."""
    timestamp: str
    """When it was published, UTC; also the name of its folder."""
    commit: str
    """The commit it was made from."""
    release_id: str | None
    """The release it belongs to; None for one published by hand."""
    command: str
    """The dbt command that left it; empty when dbt stopped before it ran anything."""
    ok: bool
    """Whether that command succeeded."""
    files: dict[str, FileRecord]
    """Checksum and size of every file, by name."""
    is_latest: bool = False
    """Whether `latest` served it when it was read."""
    dbt_version: str = ""
    """The version of dbt-core that made it; "" where nobody recorded it."""
    adapter_version: str = ""
    """The version of dbt-databricks that made it; "" where nobody recorded it."""
    ok_from: str = ""
    """The file that says whether it succeeded: with `run_results.json` alone a hook that failed may go unseen."""
    published_as_latest: bool | None = None
    """Whether it was published to be what `latest` serves; None where nobody recorded it (0.1.0)."""
    environment: EnvironmentRecord | None = None
    """The Python environment that dbt ran in; None where nobody recorded it (0.2.0)."""

    def __str__(self) -> str:
        outcome = "ok" if self.ok else "failed"
        if self.ok and self.ok_from == RESULTS_NAME:
            outcome += f" by {RESULTS_NAME} alone"
        return f"{self.target}/{self.timestamp}: dbt {self.command} of {self.commit[:12]}, {outcome}"

    def file(self, name: str) -> Path:
        """The path of one published file.

        Raises:
            ArtifactNotFound: this version has no such file.
        """
        if name not in self.files:
            raise ArtifactNotFound(f"no {name!r} among these artifacts", where=self.path)
        return self.path / name

    def manifest(self) -> Manifest:
        """The parsed `manifest.json`."""
        return self._manifest

    def catalog(self) -> Catalog | None:
        """The parsed `catalog.json`; None where there is none, as after a build."""
        return load_catalog(self.file(CATALOG_NAME)) if CATALOG_NAME in self.files else None

    def run_results(self) -> RunResults:
        """The parsed `run_results.json`."""
        return RunResults.load(self.file(RESULTS_NAME))

    def outcome(self) -> InvocationOutcome | None:
        """How dbt ended: exit code, hooks that failed, errors; None where `run_dbt` did not run it, or 0.1.0's did."""
        return InvocationOutcome.find(self.path)

    @cached_property
    def _manifest(self) -> Manifest:
        return Manifest.load(self.file("manifest.json"))

    @property
    def is_deployable(self) -> bool:
        """Whether `latest` may serve it: it is of a successful build or run."""
        return self.ok and self.command in DEPLOYABLE_COMMANDS

    @property
    def was_latest(self) -> bool:
        """Whether it may be what `latest` came to serve: 0.1.0 did not record what was published for that."""
        return self.is_deployable and self.published_as_latest is not False

    @property
    def digest(self) -> str:
        """One sha256 over the names and checksums of all files."""
        lines = (f"{name} {self.files[name].sha256}\n" for name in sorted(self.files))
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    def verify(self) -> None:
        """Compare every file with its published checksum.

        Raises:
            ChecksumMismatch: a file is gone or is not what was published.
        """
        for name, published in self.files.items():
            _verify(self.path / name, published)


@dataclass(frozen=True)
class Outcome:
    """What a folder of artifacts says of the dbt invocation that left it."""

    command: str
    """The dbt command; empty when dbt stopped before it ran anything."""
    ok: bool
    """Whether it succeeded and left a manifest."""
    dbt_version: str
    """The version of dbt-core."""
    adapter_version: str
    """The version of dbt-databricks."""
    ok_from: str
    """The file that says whether it succeeded."""
    environment: EnvironmentRecord | None = None
    """The Python environment that dbt ran in, where `run_dbt` has recorded it."""

    @classmethod
    def read(cls, folder: Path) -> Outcome:
        """Read how dbt ended, where `run_dbt` has written it, and `run_results.json`.

        The file that `run_dbt` writes knows more: an exit code, and hooks that failed. Without `run_results.json` dbt
        stopped before it ran anything, which is a failure.

        Raises:
            ArtifactError: one of the files is damaged.
        """
        ended = InvocationOutcome.find(folder)
        ok_from = RESULTS_NAME if ended is None else OUTCOME_NAME
        command = "" if ended is None else command_name(str(ended.command).split())
        ran_in = None if ended is None else ended.environment
        core = installed_version("dbt-core") if ran_in is None else ran_in.dbt_core
        adapter = installed_version("dbt-databricks") if ran_in is None else ran_in.dbt_databricks
        if not (folder / RESULTS_NAME).is_file():
            return cls(command, False, core, adapter, ok_from, ran_in)
        try:
            results = RunResults.load(folder / RESULTS_NAME)
        except ArtifactError:
            if ended is None or ended.ok:
                raise
            # A dbt that was killed leaves half a file: how it ended is known all the same.
            return cls(command, False, core, adapter, ok_from, ran_in)
        if ended is not None and command.split()[-1:] != [results.command]:
            raise ArtifactError(
                f"{OUTCOME_NAME} is of dbt {command}, and {RESULTS_NAME} of dbt {results.command}",
                where=folder,
                next_step="publish the files of one invocation",
            )
        # `run_dbt` takes a dbt that had nothing to do for a failure: who has written otherwise had nothing to be done.
        any_or_none_meant = bool(results.results) or (ended is not None and ended.ok is True)
        complete = results.ok and any_or_none_meant and (folder / "manifest.json").is_file()
        ok = complete and (ended is None or (ended.ok is True and not ended.exit_code and not ended.hooks))
        return cls(results.command, ok, str(results.metadata.get("dbt_version") or ""), adapter, ok_from, ran_in)

    def require_deployable(self, folder: Path) -> None:
        """Refuse what must never be `latest`.

        Raises:
            ArtifactError: it is not a successful build or run.
        """
        if not (self.ok and self.command in DEPLOYABLE_COMMANDS):
            raise ArtifactError(
                f"`latest` must not move to a {'successful' if self.ok else 'failed'} "
                f"dbt {self.command or 'invocation'}",
                where=folder,
                next_step="publish it with latest=False",
            )


class NeverFinished(ArtifactError):
    """A folder has no record, or a torn one: its publish was killed, and there is no such version."""


class NotUnderstood(ArtifactError):
    """A folder has a record that says nothing to this code: a newer dbx_cd wrote it, or it is damaged."""


def read_version(path: Path, *, serving: str | None) -> ArtifactVersion:
    """The version in a folder, unverified; `serving` is the timestamp that `latest` serves.

    Raises:
        NeverFinished: it has no record, or the record is torn.
        NotUnderstood: its record is damaged or of a newer format: there is a version.
        ArtifactError: its record cannot be read now.
    """
    record = path / RECORD_NAME
    try:
        document = json.loads(volume.read(record))
    except (FileNotFoundError, ValueError) as exc:
        raise NeverFinished(f"publishing it was never finished: {exc}", where=path) from exc
    try:
        contents = Contents.read(document)
    except (DbxCdError, AttributeError) as exc:
        step = exc.next_step if isinstance(exc, DbxCdError) else None
        raise NotUnderstood(f"{RECORD_NAME} cannot be read: {what_failed(exc)}", where=path, next_step=step) from exc
    return make_version(path, contents, is_latest=contents.timestamp == serving)


def make_version(path: Path, contents: Contents, *, is_latest: bool) -> ArtifactVersion:
    """The version that a folder and its record make."""
    return ArtifactVersion(
        path=path,
        target=contents.target,
        timestamp=contents.timestamp,
        commit=contents.commit,
        release_id=contents.release_id,
        command=contents.command,
        ok=contents.ok,
        files=contents.files,
        is_latest=is_latest,
        dbt_version=contents.dbt_version,
        adapter_version=contents.adapter_version,
        ok_from=contents.ok_from,
        published_as_latest=contents.latest,
        environment=contents.environment,
    )


def copy_files(source: Path, destination: Path, names: Sequence[str]) -> dict[str, FileRecord]:
    """Copy files between folders, several at a time, and say what was copied."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        copied = pool.map(lambda name: FileRecord(*volume.copy(source / name, destination / name)), names)
        return dict(zip(names, copied, strict=True))


def file_digest(path: Path) -> FileRecord:
    """Checksum and size of a file."""
    return FileRecord(*volume.digest(path))


def is_timestamp(name: str) -> bool:
    """Whether a folder's name is one that publishing gives."""
    try:
        datetime.strptime(name, TIMESTAMP_FORMAT)
    except ValueError:
        return False
    return True


def write_json(path: Path, document: dict[str, Any]) -> None:
    """Write a small JSON file, whole and in one call."""
    volume.write(path, json.dumps(document, indent=1, sort_keys=True).encode())


def _verify(path: Path, published: FileRecord) -> None:
    next_step = "somebody changed published artifacts: build the target again"
    try:
        found = file_digest(path)
    except FileNotFoundError:
        raise ChecksumMismatch(
            f"{path.name} was published and is gone", where=path.parent, next_step=next_step
        ) from None
    if found != published:
        raise ChecksumMismatch(f"{path.name} is not what was published", where=path.parent, next_step=next_step)
