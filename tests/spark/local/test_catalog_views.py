"""Views of the embedded catalogs and what information_schema says."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pyspark.errors import AnalysisException
from pyspark.sql import SparkSession

SCHEMA = "prod.catalog_views"


@pytest.fixture(scope="module", autouse=True)
def schema(spark: SparkSession) -> Iterator[None]:
    spark.sql(f"CREATE SCHEMA {SCHEMA} COMMENT 'views'")
    spark.sql(f"CREATE TABLE {SCHEMA}.orders (id BIGINT NOT NULL COMMENT 'key', amount DECIMAL(10,2)) COMMENT 'all'")
    spark.sql(
        f"CREATE VIEW {SCHEMA}.cheap (id COMMENT 'same key', amount) COMMENT 'cheap ones' "
        f"TBLPROPERTIES ('team' = 'shop') AS SELECT id, amount FROM {SCHEMA}.orders WHERE amount < 10"
    )
    yield
    spark.sql(f"DROP SCHEMA {SCHEMA} CASCADE")


def test_view_has_comments_properties_and_definition(spark: SparkSession) -> None:
    described = {row["col_name"]: row["comment"] for row in spark.sql(f"DESCRIBE TABLE {SCHEMA}.cheap").collect()}
    assert described["id"] == "same key"
    assert {"key": "team", "value": "shop"} in [
        row.asDict() for row in spark.sql(f"SHOW TBLPROPERTIES {SCHEMA}.cheap").collect()
    ]
    definition = spark.sql(
        "SELECT view_definition FROM prod.information_schema.views WHERE table_name = 'cheap'"
    ).collect()[0][0]
    assert definition == f"SELECT id, amount FROM {SCHEMA}.orders WHERE amount < 10"
    assert "COMMENT 'cheap ones'" in spark.sql(f"SHOW CREATE TABLE {SCHEMA}.cheap").collect()[0][0]


def test_view_resolves_names_as_on_the_day_it_was_created(spark: SparkSession) -> None:
    session = spark.newSession()
    session.sql(f"USE {SCHEMA}")
    session.sql("CREATE VIEW relative AS SELECT id FROM orders")
    assert spark.newSession().table(f"{SCHEMA}.relative").columns == ["id"]


def test_view_can_be_replaced_altered_renamed_and_dropped(spark: SparkSession) -> None:
    spark.sql(f"CREATE VIEW {SCHEMA}.v AS SELECT 1 AS a")
    spark.sql(f"CREATE OR REPLACE VIEW {SCHEMA}.v AS SELECT 2 AS b")
    spark.sql(f"ALTER VIEW {SCHEMA}.v AS SELECT 3 AS c")
    spark.sql(f"ALTER VIEW {SCHEMA}.v SET TBLPROPERTIES ('x' = 'y')")
    spark.sql(f"ALTER VIEW {SCHEMA}.v RENAME TO {SCHEMA}.w")
    assert [row["viewName"] for row in spark.sql(f"SHOW VIEWS IN {SCHEMA} LIKE 'w'").collect()] == ["w"]
    assert spark.table(f"{SCHEMA}.w").collect()[0].asDict() == {"c": 3}
    spark.sql(f"DROP VIEW {SCHEMA}.w")
    with pytest.raises(AnalysisException, match="TABLE_OR_VIEW_NOT_FOUND"):
        spark.table(f"{SCHEMA}.w")


def test_information_schema_lists_tables_and_columns(spark: SparkSession) -> None:
    tables = spark.sql(
        "SELECT table_name, table_type, data_source_format, comment, last_altered FROM "
        "system.information_schema.tables WHERE table_catalog = 'prod' AND (table_schema = 'catalog_views' AND "
        "table_name = 'orders' OR table_schema = 'catalog_views' AND table_name = 'cheap') ORDER BY table_name"
    ).collect()
    assert [tuple(row)[:4] for row in tables] == [
        ("cheap", "VIEW", None, "cheap ones"),
        ("orders", "MANAGED", "DELTA", "all"),
    ]
    assert all(row["last_altered"] is not None for row in tables)
    columns = spark.sql(
        "SELECT column_name, ordinal_position, full_data_type, is_nullable, comment FROM "
        "prod.information_schema.columns WHERE table_name = 'orders' ORDER BY ordinal_position"
    ).collect()
    assert [tuple(row) for row in columns] == [
        ("id", 1, "bigint", "NO", "key"),
        ("amount", 2, "decimal(10,2)", "YES", None),
    ]


def test_information_schema_of_a_catalog_is_its_own(spark: SparkSession) -> None:
    assert spark.sql("SELECT * FROM stg.information_schema.tables WHERE table_schema = 'catalog_views'").isEmpty()
    catalogs = [row[0] for row in spark.table("system.information_schema.catalogs").collect()]
    assert catalogs == ["stg", "prod", "dev_anna", "ops"]
    comment = "SELECT comment FROM prod.information_schema.schemata WHERE schema_name = 'catalog_views'"
    assert spark.sql(comment).collect()[0][0] == "views"


def test_system_catalog_is_read_only(spark: SparkSession) -> None:
    with pytest.raises(Exception, match="read-only"):
        spark.sql("CREATE SCHEMA system.mine")
