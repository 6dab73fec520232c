"""The generated Thrift code that databricks-sql-connector ships: the one module that imports it.

It carries no types, so everything here is `Any` to the type checker.
"""

from __future__ import annotations

from typing import Any

from databricks.sql.thrift_api.TCLIService import TCLIService, ttypes

T: Any = ttypes
Processor: Any = TCLIService.Processor

# The version whose fields (initial namespace, Arrow results, parameters) the connector uses; it refuses older than V2.
PROTOCOL_VERSION: Any = ttypes.TProtocolVersion.SPARK_CLI_SERVICE_PROTOCOL_V7


class ThriftFault(Exception):
    """A request that is answered with an error status instead of a result."""

    def __init__(self, message: str, *, sql_state: str | None = None, status_code: int = T.TStatusCode.ERROR_STATUS):
        super().__init__(message)
        self.message = message
        self.sql_state = sql_state
        self.status_code = status_code

    def status(self) -> Any:
        """The Thrift status that tells the client."""
        return T.TStatus(
            statusCode=self.status_code,
            errorMessage=self.message,
            displayMessage=self.message,
            sqlState=self.sql_state,
        )


class UnknownHandle(ThriftFault):
    """The session or operation is closed, or never was."""

    def __init__(self, kind: str) -> None:
        super().__init__(
            f"[INVALID_HANDLE] the {kind} is unknown or already closed",
            sql_state="HY000",
            status_code=T.TStatusCode.INVALID_HANDLE_STATUS,
        )


def success() -> Any:
    """The status of a request that worked."""
    return T.TStatus(statusCode=T.TStatusCode.SUCCESS_STATUS)
