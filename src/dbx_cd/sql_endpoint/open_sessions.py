"""The sessions that are open for one token's clients: which handle names which, and which of them are idle."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
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
        self._lock = threading.Lock()
        threading.Thread(target=self._expire, args=(look_every,), name="sql-endpoint-idle", daemon=True).start()

    def _expire(self, every: float) -> None:
        while not self._stopped.wait(every):
            self.close_idle()

    def require_room(self) -> None:
        """Refuse one session more than there may be.

        Raises:
            ThriftFault: there are too many.
        """
        if len(self._sessions) >= self._most:
            raise ThriftFault(
                f"[TOO_MANY_SESSIONS] there are {self._most} open sessions already: close connections that are not "
                f"used; one that nobody uses is closed after {IDLE_SESSION_SECONDS / 3600:.0f} hours. SQLSTATE: 53300",
                sql_state="53300",
            )

    def add(self, session: EndpointSession) -> None:
        """Keep a session until it is closed, or idle for too long."""
        with self._lock:
            self._sessions[session.id] = session

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
            session.close()
            _log.info("session %s closed: idle for %.0f h", session, IDLE_SESSION_SECONDS / 3600)

    def close_all(self) -> None:
        """Free every session, for good; what runs is cancelled."""
        self._stopped.set()
        with self._lock:
            sessions = list(self._sessions.values())
            self._sessions.clear()
        for session in sessions:
            session.close()


def _guid(identifier: Any) -> bytes:
    guid = identifier.guid if identifier is not None else b""
    return guid if isinstance(guid, bytes) else str(guid).encode()
