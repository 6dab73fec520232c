"""How far a restore is, while it runs: one line that moves, or a line for each relation where nothing can move."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any, Self, TextIO

from tqdm import tqdm

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
        self._stream = stream or sys.stderr
        self._total, self._done, self._started = total, 0, time.monotonic()
        moving = self._stream.isatty() or "ipykernel" in sys.modules
        self._bar: tqdm[Any] | None = (
            tqdm(desc="restore", total=total, unit="relation", file=self._stream, dynamic_ncols=True)
            if moving
            else None
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def __call__(self, done: RestoredRelation) -> None:
        """Count one relation."""
        self._done += 1
        if self._bar is None:
            seconds = time.monotonic() - self._started
            print(f"restore | {self._done}/{self._total} {done} at {seconds:.0f} s", file=self._stream, flush=True)
            return
        if not done.ok:
            tqdm.write(str(done), file=self._stream)
        self._bar.set_postfix_str(done.name, refresh=False)
        self._bar.update()
