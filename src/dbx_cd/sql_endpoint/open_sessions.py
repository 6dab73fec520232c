"""The sessions that are open for one token's clients: which handle names which, and which of them are idle."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

from dbx_cd.sql_endpoint.liveness import asking_connection
from dbx_cd.sql_endpoint.operation import Operation
from dbx_cd.sql_endpoint.session import EndpointSession
from dbx_cd.sql_endpoint.thrift_api import ThriftFault, UnknownHandle

_log = logging.getLogger(__name__)

# A client that was killed never closes its session.
IDLE_SESSION_SECONDS = 8 * 3600.0
LOOK_FOR_IDLE_SECONDS = 60.0
MAX_SESSIONS = 400
"""Of one token; each is a Spark session."""


class OpenSessions:
    """The sessions, by the handles that clients have.

    Args:
        clock: seconds that only ever grow; by them a session is idle.
        look_every: seconds after which idle sessions are looked for, whether anybody asks for anything or not.
        most: how many there may be at a time.
    """

    def __init__(
        self, clock: Callable[[], float], *, look_every: float = LOOK_FOR_IDLE_SECONDS, most: int = MAX_SESSIONS
    ) -> None:
        self._clock = clock
        self._most = most
        self._stopped = threading.Event()
        self._sessions: dict[bytes, EndpointSession] = {}
        self._being_opened = 0
        self._lock = threading.Lock()
        threading.Thread(target=self._expire, args=(look_every,), name="sql-endpoint-idle", daemon=True).start()

    def _expire(self, every: float) -> None:
        while not self._stopped.wait(every):
            try:
                self.close_idle()
            except Exception:
                _log.exception("idle sessions were not looked for")

    @contextlib.contextmanager
    def place(self) -> Iterator[Callable[[EndpointSession], None]]:
        """A place for one more session, which is taken before the session is made: many clients may come at a time.

        Yields:
            Keeps the session in this place, until it is closed or idle for too long. Without that the place is free
            again afterwards.

        Raises:
            ThriftFault: there are too many.
        """
        with self._lock:
            if len(self._sessions) + self._being_opened >= self._most:
                raise ThriftFault(
                    f"[TOO_MANY_SESSIONS] there are {self._most} open sessions already: close connections that are not "
                    f"used; one that nobody uses is closed after {IDLE_SESSION_SECONDS / 3600:.0f} hours. "
                    "SQLSTATE: 53300",
                    sql_state="53300",
                )
            self._being_opened += 1
        made: list[EndpointSession] = []
        try:
            yield made.append
        finally:
            with self._lock:
                self._being_opened -= 1
                self._sessions.update({session.id: session for session in made})

    def session(self, request: Any) -> EndpointSession:
        """The session that a request names, which is in use from now on.

        Raises:
            UnknownHandle: it is closed, or never was.
        """
        with self._lock:
            session = self._sessions.get(_guid(request.sessionHandle and request.sessionHandle.sessionId))
        if session is None:
            raise UnknownHandle("session")
        session.last_used, session.connection = self._clock(), asking_connection()
        return session

    def operation(self, request: Any) -> tuple[EndpointSession, Operation]:
        """The operation that a request names, and its session, which is in use from now on.

        Raises:
            UnknownHandle: it is closed, or never was.
        """
        operation_id = _guid(request.operationHandle and request.operationHandle.operationId)
        with self._lock:
            session = next((s for s in self._sessions.values() if s.owns(operation_id)), None)
        if session is None:
            raise UnknownHandle("operation")
        session.last_used, session.connection = self._clock(), asking_connection()
        return session, session.operation(operation_id)

    def close(self, session: EndpointSession) -> None:
        """Free a session and its operations."""
        with self._lock:
            self._sessions.pop(session.id, None)
        session.close()
        _log.info("session %s closed", session)

    def close_idle(self) -> None:
        """Free the sessions that nobody has used for `IDLE_SESSION_SECONDS`."""
        since = self._clock() - IDLE_SESSION_SECONDS
        with self._lock:
            idle = [session for session in self._sessions.values() if session.is_idle(since=since)]
            for session in idle:
                del self._sessions[session.id]
        for session in idle:
            _close(session)
            _log.info("session %s closed: idle for %.0f h", session, IDLE_SESSION_SECONDS / 3600)

    def close_all(self) -> None:
        """Free every session, for good; what runs is cancelled."""
        self._stopped.set()
        with self._lock:
            sessions = list(self._sessions.values())
            self._sessions.clear()
        for session in sessions:
            _close(session)


def _close(session: EndpointSession) -> None:
    """Free one of several: whatever keeps it from that is no matter of the others."""
    try:
        session.close()
    except Exception:
        _log.exception("session %s was not closed as a whole", session)


def _guid(identifier: Any) -> bytes:
    guid = identifier.guid if identifier is not None else b""
    return guid if isinstance(guid, bytes) else str(guid).encode()
