"""The warm parent: `python -P -m dbx_cd.warm.server MODULE DESCRIPTOR`, started by `dbx_cd.warm.parent`.

It inherits a listening Unix socket, by its descriptor. With the first connection it imports MODULE and calls its
`preload()`; from then on it forks for each order, and the fork calls MODULE's `run(argv)` at the top of its own stack,
so that it ends as any Python process does. The parent has one thread and never runs an invocation itself. It ends when
standard input ends, which whoever started it holds open, and leaves no fork behind.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import selectors
import signal
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dbx_cd.warm import likeness
from dbx_cd.warm.protocol import Order, answer, close_all

GRACE_SECONDS = 5.0
"""How long a fork whose client is gone may clean up before it is killed."""
_ORDER_SECONDS = 10.0
_WATCHED = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT)
_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)


@dataclass
class _Fork:
    """A fork that runs; `kill_at` (monotonic seconds) is set once its client is gone."""

    pid: int
    connection: socket.socket
    kill_at: float | None = None


class Parent:
    """Takes orders and forks, until its starter is gone.

    Args:
        listener: the listening socket.
        starter: a descriptor that ends when whoever started this process has ended.
        imported: what the imports read and changed of the environment.
    """

    def __init__(self, *, listener: socket.socket, starter: int, imported: likeness.Imported) -> None:
        self._imported = imported
        self._fingerprint = likeness.environment_fingerprint()
        self._files = likeness.loaded_files()
        self._forks: dict[socket.socket, _Fork] = {}
        self._listener = listener
        self._starter = starter
        self._selector = selectors.DefaultSelector()
        self._wake, wake = socket.socketpair()
        for end in (self._wake, wake):
            end.setblocking(False)
        self._wake_end = wake
        signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
        for number in _WATCHED:
            signal.signal(number, _noted)
        for source in (listener, starter, self._wake):
            self._selector.register(source, selectors.EVENT_READ)

    def serve(self) -> Order | None:
        """Fork for each order.

        Returns:
            In a fork its order, with streams, directory and environment in place; in the parent None, at its end.
        """
        while True:
            deadlines = [f.kill_at for f in self._forks.values() if f.kill_at is not None]
            wait = max(0.0, min(deadlines) - time.monotonic()) if deadlines else None
            for key, _ in self._selector.select(wait):
                if key.fileobj is self._listener:
                    order = self._take_order()
                    if order is not None:
                        return order
                elif key.fileobj is self._wake:
                    if not {signal.SIGTERM, signal.SIGINT}.isdisjoint(self._wake.recv(4096)):
                        self._end()
                        return None
                elif key.fileobj == self._starter:
                    self._end()
                    return None
                elif key.fileobj in self._forks:
                    self._forward(self._forks[key.fileobj])  # type: ignore[index]
            self._reap()
            for fork in self._forks.values():
                if fork.kill_at is not None and fork.kill_at <= time.monotonic():
                    _signal_group(fork.pid, signal.SIGKILL)
                    fork.kill_at = None

    def _take_order(self) -> Order | None:
        connection, _ = self._listener.accept()
        connection.settimeout(_ORDER_SECONDS)
        try:
            order, streams = Order.receive(connection)
        except (OSError, ValueError) as exc:
            answer(connection, refused=str(exc))
            connection.close()
            return None
        why = self._unlike(order)
        if why is not None:
            answer(connection, refused=why)
            close_all(streams)
            connection.close()
            return None
        # Until the fork has its own handlers no signal may reach it: the parent's would swallow it.
        signal.pthread_sigmask(signal.SIG_BLOCK, _FORWARDED)
        pid = os.fork()
        if pid == 0:
            self._become(order, streams, connection)
            return order
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _FORWARDED)
        close_all(streams)
        self._forks[connection] = _Fork(pid, connection)
        self._selector.register(connection, selectors.EVENT_READ)
        return None

    def _unlike(self, order: Order) -> str | None:
        """Why a fork would not be like a process that the client starts."""
        if order.fingerprint != self._fingerprint:
            return "another interpreter or other packages"
        changed = likeness.changed_files(self._files)
        if changed:
            return f"changed since it was imported: {changed[0]}"
        names = self._imported.differing(order.environment)
        return f"variables read by imports differ: {', '.join(names)}" if names else None

    def _become(self, order: Order, streams: list[int], connection: socket.socket) -> None:
        """Turn this fork into what a process started for the order would be."""
        os.setsid()
        for standard, stream in enumerate(streams):
            os.dup2(stream, standard)
        close_all(streams)
        signal.set_wakeup_fd(-1)
        self._selector.close()
        for open_end in (self._listener, self._wake, self._wake_end, *self._forks):
            open_end.close()
        os.close(self._starter)
        for number in _WATCHED:
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _FORWARDED)
        self._imported.change_environment(order.environment)
        os.chdir(order.cwd)
        sys.argv = ["-c", *order.argv]
        # Said by the fork itself, so that its client can signal its group from then on.
        answer(connection, pid=os.getpid())
        connection.close()

    def _forward(self, fork: _Fork) -> None:
        """Forward what the client sent, or begin to end the fork of a client that is gone."""
        try:
            numbers = fork.connection.recv(16)
        except OSError:
            numbers = b""
        if numbers:
            for number in numbers:
                if number == signal.SIGKILL:
                    _signal_group(fork.pid, signal.SIGKILL)
                elif number in _FORWARDED:
                    os.kill(fork.pid, number)
            return
        self._selector.unregister(fork.connection)
        os.kill(fork.pid, signal.SIGINT)
        fork.kill_at = time.monotonic() + GRACE_SECONDS

    def _reap(self) -> None:
        """Report the forks that have ended. A pid is waited for here only, so no signal can meet another process."""
        for fork in list(self._forks.values()):
            pid, status = os.waitpid(fork.pid, os.WNOHANG)
            if pid == 0:
                continue
            del self._forks[fork.connection]
            with contextlib.suppress(KeyError):
                self._selector.unregister(fork.connection)
            answer(fork.connection, exit=os.waitstatus_to_exitcode(status))
            fork.connection.close()

    def _end(self) -> None:
        """Interrupt all forks, and kill those that do not end in time."""
        _remove_socket(self._listener)
        self._listener.close()
        for fork in self._forks.values():
            os.kill(fork.pid, signal.SIGINT)
        deadline = time.monotonic() + GRACE_SECONDS
        while self._forks and time.monotonic() < deadline:
            self._reap()
            time.sleep(0.02)
        for fork in self._forks.values():
            _signal_group(fork.pid, signal.SIGKILL)


def _signal_group(pid: int, number: signal.Signals) -> None:
    """Signal a fork and what it has started; a fork that has not made its group yet is signalled alone."""
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        os.kill(pid, number)


def _remove_socket(listener: socket.socket) -> None:
    """Remove its address, with the folder that was made for it: whoever started this process may have been killed."""
    with contextlib.suppress(OSError, TypeError):
        address = Path(listener.getsockname())
        address.unlink()
        address.parent.rmdir()  # refuses where anything else is


def _noted(_number: int, _frame: object) -> None:
    """The wake-up descriptor has been written to; that is all a signal does here."""


def main(module: str, descriptor: int) -> Any:
    """Serve forks of one module on an inherited socket.

    Returns:
        In a fork what is to be called to run its order; in the parent None.
    """
    starter = os.dup(0)
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    listener = socket.socket(fileno=descriptor)
    listener.set_inheritable(False)
    if _first_of(listener, starter) != listener.fileno():
        _remove_socket(listener)
        return None
    with likeness.recorded_imports() as imported, likeness.no_native_threads():
        entry = importlib.import_module(module)
        entry.preload()
    if likeness.thread_count() > 1:
        raise SystemExit(f"{module} starts threads while it is imported, and cannot be forked")
    gc.collect()
    gc.freeze()  # what was imported stays: no fork has to look at it again, nor to copy its pages for that
    order = Parent(listener=listener, starter=starter, imported=imported).serve()
    return None if order is None else lambda: entry.run(order.argv)


def _first_of(*sources: Any) -> int:
    """The descriptor of the source that can be read first."""
    with selectors.DefaultSelector() as selector:
        for source in sources:
            selector.register(source, selectors.EVENT_READ)
        return selector.select()[0][0].fd


if __name__ == "__main__":
    run = main(sys.argv[1], int(sys.argv[2]))
    if run is not None:
        run()
