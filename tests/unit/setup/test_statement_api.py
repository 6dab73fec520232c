"""Statements by the statement execution API: waited for, their rows, and why they fail."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from databricks.sdk.errors import PermissionDenied
from databricks.sdk.service.sql import (
    ResultData,
    ServiceError,
    StatementResponse,
    StatementState,
    StatementStatus,
)

from dbx_cd.errors import SqlFailed, WorkflowError
from dbx_cd.setup.statement_api import StatementApi


def answer(state: str, *, rows: list[list[str]] | None = None, message: str | None = None) -> StatementResponse:
    error = ServiceError(message=message) if message else None
    return StatementResponse(
        statement_id="s1",
        status=StatementStatus(state=StatementState(state), error=error),
        result=ResultData(data_array=rows) if rows else None,
    )


class Statements:
    """The API, with answers one after the other."""

    def __init__(self, *answers: StatementResponse | Exception) -> None:
        self._answers = list(answers)
        self.asked: list[tuple[Any, ...]] = []

    def execute_statement(self, statement: str, warehouse_id: str, *, wait_timeout: str) -> StatementResponse:
        self.asked.append((statement, warehouse_id))
        return self._next()

    def get_statement(self, statement_id: str) -> StatementResponse:
        self.asked.append((statement_id,))
        return self._next()

    def _next(self) -> StatementResponse:
        first = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(first, Exception):
            raise first
        return first


def api(statements: Statements) -> StatementApi:
    workspace: Any = SimpleNamespace(statement_execution=statements)
    return StatementApi(workspace, "w1", sleep=lambda _: None)


def test_rows_are_answered() -> None:
    statements = Statements(answer("SUCCEEDED", rows=[["a", "b"]]))
    assert api(statements).query("SHOW GRANTS") == [["a", "b"]]
    assert statements.asked == [("SHOW GRANTS", "w1")]


def test_a_statement_without_rows_has_none() -> None:
    assert api(Statements(answer("SUCCEEDED"))).query("GRANT") == []


def test_a_warehouse_that_starts_is_waited_for() -> None:
    statements = Statements(answer("PENDING"), answer("RUNNING"), answer("SUCCEEDED", rows=[["1"]]))
    assert api(statements).query("SELECT 1") == [["1"]]
    assert statements.asked[1:] == [("s1",), ("s1",)]


def test_what_is_refused_says_which_grant_is_missing() -> None:
    message = "[INSUFFICIENT_PERMISSIONS] Insufficient privileges:\nUser does not have MANAGE on Catalog 'stg'."
    with pytest.raises(SqlFailed, match="MANAGE on Catalog 'stg'") as failed:
        api(Statements(answer("FAILED", message=message))).query("GRANT")
    assert "GRANT MANAGE ON CATALOG `stg`" in str(failed.value.next_step)


@pytest.mark.parametrize("state", ["CANCELED", "CLOSED", "PENDING"])
def test_a_statement_that_never_ends_well_fails(state: str) -> None:
    with pytest.raises(SqlFailed, match=state):
        api(Statements(answer(state))).query("GRANT")


def test_no_right_on_the_warehouse_is_said() -> None:
    with pytest.raises(WorkflowError, match="CAN USE on the SQL warehouse"):
        api(Statements(PermissionDenied("no"))).query("GRANT")
