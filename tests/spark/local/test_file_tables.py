"""Tables of Parquet, CSV and JSON files under their three-level names."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pyspark.errors import AnalysisException, PySparkException
from pyspark.sql import SparkSession

SCHEMA = "dev_anna.files"


@pytest.fixture(scope="module")
def session(spark: SparkSession) -> Iterator[SparkSession]:
    session = spark.newSession()
    session.sql(f"CREATE SCHEMA {SCHEMA}")
    yield session
    session.sql(f"DROP SCHEMA {SCHEMA} CASCADE")


def values(session: SparkSession, query: str) -> list[tuple[object, ...]]:
    return sorted(tuple(row) for row in session.sql(query).collect())


@pytest.mark.parametrize(
    "provider", ["parquet", *(pytest.param(name, marks=pytest.mark.deep) for name in ("csv", "json"))]
)
def test_what_was_written_is_read(session: SparkSession, provider: str) -> None:
    table = f"{SCHEMA}.made_by_{provider}"
    session.sql(f"CREATE TABLE {table} USING {provider} PARTITIONED BY (day) AS SELECT 1 AS day, 1 AS id, 'a' AS x")
    session.sql(f"INSERT INTO {table} VALUES (2, 'b', 2)")
    session.sql(f"INSERT INTO {table} BY NAME SELECT 3 AS id, 2 AS day, 'c' AS x")
    assert values(session, f"SELECT t.id, t.x, t.day FROM {table} t WHERE t.day > 0") == [
        (1, "a", 1),
        (2, "b", 2),
        (3, "c", 2),
    ]
    session.sql(f"INSERT OVERWRITE {table} VALUES (9, 'z', 9)")
    assert values(session, f"SELECT * FROM {table}") == [(9, "z", 9)]


def test_columns_types_and_lengths_are_those_of_create_table(session: SparkSession) -> None:
    table = f"{SCHEMA}.declared"
    session.sql(f"CREATE TABLE {table} (id INT, x VARCHAR(3)) USING parquet")
    session.sql(f"INSERT INTO {table} VALUES (1, 'abc')")
    with pytest.raises(PySparkException, match="EXCEED_LIMIT_LENGTH"):
        session.sql(f"INSERT INTO {table} VALUES (2, 'abcd')")
    assert values(session, f"SELECT * FROM {table}") == [(1, "abc")]
    assert [row["data_type"] for row in session.sql(f"DESCRIBE TABLE {table}").collect()] == ["int", "varchar(3)"]


@pytest.mark.deep
def test_another_session_s_rows_are_seen_and_writers_of_frames_append(
    session: SparkSession, spark: SparkSession
) -> None:
    table = f"{SCHEMA}.shared"
    session.sql(f"CREATE TABLE {table} USING parquet AS SELECT 1 AS id")
    assert values(session, f"SELECT id FROM {table}") == [(1,)]
    other = spark.newSession()
    other.sql("SELECT 2 AS id").write.format("parquet").mode("append").saveAsTable(table)
    other.sql("SELECT 3 AS id").write.insertInto(table)
    assert values(session, f"SELECT id FROM {table}") == [(1,), (2,), (3,)]


@pytest.mark.deep
def test_a_table_whose_query_failed_is_not_there_and_can_be_made(session: SparkSession) -> None:
    table = f"{SCHEMA}.second_try"
    with pytest.raises(PySparkException, match="USER_RAISED_EXCEPTION"):
        session.sql(f"CREATE TABLE {table} USING csv AS SELECT CAST(raise_error('no') AS INT) AS id")
    session.sql(f"CREATE TABLE {table} USING csv AS SELECT 1 AS id")
    assert values(session, f"SELECT id FROM {table}") == [(1,)]


def test_replacing_some_rows_of_files_is_refused_and_loses_none(session: SparkSession) -> None:
    table = f"{SCHEMA}.kept"
    session.sql(f"CREATE TABLE {table} USING parquet AS SELECT 1 AS id")
    for statement in (
        f"INSERT INTO {table} AS t REPLACE ON (t.id = s.id) (SELECT 2 AS id) AS s",
        f"INSERT INTO {table} REPLACE USING (id) SELECT 2 AS id",
        f"INSERT INTO {table} REPLACE WHERE id = 2 SELECT 2 AS id",
        f"CREATE OR REPLACE TABLE {table} USING parquet AS SELECT 2 AS id",
    ):
        with pytest.raises(AnalysisException, match="it is not a Delta table"):
            session.sql(statement)
    assert values(session, f"SELECT id FROM {table}") == [(1,)]


def test_uniform_is_refused_before_anything_is_done(session: SparkSession) -> None:
    table = f"{SCHEMA}.iceberg"
    wanted = (
        "TBLPROPERTIES ('delta.enableIcebergCompatV2' = 'true', 'delta.columnMapping.mode' = 'name', "
        "'delta.universalFormat.enabledFormats' = 'iceberg')"
    )
    for statement in (f"CREATE TABLE {table} (id INT) {wanted}", f"CREATE TABLE {table} {wanted} AS SELECT 1 AS id"):
        with pytest.raises(AnalysisException, match=r"DELTA_UNIVERSAL_FORMAT_VIOLATION.* leave out delta\.universal"):
            session.sql(statement)
    assert not session.catalog.tableExists(table)
