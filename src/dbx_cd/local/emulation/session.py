"""Emulated changes of the session."""

from __future__ import annotations

from dbx_cd.local.emulation.catalogs import require_catalog
from dbx_cd.local.emulation.matched_statement import Statement
from dbx_cd.local.emulation.needs import Need, Objects
from dbx_cd.local.emulation.sql_text import IDENTIFIER, STRING
from dbx_cd.local.emulation.statement import Answer, Emulated, emulated
from dbx_cd.relations import quote

_TESTS = "tests/spark/local/test_emulation.py"


def use_catalog(statement: Statement) -> Answer:
    """USE CATALOG, by name or by string literal."""
    name = _catalog(statement)
    require_catalog(statement, name)
    return f"SET CATALOG {quote(name)}"


def _catalog(statement: Statement) -> str:
    literal = statement["name"][0] in "'\""
    name = statement.bridge.unquote(statement["name"]) if literal else statement.identifier("name")
    return name.lower()


STATEMENTS: tuple[Emulated, ...] = (
    emulated(
        rf"use catalog (?P<name>{IDENTIFIER}|{STRING})",
        use_catalog,
        "Spark says SET CATALOG",
        statement="USE CATALOG name",
        does="changes the session's current catalog; the name may be a string",
        tests=(f"{_TESTS}::test_use_catalog_changes_how_names_resolve",),
        needs=(Need("USE CATALOG", "CATALOG", Objects("`name`", lambda statement: [[_catalog(statement)]])),),
    ),
)
