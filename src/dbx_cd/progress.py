"""How far something is, while it runs: one line that moves, or one line for each thing done where nothing can move."""

from __future__ import annotations

import io
import sys
import time
from typing import Any, Self, TextIO

from tqdm import tqdm


class LiveProgress:
    """Shows how many things are done.

    A terminal and a notebook see a bar; a log file, where nothing can move, gets a line for each thing that ends.

    Args:
        title: what is going on, such as "restore".
        unit: what is counted, such as "relation".
        total: how many there are; 0 while that is not known.
        stream: where to write; by default standard error.
    """

    def __init__(self, title: str, *, unit: str, total: int = 0, stream: TextIO | None = None) -> None:
        self._title = title
        shown = stream or sys.stderr
        # A process may have no standard error, or a closed one: then nobody looks.
        self._stream: TextIO = io.StringIO() if shown is None or getattr(shown, "closed", False) else shown
        self._started = time.monotonic()
        self._bar: tqdm[Any] | None = None
        if self._stream.isatty() or "ipykernel" in sys.modules:
            self._bar = tqdm(desc=title, total=total or None, unit=unit, file=self._stream, dynamic_ncols=True)

    @property
    def moves(self) -> bool:
        """Whether there is a bar, and nobody sees what ends unless it is written out."""
        return self._bar is not None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._bar is not None:
            self._bar.set_postfix_str("")
            self._bar.close()

    def show(self, done: int, total: int, *, now: str, ended: str = "") -> None:
        """Show how far things are.

        Args:
            done: how many are done.
            total: how many there are; 0 when that is not known.
            now: what the bar names, such as what runs now.
            ended: what has just ended and how, for a log file.
        """
        if self._bar is not None:
            self._bar.total, self._bar.n = total or None, done
            self._bar.set_postfix_str(now, refresh=True)
        elif ended:
            self.write(f"{done}/{total} {ended} at {time.monotonic() - self._started:.0f} s")

    def write(self, text: str) -> None:
        """Write something out, such as a failure: above the bar, or as a line of a log file."""
        if self._bar is not None:
            tqdm.write(text, file=self._stream)
        else:
            self._stream.write(f"{self._title} | {text}\n")
            self._stream.flush()
