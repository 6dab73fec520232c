"""Calls into the Java catalog: what has no SQL in open-source Spark."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession

from dbx_cd.errors import DbxCdError


class StatementFailed(DbxCdError):
    """An emulated statement cannot be carried out; the message begins with Databricks' name of the error.

    Args:
        what: what failed, as one clause.
        where: what it failed on.
        next_step: what the reader should do now.
        sql_state: the SQLSTATE, which the SQL endpoint tells its client.
    """

    def __init__(
        self, what: str, *, where: object = None, next_step: str | None = None, sql_state: str | None = None
    ) -> None:
        super().__init__(what, where=where, next_step=next_step)
        self.sql_state = sql_state

    def getSqlState(self) -> str | None:  # noqa: N802  (PySpark's name)
        """The SQLSTATE, by the name that PySpark's errors have for it."""
        return self.sql_state


class CatalogBridge:
    """The static methods of `dbxcd.local.Statements` and its like for one session, with their errors translated.

    Args:
        spark: the session.
        of: the class whose methods `call` takes where it names none.
    """

    def __init__(self, spark: SparkSession, *, of: str = "Statements") -> None:
        jvm: Any = spark._jvm
        self._spark = spark
        self._session = spark._jsparkSession
        self._of = of
        self._java = jvm.dbxcd.local

    def call(self, method: str, *arguments: Any, of: str | None = None) -> Any:
        """Call a static method that takes the session first.

        Args:
            method: its name.
            arguments: what it takes besides the session.
            of: its class, if not the bridge's.

        Raises:
            StatementFailed: the catalog refuses.
        """
        try:
            return getattr(getattr(self._java, of or self._of), method)(self._session, *arguments)
        except Py4JJavaError as exc:
            raise StatementFailed(str(exc.java_exception.getMessage())) from exc

    def frame(self, method: str, *arguments: Any, of: str) -> pa.Table:
        """Call a method that gives a DataFrame, and collect it."""
        from pyspark.sql.classic.dataframe import DataFrame

        return DataFrame(self.call(method, *arguments, of=of), self._spark).toArrow()

    def unquote(self, literal: str) -> str:
        """The value of a SQL string literal."""
        return str(self._java.Statements.unquote(literal))
