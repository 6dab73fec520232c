"""A live line made of dbt's events: nodes done of total, what runs now, time elapsed."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Self, TextIO

from dbx_cd.dbt.events import DbtEvent
from dbx_cd.dbt.shown_warnings import ShownWarnings, is_wanted
from dbx_cd.progress import LiveProgress

_SHOWN_AT_ONCE = 3
# dbt counts by the order in which nodes begin, the live line by that in which they end.
_INDEX = re.compile(r"^\d+ of \d+ ")


class NodeNames:
    """How nodes are called, each so that no other of the invocation is called the same.

    A model is called with its version; where two packages have a name, the one that comes second after its package, and
    any further one by its unique id.
    """

    def __init__(self) -> None:
        self._owners: dict[str, str] = {}

    def of(self, event: DbtEvent) -> str:
        """The name of the node that an event is about; "" where it is about none."""
        kind, _, rest = event.unique_id.partition(".")
        package, _, versioned = rest.partition(".")
        name = versioned if kind == "model" and versioned else event.node or ""
        names = (name, f"{package}.{name}", event.unique_id)
        return next(n for n in names if self._owners.setdefault(n, event.unique_id) == event.unique_id)


class NodeCounter:
    """Folds events into how many nodes are done, how many there are, and which run now."""

    def __init__(self) -> None:
        self._names = NodeNames()
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
            self.current[self.name_of(event)] = time.monotonic()
        elif event.ends_node:
            self.current.pop(self.name_of(event), None)
            self.done = min(self.done + 1, self.total)
            if event.level == "error":
                self.failed.append(self.name_of(event))

    def name_of(self, event: DbtEvent) -> str:
        """What the node of an event is called, see `NodeNames`."""
        return self._names.of(event)

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
            self._live.write(_INDEX.sub("", event.message) if event.ends_node else event.message)
        is_said = event.ends_node and event.level == "warn"
        ended = f"{self._counter.name_of(event)}: {_how(event)}" if event.ends_node and not is_said else ""
        self._live.show(self._counter.done, self._counter.total, now=self._counter.now, ended=ended)

    def _is_new(self, warning: DbtEvent) -> bool:
        if is_wanted(warning):
            return False
        ends = warning.ends_node
        return self._warnings.is_new(warning.name, warning.message, node=warning.node, ends_node=ends)


def _how(event: DbtEvent) -> str:
    """How a node has ended; dbt 1.11 says of one that it skips nothing but the node's status."""
    return str(event.data.get("status") or event.node_info.get("node_status") or event.name)
