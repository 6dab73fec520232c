"""DESCRIBE HISTORY and DESCRIBE DETAIL as a relation: `SELECT max(version) FROM (DESCRIBE HISTORY t)`.

Databricks takes them wherever a subquery may stand (documentation, "Work with table history"); Spark's parser does not.
"""

from __future__ import annotations

import re

from pyspark.sql import (
    SparkSession,
    functions as F,  # noqa: N812
)

from dbx_cd.local.emulation.catalog_bridge import CatalogBridge
from dbx_cd.local.emulation.needs import Need, require
from dbx_cd.local.emulation.sql_text import NAME, STRING, split_name
from dbx_cd.relations import string_literal

_MENTIONED = re.compile(r"\(\s*desc(?:ribe)?\s+(?:history|detail)\b", re.IGNORECASE)
_PATH = r"delta\s*\.\s*`[^`]+`"
_TABLE = rf"(?:{_PATH}|{NAME}|{STRING})"
_RELATION = re.compile(
    rf"({STRING}|`(?:[^`]|``)*`|/\*.*?\*/|--[^\n]*)"
    rf"|\(\s*(?P<described>desc(?:ribe)?\s+(?:history\s+(?P<history>{_TABLE})(?:\s+limit\s+\d+)?"
    rf"|detail\s+(?P<detail>{_TABLE})))\s*\)",
    re.IGNORECASE | re.DOTALL,
)


def with_described_relations(spark: SparkSession, sql: str) -> str:
    """The statement with each `(DESCRIBE HISTORY t)` and `(DESCRIBE DETAIL t)` replaced by the rows that it has now.

    Args:
        spark: the session that the statement runs in.
        sql: one statement, as the client sent it.

    Raises:
        AnalysisException: the session's user may not read such a table.
    """
    if not _MENTIONED.search(sql):
        return sql
    return _RELATION.sub(lambda found: found[1] or _rows_of(spark, found), sql)


def _rows_of(spark: SparkSession, found: re.Match[str]) -> str:
    """A subquery with the rows of a statement written into it: it leaves no temporary view behind."""
    table = found["history"] or found["detail"]
    if table[0] not in "'\"":
        require(CatalogBridge(spark), Need("SELECT", "TABLE", seeing=True), split_name(table))
    described = spark.sql(found["described"])
    row = F.struct(*[F.col(f"`{name}`") for name in described.columns])
    document = described.agg(F.to_json(F.collect_list(row))).collect()[0][0]
    row_type = described.schema.simpleString()
    return f"(SELECT inline(from_json({string_literal(document)}, 'array<{row_type}>')))"
