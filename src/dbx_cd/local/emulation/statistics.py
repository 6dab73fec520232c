"""ANALYZE TABLE."""

from __future__ import annotations

import pyarrow as pa

from dbx_cd.local.emulation.catalog_bridge import StatementFailed
from dbx_cd.local.emulation.matched_statement import Statement
from dbx_cd.local.emulation.needs import Need, Objects
from dbx_cd.local.emulation.sql_text import IDENTIFIER, NAME, NAMED, split_name
from dbx_cd.local.emulation.statement import Answer, Emulated, emulated
from dbx_cd.relations import RelationName, quote, string_literal

_TESTS = "tests/spark/local/test_table_statements.py"


def analyze_table(statement: Statement) -> Answer:
    """ANALYZE TABLE: the table and its columns must be there, and readable."""
    if statement.bridge.call("isView", statement.parts("name")):
        raise StatementFailed(
            "[UNSUPPORTED_FEATURE.ANALYZE_VIEW] The ANALYZE TABLE command does not support views",
            where=statement["name"],
            sql_state="0A000",
        )
    columns = ", ".join(quote(name) for name in split_name(statement["columns"])) or "1"
    reading = "WHERE false" if statement["noscan"] else ""
    statement.spark.sql(f"SELECT {columns} FROM {statement['name']} {reading}").write.format("noop").mode(
        "overwrite"
    ).save()
    return pa.table({})


def analyze_tables(statement: Statement) -> Answer:
    """ANALYZE TABLES of a schema."""
    for table in _tables(statement):
        statement.spark.table(RelationName(*table).quoted).write.format("noop").mode("overwrite").save()
    return pa.table({})


def _schema(statement: Statement) -> list[list[str]]:
    return [list(statement.bridge.call("qualify", [*statement.parts("name"), "any"])[:2])]


def _tables(statement: Statement) -> list[list[str]]:
    ((catalog, schema),) = _schema(statement)
    tables = statement.spark.sql(
        "SELECT table_name FROM system.information_schema.tables WHERE table_type <> 'VIEW' "
        f"AND table_catalog = {string_literal(catalog)} AND table_schema = {string_literal(schema)}"
    )
    return [[catalog, schema, row[0]] for row in tables.collect()]


_WHY = "Spark has it for its session catalog only"
_SCHEMA = Objects("`name`", _schema)
_EACH = Objects("that is in the schema, each of them", _tables)
_LACKS = "keeps no statistics: nothing here plans by them"

STATEMENTS: tuple[Emulated, ...] = (
    emulated(
        rf"analyze table {NAMED}(?: partition\s*\(.*?\))? compute (?:delta )?statistics(?P<noscan> noscan)?"
        rf"(?: for (?:all columns|columns\s*\(?\s*(?P<columns>{IDENTIFIER}(?:\s*,\s*{IDENTIFIER})*)\s*\)?))?",
        analyze_table,
        _WHY,
        statement="ANALYZE TABLE name COMPUTE [DELTA] STATISTICS [NOSCAN | FOR COLUMNS columns | FOR ALL COLUMNS]",
        does="checks that the table and its columns are there, and reads them unless NOSCAN is said",
        lacks=_LACKS,
        tests=(f"{_TESTS}::test_analyze_reads_the_table_and_checks_its_columns",),
        needs=(Need("MODIFY", "TABLE"), Need("SELECT", "TABLE")),
    ),
    emulated(
        rf"analyze tables(?: (?:in|from) (?P<name>{NAME}))? compute statistics(?: noscan)?",
        analyze_tables,
        _WHY,
        statement="ANALYZE TABLES [IN schema] COMPUTE STATISTICS [NOSCAN]",
        does="reads every table of the schema",
        lacks=_LACKS,
        tests=(f"{_TESTS}::test_analyze_reads_the_table_and_checks_its_columns",),
        needs=(
            Need("USE SCHEMA", "SCHEMA", _SCHEMA),
            Need("MODIFY", "TABLE", _EACH),
            Need("SELECT", "TABLE", _EACH),
        ),
    ),
)
