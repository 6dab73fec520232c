"""Who is let in, before anything of a request's body is read."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dbx_cd.sql_endpoint.certificate import serve_loopback
from dbx_cd.sql_endpoint.connections import TOLD_AT_A_TIME, Connections, Patience
from dbx_cd.sql_endpoint.http_server import MAX_REQUEST_BYTES, LoopbackServer

PATH = "/sql/1.0/warehouses/local"
MOST = 3


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


Serve = Callable[[Callable[[bytes], bytes]], LoopbackServer]


@pytest.fixture
def serve(clock: Clock, tmp_path: Path) -> Iterator[Serve]:
    """Starts a server that answers so."""
    with contextlib.ExitStack() as ends:

        def start(answer: Callable[[bytes], bytes]) -> LoopbackServer:
            tls, _ = serve_loopback(tmp_path)
            patience = Patience(first_byte=10, head=30, body=60, body_bytes=1000)
            connections = Connections(most=MOST, patience=patience, clock=clock)
            server = LoopbackServer({"good": answer}, port=0, path=PATH, tls=tls, connections=connections)
            threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
            for end in (connections.end_all, server.server_close, server.shutdown):
                ends.callback(end)
            return server

        yield start


@pytest.fixture
def server(serve: Serve) -> LoopbackServer:
    return serve(bytes.upper)


def silent(server: LoopbackServer, *, sends: bytes = b"") -> socket.socket:
    """A client that has said this much, and goes no further."""
    client = socket.create_connection(("127.0.0.1", server.server_address[1]), timeout=5)
    client.sendall(sends)
    time.sleep(0.1)  # it is accepted, and what it has said is read
    return client


def has_a_free_place(server: LoopbackServer) -> bool:
    """Whether one more client is answered, as soon as the threads of those that are ended have noticed."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        if ask(connection(server)) == (200, "HELLO"):
            return True
        time.sleep(0.01)
    return False


def is_ended(client: socket.socket) -> bool:
    """Whether the server ends the connection within the time of some looks at it."""
    client.settimeout(0.3)
    try:
        return client.recv(1) == b""
    except TimeoutError:
        return False
    except ConnectionResetError:
        return True


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
    assert has_a_free_place(server)


def test_a_client_that_says_nothing_counts_from_the_start(server: LoopbackServer) -> None:
    clients = [silent(server) for _ in range(MOST)]
    assert ask(connection(server))[0] == 403
    clients[0].close()
    assert has_a_free_place(server)


def test_who_is_not_even_told_that_there_are_too_many_has_no_thread(server: LoopbackServer) -> None:
    clients = [silent(server) for _ in range(MOST + TOLD_AT_A_TIME)]
    threads = threading.active_count()
    assert all(is_ended(silent(server)) for _ in range(3))
    assert threading.active_count() <= threads
    assert not any(is_ended(client) for client in clients[:3])


HEAD = f"POST {PATH} HTTP/1.1\r\nAuthorization: Bearer good\r\nContent-Length: 5000\r\n"


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        (b"", 10),
        (b"\x16", 30),  # a TLS handshake begins
        (HEAD.encode(), 30),
        (f"{HEAD}\r\nhalf".encode(), 65),
    ],
    ids=["nothing", "half a handshake", "half a head", "half a body"],
)
def test_who_does_not_go_on_is_ended_in_time(server: LoopbackServer, clock: Clock, said: bytes, seconds: int) -> None:
    clients = [silent(server, sends=said) for _ in range(MOST)]
    clock.now = seconds - 0.5
    assert not is_ended(clients[0])
    clock.now = seconds + 0.5
    assert all(is_ended(client) for client in clients)
    assert has_a_free_place(server)


def test_more_bytes_give_no_more_time(server: LoopbackServer, clock: Clock) -> None:
    client = silent(server, sends=b"POST")
    for clock.now in range(5, 31, 5):
        time.sleep(0.03)
        client.sendall(b" ")
    clock.now = 31
    assert is_ended(client)


def test_half_a_statement_is_not_run(serve: Serve) -> None:
    answered: list[bytes] = []

    def answer(body: bytes) -> bytes:
        answered.append(body)
        return body

    client = silent(serve(answer), sends=f"{HEAD}\r\nhalf".encode())
    client.shutdown(socket.SHUT_WR)
    assert is_ended(client)
    assert answered == []


def test_a_connection_between_two_requests_may_wait(server: LoopbackServer, clock: Clock) -> None:
    client, other = connection(server), connection(server)
    other.request("GET", "/.well-known/databricks-config")
    assert ask(client)[0] == other.getresponse().status == 200
    clock.now = 800
    time.sleep(0.1)
    assert ask(client)[0] == 200


def test_a_statement_may_take_as_long_as_it_likes(serve: Serve, clock: Clock) -> None:
    begun, may_end = threading.Event(), threading.Event()

    def slow(body: bytes) -> bytes:
        begun.set()
        assert may_end.wait(10)
        return body

    client = connection(serve(slow))
    client.request("POST", PATH, body=b"hello", headers={"Authorization": "Bearer good"})
    assert begun.wait(5)
    clock.now = 10_000
    time.sleep(0.1)
    may_end.set()
    assert client.getresponse().read() == b"hello"
