"""A live line made of dbt's events: nodes done of total, what runs now, time elapsed."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Self, TextIO

from dbx_cd.dbt.events import DbtEvent
from dbx_cd.dbt.shown_warnings import ShownWarnings, is_wanted
from dbx_cd.progress import LiveProgress

_SHOWN_AT_ONCE = 3


class NodeCounter:
    """Folds events into how many nodes are done, how many there are, and which run now."""

    def __init__(self) -> None:
        self.done = 0
        self.total = 0
        self.failed: list[str] = []
        self.current: dict[str, float] = {}

    def take(self, event: DbtEvent) -> None:
        """Count one event."""
        if event.node is None:
            return
        self.total = max(self.total, event.total)
        if event.starts_node:
            self.current[event.node] = time.monotonic()
        elif event.ends_node:
            self.current.pop(event.node, None)
            self.done = min(self.done + 1, self.total)
            if event.level == "error":
                self.failed.append(event.node)

    @property
    def now(self) -> str:
        """The nodes that run now, the longest-running first, cut after a few."""
        names = sorted(self.current, key=self.current.__getitem__)
        more = len(names) - _SHOWN_AT_ONCE
        return ", ".join(names[:_SHOWN_AT_ONCE]) + (f" +{more}" if more > 0 else "")


class DbtProgress:
    """Shows a dbt invocation while it runs: nodes done of total, and which run now.

    Failures and warnings are written out as they come, each warning once.

    Args:
        title: what runs, such as "dbt build (stg)".
        stream: where to write; by default standard error.
        work: the work folder, for warnings that an earlier invocation has shown.
    """

    def __init__(self, title: str, *, stream: TextIO | None = None, work: Path | None = None) -> None:
        self._counter = NodeCounter()
        self._warnings = ShownWarnings(work)
        self._live = LiveProgress(title, unit="node", stream=stream)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._live.__exit__(*exc_info)

    def take(self, event: DbtEvent) -> None:
        """Show one event."""
        self._counter.take(event)
        if event.level == "error" or (event.level == "warn" and self._is_new(event)):
            self._live.write(event.message)
        is_said = event.ends_node and event.level == "warn"
        ended = f"{event.node}: {event.data.get('status') or event.name}" if event.ends_node and not is_said else ""
        self._live.show(self._counter.done, self._counter.total, now=self._counter.now, ended=ended)

    def _is_new(self, warning: DbtEvent) -> bool:
        if is_wanted(warning):
            return False
        ends = warning.ends_node
        return self._warnings.is_new(warning.name, warning.message, node=warning.node, ends_node=ends)
