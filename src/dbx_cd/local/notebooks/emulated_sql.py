"""`spark.sql` and `%sql` of a notebook: the statements that open-source Spark lacks, as through the SQL endpoint."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import Any

import pyarrow as pa
from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.sql_formatter import SQLStringFormatter
from pyspark.sql.types import StructType

from dbx_cd.local.emulation import emulate
from dbx_cd.local.emulation.catalog_bridge import StatementFailed

Sql = Callable[..., DataFrame]


class StatementRefused(AnalysisException):
    """What a notebook meets where an emulated statement fails: an error of the kind that Spark raises for others.

    Args:
        failure: why it failed.
    """

    def __init__(self, failure: StatementFailed) -> None:
        super().__init__(message=str(failure))
        self._failure = failure

    def getCondition(self) -> str | None:  # noqa: N802  (PySpark's name)
        """The name of the error, which the message begins with."""
        found = re.match(r"\[([A-Z0-9_.]+)\]", self._failure.what)
        return found[1] if found else None

    def getSqlState(self) -> str | None:  # noqa: N802  (PySpark's name)
        """The SQLSTATE, where one is known."""
        return self._failure.getSqlState()


def emulate_in_this_process() -> None:
    """Change `SparkSession.sql` for every session of this process, which runs one notebook.

    Sessions are made in several places (`spark`, `newSession`, `getActiveSession`, `DataFrame.sparkSession`), and all of
    them are of that class.
    """
    if not isinstance(SparkSession.__dict__["sql"], _Emulated):
        SparkSession.sql = _Emulated(SparkSession.sql)  # type: ignore[method-assign, assignment]


class _Emulated:
    """`SparkSession.sql` as a descriptor; a statement that an emulation runs goes to Spark as it is."""

    def __init__(self, plain: Sql) -> None:
        self._plain = plain
        self._inside = threading.local()

    def __get__(self, session: SparkSession | None, _owner: type) -> Any:
        if session is None:
            return self
        return lambda sqlQuery, args=None, **kwargs: self(session, sqlQuery, args, **kwargs)  # noqa: N803

    def __call__(self, session: SparkSession, query: str, args: Any = None, **kwargs: Any) -> DataFrame:
        if kwargs:
            return self._formatted(session, query, args, kwargs)
        if getattr(self._inside, "emulating", False):
            return self._plain(session, query, args)
        self._inside.emulating = True
        try:
            answer = emulate(session, query)
        except StatementFailed as exc:
            raise StatementRefused(exc) from exc
        finally:
            self._inside.emulating = False
        return _frame(session, answer) if isinstance(answer, pa.Table) else self._plain(session, answer, args)

    def _formatted(self, session: SparkSession, query: str, args: Any, values: dict[str, Any]) -> DataFrame:
        """With `{name}` filled in as PySpark does it."""
        formatter = SQLStringFormatter(session)
        try:
            return self(session, formatter.format(query, **values), args)
        finally:
            formatter.clear()


def _frame(session: SparkSession, answer: pa.Table) -> DataFrame:
    if not answer.num_columns:
        return session.createDataFrame([], StructType([]))
    return session.createDataFrame(answer)
