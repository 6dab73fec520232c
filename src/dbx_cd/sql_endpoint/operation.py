"""One operation: a statement or metadata call, from submitted to finished, failed or cancelled."""

from __future__ import annotations

import secrets
import threading
from dataclasses import dataclass
from typing import Any

from dbx_cd.sql_endpoint.result_files import ResultFiles
from dbx_cd.sql_endpoint.results import ResultPages
from dbx_cd.sql_endpoint.rows import Result
from dbx_cd.sql_endpoint.thrift_api import T, ThriftFault, success

_STATE = T.TOperationState
_UNDECIDED = (_STATE.PENDING_STATE, _STATE.RUNNING_STATE)

# What Delta's INSERT, UPDATE, DELETE and MERGE answer with, one row.
_AFFECTED_ROWS = "num_affected_rows"


@dataclass(frozen=True)
class Failure:
    """Why an operation failed."""

    message: str
    """What the client is sent."""
    sql_state: str | None = None
    """The SQLSTATE, where one is known."""


class Operation:
    """The state of one operation. The first end that is reached stays: a cancelled operation never finishes later.

    Args:
        kind: the protocol's number for what it does.
        files: where its rows are offered as files, if they are many; None for a client that downloads nothing.
    """

    def __init__(self, kind: int, *, files: ResultFiles | None = None) -> None:
        self.id = secrets.token_bytes(16)
        """The 16 bytes in the client's handle."""
        self.done = threading.Event()
        """Set when the end is reached, which a cancelled operation does at once."""
        self.left = threading.Event()
        """Set when its thread does nothing for it any more, which may be later."""
        self.failure: Failure | None = None
        """Why it failed."""
        self._kind = kind
        self._files = files
        self._state = _STATE.PENDING_STATE
        self._pages: ResultPages | None = None
        self._modified_rows: int | None = None
        self._lock = threading.Lock()

    @property
    def group(self) -> str:
        """The name of this operation's Spark job group."""
        return f"sql-endpoint-{self.id.hex()}"

    @property
    def error(self) -> str | None:
        """Why there are no rows, or None."""
        if self._state == _STATE.CANCELED_STATE:
            return "cancelled"
        return None if self.failure is None else self.failure.message

    def begin(self) -> bool:
        """Whether the operation may run; False when it was cancelled before a worker was free."""
        with self._lock:
            if self._state == _STATE.PENDING_STATE:
                self._state = _STATE.RUNNING_STATE
            return bool(self._state == _STATE.RUNNING_STATE)

    def finish(self, result: Result) -> None:
        """Make the rows available, unless it has ended already."""
        modified = None
        if _AFFECTED_ROWS in result.schema.names and len(result.rows) == 1:
            table = result.table()
            modified = table.column(_AFFECTED_ROWS)[0].as_py() if table.num_rows == 1 else None
            result = Result.of(table)
        pages = ResultPages(result, self._files)
        with self._lock:
            if self._state in _UNDECIDED:
                self._pages, self._modified_rows = pages, modified
                self._end(_STATE.FINISHED_STATE)
                return
        pages.free()

    def fail(self, failure: Failure) -> None:
        """Record why there will be no rows."""
        with self._lock:
            if self._state in _UNDECIDED:
                self.failure = failure
                self._end(_STATE.ERROR_STATE)

    def cancel(self) -> bool:
        """Give up; whether it was running. The caller then cancels the Spark jobs of `group`."""
        with self._lock:
            running = self._state == _STATE.RUNNING_STATE
            if self._state in _UNDECIDED:
                self._end(_STATE.CANCELED_STATE)
            return bool(running)

    def free(self) -> None:
        """Let go of the rows, whoever still holds the operation: its thread may not have left it yet."""
        with self._lock:
            pages, self._pages = self._pages, None
        if pages is not None:
            pages.free()

    def _end(self, state: int) -> None:
        self._state = state
        self.done.set()

    def handle(self) -> Any:
        """The Thrift handle by which the client asks about this operation."""
        return T.TOperationHandle(T.THandleIdentifier(self.id, self.id), self._kind, True)

    def status(self) -> Any:
        """The Thrift answer about the state."""
        answer = T.TGetOperationStatusResp(
            status=success(),
            operationState=self._state,
            hasResultSet=self._pages is not None,
            numModifiedRows=self._modified_rows,
        )
        if self.failure is not None:
            answer.errorMessage = answer.displayMessage = self.failure.message
            answer.sqlState = self.failure.sql_state
        return answer

    def pages(self) -> ResultPages:
        """The rows.

        Raises:
            ThriftFault: the operation has not finished, or failed.
        """
        if self._pages is not None:
            return self._pages
        if self.failure is not None:
            raise ThriftFault(self.failure.message, sql_state=self.failure.sql_state)
        raise ThriftFault("[NO_RESULT] the operation has no rows: it is running or was cancelled", sql_state="HY010")
