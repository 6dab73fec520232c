"""What INSERT answers on Databricks: one row that says how many rows it wrote. Open-source Delta answers nothing."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from pyspark.sql import SparkSession

from dbx_cd.local.emulation.sql_text import first_word

INSERTING = ("insert", "with")
"""The first words of statements that may insert."""
_BIGINT = pa.int64()


def forget_written_rows(spark: SparkSession) -> None:
    """Before a statement that may insert: what an earlier one wrote is not its own."""
    _taken(spark)


def affected_rows(spark: SparkSession, sql: str) -> pa.Table | None:
    """The answer of an INSERT that has just run on this thread; None for statements that answer nothing.

    Args:
        spark: the session that it ran in.
        sql: the statement.
    """
    if first_word(sql) not in INSERTING:
        return None
    written = _taken(spark)
    if written is None:
        return None  # not a table of Delta's
    counted = pa.array([int(written)], _BIGINT)
    return pa.table({"num_affected_rows": counted, "num_inserted_rows": counted})


def _taken(spark: SparkSession) -> int | None:
    jvm: Any = spark._jvm
    written: int | None = jvm.dbxcd.local.WrittenRows.take(spark._jsparkSession)
    return written
