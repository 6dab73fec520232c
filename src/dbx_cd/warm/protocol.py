"""What a client and a warm parent say to each other over a Unix socket.

The client sends an `Order` with the three descriptors of the fork's standard streams, then one byte for each signal
that it wants forwarded. The parent answers with lines of JSON: `{"refused": why}`, or `{"pid": n}` and, when the fork
has ended, `{"exit": code}`. A client that closes the connection before that has ended, and takes its fork with it.
"""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

_LENGTH = struct.Struct("!I")
STREAMS = 3


@dataclass(frozen=True)
class Order:
    """One invocation, as a process of its own would be started: arguments, current directory, whole environment."""

    argv: list[str]
    """The arguments, without a program."""
    cwd: str
    """The current directory, absolute."""
    environment: dict[str, str]
    """All variables; nothing is inherited from the parent."""
    fingerprint: str
    """The client's `environment_fingerprint`."""

    def send(self, connection: socket.socket, streams: Sequence[int]) -> None:
        """Send it, with the descriptors of standard input, output and error."""
        body = json.dumps(asdict(self)).encode("utf-8", "surrogateescape")
        socket.send_fds(connection, [_LENGTH.pack(len(body))], list(streams))
        connection.sendall(body)

    @classmethod
    def receive(cls, connection: socket.socket) -> tuple[Order, list[int]]:
        """Receive one, and the descriptors that came with it, which the caller has to close.

        Raises:
            ValueError: something else was sent.
            OSError: the connection broke.
        """
        header, streams, _, _ = socket.recv_fds(connection, _LENGTH.size, STREAMS)
        try:
            if len(header) != _LENGTH.size or len(streams) != STREAMS:
                raise ValueError("not an order")
            (length,) = _LENGTH.unpack(header)
            body = bytearray()
            while len(body) < length:
                part = connection.recv(length - len(body))
                if not part:
                    raise ValueError("the order ended early")
                body += part
            return cls(**json.loads(body.decode("utf-8", "surrogateescape"))), streams
        except BaseException as exc:
            close_all(streams)
            if isinstance(exc, TypeError):
                raise ValueError("not an order") from exc
            raise


def answer(connection: socket.socket, **message: Any) -> None:
    """Send one line of JSON; a client that is gone is no error here."""
    try:
        connection.sendall(json.dumps(message).encode() + b"\n")
    except OSError:
        return


def close_all(descriptors: Sequence[int]) -> None:
    """Close descriptors."""
    for descriptor in descriptors:
        os.close(descriptor)
