"""Where a SQL endpoint will listen, known before it does."""

from __future__ import annotations

import secrets
import socket

from dbx_cd.sql_endpoint.http_server import LOOPBACK

WAREHOUSE_PATH = "/sql/1.0/warehouses/local"


class ReservedAddress:
    """A port that nobody else is given, and a token, for an endpoint that starts later.

    dbt parses a project anew when its profile names another port, so who wants dbt's parse before the endpoint runs has
    to know the port. The socket is bound and does not listen: the endpoint can then bind the same port (both with
    SO_REUSEADDR, socket(7)), and the system gives it to no other process.
    """

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind((LOOPBACK, 0))
        self.port = int(self._socket.getsockname()[1])
        """The TCP port."""
        self.token = secrets.token_urlsafe(24)
        """The endpoint's first token."""
        self.http_path = WAREHOUSE_PATH
        """The endpoint's path."""

    @property
    def host(self) -> str:
        """The address over plain HTTP, with the scheme."""
        return f"http://{LOOPBACK}:{self.port}"

    def release(self) -> None:
        """Give the port up: the endpoint listens on it now, or never will."""
        self._socket.close()
