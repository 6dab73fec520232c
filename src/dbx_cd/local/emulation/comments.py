"""COMMENT ON for columns and for views."""

from __future__ import annotations

import pyarrow as pa

from dbx_cd.local.emulation.statement import Answer, Statement


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
