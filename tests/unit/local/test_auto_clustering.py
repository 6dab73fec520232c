"""CLUSTER BY AUTO in CREATE TABLE becomes a property; text that only looks like the clause stays."""

from __future__ import annotations

from typing import cast

import pytest
from pyspark.sql import SparkSession

from dbx_cd.local.emulation import emulate

PROPERTY = "'clusterByAuto' = 'true'"
CASES = {
    "CREATE TABLE t (id INT) CLUSTER BY AUTO": f"CREATE TABLE t (id INT)  TBLPROPERTIES ({PROPERTY}) ",
    "create table t tblproperties ('a' = 'b') cluster by auto as select 1": (
        f"create table t tblproperties ({PROPERTY}, 'a' = 'b')   as select 1"
    ),
    "create table t cluster by auto tblproperties ('a' = 'b') as (select 1)": (
        f"create table t   tblproperties ({PROPERTY}, 'a' = 'b') as (select 1)"
    ),
    "create table t cluster by auto as select 'cluster by auto' x from y cluster by auto": (
        f"create table t  TBLPROPERTIES ({PROPERTY})  as select 'cluster by auto' x from y cluster by auto"
    ),
    "create table t comment 'cluster by auto' as select 1": "create table t comment 'cluster by auto' as select 1",
    "create table t as select * from y cluster by auto": "create table t as select * from y cluster by auto",
}


@pytest.mark.parametrize("sql", CASES)
def test_the_clause_becomes_the_property_that_dbt_reads(sql: str) -> None:
    assert emulate(cast("SparkSession", None), sql) == CASES[sql]
