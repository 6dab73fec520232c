"""The Thrift metadata calls, answered through plain SQL in the columns that Databricks answers them with.

Patterns are JDBC's: `%` any text, `_` any character, `\\` escapes. Which columns there are, and their types, is what
the tests of databricks-sql-connector expect of Databricks (its e2e/test_driver.py). A catalog that is not named
is every one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Protocol

import pyarrow as pa

from dbx_cd.sql_endpoint.column_facts import COLUMNS, column_facts, jdbc_types

if TYPE_CHECKING:
    from pyspark.sql.types import StructType

_TEXT, _INT = pa.string(), pa.int32()
_CATALOGS = pa.schema([("TABLE_CAT", _TEXT)])
_SCHEMAS = pa.schema([("TABLE_SCHEM", _TEXT), ("TABLE_CATALOG", _TEXT)])
_TABLE_TYPES = pa.schema([("TABLE_TYPE", _TEXT)])
_OF_TYPED_TABLES = ("TYPE_CAT", "TYPE_SCHEM", "TYPE_NAME", "SELF_REFERENCING_COL_NAME", "REF_GENERATION")
_TABLES = pa.schema(
    [(name, _TEXT) for name in ("TABLE_CAT", "TABLE_SCHEM", "TABLE_NAME", "TABLE_TYPE", "REMARKS", *_OF_TYPED_TABLES)]
)
_TYPE_INFO = pa.schema([("TYPE_NAME", _TEXT), ("DATA_TYPE", _INT), ("PRECISION", _INT), ("NULLABLE", pa.int16())])
_NULLABLE = 1


class Lookup(Protocol):
    """What a session can be asked."""

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """The rows of a statement."""

    def schema(self, quoted_name: str) -> StructType:
        """The columns of a table or view."""


def catalogs(lookup: Lookup, _request: Any) -> pa.Table:
    """The catalogs."""
    return _table(_CATALOGS, [[name] for name in _all_catalogs(lookup)])


def schemas(lookup: Lookup, request: Any) -> pa.Table:
    """The schemas that match the pattern."""
    rows = [
        [schema, catalog]
        for catalog in _matching_catalogs(lookup, request)
        for schema in _matching_schemas(lookup, catalog, request)
    ]
    return _table(_SCHEMAS, rows)


def tables(lookup: Lookup, request: Any) -> pa.Table:
    """The tables and views that match the patterns and kinds."""
    kinds = {kind.upper() for kind in request.tableTypes or ()} or {"TABLE", "VIEW"}
    rows = []
    for catalog in _matching_catalogs(lookup, request):
        comments = _comments(lookup, catalog)
        for schema, name, kind in _relations(lookup, catalog, request):
            if kind in kinds:
                remarks = comments.get((schema, name)) or ""
                rows.append([catalog, schema, name, kind, remarks, *[None] * len(_OF_TYPED_TABLES)])
    return _table(_TABLES, rows)


def columns(lookup: Lookup, request: Any) -> pa.Table:
    """The columns of the matching tables and views, in their order."""
    matches = _pattern(request.columnName)
    rows: list[list[Any]] = []
    for catalog in _matching_catalogs(lookup, request):
        for schema, table, _ in _relations(lookup, catalog, request):
            try:
                fields = lookup.schema(_quoted(catalog, schema, table)).fields
            except Exception:
                continue  # a view over what is gone, or dropped since it was listed
            for position, field in enumerate(fields, start=1):
                if matches(field.name):
                    rows.append([catalog, schema, table, *column_facts(field, position)])
    return _table(COLUMNS, rows)


def table_types(_lookup: Lookup, _request: Any) -> pa.Table:
    """The kinds of relations."""
    return _table(_TABLE_TYPES, [["TABLE"], ["VIEW"]])


def type_info(_lookup: Lookup, _request: Any) -> pa.Table:
    """The SQL types."""
    return _table(_TYPE_INFO, [[*facts, _NULLABLE] for facts in jdbc_types()])


def _all_catalogs(lookup: Lookup) -> list[str]:
    return sorted(_first(row) for row in lookup.rows("SHOW CATALOGS"))


def _matching_catalogs(lookup: Lookup, request: Any) -> list[str]:
    """The catalog of that name, which may have an underscore in it; else those that match it as a pattern."""
    names = _all_catalogs(lookup)
    asked = (request.catalogName or "%").lower()
    return [name for name in names if name.lower() == asked] or [name for name in names if _pattern(asked)(name)]


def _matching_schemas(lookup: Lookup, catalog: str, request: Any) -> list[str]:
    matches = _pattern(request.schemaName)
    found = lookup.rows(f"SHOW SCHEMAS IN {_quoted(catalog)}")
    return sorted(name for row in found if matches(name := _first(row)))


def _relations(lookup: Lookup, catalog: str, request: Any) -> Iterator[tuple[str, str, str]]:
    """Schema, name and kind of each matching table and view; SHOW TABLES lists views too, and temporary ones."""
    matches = _pattern(request.tableName)
    for schema in _matching_schemas(lookup, catalog, request):
        where = _quoted(catalog, schema)
        views = {row["viewName"] for row in _views(lookup, where) if not row["isTemporary"]}
        listed = {row["tableName"] for row in lookup.rows(f"SHOW TABLES IN {where}") if not row["isTemporary"]}
        for name in sorted(listed | views):
            if matches(name):
                yield schema, name, "VIEW" if name in views else "TABLE"


def _views(lookup: Lookup, where: str) -> list[dict[str, Any]]:
    try:
        return lookup.rows(f"SHOW VIEWS IN {where}")
    except Exception:
        return []  # a catalog that has none


def _comments(lookup: Lookup, catalog: str) -> dict[tuple[str, str], str]:
    """The comments on tables and views by schema and name; Spark's own catalog has no list of them."""
    sql = f"SELECT table_schema, table_name, comment FROM {_quoted(catalog)}.information_schema.tables"
    try:
        found = lookup.rows(f"{sql} WHERE comment IS NOT NULL")
    except Exception:
        return {}
    return {(row["table_schema"], row["table_name"]): row["comment"] for row in found}


def _pattern(text: str | None) -> Callable[[str], bool]:
    if not text:
        return lambda _name: True
    pieces = re.findall(r"\\.|.", text, re.DOTALL)
    wild = {"%": ".*", "_": "."}
    expression = re.compile("".join(wild.get(p) or re.escape(p[-1]) for p in pieces), re.IGNORECASE | re.DOTALL)
    return lambda name: expression.fullmatch(name) is not None


def _table(schema: pa.Schema, rows: list[list[Any]]) -> pa.Table:
    return pa.Table.from_pylist([dict(zip(schema.names, row, strict=True)) for row in rows], schema=schema)


def _first(row: dict[str, Any]) -> str:
    return str(next(iter(row.values())))


def _quoted(*names: str) -> str:
    return ".".join("`" + name.replace("`", "``") + "`" for name in names)
