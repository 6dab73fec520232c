"""Catalogs made and dropped while the workspace runs."""

from __future__ import annotations

import re

import pyarrow as pa

from dbx_cd.local.emulation.catalog_bridge import StatementFailed
from dbx_cd.local.emulation.matched_statement import Statement
from dbx_cd.local.emulation.needs import Need
from dbx_cd.local.emulation.sql_text import IDENTIFIER, STRING
from dbx_cd.local.emulation.statement import Answer, Emulated, emulated, text_table

_JAVA = "CatalogStatements"
_TESTS = "tests/spark/local/test_new_catalogs.py"
_NAME = rf"(?P<name>{IDENTIFIER})"
_OWN = ("system", "spark_catalog", "hive_metastore", "samples")


def create(statement: Statement) -> Answer:
    """CREATE CATALOG: offered to all sessions at once, and again after a restart."""
    name = statement.identifier("name").lower()
    if name in _names(statement):
        if statement["exists"]:
            return pa.table({})
        raise StatementFailed(
            f"[CATALOG_ALREADY_EXISTS] Cannot create catalog `{name}` because it already exists", sql_state="42710"
        )
    if name in _OWN or not re.fullmatch(r"[^\s./,]+", name):
        raise StatementFailed(f"[INVALID_IDENTIFIER] {name!r} cannot be the name of a catalog", sql_state="42602")
    comment = statement.bridge.unquote(statement["comment"]) if statement["comment"] else None
    statement.bridge.call("create", name, comment, of=_JAVA)
    return pa.table({})


def drop(statement: Statement) -> Answer:
    """DROP CATALOG, with all that is in it where CASCADE says so."""
    name = statement.identifier("name").lower()
    if name == "system":
        raise StatementFailed("[INVALID_PARAMETER_VALUE] the catalog `system` cannot be dropped", sql_state="22023")
    if name not in _names(statement):
        if statement["exists"]:
            return pa.table({})
        require_catalog(statement, name)
    in_use = list(statement.bridge.call("schemasInUse", name, of=_JAVA))
    if in_use and statement["behavior"].lower() != "cascade":
        raise StatementFailed(
            f"[CATALOG_NOT_EMPTY] The catalog `{name}` is not empty, it has the schemas {', '.join(in_use)}",
            next_step="add CASCADE to drop them with it",
            sql_state="2BP01",
        )
    statement.bridge.call("drop", name, of=_JAVA)
    return pa.table({})


def describe(statement: Statement) -> Answer:
    """DESCRIBE CATALOG, in the rows that the Databricks SQL reference shows."""
    name = statement.identifier("name").lower()
    require_catalog(statement, name)
    comment = statement.bridge.call("comment", name, of=_JAVA)
    owner = statement.bridge.call("owner", name, of=_JAVA)
    rows: list[list[str | None]] = [["Catalog Name", name], ["Comment", comment or ""], ["Owner", owner]]
    return text_table(("info_name", "info_value"), rows)


def require_catalog(statement: Statement, name: str) -> None:
    """Check that there is such a catalog.

    Raises:
        AnalysisException: there is none.
    """
    statement.bridge.call("require", name, of="UnknownCatalog")


def _names(statement: Statement) -> list[str]:
    return list(statement.bridge.call("names", of=_JAVA))


STATEMENTS: tuple[Emulated, ...] = (
    emulated(
        rf"create catalog(?P<exists> if not exists)? {_NAME}(?: managed location {STRING})?"
        rf"(?: comment (?P<comment>{STRING}))?(?: managed location {STRING})?",
        create,
        "Spark has the catalogs of its configuration",
        statement="CREATE CATALOG [IF NOT EXISTS] name [COMMENT text]",
        does="creates a catalog with the schema default, in all sessions and after a restart",
        lacks="MANAGED LOCATION is read over: all files lie in the state directory",
        tests=(
            f"{_TESTS}::test_a_created_catalog_is_there_for_all_sessions",
            "tests/spark/local/test_catalog_restart.py::test_functions_and_catalogs_survive_a_restart",
        ),
        needs=(Need("CREATE CATALOG", "METASTORE"),),
        only_with=r"\bcreate catalog\b",
    ),
    emulated(
        rf"drop catalog(?P<exists> if exists)? {_NAME}(?: (?P<behavior>cascade|restrict))?",
        drop,
        "Spark has the catalogs of its configuration",
        statement="DROP CATALOG [IF EXISTS] name [RESTRICT | CASCADE]",
        does="drops a catalog; without CASCADE only where it has no schema but an empty default",
        lacks="a catalog that the profile names is there again, empty, after a restart",
        tests=(f"{_TESTS}::test_dropping_a_catalog_takes_cascade_where_it_is_in_use",),
        needs=(Need("MANAGE", "CATALOG"),),
    ),
    emulated(
        rf"desc(?:ribe)? catalog (?:extended )?{_NAME}",
        describe,
        "Spark has no DESCRIBE CATALOG",
        statement="DESCRIBE CATALOG [EXTENDED] name",
        does="shows name, comment and owner",
        lacks="EXTENDED shows no more",
        tests=(f"{_TESTS}::test_a_created_catalog_is_there_for_all_sessions",),
        needs=(Need("USE CATALOG", "CATALOG", seeing=True),),
    ),
)
