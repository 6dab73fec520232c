"""How far a restore is, while it runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self, TextIO

from dbx_cd.progress import LiveProgress
from dbx_cd.rollback.journal import RestoredRelation

OnProgress = Callable[[RestoredRelation], object]


def silent(_done: RestoredRelation) -> None:
    """Show nothing."""


class RestoreProgress:
    """Shows each relation of a restore as it is done; give it as `on_progress`.

    A terminal and a notebook see a bar with the relation done last; a log file sees one line for each relation.
    Failures are written out as they come.

    Args:
        total: how many relations there are: `len(plan.items)`.
        stream: where to write; by default standard error.

    Example:
        with RestoreProgress(len(plan.items)) as progress:
            restore(cd, plan, seal=seal, on_progress=progress)
    """

    def __init__(self, total: int, *, stream: TextIO | None = None) -> None:
        self._total, self._done = total, 0
        self._live = LiveProgress("restore", unit="relation", total=total, stream=stream)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._live.__exit__(*exc_info)

    def __call__(self, done: RestoredRelation) -> None:
        """Count one relation."""
        self._done += 1
        if self._live.moves and not done.ok:
            self._live.write(str(done))
        self._live.show(self._done, self._total, now=done.name, ended=str(done))
