"""What a catalog's information_schema says of many relations at once: a query per catalog, however many they are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from dbx_cd.delta.sql import THREADS, Sql, in_parallel
from dbx_cd.delta.tables import CatalogEntry, Column, Kind
from dbx_cd.errors import SqlFailed
from dbx_cd.relations import RelationName, quote, string_literal

# How a platform says that there is no such catalog. Databricks names the catalog (documentation of error conditions);
# open-source Spark may take its name for that of a schema, which then has one part too many (measured).
_NO_CATALOG = ("NO_SUCH_CATALOG", "CATALOG_NOT_FOUND", "REQUIRES_SINGLE_PART_NAMESPACE")
# And that there is no such relation or schema, by whole names: a table whose files, location or credential are not
# found is there.
_NO_RELATION = frozenset({"TABLE_OR_VIEW_NOT_FOUND", "SCHEMA_NOT_FOUND", "NO_SUCH_SCHEMA_EXCEPTION"})


def entries(sql: Sql, relations: Sequence[RelationName]) -> dict[str, CatalogEntry]:
    """`Tables.entries`: three queries per catalog, and one for each relation that the catalog does not list.

    What information_schema does not list may be there all the same: it shows what a user has some right on
    (documentation). So each of them is asked for by name, and only an answer that there is no such thing proves it.
    """
    found = listed(sql, relations)
    unlisted = [r for r in relations if r.key not in found]
    answers = in_parallel(partial(_exists, sql), unlisted, threads=THREADS)
    there = [r for r, is_there in zip(unlisted, answers, strict=True) if is_there]
    found |= listed(sql, there)  # somebody may have created it in between
    hidden = [str(r) for r in there if r.key not in found]
    if hidden:
        raise SqlFailed(
            f"{', '.join(hidden)} exists, but information_schema does not show it to this user",
            next_step="grant this user BROWSE or SELECT on it: nothing is changed by somebody who cannot see it",
        )
    return {r.key: found.get(r.key, CatalogEntry("missing")) for r in relations}


def rows_by_relation(
    sql: Sql,
    catalog: str,
    relation: str,
    members: Sequence[RelationName],
    *,
    prefix: str = "table_",
) -> list[tuple[str, Any]]:
    """Rows of one information_schema relation with the key of the relation each is about.

    Args:
        sql: the session's port.
        catalog: the catalog that is asked.
        relation: the relation of its information_schema.
        members: the tables and views to ask about.
        prefix: what the name of its schema's column begins with.

    Raises:
        SqlFailed: the catalog cannot be asked.
    """

    def literals(names: Iterable[str]) -> str:
        # Unity Catalog keeps names in lower case, other catalogs as they were written.
        return ", ".join(string_literal(n) for n in sorted({form for name in names for form in (name, name.lower())}))

    schema = f"{prefix}schema" if prefix else "schema_name"
    rows = sql.query(
        f"SELECT * FROM {quote(catalog)}.information_schema.{relation} "
        f"WHERE {schema} IN ({literals(r.schema for r in members)}) "
        f"AND table_name IN ({literals(r.identifier for r in members)})"
    )
    return [(RelationName(catalog, r[schema], r["table_name"]).key, r) for r in rows]


def by_catalog(relations: Sequence[RelationName]) -> Iterator[tuple[str, list[RelationName]]]:
    """The relations of each catalog."""
    for catalog in sorted({r.catalog for r in relations}):
        yield catalog, [r for r in relations if r.catalog == catalog]


def is_not_found(error: SqlFailed) -> bool:
    """Whether a statement failed because something that it names does not exist, as far as its user may know."""
    return error.condition.split(".")[0] in _NO_RELATION or any(word in error.condition for word in _NO_CATALOG)


def listed(sql: Sql, relations: Sequence[RelationName]) -> dict[str, CatalogEntry]:
    """`Tables.listed`: what information_schema shows, by key, in three queries a catalog."""
    found: dict[str, CatalogEntry] = {}
    for catalog, members in by_catalog(relations):
        try:
            tables = rows_by_relation(sql, catalog, "tables", members)
        except SqlFailed as exc:
            if is_not_found(exc) and _is_no_catalog(sql, catalog, exc):
                continue
            raise
        wanted = {r.key for r in members}
        views = {key: row["view_definition"] for key, row in rows_by_relation(sql, catalog, "views", members)}
        columns: dict[str, list[Any]] = defaultdict(list)
        for key, row in rows_by_relation(sql, catalog, "columns", members):
            columns[key].append(row)
        for key, row in tables:
            if key in wanted:
                found[key] = CatalogEntry(
                    kind=_kind(row["table_type"], row["data_source_format"]),
                    table_type=row["table_type"],
                    comment=row["comment"],
                    view_text=views.get(key),
                    columns=_columns(columns[key]),
                    created=_utc(row["created"]),
                    # By some editions of its documentation reserved and NULL. A default calls built-in functions only.
                    defaults={c["column_name"]: c["column_default"] for c in columns[key] if c["column_default"]},
                )
    return found


def _is_no_catalog(sql: Sql, catalog: str, error: SqlFailed) -> bool:
    """Whether a catalog is proved absent: one without information_schema, or without the right to use it, is not."""
    if any(word in error.condition for word in _NO_CATALOG):
        return True
    try:
        sql.query(f"SHOW SCHEMAS IN {quote(catalog)}")
    except SqlFailed as exc:
        if any(word in exc.condition for word in _NO_CATALOG):
            return True
        raise
    raise SqlFailed(
        f"catalog {catalog} exists, but its information_schema cannot be read: {error.what}",
        condition=error.condition,
        next_step="use a Unity Catalog catalog, and grant USE CATALOG on it",
    )


def _exists(sql: Sql, relation: RelationName) -> bool:
    try:
        sql.query(f"DESCRIBE TABLE {relation.quoted}")
    except SqlFailed as exc:
        if is_not_found(exc):
            return False
        raise
    return True


def _kind(table_type: str, data_source_format: str | None) -> Kind:
    """Types are those of Unity Catalog's information_schema.tables; anything not plain Delta cannot be restored."""
    if table_type == "VIEW":
        return "view"
    plain = table_type in ("MANAGED", "EXTERNAL", "BASE TABLE")
    return "table" if plain and (data_source_format or "DELTA").upper() == "DELTA" else "other"


def _utc(moment: datetime | None) -> datetime | None:
    """Spark hands timestamps over as naive local times of this process."""
    return None if moment is None else moment.astimezone(UTC)


def _columns(rows: Sequence[Any]) -> tuple[Column, ...]:
    ordered = sorted(rows, key=lambda r: r["ordinal_position"])
    return tuple(
        Column(r["column_name"], r["full_data_type"], r["is_nullable"] == "YES", r["comment"] or None) for r in ordered
    )
