"""dbt's structured events, and a live line made from them: nodes done of total, what runs now, time elapsed.

dbt writes one JSON object per line with `--log-format json`: `info` (name, level, msg) and `data`. Node results carry
`index`, `total`, `status` and `node_info` (read in dbt-core 1.11's `events/types.py`).
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TextIO

from dbx_cd.dbt.shown_warnings import ShownWarnings
from dbx_cd.progress import LiveProgress

_STARTED = "LogStartLine"
_SHOWN_AT_ONCE = 3


@dataclass(frozen=True)
class DbtEvent:
    """One line of dbt's structured log."""

    name: str
    """dbt's name of the kind of event, such as `LogModelResult`."""
    level: str
    """`debug`, `info`, `warn` or `error`."""
    message: str
    """The line a person would read."""
    data: Mapping[str, Any] = field(repr=False)
    """The event's own fields."""
    thread: str = ""
    """The thread of dbt that said it."""

    @classmethod
    def parse(cls, line: str) -> DbtEvent:
        """Read a line; what is not an event (a warning of Python, say) becomes one named "Output"."""
        try:
            document = json.loads(line)
            info = document["info"]
            name, level = info["name"], info["level"]
            data = document.get("data") or {}
            return cls(name, level, info.get("msg") or "", data, str(info.get("thread") or ""))
        except (ValueError, KeyError, TypeError):
            return cls("Output", "info", line.rstrip("\n"), {})

    @property
    def node(self) -> str | None:
        """The name of the node the event is about."""
        info = self.data.get("node_info") or {}
        return info.get("node_name") or None

    @property
    def starts_node(self) -> bool:
        """Whether a node begins."""
        return self.name == _STARTED and self.node is not None

    @property
    def ends_node(self) -> bool:
        """Whether a node has ended: a result line or a skip."""
        return self.node is not None and self.total > 0 and self.name not in (_STARTED, "LogHookStartLine")

    @property
    def total(self) -> int:
        """How many nodes the invocation has, as results say it: `total`, or `num_models` for tests (dbt-core 1.11)."""
        return int(self.data.get("total") or self.data.get("num_models") or 0)


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
        ends = warning.ends_node
        return self._warnings.is_new(warning.name, warning.message, node=warning.node, ends_node=ends)
