"""INSERT ... REPLACE ON, REPLACE USING and REPLACE WHERE: one commit each, and the session as it was."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from pyspark.errors import AnalysisException
from pyspark.sql import SparkSession

SCHEMA = "dev_anna.replacing"
MODE = "spark.sql.sources.partitionOverwriteMode"


@pytest.fixture(scope="module")
def session(spark: SparkSession) -> Iterator[SparkSession]:
    session = spark.newSession()
    session.sql(f"CREATE SCHEMA {SCHEMA}")
    yield session
    session.sql(f"DROP SCHEMA {SCHEMA} CASCADE")


@pytest.fixture
def table(session: SparkSession, request: pytest.FixtureRequest) -> str:
    name = f"{SCHEMA}.{request.node.originalname}"
    session.sql(f"CREATE OR REPLACE TABLE {name} AS SELECT * FROM VALUES (1, 'a'), (2, 'b'), (NULL, 'n') AS t (id, x)")
    return name


def rows(session: SparkSession, table: str) -> set[tuple[Any, ...]]:
    return {tuple(row) for row in session.table(table).collect()}


def versions(session: SparkSession, table: str) -> int:
    return session.sql(f"DESCRIBE HISTORY {table}").count()


def test_replace_on_any_column_is_one_commit_and_leaves_the_rest(session: SparkSession, table: str) -> None:
    before = versions(session, table)
    session.sql(
        f"insert into table {table} as target\nreplace on (target.`id` <=> temp.`id`)\n"
        "(select `id`, `x` from values (2, 'new'), (NULL, 'null'), (3, 'more') as s (id, x)) as temp"
    )
    assert rows(session, table) == {(1, "a"), (2, "new"), (None, "null"), (3, "more")}
    assert versions(session, table) == before + 1


def test_replace_using_goes_by_equality_and_by_name(session: SparkSession, table: str) -> None:
    session.sql(f"INSERT INTO {table} REPLACE USING (id) SELECT 2 AS id, 'new' AS x UNION ALL SELECT NULL, 'more'")
    assert rows(session, table) == {(1, "a"), (2, "new"), (None, "n"), (None, "more")}
    session.sql(f"INSERT INTO {table} BY NAME REPLACE USING (`id`) SELECT 'named' AS x, 1 AS id")
    assert (1, "named") in rows(session, table)
    assert (1, "a") not in rows(session, table)


@pytest.mark.deep
def test_replace_where_replaces_what_the_condition_says(session: SparkSession, table: str) -> None:
    session.sql(f"INSERT INTO {table} REPLACE WHERE id = 2 SELECT 2 AS id, 'new' AS x")
    assert rows(session, table) == {(1, "a"), (2, "new"), (None, "n")}


def test_a_column_that_is_not_there_is_named_and_nothing_is_written(session: SparkSession, table: str) -> None:
    before = versions(session, table)
    with pytest.raises(AnalysisException, match=r"REPLACE_ON_UNRESOLVED_COLUMNS_IN_CONDITION.*nope"):
        session.sql(f"INSERT INTO {table} AS t REPLACE ON (t.nope = s.id) (SELECT 1 AS id, 'x' AS x) AS s")
    assert versions(session, table) == before


@pytest.mark.parametrize("mode", ["DYNAMIC", pytest.param("STATIC", marks=pytest.mark.deep)])
def test_other_statements_of_the_session_overwrite_as_before(session: SparkSession, table: str, mode: str) -> None:
    session.conf.set(MODE, mode)
    days = f"{table}_{mode}"
    session.sql(f"CREATE TABLE {days} (id INT, day INT) PARTITIONED BY (day)")
    session.sql(f"INSERT INTO {days} VALUES (1, 1), (2, 2), (3, 3)")

    def replace(number: int) -> None:
        session.sql(f"INSERT INTO {days} AS t REPLACE ON (t.day = s.day) (SELECT {number} AS id, 1 AS day) AS s")

    def overwrite(number: int) -> None:
        session.sql(f"INSERT OVERWRITE {table} VALUES ({number}, 'o')")

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda step: step(7), (replace, overwrite)))
    with pytest.raises(AnalysisException):
        session.sql(f"INSERT INTO {days} AS t REPLACE ON (t.day = s.day) (SELECT 1 AS id) AS s")
    assert session.conf.get(MODE) == mode
    session.sql(f"INSERT OVERWRITE {days} VALUES (9, 2)")
    others = {(7, 1), (3, 3)} if mode == "DYNAMIC" else set()
    assert rows(session, days) == {(9, 2), *others}


def test_a_merge_on_a_column_that_is_not_there_names_it(session: SparkSession, table: str) -> None:
    source = f"MERGE INTO {table} t USING (SELECT 1 AS id) s"
    for condition in ("t.nope = s.id", "t.id = s.nope"):
        with pytest.raises(AnalysisException, match=r"DELTA_MERGE_UNRESOLVED_EXPRESSION\] Cannot resolve [ts]\.nope"):
            session.sql(f"{source} ON {condition} WHEN MATCHED THEN DELETE")
