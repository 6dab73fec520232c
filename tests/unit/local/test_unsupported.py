"""Statements that open-source Spark cannot do are refused with one sentence, and others are let through."""

from __future__ import annotations

import pytest

from dbx_cd.local.emulation.catalog_bridge import StatementFailed
from dbx_cd.local.emulation.unsupported import UNSUPPORTED, refuse_unsupported

REFUSED = {
    "materialized views": [
        "CREATE OR REPLACE MATERIALIZED VIEW stg.shop.m AS SELECT 1",
        "/* from dbt */ create  materialized\nview if not exists m as select 1",
        "REFRESH MATERIALIZED VIEW m",
        "DROP MATERIALIZED VIEW IF EXISTS m",
    ],
    "streaming tables": [
        "CREATE OR REFRESH STREAMING TABLE s AS SELECT * FROM STREAM t",
        "CREATE STREAMING TABLE s",
        "REFRESH STREAMING TABLE s",
    ],
    "metric views": ["CREATE OR REPLACE VIEW a.b.v (x) WITH METRICS LANGUAGE YAML AS $$ version: 1 $$"],
    "flows of pipelines": ["CREATE FLOW f AS AUTO CDC INTO t FROM s", "APPLY CHANGES INTO t FROM s"],
    "connections": ["CREATE CONNECTION c TYPE postgresql OPTIONS (host 'h')", "SHOW CONNECTIONS", "DROP CONNECTION c"],
    "servers": ["CREATE SERVER s TYPE mysql"],
    "foreign catalogs": ["CREATE FOREIGN CATALOG f USING CONNECTION c"],
    "external locations": [
        "CREATE EXTERNAL LOCATION l URL 's3://x' WITH (STORAGE CREDENTIAL c)",
        "SHOW EXTERNAL LOCATIONS",
    ],
    "storage and service credentials": ["CREATE STORAGE CREDENTIAL c", "SHOW CREDENTIALS"],
    "shares, recipients and providers": ["CREATE SHARE s", "ALTER SHARE s ADD TABLE t", "CREATE RECIPIENT r"],
    "governed tags": ["CREATE GOVERNED TAG cost VALUES ('true')", "DROP GOVERNED TAG cost", "SHOW GOVERNED TAGS"],
    "clean rooms": ["SHOW CLEAN ROOMS"],
    "row filters": [
        "ALTER TABLE a.b.t SET ROW FILTER a.b.f ON (region)",
        "CREATE OR REPLACE TABLE t (id INT) WITH ROW FILTER f ON (id)",
    ],
    "column masks": [
        "ALTER TABLE t ALTER COLUMN mail SET MASK f",
        "ALTER TABLE t ALTER COLUMN mail DROP MASK",
        "CREATE TABLE t (mail STRING MASK a.b.f, id INT)",
    ],
    "policies": ["CREATE POLICY p ON TABLE t ROW FILTER f TO x"],
    "UNDROP": ["UNDROP TABLE stg.shop.t"],
    "SHOW TABLES DROPPED": ["SHOW TABLES DROPPED IN stg.shop"],
    "functions in Python": [
        "CREATE OR REPLACE FUNCTION a.b.f (x INT) RETURNS INT LANGUAGE PYTHON AS $$ return x $$",
    ],
    "procedures": ["CREATE OR REPLACE PROCEDURE p () LANGUAGE SQL AS BEGIN SELECT 1; END"],
    "BEGIN ATOMIC": ["BEGIN ATOMIC INSERT INTO a VALUES (1); END"],
    "COPY INTO": ["COPY INTO t FROM '/x' FILEFORMAT = CSV"],
    "FSCK REPAIR TABLE": ["FSCK REPAIR TABLE t"],
    "Bloom filter indexes": ["CREATE BLOOMFILTER INDEX ON TABLE t FOR COLUMNS (c)"],
    "predictive optimization": ["ALTER SCHEMA stg.shop ENABLE PREDICTIVE OPTIMIZATION"],
}
AI_CALLS = ["SELECT ai_query('model', text) FROM t", "CREATE TABLE t AS SELECT AI_GEN (x) AS y FROM s"]

LET_THROUGH = [
    "SELECT 'ai_query(' AS text  -- ai_gen(",
    "SELECT own.schema.ai_query(1)",
    "CREATE TABLE t AS SELECT 'create materialized view' AS text",
    "CREATE TABLE materialized (view STRING)",
    "CREATE TABLE t (mask STRING, row STRING COMMENT 'mask f, with row filter')",
    "CREATE VIEW v COMMENT 'with metrics' AS SELECT 1",
    "CREATE FUNCTION f() RETURNS STRING RETURN 'language python'",
    "ALTER TABLE t ALTER COLUMN mask SET NOT NULL",
    "BEGIN SELECT 1; END",
    "SHOW TABLES IN dropped",
    "REFRESH TABLE t",
    "DROP TABLE share",
]


def test_every_feature_of_the_table_has_an_example_here() -> None:
    assert [entry.feature for entry in UNSUPPORTED] == list(REFUSED)


@pytest.mark.parametrize(("feature", "sql"), [(feature, sql) for feature, sqls in REFUSED.items() for sql in sqls])
def test_what_cannot_be_done_is_refused_by_name(feature: str, sql: str) -> None:
    with pytest.raises(StatementFailed, match=rf"^\[UNSUPPORTED_FEATURE\] .*does not support {feature}: ") as refused:
        refuse_unsupported(sql)
    assert refused.value.getSqlState() == "0A000"
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("sql", AI_CALLS)
def test_functions_that_call_a_service_are_refused_by_name(sql: str) -> None:
    with pytest.raises(StatementFailed, match=r"does not support the function ai_\w+: ") as refused:
        refuse_unsupported(sql)
    assert refused.value.getSqlState() == "0A000"


@pytest.mark.parametrize("sql", LET_THROUGH)
def test_what_only_looks_like_it_is_let_through(sql: str) -> None:
    refuse_unsupported(sql)
