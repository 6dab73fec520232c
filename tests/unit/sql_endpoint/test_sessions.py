"""What the endpoint keeps for its clients, and when it lets go of it."""

from __future__ import annotations

import queue
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa
import pytest
from fake_spark import FakeSpark

from dbx_cd.sql_endpoint.executor import StatementRecord
from dbx_cd.sql_endpoint.open_sessions import IDLE_SESSION_SECONDS, MAX_SESSIONS, OpenSessions
from dbx_cd.sql_endpoint.service import ThriftService
from dbx_cd.sql_endpoint.session import KEPT_FAILURES, EndpointSession
from dbx_cd.sql_endpoint.thrift_api import T, ThriftFault

ROWS = 1000


class Memory(bytearray):
    """Memory of a result's column, which can be watched."""


class Client:
    """Calls the service as the connector does, over a clock that a test sets; remembers the memory of every result."""

    def __init__(self, *, look_every: float = 3600.0) -> None:
        self.now = 0.0
        self.results: list[weakref.ref[Memory]] = []
        self.may_end = threading.Event()
        self._ended: queue.Queue[StatementRecord] = queue.Queue()
        self.service = ThriftService(
            FakeSpark(),  # type: ignore[arg-type]
            rewrite=self._answer,
            on_statement=self._ended.put,
            clock=lambda: self.now,
            look_every=look_every,
        )

    def _answer(self, _spark: Any, statement: str) -> pa.Table:
        if statement == "wait":
            self.may_end.wait()
        if statement == "fail":
            raise ValueError("it failed")
        memory = Memory(8 * ROWS)
        self.results.append(weakref.ref(memory))
        return pa.table({"n": pa.Array.from_buffers(pa.int64(), ROWS, [None, pa.py_buffer(memory)])})

    def open(self) -> Any:
        return self.service.OpenSession(T.TOpenSessionReq()).sessionHandle

    def execute(self, session: Any, statement: str = "select", *, at_once: int = 0, wait: bool = True) -> Any:
        """Run a statement; `at_once` rows may come with the first answer."""
        direct = T.TSparkGetDirectResults(maxRows=at_once) if at_once else None
        request = T.TExecuteStatementReq(session, statement, runAsync=not wait, getDirectResults=direct)
        answer = self.service.ExecuteStatement(request)
        if wait:  # the answer may come before the thread that ran it has let go of the rows
            self.ended()
        return answer

    def ended(self) -> StatementRecord:
        """The statement that ends next."""
        return self._ended.get(timeout=10)

    def is_open(self, session: Any) -> bool:
        answer = self.service.GetInfo(T.TGetInfoReq(session, T.TGetInfoType.CLI_SERVER_NAME))
        return self._known(answer)

    def knows(self, operation: Any) -> bool:
        return self._known(self.service.GetOperationStatus(T.TGetOperationStatusReq(operation)))

    def held(self) -> int:
        """How many results are in memory."""
        return sum(memory() is not None for memory in self.results)

    @staticmethod
    def _known(answer: Any) -> bool:
        if answer.status.statusCode == T.TStatusCode.SUCCESS_STATUS:
            return True
        assert answer.status.statusCode == T.TStatusCode.INVALID_HANDLE_STATUS
        return False


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "it did not happen within 10 s"
        threading.Event().wait(0.01)


@pytest.fixture
def client() -> Iterator[Client]:
    client = Client()
    yield client
    client.may_end.set()
    client.service.close()


def test_an_idle_session_is_closed(client: Client) -> None:
    idle = client.open()
    client.now = IDLE_SESSION_SECONDS + 1
    assert client.is_open(client.open())
    assert not client.is_open(idle)


def test_a_session_is_idle_only_after_eight_hours(client: Client) -> None:
    session = client.open()
    client.now = 8 * 3600
    client.open()
    assert client.is_open(session)


def test_a_session_in_use_stays_open(client: Client) -> None:
    session = client.open()
    client.now = IDLE_SESSION_SECONDS
    assert client.is_open(session)
    client.now = IDLE_SESSION_SECONDS + 1
    client.open()
    assert client.is_open(session)


def test_a_session_whose_result_is_being_read_stays_open(client: Client) -> None:
    operation = client.execute(client.open()).operationHandle
    client.now = IDLE_SESSION_SECONDS
    assert client.knows(operation)
    client.now = IDLE_SESSION_SECONDS + 1
    client.open()
    assert client.knows(operation)


def test_a_session_with_a_running_statement_stays_open(client: Client) -> None:
    session = client.open()
    client.execute(session, "wait", wait=False)
    client.now = IDLE_SESSION_SECONDS + 1
    client.open()
    assert client.is_open(session)


def test_an_idle_session_s_results_are_freed(client: Client) -> None:
    client.execute(client.open())
    assert client.held() == 1
    client.now = IDLE_SESSION_SECONDS + 1
    client.open()
    assert client.held() == 0


def test_a_closed_operation_and_its_rows_are_freed(client: Client) -> None:
    session = client.open()
    closed, other = client.execute(session).operationHandle, client.execute(session).operationHandle
    client.service.CloseOperation(T.TCloseOperationReq(closed))
    assert not client.knows(closed)
    assert client.knows(other)
    assert client.held() == 1


def test_an_operation_whose_rows_all_came_at_once_is_freed(client: Client) -> None:
    session = client.open()
    answer = client.execute(session, at_once=ROWS)
    assert answer.directResults.closeOperation is not None, "the client is told, and does not close it again"
    assert not client.knows(answer.operationHandle)
    assert client.held() == 0


