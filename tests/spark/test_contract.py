"""Real Delta keeps the contract that the implementations in memory keep (tests/unit/test_memory.py)."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from datetime import timedelta

import pytest
from aged_logs import age
from emulated_statements import runner
from pyspark.sql import SparkSession

from dbx_cd.delta.log_table import DeltaLogTable
from dbx_cd.delta.spark_tables import SparkTables
from dbx_cd.delta.sql import Sql
from dbx_cd.local.session_user import act_as
from dbx_cd.relations import RelationName
from memory.contract import CONTRACT, World


class DeltaWorld:
    """A schema of a test's own in the embedded workspace."""

    user = "contract@example.org"

    def __init__(self, spark: SparkSession) -> None:
        spark = act_as(spark, self.user)
        self._spark = spark
        self.schema = f"contract_{uuid.uuid4().hex[:8]}"
        self.tables = SparkTables.of(spark)
        self.log = DeltaLogTable(Sql(spark), RelationName("ops", self.schema, "release_log"))
        spark.sql(f"CREATE SCHEMA prod.{self.schema}")

    def name(self, identifier: str) -> RelationName:
        return RelationName("prod", self.schema, identifier)

    def create(self, name: RelationName, *ids: int, columns: Sequence[str] = ("id",)) -> None:
        select = ", ".join(f"CAST(id AS BIGINT) AS {column}" for column in columns)
        values = ", ".join(f"({i})" for i in ids)
        self._spark.sql(f"CREATE OR REPLACE TABLE {name.quoted} AS SELECT {select} FROM VALUES {values} AS t(id)")

    def insert(self, name: RelationName, *ids: int) -> None:
        self._spark.sql(f"INSERT INTO {name.quoted} VALUES {', '.join(f'({i})' for i in ids)}")

    def optimize(self, name: RelationName) -> None:
        self._spark.sql(f"OPTIMIZE {name.quoted}")

    def vacuum(self, name: RelationName) -> None:
        check = "spark.databricks.delta.retentionDurationCheck.enabled"
        self._spark.conf.set(check, "false")
        try:
            self._spark.sql(f"VACUUM {name.quoted} RETAIN 0 HOURS")
        finally:
            self._spark.conf.unset(check)

    def age(self, name: RelationName, *, days: float) -> None:
        age(self._spark, name, timedelta(days=days))

    def rows(self, name: RelationName) -> list[int]:
        return sorted(row["id"] for row in self._spark.table(name.quoted).collect())

    def clone(self, name: RelationName, source: RelationName) -> None:
        runner(self._spark)(f"CREATE TABLE {name.quoted} SHALLOW CLONE {source.quoted}")

    def function(self, name: RelationName, over: RelationName) -> None:
        runner(self._spark)(
            f"CREATE FUNCTION {name.quoted}() RETURNS BIGINT RETURN (SELECT max(id) FROM {over.quoted})"
        )


@pytest.mark.parametrize("promise", CONTRACT, ids=lambda promise: promise.__name__)
def test_delta_keeps(spark: SparkSession, promise: Callable[[World], None]) -> None:
    promise(DeltaWorld(spark))
