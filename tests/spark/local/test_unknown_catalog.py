"""A name in a catalog that does not exist is refused for that reason, wherever it stands in a statement."""

from __future__ import annotations

import pytest
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from dbx_cd.local.emulation import emulate

STATEMENTS = (
    "SELECT * FROM nobody.s.t",
    "SELECT 1 WHERE EXISTS (SELECT * FROM nobody.s.t)",
    "WITH a AS (SELECT * FROM nobody.s.t) SELECT * FROM a",
    "SELECT * FROM nobody.information_schema.tables",
    "SELECT * FROM IDENTIFIER('nobody.s.t')",
    "CREATE TABLE nobody.s.t (a INT)",
    "CREATE OR REPLACE VIEW nobody.s.v AS SELECT 1 AS a",
    "CREATE OR REPLACE TABLE prod.default.unknown_catalog AS SELECT * FROM nobody.s.t",
    "CREATE SCHEMA IF NOT EXISTS nobody.s",
    "DROP TABLE IF EXISTS nobody.s.t",
    "DROP SCHEMA IF EXISTS nobody.s",
    "INSERT INTO nobody.s.t VALUES (1)",
    "DELETE FROM nobody.s.t",
    "MERGE INTO nobody.s.t AS t USING nobody.s.u AS u ON t.a = u.a WHEN MATCHED THEN DELETE",
    "OPTIMIZE nobody.s.t",
    "DESCRIBE HISTORY nobody.s.t",
    "DESCRIBE TABLE EXTENDED nobody.s.t AS JSON",
    "ALTER TABLE nobody.s.t SET TAGS ('a' = 'b')",
    "SHOW SCHEMAS IN nobody",
    "SHOW TABLES IN nobody.s",
    "USE nobody.s",
    "USE CATALOG nobody",
)


@pytest.fixture(params=["spark_catalog", "prod"])
def session(request: pytest.FixtureRequest, spark: SparkSession) -> SparkSession:
    """A session whose current catalog is Spark's own, or one of the workspace's."""
    own = spark.newSession()
    own.sql(f"USE {request.param}.default")
    return own


def run(session: SparkSession, statement: str) -> None:
    """Run a statement as the endpoint does."""
    answer = emulate(session, statement)
    if isinstance(answer, str):
        session.sql(answer)


def test_every_statement_names_the_catalog_and_what_to_do(session: SparkSession) -> None:
    for statement in STATEMENTS:
        with pytest.raises(Exception, match=r"\[CATALOG_NOT_FOUND\] The catalog `nobody` does not exist") as caught:
            run(session, statement)
        assert "Next: correct the name, or start the workspace with --catalog nobody" in str(caught.value), statement
    with pytest.raises(PySparkException, match="CATALOG_NOT_FOUND") as failed:
        session.table("nobody.s.t")
    assert failed.value.getSqlState() == "42P08"


def test_names_that_are_no_catalog_s_are_what_they_were(session: SparkSession) -> None:
    assert session.sql("SELECT 1 AS a").createOrReplaceTempView("own") is None
    assert session.sql("SELECT own.a FROM own").count() == 1
    with pytest.raises(PySparkException, match="TABLE_OR_VIEW_NOT_FOUND"):
        session.sql("SELECT * FROM default.nothing")
    with pytest.raises(PySparkException, match="TABLE_OR_VIEW_NOT_FOUND"):
        session.sql("SELECT * FROM prod.default.nothing")