def test_an_operation_with_rows_left_to_fetch_is_kept(client: Client) -> None:
    answer = client.execute(client.open(), at_once=ROWS - 1)
    assert answer.directResults.closeOperation is None
    assert client.knows(answer.operationHandle)


def test_a_closed_session_s_operations_are_freed(client: Client) -> None:
    session = client.open()
    operation = client.execute(session).operationHandle
    client.service.CloseSession(T.TCloseSessionReq(session))
    assert not client.knows(operation)
    assert client.held() == 0


def test_a_closed_session_s_running_statement_is_cancelled(client: Client) -> None:
    session = client.open()
    client.execute(session, "wait", wait=False)
    client.service.CloseSession(T.TCloseSessionReq(session))
    client.may_end.set()
    assert client.ended().error == "cancelled"


def test_a_stopped_service_frees_every_result(client: Client) -> None:
    for _ in range(2):
        client.execute(client.open())
    client.service.close()
    assert client.held() == 0


def test_an_idle_session_is_closed_though_nobody_asks_for_anything() -> None:
    client = Client(look_every=0.01)
    client.execute(client.open())
    assert client.held() == 1
    client.now = IDLE_SESSION_SECONDS + 1
    until(lambda: client.held() == 0)
    client.service.close()


def test_nobody_looks_for_idle_sessions_of_a_stopped_service() -> None:
    before = set(threading.enumerate())
    client = Client(look_every=0.01)
    assert set(threading.enumerate()) - before
    client.service.close()
    until(lambda: set(threading.enumerate()) <= before)


def test_a_failed_statement_is_let_go_of_with_its_answer(client: Client) -> None:
    answer = client.execute(client.open(), "fail", at_once=ROWS)
    assert answer.directResults.operationStatus.displayMessage == "it failed"
    assert answer.directResults.operationStatus.sqlState == "HY000"
    assert answer.directResults.closeOperation is not None, "the client is told"
    assert not client.knows(answer.operationHandle)


def test_of_the_failed_statements_that_a_client_polls_the_latest_are_kept(client: Client) -> None:
    session = client.open()
    failed = [client.execute(session, "fail").operationHandle for _ in range(KEPT_FAILURES + 5)]
    client.execute(session)
    assert [client.knows(operation) for operation in failed] == [False] * 5 + [True] * KEPT_FAILURES


def test_one_session_too_many_is_refused_with_what_to_do(client: Client) -> None:
    sessions = [client.open() for _ in range(MAX_SESSIONS)]
    refused = client.service.OpenSession(T.TOpenSessionReq()).status
    assert refused.statusCode == T.TStatusCode.ERROR_STATUS
    assert refused.errorMessage.startswith(f"[TOO_MANY_SESSIONS] there are {MAX_SESSIONS} open sessions already: close")
    client.service.CloseSession(T.TCloseSessionReq(sessions[0]))
    assert client.is_open(client.open())


def test_clients_that_come_at_a_time_are_no_more_than_there_may_be() -> None:
    all_are_here = threading.Barrier(4)
    sessions = OpenSessions(lambda: 0.0, most=3)

    def open_one() -> str:
        try:
            with sessions.place() as keep:
                all_are_here.wait(10)
                keep(EndpointSession(FakeSpark(), configuration={}))  # type: ignore[arg-type]
            return "opened"
        except ThriftFault as refused:
            all_are_here.wait(10)
            return refused.message.partition(" ")[0]

    with ThreadPoolExecutor(4) as clients:
        answers = [clients.submit(open_one) for _ in range(4)]
        assert sorted(answer.result() for answer in answers) == ["[TOO_MANY_SESSIONS]", *["opened"] * 3]
    sessions.close_all()


def test_a_session_that_was_not_made_takes_no_place() -> None:
    sessions = OpenSessions(lambda: 0.0, most=1)
    for _ in range(2):
        with pytest.raises(ValueError, match="it failed"), sessions.place():
            raise ValueError("it failed")
    sessions.close_all()


class Connect(FakeSpark):
    """A session of Spark Connect, which has to be ended; its server may be gone."""

    __module__ = "pyspark.sql.connect.session"

    def __init__(self, ended: list[str], *, is_gone: bool = False) -> None:
        self.ended, self.is_gone = ended, is_gone

    def cloneSession(self) -> Connect:  # noqa: N802
        return self

    def stop(self) -> None:
        self.ended.append("stopped")
        if self.is_gone:
            raise ConnectionError("the server is gone")


def test_a_session_that_cannot_be_closed_keeps_no_other_open() -> None:
    ended: list[str] = []
    now = 0.0
    sessions = OpenSessions(lambda: now, look_every=0.01)

    def open_one(*, is_gone: bool) -> None:
        with sessions.place() as keep:
            keep(EndpointSession(Connect(ended, is_gone=is_gone), configuration={}, now=now))  # type: ignore[arg-type]

    open_one(is_gone=True)
    open_one(is_gone=False)
    now += IDLE_SESSION_SECONDS + 1
    until(lambda: len(ended) == 2)
    open_one(is_gone=False)
    now += IDLE_SESSION_SECONDS + 1
    until(lambda: len(ended) == 3)  # idle sessions are still looked for
    sessions.close_all()


def test_a_session_of_connect_that_cannot_be_set_up_is_stopped() -> None:
    ended: list[str] = []
    with pytest.raises(ThriftFault, match=r"spark\.not\.there"):
        EndpointSession(Connect(ended), configuration={"spark.not.there": "1"})  # type: ignore[arg-type]
    assert ended == ["stopped"]
