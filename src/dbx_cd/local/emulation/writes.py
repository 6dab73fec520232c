"""Emulated ways of writing a table."""

from __future__ import annotations

from dbx_cd.local.emulation.matched_statement import Statement
from dbx_cd.local.emulation.needs import Need, Objects
from dbx_cd.local.emulation.sql_text import NAME, STRING, split_name
from dbx_cd.local.emulation.statement import Answer, Emulated, emulated

_TESTS = "tests/spark/local/test_emulation.py"


def optimize(statement: Statement) -> Answer:
    """OPTIMIZE with its metrics as JSON text."""
    return statement.spark.sql(statement.match[0]).selectExpr("path", "to_json(metrics) AS metrics").toArrow()


def _table(statement: Statement) -> list[list[str]]:
    return [] if statement["name"][0] in "'\"" else [split_name(statement["name"])]


STATEMENTS: tuple[Emulated, ...] = (
    emulated(
        rf"optimize (?P<name>{NAME}|{STRING})(?: .*)?",
        optimize,
        "PySpark's Arrow conversion refuses a null inside Delta's metrics",
        statement="OPTIMIZE name",
        does="is Delta's own; the metrics are JSON text",
        tests=(f"{_TESTS}::test_optimize_gives_its_metrics_as_json",),
        needs=(Need("MODIFY", "TABLE", Objects("`name`, if it is not a path", _table)),),
    ),
)
