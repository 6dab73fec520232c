"""Real Delta keeps the contract that the implementations in memory keep (tests/unit/test_memory.py)."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from datetime import timedelta

import pytest
from _pytest.mark import ParameterSet
from aged_logs import age
from pyspark.sql import SparkSession

from dbx_cd.delta.log_table import DeltaLogTable
from dbx_cd.delta.spark_tables import SparkTables
from dbx_cd.delta.sql import Sql
from dbx_cd.relations import RelationName
from memory.contract import CONTRACT, World
from spark_kind import OPS, PROD, own_session, statements


class DeltaWorld:
    """A schema of a test's own."""

    user = "contract@example.org"

    def __init__(self, spark: SparkSession) -> None:
        spark = own_session(spark, self.user)
        self._spark = spark
        self.schema = f"contract_{uuid.uuid4().hex[:8]}"
        self.tables = SparkTables.of(spark)
        self.log = DeltaLogTable(Sql(spark), RelationName(OPS, self.schema, "release_log"))
        spark.sql(f"CREATE SCHEMA {PROD}.{self.schema}")

    def name(self, identifier: str) -> RelationName:
        return RelationName(PROD, self.schema, identifier)

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
        statements(self._spark)(f"CREATE TABLE {name.quoted} SHALLOW CLONE {source.quoted}")

    def function(self, name: RelationName, over: RelationName) -> None:
        statements(self._spark)(
            f"CREATE FUNCTION {name.quoted}() RETURNS BIGINT RETURN (SELECT max(id) FROM {over.quoted})"
        )


NOT_ON = {
    "a_shallow_clone_says_what_it_was_made_from": (("connect", "spark35"), "only Unity Catalog has a type for clones"),
    "a_signed_commit_says_so_and_others_do_not": (("connect",), "its commits are not signed: it has no newSession"),
    "functions_of_any_schema_are_found_by_their_own_names": (("spark35",), "Spark 3.5 has no SQL functions"),
    "a_version_past_its_retention_cannot_be_read_unless_it_is_the_newest_or_retention_is_made_longer": (
        ("spark35",), "Delta before 4 goes back as long as the files are there",
    ),
}  # fmt: skip


def promises() -> list[ParameterSet]:
    """Each promise, with the kinds of Spark on which it cannot be kept."""
    found = []
    for promise in CONTRACT:
        kinds, reason = NOT_ON.get(promise.__name__, ((), "nowhere"))
        found.append(pytest.param(promise, id=promise.__name__, marks=pytest.mark.not_on(*kinds, reason=reason)))
    return found


@pytest.mark.parametrize("promise", promises())
def test_delta_keeps(spark: SparkSession, promise: Callable[[World], None]) -> None:
    promise(DeltaWorld(spark))
