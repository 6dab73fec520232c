"""Files on a Volume: each step is tried again while its failure may pass, and a failure that stays says what to do.

A Volume's path is served over a network (FUSE; Databricks documentation on Volumes), so that a read or a write can fail
with `EIO`, `ESTALE`, `ETIMEDOUT` and the like, and succeed a moment later. Every step here can be done again: a file is
written from its beginning, whole; what is removed may be gone already. Whoever touches a Volume does it by this module.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from dbx_cd.errors import ArtifactError
from dbx_cd.patience import Patience, passing_file_error
from dbx_cd.sql_messages import step_to_rights, step_to_volume

T = TypeVar("T")

_BLOCK = 1 << 18
_RIGHTS = "get READ VOLUME and WRITE VOLUME on the Volume for whoever this runs as"
_OTHER_KIND = "look at what is there: a file stands where a folder should be, or the other way round"
_NEXT_STEPS = {
    errno.EACCES: _RIGHTS,
    errno.EPERM: _RIGHTS,
    errno.EROFS: "name a Volume that can be written",
    errno.ENOSPC: "make room, then repair the task",
    errno.ENAMETOOLONG: "give a shorter name",
    errno.EEXIST: _OTHER_KIND,
    errno.ENOTDIR: _OTHER_KIND,
    errno.EISDIR: _OTHER_KIND,
}


class Unreachable(ArtifactError):
    """A file or folder cannot be read or changed now, which says nothing of what is in it: it may be whole."""


def steady(step: Callable[[], T], *, path: Path, doing: str) -> T:
    """Do a step on a file that may be done again, until it succeeds or its failure stays.

    Args:
        step: what to do.
        path: the file or folder.
        doing: what could not be done then, such as "written".

    Raises:
        FileNotFoundError, FileExistsError: as the step raises them: they say what is there.
        Unreachable: it failed otherwise, and still does.
    """
    try:
        return Patience().repeat(step, passing=passing_file_error)
    except (FileNotFoundError, FileExistsError):
        raise
    except OSError as exc:
        raise _unreachable(exc, path=path, doing=doing) from exc


def read(path: Path) -> bytes:
    """The content of a file; raises as `steady` does."""
    return steady(path.read_bytes, path=path, doing="read")


def write(path: Path, content: bytes) -> None:
    """Write a small file whole and in one call, over what is there; raises as `steady` does."""
    steady(lambda: path.write_bytes(content), path=path, doing="written")


def copy(source: Path, destination: Path) -> tuple[str, int]:
    """Copy a file in one pass, sequentially and whole.

    Returns:
        The sha256 of what was copied, in hex, and its length in bytes.

    Raises:
        FileNotFoundError, Unreachable: as `steady` does.
    """
    return steady(lambda: _copied(source, destination), path=destination, doing="copied")


def digest(path: Path) -> tuple[str, int]:
    """The sha256 of a file, in hex, and its length in bytes; raises as `steady` does."""
    return steady(lambda: _digest(path), path=path, doing="read")


def is_file(path: Path) -> bool:
    """Whether there is a file; raises as `steady` does, where that cannot be seen."""
    return stat.S_ISREG(steady(lambda: _mode(path), path=path, doing="looked at"))


def exists(path: Path) -> bool:
    """Whether there is anything; raises as `steady` does, where that cannot be seen."""
    return steady(lambda: _mode(path), path=path, doing="looked at") != 0


def files_in(folder: Path) -> list[str]:
    """The names of the files in a folder, sorted; none where there is no folder.

    Raises:
        Unreachable: that cannot be seen.
    """
    return steady(lambda: _names(folder, folders=False), path=folder, doing="listed")


def folders_in(folder: Path) -> list[str]:
    """The names of the folders in a folder, sorted; none where there is no folder.

    Raises:
        Unreachable: that cannot be seen.
    """
    return steady(lambda: _names(folder, folders=True), path=folder, doing="listed")


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it, where there is none yet.

    Raises:
        Unreachable: it cannot be made, or something else has its name.
    """
    try:
        steady(lambda: folder.mkdir(parents=True, exist_ok=True), path=folder, doing="made")
    except FileExistsError as exc:  # a file, or a link that leads nowhere
        raise _unreachable(exc, path=folder, doing="made") from exc


def make_new_folder(folder: Path) -> None:
    """Make a folder of which nobody else may have the name; those above it are there.

    Raises:
        FileExistsError: the name is taken; after a failure it may be by this very call, which left an empty folder.
        FileNotFoundError, Unreachable: as `steady` does.
    """
    steady(folder.mkdir, path=folder, doing="made")


def remove_file(path: Path) -> None:
    """Remove a file, where there is one; raises as `steady` does."""
    steady(lambda: path.unlink(missing_ok=True), path=path, doing="removed")


def remove_folder(folder: Path) -> None:
    """Remove a folder with all that is in it, where there is one; raises as `steady` does."""
    steady(lambda: _remove(folder), path=folder, doing="removed")


def _unreachable(error: OSError, *, path: Path, doing: str) -> Unreachable:
    refused = error.errno in (errno.EACCES, errno.EPERM)
    step = (step_to_rights(str(error)) or step_to_volume(str(path))) if refused else None
    return Unreachable(
        f"{path.name} cannot be {doing}: {error.strerror or error}",
        where=path.parent,
        next_step=step or _NEXT_STEPS.get(error.errno or 0, "repair the task when the Volume can be reached again"),
    )


def _mode(path: Path) -> int:
    """What is at a path, as `stat` says; 0 for nothing."""
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return 0


def _names(folder: Path, *, folders: bool) -> list[str]:
    try:
        with os.scandir(folder) as found:
            return sorted(entry.name for entry in found if (entry.is_dir() if folders else entry.is_file()))
    except FileNotFoundError:
        return []


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
    if _mode(folder):
        shutil.rmtree(folder)
