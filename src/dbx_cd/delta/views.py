"""The text of views: which relations it names, in what order views come, a view over other relations, its SQL."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

from dbx_cd.delta.tables import Column
from dbx_cd.delta.view_reading import UNKNOWN_READING, ViewReading
from dbx_cd.relations import RelationName, quote, string_literal

_PART = r"(`(?:[^`]|``)+`|[\w$-]+)"
_THREE_PARTS = re.compile(rf"(?<![\w`.$-]){_PART}\s*\.\s*{_PART}\s*\.\s*{_PART}")


Namespaces = Mapping[str, Sequence[str] | None]


def dependency_order(texts: Mapping[str, str], namespaces: Namespaces) -> list[str]:
    """`dependency_levels` in one list."""
    return [name for level in dependency_levels(texts, namespaces) for name in level]


def dependency_levels(texts: Mapping[str, str], namespaces: Namespaces) -> list[list[str]]:
    """The relations in groups: each view is in a later one than those its text names, else they keep their places.

    A name that merely occurs in a comment or a string, or is a column's, costs nothing but a needless order; should two
    texts so seem to read each other, each is a group of its own in the order given.

    Args:
        texts: the text of each view by relation name, "" for what is no view.
        namespaces: catalog and schema in which a text is read, where known; dbt writes three-level names.
    """
    keys = {RelationName.parse(name).key: name for name in texts}
    graph = {
        name: {keys[n] for n in named_in(text, namespaces.get(name)) if n in keys and keys[n] != name}
        for name, text in texts.items()
    }
    place = {name: n for n, name in enumerate(texts)}
    sorter, levels = TopologicalSorter(graph), []
    try:
        sorter.prepare()
    except CycleError:
        # A column may have a view's name: whole names alone say less, and are right.
        return [[name] for name in texts] if not any(namespaces.values()) else dependency_levels(texts, {})
    while sorter.is_active():
        levels.append(sorted(sorter.get_ready(), key=place.__getitem__))
        sorter.done(*levels[-1])
    return levels


def named_in(text: str, namespace: Sequence[str] | None) -> set[str]:
    """What a query may name, by `RelationName.key`; names of one or two parts are completed by where it is read."""
    plain = re.sub(r"\s*\.\s*", ".", text.replace("`", "").lower())
    words = set(re.findall(r"[\w$-]+(?:\.[\w$-]+)*", plain))
    if namespace is None or len(namespace) != 2:
        return words
    catalog, schema = (part.lower() for part in namespace)
    completed = {0: f"{catalog}.{schema}.", 1: f"{catalog}."}
    return {completed.get(word.count("."), "") + word for word in words}


def with_other_relations(text: str, others: Mapping[str, RelationName]) -> str:
    """The text of a view with other relations in place of those it names, by `RelationName.key`."""

    def other(match: re.Match[str]) -> str:
        name = ".".join(part.strip().strip("`").replace("``", "`") for part in match.groups())
        found = others.get(name.lower())
        return found.quoted if found is not None else match[0]

    return _THREE_PARTS.sub(other, text)


AS_WRITTEN = {"spark.sql.variable.substitute": "false"}
"""Settings under which a text goes into a view as it is: else Spark replaces what looks like a variable in it."""

_MEANING = (
    "spark.sql.ansi.",
    "spark.sql.caseSensitive",
    "spark.sql.crossJoin.",
    "spark.sql.decimalOperations.",
    "spark.sql.groupBy",
    "spark.sql.legacy.",
    "spark.sql.mapKeyDedupPolicy",
    "spark.sql.orderByOrdinal",
    "spark.sql.parser.",
    "spark.sql.session.timeZone",
)


def meaning(settings: Mapping[str, str]) -> dict[str, str]:
    """Those of the settings kept with a view that say what its query means, not how it is carried out."""
    return {name: value for name, value in sorted(settings.items()) if name.startswith(_MEANING)}


def create_view_sql(
    view: RelationName,
    *,
    text: str,
    columns: Sequence[Column],
    comment: str | None,
    properties: Mapping[str, str],
    reading: ViewReading = UNKNOWN_READING,
) -> str:
    """CREATE OR REPLACE VIEW from its parts; the column list keeps names and comments that the query does not say.

    A view that follows the schema of what it reads has no such list: Spark refuses it (measured).
    """
    columns = () if reading.schema_mode == "EVOLUTION" else columns
    listed = ", ".join(quote(c.name) + (f" COMMENT {string_literal(c.comment)}" if c.comment else "") for c in columns)
    parts = [f"CREATE OR REPLACE VIEW {view.quoted}"]
    if listed:
        parts.append(f"({listed})")
    if comment:
        parts.append(f"COMMENT {string_literal(comment)}")
    if reading.schema_mode:
        parts.append(f"WITH SCHEMA {reading.schema_mode}")
    if reading.collation and reading.collation != "UTF8_BINARY":
        parts.append(f"DEFAULT COLLATION {reading.collation}")
    if properties:
        parts.append(f"TBLPROPERTIES ({property_list(properties)})")
    return " ".join(parts) + f" AS {text}"


def property_list(properties: Mapping[str, str]) -> str:
    """Properties as SQL writes them: 'key' = 'value', ..."""
    return ", ".join(f"{string_literal(k)} = {string_literal(v)}" for k, v in sorted(properties.items()))
