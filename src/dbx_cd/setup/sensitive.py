"""Which columns of a source are sensitive, by what Unity Catalog and the dbt project say of them."""

from __future__ import annotations

import fnmatch
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from dbx_cd.dbt.artifacts import Node
from dbx_cd.errors import ConfigError, SqlFailed
from dbx_cd.relations import RelationName, quote, string_literal

MASK_TAGS = ("pii", "phi", "pci", "gdpr", "personal*", "sensitive*", "confidential*", "secret", "class.*")
"""The tags that count by default. `class.*` are those that Databricks' own data classification sets (documentation)."""
WHOLE_TABLE = ""
"""Stands among the columns of a table for all of them."""


class Queries(Protocol):
    """What asks the workspace."""

    def query(self, statement: str) -> Sequence[Any]:
        """The rows of a query; raises `SqlFailed`."""


def tagged_columns(queries: Queries, tables: Collection[RelationName], patterns: Iterable[str]) -> dict[str, set[str]]:
    """The columns that carry a sensitive tag, in lower case, by `RelationName.key`.

    A tag counts by its name, or by its value as in `classification = pii`. One on the table is of all its columns.

    Args:
        queries: asks the workspace as the user.
        tables: the tables; the user can read them, so `information_schema` shows their tags.
        patterns: names of tags, as `fnmatch` has them; case does not matter.

    Raises:
        ConfigError: the tags of a catalog cannot be read, so that nobody knows what is sensitive in it.
    """
    wanted = list(patterns)
    found: dict[str, set[str]] = defaultdict(set)
    for catalog in sorted({table.catalog for table in tables}):
        members = [table for table in tables if table.catalog == catalog]
        try:
            for key, column in _tagged(queries, catalog, members, wanted):
                found[key].add(column)
        except SqlFailed as exc:
            raise ConfigError(
                f"which columns are sensitive cannot be read: {exc.what}",
                where=f"{catalog}.information_schema",
                next_step="get USE CATALOG on it, leave its sources out by --select, or take the rows as they are by "
                "--no-mask",
            ) from exc
    return found


def declared_columns(source: Node, patterns: Iterable[str]) -> set[str]:
    """The columns that the dbt project marks as sensitive, in lower case: by `tags`, or by a key or value of `meta`."""
    wanted = list(patterns)
    found = {name.lower() for name, column in source.columns.items() if _marked(column, wanted)}
    return found | ({WHOLE_TABLE} if _marked(source.raw, wanted) else set())


def _tagged(
    queries: Queries, catalog: str, members: Sequence[RelationName], patterns: Sequence[str]
) -> Iterator[tuple[str, str]]:
    schemas = ", ".join(
        string_literal(form) for form in sorted({f for t in members for f in (t.schema, t.schema.lower())})
    )
    place = f"{quote(catalog)}.information_schema"
    for row in queries.query(
        f"SELECT schema_name, table_name, column_name, tag_name, tag_value FROM {place}.column_tags "
        f"WHERE schema_name IN ({schemas})"
    ):
        if matches(row[3:5], patterns):
            yield RelationName(catalog, row[0], row[1]).key, str(row[2]).lower()
    for row in queries.query(
        f"SELECT schema_name, table_name, tag_name, tag_value FROM {place}.table_tags WHERE schema_name IN ({schemas})"
    ):
        if matches(row[2:4], patterns):
            yield RelationName(catalog, row[0], row[1]).key, WHOLE_TABLE


def matches(texts: Iterable[object], patterns: Sequence[str]) -> bool:
    """Whether a name or value is one of the sensitive ones."""
    return any(fnmatch.fnmatchcase(str(text).lower(), p.lower()) for text in texts if text for p in patterns)


def _marked(entry: Mapping[str, Any], patterns: Sequence[str]) -> bool:
    config = entry.get("config") or {}
    tags = [*(entry.get("tags") or ()), *(config.get("tags") or ())]
    meta = {**(entry.get("meta") or {}), **(config.get("meta") or {})}
    words = [word for key, value in meta.items() if value not in (None, False, "") for word in (key, value)]
    texts = [text for word in words for text in (word if isinstance(word, list) else [word])]
    return matches([*tags, *texts], patterns)
