"""Spark 3.5 with Delta 3.3, in the environment of `make test-spark35`, and a stand-in for information_schema.

Open-source Spark has no information_schema. Here `spark_catalog` has a schema of that name with views over values, made
anew from what the catalog knows before each statement that names one. Names and types are those of Unity Catalog's
documentation; what the catalog cannot have (keys, tags, grants, filters, functions) are relations without rows.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from delta import configure_spark_with_delta_pip
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.functions import lit

SCHEMA = "spark_catalog.information_schema"
COLUMNS = {
    "tables": "table_schema STRING, table_name STRING, table_type STRING, data_source_format STRING, comment STRING, "
    "created TIMESTAMP, table_owner STRING",
    "views": "table_schema STRING, table_name STRING, view_definition STRING",
    "columns": "table_schema STRING, table_name STRING, column_name STRING, full_data_type STRING, is_nullable STRING, "
    "comment STRING, ordinal_position INT, column_default STRING",
    "table_constraints": "table_schema STRING, table_name STRING, constraint_schema STRING, constraint_name STRING, "
    "constraint_type STRING",
    "key_column_usage": "table_schema STRING, table_name STRING, constraint_name STRING, column_name STRING, "
    "ordinal_position INT",
    "referential_constraints": "constraint_schema STRING, constraint_name STRING, unique_constraint_catalog STRING, "
    "unique_constraint_schema STRING, unique_constraint_name STRING",
    "table_tags": "schema_name STRING, table_name STRING, tag_name STRING, tag_value STRING",
    "column_tags": "schema_name STRING, table_name STRING, column_name STRING, tag_name STRING, tag_value STRING",
    "table_privileges": "table_schema STRING, table_name STRING, grantee STRING, privilege_type STRING, "
    "inherited_from STRING",
    "row_filters": "table_schema STRING, table_name STRING, filter_name STRING, target_columns STRING",
    "column_masks": "table_schema STRING, table_name STRING, column_name STRING, mask_name STRING, "
    "using_columns STRING",
    "routines": "routine_schema STRING, routine_name STRING, routine_body STRING, external_language STRING, "
    "routine_definition STRING",
}
FILLED = ("tables", "views", "columns")

SETTINGS = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.sql.sources.default": "delta",
    "spark.sql.legacy.createHiveTableByDefault": "false",
    "spark.sql.session.timeZone": "UTC",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.driver.memory": "3g",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    # Old dates: what Spark 4 does by itself.
    "spark.sql.parquet.int96RebaseModeInWrite": "CORRECTED",
    "spark.sql.parquet.datetimeRebaseModeInWrite": "CORRECTED",
    # Small data: what the embedded workspace has for the same reason (`local/spark_session.py`).
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.default.parallelism": "2",
    "spark.sql.leafNodeDefaultParallelism": "1",
    "spark.sql.shuffle.partitions": "1",
    "spark.sql.sources.parallelPartitionDiscovery.parallelism": "2",
    "spark.databricks.delta.snapshotPartitions": "1",
    "spark.buffer.pageSize": "1m",
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=256m -XX:+UseSerialGC "
    "-XX:NewSize=600m -XX:-UsePerfData",
}


class Spark35(SparkSession):
    """A session whose catalog has an information_schema."""

    asking = threading.Lock()
    user: str | None = None
    """Whom the history names, in a session that is somebody's: open-source Delta knows nobody, Databricks does."""

    def sql(self, sqlQuery: str, args: Any = None, **kwargs: Any) -> DataFrame:  # noqa: N803  (PySpark's name)
        """Run a statement; what it asks information_schema is put there first."""
        if self.user and sqlQuery.upper().startswith("DESCRIBE HISTORY"):
            return super().sql(sqlQuery, args, **kwargs).withColumn("userName", lit(self.user))
        if "information_schema" not in sqlQuery:
            return super().sql(sqlQuery, args, **kwargs)
        with self.asking:
            for relation in FILLED:
                if f"information_schema.{relation} " in f"{sqlQuery} ":
                    self._fill(relation, schemas=re.findall(r"'([^']*)'", sqlQuery))
            return super().sql(sqlQuery, args, **kwargs)

    def newSession(self) -> Spark35:  # noqa: N802  (PySpark's name)
        """A session of the same user."""
        return session_of(self, self.user)

    def _fill(self, relation: str, *, schemas: Sequence[str]) -> None:
        catalog: Any = self._jsparkSession.sessionState().catalog()
        rows: list[tuple[Any, ...]] = []
        for schema in sorted({s for s in schemas if catalog.databaseExists(s)}):
            listed = catalog.listTables(schema)
            for n in range(listed.size()):
                name = listed.apply(n)
                if name.database().isDefined():
                    rows += self._rows(relation, schema, catalog.getTableMetadata(name))
        super().sql(_view(relation, rows))

    def _rows(self, relation: str, schema: str, table: Any) -> list[tuple[Any, ...]]:
        name, kind = table.identifier().table(), table.tableType().name()
        if relation == "tables":
            provider, comment = _value(table.provider()), _value(table.comment())
            created = f"timestamp_millis({table.createTime()})"
            return [(schema, name, kind, provider and provider.upper(), comment, created, table.owner() or "owner")]
        if relation == "views":
            return [(schema, name, _value(table.viewText()))] if kind == "VIEW" else []
        fields = json.loads(table.schema().json())["fields"]
        if kind != "VIEW":  # Delta keeps the schema of a table in its log
            fields = self.table(f"`{schema}`.`{name}`").schema.jsonValue()["fields"]
        types = {f.name: f.dataType.simpleString() for f in self._struct(fields)}
        return [
            (
                schema, name, f["name"], types[f["name"]], "YES" if f["nullable"] else "NO",
                f["metadata"].get("comment"), position, f["metadata"].get("CURRENT_DEFAULT"),
            )
            for position, f in enumerate(fields)
        ]  # fmt: skip

    @staticmethod
    def _struct(fields: Sequence[Any]) -> Any:
        from pyspark.sql.types import StructType

        return StructType.fromJson({"fields": fields})


