"""Which Spark the tests of `tests/spark` run on: the embedded workspace, or one of the others that the library meets.

`make test-connect` and `make test-spark35` set SPARK_KIND; which tests run there is in `other_sparks.py`.

- `embedded`: Spark 4.2 with the catalogs of Unity Catalog emulated, a classic session.
- `connect`: the same Spark in another process, reached over Spark Connect, as on serverless compute and in standard
  access mode: no JVM beside the client, no `newSession`, no `sparkContext`.
- `spark35`: what runtime 16.4 LTS is built on, Spark 3.5 with Delta 3.3: one catalog, `spark_catalog`, and a stand-in
  for its information_schema.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

KIND = os.environ.get("SPARK_KIND", "embedded")
"""The Spark of this run."""
KINDS = ("embedded", "connect", "spark35")
assert KIND in KINDS, f"SPARK_KIND={KIND} is none of {', '.join(KINDS)}"

Run = Callable[[str], list[tuple[Any, ...]]]
"""Runs a statement and gives its rows."""

STG, PROD, OPS = ("spark_catalog",) * 3 if KIND == "spark35" else ("stg", "prod", "ops")
"""The catalogs; a schema that a test has in two of them has a name of its own in each."""


def own_session(spark: SparkSession, user: str) -> SparkSession:
    """A session of a user, whom its commits name, with settings and a current schema of its own."""
    if KIND == "spark35":
        from spark35 import session_of as session_in_spark35

        return session_in_spark35(spark, user)
    if KIND == "connect":
        from connect_server import session_of

        return session_of(user)
    from dbx_cd.local.session_user import act_as

    return act_as(spark, user)


def statements(spark: SparkSession) -> Run:
    """Runs SQL of Databricks: what open-source Spark lacks is emulated in the embedded workspace alone."""
    if KIND == "embedded":
        from emulated_statements import runner

        return runner(spark)
    own = own_session(spark, "tester@example.org")
    return lambda sql: [tuple(row) for row in own.sql(sql).collect()]


def forget_logs(spark: SparkSession) -> None:
    """Make Delta forget what it knows of tables' logs, after their files were changed behind its back."""
    if KIND == "connect":
        from connect_server import forget_logs as forget

        forget()
        return
    jvm: Any = spark.sparkContext._jvm
    jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()


@contextmanager
def other_spark(state: Path) -> Iterator[SparkSession]:
    """The session of this run's Spark, where that is not the embedded workspace."""
    if KIND == "connect":
        from connect_server import connected

        with connected(state) as spark:
            yield spark
    else:
        from spark35 import started

        with started(state) as spark:
            yield spark
