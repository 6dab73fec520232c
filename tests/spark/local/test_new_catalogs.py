"""Catalogs that are made and dropped while the workspace runs."""

from __future__ import annotations

import pytest
from emulated_statements import runner
from pyspark.errors import AnalysisException
from pyspark.sql import SparkSession

from dbx_cd.errors import DbxCdError


def test_a_created_catalog_is_there_for_all_sessions(spark: SparkSession) -> None:
    run, open_before = runner(spark), runner(spark)
    open_before("SELECT 1")
    run("CREATE CATALOG New_One COMMENT 'it''s new'")
    try:
        run("CREATE CATALOG IF NOT EXISTS new_one")
        with pytest.raises(DbxCdError, match="CATALOG_ALREADY_EXISTS"):
            run("CREATE CATALOG new_one")
        run("CREATE TABLE new_one.default.t AS SELECT 1 AS id")
        for session in (open_before, runner(spark)):
            assert ("new_one",) in session("SHOW CATALOGS")
            session("USE CATALOG NEW_ONE")
            assert session("SELECT id FROM t") == [(1,)]
        assert ("Comment", "it's new") in run("DESCRIBE CATALOG new_one")
        assert run("SELECT table_name FROM system.information_schema.tables WHERE table_catalog = 'new_one'") == [
            ("t",)
        ]
    finally:
        run("DROP CATALOG new_one CASCADE")


def test_dropping_a_catalog_takes_cascade_where_it_is_in_use(spark: SparkSession) -> None:
    run = runner(spark)
    run("CREATE CATALOG short_lived")
    run("CREATE SCHEMA short_lived.s")
    run("CREATE VIEW short_lived.s.v AS SELECT 1 AS id")
    with pytest.raises(DbxCdError, match=r"not empty, it has the schemas s\b") as refused:
        run("DROP CATALOG short_lived")
    assert refused.value.getSqlState() == "2BP01"  # type: ignore[attr-defined]
    run("DROP CATALOG short_lived CASCADE")
    assert ("short_lived",) not in run("SHOW CATALOGS")
    for session in (run, runner(spark)):
        with pytest.raises(AnalysisException, match=r"NOT_FOUND|SINGLE_PART_NAMESPACE"):
            session("SELECT * FROM short_lived.s.v")
        with pytest.raises(AnalysisException, match="CATALOG_NOT_FOUND"):
            session("USE CATALOG short_lived")
    with pytest.raises(AnalysisException, match="CATALOG_NOT_FOUND"):
        run("DROP CATALOG short_lived")
    run("DROP CATALOG IF EXISTS short_lived")
    run("CREATE CATALOG short_lived")
    assert run("SHOW TABLES IN short_lived.default") == []
    run("DROP CATALOG short_lived")
