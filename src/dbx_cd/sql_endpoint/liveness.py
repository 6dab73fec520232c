"""Whether the client of a statement is still there: one that was killed cannot cancel what it has begun.

The connector polls a statement that runs without a pause (databricks-sql-connector 4.4,
`ThriftDatabricksClient._wait_until_command_done`; an answer takes up to `POLL_SECONDS`), over one connection that it
keeps open. When that breaks, its next attempt comes after one or two seconds (`_retry_delay_min`). So a client whose
connection has ended, and that has asked for nothing for `GONE_SECONDS`, is gone. One that only does not ask, as after
`execute_async`, is not: its connection is open.
"""

from __future__ import annotations

import contextlib
import logging
import select
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from typing import Protocol

_log = logging.getLogger(__name__)

GONE_SECONDS = 5.0
"""How long a client whose connection has ended may ask for nothing before its statements are cancelled."""
_LOOK_SECONDS = 1.0
# The peer has closed its side. Linux says so apart from whether bytes are left to read; others by POLLHUP.
_ENDED = select.POLLHUP | select.POLLERR | select.POLLNVAL | getattr(select, "POLLRDHUP", 0)


class ClientConnection:
    """One connection of a client, as far as it tells whether the client is there.

    Args:
        connection: its socket.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._socket: socket.socket | None = connection
        self._was_lost = False
        self._lock = threading.Lock()

    @property
    def is_lost(self) -> bool:
        """Whether the client has ended it. One that this side has closed, since it was idle, says nothing."""
        with self._lock:
            return self._was_lost if self._socket is None else _is_ended(self._socket)

    def closing(self) -> None:
        """This side is about to close it: what can be known is known now."""
        with self._lock:
            if self._socket is not None:
                self._was_lost, self._socket = _is_ended(self._socket), None


def _is_ended(connection: socket.socket) -> bool:
    look = select.poll()
    look.register(connection, _ENDED)
    return bool(look.poll(0))


_asking: ContextVar[ClientConnection | None] = ContextVar("dbx_cd_sql_endpoint_asking", default=None)


@contextlib.contextmanager
def asked_over(connection: ClientConnection) -> Iterator[None]:
    """What is called inside was asked for over this connection."""
    token = _asking.set(connection)
    try:
        yield
    finally:
        _asking.reset(token)


def asking_connection() -> ClientConnection | None:
    """The connection over which the running call was asked for; None outside of one, as in tests."""
    return _asking.get()


class Abandonable(Protocol):
    """What has statements whose clients may be gone."""

    def cancel_abandoned(self) -> None:
        """Cancel them."""


class LivenessWatch:
    """Looks once a second for statements whose clients are gone, on a thread of its own.

    Args:
        services: whose statements; asked anew each time.
    """

    def __init__(self, services: Callable[[], Iterable[Abandonable]]) -> None:
        self._services = services
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="sql-endpoint-liveness", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, and wait for that."""
        self._stopped.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stopped.wait(_LOOK_SECONDS):
            for service in list(self._services()):
                try:
                    service.cancel_abandoned()
                except Exception:
                    _log.exception("statements of clients that are gone were not looked for")
