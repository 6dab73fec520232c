"""Emulated ways of writing a table."""

from __future__ import annotations

from dbx_cd.local.emulation.statement import Answer, Emulated, Statement, emulated

_TESTS = "tests/spark/local/test_emulation.py"


def optimize(statement: Statement) -> Answer:
    """OPTIMIZE with its metrics as JSON text."""
    return statement.spark.sql(statement.match[0]).selectExpr("path", "to_json(metrics) AS metrics").toArrow()


STATEMENTS: tuple[Emulated, ...] = (
    emulated(
        r"optimize .*",
        optimize,
        "PySpark's Arrow conversion refuses a null inside Delta's metrics",
        statement="OPTIMIZE name",
        does="is Delta's own; the metrics are JSON text",
        tests=(f"{_TESTS}::test_optimize_gives_its_metrics_as_json",),
    ),
)
