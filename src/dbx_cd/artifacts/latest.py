"""What `latest` serves in one target's folder: a pointer file is the switch, the copy beside it is for raw paths.

A version whose release was rolled back is withdrawn: an empty file beside its artifacts, so that it is not served by an
unreadable pointer, or by none, either. It is written before the pointer moves, and there is no half of it.
"""

from __future__ import annotations

import json
import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from dbx_cd import volume
from dbx_cd.artifacts.version import AT_ONCE, RECORD_NAME, file_digest, is_timestamp, write_json
from dbx_cd.errors import ArtifactError, ChecksumMismatch

_log = logging.getLogger(__name__)

POINTER_NAME = "latest.json"
_COPY_NAME = "latest"
_WITHDRAWN_NAME = "withdrawn"


def switch(folder: Path, version_dir: Path) -> None:
    """Make a version the one that `latest` serves: copy it, and move the pointer last."""
    copy = folder / _COPY_NAME
    volume.make_folder(copy)
    record = version_dir / RECORD_NAME
    names = set(volume.files_in(version_dir)) - {_WITHDRAWN_NAME}
    # Without its record the copy says of itself that it is not complete.
    volume.remove_file(copy / RECORD_NAME)
    for stale in sorted(set(volume.files_in(copy)) - names):
        volume.remove_file(copy / stale)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda name: volume.copy(version_dir / name, copy / name), sorted(names - {RECORD_NAME})))
    volume.copy(record, copy / RECORD_NAME)
    write_json(folder / POINTER_NAME, {"timestamp": version_dir.name, "sha256": file_digest(record).sha256})


def switch_to_new(folder: Path, version_dir: Path) -> None:
    """Let `latest` serve a version that was just published; where that cannot be, there is no such version.

    A pointer whose writing is said to have failed, or was interrupted, may have been written: the version that it names
    keeps its record.

    Args:
        folder: the target's folder.
        version_dir: the version's, whole and with its record.

    Raises:
        ArtifactError: the Volume refuses it, and `latest` does not serve the version.
    """
    try:
        switch(folder, version_dir)
    except BaseException as exc:
        try:
            served = _pointer(folder)
        except ArtifactError:
            raise exc from None  # nobody can say now which version it names
        if served is not None and served[0] == version_dir.name:
            if not isinstance(exc, ArtifactError):
                raise
            _log.warning("`latest` serves %s, though it was said: %s", version_dir.name, exc)
            return
        with suppress(ArtifactError):
            volume.remove_file(version_dir / RECORD_NAME)
        raise


def clear(folder: Path) -> None:
    """Let `latest` serve nothing: the copy says that it is not complete, the pointer goes, then the copy."""
    volume.remove_file(folder / _COPY_NAME / RECORD_NAME)
    volume.remove_file(folder / POINTER_NAME)
    try:
        volume.remove_folder(folder / _COPY_NAME)
    except ArtifactError as exc:
        _log.warning("`latest` serves nothing any more, but its copy stays, without a record: %s", exc)


def withdraw(version_dir: Path) -> None:
    """Mark a version as one that `latest` must not come to serve any more; doing it again changes nothing."""
    volume.write(version_dir / _WITHDRAWN_NAME, b"")


def is_withdrawn(version_dir: Path) -> bool:
    """Whether a version was marked so."""
    return volume.is_file(version_dir / _WITHDRAWN_NAME)


def was_switched(folder: Path) -> bool:
    """Whether a version was ever made the one that `latest` serves, or is being made it now."""
    return volume.exists(folder / _COPY_NAME)


def pointed_at(folder: Path) -> str | None:
    """The timestamp that `latest.json` names; None when there is no readable pointer.

    Raises:
        ArtifactError: that version is not complete; or the pointer cannot be read now, though it is there: which
            version it names is not guessed.
        ChecksumMismatch: the version's record is not the one that was published.
    """
    pointer = _pointer(folder)
    if pointer is None:
        return None
    timestamp, digest = pointer
    record = folder / timestamp / RECORD_NAME
    if not volume.is_file(record):
        raise ArtifactError(
            f"`latest` points at {timestamp}, which is not complete",
            where=record.parent,
            next_step="restore the folder from a backup, or build the target again",
        )
    if file_digest(record).sha256 != digest:
        raise ChecksumMismatch(
            f"{RECORD_NAME} is not the one that `latest` points at",
            where=record,
            next_step="somebody changed published artifacts: build the target again",
        )
    return timestamp


def _pointer(folder: Path) -> tuple[str, str] | None:
    """The timestamp that `latest.json` names, and the digest of its record; None when there is no readable pointer.

    Raises:
        ArtifactError: it cannot be read now, though it is there.
    """
    try:
        pointer = json.loads(volume.read(folder / POINTER_NAME))
        timestamp, digest = str(pointer["timestamp"]), str(pointer["sha256"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return (timestamp, digest) if is_timestamp(timestamp) else None  # else it names no version of this folder
