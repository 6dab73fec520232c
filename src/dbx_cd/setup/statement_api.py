"""Statements on a SQL warehouse by its id, as whoever the SDK logs in as: no driver and no profile is needed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from dbx_cd.errors import SqlFailed
from dbx_cd.sql_messages import first_line, step_to_rights
from dbx_cd.workspace_calls import calling

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient
    from databricks.sdk.service.sql import StatementResponse

_WAIT = "50s"  # the longest that the API waits with its answer (statement execution API)
_LOOK_AGAIN_SECONDS = 2.0
_PATIENCE_SECONDS = 15 * 60.0  # a warehouse that is stopped starts first


class StatementApi:
    """The statement execution API of one workspace, on one warehouse.

    Args:
        workspace: the SDK's client.
        warehouse_id: the warehouse.
        sleep: waits between two looks.
    """

    def __init__(
        self, workspace: WorkspaceClient, warehouse_id: str, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._statements = workspace.statement_execution
        self._warehouse_id = warehouse_id
        self._sleep = sleep

    def query(self, statement: str) -> Sequence[Sequence[Any]]:
        """The rows of a statement, as text.

        Raises:
            SqlFailed: the warehouse refused it, failed at it, or did not answer in a quarter of an hour.
            WorkflowError: the API refused the call, or cannot be reached.
        """
        where = f"SQL warehouse {self._warehouse_id}"
        with calling("the statement cannot be run", right="CAN USE on the SQL warehouse", where=where):
            answer = self._statements.execute_statement(statement, self._warehouse_id, wait_timeout=_WAIT)
            waited = 0.0
            while _state(answer) in ("PENDING", "RUNNING") and waited < _PATIENCE_SECONDS:
                self._sleep(_LOOK_AGAIN_SECONDS)
                waited += _LOOK_AGAIN_SECONDS
                answer = self._statements.get_statement(str(answer.statement_id))
        if _state(answer) != "SUCCEEDED":
            raise _failed(answer, where=where)
        return (answer.result.data_array if answer.result is not None else None) or []


def _state(answer: StatementResponse) -> str:
    return answer.status.state.value if answer.status is not None and answer.status.state is not None else ""


def _failed(answer: StatementResponse, *, where: str) -> SqlFailed:
    error = answer.status.error if answer.status is not None else None
    message = (error.message if error is not None else None) or ""
    if not message:
        return SqlFailed(f"the statement ended as {_state(answer) or 'nothing'}", where=where, next_step="run it again")
    return SqlFailed(first_line(message), where=where, next_step=step_to_rights(message))
