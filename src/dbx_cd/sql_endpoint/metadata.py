"""The Thrift metadata calls, answered through plain SQL in the columns that JDBC defines.

`query` runs one SQL statement and returns its rows; patterns are JDBC's: `%` any text, `_` any character, `\\` escapes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa

Query = Callable[[str], list[dict[str, Any]]]

_TEXT, _INT = pa.string(), pa.int32()
_CATALOGS = pa.schema([("TABLE_CAT", _TEXT)])
_SCHEMAS = pa.schema([("TABLE_SCHEM", _TEXT), ("TABLE_CATALOG", _TEXT)])
_TABLE_TYPES = pa.schema([("TABLE_TYPE", _TEXT)])
_TABLES = pa.schema([(name, _TEXT) for name in ("TABLE_CAT", "TABLE_SCHEM", "TABLE_NAME", "TABLE_TYPE", "REMARKS")])
_COLUMNS = pa.schema(
    [
        ("TABLE_CAT", _TEXT),
        ("TABLE_SCHEM", _TEXT),
        ("TABLE_NAME", _TEXT),
        ("COLUMN_NAME", _TEXT),
        ("DATA_TYPE", _INT),
        ("TYPE_NAME", _TEXT),
        ("COLUMN_SIZE", _INT),
        ("DECIMAL_DIGITS", _INT),
        ("NULLABLE", _INT),
        ("REMARKS", _TEXT),
        ("ORDINAL_POSITION", _INT),
        ("IS_NULLABLE", _TEXT),
    ]
)
_TYPE_INFO = pa.schema([("TYPE_NAME", _TEXT), ("DATA_TYPE", _INT), ("PRECISION", _INT), ("NULLABLE", pa.int16())])

# Spark SQL type -> the constant in java.sql.Types.
_JDBC_TYPES = {
    "VOID": 0,
    "BOOLEAN": 16,
    "TINYINT": -6,
    "SMALLINT": 5,
    "INT": 4,
    "BIGINT": -5,
    "FLOAT": 6,
    "DOUBLE": 8,
    "DECIMAL": 3,
    "STRING": 12,
    "VARCHAR": 12,
    "CHAR": 1,
    "BINARY": -2,
    "DATE": 91,
    "TIMESTAMP": 93,
    "TIMESTAMP_NTZ": 93,
    "ARRAY": 2003,
    "MAP": 2000,
    "STRUCT": 2002,
    "INTERVAL": 1111,
    "VARIANT": 1111,
}
_OTHER = 1111
_PRECISIONS = {"TINYINT": 3, "SMALLINT": 5, "INT": 10, "BIGINT": 19, "FLOAT": 7, "DOUBLE": 15, "DECIMAL": 38}
_NULLABLE, _NULLABLE_UNKNOWN = 1, 2


def catalogs(query: Query, _request: Any) -> pa.Table:
    """The catalogs of the session."""
    names = [_first(row) for row in query("SHOW CATALOGS")]
    return _table(_CATALOGS, [[name] for name in sorted(names)])


def schemas(query: Query, request: Any) -> pa.Table:
    """The schemas of the asked or current catalog that match the pattern."""
    catalog = _catalog(query, request)
    return _table(_SCHEMAS, [[schema, catalog] for schema in _matching_schemas(query, catalog, request)])


def tables(query: Query, request: Any) -> pa.Table:
    """The tables and views that match the patterns and kinds."""
    catalog = _catalog(query, request)
    kinds = {kind.upper() for kind in request.tableTypes or ()} or {"TABLE", "VIEW"}
    rows = [
        [catalog, schema, name, kind, ""] for schema, name, kind in _relations(query, catalog, request) if kind in kinds
    ]
    return _table(_TABLES, rows)


def columns(query: Query, request: Any) -> pa.Table:
    """The columns of the matching tables and views, in their order."""
    catalog = _catalog(query, request)
    matches = _pattern(request.columnName)
    rows: list[list[Any]] = []
    for schema, table, _ in _relations(query, catalog, request):
        described = query(f"DESCRIBE TABLE {_quoted(catalog, schema, table)}")
        for position, row in enumerate(_own_columns(described), start=1):
            if matches(row["col_name"]):
                rows.append([catalog, schema, table, *_column_facts(row, position)])
    return _table(_COLUMNS, rows)


def table_types(_query: Query, _request: Any) -> pa.Table:
    """The kinds of relations."""
    return _table(_TABLE_TYPES, [["TABLE"], ["VIEW"]])


def type_info(_query: Query, _request: Any) -> pa.Table:
    """The SQL types."""
    rows = [[name, number, _PRECISIONS.get(name), _NULLABLE] for name, number in _JDBC_TYPES.items()]
    return _table(_TYPE_INFO, rows)


def _catalog(query: Query, request: Any) -> str:
    return request.catalogName or _first(query("SELECT current_catalog()")[0])


def _matching_schemas(query: Query, catalog: str, request: Any) -> list[str]:
    matches = _pattern(request.schemaName)
    return sorted(name for row in query(f"SHOW SCHEMAS IN {_quoted(catalog)}") if matches(name := _first(row)))


def _relations(query: Query, catalog: str, request: Any) -> Iterator[tuple[str, str, str]]:
    """Schema, name and kind of each matching table and view; SHOW TABLES lists views too, and temporary ones."""
    matches = _pattern(request.tableName)
    for schema in _matching_schemas(query, catalog, request):
        where = _quoted(catalog, schema)
        views = {row["viewName"] for row in query(f"SHOW VIEWS IN {where}") if not row["isTemporary"]}
        listed = {row["tableName"] for row in query(f"SHOW TABLES IN {where}") if not row["isTemporary"]}
        for name in sorted(listed | views):
            if matches(name):
                yield schema, name, "VIEW" if name in views else "TABLE"


def _own_columns(described: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The rows of DESCRIBE before its sections on partitions and so on, which begin with `#` or an empty name."""
    for row in described:
        if not row["col_name"] or row["col_name"].startswith("#"):
            return
        yield row


def _column_facts(row: dict[str, Any], position: int) -> list[Any]:
    type_name = row["data_type"].upper()
    base = re.split(r"[(<\s]", type_name, maxsplit=1)[0]
    numbers = (
        [int(number) for number in re.findall(r"\d+", type_name)] if "(" in type_name and "<" not in type_name else []
    )
    size = numbers[0] if numbers else _PRECISIONS.get(base)
    digits = numbers[1] if len(numbers) > 1 else None
    jdbc = _JDBC_TYPES.get(base, _OTHER)
    # DESCRIBE does not say whether a column may be null.
    return [row["col_name"], jdbc, type_name, size, digits, _NULLABLE_UNKNOWN, row["comment"] or "", position, ""]


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
