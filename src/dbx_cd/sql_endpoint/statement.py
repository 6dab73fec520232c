"""Running one statement on a Spark session, and what a failure of it looks like to the client."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from dbx_cd.sql_endpoint.arrow_types import to_rows
from dbx_cd.sql_endpoint.collect import collect
from dbx_cd.sql_endpoint.operation import Failure
from dbx_cd.sql_endpoint.parameters import StatementArguments, in_binding_order
from dbx_cd.sql_endpoint.rows import Collect, Result
from dbx_cd.sql_endpoint.sql_state import GENERAL_ERROR, sql_state_of, with_sql_state
from dbx_cd.sql_endpoint.thrift_api import ThriftFault

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# Asked for every statement: the SQL to run instead, or the result itself.
Rewrite = Callable[["SparkSession", str], "str | pa.Table"]
# Asked after each statement that gave no columns: what to answer instead, or None.
After = Callable[["SparkSession", str], "pa.Table | None"]

_JAVA_NOISE = re.compile(r"\n+(?:JVM stacktrace:|Driver stacktrace:|\s+at [\w.$]+\().*", re.DOTALL)
# Spark's analyzer puts the plan behind what its rules refuse: the text of a view that somebody may not read is in it.
_PLAN_OF_A_DENIAL = re.compile(r"(?<=SQLSTATE: 42501);\n.*", re.DOTALL)
_WRAPPER = re.compile(r"Exception thrown in awaitResult\b")  # what PySpark's own socket server puts around it
_TABLE_FUNCTION = re.compile(r"\[MISSING_CATALOG_ABILITY\.TABLE_VALUED_FUNCTIONS\].* line (\d+) pos (\d+)", re.DOTALL)


def run_statement(
    spark: SparkSession,
    sql: str,
    *,
    arguments: StatementArguments | None = None,
    rewrite: Rewrite | None = None,
    as_text: frozenset[str] = frozenset(),
    after: After | None = None,
    row_limit: int | None = None,
    collect: Collect = collect,
    temporary: Path | None = None,
) -> Result:
    """Run `sql`, or what `rewrite` makes of it, and return its rows; a command without rows gives an empty table.

    Args:
        spark: the session to run on.
        sql: one statement, as the client sent it.
        arguments: the values of its parameter markers.
        rewrite: see `SqlEndpoint`.
        as_text: Spark type names that the client wants as text.
        after: see `SqlEndpoint`.
        row_limit: how many rows the client wants at most; None for all of them.
        collect: see `SqlEndpoint`.
        temporary: see `SqlEndpoint`.
    """
    answer = sql if rewrite is None else rewrite(spark, sql)
    if isinstance(answer, pa.Table):
        if not answer.column_names and after is not None and (rows := after(spark, sql)) is not None:
            return Result.of(rows)
        return Result.of(answer if row_limit is None else answer.slice(0, row_limit))
    if isinstance(arguments, list):
        arguments = in_binding_order(spark, arguments)
    try:
        frame = spark.sql(answer, args=arguments) if arguments else spark.sql(answer)
    except Exception as exc:
        if (fault := _unknown_table_function(failure_of(exc).message, answer)) is not None:
            raise fault from exc
        raise
    if not frame.columns and after is not None and (rows := after(spark, answer)) is not None:
        return Result.of(rows)
    # Of a command, which has run by now, this takes some of the rows that it left.
    frame = frame if row_limit is None else frame.limit(row_limit)
    return to_rows(frame, collect=collect, as_text=as_text, temporary=temporary)


def _unknown_table_function(message: str, sql: str) -> ThriftFault | None:
    """Which function it was: of a catalog without functions Spark says only the place."""
    found = _TABLE_FUNCTION.match(message)
    if found is None:
        return None
    line, position = int(found[1]), int(found[2])
    name = sql.split("\n")[line - 1][position:].partition("(")[0].strip()
    return ThriftFault(
        f"[UNRESOLVABLE_TABLE_VALUED_FUNCTION] Could not resolve `{name}` to a table-valued function. "
        f"SQLSTATE: 42883; line {line} pos {position}",
        sql_state="42883",
    )


def failure_of(exc: BaseException) -> Failure:
    """The message, without Java's stack trace, with the SQLSTATE that it ends with on Databricks."""
    if isinstance(exc, ThriftFault):
        return Failure(exc.message, exc.sql_state or GENERAL_ERROR)
    java = getattr(exc, "java_exception", None)
    message = _JAVA_NOISE.sub("", str(exc)).strip() if java is None else _messages(java)
    message = _PLAN_OF_A_DENIAL.sub("", message) or type(exc).__name__
    get_state: Callable[[], Any] = getattr(exc, "getSqlState", lambda: None)
    state = get_state() or sql_state_of(message)
    return Failure(with_sql_state(message, state), state)


def _messages(java: Any) -> str:
    """The messages of a Java exception and its causes: the outermost often says no more than that a task failed."""
    messages: list[str] = []
    while java is not None:
        message = _JAVA_NOISE.sub("", str(java.getMessage() or "")).strip()
        if message and not _WRAPPER.match(message) and not any(message in earlier for earlier in messages):
            messages.append(message)
        java = java.getCause()
    return "\nCaused by: ".join(messages)
