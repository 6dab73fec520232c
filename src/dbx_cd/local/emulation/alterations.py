"""Emulated changes of the session and of tables: current catalog, keys and constraints."""

from __future__ import annotations

import pyarrow as pa

from dbx_cd.local.emulation.catalog_bridge import StatementFailed
from dbx_cd.local.emulation.statement import Answer, Statement
from dbx_cd.relations import quote


def use_catalog(statement: Statement) -> Answer:
    """USE CATALOG, by name or by string literal."""
    literal = statement["name"][0] in "'\""
    name = statement.bridge.unquote(statement["name"]) if literal else statement.identifier("name")
    return f"SET CATALOG {quote(name.lower())}"


def reference_primary_key(statement: Statement) -> Answer:
    """A foreign key that names no columns of its parent means the parent's primary key."""
    columns = statement.bridge.call("primaryKey", statement.parts("parent"))
    if not columns:
        raise StatementFailed(f"[CONSTRAINT_DOES_NOT_EXIST] {statement['parent']} has no primary key to refer to")
    parent_columns = ", ".join(quote(column) for column in columns)
    return f"{statement['before']} {statement['parent']} ({parent_columns}){statement['options']}"


def drop_constraint(statement: Statement) -> Answer:
    """A key is dropped here; anything else is a CHECK, which Delta drops."""
    constraint = statement.identifier("key")
    if statement.bridge.call("dropConstraint", statement.parts("name"), constraint):
        return pa.table({})
    return f"ALTER TABLE {statement['name']} DROP CONSTRAINT{statement['exists']} {quote(constraint)}"


def drop_primary_key(statement: Statement) -> Answer:
    """DROP PRIMARY KEY."""
    dropped = statement.bridge.call("dropPrimaryKey", statement.parts("name"))
    return _dropped(statement, "primary key", dropped=dropped)


def drop_foreign_key(statement: Statement) -> Answer:
    """DROP FOREIGN KEY (columns)."""
    dropped = statement.bridge.call("dropForeignKey", statement.parts("name"), statement.parts("columns"))
    return _dropped(statement, "foreign key over these columns", dropped=dropped)


def _dropped(statement: Statement, kind: str, *, dropped: bool) -> Answer:
    if not dropped and not statement["exists"]:
        raise StatementFailed(f"[CONSTRAINT_DOES_NOT_EXIST] {statement['name']} has no {kind}")
    return pa.table({})


def not_null(statement: Statement) -> Answer:
    """SET NOT NULL becomes a CHECK, which Delta verifies and enforces; the catalog shows it as not nullable."""
    table, column = statement["name"], statement.identifier("column")
    constraint = f"__nn_{column.lower()}"
    if statement["verb"].lower() == "set":
        return f"ALTER TABLE {table} ADD CONSTRAINT {quote(constraint)} CHECK ({quote(column)} IS NOT NULL)"
    properties = {row["key"] for row in statement.spark.sql(f"SHOW TBLPROPERTIES {table}").collect()}
    if f"delta.constraints.{constraint}" in properties:
        return f"ALTER TABLE {table} DROP CONSTRAINT {quote(constraint)}"
    return f"ALTER TABLE {table} ALTER COLUMN {quote(column)} DROP NOT NULL"


def undrop(_statement: Statement) -> Answer:
    """UNDROP is refused by name."""
    raise StatementFailed(
        "[UNSUPPORTED_FEATURE] UNDROP: open-source Delta deletes the files of a dropped managed table at once",
        next_step="build the table again",
    )
