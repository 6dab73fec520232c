"""What of the project a release touches, for a picture: what changes, and what is next to it."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from dbx_cd.dbt.artifacts import BUILT_TYPES, Manifest, Node
from dbx_cd.plan.readers import Readers

_MOST = 400  # edges: the picture draws about sixty nodes
_SHOWN = (*BUILT_TYPES, "source", "exposure", "function")


def edges_touched(manifest: Manifest, changed: Collection[str], read: Collection[str]) -> tuple[tuple[str, str], ...]:
    """The edges next to what changes, and all that lead on from there to what the project says reads the results.

    Args:
        manifest: the manifest.
        changed: the unique ids of what is built and is not what the target has.
        read: the unique ids of what is read and not built.

    Returns:
        Pairs of unique ids: what is read, and what reads it; no more than a picture can show.
    """
    shown = [node for node in manifest.nodes.values() if node.resource_type in _SHOWN]
    after = {*changed, *Readers(manifest).below(changed)}
    return tuple(sorted(set(_edges(shown, after, {*changed, *read}))))[:_MOST]


def _edges(shown: Collection[Node], after: Collection[str], ends: Collection[str]) -> Iterator[tuple[str, str]]:
    names = {node.unique_id for node in shown}
    for node in shown:
        for parent in node.depends_on:
            if parent in names and (node.unique_id in after or parent in ends):
                yield parent, node.unique_id
