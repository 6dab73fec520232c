"""The functions of a dbt project: nodes of their own, of which dbt tells no `relation_name`."""

from __future__ import annotations

from collections.abc import Iterable

from dbx_cd.dbt.artifacts import Node
from dbx_cd.relations import RelationName


def function_name(node: Node) -> RelationName | None:
    """The function that a node makes; None for any other node.

    dbt-core 1.11 puts its parts into the manifest and leaves `relation_name` empty (measured).
    """
    raw = node.raw
    if node.resource_type != "function" or not raw.get("schema"):
        return None
    return RelationName(str(raw.get("database") or ""), str(raw["schema"]), str(raw.get("alias") or raw["name"]))


def functions_of(nodes: Iterable[Node]) -> tuple[RelationName, ...]:
    """The functions that nodes make, in their order."""
    return tuple(name for name in map(function_name, nodes) if name is not None)


def object_name(node: Node) -> RelationName | None:
    """The relation or the function that a node makes or is; None for what is neither."""
    return node.relation or function_name(node)
