"""Emulated DESCRIBE and SHOW statements."""

from __future__ import annotations

import fnmatch

import pyarrow as pa

from dbx_cd.local.emulation.matched_statement import Statement
from dbx_cd.local.emulation.needs import NOT_TEMPORARY, Need, seen
from dbx_cd.local.emulation.sql_text import NAMED, STRING
from dbx_cd.local.emulation.statement import Answer, Emulated, emulated, text_table
from dbx_cd.relations import string_literal

_NO_COLUMNS = "Schema: root\n"
_TESTS = "tests/spark/local/test_emulation.py"


def describe_as_json(statement: Statement) -> Answer:
    """DESCRIBE TABLE EXTENDED ... AS JSON, also of temporary views."""
    return text_table(("json_metadata",), [[statement.bridge.call("describeAsJson", statement.parts("name"))]])


def describe_detail(statement: Statement) -> Answer:
    """DESCRIBE DETAIL with the three-level name in it."""
    detail = statement.spark.sql(f"DESCRIBE DETAIL {statement['name']}").toArrow()
    if "/" in statement["name"]:
        return detail
    name = ".".join(statement.bridge.call("qualify", statement.parts("name")))
    return detail.set_column(detail.schema.get_field_index("name"), "name", pa.array([name], pa.string()))


def show_catalogs(statement: Statement) -> Answer:
    """SHOW CATALOGS: all that exist, not only those in use."""
    rows = statement.spark.table("system.information_schema.catalogs").collect()
    names = sorted([*(name for (name,) in seen(statement, "CATALOG", [[row.catalog_name] for row in rows])), "system"])
    return text_table(("catalog",), [[name] for name in names if fnmatch.fnmatch(name, _pattern(statement))])


def show_table_extended(statement: Statement) -> Answer:
    """SHOW TABLE EXTENDED IN a schema, in the form that dbt-spark reads."""
    catalog, schema = statement.bridge.call("qualify", [*statement.parts("name"), "any"])[:2]
    of_schema = f"WHERE table_catalog = {string_literal(catalog)} AND table_schema = {string_literal(schema)}"
    trees = _schema_trees(statement, of_schema)
    rows: list[list[str | None]] = []
    tables = statement.spark.sql(f"SELECT * FROM system.information_schema.tables {of_schema} ORDER BY table_name")
    found = tables.collect()
    shown = {name for *_, name in seen(statement, "TABLE", [[catalog, schema, row.table_name] for row in found])}
    for table in found:
        if table.table_name in shown and any(
            fnmatch.fnmatch(table.table_name, pattern) for pattern in _pattern(statement).split("|")
        ):
            details = {
                "Catalog": catalog,
                "Database": schema,
                "Table": table.table_name,
                "Owner": table.table_owner,
                "Type": table.table_type,
                "Comment": table.comment,
                "Provider": table.data_source_format and table.data_source_format.lower(),
            }
            text = "".join(f"{key}: {value}\n" for key, value in details.items() if value)
            rows.append([schema, table.table_name, "false", text + trees.get(table.table_name, _NO_COLUMNS)])
    return text_table(("database", "tableName", "isTemporary", "information"), rows)


def _schema_trees(statement: Statement, of_schema: str) -> dict[str, str]:
    """The columns of each relation as the catalog knows them: what a view reads may be gone."""
    columns = statement.spark.sql(
        "SELECT table_name, column_name, full_data_type, is_nullable FROM system.information_schema.columns "
        f"{of_schema} ORDER BY table_name, ordinal_position"
    )
    trees: dict[str, str] = {}
    for row in columns.collect():
        nullable = str(row.is_nullable == "YES").lower()
        line = f" |-- {row.column_name}: {row.full_data_type} (nullable = {nullable})\n"
        trees[row.table_name] = trees.get(row.table_name, _NO_COLUMNS) + line
    return trees


def _pattern(statement: Statement) -> str:
    return statement.bridge.unquote(statement["like"]).lower() if statement["like"] else "*"


STATEMENTS: tuple[Emulated, ...] = (
    emulated(
        rf"desc(?:ribe)? (?:table )?(?:extended|formatted) {NAMED} as json",
        describe_as_json,
        "Spark answers for its session catalog only",
        statement="DESCRIBE TABLE EXTENDED name AS JSON",
        does="describes a table, a view or a temporary view",
        lacks="leaves out what only the service knows, such as statistics, masks and row filters",
        tests=(
            f"{_TESTS}::test_describe_as_json_of_a_table",
            f"{_TESTS}::test_describe_as_json_of_a_temporary_view",
        ),
        needs=(Need("SELECT", "TABLE", seeing=True, where=NOT_TEMPORARY),),
    ),
    emulated(
        rf"desc(?:ribe)? detail {NAMED}",
        describe_detail,
        "Delta tells the session catalog's name",
        statement="DESCRIBE DETAIL name",
        does="is Delta's own, with the three-level name",
        tests=(f"{_TESTS}::test_names_shown_are_three_level_names",),
        needs=(Need("SELECT", "TABLE", seeing=True),),
    ),
    emulated(
        rf"show table extended (?:in|from) {NAMED} like (?P<like>{STRING})",
        show_table_extended,
        "Spark has it for its session catalog only",
        statement="SHOW TABLE EXTENDED IN schema LIKE pattern",
        does="lists tables and views in the form that dbt-spark reads",
        lacks="no PARTITION clause; the information has the fields that dbt reads",
        tests=(f"{_TESTS}::test_names_shown_are_three_level_names",),
        needs="none: it lists the tables and views that the user is told of",
    ),
    emulated(
        rf"show catalogs(?: (?:like )?(?P<like>{STRING}))?",
        show_catalogs,
        "Spark lists the catalogs that this session has used",
        statement="SHOW CATALOGS [LIKE pattern]",
        does="lists the catalogs of the workspace, not only those in use",
        tests=(f"{_TESTS}::test_names_shown_are_three_level_names",),
        needs="none: it lists the catalogs that the user is told of",
    ),
)
