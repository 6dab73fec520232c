"""COMMENT ON for columns and for views."""

from __future__ import annotations

import pyarrow as pa

from dbx_cd.local.emulation.matched_statement import Statement
from dbx_cd.local.emulation.needs import OF_TABLE, OF_VIEW, OWNERSHIP, Need
from dbx_cd.local.emulation.sql_text import COLUMN, NAMED, TEXT
from dbx_cd.local.emulation.statement import Answer, Emulated, emulated

_TESTS = ("tests/spark/local/test_emulation.py::test_comments_on_columns_of_tables_and_views",)


def on_column(statement: Statement) -> Answer:
    """COMMENT ON COLUMN: tables have ALTER TABLE for it, views are changed in the catalog."""
    name = statement.parts("name")
    if statement.bridge.call("isView", name):
        statement.bridge.call("commentOnViewColumn", name, statement.identifier("column"), _text(statement))
        return pa.table({})
    literal = "''" if statement["text"].upper() == "NULL" else statement["text"]
    return f"ALTER TABLE {statement['name']} ALTER COLUMN {statement['column']} COMMENT {literal}"


def on_view(statement: Statement) -> Answer:
    """COMMENT ON VIEW."""
    statement.bridge.call("commentOnView", statement.parts("name"), _text(statement))
    return pa.table({})


def on_table(statement: Statement) -> Answer:
    """COMMENT ON TABLE of a view is the same as COMMENT ON VIEW; of a table it goes to Spark."""
    if statement.bridge.call("isView", statement.parts("name")):
        return on_view(statement)
    return f"COMMENT ON TABLE {statement['name']} IS {statement['text']}"


def _text(statement: Statement) -> str:
    return "" if statement["text"].upper() == "NULL" else statement.bridge.unquote(statement["text"])


_EITHER = (Need("MODIFY", "TABLE", where=OF_TABLE), Need(OWNERSHIP, "TABLE", where=OF_VIEW))

STATEMENTS: tuple[Emulated, ...] = (
    emulated(
        rf"comment on column {NAMED}\s*\.\s*{COLUMN} is {TEXT}",
        on_column,
        "Spark has ALTER TABLE ... COMMENT for tables, and nothing for views",
        statement="COMMENT ON COLUMN relation.column IS { text | NULL }",
        does="sets the comment of a column of a table or view",
        tests=_TESTS,
        needs=_EITHER,
    ),
    emulated(
        rf"comment on view {NAMED} is {TEXT}",
        on_view,
        "Spark comments on tables only",
        statement="COMMENT ON VIEW name IS { text | NULL }",
        does="sets the comment of a view",
        tests=_TESTS,
        needs=(Need(OWNERSHIP, "TABLE"),),
    ),
    emulated(
        rf"comment on table {NAMED} is {TEXT}",
        on_table,
        "on Databricks it works for views too",
        statement="COMMENT ON TABLE name IS { text | NULL }",
        does="sets the comment of a table or view",
        tests=_TESTS,
        needs=_EITHER,
    ),
)
