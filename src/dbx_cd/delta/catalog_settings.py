"""What a catalog keeps of tables and views besides their definitions: keys, tags, grants, owner, filters, masks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from dbx_cd.delta.information_schema import by_catalog, is_not_found, rows_by_relation
from dbx_cd.delta.sql import Sql
from dbx_cd.delta.tables import CatalogSettings, Constraint
from dbx_cd.errors import SqlFailed
from dbx_cd.relations import RelationName, quote, string_literal

T = TypeVar("T")
Rows = dict[str, list[Any]]
Key = tuple[str, str, str]
"""Catalog, schema and name of a key."""
UNKNOWN = "?"


def catalog_settings(sql: Sql, relations: Sequence[RelationName]) -> dict[str, CatalogSettings]:
    """`Tables.settings`: a query per catalog and relation of its information_schema.

    A relation of information_schema that a platform does not have says nothing: what is not known is None, not empty.
    Names and columns are those of Unity Catalog's documentation.
    """
    found: dict[str, CatalogSettings] = {}
    for catalog, members in by_catalog(relations):
        tables = _rows(sql, catalog, "tables", members)
        keys = _keys(sql, catalog, members)
        tags = _rows(sql, catalog, "table_tags", members, prefix="")
        column_tags = _rows(sql, catalog, "column_tags", members, prefix="")
        grants = _rows(sql, catalog, "table_privileges", members)
        filters = _rows(sql, catalog, "row_filters", members)
        masks = _rows(sql, catalog, "column_masks", members)
        for key in [r.key for r in members]:
            owners = _of(tables, key, lambda rows: [row["table_owner"] for row in rows])
            found[key] = CatalogSettings(
                keys=None if keys is None else tuple(sorted(keys.get(key, []), key=lambda c: c.name)),
                tags=_of(tags, key, _tags),
                column_tags=_of(column_tags, key, _column_tags),
                grants=_of(grants, key, _grants),
                owner=owners[0] if owners else None,
                row_filter=_of(filters, key, lambda rows: ", ".join(_filter(row) for row in rows)),
                column_masks=_of(masks, key, lambda rows: {row["column_name"]: _mask(row) for row in rows}),
            )
    return found


def _rows(
    sql: Sql, catalog: str, relation: str, members: Sequence[RelationName], *, prefix: str = "table_"
) -> Rows | None:
    """Rows by relation; None where the catalog has no such information."""
    found: Rows = defaultdict(list)
    try:
        for key, row in rows_by_relation(sql, catalog, relation, members, prefix=prefix):
            found[key].append(row)
    except SqlFailed as exc:
        if is_not_found(exc):
            return None
        raise
    return found


def _of(rows: Rows | None, key: str, read: Callable[[list[Any]], T]) -> T | None:
    return None if rows is None else read(rows.get(key, []))


def _keys(sql: Sql, catalog: str, members: Sequence[RelationName]) -> Mapping[str, list[Constraint]] | None:
    constraints = _rows(sql, catalog, "table_constraints", members)
    if constraints is None:
        return None
    columns = _rows(sql, catalog, "key_column_usage", members)
    referenced = _references(sql, catalog) if any(constraints.values()) else {}
    parents = _parents(sql, {referenced[key] for key in _foreign_keys(constraints) if key in referenced})
    found: dict[str, list[Constraint]] = defaultdict(list)
    for key, rows in constraints.items():
        for row in rows:
            name = row["constraint_name"]
            uses = [] if columns is None else [c for c in columns.get(key, []) if c["constraint_name"] == name]
            ordered = tuple(c["column_name"] for c in sorted(uses, key=lambda c: c["ordinal_position"]))
            target = referenced.get((row["constraint_schema"], name))
            found[key].append(
                Constraint(
                    name,
                    row["constraint_type"],
                    None if columns is None else ordered,
                    None if target is None else ".".join(target),
                    None if target is None else parents.get(target),
                )
            )
    return found


def _foreign_keys(constraints: Rows) -> Iterator[tuple[str, str]]:
    """The schema and name of each foreign key."""
    for row in (row for rows in constraints.values() for row in rows):
        if row["constraint_type"] == "FOREIGN KEY":
            yield row["constraint_schema"], row["constraint_name"]


def _parents(sql: Sql, keys: Collection[Key]) -> Mapping[Key, str]:
    """The table of each key, as far as this user may see it."""
    found: dict[Key, str] = {}
    for catalog in sorted({key[0] for key in keys} - {UNKNOWN}):
        names = ", ".join(sorted({string_literal(name) for of, _, name in keys if of == catalog}))
        try:
            rows = sql.query(
                f"SELECT constraint_schema, constraint_name, table_schema, table_name "
                f"FROM {quote(catalog)}.information_schema.table_constraints WHERE constraint_name IN ({names})"
            )
        except SqlFailed as exc:
            if is_not_found(exc):
                continue
            raise
        for row in rows:
            parent = RelationName(catalog, row["table_schema"], row["table_name"])
            found[catalog, row["constraint_schema"], row["constraint_name"]] = str(parent)
    return found


def _references(sql: Sql, catalog: str) -> Mapping[tuple[str, str], Key]:
    """The key that each foreign key of a catalog references, by the foreign key's schema and name."""
    try:
        rows = sql.query(f"SELECT * FROM {quote(catalog)}.information_schema.referential_constraints")
    except SqlFailed as exc:
        if is_not_found(exc):
            return {}
        raise
    parts = ("unique_constraint_catalog", "unique_constraint_schema", "unique_constraint_name")
    found: dict[tuple[str, str], Key] = {}
    for row in rows:
        of, schema, name = (row[part] or UNKNOWN for part in parts)
        found[row["constraint_schema"], row["constraint_name"]] = (of, schema, name)
    return found


def _tags(rows: Sequence[Any]) -> dict[str, str]:
    return {row["tag_name"]: row["tag_value"] or "" for row in rows}


def _column_tags(rows: Sequence[Any]) -> dict[str, str]:
    return {f"{row['column_name']}.{row['tag_name']}": row["tag_value"] or "" for row in rows}


def _filter(row: Any) -> str:
    """A row filter and the columns that it is given; ON without columns where it is given none."""
    return f"{row['filter_name']} on ({row['target_columns'] or ''})"


def _mask(row: Any) -> str:
    """A mask and the columns that it is given besides its own."""
    return f"{row['mask_name']} using ({row['using_columns']})" if row["using_columns"] else row["mask_name"]


def _grants(rows: Sequence[Any]) -> tuple[str, ...]:
    own = [row for row in rows if (row["inherited_from"] or "NONE").upper() == "NONE"]
    return tuple(sorted({f"{row['privilege_type']} to {row['grantee']}" for row in own}))
