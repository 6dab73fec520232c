"""A way to a server on this machine that breaks when a test says so, as that of a client that is killed does."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
from types import TracebackType
from typing import Self


class BreakablePath:
    """Passes on what is sent to a port of its own, both ways, over one connection for each that it accepts.

    Args:
        port: the server's port on the loopback address.
    """

    def __init__(self, port: int) -> None:
        self._to = port
        self._open: list[socket.socket] = []
        path = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                path._pass_on(self.request)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.host = f"http://127.0.0.1:{self._server.server_address[1]}"

    def break_all(self) -> None:
        """End every connection that is open now; new ones are accepted."""
        broken, self._open = self._open, []
        for connection in broken:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _pass_on(self, client: socket.socket) -> None:
        with socket.create_connection(("127.0.0.1", self._to)) as server:
            self._open += [client, server]
            answers = threading.Thread(target=_copy, args=(server, client), daemon=True)
            answers.start()
            _copy(client, server)
            answers.join()

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self.break_all()
        self._server.server_close()


def _copy(source: socket.socket, target: socket.socket) -> None:
    """Pass on what one side sends, until it ends; then the other is told so."""
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
