"""What tables of the embedded catalogs can do under their three-level names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from py4j.protocol import Py4JJavaError
from pyspark.errors import AnalysisException, PySparkException
from pyspark.sql import Row, SparkSession

SCHEMA = "stg.catalog_tables"


@pytest.fixture(scope="module", autouse=True)
def schema(spark: SparkSession) -> Iterator[None]:
    spark.sql(f"CREATE SCHEMA {SCHEMA}")
    yield
    spark.sql(f"DROP SCHEMA {SCHEMA} CASCADE")


def rows(spark: SparkSession, sql: str) -> list[tuple[Any, ...]]:
    return sorted(tuple(row) for row in spark.sql(sql).collect())


def history(spark: SparkSession, table: str) -> list[Row]:
    return spark.sql(f"DESCRIBE HISTORY {table}").orderBy("version").collect()


def test_names_ignore_case(spark: SparkSession) -> None:
    spark.sql(f"CREATE TABLE {SCHEMA}.Mixed AS SELECT 1 AS id")
    assert rows(spark, "SELECT id FROM STG.Catalog_Tables.MIXED") == [(1,)]
    spark.sql("CREATE VIEW Stg.catalog_tables.MixedView AS SELECT 2 AS id")
    assert rows(spark, f"SELECT id FROM {SCHEMA}.mixedview") == [(2,)]


def test_schema_names_need_not_be_words(spark: SparkSession) -> None:
    spark.sql("CREATE SCHEMA stg.`größe-2 b`")
    spark.sql("CREATE TABLE stg.`größe-2 b`.t AS SELECT 1 AS id")
    assert rows(spark, "SELECT id FROM stg.`größe-2 b`.t") == [(1,)]
    spark.sql("DROP SCHEMA stg.`größe-2 b` CASCADE")
    assert not spark.sql("SHOW SCHEMAS IN stg LIKE 'gr*'").collect()


def test_catalogs_do_not_see_each_other(spark: SparkSession) -> None:
    spark.sql(f"CREATE TABLE {SCHEMA}.only_here AS SELECT 1 AS id")
    spark.sql("CREATE SCHEMA prod.catalog_tables")
    with pytest.raises(AnalysisException, match="TABLE_OR_VIEW_NOT_FOUND"):
        spark.table("prod.catalog_tables.only_here")
    spark.sql("DROP SCHEMA prod.catalog_tables")


def test_time_travel_and_restore(spark: SparkSession) -> None:
    table = f"{SCHEMA}.travelled"
    spark.sql(f"CREATE TABLE {table} AS SELECT 1 AS id")
    spark.sql(f"CREATE OR REPLACE TABLE {table} AS SELECT 'two' AS name")
    written = history(spark, table)[0]["timestamp"]
    assert rows(spark, f"SELECT id FROM {table} VERSION AS OF 0") == [(1,)]
    assert rows(spark, f"SELECT * FROM {table} TIMESTAMP AS OF '{written}'") == [(1,)]
    spark.sql(f"RESTORE TABLE {table} TO VERSION AS OF 0")
    assert rows(spark, f"SELECT id FROM {table}") == [(1,)]
    assert [commit["operation"] for commit in history(spark, table)] == [
        "CREATE TABLE AS SELECT",
        "CREATE OR REPLACE TABLE AS SELECT",
        "RESTORE",
    ]


def test_vacuumed_version_has_no_files(spark: SparkSession) -> None:
    table = f"{SCHEMA}.vacuumed"
    spark.sql(f"CREATE TABLE {table} AS SELECT 1 AS id")
    spark.sql(f"INSERT OVERWRITE {table} SELECT 2")
    spark.sql(f"ALTER TABLE {table} SET TBLPROPERTIES ('delta.deletedFileRetentionDuration' = 'interval 0 seconds')")
    spark.sql(f"VACUUM {table}")
    assert len(rows(spark, f"SELECT DISTINCT _metadata.file_path FROM {table}")) == 1
    with pytest.raises((PySparkException, Py4JJavaError)):
        spark.sql(f"SELECT DISTINCT _metadata.file_path FROM {table} VERSION AS OF 0").collect()


def test_change_data_feed(spark: SparkSession) -> None:
    table = f"{SCHEMA}.fed"
    spark.sql(f"CREATE TABLE {table} (id INT) TBLPROPERTIES ('delta.enableChangeDataFeed' = 'true')")
    spark.sql(f"INSERT INTO {table} VALUES (1), (2)")
    spark.sql(f"DELETE FROM {table} WHERE id = 1")
    assert rows(spark, f"SELECT id, _change_type FROM table_changes('{table}', 1)") == [
        (1, "delete"),
        (1, "insert"),
        (2, "insert"),
    ]


def test_generated_identity_and_default_columns(spark: SparkSession) -> None:
    table = f"{SCHEMA}.generated"
    spark.sql(
        f"CREATE TABLE {table} (key BIGINT GENERATED ALWAYS AS IDENTITY, id INT, "
        "twice INT GENERATED ALWAYS AS (id * 2), kind STRING DEFAULT 'plain') "
        "TBLPROPERTIES ('delta.feature.allowColumnDefaults' = 'supported')"
    )
    spark.sql(f"INSERT INTO {table} (id) VALUES (4)")
    assert rows(spark, f"SELECT key, id, twice, kind FROM {table}") == [(1, 4, 8, "plain")]


def test_column_mapping_allows_to_drop_and_rename(spark: SparkSession) -> None:
    table = f"{SCHEMA}.mapped"
    spark.sql(
        f"CREATE TABLE {table} TBLPROPERTIES ('delta.columnMapping.mode' = 'name') AS SELECT 1 AS a, 2 AS b, 3 AS c"
    )
    spark.sql(f"ALTER TABLE {table} DROP COLUMNS (b)")
    spark.sql(f"ALTER TABLE {table} RENAME COLUMN c TO d")
    assert spark.table(table).columns == ["a", "d"]


def test_deletion_vectors_row_tracking_and_clustering(spark: SparkSession) -> None:
    table = f"{SCHEMA}.modern"
    spark.sql(
        f"CREATE TABLE {table} CLUSTER BY (id) TBLPROPERTIES "
        "('delta.enableDeletionVectors' = 'true', 'delta.enableRowTracking' = 'true') AS SELECT id FROM range(10)"
    )
    spark.sql(f"DELETE FROM {table} WHERE id = 3")
    spark.sql(f"OPTIMIZE {table}")
    assert spark.sql(f"SELECT _metadata.row_commit_version FROM {table}").count() == 9
    assert spark.sql(f"DESCRIBE DETAIL {table}").collect()[0]["clusteringColumns"] == ["id"]


def test_shallow_clone(spark: SparkSession) -> None:
    spark.sql(f"CREATE TABLE {SCHEMA}.cloned_from AS SELECT 1 AS id")
    spark.sql(f"CREATE OR REPLACE TABLE {SCHEMA}.clone SHALLOW CLONE {SCHEMA}.cloned_from")
    assert rows(spark, f"SELECT id FROM {SCHEMA}.clone") == [(1,)]


def test_merge_with_schema_evolution(spark: SparkSession) -> None:
    table = f"{SCHEMA}.merged"
    spark.sql(f"CREATE TABLE {table} AS SELECT 1 AS id, 'a' AS name")
    spark.sql(
        f"MERGE WITH SCHEMA EVOLUTION INTO {table} t USING (SELECT 1 AS id, 'b' AS name, 9 AS extra) s ON t.id = s.id "
        "WHEN MATCHED THEN UPDATE SET *"
    )
    assert rows(spark, f"SELECT id, name, extra FROM {table}") == [(1, "b", 9)]


def test_rename_keeps_history(spark: SparkSession) -> None:
    spark.sql(f"CREATE TABLE {SCHEMA}.old_name AS SELECT 1 AS id")
    spark.sql(f"INSERT INTO {SCHEMA}.old_name VALUES (2)")
    spark.sql(f"ALTER TABLE {SCHEMA}.old_name RENAME TO {SCHEMA}.new_name")
    assert len(history(spark, f"{SCHEMA}.new_name")) == 2
    assert not spark.catalog.tableExists(f"{SCHEMA}.old_name")


def test_dropped_table_leaves_no_files(spark: SparkSession) -> None:
    table = f"{SCHEMA}.dropped"
    spark.sql(f"CREATE TABLE {table} AS SELECT 1 AS id")
    spark.sql(f"DROP TABLE {table}")
    spark.sql(f"CREATE TABLE {table} AS SELECT 2 AS id")
    assert len(history(spark, table)) == 1


def test_constraints_of_create_table(spark: SparkSession) -> None:
    table = f"{SCHEMA}.constrained"
    spark.sql(
        f"CREATE OR REPLACE TABLE {table} (id BIGINT NOT NULL, amount INT, CONSTRAINT pk PRIMARY KEY (id), "
        "CONSTRAINT positive CHECK (amount > 0))"
    )
    with pytest.raises(Py4JJavaError, match="DELTA_VIOLATE_CONSTRAINT_WITH_VALUES"):
        spark.sql(f"INSERT INTO {table} VALUES (1, 0)")
    with pytest.raises(Py4JJavaError, match="DELTA_NOT_NULL_CONSTRAINT_VIOLATED"):
        spark.sql(f"INSERT INTO {table} VALUES (NULL, 1)")
    keys = "SELECT constraint_name, constraint_type FROM stg.information_schema.table_constraints"
    assert rows(spark, f"{keys} WHERE table_name = 'constrained'") == [("pk", "PRIMARY KEY")]
    spark.sql(f"CREATE OR REPLACE TABLE {table} AS SELECT 1 AS id")
    assert rows(spark, f"{keys} WHERE table_name = 'constrained'") == []


def test_view_name_cannot_be_taken_by_a_table(spark: SparkSession) -> None:
    spark.sql(f"CREATE VIEW {SCHEMA}.taken AS SELECT 1 AS id")
    with pytest.raises(AnalysisException, match=r"TABLE_OR_VIEW_ALREADY_EXISTS|EXPECT_TABLE_NOT_VIEW"):
        spark.sql(f"CREATE TABLE {SCHEMA}.taken AS SELECT 1 AS id")


def test_parameters_reach_the_query(spark: SparkSession) -> None:
    assert spark.sql("SELECT :a + 1 AS x", args={"a": 1}).collect() == [Row(x=2)]
    assert spark.sql("SELECT ? AS x", args=["it's"]).collect() == [Row(x="it's")]
    spark.sql(f"CREATE TABLE {SCHEMA}.named AS SELECT 1 AS id")
    named = spark.sql("SELECT id FROM IDENTIFIER(:name)", args={"name": f"{SCHEMA}.named"})
    assert named.collect() == [Row(id=1)]


def test_function_in_a_catalog_is_refused_by_name(spark: SparkSession) -> None:
    with pytest.raises(AnalysisException, match="MISSING_CATALOG_ABILITY"):
        spark.sql(f"CREATE FUNCTION {SCHEMA}.plus_one AS 'some.Class'")
