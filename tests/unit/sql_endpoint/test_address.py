"""An address that is known before an endpoint listens there."""

from __future__ import annotations

import socket
from http.server import HTTPServer, SimpleHTTPRequestHandler

import pytest

from dbx_cd.sql_endpoint import ReservedAddress, connection_block


def test_nobody_else_gets_the_port_and_a_server_can_listen_on_it() -> None:
    address = ReservedAddress()
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.1", address.port))
    with HTTPServer(("127.0.0.1", address.port), SimpleHTTPRequestHandler) as server:
        address.release()
        socket.create_connection(("127.0.0.1", server.server_port), timeout=5).close()


def test_the_connection_is_that_of_the_endpoint_to_come() -> None:
    address = ReservedAddress()
    block = connection_block(address)
    assert block["host"] == f"127.0.0.1:{address.port}"
    assert block["connection_parameters"]["_connection_uri"] == f"{address.host}{address.http_path}"
    address.release()
