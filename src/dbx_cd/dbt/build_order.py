"""What waits for what in one dbt invocation, and the chain of nodes that takes longest.

As dbt-core 1.11 does it: a node waits for its parents, also through nodes that are not selected (`get_subset_graph` in
graph/graph.py); in `dbt build` also for the data tests of what is above it, where it is below all that a test reads
(`add_test_edges` in compilation.py), and for its own unit tests (task/build.py).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from graphlib import TopologicalSorter

from dbx_cd.dbt.artifacts import Manifest
from dbx_cd.dbt.runnable import TEST_TYPES, is_run

Waits = Mapping[str, frozenset[str]]
"""The nodes that run, each after those that it waits for, in an order in which they could run one by one."""


@dataclass(frozen=True)
class Chain:
    """Nodes of which each waits for the one before."""

    nodes: tuple[str, ...]
    """Their unique ids, the first one first."""
    seconds: float
    """What they take, one after another."""


def waits(manifest: Manifest, selected: Collection[str], *, command: str = "build") -> Waits:
    """What each node that is run waits for, among those that are run.

    Args:
        manifest: the project.
        selected: unique ids; what dbt does not run of them, such as an exposure or an ephemeral model, is left out.
        command: dbt's command; tests come before what is below them in `build` alone.
    """
    parents = {n.unique_id: {p for p in n.depends_on if p in manifest.nodes} for n in manifest.nodes.values()}
    if command == "build":
        for test, child in list(_held_by_tests(manifest, parents)):
            parents[child].add(test)
        tested = {n.unique_id: parents[n.unique_id] for n in manifest.nodes.values() if n.resource_type == "unit_test"}
        parents |= {unit: {above for node in nodes for above in parents[node]} for unit, nodes in tested.items()}
        for unit, nodes in tested.items():
            for node in nodes:
                parents[node].add(unit)
    chosen = {n.unique_id for n in manifest.select(selected) if is_run(n)}
    found: dict[str, frozenset[str]] = {}
    through: dict[str, frozenset[str]] = {}
    for node in TopologicalSorter(parents).static_order():
        above = frozenset(up for p in parents[node] for up in ({p} if p in chosen else through[p]))
        through[node] = above
        if node in chosen:
            found[node] = above
    return found


def slowest_chain(order: Waits, seconds: Mapping[str, float]) -> Chain:
    """The chain that takes longest, however many threads there are.

    Args:
        order: what waits for what.
        seconds: by unique id; a node without any takes none.
    """
    total: dict[str, float] = {}
    before: dict[str, str | None] = {}
    for node, above in order.items():
        last = max(sorted(above), key=total.__getitem__, default=None)
        before[node] = last
        total[node] = seconds.get(node, 0.0) + (total[last] if last is not None else 0.0)
    at = max(sorted(total), key=total.__getitem__, default=None)
    length = total[at] if at is not None else 0.0
    chain: list[str] = []
    while at is not None:
        chain.append(at)
        at = before[at]
    return Chain(tuple(reversed(chain)), length)


def _held_by_tests(manifest: Manifest, parents: Mapping[str, set[str]]) -> Iterator[tuple[str, str]]:
    """The first nodes below all that a data test reads, each with the test."""
    children: dict[str, list[str]] = {node: [] for node in parents}
    for node, above in parents.items():
        if manifest.nodes[node].resource_type not in TEST_TYPES:
            for parent in above:
                children[parent].append(node)

    @cache
    def below(node: str) -> frozenset[str]:
        found: set[str] = set()
        open_ends = [node]
        while open_ends:
            new = [child for child in children[open_ends.pop()] if child not in found]
            found.update(new)
            open_ends += new
        return frozenset(found)

    for test in (n for n in manifest.nodes.values() if n.resource_type == "test"):
        read = parents[test.unique_id]
        if len(read) == 1:
            yield from ((test.unique_id, child) for child in children[next(iter(read))])
        elif read:
            after_all = frozenset.intersection(*map(below, read))
            yield from ((test.unique_id, child) for child in after_all if not parents[child] & after_all)
