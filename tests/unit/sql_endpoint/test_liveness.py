"""What the endpoint does for a client that is gone, and for a token that was taken back; through the real connector."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pytest
from breakable_path import BreakablePath
from databricks import sql
from databricks.sql import exc as sql_errors
from databricks.sql.backend.types import CommandState
from fake_spark import FakeSpark

from dbx_cd.sql_endpoint import SqlEndpoint
from dbx_cd.sql_endpoint.at_work import AtWork
from dbx_cd.sql_endpoint.operation import Operation
from dbx_cd.sql_endpoint.session import EndpointSession

GONE_SECONDS = 3.0
ONE_LOOK_SECONDS = 1.2
"""In which it is looked once at least whether clients are there."""


class Statements:
    """What runs on the endpoint: each statement until the test lets it end."""

    def __init__(self) -> None:
        self.begun: set[str] = set()
        self.may_end = threading.Event()
        self.errors: dict[str, str | None] = {}

    def answer(self, _spark: Any, statement: str) -> pa.Table:
        self.begun.add(statement)
        if not statement.startswith("at once"):
            assert self.may_end.wait(30)
        return pa.table({"n": [1]})


def until(condition: Callable[[], bool], *, within: float = 10) -> None:
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "it does not come to that"
        time.sleep(0.01)


@pytest.fixture
def statements() -> Iterator[Statements]:
    statements = Statements()
    yield statements
    statements.may_end.set()


@pytest.fixture
def endpoint(statements: Statements) -> Iterator[SqlEndpoint]:
    with SqlEndpoint(
        FakeSpark(),  # type: ignore[arg-type]
        rewrite=statements.answer,
        tokens=["first"],
        gone_after=GONE_SECONDS,
        on_statement=lambda record: statements.errors.update({record.sql: record.error}),
    ) as running:
        yield running
        statements.may_end.set()


def begin(
    endpoint: SqlEndpoint, statements: Statements, statement: str, *, token: str = "first", host: str | None = None
) -> Any:
    """The cursor of a client that has begun a statement and does not ask for its end."""
    uri = (host or endpoint.host) + endpoint.http_path
    connection = sql.connect(
        "127.0.0.1", endpoint.http_path, access_token=token, _connection_uri=uri, enable_telemetry=False,
        _retry_stop_after_attempts_count=1,
    )  # fmt: skip
    cursor = connection.cursor()
    cursor.execute_async(statement)
    until(lambda: statement in statements.begun)
    return cursor


def state(cursor: Any) -> CommandState:
    return cursor.get_query_state()


def test_statement_of_a_client_that_is_gone_is_cancelled(
    endpoint: SqlEndpoint, statements: Statements, caplog: pytest.LogCaptureFixture
) -> None:
    with BreakablePath(endpoint.port) as path:
        silent = begin(endpoint, statements, "silent")
        gone, back = (begin(endpoint, statements, name, host=path.host) for name in ("gone", "back"))
        path.break_all()
        time.sleep(ONE_LOOK_SECONDS)
        # As a client does whose connection broke on its way: it asks over a new one, and then need not ask.
        assert state(back) == CommandState.RUNNING
        until(lambda: "its client is gone" in caplog.text)
        time.sleep(ONE_LOOK_SECONDS)
        statements.may_end.set()
        until(lambda: len(statements.errors) == 3)
        assert gone.connection.open, "its client has not closed it, which would cancel as well"
    assert statements.errors == {"gone": "cancelled", "silent": None, "back": None}
    assert state(silent) == CommandState.SUCCEEDED


def test_revoked_token_s_statements_are_cancelled_and_waited_for(endpoint: SqlEndpoint, statements: Statements) -> None:
    endpoint.accept("of a task")
    cursor = begin(endpoint, statements, "zombie", token="of a task")
    assert not endpoint.revoke("of a task", timeout=0.2), "its thread is still at work"
    threading.Timer(0.2, statements.may_end.set).start()
    assert endpoint.revoke("of a task", timeout=10)
    assert statements.errors == {"zombie": "cancelled"}
    with pytest.raises(sql_errors.Error, match="invalid access token"):
        state(cursor)


def test_revoked_token_is_refused_on_an_open_connection(endpoint: SqlEndpoint, statements: Statements) -> None:
    endpoint.accept("of a task")
    cursor = begin(endpoint, statements, "at once", token="of a task")
    assert endpoint.revoke("of a task")
    with pytest.raises(sql_errors.Error, match="invalid access token"):
        cursor.execute("at once again")
    assert "at once again" not in statements.begun


def test_other_tokens_go_on_when_one_is_revoked(endpoint: SqlEndpoint, statements: Statements) -> None:
    endpoint.accept("of a task")
    cursor = begin(endpoint, statements, "other")
    assert endpoint.revoke("of a task", timeout=0)
    statements.may_end.set()
    until(lambda: state(cursor) == CommandState.SUCCEEDED)


def test_statement_that_waits_for_a_thread_when_its_token_is_revoked_never_begins() -> None:
    at_work, waiting = AtWork(), Operation(0)
    session = EndpointSession(FakeSpark(), configuration={})  # type: ignore[arg-type]
    at_work.close()
    assert not at_work.begin(session, waiting)
    assert waiting.error == "cancelled"
    assert at_work.wait(0)
