"""CLUSTER BY AUTO: nothing is clustered, and the property that says so is there, which dbt-databricks reads."""

from __future__ import annotations

import re

import pyarrow as pa

from dbx_cd.local.emulation.matched_statement import Statement
from dbx_cd.local.emulation.needs import OWNERSHIP, Need
from dbx_cd.local.emulation.sql_text import NAMED, STRING
from dbx_cd.local.emulation.statement import Answer, Emulated, emulated

_BECAUSE = "the service chooses clustering columns from the queries it sees; there is no such service here"

_PROPERTY = "'clusterByAuto' = 'true'"
_QUOTED = rf"{STRING}|`(?:[^`]|``)*`"
_CLAUSE = re.compile(rf"({_QUOTED})|\bcluster\s+by\s+auto\b", re.IGNORECASE | re.DOTALL)
_PROPERTIES = re.compile(rf"({_QUOTED})|\btblproperties\s*\(", re.IGNORECASE | re.DOTALL)
_QUERY = re.compile(rf"({_QUOTED})|\bas\s*\(?\s*(?:select|with|values|table|from)\b", re.IGNORECASE | re.DOTALL)


def create_with_auto_clustering(statement: Statement) -> Answer:
    """CREATE with CLUSTER BY AUTO: the property in place of the clause."""
    sql = statement.match[0]
    query = _first(_QUERY, sql)
    definition, rest = (sql[: query.start()], sql[query.start() :]) if query else (sql, "")
    clause = _first(_CLAUSE, definition)
    if clause is None:
        return sql
    before, after = definition[: clause.start()], definition[clause.end() :]
    if _first(_PROPERTIES, before + after) is None:
        return f"{before} TBLPROPERTIES ({_PROPERTY}) {after}{rest}"
    return _with_property(f"{before} {after}") + rest


def _with_property(definition: str) -> str:
    properties = _first(_PROPERTIES, definition)
    if properties is None:
        return definition
    return f"{definition[: properties.end()]}{_PROPERTY}, {definition[properties.end() :]}"


def _first(pattern: re.Pattern[str], sql: str) -> re.Match[str] | None:
    """The first match that is not a quoted text."""
    return next((match for match in pattern.finditer(sql) if match[1] is None), None)


def set_auto_clustering(statement: Statement) -> Answer:
    """ALTER TABLE ... CLUSTER BY AUTO."""
    return f"ALTER TABLE {statement['name']} SET TBLPROPERTIES ({_PROPERTY})"


def end_auto_clustering(statement: Statement) -> Answer:
    """ALTER TABLE ... CLUSTER BY (columns) or NONE: the property of the automatic one goes."""
    statement.spark.sql(statement.match[0])
    properties = {row["key"] for row in statement.spark.sql(f"SHOW TBLPROPERTIES {statement['name']}").collect()}
    if "clusterByAuto" not in properties:
        return pa.table({})
    return f"ALTER TABLE {statement['name']} UNSET TBLPROPERTIES ('clusterByAuto')"


_TESTS = (
    "tests/spark/local/test_shallow_clones.py::test_automatic_clustering_leaves_the_property_that_dbt_reads",
    "tests/unit/local/test_auto_clustering.py",
)
STATEMENTS: tuple[Emulated, ...] = (
    emulated(
        r"create .*\bcluster by auto\b.*",
        create_with_auto_clustering,
        _BECAUSE,
        statement="CREATE TABLE ... CLUSTER BY AUTO",
        does="creates the table with the property clusterByAuto",
        lacks="clusters nothing",
        tests=_TESTS,
        needs="those of the statement that it becomes",
        only_with=r"\bcluster by auto\b",
    ),
    emulated(
        rf"alter table {NAMED} cluster by auto",
        set_auto_clustering,
        _BECAUSE,
        statement="ALTER TABLE name CLUSTER BY AUTO",
        does="sets the property clusterByAuto",
        lacks="clusters nothing",
        tests=_TESTS,
        needs=(Need(OWNERSHIP, "TABLE"),),
    ),
    emulated(
        rf"alter table {NAMED} cluster by (?:none|\(.*\))",
        end_auto_clustering,
        "Spark leaves the property of the automatic clustering",
        statement="ALTER TABLE name CLUSTER BY { (columns) | NONE }",
        does="is Delta's own, and removes the property clusterByAuto",
        tests=_TESTS[:1],
        needs=(Need(OWNERSHIP, "TABLE"),),
    ),
)
