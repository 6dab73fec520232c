"""Emulated ways of writing a table."""

from __future__ import annotations

import re

import pyarrow as pa

from dbx_cd.local.emulation.alterations import AUTO_CLUSTERING
from dbx_cd.local.emulation.catalog_bridge import StatementFailed
from dbx_cd.local.emulation.sql_text import IDENTIFIER, NAMED, STRING, split_name
from dbx_cd.local.emulation.statement import Answer, Emulated, Statement, emulated

_TESTS = "tests/spark/local/test_emulation.py"
_EQUAL_KEYS = re.compile(rf"\s*\w+\s*\.\s*({IDENTIFIER})\s*<=>\s*\w+\s*\.\s*({IDENTIFIER})\s*")
_AUTO_CLUSTERING = re.compile(rf"({STRING}|`(?:[^`]|``)*`)|\bcluster\s+by\s+auto\b", re.IGNORECASE | re.DOTALL)
_OVERWRITE_MODE = "spark.sql.sources.partitionOverwriteMode"


def replace_on(statement: Statement) -> Answer:
    """INSERT ... REPLACE ON exactly the partition columns is a dynamic partition overwrite; others are refused."""
    keys = _equal_keys(statement["on"])
    detail = statement.spark.sql(f"DESCRIBE DETAIL {statement['name']}").collect()[0]
    partitions = detail["partitionColumns"]
    if keys is None or keys != {column.lower() for column in partitions}:
        raise StatementFailed(
            f"[UNSUPPORTED_FEATURE] INSERT ... REPLACE ON ({statement['on'].strip()}) works here on exactly the "
            f"partition columns ({', '.join(partitions) or 'there are none'})",
            next_step="use the merge or replace_where strategy, or partition the table by these columns",
        )
    statement.spark.conf.set(_OVERWRITE_MODE, "DYNAMIC")
    try:
        statement.spark.sql(f"INSERT OVERWRITE {statement['name']} {statement['query']}")
    finally:
        statement.spark.conf.unset(_OVERWRITE_MODE)
    return pa.table({})


def _equal_keys(condition: str) -> set[str] | None:
    """The columns of `t.a <=> s.a AND t.b <=> s.b`; None for any other condition."""
    keys: set[str] = set()
    for term in re.split(r"\band\b", condition, flags=re.IGNORECASE):
        match = _EQUAL_KEYS.fullmatch(term)
        if match is None:
            return None
        left, right = (split_name(side)[0].lower() for side in match.groups())
        if left != right:
            return None
        keys.add(left)
    return keys


def create_without_auto_clustering(statement: Statement) -> Answer:
    """CREATE with CLUSTER BY AUTO: the same without the clause."""
    return _AUTO_CLUSTERING.sub(lambda found: found[1] or " ", statement.match[0])


def optimize(statement: Statement) -> Answer:
    """OPTIMIZE with its metrics as JSON text."""
    return statement.spark.sql(statement.match[0]).selectExpr("path", "to_json(metrics) AS metrics").toArrow()


STATEMENTS: tuple[Emulated, ...] = (
    emulated(
        rf"insert into (?:table )?{NAMED} (?:as )?(?P<alias>\w+) replace on\s*\((?P<on>.*?)\)\s*"
        r"\((?P<query>select .*)\) (?:as )?(?P<source>\w+)",
        replace_on,
        "Delta has REPLACE WHERE only",
        statement="INSERT INTO name AS t REPLACE ON (condition) (query) AS s",
        does="replaces the partitions that the query has rows of, where the condition compares the partition columns",
        lacks="any other condition is refused",
        tests=(f"{_TESTS}::test_replace_on_replaces_the_partitions_of_the_source",),
        only_with=r"\breplace on\b",
    ),
    emulated(
        r"create .*",
        create_without_auto_clustering,
        AUTO_CLUSTERING,
        statement="CREATE TABLE ... CLUSTER BY AUTO",
        does="creates the table without clustering",
        lacks="clusters nothing",
        tests=(f"{_TESTS}::test_auto_clustering_is_left_out",),
        only_with=r"\bcluster by auto\b",
    ),
    emulated(
        r"optimize .*",
        optimize,
        "PySpark's Arrow conversion refuses a null inside Delta's metrics",
        statement="OPTIMIZE name",
        does="is Delta's own; the metrics are JSON text",
        tests=(f"{_TESTS}::test_optimize_gives_its_metrics_as_json",),
    ),
)
