"""When dbt ran what in one invocation, by thread, and which chain of nodes took longest, against the invocation before.

Pure: from the manifest and the results of the two.
"""

from __future__ import annotations

from dataclasses import dataclass

from dbx_cd import html
from dbx_cd.dbt.artifacts import Manifest, NodeResult, RunResults, is_failure
from dbx_cd.dbt.build_order import Chain, slowest_chain, waits

_MOST_CHANGED = 10
_HEADERS = ("node", "seconds", "before", "difference")


@dataclass(frozen=True)
class Bar:
    """One node in its thread."""

    unique_id: str
    """dbt's own id of the node."""
    name: str
    """The node's own name."""
    thread: int
    """The thread, counted from 1 in the order in which they began."""
    start: float
    """Seconds after the first node began."""
    seconds: float
    """How long it took."""
    status: str
    """dbt's word for how it ended."""
    before: float | None
    """How long it took in the invocation before; None where that did not run it."""


@dataclass(frozen=True)
class Timeline:
    """One dbt invocation, node by node."""

    bars: tuple[Bar, ...]
    """Every node that ran, by thread and time."""
    chain: Chain
    """The chain of nodes that took longest: no number of threads makes the build shorter than that."""
    seconds: float
    """From the first node's beginning to the last one's end."""
    seconds_before: float | None
    """The same of the invocation before; None where there is none, or it has no times."""

    @property
    def threads(self) -> int:
        """How many threads ran something."""
        return max((bar.thread for bar in self.bars), default=0)

    def __str__(self) -> str:
        names = {bar.unique_id: bar.name for bar in self.bars}
        before = "" if self.seconds_before is None else f", {self.seconds_before:.1f} s the time before"
        line = f"{len(self.bars)} nodes in {self.seconds:.1f} s with {self.threads} threads{before}"
        chain = " > ".join(names[node] for node in self.chain.nodes)
        return f"{line}; slowest chain, {self.chain.seconds:.1f} s: {chain}" if chain else line

    def to_html(self) -> str:
        """The picture, the slowest chain as a table, and what took longer or less than the time before."""
        places = {node: n for n, node in enumerate(self.chain.nodes, start=1)}
        spans = [
            html.Span(
                bar.name, bar.thread, bar.start, bar.seconds,
                note=f"{bar.status}{'' if bar.before is None else f', {bar.before:.1f} s the time before'}",
                failed=is_failure(bar.status), slowest=places.get(bar.unique_id, 0),
            )
            for bar in self.bars
        ]  # fmt: skip
        bars = {bar.unique_id: bar for bar in self.bars}
        chain = [(n, *_row(bars[node])) for node, n in places.items()]
        changed = sorted((bar for bar in self.bars if bar.before is not None), key=_change)[:_MOST_CHANGED]
        parts = [
            html.paragraph(self),
            html.timeline_picture(spans, seconds=self.seconds, before=self.seconds_before),
            html.fold("The slowest chain (outlined and numbered)", html.table(("", *_HEADERS), chain), opened=True),
        ]
        if changed:
            parts.append(html.fold("What changed most since the time before", html.table(_HEADERS, map(_row, changed))))
        return str(html.section("When it ran, by thread", *parts))


def timeline(manifest: Manifest, results: RunResults, *, last: RunResults | None = None) -> Timeline:
    """The timeline of an invocation.

    Args:
        manifest: of the same invocation.
        results: of the invocation; those without times, such as of skipped nodes, are left out.
        last: of the invocation to compare with.
    """
    ran = [r for r in results.results if r.timing is not None]
    before = {r.unique_id: r.seconds for r in last.results if r.timing is not None} if last else {}
    order = waits(manifest, [r.unique_id for r in ran], command=results.command)
    return Timeline(
        bars=tuple(_bars(ran, before)),
        chain=slowest_chain(order, {r.unique_id: r.seconds for r in ran}),
        seconds=span(results) or 0.0,
        seconds_before=span(last) if last else None,
    )


def _row(bar: Bar) -> tuple[object, ...]:
    before = None if bar.before is None else f"{bar.before:.1f}"
    return bar.name, f"{bar.seconds:.1f}", before, None if bar.before is None else f"{bar.seconds - bar.before:+.1f}"


def _change(bar: Bar) -> float:
    return -abs(bar.seconds - (bar.before or 0.0))


def span(results: RunResults) -> float | None:
    """Seconds from the first node's beginning to the last one's end; None where nothing has times."""
    times = [r.timing for r in results.results if r.timing is not None]
    if not times:
        return None
    return (max(t.ended for t in times) - min(t.started for t in times)).total_seconds()


def _bars(ran: list[NodeResult], before: dict[str, float]) -> list[Bar]:
    times = {r.unique_id: r.timing for r in ran if r.timing is not None}
    begun = min((t.started for t in times.values()), default=None)
    if begun is None:
        return []
    names = [t.thread for t in sorted(times.values(), key=lambda t: (t.started, t.thread))]
    threads = {name: number for number, name in enumerate(dict.fromkeys(names), start=1)}
    bars = [
        Bar(
            unique_id=r.unique_id,
            name=r.name,
            thread=threads[times[r.unique_id].thread],
            start=(times[r.unique_id].started - begun).total_seconds(),
            seconds=times[r.unique_id].seconds,
            status=r.status,
            before=before.get(r.unique_id),
        )
        for r in ran
    ]
    return sorted(bars, key=lambda bar: (bar.thread, bar.start, bar.unique_id))
