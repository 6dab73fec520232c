"""Folders on the driver's local disk: those that go when the process ends, and those that a user keeps there."""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import stat
import tempfile
from pathlib import Path

from dbx_cd.config import given_path


def temporary_folder() -> Path:
    """A new folder for what must outlive the call that makes it, such as artifacts that a caller reads.

    Every notebook has a Python process of its own, which ends with its task; a cluster that many jobs share lives on,
    and with it all that is left on its disk.
    """
    folder = Path(tempfile.mkdtemp(prefix="dbx_cd-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def private_folder(name: str, *, variable: str) -> Path | None:
    """This user's own folder for one purpose, below the system's temporary one; it is made where it is missing.

    Args:
        name: what it is for.
        variable: the environment variable by which the embedded workspace gives its tasks another one.

    Returns:
        None where such a folder cannot be had: another user made it, others may enter it, or it is a link.
    """
    if not hasattr(os, "getuid"):
        return None
    folder = given_path(variable) or Path(tempfile.gettempdir()) / f"dbx_cd-{name}-{os.getuid()}"
    with contextlib.suppress(OSError):
        folder.mkdir(mode=0o700)
    try:
        found = folder.lstat()
    except OSError:
        return None
    private = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077
    return folder if private else None
