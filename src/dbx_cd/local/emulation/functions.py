"""Statements about functions; CREATE and DROP FUNCTION go to Spark, with names that its catalog finds them by."""

from __future__ import annotations

import fnmatch

from dbx_cd.local.emulation.matched_statement import Statement
from dbx_cd.local.emulation.needs import Condition, Need, seen
from dbx_cd.local.emulation.sql_text import NAME, NAMED, STRING
from dbx_cd.local.emulation.statement import Answer, Emulated, emulated, text_table
from dbx_cd.relations import quote, string_literal

_TESTS = "tests/spark/local/test_functions.py"
_STORED = Condition(
    "unless it is built in",
    lambda statement: statement.bridge.call("storedFunction", statement.parts("name")) is not None,
)


def show_functions(statement: Statement) -> Answer:
    """SHOW FUNCTIONS: Spark's own, and those of one schema by their three-level names."""
    kind = statement["kind"].lower() or "all"
    found: list[str] = []
    if kind != "user":
        found += [row[0] for row in statement.spark.sql("SHOW SYSTEM FUNCTIONS IN spark_catalog.default").collect()]
    if kind != "system":
        catalog, schema = statement.bridge.call("qualify", [*statement.parts("name"), "any"])[:2]
        rows = statement.spark.sql(
            "SELECT routine_name FROM system.information_schema.routines "
            f"WHERE routine_catalog = {string_literal(catalog)} AND routine_schema = {string_literal(schema)}"
        )
        names = seen(statement, "FUNCTION", [[catalog, schema, row[0]] for row in rows.collect()])
        found += [".".join(name) for name in names]
    patterns = _patterns(statement)
    shown = [name for name in sorted(found) if any(fnmatch.fnmatchcase(name.split(".")[-1], p) for p in patterns)]
    return text_table(("function",), [[name] for name in shown])


def _patterns(statement: Statement) -> list[str]:
    like = statement["like"]
    if not like:
        return ["*"]
    text = statement.bridge.unquote(like) if like[0] in "'\"" else statement.parts("like")[-1]
    return text.lower().split("|")


def describe_function(statement: Statement) -> Answer:
    """DESCRIBE FUNCTION: Spark's answer with the three-level name in it."""
    stored = statement.bridge.call("storedFunction", statement.parts("name"))
    if stored is None:
        return statement.match[0]
    catalog, schema, name, database = stored
    described = statement.spark.sql(
        f"DESCRIBE FUNCTION {statement['extended']} spark_catalog.{quote(database)}.{quote(name)}"
    )
    own = f"{catalog}.{schema}.{name}"
    rows: list[list[str | None]] = [
        [row[0].replace(f"spark_catalog.{database}.{name}", own)] for row in described.collect()
    ]
    return text_table(("function_desc",), rows)


STATEMENTS: tuple[Emulated, ...] = (
    emulated(
        rf"show(?: (?P<kind>user|system|all))? functions(?: (?:in|from) {NAMED})?"
        rf"(?: (?:like )?(?P<like>{STRING}|{NAME}))?",
        show_functions,
        "Spark lists the functions of its session catalog only",
        statement="SHOW [SYSTEM | USER | ALL] FUNCTIONS [IN schema] [LIKE pattern]",
        does="lists built-in functions and those of the schema",
        tests=(f"{_TESTS}::test_functions_are_shown_and_described_by_three_level_names",),
        needs="none: it lists the functions that the user is told of",
    ),
    emulated(
        rf"desc(?:ribe)? function (?P<extended>extended )?{NAMED}",
        describe_function,
        "Spark describes the functions of its session catalog only",
        statement="DESCRIBE FUNCTION [EXTENDED] name",
        does="describes a function as Spark does, by its three-level name",
        tests=(f"{_TESTS}::test_functions_are_shown_and_described_by_three_level_names",),
        needs=(Need("EXECUTE", "FUNCTION", seeing=True, where=_STORED),),
    ),
)
