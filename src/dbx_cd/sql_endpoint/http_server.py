"""HTTP/1.1 on the loopback address: bearer tokens, Thrift messages in POST bodies, TLS and plain HTTP on one port."""

from __future__ import annotations

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

from dbx_cd.sql_endpoint.connections import Connections
from dbx_cd.sql_endpoint.liveness import ClientConnection, asked_over
from dbx_cd.sql_endpoint.result_files import RESULTS_PATH, ResultFile, ResultFiles

_log = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"
DISCOVERY_PATH = "/.well-known/databricks-config"
MAX_REQUEST_BYTES = 256 << 20
IDLE_CONNECTION_SECONDS = 900
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
        connections: how many connections there may be at a time, and how long each may take to ask for something.
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
        connections: Connections | None = None,
    ) -> None:
        super().__init__((LOOPBACK, port), _Handler)
        self.path = path
        self.tls = tls
        self.connections = connections or Connections()
        self._answers = {token.encode(): answer for token, answer in answers.items()}
        self._lock = threading.Lock()
        self.files = ResultFiles(f"http://{LOOPBACK}:{self.server_address[1]}")

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

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ARG002
        """Count a connection before it has a thread; False closes it."""
        return self.connections.admit(request)

    def service_actions(self) -> None:
        """Between two connections, at every poll of `serve_forever`."""
        self.connections.end_overdue()

    def shutdown_request(self, request: Any) -> None:
        """The end of a connection, however far it came."""
        self.connections.closed(request)
        super().shutdown_request(request)

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
        connections, plain = self.server.connections, self.request
        plain.settimeout(IDLE_CONNECTION_SECONDS)
        if plain.recv(1, socket.MSG_PEEK) == _TLS_HANDSHAKE:
            self.request = self.server.tls.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
            connections.replace(plain, by=self.request)
            self._expect(within=connections.patience.head)
            self._begin_tls()
        self.client = ClientConnection(self.request)
        self._is_one_too_many = connections.is_one_too_many(self.request)
        super().setup()

    def _begin_tls(self) -> None:
        try:
            self.request.do_handshake()
        except BaseException:
            self.server.shutdown_request(self.request)  # who called this one knows only the socket without TLS
            raise

    def finish(self) -> None:
        try:
            super().finish()
        finally:
            self.client.closing()
            self.server.connections.closed(self.request)
            self.request.close()

    def handle_one_request(self) -> None:
        """Read and answer one; from its first byte on the client has not long for the rest."""
        reader: Any = self.rfile  # a buffered one, which waits for a first byte without taking it
        reader.peek(1)
        self._expect(within=self.server.connections.patience.head)
        super().handle_one_request()
        self._expect(within=None)  # clients keep their connection for the next one

    def _expect(self, *, within: float | None) -> None:
        self.server.connections.expect(self.request, within=within)

    def do_GET(self) -> None:
        if self._is_one_too_many:
            self._refuse_one_too_many()
        elif self.path == DISCOVERY_PATH:
            self._send(HTTPStatus.OK, json.dumps(_DISCOVERY).encode(), "application/json")
        elif (file := self.server.files.file(self.path)) is not None:
            self._send_file(file)
        elif self.path.startswith(RESULTS_PATH):
            self._refuse(HTTPStatus.GONE, "the result has been closed")
        else:
            self._refuse(HTTPStatus.NOT_FOUND, "only the SQL endpoint is here")

    def _send_file(self, file: ResultFile) -> None:
        """Who knows the link needs no token. Where the result is closed meanwhile, it ends in the middle."""
        self._send_head(HTTPStatus.OK, {"Content-Type": "application/octet-stream", "Content-Length": str(file.size)})
        for part in file.content():
            self.wfile.write(part)
        self.wfile.flush()

    def do_POST(self) -> None:
        """Who asks, for what, and how much, is known before the body is read."""
        answer = self._admitted()
        if answer is not None:
            self._answer(answer, self._body())

    def _body(self) -> bytes:
        """The body, of which all has to be there."""
        length = self._length()
        self._expect(within=self.server.connections.patience.for_body(length))
        body = self.rfile.read(length)
        self._expect(within=None)
        if len(body) < length:
            raise ConnectionError("the client has sent a part of its request")
        return body

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
        reason = f"there are {self.server.connections.most} connections already, close some"
        self._refuse(HTTPStatus.FORBIDDEN, reason, hang_up=True)

    def _refuse_unread(self, status: HTTPStatus, reason: str, *, is_sent: bool) -> None:
        is_little = is_sent and self._length() <= _READ_OF_A_REFUSED_BYTES
        if is_little:
            self._body()
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
        self._send_head(status, {"Content-Type": kind, "Content-Length": str(len(body)), **(headers or {})})
        self.wfile.write(body)
        self.wfile.flush()

    def _send_head(self, status: HTTPStatus, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        """Requests are no news; statements are reported by `on_statement`."""
