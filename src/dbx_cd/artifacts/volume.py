"""Files on a Volume: each step is tried again while its failure may pass, and a failure that stays says what to do.

A Volume's path is served over a network (FUSE; Databricks documentation on Volumes), so that a read or a write can fail
with `EIO`, `ESTALE`, `ETIMEDOUT` and the like, and succeed a moment later. Only what can be done again is: a file is
written from its beginning, whole. Making a version's folder is not, since the name tells who was first.
"""

from __future__ import annotations

import errno
import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from dbx_cd.errors import ArtifactError
from dbx_cd.patience import Patience, passing_file_error

T = TypeVar("T")

_BLOCK = 1 << 18
_NEXT_STEPS = {
    errno.EACCES: "get READ VOLUME and WRITE VOLUME on the Volume for whoever this runs as",
    errno.EPERM: "get READ VOLUME and WRITE VOLUME on the Volume for whoever this runs as",
    errno.EROFS: "name a Volume that can be written",
    errno.ENOSPC: "make room, then repair the task",
}


def steady(step: Callable[[], T], *, path: Path, doing: str, patience: Patience | None = None) -> T:
    """Do a step on a file that may be done again, until it succeeds or its failure stays.

    Args:
        step: what to do.
        path: the file or folder.
        doing: what could not be done then, such as "written".
        patience: how long to try again.

    Raises:
        FileNotFoundError, FileExistsError: as the step raises them: they say what is there.
        ArtifactError: it failed otherwise, and still does.
    """
    try:
        return (patience or Patience()).repeat(step, passing=passing_file_error)
    except (FileNotFoundError, FileExistsError):
        raise
    except OSError as exc:
        raise ArtifactError(
            f"{path.name} cannot be {doing}: {exc.strerror or exc}",
            where=path.parent,
            next_step=_NEXT_STEPS.get(exc.errno or 0, "repair the task when the Volume can be reached again"),
        ) from exc


def read(path: Path, *, patience: Patience | None = None) -> bytes:
    """The content of a file; raises as `steady` does."""
    return steady(path.read_bytes, path=path, doing="read", patience=patience)


def write(path: Path, content: bytes, *, patience: Patience | None = None) -> None:
    """Write a small file whole and in one call, over what is there; raises as `steady` does."""
    steady(lambda: path.write_bytes(content), path=path, doing="written", patience=patience)


def copy(source: Path, destination: Path, *, patience: Patience | None = None) -> tuple[str, int]:
    """Copy a file in one pass, sequentially and whole.

    Returns:
        The sha256 of what was copied, in hex, and its length in bytes.

    Raises:
        FileNotFoundError, ArtifactError: as `steady` does.
    """
    return steady(lambda: _copied(source, destination), path=destination, doing="copied", patience=patience)


def digest(path: Path, *, patience: Patience | None = None) -> tuple[str, int]:
    """The sha256 of a file, in hex, and its length in bytes; raises as `steady` does."""
    return steady(lambda: _digest(path), path=path, doing="read", patience=patience)


def is_file(path: Path, *, patience: Patience | None = None) -> bool:
    """Whether there is a file; raises as `steady` does, where that cannot be seen."""
    return steady(path.is_file, path=path, doing="looked at", patience=patience)


def remove_folder(folder: Path, *, patience: Patience | None = None) -> None:
    """Remove a folder with all that is in it, where there is one; raises as `steady` does."""
    steady(lambda: _remove(folder), path=folder, doing="removed", patience=patience)


def _copied(source: Path, destination: Path) -> tuple[str, int]:
    checksum, size, buffer = hashlib.sha256(), 0, memoryview(bytearray(_BLOCK))
    with source.open("rb", buffering=0) as reader, destination.open("wb") as writer:
        while count := reader.readinto(buffer):
            checksum.update(buffer[:count])
            writer.write(buffer[:count])
            size += count
    return checksum.hexdigest(), size


def _digest(path: Path) -> tuple[str, int]:
    with path.open("rb") as reader:
        return hashlib.file_digest(reader, "sha256").hexdigest(), reader.tell()


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)
