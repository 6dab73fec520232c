"""A process forked from a warm parent, with the face of `subprocess.Popen`."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Protocol

from dbx_cd.warm.likeness import environment_fingerprint
from dbx_cd.warm.protocol import Order


class NotWarm(Exception):
    """There is no warm parent at that address, or its forks would not be like a process of the client's own."""


class Process(Protocol):
    """What `subprocess.Popen` and `WarmProcess` have in common: a process, its merged output, and how it is ended."""

    pid: int
    stdout: IO[str] | None

    def poll(self) -> int | None:
        """The exit code; None while it runs."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end; raises `subprocess.TimeoutExpired` after `timeout` seconds."""

    def send_signal(self, sig: int) -> None:
        """Signal the process."""

    def kill(self) -> None:
        """Kill it at once."""


class WarmProcess:
    """A fork of a warm parent. It ends with this process, as far as a warm parent can see to it."""

    def __init__(self, connection: socket.socket, *, pid: int, stdout: IO[str], argv: Sequence[str]) -> None:
        self._connection = connection
        self._argv = list(argv)
        self._received = b""
        self._code: int | None = None
        self._taking = threading.Lock()  # one thread alone takes what the parent says
        self.pid = pid
        self.stdout: IO[str] | None = stdout

    @classmethod
    def start(
        cls,
        address: Path,
        argv: Sequence[str],
        *,
        cwd: Path,
        environment: Mapping[str, str] | None = None,
        stdin: int | None = None,
        prefix: Path | None = None,
    ) -> WarmProcess:
        """Fork one, with standard error merged into its output.

        Args:
            address: the socket of the warm parent.
            argv: what its `run` is given.
            cwd: its current directory.
            environment: its variables; those of this process when not given.
            stdin: the descriptor it reads; nothing when not given.
            prefix: the virtual environment that it has to be of; that of this process when not given.

        Raises:
            NotWarm: start a process instead.
        """
        variables = dict(os.environ if environment is None else environment)
        order = Order(list(argv), str(cwd), variables, environment_fingerprint(prefix))
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        reading, writing = os.pipe()
        nothing = os.open(os.devnull, os.O_RDONLY)
        try:
            connection.connect(str(address))
            order.send(connection, [nothing if stdin is None else stdin, writing, writing])
            # No time limit: the first client waits while the parent imports, which is what it would do by itself.
            line = connection.makefile("rb", buffering=0).readline()
            reply = json.loads(line) if line else {"refused": "it ended"}
            if "pid" not in reply:
                raise NotWarm(reply.get("refused", "it could not begin"))
        except (OSError, ValueError) as exc:
            connection.close()
            os.close(reading)
            raise NotWarm(str(exc)) from exc
        except BaseException:
            connection.close()
            os.close(reading)
            raise
        finally:
            os.close(writing)
            os.close(nothing)
        output = os.fdopen(reading, encoding="utf-8", errors="replace")
        return cls(connection, pid=reply["pid"], stdout=output, argv=argv)

    def poll(self) -> int | None:
        """The exit code; None while it runs, as far as a thread that waits for it has seen."""
        if self._taking.acquire(blocking=False):
            try:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._wait(0)
            finally:
                self._taking.release()
        return self._code

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end.

        Args:
            timeout: seconds; None for no limit.

        Returns:
            The exit code, as `subprocess` writes it: negative for a signal.

        Raises:
            subprocess.TimeoutExpired: it still runs.
        """
        if not self._taking.acquire(timeout=-1 if timeout is None else timeout):
            raise subprocess.TimeoutExpired(self._argv, timeout or 0)
        try:
            return self._wait(timeout)
        finally:
            self._taking.release()

    def _wait(self, timeout: float | None) -> int:
        deadline = None if timeout is None else time.monotonic() + timeout
        while self._code is None:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            if not select.select([self._connection], [], [], left)[0]:
                raise subprocess.TimeoutExpired(self._argv, timeout or 0)
            try:
                received = self._connection.recv(4096)
            except ConnectionError:  # a parent that is gone, and had not read all that it was sent
                received = b""
            self._take(received)
        return self._code

    def send_signal(self, sig: int) -> None:
        """Signal the process; one that has ended is left alone."""
        if self._code is None:
            with contextlib.suppress(OSError):
                self._connection.sendall(bytes([sig]))

    def kill(self) -> None:
        """Kill it and what it has started."""
        self.send_signal(signal.SIGKILL)

    def _take(self, received: bytes) -> None:
        if not received:
            # The parent is gone and nobody else would end its fork: this process stands for it.
            with contextlib.suppress(OSError):
                os.killpg(self.pid, signal.SIGKILL)
            self._code = -signal.SIGKILL
        self._received += received
        if self._received.endswith(b"\n"):
            reply: dict[str, Any] = json.loads(self._received)
            self._code = int(reply["exit"])
        if self._code is not None:
            self._connection.close()
