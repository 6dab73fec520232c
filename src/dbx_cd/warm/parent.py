"""Starts and ends a warm parent."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from dbx_cd.import_path import without_current_directory
from dbx_cd.warm import alone

_END_SECONDS = 10.0


class WarmParent:
    """A warm parent, for as long as this process lives or until `stop`.

    Starting it costs a bare interpreter; it imports with its first client. Its socket lies in a new folder that only
    this user may enter.

    Args:
        module: what it imports; it has to have `preload()` and `run(argv)`.
        environment: the environment in which it imports; that of this process when not given. Forks have their
            clients'.
        log: where what it prints goes, such as a failed import; nowhere when not given.
        python: an interpreter of another environment, in which dbx_cd need not be installed: the module then finds of
            it what needs none of its packages. By default this process's own.
    """

    def __init__(
        self,
        module: str,
        *,
        environment: Mapping[str, str] | None = None,
        log: Path | None = None,
        python: Path | None = None,
    ) -> None:
        self._module = module
        self._python = python
        self._environment = without_current_directory(os.environ if environment is None else environment)
        self._log = log

    def start(self) -> Self:
        """Start it; its address can be used at once."""
        self._folder = Path(tempfile.mkdtemp(prefix="dbx_cd-"))
        self.address = self._folder / "socket"
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
                listener.bind(str(self.address))
                listener.listen(64)
                self._process = self._spawn(listener)
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        return self

    def warm_up(self) -> None:
        """Have it import now, and do not wait for that. One that has ended is left alone."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as nobody, contextlib.suppress(OSError):
            nobody.connect(str(self.address))

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def stop(self) -> None:
        """End it and every fork, and wait until they have ended."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.terminate()  # while it imports it does not see that its input has ended
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    @property
    def _interpreter(self) -> list[str]:
        """The interpreter, with what runs the module that is named next."""
        if self._python is None:
            return [sys.executable, "-P", "-m"]
        return [str(self._python), "-P", "-s", alone.__file__]

    def _spawn(self, listener: socket.socket) -> subprocess.Popen[bytes]:
        output = self._log.open("ab") if self._log is not None else subprocess.DEVNULL
        try:
            return subprocess.Popen(
                [*self._interpreter, "dbx_cd.warm.server", self._module, str(listener.fileno())],
                env=self._environment,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=(listener.fileno(),),
                start_new_session=True,
            )
        finally:
            if not isinstance(output, int):
                output.close()
