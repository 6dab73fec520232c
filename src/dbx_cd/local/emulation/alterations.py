"""Emulated changes of tables: keys and constraints."""

from __future__ import annotations

import pyarrow as pa

from dbx_cd.local.emulation.catalog_bridge import StatementFailed
from dbx_cd.local.emulation.matched_statement import Statement
from dbx_cd.local.emulation.needs import OWNERSHIP, Need, Objects
from dbx_cd.local.emulation.sql_text import COLUMN, IDENTIFIER, NAMED
from dbx_cd.local.emulation.statement import Answer, Emulated, emulated
from dbx_cd.relations import quote

_TESTS = "tests/spark/local/test_emulation.py"
_KEYS = (f"{_TESTS}::test_keys_are_described_and_dropped",)
_KEY_TESTS = "tests/spark/local/test_keys.py"
_DROP_BEHAVIOR = r"(?: (?P<behavior>cascade|restrict))?"


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


def _referring(statement: Statement) -> list[list[str]]:
    """The tables whose foreign keys go with the primary key."""
    if not _cascades(statement):
        return []
    key = statement.identifier("key") if "key" in statement.match.re.groupindex else None
    tables = statement.bridge.call("referringTables", statement.parts("name"), key, of="StatementRights")
    return [list(table) for table in tables]


_OWNER = Need(OWNERSHIP, "TABLE")
_OWNER_OF_REFERRING = Need(OWNERSHIP, "TABLE", Objects("of each foreign key that goes with CASCADE", _referring))

STATEMENTS: tuple[Emulated, ...] = (
    emulated(
        rf"alter table {NAMED} drop constraint(?P<exists> if exists)? (?P<key>{IDENTIFIER}){_DROP_BEHAVIOR}",
        drop_constraint,
        "Delta's parser takes the statement and knows CHECK constraints only, and no CASCADE",
        statement="ALTER TABLE name DROP CONSTRAINT [IF EXISTS] key [RESTRICT | CASCADE]",
        does="drops a primary key, a foreign key or a CHECK by its name",
        tests=_KEYS,
        needs=(_OWNER, _OWNER_OF_REFERRING),
    ),
    emulated(
        rf"alter table {NAMED} drop primary key(?P<exists> if exists)?{_DROP_BEHAVIOR}",
        drop_primary_key,
        "Spark has no DROP PRIMARY KEY",
        statement="ALTER TABLE name DROP PRIMARY KEY [IF EXISTS] [RESTRICT | CASCADE]",
        does="drops the primary key; CASCADE drops the foreign keys that refer to it, without it they refuse",
        tests=(f"{_KEY_TESTS}::test_a_primary_key_with_foreign_keys_is_dropped_by_cascade_only",),
        needs=(_OWNER, _OWNER_OF_REFERRING),
    ),
    emulated(
        rf"alter table {NAMED} drop foreign key(?P<exists> if exists)?\s*\((?P<columns>[^)]*)\)",
        drop_foreign_key,
        "Spark has no DROP FOREIGN KEY",
        statement="ALTER TABLE name DROP FOREIGN KEY [IF EXISTS] (columns)",
        does="drops the foreign keys over these columns",
        tests=_KEYS,
        needs=(_OWNER,),
    ),
    emulated(
        rf"alter table {NAMED} (?:change|alter)(?: column)? {COLUMN} set not null",
        set_not_null,
        "Delta cannot add NOT NULL to an existing column",
        statement="ALTER TABLE name ALTER COLUMN column SET NOT NULL",
        does="changes the column in the table's schema, which Delta enforces, if it has no nulls",
        tests=(f"{_KEY_TESTS}::test_set_not_null_is_of_the_column_and_leaves_no_property",),
        needs=(Need("MODIFY", "TABLE"), Need("SELECT", "TABLE")),
    ),
)
