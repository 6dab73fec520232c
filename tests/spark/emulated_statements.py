"""Running statements as the SQL endpoint does, on a session of a test's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
from pyspark.sql import SparkSession

from dbx_cd.local.emulation import emulate

Run = Callable[[str], list[tuple[Any, ...]]]


def runner(spark: SparkSession) -> Run:
    """Runs statements on a new session and gives their rows."""
    session = spark.newSession()

    def run(sql: str) -> list[tuple[Any, ...]]:
        answer = emulate(session, sql)
        if isinstance(answer, pa.Table):
            return [tuple(row.values()) for row in answer.to_pylist()]
        return [tuple(row) for row in session.sql(answer).collect()]

    return run
