"""What of a selection must be built so that the target becomes what a build of all of it would make. Pure.

A relation is left as it stands only where it is proved to be what would be made: the same code, macros, variables and
dbt; inputs that have no new data; nothing in the code that gives other rows from the same inputs; and nothing above it
that is built.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from dbx_cd.dbt.artifacts import Manifest, Node
from dbx_cd.dbt.changes import NodeChange
from dbx_cd.dbt.functions import object_name
from dbx_cd.dbt.runnable import MADE_TYPES, is_run
from dbx_cd.plan.resolution import Resolution, is_listed
from dbx_cd.relations import RelationName

Reasons = Mapping[str, tuple[str, ...]]
"""Why nodes are built, in words, by unique id."""


@dataclass(frozen=True)
class Standing:
    """What is known of what a target has."""

    manifest: Manifest
    """The manifest of the target, as the project is now."""
    selected: Collection[str]
    """The unique ids that were asked for."""
    changes: Mapping[str, NodeChange]
    """How each node's code differs from what the target has."""
    there: Collection[str]
    """The relations and functions that the target has, by key."""
    everything: str = ""
    """Why nothing can be left as it is, in words."""
    moved: Mapping[str, str] = field(default_factory=dict)
    """Why what a node reads outside of the selection is other code, in words, by the id of the node."""

    @property
    def made(self) -> tuple[Node, ...]:
        """What of the selection makes something in the target."""
        return tuple(n for n in self.manifest.select(self.selected) if n.resource_type in MADE_TYPES and is_run(n))

    @property
    def unchanged(self) -> tuple[Node, ...]:
        """Those of which nothing in the code says that they must be built."""
        return tuple(node for node in self.made if not any(_own(node, self)))


def reasons_to_build(standing: Standing, data: Callable[[Node], Sequence[str]]) -> Reasons:
    """What must be built of a selection, and why.

    Args:
        standing: what the target has.
        data: why a node whose code is the same may still give other rows, in words.
    """
    own = {node.unique_id: tuple(_own(node, standing)) or tuple(data(node)) for node in standing.made}
    start = {i for i, why in own.items() if why} | _ephemeral(standing)
    reached = below(standing.manifest, start)
    found = {}
    for node in standing.made:
        above = reached.get(node.unique_id)
        why = own[node.unique_id] or ((f"it reads {above}, which is built",) if above is not None else ())
        if why:
            found[node.unique_id] = why
    return found


def reads_outside(
    manifest: Manifest, selected: Collection[str], places: Mapping[str, RelationName]
) -> Mapping[str, tuple[RelationName, ...]]:
    """What selected nodes read that none of them makes: sources, and what is not selected; through ephemeral models.

    Args:
        manifest: the manifest.
        selected: unique ids.
        places: what the refs to unselected nodes mean, by the ids of those.
    """
    return {
        node.unique_id: tuple(sorted(set(_read(manifest, node, selected, places))))
        for node in manifest.select(selected)
    }


def moved_by(resolved: Sequence[Resolution]) -> Mapping[str, str]:
    """Which nodes read other code than before because what they read changed and does not ship, and why in words."""
    return {
        reader: f"it reads {found.parent}, which changed and does not ship"
        for found in resolved
        if found.changed and found.place == "state"
        for reader in found.readers
    }


def below(manifest: Manifest, start: Collection[str]) -> Mapping[str, str]:
    """All that is below some nodes, through whatever is between, each with what is above it."""
    children: dict[str, list[str]] = defaultdict(list)
    for node in manifest.nodes.values():
        for parent in node.depends_on:
            children[parent].append(node.unique_id)
    found: dict[str, str] = {}
    waiting = [(i, i) for i in sorted(start)]
    while waiting:
        at, above = waiting.pop()
        for child in children[at]:
            if child not in found:
                found[child] = above
                waiting.append((child, child if manifest.nodes[child].resource_type in MADE_TYPES else above))
    return found


def above(manifest: Manifest, unique_id: str) -> frozenset[str]:
    """All that is above a node, through whatever is between."""
    found: set[str] = set()
    waiting = [unique_id]
    while waiting:
        new = {parent.unique_id for parent in manifest.select(manifest.nodes[waiting.pop()].depends_on)} - found
        found |= new
        waiting += new
    return frozenset(found)


def _own(node: Node, standing: Standing) -> Iterator[str]:
    change = standing.changes.get(node.unique_id)
    if change is None or change.change != "unchanged":
        yield from (change.reasons if change is not None and change.reasons else ("it is new",))
    if standing.everything:
        yield standing.everything
    name = object_name(node)
    if name is not None and is_listed(node) and name.key not in standing.there:
        yield f"there is no {name} yet"
    if node.unique_id in standing.moved:
        yield standing.moved[node.unique_id]


def _ephemeral(standing: Standing) -> set[str]:
    """The ephemeral models that changed, selected or not: they are part of what reads them."""
    return {
        i
        for i, change in standing.changes.items()
        if change.change != "unchanged" and i in standing.manifest.nodes and standing.manifest.nodes[i].is_ephemeral
    }


def _read(
    manifest: Manifest, node: Node, selected: Collection[str], places: Mapping[str, RelationName]
) -> Iterator[RelationName]:
    seen: set[str] = set()
    waiting = [node]
    while waiting:
        new = [p for p in manifest.select(waiting.pop().depends_on) if p.unique_id not in seen]
        seen |= {parent.unique_id for parent in new}
        waiting += [parent for parent in new if parent.is_ephemeral]
        for parent in new:
            where = _place(parent, selected, places)
            if where is not None:
                yield where


def _place(parent: Node, selected: Collection[str], places: Mapping[str, RelationName]) -> RelationName | None:
    """What is read of a parent outside of the selection; of a function its name, which has no version."""
    if parent.resource_type == "source":
        return parent.relation
    if parent.is_ephemeral or parent.unique_id in selected or parent.resource_type not in MADE_TYPES:
        return None
    return places.get(parent.unique_id, object_name(parent))
