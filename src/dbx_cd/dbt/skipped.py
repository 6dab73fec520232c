"""Which nodes dbt skipped, and because of which ones that failed: its results name neither.

A node is skipped when one that it reads failed or was skipped, and in `dbt build` also when a test of one did
(dbt-core 1.11, `task/build.py`). Its result has no message then; the manifest knows what it reads.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path

from dbx_cd.dbt.artifacts import Manifest, NodeResult
from dbx_cd.dbt.runnable import TEST_TYPES
from dbx_cd.enumeration import listed
from dbx_cd.errors import ArtifactError

_SHOWN = 5
# "Skipping due to fail_fast" (dbt-core 1.11, `task/runnable.py`): the first failure stops everything.
_FAIL_FAST = "fail_fast"


@dataclass(frozen=True)
class SkippedNode:
    """A node that did not run."""

    unique_id: str
    """dbt's own id of the node."""
    name: str
    """Its own name, without type and package."""
    because: tuple[str, ...] = ()
    """The names of the nodes whose failure kept it from running; none where dbt's artifacts do not tell."""


def skipped_nodes(nodes: Sequence[NodeResult], manifest_file: Path) -> tuple[SkippedNode, ...]:
    """The nodes of an invocation that were skipped, in dbt's order; the manifest is read only where there are some.

    Args:
        nodes: the results.
        manifest_file: the manifest of the same invocation.
    """
    skipped = [n for n in nodes if n.status == "skipped"]
    if not skipped:
        return ()
    failed = {n.unique_id: n.name for n in nodes if n.failed}
    try:
        manifest = Manifest.load(manifest_file)
    except ArtifactError:
        return tuple(SkippedNode(n.unique_id, n.name) for n in skipped)
    above = _causes_above(failed, manifest)
    hooks, every = _hooks(nodes), tuple(failed.values())
    found = []
    for node in skipped:
        stopped = every if _FAIL_FAST in (node.message or "") else hooks
        found.append(SkippedNode(node.unique_id, node.name, above.get(node.unique_id) or stopped))
    return tuple(found)


def counted(nodes: Sequence[NodeResult], manifest_file: Path) -> str:
    """How many nodes ended how, for one line; those that were skipped have their names."""
    counts, skipped = Counter(node.status for node in nodes), skipped_nodes(nodes, manifest_file)
    why = {"skipped": f" ({skipped_in_words(skipped)})"} if skipped else {}
    listed = (f"{count} {status}{why.get(status, '')}" for status, count in sorted(counts.items()))
    return ", ".join(listed) or "no nodes"


def skipped_in_words(skipped: Sequence[SkippedNode]) -> str:
    """Names of skipped nodes with why, for one line; "" for none."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for node in skipped:
        groups.setdefault(node.because, []).append(node.name)
    parts = []
    for because, names in groups.items():
        why = f", since {listed(because, most=_SHOWN)} failed" if because else ""
        parts.append(listed(names, most=_SHOWN) + why)
    return "; ".join(parts)


def _causes_above(failed: Mapping[str, str], manifest: Manifest) -> dict[str, tuple[str, ...]]:
    """Names of the failures that skip each node, the nearest first; every node is looked at once, after what it reads.

    Args:
        failed: the names of what failed, by unique id.
        manifest: what reads what.
    """
    of_tests: dict[str, list[str]] = {}
    of_unit_tests: dict[str, list[str]] = {}
    for test in manifest.select(failed):
        if test.resource_type in TEST_TYPES:
            for read in test.depends_on:
                of_tests.setdefault(read, []).append(failed[test.unique_id])
                if test.resource_type == "unit_test":
                    of_unit_tests.setdefault(read, []).append(failed[test.unique_id])
    causes: dict[str, tuple[str, ...]] = {}
    for node in TopologicalSorter({i: n.depends_on for i, n in manifest.nodes.items()}).static_order():
        parents = manifest.nodes[node].depends_on if node in manifest.nodes else ()
        # A data test skips what reads the node that it tests, never that node's other tests alone; a unit test is run
        # before its model and skips that as well.
        names = [failed[p] for p in parents if p in failed]
        names += [name for p in parents for name in of_tests.get(p, ())]
        names += [name for p in parents if p not in failed for name in causes[p]]
        causes[node] = tuple(dict.fromkeys((*names, *of_unit_tests.get(node, ()))))
    return causes


def _hooks(nodes: Iterable[NodeResult]) -> tuple[str, ...]:
    """The hooks that failed: one at the start of a run skips every node."""
    return tuple(n.name for n in nodes if n.failed and n.resource_type == "operation")
