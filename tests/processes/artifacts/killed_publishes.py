"""Publish the folder `two` over the folder `one` again and again, killed one step later each time.

Run as a program of its own, because it forks: `python killed_publishes.py FOLDER` leaves FOLDER/1, FOLDER/2, and so on,
each a store as one kill left it; the last was not killed. With `first`, nothing was published before.
"""

from __future__ import annotations

import io
import itertools
import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

from dbx_cd import ArtifactStore

# What changes files, under the names Python gives the C functions.
STEPS = frozenset({"open", "write", "sendfile", "close", "__exit__", "mkdir", "unlink", "rmdir", "rename", "replace"})


def main(folder: Path, *, over_one: bool) -> None:
    # What Python loads on first use would count as steps, too.
    ArtifactStore(folder / "warm-up").publish("stg", folder / "one", commit="one", latest=True)
    step, killed = 0, True
    while killed:
        step += 1
        root = folder / str(step)
        if over_one:
            ArtifactStore(root).publish("stg", folder / "one", commit="one", latest=True)
        child = os.fork()
        if child == 0:
            publish_until(step, root, folder / "two")
            os._exit(0)
        killed = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def changes_files(function: Any) -> bool:
    """Whether a C function is one of `os` or of an open file; locks of threads have an `__exit__` as well."""
    return function.__name__ in STEPS and isinstance(function.__self__, ModuleType | io.IOBase)


def publish_until(step: int, root: Path, folder: Path) -> None:
    """Publish, and be killed just after the file-system call of that number."""
    seen = itertools.count(1)

    def count(_frame: FrameType, event: str, function: Any) -> None:
        if event == "c_return" and changes_files(function) and next(seen) == step:
            os.kill(os.getpid(), signal.SIGKILL)

    store = ArtifactStore(root)
    threading.setprofile(count)  # for threads that publishing starts
    sys.setprofile(count)
    store.publish("stg", folder, commit="two", latest=True)
    sys.setprofile(None)


if __name__ == "__main__":
    main(Path(sys.argv[1]), over_one="first" not in sys.argv)
