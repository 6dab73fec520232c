"""Shallow clones: tables of their own type, which another clone can replace and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from emulated_statements import Run, runner
from pyspark.errors import AnalysisException
from pyspark.sql import SparkSession

SCHEMA = "dev_anna.cloned"


@pytest.fixture(scope="module")
def run(spark: SparkSession) -> Iterator[Run]:
    run_emulated = runner(spark)
    run_emulated(f"CREATE SCHEMA {SCHEMA}")
    run_emulated(f"CREATE TABLE {SCHEMA}.source AS SELECT 1 AS id")
    yield run_emulated
    run_emulated(f"DROP SCHEMA {SCHEMA} CASCADE")


def table_type(run: Run, name: str) -> str:
    types = f"SELECT table_type FROM dev_anna.information_schema.tables WHERE table_name = '{name}'"
    shown: str = run(types)[0][0]
    described = json.loads(run(f"DESCRIBE TABLE EXTENDED {SCHEMA}.{name} AS JSON")[0][0])
    assert described["type"] == shown
    return shown


def test_a_clone_is_a_table_of_its_own_type_made_in_one_commit(run: Run) -> None:
    run(f"CREATE TABLE {SCHEMA}.one SHALLOW CLONE {SCHEMA}.source")
    assert [row[4] for row in run(f"DESCRIBE HISTORY {SCHEMA}.one")] == ["CLONE"]
    (commit,) = run(f"SELECT operationParameters['source'] FROM (DESCRIBE HISTORY {SCHEMA}.one)")
    assert commit == (f"{SCHEMA}.source",)
    assert table_type(run, "one") == "MANAGED_SHALLOW_CLONE"
    assert table_type(run, "source") == "MANAGED"
    run(f"ALTER TABLE {SCHEMA}.one RENAME TO {SCHEMA}.renamed")
    assert table_type(run, "renamed") == "MANAGED_SHALLOW_CLONE"
    run(f"DROP TABLE {SCHEMA}.renamed")
    run(f"CREATE TABLE {SCHEMA}.renamed AS SELECT 1 AS id")
    assert table_type(run, "renamed") == "MANAGED"


def test_a_clone_replaced_by_a_clone_keeps_its_history(run: Run) -> None:
    clone, other = f"{SCHEMA}.again", f"{SCHEMA}.other"
    run(
        f"CREATE TABLE {other} (id INT, day INT) PARTITIONED BY (day) "
        "TBLPROPERTIES ('delta.enableDeletionVectors' = 'true')"
    )
    run(f"INSERT INTO {other} VALUES (5, 1), (6, 1), (7, 2)")
    run(f"DELETE FROM {other} WHERE id = 6")
    run(f"CREATE OR REPLACE TABLE {clone} SHALLOW CLONE {SCHEMA}.source")
    run(f"INSERT INTO {clone} VALUES (2)")
    run(f"CREATE OR REPLACE TABLE {clone} SHALLOW CLONE {other}")
    assert sorted(run(f"SELECT id, day FROM {clone}")) == [(5, 1), (7, 2)]
    assert [row[4] for row in run(f"DESCRIBE HISTORY {clone}")] == ["CLONE", "WRITE", "CLONE"]
    assert [row[5].get("source") for row in run(f"DESCRIBE HISTORY {clone}")] == [other, None, f"{SCHEMA}.source"]
    assert sorted(run(f"SELECT id FROM {clone} VERSION AS OF 1")) == [(1,), (2,)]
    run(f"DELETE FROM {clone} WHERE id = 5")
    assert sorted(run(f"SELECT id FROM {other}")) == [(5,), (7,)]


@pytest.mark.deep
def test_a_table_and_a_clone_do_not_replace_each_other(run: Run) -> None:
    run(f"CREATE TABLE {SCHEMA}.fixed SHALLOW CLONE {SCHEMA}.source")
    for statement in (
        f"CREATE OR REPLACE TABLE {SCHEMA}.fixed AS SELECT 2 AS id",
        f"CREATE OR REPLACE TABLE {SCHEMA}.source SHALLOW CLONE {SCHEMA}.source",
    ):
        with pytest.raises(AnalysisException, match=r"UPDATE_TABLE_TYPE\].*Changing table_type is not supported"):
            run(statement)
    with pytest.raises(AnalysisException, match="CANNOT_SHALLOW_CLONE_NESTED"):
        run(f"CREATE TABLE {SCHEMA}.nested SHALLOW CLONE {SCHEMA}.fixed")
    assert run(f"SELECT id FROM {SCHEMA}.source") == [(1,)]


def test_a_clone_of_nothing_leaves_nothing(run: Run) -> None:
    with pytest.raises(AnalysisException, match=r"TABLE_OR_VIEW_NOT_FOUND|DELTA_TABLE_NOT_FOUND"):
        run(f"CREATE TABLE {SCHEMA}.nothing SHALLOW CLONE {SCHEMA}.nowhere")
    run(f"CREATE TABLE {SCHEMA}.nothing AS SELECT 1 AS id")
    assert table_type(run, "nothing") == "MANAGED"


@pytest.mark.deep
def test_automatic_clustering_leaves_the_property_that_dbt_reads(run: Run) -> None:
    table = f"{SCHEMA}.auto"
    run(f"CREATE TABLE {table} TBLPROPERTIES ('a' = 'b') CLUSTER BY AUTO AS SELECT 'cluster by auto' AS text")
    assert run(f"SELECT text FROM {table}") == [("cluster by auto",)]
    assert {("a", "b"), ("clusterByAuto", "true")} <= set(run(f"SHOW TBLPROPERTIES {table}"))
    run(f"ALTER TABLE {table} CLUSTER BY (text)")
    assert "clusterByAuto" not in dict(run(f"SHOW TBLPROPERTIES {table}"))
    run(f"ALTER TABLE {table} CLUSTER BY AUTO")
    assert ("clusterByAuto", "true") in run(f"SHOW TBLPROPERTIES {table}")
