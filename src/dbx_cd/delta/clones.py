"""Copies of tables in a schema of their own: what a rehearsal tries its statements on."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from dbx_cd.delta.retention import RETENTION
from dbx_cd.delta.spark_tables import SparkTables
from dbx_cd.delta.tables import TableDetail
from dbx_cd.delta.views import property_list
from dbx_cd.errors import SqlFailed
from dbx_cd.relations import RelationName, quote, string_literal

_log = logging.getLogger(__name__)

# Delta sets properties of its own that nobody may give a new table (names of columns in files, constraints), so those
# of Delta's that a copy gets are named here: without some it cannot hold the table's columns.
_GIVEN = (
    "delta.columnMapping.mode",
    "delta.enableTypeWidening",
    "delta.enableDeletionVectors",
    "delta.enableChangeDataFeed",
    *RETENTION,
)
_FEATURES = ("allowColumnDefaults",)
_SQL_NAMES = {"integer": "INT", "long": "BIGINT", "short": "SMALLINT", "byte": "TINYINT"}


@dataclass(frozen=True)
class Clone:
    """A table that was once what another table was, and is empty now."""

    then: int
    """The version at which it was that."""
    now: int
    """Its current version."""
    is_shallow: bool
    """Whether it has the data files of the other table; else it has copies of its rows."""
    schema: str
    """Its schema then, as Spark's JSON."""
    detail: TableDetail
    """What Delta said of it then."""


@contextmanager
def scratch_schema(tables: SparkTables, catalog: str, schema: str) -> Iterator[None]:
    """A schema that is dropped in the end, with all that is in it.

    Raises:
        SqlFailed: there is one of that name already, or it may not be made.
    """
    place = f"{quote(catalog)}.{quote(schema)}"
    # Without IF NOT EXISTS: what is dropped in the end is what was made here.
    tables.sql.execute(f"CREATE SCHEMA {place}")
    try:
        yield
    finally:
        tables.sql.execute(f"DROP SCHEMA IF EXISTS {place} CASCADE")


def clone(
    tables: SparkTables, table: RelationName, name: RelationName, *, version: int, was: TableDetail | None = None
) -> Clone:
    """Copy a table as it was at a version, and empty the copy, with the columns and the layout that the table has now.

    A shallow clone costs no data. Where none can be made (column mapping in this catalog, measured), rows are copied.

    Args:
        tables: tables of a session.
        table: the table; it is only read.
        name: the copy, which does not exist yet.
        version: the version to copy.
        was: what Delta said of the table then, where that is known: a copy of rows gets its layout from it.

    Raises:
        SqlFailed: the version cannot be read, or the copy cannot be made.
    """
    sql, now = tables.sql, tables.detail(table)
    try:
        sql.execute(f"CREATE TABLE {name.quoted} SHALLOW CLONE {table.quoted} VERSION AS OF {version}")
        is_shallow = True
    except SqlFailed as exc:
        _log.info("%s is copied, for it cannot be cloned: %s", table, exc)
        sql.execute(f"DROP TABLE IF EXISTS {name.quoted}")
        # Without its record: as it is now, which has the mapping that its columns need, and no layout that they lack.
        like = was or replace(now, partitioned_by=(), clustered_by=())
        columns = _columns(tables.schema_json(table, version))
        sql.execute(f"CREATE TABLE {name.quoted} ({columns}) USING delta{_like(like)}")
        sql.execute(f"INSERT INTO {name.quoted} SELECT * FROM {table.quoted} VERSION AS OF {version}")
        is_shallow = False
    # Not version 0 of the copy: here a clone is made by two commits (measured).
    filled = tables.history(name, limit=1).version
    schema, detail = tables.schema_json(name), tables.detail(name)
    # RESTORE sets this again, as everything else that the version had.
    tables.set_properties(name, {"delta.appendOnly": "false"})
    # What RESTORE needs are the files of the version to go back to; the rows of today are not copied for it.
    columns = _columns(tables.schema_json(table))
    sql.execute(f"CREATE OR REPLACE TABLE {name.quoted} ({columns}) USING delta{_like(now)}")
    return Clone(filled, tables.history(name, limit=1).version, is_shallow, schema, detail)


def _like(detail: TableDetail) -> str:
    """The clauses of CREATE TABLE for layout, comment and properties."""
    properties = {k: v for k, v in detail.properties.items() if k in _GIVEN or not k.startswith("delta.")}
    properties |= {f"delta.feature.{name}": "supported" for name in _FEATURES if name in detail.features}
    parts = [f"PARTITIONED BY ({_names(detail.partitioned_by)})"] if detail.partitioned_by else []
    parts += [f"CLUSTER BY ({_names(detail.clustered_by)})"] if detail.clustered_by else []
    parts += [f"COMMENT {string_literal(detail.comment)}"] if detail.comment else []
    parts += [f"TBLPROPERTIES ({property_list(properties)})"] if properties else []
    return "".join(f" {part}" for part in parts)


def _names(columns: tuple[str, ...]) -> str:
    """Columns to lay out by; Delta writes a field of a struct, which may be one to cluster by, with a dot."""
    return ", ".join(".".join(map(quote, column.split("."))) for column in columns)


def _columns(schema: str) -> str:
    """A schema, given as Spark's JSON, as the column list of CREATE TABLE."""
    return ", ".join(_column(field, " ") for field in json.loads(schema)["fields"])


def _column(field: dict[str, Any], separator: str) -> str:
    metadata = field["metadata"]
    # Spark keeps what CHAR and VARCHAR were declared as beside a plain string.
    kind = metadata.get("__CHAR_VARCHAR_TYPE_STRING") or _type(field["type"])
    parts = [f"{quote(field['name'])}{separator}{kind}", "" if field["nullable"] else "NOT NULL"]
    if "CURRENT_DEFAULT" in metadata:
        parts.append(f"DEFAULT {metadata['CURRENT_DEFAULT']}")
    if "comment" in metadata:
        parts.append(f"COMMENT {string_literal(metadata['comment'])}")
    return " ".join(part for part in parts if part)


def _type(given: str | dict[str, Any]) -> str:
    if isinstance(given, str):
        return _SQL_NAMES.get(given, given)
    match given["type"]:
        case "array":
            return f"ARRAY<{_type(given['elementType'])}>"
        case "map":
            return f"MAP<{_type(given['keyType'])}, {_type(given['valueType'])}>"
    return f"STRUCT<{', '.join(_column(field, ': ') for field in given['fields'])}>"


def row_hash(tables: SparkTables, table: RelationName, *, version: int | None = None) -> tuple[int, int]:
    """How many rows, and a hash over all of them whatever their order; as JSON, since a map has no hash."""
    at = "" if version is None else f" VERSION AS OF {int(version)}"
    row = tables.sql.query(
        "SELECT count(*) AS n, coalesce(sum(CAST(xxhash64(to_json(struct(*))) AS DECIMAL(38, 0))), 0) AS h "
        f"FROM {table.quoted}{at}"
    )[0]
    return int(row["n"]), int(row["h"])


def column_types(tables: SparkTables, table: RelationName, *, version: int | None = None) -> list[tuple[str, str]]:
    """Names and types of the columns of a version, in order, without comments and nullability."""
    at = "" if version is None else f" VERSION AS OF {int(version)}"
    return tables.sql.columns(f"SELECT * FROM {table.quoted}{at}")
