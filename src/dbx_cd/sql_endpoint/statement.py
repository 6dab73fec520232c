"""Running one statement on a Spark session, and what a failure of it looks like to the client."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from dbx_cd.sql_endpoint.arrow_types import to_arrow
from dbx_cd.sql_endpoint.operation import Failure
from dbx_cd.sql_endpoint.parameters import StatementArguments, in_binding_order
from dbx_cd.sql_endpoint.thrift_api import ThriftFault

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# Asked for every statement: the SQL to run instead, or the result itself.
Rewrite = Callable[["SparkSession", str], "str | pa.Table"]

_JAVA_NOISE = re.compile(r"\n+(?:JVM stacktrace:|Driver stacktrace:|\s+at [\w.$]+\().*", re.DOTALL)


def run_statement(
    spark: SparkSession,
    sql: str,
    *,
    arguments: StatementArguments | None = None,
    rewrite: Rewrite | None = None,
    as_text: frozenset[str] = frozenset(),
) -> pa.Table:
    """Run `sql`, or what `rewrite` makes of it, and return its rows; a command without rows gives an empty table.

    Args:
        spark: the session to run on.
        sql: one statement, as the client sent it.
        arguments: the values of its parameter markers.
        rewrite: see `SqlEndpoint`.
        as_text: Spark type names that the client wants as text.
    """
    answer = sql if rewrite is None else rewrite(spark, sql)
    if isinstance(answer, pa.Table):
        return answer
    if isinstance(arguments, list):
        arguments = in_binding_order(spark, arguments)
    return to_arrow(spark.sql(answer, args=arguments) if arguments else spark.sql(answer), as_text=as_text)


def failure_of(exc: BaseException) -> Failure:
    """The message, without Java's stack trace, and the SQLSTATE where Spark knows one."""
    if isinstance(exc, ThriftFault):
        return Failure(exc.message, exc.sql_state)
    java = getattr(exc, "java_exception", None)
    message = _JAVA_NOISE.sub("", str(exc)).strip() if java is None else _messages(java)
    get_state: Callable[[], Any] = getattr(exc, "getSqlState", lambda: None)
    return Failure(message or type(exc).__name__, get_state())


def _messages(java: Any) -> str:
    """The messages of a Java exception and its causes: the outermost often says no more than that a task failed."""
    messages: list[str] = []
    while java is not None:
        message = _JAVA_NOISE.sub("", str(java.getMessage() or "")).strip()
        if message and not any(message in earlier for earlier in messages):
            messages.append(message)
        java = java.getCause()
    return "\nCaused by: ".join(messages)
