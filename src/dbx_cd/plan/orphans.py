"""Relations that production still has and no node makes any more.

An earlier release made them: its results say so. Its manifest alone does not, for it also names what was selected by no
build, and a relation of that name may be somebody else's: it is told, and never dropped. So is what a release has left
that failed or was killed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from dbx_cd.dbt.artifacts import Manifest, Node
from dbx_cd.delta.tables import CatalogEntry
from dbx_cd.plan.loss import Loss, loss
from dbx_cd.plan.readers import Readers
from dbx_cd.plan.treatment import in_words
from dbx_cd.policies import Orphans
from dbx_cd.relations import RelationName


def orphans_of(
    manifest: Manifest,
    *,
    earlier: Sequence[Manifest],
    built: Collection[str],
    there: Mapping[str, CatalogEntry],
    policy: Orphans,
    begun: Sequence[RelationName] = (),
) -> tuple[Loss, ...]:
    """The orphans of a release, by their names.

    Args:
        manifest: the release's manifest, for the target.
        earlier: manifests of releases that the target had, the newest first.
        built: the relations, by key, that builds of these say they have made.
        there: what the target has, by `RelationName.key`; those that are not in it are not looked at.
        policy: whether they are to be dropped; then each needs consent.
        begun: what a release that was not deployed may have left. Nothing says whether it did, so it is only told.
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
            orphan = _orphan(node, manifest, entry, policy=policy, is_known=key in built)
            found[key] = replace(orphan, readers=read_by, exposures=exposures)
    for relation in begun:
        entry = there.get(relation.key)
        if relation.key not in used and relation.key not in found and entry is not None and entry.kind != "missing":
            detail = f"the {in_words(entry)} stays as it is: a release that failed left it, and nothing makes it"
            found[relation.key] = loss(relation, "orphan", "orphan", detail, destructive=False)
    return tuple(sorted(found.values(), key=lambda orphan: orphan.name))


def _orphan(node: Node, manifest: Manifest, entry: CatalogEntry, *, policy: Orphans, is_known: bool) -> Loss:
    assert node.relation is not None
    what = in_words(entry)
    now = manifest.nodes.get(node.unique_id)
    moved = f"; {node.resource_type} {node.name} is {now.relation} now" if now is not None and now.relation else ""
    made = f"{node.resource_type} {node.name} " + ("made it" if is_known else "had its name, no known build made it")
    if policy == "drop" and entry.kind != "other" and is_known:
        detail = f"the {what} is dropped: {made}, and nothing does any more{moved}"
        return loss(node.relation, "orphan_dropped", "orphan", detail)
    detail = f"the {what} stays as it is: {made}, and nothing does any more{moved}"
    return loss(node.relation, "orphan", "orphan", detail, destructive=False)
