"""Two ways of doing the same thing, in turn, and the ratio of their medians."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Ratio:
    """Ours against the other way, in seconds; `aim` is the largest ratio that is good enough."""

    name: str
    ours: tuple[float, ...]
    other: tuple[float, ...]
    aim: float | None = None

    @property
    def value(self) -> float:
        """The ratio of the medians."""
        return statistics.median(self.ours) / statistics.median(self.other)

    def __str__(self) -> str:
        aim = (
            "no aim yet" if self.aim is None else f"aim <= {self.aim}: {'met' if self.value <= self.aim else 'MISSED'}"
        )
        return f"{self.name}: {self.value:.2f} ({aim}); ours {_spread(self.ours)}, other {_spread(self.other)}"


def side_by_side(
    name: str, ours: Callable[[], object], other: Callable[[], object], *, rounds: int, aim: float | None = None
) -> Ratio:
    """Run both in turn, one round of each to warm up that is not counted."""
    ours(), other()
    times = [(_seconds(ours), _seconds(other)) for _ in range(rounds)]
    return Ratio(name, tuple(a for a, _ in times), tuple(b for _, b in times), aim)


def in_turn(
    ours: Callable[[], object],
    others: Sequence[Callable[[], object]],
    *,
    names: Sequence[str],
    aims: Sequence[float | None],
    rounds: int,
) -> list[Ratio]:
    """Run ours and several others in turn, one round to warm up that is not counted; a ratio against each other."""
    works = [ours, *others]
    for work in works:
        work()
    times = [[_seconds(work) for work in works] for _ in range(rounds)]
    mine, *theirs = (tuple(column) for column in zip(*times, strict=True))
    return [Ratio(name, mine, other, aim) for name, other, aim in zip(names, theirs, aims, strict=True)]


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _spread(seconds: tuple[float, ...]) -> str:
    return f"{statistics.median(seconds):.3f} s ({min(seconds):.3f} to {max(seconds):.3f}, {len(seconds)} runs)"
