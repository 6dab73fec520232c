"""Publish the folder `two` over the folder `one` again and again, killed one step later each time.

Run as a program of its own, because it forks: `python killed_publishes.py FOLDER` leaves FOLDER/1, FOLDER/2, and so on,
each a store as one kill left it; the last was not killed. With `first`, nothing was published before. With `back`, both
were published before, and `latest` is moved back from `two` to `one`; with `away`, from `two` to nothing.
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

PUBLISHED_BEFORE = {"over": ("one",), "first": (), "back": ("one", "two"), "away": ("two",)}
# What changes files, under the names Python gives the C functions.
STEPS = frozenset({"open", "write", "sendfile", "close", "__exit__", "mkdir", "unlink", "rmdir", "rename", "replace"})


def main(folder: Path, *, what: str) -> None:
    # What Python loads on first use would count as steps, too.
    ArtifactStore(folder / "warm-up").publish("stg", folder / "one", commit="one", latest=True)
    step, killed = 0, True
    while killed:
        step += 1
        root = folder / str(step)
        for name in PUBLISHED_BEFORE[what]:
            ArtifactStore(root).publish("stg", folder / name, commit=name, latest=True)
        child = os.fork()
        if child == 0:
            act_until(step, root, folder / "two", what)
            os._exit(0)
        killed = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def changes_files(function: Any) -> bool:
    """Whether a C function is one of `os` or of an open file; locks of threads have an `__exit__` as well."""
    return function.__name__ in STEPS and isinstance(function.__self__, ModuleType | io.IOBase)


def act_until(step: int, root: Path, folder: Path, what: str) -> None:
    """Publish or move `latest` back, and be killed just after the file-system call of that number."""
    seen = itertools.count(1)

    def count(_frame: FrameType, event: str, function: Any) -> None:
        if event == "c_return" and changes_files(function) and next(seen) == step:
            os.kill(os.getpid(), signal.SIGKILL)

    store = ArtifactStore(root)
    *before, newest = [*store.list("stg"), None] if what in ("over", "first") else store.list("stg")
    threading.setprofile(count)  # for threads that publishing starts
    sys.setprofile(count)
    if newest is None:
        store.publish("stg", folder, commit="two", latest=True)
    else:
        store.move_latest_back("stg", withdrawn=[newest], to=before[0] if before else None)
    sys.setprofile(None)


if __name__ == "__main__":
    main(Path(sys.argv[1]), what=sys.argv[2])
