"""Which relations the text of a view names: in what order views come, and the same view over other relations."""

from __future__ import annotations

import re
from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter

from dbx_cd.relations import RelationName

_PART = r"(`(?:[^`]|``)+`|[\w$-]+)"
_THREE_PARTS = re.compile(rf"(?<![\w`.$-]){_PART}\s*\.\s*{_PART}\s*\.\s*{_PART}")


def dependency_order(texts: Mapping[str, str]) -> list[str]:
    """The relations so that each view comes after those its text names; what reads nothing keeps its place.

    dbt writes three-level names into every view. A name that merely occurs in a comment or a string costs nothing but
    a needless order; should two texts so seem to read each other, the order given stays.

    Args:
        texts: the text of each view by relation name, "" for what is no view.
    """
    keys = {RelationName.parse(name).key: name for name in texts}
    plain = {name: re.sub(r"\s*\.\s*", ".", text.replace("`", "").lower()) for name, text in texts.items()}
    graph: dict[str, set[str]] = {}
    for name, text in plain.items():
        words = set(re.findall(r"[\w$-]+(?:\.[\w$-]+)+", text)) if text else set()
        graph[name] = {keys[w] for w in words if w in keys and keys[w] != name}
    try:
        return list(TopologicalSorter(graph).static_order())
    except CycleError:
        return list(texts)


def with_other_relations(text: str, others: Mapping[str, RelationName]) -> str:
    """The text of a view with other relations in place of those it names, by `RelationName.key`."""

    def other(match: re.Match[str]) -> str:
        name = ".".join(part.strip().strip("`").replace("``", "`") for part in match.groups())
        found = others.get(name.lower())
        return found.quoted if found is not None else match[0]

    return _THREE_PARTS.sub(other, text)
