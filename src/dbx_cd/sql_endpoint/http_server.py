"""HTTP/1.1 on the loopback address: bearer tokens, Thrift messages in POST bodies, TLS and plain HTTP on one port."""

from __future__ import annotations

import contextlib
import json
import logging
import secrets
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from dbx_cd.sql_endpoint.liveness import ClientConnection, asked_over

_log = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"
DISCOVERY_PATH = "/.well-known/databricks-config"
MAX_REQUEST_BYTES = 256 << 20
IDLE_CONNECTION_SECONDS = 900
MAX_CONNECTIONS = 512
"""Each has a thread; more are refused."""
_READ_OF_A_REFUSED_BYTES = 1 << 16  # so that a client which sent little can use its connection again
_TLS_HANDSHAKE = b"\x16"

# dbt-databricks takes "unified" for an account-wide host and asks for a workspace id; databricks-sdk wants the others.
_DISCOVERY = {"host_type": "workspace", "oidc_endpoint": "", "account_id": None, "workspace_id": None}


class LoopbackServer(ThreadingHTTPServer):
    """One thread per connection.

    Args:
        answers: for each token that is accepted, what turns the body of a POST to `path` into the reply's body.
        port: TCP port; 0 takes a free one.
        path: where Thrift is spoken.
        tls: for clients that begin with a handshake.
        most: how many connections there may be at a time.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self,
        answers: Mapping[str, Callable[[bytes], bytes]],
        *,
        port: int,
        path: str,
        tls: ssl.SSLContext,
        most: int = MAX_CONNECTIONS,
    ) -> None:
        super().__init__((LOOPBACK, port), _Handler)
        self.path = path
        self.tls = tls
        self.most = most
        self._answers = {token.encode(): answer for token, answer in answers.items()}
        self._connections: set[Any] = set()
        self._lock = threading.Lock()

    def answer_for(self, authorization: str) -> Callable[[bytes], bytes] | None:
        """Who answers the token in the Authorization header; the time taken does not depend on which it is."""
        scheme, _, given = authorization.partition(" ")
        with self._lock:
            known = list(self._answers.items())
        matching = [answer for token, answer in known if secrets.compare_digest(given.strip().encode(), token)]
        return matching[0] if scheme.lower() == "bearer" and matching else None

    def accept(self, token: str, answer: Callable[[bytes], bytes]) -> None:
        """Accept one more token."""
        with self._lock:
            self._answers[token.encode()] = answer

    def refuse(self, token: str) -> None:
        """Accept a token no longer, on the connections that are open either."""
        with self._lock:
            self._answers.pop(token.encode(), None)

    def opened(self, connection: socket.socket) -> bool:
        """Remember a connection, to end it when the server stops; False when it is one too many."""
        with self._lock:
            self._connections.add(connection)
            return len(self._connections) <= self.most

    def closed(self, connection: socket.socket) -> None:
        """Forget a connection."""
        with self._lock:
            self._connections.discard(connection)

    def disconnect_all(self) -> None:
        """End the connections that clients keep open."""
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        """Clients that hang up, or do not trust the certificate, are no news."""
        _log.debug("connection from %s ended", client_address, exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    server: LoopbackServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = IDLE_CONNECTION_SECONDS
    wbufsize = -1  # headers and body leave in one packet

    def setup(self) -> None:
        """Speak TLS to a client that begins with a handshake; the first byte decides."""
        self.request.settimeout(IDLE_CONNECTION_SECONDS)
        if self.request.recv(1, socket.MSG_PEEK) == _TLS_HANDSHAKE:
            self.request = self.server.tls.wrap_socket(self.request, server_side=True)
        self.client = ClientConnection(self.request)
        self._is_one_too_many = not self.server.opened(self.request)
        super().setup()

    def finish(self) -> None:
        try:
            super().finish()
        finally:
            self.client.closing()
            self.server.closed(self.request)
            self.request.close()

    def do_GET(self) -> None:
        if self._is_one_too_many:
            self._refuse_one_too_many()
        elif self.path == DISCOVERY_PATH:
            self._send(HTTPStatus.OK, json.dumps(_DISCOVERY).encode(), "application/json")
        else:
            self._refuse(HTTPStatus.NOT_FOUND, "only the SQL endpoint is here")

    def do_POST(self) -> None:
        """Who asks, for what, and how much, is known before the body is read."""
        answer = self._admitted()
        if answer is not None:
            self._answer(answer, self.rfile.read(self._length()))

    def handle_expect_100(self) -> bool:
        """A client that asks before it sends the body is refused before it does."""
        if self._admitted(is_sent=False) is None:
            return False
        go_on = super().handle_expect_100()
        self.wfile.flush()
        return go_on

    def _admitted(self, *, is_sent: bool = True) -> Callable[[bytes], bytes] | None:
        """Who answers this request, whose body the client has sent or waits to send; None when it was refused."""
        length = self._length()
        answer = self.server.answer_for(self.headers.get("Authorization", ""))
        if self._is_one_too_many:
            self._refuse_one_too_many()
        elif length < 0:
            self._refuse(HTTPStatus.LENGTH_REQUIRED, "Content-Length is required", hang_up=True)
        elif length > MAX_REQUEST_BYTES:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "the statement is too large", hang_up=True)
        elif self.path.partition("?")[0] != self.server.path:
            self._refuse_unread(HTTPStatus.NOT_FOUND, f"the SQL endpoint is at {self.server.path}", is_sent=is_sent)
        elif answer is None:
            self._refuse_unread(HTTPStatus.UNAUTHORIZED, "invalid access token", is_sent=is_sent)
        else:
            return answer
        return None

    def _length(self) -> int:
        """How long the body is; -1 when the client does not say so."""
        length = self.headers.get("Content-Length", "")
        return int(length) if length.isdecimal() else -1

    def _refuse_one_too_many(self) -> None:
        # The connector tries again after 429 and 503, for minutes; this it shows at once.
        reason = f"there are {self.server.most} connections already, close some"
        self._refuse(HTTPStatus.FORBIDDEN, reason, hang_up=True)

    def _refuse_unread(self, status: HTTPStatus, reason: str, *, is_sent: bool) -> None:
        is_little = is_sent and self._length() <= _READ_OF_A_REFUSED_BYTES
        if is_little:
            self.rfile.read(self._length())
        self._refuse(status, reason, hang_up=not is_little)

    def _answer(self, answer: Callable[[bytes], bytes], body: bytes) -> None:
        try:
            with asked_over(self.client):
                reply = answer(body)
        except Exception as exc:  # not a Thrift message
            _log.debug("malformed request", exc_info=True)
            self._refuse(HTTPStatus.BAD_REQUEST, f"not a Thrift message: {type(exc).__name__}")
        else:
            self._send(HTTPStatus.OK, reply, "application/x-thrift")

    def _refuse(self, status: HTTPStatus, reason: str, *, hang_up: bool = False) -> None:
        # The connector shows this header to the user and nothing of the body.
        headers = {"x-databricks-reason-phrase": reason, **({"Connection": "close"} if hang_up else {})}
        body = json.dumps({"error_code": status.name, "message": reason}).encode()
        self._send(status, body, "application/json", headers)

    def _send(self, status: HTTPStatus, body: bytes, kind: str, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, *args: Any) -> None:
        """Requests are no news; statements are reported by `on_statement`."""
