"""Temporary files of a workspace and of its tasks: below its state folder, so that none stay.

What ends well removes its own; what was killed leaves some, and the next start on the folder removes those.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

_LONGEST = 70
"""Characters of a folder in which Unix sockets may be made, whose whole names are limited to 107 (Linux, unix(7))."""


class Scratch:
    """The folder of a workspace's temporary files.

    Args:
        state_dir: the workspace's folder, which nobody else uses meanwhile.
    """

    def __init__(self, state_dir: Path) -> None:
        self.folder = state_dir / "tmp"
        """Where they are."""

    def clear(self) -> None:
        """Remove what is there; the folder itself stays, since a JVM of this process goes on using it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for entry in self.folder.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink(missing_ok=True)


@contextlib.contextmanager
def task_folder(state_dir: Path, name: str) -> Iterator[Path]:
    """The folder for the temporary files of one attempt at a task, which are gone when it has ended.

    Where the state folder's name is long it is one of the system's: what a task starts may want sockets in it.
    """
    own = state_dir / "tmp" / name
    if len(str(own)) > _LONGEST:
        own = Path(tempfile.mkdtemp(prefix="dbx_cd-"))
    own.mkdir(parents=True, exist_ok=True)
    try:
        yield own
    finally:
        shutil.rmtree(own, ignore_errors=True)
