"""Where each ref that leaves the selection resolves: to production, to staging, or nowhere.

dbt decides that while it builds, ref by ref: a parent that is selected is the target's own; another one is the state's
where the state has it and `--favor-state` is given or the target has nothing of that name, and else the target's
(dbt-core 1.11, `create_relation` in `context/providers.py`). It never asks whether the state's relation exists, and a
foreign key's `to: ref()` is the state's whenever the state has the node, selected or not (`compilation.py`; dbt-core
issues 12455 and 12949). So it is decided here, once, by what is there; and dbt is given a state that holds nothing but
what has to resolve to it, see `derived_state`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from dbx_cd.dbt.artifacts import Manifest, Node
from dbx_cd.dbt.effects import MATERIALIZATIONS
from dbx_cd.dbt.functions import object_name
from dbx_cd.dbt.runnable import MADE_TYPES
from dbx_cd.policies import UntaggedChanges

Place = Literal["target", "state", "nowhere"]


@dataclass(frozen=True)
class Resolution:
    """Where the refs to one node that is not selected resolve."""

    parent: str
    """The unique id of the node that is read."""
    place: Place
    """`target` is what is built into, `state` what it defers to; `nowhere`: neither has it."""
    relation: str
    """The relation that is read, plain and dotted; of `nowhere` the one that would be."""
    readers: tuple[str, ...]
    """The unique ids of the selected nodes that read it, also through ephemeral models; of hooks as well."""
    reason: str
    """Why there, for people."""
    changed: bool = False
    """Whether its own code, or that of something it reads and that does not ship either, is not what production has."""


@dataclass(frozen=True)
class Presence:
    """What refs can resolve to."""

    target: Collection[str]
    """The relations that the target has, by `RelationName.key`."""
    state: Manifest
    """The manifest of what the target defers to."""
    in_state: Collection[str]
    """The relations that are there, by key."""
    names: tuple[str, str] = ("prod", "stg")
    """What the target and what it defers to are called."""


@dataclass(frozen=True)
class Refs:
    """The refs of a build that leave its selection."""

    manifest: Manifest
    """The manifest of the target."""
    selected: Collection[str]
    """The unique ids that are built."""
    changed: Collection[str] = field(default_factory=frozenset)
    """The unique ids whose code is not what the target has."""
    kept: Collection[str] = field(default_factory=frozenset)
    """The unique ids that ship and are not built, since the target has them as this build would make them."""

    def readers(self) -> Mapping[str, tuple[str, ...]]:
        """The nodes outside of the selection that it reads, each with who reads it; sorted."""
        found: dict[str, set[str]] = {}
        for node in self._reading():
            if node.is_ephemeral:  # selected or not, nothing is built of it by itself
                continue
            for parent in self._parents(node, seen=set()):
                found.setdefault(parent.unique_id, set()).add(node.unique_id)
        return {parent: tuple(sorted(found[parent])) for parent in sorted(found)}

    def ancestors(self) -> tuple[str, ...]:
        """All that is not selected and is above the selection, ephemeral models too; sorted."""
        found: set[str] = set()
        waiting = [p for node in self._reading() for p in node.depends_on]
        while waiting:
            unique_id = waiting.pop()
            node = self.manifest.nodes.get(unique_id)
            if node is None or unique_id in found or node.resource_type not in MADE_TYPES:
                continue
            if unique_id in self.selected or unique_id in self.kept:
                continue
            found.add(unique_id)
            waiting += node.depends_on
        return tuple(sorted(found))

    def with_changed_ancestors(self) -> frozenset[str]:
        """The unselected ancestors that differ from production's, or that read one which does and is not selected."""
        above = self.ancestors()
        found = {unique_id for unique_id in above if unique_id in self.changed}
        readers = {i: [p for p in self.manifest.nodes[i].depends_on if p in above] for i in above}
        while more := {i for i, parents in readers.items() if i not in found and found.intersection(parents)}:
            found |= more
        return frozenset(found)

    def _reading(self) -> Iterator[Node]:
        """What is built, and the hooks that run with whatever is built."""
        yield from self.manifest.select(self.selected)
        yield from (n for n in self.manifest.nodes.values() if n.resource_type == "operation")

    def _parents(self, node: Node, *, seen: set[str]) -> Iterator[Node]:
        """The relations that a node reads and that are not selected; ephemeral models are part of who reads them."""
        for parent in self.manifest.select(node.depends_on):
            if parent.unique_id in seen:
                continue
            seen.add(parent.unique_id)
            if parent.is_ephemeral:
                yield from self._parents(parent, seen=seen)
            elif parent.resource_type in MADE_TYPES and parent.unique_id not in self.selected:
                yield parent
                if node.resource_type == "unit_test":  # its rows have the columns of what the model reads
                    yield from self._parents(parent, seen=seen)


def resolutions(refs: Refs, there: Presence, *, rule: UntaggedChanges) -> tuple[Resolution, ...]:
    """Where the refs that leave a selection resolve, by what exists.

    Args:
        refs: the selection.
        there: what the refs can resolve to.
        rule: `read_staging` prefers the state's relation, the others the target's own.
    """
    changed = refs.with_changed_ancestors()
    return tuple(
        _kept(refs.manifest.nodes[parent], readers, there)
        if parent in refs.kept
        else _resolved(refs.manifest.nodes[parent], readers, there, changed=parent in changed, rule=rule)
        for parent, readers in refs.readers().items()
    )


def _kept(node: Node, readers: tuple[str, ...], there: Presence) -> Resolution:
    """What ships and is not built is read from where it would be built, whatever the rule: it is the same."""
    reason = f"unchanged: {there.names[0]} has it"
    return Resolution(node.unique_id, "target", str(node.relation), readers, reason)


def by_hooks(readers: Collection[str]) -> bool:
    """Whether nothing but hooks reads something: they may well look first whether it is there."""
    return all(reader.startswith("operation.") for reader in readers)


def is_listed(node: Node) -> bool:
    """Whether the catalog is sure to show what a node has built."""
    return node.resource_type == "function" or node.materialized in MATERIALIZATIONS


def _resolved(
    node: Node, readers: tuple[str, ...], there: Presence, *, changed: bool, rule: UntaggedChanges
) -> Resolution:
    own = object_name(node)
    other = there.state.nodes.get(node.unique_id)
    others = object_name(other) if other is not None and not other.is_ephemeral else None
    # A custom materialization may build what no catalog lists; one of the two that is listed says that it does not.
    seen = is_listed(node) or any(
        r is not None and r.key in k for r, k in ((own, there.target), (others, there.in_state))
    )
    in_state = others is not None and (others.key in there.in_state or not seen)
    in_target = own is not None and (own.key in there.target or not (seen or in_state))
    target, state = there.names
    favours_state = rule == "read_staging"

    def resolution(place: Place, relation: object, reason: str) -> Resolution:
        return Resolution(node.unique_id, place, str(relation), readers, reason, changed)

    if in_state and (favours_state or not in_target):
        return resolution("state", others, f"{rule}: {state} has it" if favours_state else f"{target} has none")
    if in_target:
        return resolution("target", own, f"{state} has none" if favours_state else f"{rule}: {target} has it")
    return resolution("nowhere", (others if favours_state and others else own), f"neither {target} nor {state} has it")
