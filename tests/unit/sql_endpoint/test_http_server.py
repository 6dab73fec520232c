"""Who is let in, before anything of a request's body is read."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from collections.abc import Iterator

import pytest

from dbx_cd.sql_endpoint.http_server import MAX_REQUEST_BYTES, LoopbackServer

PATH = "/sql/1.0/warehouses/local"
MOST = 3


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    server = LoopbackServer(
        {"good": lambda body: body.upper()}, port=0, path=PATH, tls=ssl.create_default_context(), most=MOST
    )
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()
    server.disconnect_all()


def connection(server: LoopbackServer) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=5)


def ask(client: http.client.HTTPConnection, token: str = "good") -> tuple[int, str]:
    client.request("POST", PATH, body=b"hello", headers={"Authorization": f"Bearer {token}"})
    answer = client.getresponse()
    return answer.status, answer.headers.get("x-databricks-reason-phrase") or answer.read().decode()


def test_a_body_is_answered(server: LoopbackServer) -> None:
    client = connection(server)
    assert [ask(client), ask(client)] == [(200, "HELLO")] * 2


@pytest.mark.parametrize("path", [PATH, "/elsewhere"])
def test_a_huge_body_with_a_bad_token_is_refused_though_none_of_it_was_sent(server: LoopbackServer, path: str) -> None:
    client = connection(server)
    client.putrequest("POST", path)
    client.putheader("Authorization", "Bearer bad")
    client.putheader("Content-Length", str(MAX_REQUEST_BYTES))
    client.endheaders()
    answer = client.getresponse()
    assert answer.status == (401 if path == PATH else 404)
    assert answer.headers["Connection"] == "close", "what follows is not read"


def test_a_client_that_asks_whether_to_send_its_body_is_refused(server: LoopbackServer) -> None:
    with socket.create_connection(("127.0.0.1", server.server_address[1]), timeout=5) as client:
        head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\nExpect: 100-continue\r\n"
        client.sendall(f"{head}Authorization: Bearer bad\r\n\r\n".encode())
        assert client.recv(100).startswith(b"HTTP/1.1 401 ")
    with socket.create_connection(("127.0.0.1", server.server_address[1]), timeout=5) as client:
        client.sendall(f"{head}Authorization: Bearer good\r\n\r\n".encode())
        assert client.recv(100).startswith(b"HTTP/1.1 100 ")


def test_one_connection_too_many_is_refused_with_the_reason(server: LoopbackServer) -> None:
    clients = [connection(server) for _ in range(MOST)]
    assert {ask(client) for client in clients} == {(200, "HELLO")}
    # 403, since the connector tries again for minutes after 429 and 503.
    assert ask(connection(server)) == (403, f"there are {MOST} connections already, close some")
    clients[0].close()
    answers = {ask(connection(server))[0] for _ in range(20)}
    assert 200 in answers
