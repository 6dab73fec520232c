"""Emulated changes of tables: keys and constraints, clustering."""

from __future__ import annotations

import pyarrow as pa

from dbx_cd.local.emulation.catalog_bridge import StatementFailed
from dbx_cd.local.emulation.sql_text import COLUMN, IDENTIFIER, NAME, NAMED
from dbx_cd.local.emulation.statement import Answer, Emulated, Statement, emulated, nothing
from dbx_cd.relations import quote

_TESTS = "tests/spark/local/test_emulation.py"
_KEYS = (f"{_TESTS}::test_keys_are_described_and_dropped",)
_DROP_BEHAVIOR = r"(?: (?:cascade|restrict))?"
AUTO_CLUSTERING = "the service chooses clustering columns from the queries it sees; there is no such service here"


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


STATEMENTS: tuple[Emulated, ...] = (
    emulated(
        rf"(?P<before>alter table {NAMED} add (?:constraint {IDENTIFIER} )?foreign key\s*\([^)]*\)\s*references) "
        rf"(?P<parent>{NAME})(?P<options>(?: (?:not enforced|rely|norely))*)",
        reference_primary_key,
        "Spark 4.2's parser fails with a NullPointerException when the parent's columns are left out",
        statement="ALTER TABLE name ADD FOREIGN KEY (columns) REFERENCES parent",
        does="refers to the parent's primary key",
        tests=_KEYS,
    ),
    emulated(
        rf"alter table {NAMED} drop constraint(?P<exists> if exists)? (?P<key>{IDENTIFIER}){_DROP_BEHAVIOR}",
        drop_constraint,
        "Delta's parser takes the statement and knows CHECK constraints only, and no CASCADE",
        statement="ALTER TABLE name DROP CONSTRAINT [IF EXISTS] key [RESTRICT | CASCADE]",
        does="drops a primary key, a foreign key or a CHECK by its name",
        tests=_KEYS,
    ),
    emulated(
        rf"alter table {NAMED} drop primary key(?P<exists> if exists)?{_DROP_BEHAVIOR}",
        drop_primary_key,
        "Spark has no DROP PRIMARY KEY",
        statement="ALTER TABLE name DROP PRIMARY KEY [IF EXISTS] [RESTRICT | CASCADE]",
        does="drops the primary key",
        tests=_KEYS,
    ),
    emulated(
        rf"alter table {NAMED} drop foreign key(?P<exists> if exists)?\s*\((?P<columns>[^)]*)\){_DROP_BEHAVIOR}",
        drop_foreign_key,
        "Spark has no DROP FOREIGN KEY",
        statement="ALTER TABLE name DROP FOREIGN KEY [IF EXISTS] (columns)",
        does="drops the foreign keys over these columns",
        tests=_KEYS,
    ),
    emulated(
        rf"alter table {NAMED} (?:change|alter)(?: column)? {COLUMN} (?P<verb>set|drop) not null",
        not_null,
        "Delta cannot add NOT NULL to an existing column",
        statement="ALTER TABLE name ALTER COLUMN column { SET | DROP } NOT NULL",
        does="becomes a CHECK, which Delta verifies and enforces; the catalog shows the column as not nullable",
        lacks="the violation has the error class of a CHECK",
        tests=(f"{_TESTS}::test_set_not_null_is_enforced_and_shown",),
    ),
    emulated(
        rf"alter table {NAMED} cluster by auto",
        nothing,
        AUTO_CLUSTERING,
        statement="ALTER TABLE name CLUSTER BY AUTO",
        does="is accepted",
        lacks="clusters nothing",
        tests=(f"{_TESTS}::test_auto_clustering_is_left_out",),
    ),
)
