"""Relations that production still has and no node makes any more.

An earlier release made them: its manifest says so. What nobody knows to be dbt's is never one of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Literal

from dbx_cd.dbt.artifacts import Manifest, Node
from dbx_cd.delta.tables import CatalogEntry
from dbx_cd.plan.loss import Loss, loss
from dbx_cd.plan.readers import Readers

OrphanPolicy = Literal["tell", "drop"]


def orphans_of(
    manifest: Manifest, *, earlier: Sequence[Manifest], there: Mapping[str, CatalogEntry], policy: OrphanPolicy
) -> tuple[Loss, ...]:
    """The orphans of a release, by their names.

    Args:
        manifest: the release's manifest, for the target.
        earlier: manifests of releases that the target had, the newest first: they prove that dbt made a relation.
        there: what the target has, by `RelationName.key`; those that are not in it are not looked at.
        policy: whether they are to be dropped; then each needs consent.
    """
    used = {node.relation.key for node in manifest.nodes.values() if node.relation is not None}
    found: dict[str, Loss] = {}
    for before in earlier:
        readers = Readers(before)
        for node in before.relations.values():
            assert node.relation is not None
            key = node.relation.key
            entry = there.get(key)
            if key in used or key in found or entry is None or entry.kind == "missing":
                continue
            read_by, exposures = readers.of(node.unique_id)
            found[key] = replace(_orphan(node, manifest, entry, policy), readers=read_by, exposures=exposures)
    return tuple(sorted(found.values(), key=lambda orphan: orphan.name))


def orphan_candidates(manifest: Manifest, *, earlier: Sequence[Manifest]) -> Iterator[Node]:
    """The nodes of earlier releases whose relations no node of this one has: what to ask the catalog about."""
    used = {node.relation.key for node in manifest.nodes.values() if node.relation is not None}
    seen: set[str] = set()
    for before in earlier:
        for key, node in before.relations.items():
            if key not in used and key not in seen:
                seen.add(key)
                yield node


def _orphan(node: Node, manifest: Manifest, entry: CatalogEntry, policy: OrphanPolicy) -> Loss:
    assert node.relation is not None
    what = entry.kind if entry.kind != "other" else entry.table_type.lower().replace("_", " ")
    now = manifest.nodes.get(node.unique_id)
    moved = f"; {node.resource_type} {node.name} is {now.relation} now" if now is not None and now.relation else ""
    if policy == "drop" and entry.kind != "other":
        detail = f"the {what} is dropped: {node.resource_type} {node.name} made it, and nothing does any more{moved}"
        return loss(node.relation, "orphan_dropped", "orphan", detail)
    detail = f"the {what} stays as it is: {node.resource_type} {node.name} made it, and nothing does any more{moved}"
    return loss(node.relation, "orphan", "orphan", detail, destructive=False)
