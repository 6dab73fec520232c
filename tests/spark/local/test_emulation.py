"""Emulated statements, and what a client can observe after them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from emulated_statements import Run, runner
from pyspark.sql import SparkSession

from dbx_cd.errors import DbxCdError
from dbx_cd.local.emulation import emulate

SCHEMA = "dev_anna.emulation"


@pytest.fixture(scope="module")
def run(spark: SparkSession) -> Iterator[Run]:
    run_emulated = runner(spark)
    run_emulated(f"CREATE SCHEMA {SCHEMA}")
    yield run_emulated
    run_emulated(f"DROP SCHEMA {SCHEMA} CASCADE")


@pytest.fixture
def table(run: Run, request: pytest.FixtureRequest) -> str:
    name = f"{SCHEMA}.{request.node.originalname}"
    run(f"CREATE OR REPLACE TABLE {name} (id BIGINT, day DATE, `odd.name``s` STRING) PARTITIONED BY (day)")
    return name


def described(run: Run, name: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(run(f"/* from dbt */ DESCRIBE TABLE EXTENDED {name} AS JSON;")[0][0])
    return answer


def test_unknown_statement_is_returned_as_it_came(spark: SparkSession) -> None:
    for sql in (
        "SELECT 'grant'  -- use catalog x",
        "CREATE TABLE t AS SELECT 'cluster by'",
        "  ",
        "INSERT INTO t SELECT 1",
    ):
        assert emulate(spark, sql) is sql


def test_use_catalog_changes_how_names_resolve(run: Run) -> None:
    run("use catalog `DEV_ANNA`")
    assert run("SELECT current_catalog()") == [("dev_anna",)]
    run("USE SCHEMA emulation")
    run("CREATE TABLE by_one_part AS SELECT 1 AS id")
    assert described(run, "by_one_part")["catalog_name"] == "dev_anna"


def test_describe_as_json_of_a_table(run: Run, table: str) -> None:
    run(f"COMMENT ON TABLE {table} IS 'it''s \\'quoted\\''")
    answer = described(run, table)
    assert answer["comment"] == "it's 'quoted'"
    assert answer["partition_columns"] == ["day"]
    assert [column["name"] for column in answer["columns"]] == ["id", "day", "odd.name`s"]
    assert [column["type"] for column in answer["columns"]] == [{"name": n} for n in ("bigint", "date", "string")]


def test_describe_as_json_of_a_temporary_view(run: Run) -> None:
    run("CREATE OR REPLACE TEMPORARY VIEW a_temp AS SELECT 1.50 AS x, array(1) AS xs, timestamp'2026-01-01' AS at")
    types = {column["name"]: column["type"] for column in described(run, "`a_temp`")["columns"]}
    assert types["x"] == {"name": "decimal", "precision": 3, "scale": 2}
    assert types["xs"] == {"name": "array", "element_type": {"name": "int"}, "element_nullable": False}
    assert types["at"] == {"name": "timestamp_ltz"}


def test_comments_on_columns_of_tables_and_views(run: Run, table: str) -> None:
    run(f"CREATE OR REPLACE VIEW {table}_view AS SELECT id, `odd.name``s` FROM {table}")
    for name in (table, f"{table}_view"):
        run(f"COMMENT ON COLUMN {name}.`odd.name``s` IS 'O\\'Hara\\nsays \"ü\" -- not a comment'")
        comments = {column["name"]: column.get("comment") for column in described(run, name)["columns"]}
        assert comments["odd.name`s"] == 'O\'Hara\nsays "ü" -- not a comment'
    run(f"COMMENT ON VIEW {table}_view IS 'a view'")
    assert described(run, f"{table}_view")["comment"] == "a view"


def test_tags_of_tables_and_columns(run: Run, table: str) -> None:
    run(f"ALTER TABLE {table} SET TAGS ('cost center' = 'it''s 1', \"pii\" = \"a, b\", 'alone')")
    run(f"ALTER TABLE {table} ALTER COLUMN ID SET TAGS ('key' = 'yes')")
    run(f"ALTER TABLE {table} UNSET TAGS ('alone')")
    name = table.split(".")[-1]
    tags = run(f"SELECT tag_name, tag_value FROM system.information_schema.table_tags WHERE table_name = '{name}'")
    assert sorted(tags) == [("cost center", "it's 1"), ("pii", "a, b")]
    columns = run(
        f"SELECT column_name, tag_name FROM system.information_schema.column_tags WHERE table_name = '{name}'"
    )
    assert columns == [("id", "key")]


def test_tags_of_what_does_not_exist_are_refused(run: Run, table: str) -> None:
    with pytest.raises(DbxCdError, match="TABLE_OR_VIEW_NOT_FOUND"):
        run(f"ALTER TABLE {SCHEMA}.nowhere SET TAGS ('a' = 'b')")
    with pytest.raises(DbxCdError, match="UNRESOLVED_COLUMN"):
        run(f"ALTER TABLE {table} ALTER COLUMN nothing SET TAGS ('a' = 'b')")


def test_keys_are_described_and_dropped(run: Run, table: str) -> None:
    run(f"CREATE OR REPLACE TABLE {table}_parent (id BIGINT NOT NULL, CONSTRAINT parent_pk PRIMARY KEY (id))")
    run(f"ALTER TABLE {table} ADD CONSTRAINT to_parent FOREIGN KEY (id) REFERENCES {table}_parent")
    assert described(run, table)["table_constraints"] == (
        f"[(to_parent,FOREIGN KEY (`id`) REFERENCES `dev_anna`.`emulation`.`{table.split('.')[-1]}_parent` (`id`))]"
    )
    run(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS to_parent")
    run(f"ALTER TABLE {table}_parent DROP PRIMARY KEY IF EXISTS CASCADE")
    assert "table_constraints" not in described(run, table)
    with pytest.raises(DbxCdError, match="CONSTRAINT_DOES_NOT_EXIST"):
        run(f"ALTER TABLE {table}_parent DROP PRIMARY KEY")


def test_names_shown_are_three_level_names(run: Run, table: str) -> None:
    assert run(f"DESCRIBE DETAIL {table}")[0][2] == table
    assert [row[:2] for row in run(f"SHOW TABLE EXTENDED IN {SCHEMA} LIKE '{table.split('.')[-1]}'")] == [
        ("emulation", table.split(".")[-1])
    ]
    assert [name for (name,) in run("SHOW CATALOGS")] == ["dev_anna", "ops", "prod", "stg", "system"]


def test_a_broken_view_is_listed_with_the_others(run: Run, table: str) -> None:
    run("CREATE SCHEMA IF NOT EXISTS dev_anna.broken")
    run(f"CREATE TABLE dev_anna.broken.base AS SELECT * FROM {table}")
    run("CREATE VIEW dev_anna.broken.v AS SELECT id, day FROM dev_anna.broken.base")
    run("CREATE VIEW dev_anna.broken.w AS SELECT id FROM dev_anna.broken.v")
    run("CREATE TABLE dev_anna.broken.whole AS SELECT 1 AS id")
    run("DROP TABLE dev_anna.broken.base")
    shown = {row[1]: row[3] for row in run("SHOW TABLE EXTENDED IN dev_anna.broken LIKE '*'")}
    assert shown["v"].endswith("Schema: root\n |-- id: bigint (nullable = true)\n |-- day: date (nullable = true)\n")
    assert set(shown) == {"v", "w", "whole"}
    assert {row[1] for row in run("SHOW VIEWS IN dev_anna.broken")} == {"v", "w"}
    listed = run(
        "SELECT table_name, column_name FROM dev_anna.information_schema.columns WHERE table_schema = 'broken'"
    )
    assert set(listed) == {("v", "id"), ("v", "day"), ("w", "id"), ("whole", "id")}
    run("DROP SCHEMA dev_anna.broken CASCADE")


def test_columns_are_numbered_from_one(run: Run, table: str) -> None:
    name = table.split(".")[-1]
    columns = run(
        "SELECT column_name, ordinal_position FROM system.information_schema.columns "
        f"WHERE table_name = '{name}' ORDER BY ordinal_position"
    )
    assert columns == [("id", 1), ("day", 2), ("odd.name`s", 3)]


def test_optimize_gives_its_metrics_as_json(run: Run, table: str) -> None:
    run(f"INSERT INTO {table} VALUES (1, date'2026-01-01', 'a')")
    ((path, metrics),) = run(f"OPTIMIZE {table}")
    assert path.endswith("/test_optimize_gives_its_metrics_as_json")
    assert json.loads(metrics)["totalConsideredFiles"] == 1


def test_undrop_is_refused_by_name(run: Run, table: str) -> None:
    with pytest.raises(DbxCdError, match="UNDROP"):
        run(f"UNDROP TABLE {table}")
