"""CREATE TABLE ... SHALLOW CLONE: a table of its own type, which another clone can replace."""

from __future__ import annotations

import re

import pyarrow as pa
from pyspark.sql import DataFrame

from dbx_cd.local.emulation.matched_statement import Statement
from dbx_cd.local.emulation.needs import SCHEMA_OF_NAME, Condition, Need
from dbx_cd.local.emulation.sql_text import NAME, NAMED, STRING
from dbx_cd.local.emulation.statement import Answer, Emulated, emulated

_TESTS = "tests/spark/local/test_shallow_clones.py"
_LOCATION = re.compile(rf"\blocation\s+({STRING})\s*\Z", re.IGNORECASE)


def shallow_clone(statement: Statement) -> Answer:
    """Clone a table; the answer is what Delta reports about it."""
    name = statement.parts("name")
    if statement["exists"] and statement.bridge.call("isTable", name):
        return pa.table({})
    rest = statement["rest"]
    location = _LOCATION.search(rest)
    report = statement.bridge.call(
        "shallowClone",
        " ".join(statement["verb"].lower().split()),
        name,
        statement.parts("source"),
        rest[: location.start()] if location else rest,
        statement.bridge.unquote(location[1]) if location else None,
    )
    return DataFrame(report, statement.spark).toArrow()


def _replaces(statement: Statement) -> bool:
    return "replace" in statement["verb"].lower() and bool(statement.bridge.call("isTable", statement.parts("name")))


CLONING = (
    Need("SELECT", "TABLE", "source"),
    Need("CREATE TABLE", "SCHEMA", SCHEMA_OF_NAME),
    Need("MANAGE", "TABLE", where=Condition("if it is replaced", _replaces)),
)
"""What clones need, of either kind."""

STATEMENTS: tuple[Emulated, ...] = (
    emulated(
        rf"(?P<verb>create(?: or replace)?|replace) table(?P<exists> if not exists)? {NAMED} shallow clone "
        rf"(?P<source>{NAME})(?P<rest>.*)",
        shallow_clone,
        "Delta clones in two commits, into empty tables only, and no catalog knows that it is a clone",
        statement="CREATE [OR REPLACE] TABLE [IF NOT EXISTS] name SHALLOW CLONE source [VERSION AS OF version]",
        does="makes a MANAGED_SHALLOW_CLONE in one commit; a clone that replaces a clone keeps its history",
        tests=(
            f"{_TESTS}::test_a_clone_is_a_table_of_its_own_type_made_in_one_commit",
            f"{_TESTS}::test_a_clone_replaced_by_a_clone_keeps_its_history",
        ),
        needs=CLONING,
        only_with=r"\bshallow clone\b",
    ),
)
