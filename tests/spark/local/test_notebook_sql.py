"""A notebook's `spark.sql` and `%sql` run the statements that the SQL endpoint runs."""

from __future__ import annotations

import json

from pyspark.sql import SparkSession

from dbx_cd.local.run import submit_notebook
from dbx_cd.local.workspace import DEVELOPER, EmbeddedWorkspace

TABLE = "stg.notebook_sql.t"

NOTEBOOK = f"""# Databricks notebook source
from pyspark.errors import AnalysisException
from pyspark.sql import SparkSession
spark.sql("USE CATALOG stg")
spark.sql("CREATE TABLE {TABLE} (id INT, name STRING)")
spark.sql("ALTER TABLE {TABLE} SET TAGS ('owner' = 'sales')")
spark.newSession().sql("COMMENT ON COLUMN {TABLE}.id IS 'the key'")

# COMMAND ----------
# MAGIC %sql
# MAGIC ALTER TABLE {TABLE} ALTER COLUMN name SET TAGS ('pii' = 'yes');
# MAGIC SHOW GRANTS ON TABLE {TABLE};
# MAGIC DESCRIBE TABLE EXTENDED {TABLE} AS JSON

# COMMAND ----------
import json
described = json.loads(_sqldf.collect()[0][0])

def refused(statement):
    try:
        spark.sql(statement)
    except AnalysisException as exc:
        return [exc.getCondition(), exc.getSqlState(), str(exc)]

found = {{
    "comment": described["columns"][0]["comment"],
    "detail": SparkSession.getActiveSession().sql("DESCRIBE DETAIL {TABLE}").select("name").collect()[0][0],
    "empty": spark.sql("ALTER TABLE {TABLE} UNSET TAGS ('nothing')").columns,
    "plain": spark.sql("SELECT :a + {{b}} AS x", args={{"a": 1}}, b=2).collect()[0][0],
    "materialized": refused("CREATE MATERIALIZED VIEW stg.notebook_sql.m AS SELECT 1"),
    "tags": refused("ALTER TABLE {TABLE} ALTER COLUMN nothing SET TAGS ('a' = 'b')"),
}}
dbutils.notebook.exit(json.dumps(found))
"""


def test_notebooks_run_what_the_endpoint_runs(workspace: EmbeddedWorkspace, spark: SparkSession) -> None:
    spark.sql("CREATE SCHEMA stg.notebook_sql")
    file = workspace.state_dir / "Workspace" / "notebooks" / "emulated_sql.py"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(NOTEBOOK)
    found = json.loads(submit_notebook(workspace.client(DEVELOPER), "emulated_sql", {}))
    assert found["comment"] == "the key"
    assert found["detail"] == TABLE
    assert found["empty"] == []
    assert found["plain"] == 3
    condition, state, message = found["materialized"]
    assert (condition, state) == ("UNSUPPORTED_FEATURE", "0A000")
    assert "materialized views" in message
    assert found["tags"][0] == "UNRESOLVED_COLUMN"
    tags = spark.sql("SELECT tag_name FROM stg.information_schema.column_tags WHERE schema_name = 'notebook_sql'")
    assert [row[0] for row in tags.collect()] == ["pii"]
    spark.sql("DROP SCHEMA stg.notebook_sql CASCADE")
