"""Emulated ways of writing a table."""

from __future__ import annotations

from dbx_cd.local.emulation.statement import Answer, Statement


def optimize(statement: Statement) -> Answer:
    """OPTIMIZE with its metrics as JSON text."""
    return statement.spark.sql(statement.match[0]).selectExpr("path", "to_json(metrics) AS metrics").toArrow()
