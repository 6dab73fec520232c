"""Which process has a workspace's state folder: one at a time, told at once and by its id."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shlex
import sys
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from dbx_cd.errors import SetupError

LOCK_FILE = "workspace.lock"
_ATTEMPTS = 5


@dataclass(frozen=True)
class Holder:
    """The process that has a state folder."""

    pid: int
    """Its id; 0 where it has not said it yet."""
    command: str
    """How it was started."""
    since: str
    """When it took the folder, UTC."""

    def __str__(self) -> str:
        return f"process {self.pid} ({self.command}, since {self.since})" if self.pid else "another process"


class StateLock:
    """The hold on one state folder. The system ends it with the process, however that ends.

    Args:
        state_dir: the folder, which is made where it is missing.
    """

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir
        self._file: IO[str] | None = None

    def take(self) -> None:
        """Take the folder for this process, until `release`.

        Raises:
            SetupError: another one has it.
        """
        self._state_dir.mkdir(parents=True, exist_ok=True)
        file = (self._state_dir / LOCK_FILE).open("a+", encoding="utf-8")
        if not _locked(file, self._state_dir):
            file.close()
            raise _in_use(self._state_dir)
        self._file = file
        command = shlex.join(["python", "-m", "dbx_cd.local", *sys.argv[1:]] if _is_command() else sys.argv)
        holder = Holder(os.getpid(), command, datetime.now(UTC).strftime("%Y-%m-%d %H:%M"))
        # No new file in its place: that one would be another lock. What cannot be written is said without it.
        with contextlib.suppress(OSError):
            file.truncate(0)
            file.write(json.dumps(asdict(holder)))
            file.flush()

    def release(self) -> None:
        """Let others take it."""
        if self._file is not None:
            self._file.close()
            self._file = None


def holder_of(state_dir: Path) -> Holder | None:
    """Who has a state folder; None where nobody has, as after a workspace that was killed."""
    try:
        with (state_dir / LOCK_FILE).open(encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                try:
                    return Holder(**json.loads(file.read()))
                except (ValueError, TypeError):
                    return Holder(0, "", "")
    except OSError:
        pass  # there is no such file
    return None


def refuse_if_in_use(state_dir: Path) -> None:
    """Say at once, before anything slow is begun, that another process has a state folder.

    Raises:
        SetupError: one has.
    """
    if holder_of(state_dir) is not None:
        raise _in_use(state_dir)


def _locked(file: IO[str], state_dir: Path) -> bool:
    for _ in range(_ATTEMPTS):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if holder_of(state_dir) is not None:
                return False
            time.sleep(0.1)  # somebody has only looked, which takes no time
        else:
            return True
    return False


def _in_use(state_dir: Path) -> SetupError:
    holder = holder_of(state_dir) or Holder(0, "", "")
    stop = f" (Ctrl-C in its terminal, or kill {holder.pid})" if holder.pid else ""
    return SetupError(
        f"{holder} has this state folder",
        where=state_dir,
        next_step=f"use that workspace, stop it{stop}, or give another folder with --state-dir",
    )


def _is_command() -> bool:
    return Path(sys.argv[0]).name == "__main__.py"
