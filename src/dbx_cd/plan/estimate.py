"""How long a build will take, from how long its nodes took in the last ones. Pure."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from dbx_cd.dbt.artifacts import Manifest, Node, RunResults
from dbx_cd.dbt.build_order import Waits, slowest_chain, waits
from dbx_cd.dbt.names import numbered
from dbx_cd.dbt.timeline import span

RUNS = 5
"""The last builds that say how long a node takes."""
# A node that failed ended early, and one that was skipped or reused did nothing.
_WHOLE = ("success", "pass", "warn", "fail")


@dataclass(frozen=True)
class Estimate:
    """How long a build will take, as far as the last ones tell."""

    seconds: float | None
    """From the first node to the end, dbt's own start and parse left out; None where nothing is known."""
    chain: tuple[str, ...]
    """The names of the slowest chain: no number of threads makes the build shorter than that."""
    chain_seconds: float
    """What the chain takes."""
    unknown: int
    """How many nodes have never run; each counts as the median of its kind."""
    threads: int
    """How many threads the last runs had."""

    def __str__(self) -> str:
        if self.seconds is None:
            return "not known: none of its nodes has run yet"
        line = f"about {self.seconds:.0f} s with {self.threads} thread{'s' * (self.threads != 1)}"
        chain = f"; slowest chain, {self.chain_seconds:.0f} s: {' > '.join(self.chain)}" if self.chain else ""
        new = f"; {self.unknown} node{'s have' if self.unknown > 1 else ' has'} never run" if self.unknown else ""
        return line + chain + new


def estimate(manifest: Manifest, selected: Collection[str], runs: Sequence[RunResults]) -> Estimate:
    """The expected seconds of a build of these nodes.

    Each node counts as the median of its last five runs; the schedule is dbt's: what is ready first gets the first
    thread that is free.

    Args:
        manifest: the project that will be built.
        selected: unique ids.
        runs: results of earlier builds, the oldest first.
    """
    order = waits(manifest, selected)
    known = _seconds(runs)
    seconds, unknown = _of_all(manifest, order, known)
    threads = max((_threads(run) for run in runs), default=1)
    chain = slowest_chain(order, seconds)
    expected = None if order and not known else _simulated(order, seconds, threads) + _around(runs)
    return Estimate(
        seconds=expected if order else 0.0,
        chain=tuple(numbered(manifest.nodes[node]) for node in chain.nodes),
        chain_seconds=chain.seconds,
        unknown=unknown,
        threads=threads,
    )


def _seconds(runs: Sequence[RunResults]) -> Mapping[str, float]:
    """What each node took, by the median of its last runs."""
    found: dict[str, list[float]] = {}
    for run in reversed(runs):
        for result in run.results:
            if result.status in _WHOLE and len(taken := found.setdefault(result.unique_id, [])) < RUNS:
                taken.append(result.seconds)
    return {node: median(taken) for node, taken in found.items()}


def _of_all(manifest: Manifest, order: Waits, known: Mapping[str, float]) -> tuple[Mapping[str, float], int]:
    """The seconds of every node, and how many of them are a guess."""
    guesses: dict[tuple[str, ...], list[float]] = {}
    for node in manifest.select(known):
        for kind in _kinds(node):
            guesses.setdefault(kind, []).append(known[node.unique_id])
    seconds = {}
    for node in manifest.select(order):
        guess = next((median(guesses[kind]) for kind in _kinds(node) if kind in guesses), 0.0)
        seconds[node.unique_id] = known.get(node.unique_id, guess)
    return seconds, sum(node not in known for node in order)


def _kinds(node: Node) -> Sequence[tuple[str, ...]]:
    """What a node is like, the nearest first."""
    return ((node.resource_type, node.materialized), (node.resource_type,), ())


def _threads(run: RunResults) -> int:
    """The threads of a run: dbt writes how many it was given only where that was by a flag."""
    given = run.args.get("threads")
    seen = {result.timing.thread for result in run.results if result.timing is not None}
    return given if isinstance(given, int) else max(1, len(seen))


def _around(runs: Sequence[RunResults]) -> float:
    """What a run takes before its first node and after its last one, hooks and the look at schemas included."""
    around = [run.elapsed - spanned for run in runs[-RUNS:] if run.elapsed and (spanned := span(run)) is not None]
    return max(0.0, median(around)) if around else 0.0


def _simulated(order: Waits, seconds: Mapping[str, float], threads: int) -> float:
    """When the last node ends. dbt hands a node to its threads as soon as that is ready, and they take the first that
    came; what is ready at once goes by depth, then by id (task/runnable.py and graph/queue.py of dbt-core 1.11)."""
    depth: dict[str, int] = {}
    below: dict[str, list[str]] = {node: [] for node in order}
    for node, above in order.items():
        depth[node] = max((depth[parent] + 1 for parent in above), default=0)
        for parent in above:
            below[parent].append(node)
    open_parents = {node: len(above) for node, above in order.items()}
    ready = [(0.0, depth[node], node) for node, count in open_parents.items() if not count]
    heapq.heapify(ready)
    running: list[tuple[float, str]] = []
    now = 0.0
    while ready or running:
        while ready and len(running) < threads:
            *_, node = heapq.heappop(ready)
            heapq.heappush(running, (now + seconds[node], node))
        now, done = heapq.heappop(running)
        for child in below[done]:
            open_parents[child] -= 1
            if not open_parents[child]:
                heapq.heappush(ready, (now, depth[child], child))
    return now
