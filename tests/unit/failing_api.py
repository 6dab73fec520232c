"""A workspace's REST API that answers as a test says, for the SDK's own client: refusals, failures, lost answers.

What the client makes of an answer is the SDK's: its errors, its retries, its time-outs. Time is `PassingTime`, so that
nothing waits.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.clock import RealClock
from databricks.sdk.core import Config

Json = dict[str, Any]


class PassingTime:
    """A clock on which sleeping takes no time."""

    def __init__(self) -> None:
        self.now = 1_000_000.0
        self.slept: list[float] = []

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def instead_of_the_machine_s(self, patch: pytest.MonkeyPatch) -> PassingTime:
        """Also for the SDK's client, which makes its own clock."""
        patch.setattr(RealClock, "time", lambda _self: self.time())
        patch.setattr(RealClock, "sleep", lambda _self, seconds: self.sleep(seconds))
        return self


class Refusal(Exception):
    """An answer that is no success."""

    def __init__(self, status: int, error_code: str = "", message: str = "") -> None:
        self.status, self.body = status, {"error_code": error_code, "message": message}


class LostAnswer(Exception):
    """The connection breaks before anything is answered."""


class Api:
    """Answers calls by functions of their query or body; each call is kept.

    Attributes:
        answers: for a method and the end of a path, what answers.
        calls: method, path and what was given, in order.
    """

    def __init__(self, **answers: Callable[[Json], Json]) -> None:
        self.answers = answers
        self.calls: list[tuple[str, Json]] = []

    def named(self, call: str) -> list[Json]:
        """What was given to one of the calls, each time."""
        return [given for name, given in self.calls if name == call]

    def answer(self, path: str, given: Json) -> Json:
        name = path.rstrip("/").split("/api/", 1)[-1].split("/", 1)[-1].replace("/", "_").replace("-", "_")
        self.calls.append((name, given))
        if name not in self.answers:
            raise Refusal(501, "NOT_IMPLEMENTED", f"nothing answers {name}")
        return self.answers[name](given)


@contextmanager
def serving(api: Api) -> Iterator[WorkspaceClient]:
    """The SDK's client of a workspace that answers so."""

    class Handler(BaseHTTPRequestHandler):
        def _any(self) -> None:
            path, _, query = self.path.partition("?")
            given: Json = dict(part.split("=", 1) for part in query.split("&") if part)
            length = int(self.headers.get("Content-Length") or 0)
            if length:
                given = json.loads(self.rfile.read(length))
            status, body = 200, {}
            try:
                body = api.answer(path, given)
            except LostAnswer:
                self.close_connection = True
                return
            except Refusal as refusal:
                status, body = refusal.status, refusal.body
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PATCH = _any  # noqa: N815

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    host = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield WorkspaceClient(config=Config(host=host, token="t", auth_type="pat", retry_timeout_seconds=30))
    finally:
        server.shutdown()
        server.server_close()


def in_turn(*answers: Json | Exception) -> Callable[[Json], Json]:
    """Answers one after the other; the last one stays."""
    left = list(answers)

    def answer(_given: Json) -> Json:
        now = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(now, Exception):
            raise now
        return now

    return answer
