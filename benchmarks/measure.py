"""Two ways of doing the same thing, in turn, and the ratio of their medians."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

QUIET_SECONDS = 2.0  # shorter rounds are not told one by one


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


def say(where: str) -> None:
    """Say where a measurement is, on standard error."""
    print(f"    {where}", file=sys.stderr, flush=True)


def side_by_side(
    name: str, ours: Callable[[], object], other: Callable[[], object], *, rounds: int, aim: float | None = None
) -> Ratio:
    """Run both in turn, one round of each to warm up that is not counted."""
    (ratio,) = in_turn(ours, [other], names=[name], aims=[aim], rounds=rounds)
    return ratio


def in_turn(
    ours: Callable[[], object],
    others: Sequence[Callable[[], object]],
    *,
    names: Sequence[str],
    aims: Sequence[float | None],
    rounds: int,
    warm: bool = False,
) -> list[Ratio]:
    """Run ours and several others in turn; a ratio against each. Unless all is `warm`, a first round is not counted."""
    works = [ours, *others]
    if not warm:
        say(f"{names[0]}: warming up")
        for work in works:
            work()
    times = []
    for n in range(rounds):
        times.append([_seconds(work) for work in works])
        if sum(times[-1]) > QUIET_SECONDS:
            say(f"round {n + 1} of {rounds}: {', '.join(f'{t:.1f}' for t in times[-1])} s")
    mine, *theirs = (tuple(column) for column in zip(*times, strict=True))
    return [Ratio(name, mine, other, aim) for name, other, aim in zip(names, theirs, aims, strict=True)]


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _spread(seconds: tuple[float, ...]) -> str:
    return f"{statistics.median(seconds):.3f} s ({min(seconds):.3f} to {max(seconds):.3f}, {len(seconds)} runs)"
