"""dbt's structured events, one JSON object a line with `--log-format json`.

`info` has name, level and message of an event, `data` its own fields. Results of nodes carry `index`, `total`, `status`
and `node_info` (read in dbt-core 1.11's `events/types.py`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_STARTED = "LogStartLine"


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
            info, data = document["info"], document.get("data")
            name, level = str(info["name"]), str(info["level"])
            message, thread = str(info.get("msg") or ""), str(info.get("thread") or "")
            return cls(name, level, message, data if isinstance(data, dict) else {}, thread)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return cls("Output", "info", line.rstrip("\n"), {})

    @property
    def node_info(self) -> Mapping[str, Any]:
        """What it says of the node that it is about; nothing where it is about none."""
        info = self.data.get("node_info")
        return info if isinstance(info, dict) else {}

    @property
    def unique_id(self) -> str:
        """The unique id of that node; "" where it is about none."""
        return str(self.node_info.get("unique_id") or "")

    @property
    def node(self) -> str | None:
        """The name of the node the event is about."""
        return str(self.node_info.get("node_name") or "") or None

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
        total = self.data.get("total") or self.data.get("num_models")
        return total if isinstance(total, int) else 0
