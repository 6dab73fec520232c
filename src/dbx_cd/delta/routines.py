"""The functions of a catalog, and what they are made of."""

from __future__ import annotations

from collections.abc import Collection

from dbx_cd.delta.information_schema import is_not_found
from dbx_cd.delta.sql import Sql
from dbx_cd.delta.tables import Function
from dbx_cd.errors import SqlFailed
from dbx_cd.relations import RelationName, quote, string_literal


def functions(sql: Sql, catalog: str, names: Collection[str]) -> dict[str, Function]:
    """`Tables.functions`: one query; names and columns are those of Unity Catalog's documentation."""
    if not names:
        return {}
    # Unity Catalog keeps names in lower case, other catalogs as they were written.
    listed = ", ".join(sorted({string_literal(form) for name in names for form in (name, name.lower())}))
    try:
        rows = sql.query(
            "SELECT routine_schema, routine_name, routine_body, external_language, routine_definition "
            f"FROM {quote(catalog)}.information_schema.routines WHERE routine_name IN ({listed})"
        )
    except SqlFailed as exc:
        if is_not_found(exc):  # a catalog that has no functions to show
            return {}
        raise
    found = {}
    for row in rows:
        name = RelationName(catalog, row["routine_schema"], row["routine_name"])
        # The body is SQL or EXTERNAL; then the language has its name.
        body = (row["routine_body"] or "").upper()
        language = "SQL" if body == "SQL" else (row["external_language"] or body)
        found[name.key] = Function(str(name), language or "SQL", row["routine_definition"])
    return found
