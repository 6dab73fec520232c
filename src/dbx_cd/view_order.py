"""Which views read which, judged by their text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter

from dbx_cd.relations import RelationName


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
