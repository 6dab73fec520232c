"""What a catalog's information_schema says of many relations at once: a query per catalog, however many they are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from dbx_cd.delta.sql import Sql
from dbx_cd.delta.tables import CatalogEntry, Column, Constraint, Kind
from dbx_cd.errors import SqlFailed
from dbx_cd.relations import RelationName, quote, string_literal

# How a platform says that there is no such catalog. Databricks names the catalog (documentation of error conditions);
# open-source Spark may take its name for that of a schema, which then has one part too many (measured).
_NO_CATALOG = ("NOT_FOUND", "NO_SUCH_CATALOG", "REQUIRES_SINGLE_PART_NAMESPACE")


def entries(sql: Sql, relations: Sequence[RelationName]) -> dict[str, CatalogEntry]:
    """`Tables.entries`: three queries per catalog."""
    found: dict[str, CatalogEntry] = {r.key: CatalogEntry("missing") for r in relations}
    for catalog, members in _by_catalog(relations):
        tables = _rows(sql, catalog, "tables", members)
        views = {key: row["view_definition"] for key, row in _rows(sql, catalog, "views", members)}
        columns: dict[str, list[Any]] = defaultdict(list)
        for key, row in _rows(sql, catalog, "columns", members):
            columns[key].append(row)
        for key, row in tables:
            if key in found:
                found[key] = CatalogEntry(
                    kind=_kind(row["table_type"], row["data_source_format"]),
                    table_type=row["table_type"],
                    comment=row["comment"],
                    view_text=views.get(key),
                    columns=_columns(columns[key]),
                )
    return found


def keys(sql: Sql, relations: Sequence[RelationName]) -> dict[str, tuple[Constraint, ...]]:
    """`Tables.keys`: one query per catalog."""
    found: dict[str, list[Constraint]] = defaultdict(list)
    for catalog, members in _by_catalog(relations):
        for key, row in _rows(sql, catalog, "table_constraints", members):
            found[key].append(Constraint(row["constraint_name"], row["constraint_type"]))
    return {key: tuple(sorted(constraints, key=lambda c: c.name)) for key, constraints in found.items()}


def tags(sql: Sql, relations: Sequence[RelationName]) -> dict[str, dict[str, str]]:
    """`Tables.tags`: one query per catalog."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for catalog, members in _by_catalog(relations):
        for key, row in _rows(sql, catalog, "table_tags", members, schema="schema_name"):
            found[key][row["tag_name"]] = row["tag_value"] or ""
    return dict(found)


def _by_catalog(relations: Sequence[RelationName]) -> Iterator[tuple[str, list[RelationName]]]:
    for catalog in sorted({r.catalog for r in relations}):
        yield catalog, [r for r in relations if r.catalog == catalog]


def _rows(
    sql: Sql, catalog: str, relation: str, members: Sequence[RelationName], *, schema: str = "table_schema"
) -> list[tuple[str, Any]]:
    """Rows of one information_schema relation with the key of the relation each is about."""

    def literals(names: Iterable[str]) -> str:
        # Unity Catalog keeps names in lower case, other catalogs as they were written.
        return ", ".join(string_literal(n) for n in sorted({form for name in names for form in (name, name.lower())}))

    try:
        rows = sql.query(
            f"SELECT * FROM {quote(catalog)}.information_schema.{relation} "
            f"WHERE {schema} IN ({literals(r.schema for r in members)}) "
            f"AND table_name IN ({literals(r.identifier for r in members)})"
        )
    except SqlFailed as exc:
        if any(word in exc.condition for word in _NO_CATALOG):
            return []  # it does not exist (yet)
        raise
    return [(RelationName(catalog, r[schema], r["table_name"]).key, r) for r in rows]


def _kind(table_type: str, data_source_format: str | None) -> Kind:
    """Types are those of Unity Catalog's information_schema.tables; anything not plain Delta cannot be restored."""
    if table_type == "VIEW":
        return "view"
    plain = table_type in ("MANAGED", "EXTERNAL", "BASE TABLE")
    return "table" if plain and (data_source_format or "DELTA").upper() == "DELTA" else "other"


def _columns(rows: Sequence[Any]) -> tuple[Column, ...]:
    ordered = sorted(rows, key=lambda r: r["ordinal_position"])
    return tuple(
        Column(r["column_name"], r["full_data_type"], r["is_nullable"] == "YES", r["comment"] or None) for r in ordered
    )
