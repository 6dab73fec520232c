"""The open connections of a server: how many there may be, and how long a client may take to say what it wants.

Each has a thread. A client that connects and sends nothing, or that sends its request byte by byte, would keep one for
as long as it likes: a timeout of the socket begins anew with every byte.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

MAX_CONNECTIONS = 512
"""More are refused."""
TOLD_AT_A_TIME = 32
"""Of those that are refused, so many have a thread that tells them why; further ones are closed at once."""


@dataclass(frozen=True)
class Patience:
    """How many seconds a client has for the parts of a request; what a client of this machine needs is a tiny part."""

    first_byte: float = 10.0
    """From the connection to its first byte: clients connect in order to ask."""
    head: float = 30.0
    """For the TLS handshake, and from the first byte of a request to the end of its headers."""
    body: float = 60.0
    """For the body, and one more for each `body_bytes` of it."""
    body_bytes: int = 1 << 20

    def for_body(self, size: int) -> float:
        """Seconds for a body of so many bytes."""
        return self.body + size / self.body_bytes


@dataclass
class _Open:
    is_one_too_many: bool
    """Whether it is there only to be told so."""
    deadline: float | None
    """When it is ended if the client has not said more by then."""


class Connections:
    """The connections, by their sockets.

    Args:
        most: how many there may be at a time.
        patience: how long a client may take.
        clock: seconds that only ever grow.
    """

    def __init__(
        self,
        *,
        most: int = MAX_CONNECTIONS,
        patience: Patience | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.most = most
        self.patience = patience or Patience()
        self._clock = clock
        self._open: dict[socket.socket, _Open] = {}
        self._lock = threading.Lock()

    def admit(self, connection: socket.socket) -> bool:
        """Count a connection from its first moment on; False where there is not even a thread to refuse it."""
        with self._lock:
            if len(self._open) >= self.most + TOLD_AT_A_TIME:
                return False
            is_one_too_many = len(self._open) >= self.most
            self._open[connection] = _Open(is_one_too_many, self._clock() + self.patience.first_byte)
            return True

    def is_one_too_many(self, connection: socket.socket) -> bool:
        """Whether there were enough already when it came."""
        with self._lock:
            return self._open[connection].is_one_too_many

    def expect(self, connection: socket.socket, *, within: float | None) -> None:
        """End a connection after `within` seconds unless this is called again before; None: not at all."""
        with self._lock:
            self._open[connection].deadline = None if within is None else self._clock() + within

    def replace(self, connection: socket.socket, *, by: socket.socket) -> None:
        """From now on it is another object, as TLS makes one."""
        with self._lock:
            self._open[by] = self._open.pop(connection)

    def closed(self, connection: socket.socket) -> None:
        """Forget a connection."""
        with self._lock:
            self._open.pop(connection, None)

    def end_overdue(self) -> None:
        """End the connections whose clients take too long."""
        with self._lock:
            now = self._clock()
            overdue = [
                each for each, state in self._open.items() if state.deadline is not None and state.deadline < now
            ]
        _end(overdue)

    def end_all(self) -> None:
        """End every connection; their threads notice."""
        with self._lock:
            every = list(self._open)
        _end(every)


def _end(connections: list[socket.socket]) -> None:
    for connection in connections:
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
