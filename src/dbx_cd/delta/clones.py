"""Copies of tables in a schema of their own: what a rehearsal tries its statements on."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from dbx_cd.delta.spark_tables import SparkTables
from dbx_cd.errors import SqlFailed
from dbx_cd.relations import RelationName, quote

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Clone:
    """A table that was once what another table was, and is empty now."""

    then: int
    """The version at which it was that."""
    now: int
    """Its current version."""
    is_shallow: bool
    """Whether it has the data files of the other table; else it has copies of its rows."""


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


def clone(tables: SparkTables, table: RelationName, name: RelationName, *, version: int) -> Clone:
    """Copy a table as it was at a version, and empty the copy, with the columns that the table has now.

    A shallow clone costs no data. Where none can be made (column mapping in this catalog, measured), rows are copied.

    Args:
        tables: tables of a session.
        table: the table; it is only read.
        name: the copy, which does not exist yet.
        version: the version to copy.

    Raises:
        SqlFailed: the version cannot be read, or the copy cannot be made.
    """
    sql = tables.sql
    try:
        sql.execute(f"CREATE TABLE {name.quoted} SHALLOW CLONE {table.quoted} VERSION AS OF {version}")
        is_shallow = True
    except SqlFailed as exc:
        _log.info("%s is copied, for it cannot be cloned: %s", table, exc)
        sql.execute(f"DROP TABLE IF EXISTS {name.quoted}")
        sql.execute(f"CREATE TABLE {name.quoted} USING delta AS SELECT * FROM {table.quoted} VERSION AS OF {version}")
        is_shallow = False
    # Not version 0 of the copy: here a clone is made by two commits (measured).
    filled = tables.history(name, limit=1).version
    # RESTORE sets this again, as everything else that the version had.
    tables.set_properties(name, {"delta.appendOnly": "false"})
    # What RESTORE needs are the files of the version to go back to; the rows of today are not copied for it.
    sql.execute(f"CREATE OR REPLACE TABLE {name.quoted} USING delta AS SELECT * FROM {table.quoted} LIMIT 0")
    return Clone(then=filled, now=tables.history(name, limit=1).version, is_shallow=is_shallow)


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