def session_of(spark: SparkSession, user: str | None) -> Spark35:
    """A session of a user, or of nobody: its own settings and current schema."""
    java: Any = spark._jsparkSession
    session = Spark35(spark.sparkContext, java.newSession())
    session.user = user
    return session


def _value(option: Any) -> str | None:
    return option.get() if option.isDefined() else None


def _view(relation: str, rows: Sequence[Sequence[Any]]) -> str:
    columns = [column.split() for column in COLUMNS[relation].split(", ")]
    cast = ", ".join(f"CAST({name} AS {kind}) AS {name}" for name, kind in columns)
    listed = ", ".join(f"({', '.join(map(_literal, row))})" for row in rows or [[None] * len(columns)])
    names = ", ".join(name for name, _ in columns)
    some = "" if rows else " WHERE false"
    return f"CREATE OR REPLACE VIEW {SCHEMA}.{relation} AS SELECT {cast} FROM VALUES {listed} AS t({names}){some}"


def _literal(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, int) or str(value).startswith("timestamp_millis("):
        return str(value)
    escaped = str(value).replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
    return f"'{escaped}'"


@contextmanager
def started(state: Path) -> Iterator[SparkSession]:
    """A session with its tables below `state`."""
    builder = SparkSession.builder.master("local[2]").config("spark.sql.warehouse.dir", str(state / "warehouse"))
    builder = builder.config("spark.local.dir", str(state / "scratch"))
    for name, value in SETTINGS.items():
        builder = builder.config(name, value)
    plain = configure_spark_with_delta_pip(builder).getOrCreate()
    plain.sparkContext.setLogLevel("ERROR")
    spark = Spark35(plain.sparkContext, plain._jsparkSession)
    spark.sql(f"CREATE SCHEMA {SCHEMA}")
    for relation in COLUMNS:
        spark.sql(_view(relation, []))
    yield spark
    spark.stop()
