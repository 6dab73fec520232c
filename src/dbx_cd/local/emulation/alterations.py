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


def drop_constraint(statement: Statement) -> Answer:
    """A key is dropped here; anything else is a CHECK, which Delta drops."""
    constraint = statement.identifier("key")
    if statement.bridge.call("dropConstraint", statement.parts("name"), constraint, _cascades(statement)):
        return pa.table({})
    return f"ALTER TABLE {statement['name']} DROP CONSTRAINT{statement['exists']} {quote(constraint)}"


def drop_primary_key(statement: Statement) -> Answer:
    """DROP PRIMARY KEY; CASCADE drops the foreign keys that refer to it."""
    dropped = statement.bridge.call("dropPrimaryKey", statement.parts("name"), _cascades(statement))
    return _dropped(statement, "primary key", dropped=dropped)


def drop_foreign_key(statement: Statement) -> Answer:
    """DROP FOREIGN KEY (columns)."""
    dropped = statement.bridge.call("dropForeignKey", statement.parts("name"), statement.parts("columns"))
    return _dropped(statement, "foreign key over these columns", dropped=dropped)


def _cascades(statement: Statement) -> bool:
    return statement["behavior"].lower() == "cascade"


def _dropped(statement: Statement, kind: str, *, dropped: bool) -> Answer:
    if not dropped and not statement["exists"]:
        raise StatementFailed(f"[CONSTRAINT_DOES_NOT_EXIST] {statement['name']} has no {kind}")
    return pa.table({})


def set_not_null(statement: Statement) -> Answer:
    """SET NOT NULL of a column without nulls."""
    statement.bridge.call("setNotNull", statement.parts("name"), statement.identifier("column"))
    return pa.table({})


def undrop(_statement: Statement) -> Answer:
    """UNDROP is refused by name."""
    raise StatementFailed(
        "[UNSUPPORTED_FEATURE] UNDROP: open-source Delta deletes the files of a dropped managed table at once",
        next_step="build the table again",
    )
