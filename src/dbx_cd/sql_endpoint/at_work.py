"""Which operations have a thread at work: nothing of a client runs any more only when none of its own has."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

from dbx_cd.sql_endpoint.operation import Operation
from dbx_cd.sql_endpoint.session import EndpointSession


@dataclass(frozen=True)
class RunningStatement:
    """One statement whose thread is at work."""

    id: str
    """The operation's id, in hexadecimal digits."""
    sql: str
    """The statement as the client sent it."""
    started_ms: int
    """When it began, in milliseconds since the epoch."""
    token: str = field(default="", repr=False)
    """By which token it came."""


class AtWork:
    """The operations of one service whose threads have begun and not left.

    An operation that was cancelled has ended for its client at once. Its thread may still be in a commit that nothing
    can stop any more, so that who wants to know whether something may yet change has to ask here.
    """

    def __init__(self) -> None:
        self._operations: dict[Operation, EndpointSession] = {}
        self._statements: dict[Operation, RunningStatement] = {}
        self._changed = threading.Condition()
        self._closed = False

    def begin(self, session: EndpointSession, operation: Operation, *, sql: str | None = None) -> bool:
        """Whether the operation's thread may begin: not one that was cancelled before, and none after `close`."""
        with self._changed:
            if self._closed:
                operation.cancel()
            if not operation.begin():
                return False
            self._operations[operation] = session
            if sql is not None:
                now = time.time_ns() // 1_000_000
                self._statements[operation] = RunningStatement(operation.id.hex(), sql, now)
            return True

    def end(self, operation: Operation) -> None:
        """Its thread does nothing for it any more."""
        operation.left.set()
        with self._changed:
            del self._operations[operation]
            self._statements.pop(operation, None)
            self._changed.notify_all()

    def running(self) -> list[tuple[EndpointSession, Operation]]:
        """The operations whose threads are at work, each with its session."""
        with self._changed:
            return [(session, operation) for operation, session in self._operations.items()]

    def statements(self) -> list[RunningStatement]:
        """The statements among them."""
        with self._changed:
            return list(self._statements.values())

    def close(self) -> None:
        """Let none begin any more, and cancel those that have."""
        with self._changed:
            self._closed = True
        for session, operation in self.running():
            session.cancel(operation)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until no thread is at work; whether that is so within `timeout` seconds (None: however long)."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._operations, timeout)
