"""Which of dbt's warnings a person has seen: each is shown once, although every invocation parses the project anew.

One build is several invocations: what is selected, what it is called elsewhere, the build itself. Each says again what
is wrong with the project, and at its end what its tests have warned of already.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path

from dbx_cd.dbt.events import DbtEvent

_MEMORY = "warnings-shown"
# At the end dbt lists the warnings of nodes once more (dbt-core 1.11, `task/printer.py`).
_AT_THE_END = ("RunResultWarning", "RunResultWarningMessage")
# That hooks do not run is what `without_hooks` wants. dbt counts its warnings of this kind once more at the end.
_WANTED = "SourceFreshnessProjectHooksNotRun"
_SUMMARY = "DeprecationsSummary"


class ShownWarnings:
    """The warnings of the invocations that share a work folder, or work in one below it.

    Args:
        work: the folder; None remembers nothing beyond this invocation.
    """

    def __init__(self, work: Path | None = None) -> None:
        places = [] if work is None else [work / _MEMORY, work.parent / _MEMORY]
        self._memory = next((place for place in places if place.is_file()), places[0] if places else None)
        self._known: set[str] = set()
        # A warning that is shown once more is no harm.
        if self._memory is not None:
            with suppress(OSError, ValueError):
                self._known = set(self._memory.read_text("ascii").split())
        self._nodes: set[str] = set()

    def is_new(self, event: str, message: str, *, node: str | None, ends_node: bool) -> bool:
        """Whether a warning was not shown yet; from now on it was.

        How a node ended is always new: it has ended once more.

        Args:
            event: dbt's name of the event.
            message: the warning.
            node: the node that it is about.
            ends_node: whether it says that the node has ended.
        """
        if node is not None and ends_node:
            self._nodes.add(node)
            return True
        if event in _AT_THE_END and node in self._nodes:
            return False
        name = hashlib.sha256(message.encode()).hexdigest()
        if name in self._known:
            return False
        self._known.add(name)
        if self._memory is not None:
            self._memory.parent.mkdir(parents=True, exist_ok=True)
            with self._memory.open("a", encoding="ascii") as memory:
                memory.write(f"{name}\n")
        return True


def is_wanted(event: DbtEvent) -> bool:
    """Whether an event warns of nothing but what this library has asked dbt for: that no hooks run."""
    if event.name == _WANTED:
        return True
    counted = event.data.get("summaries") if event.name == _SUMMARY else None
    return bool(counted) and all(kind.get("event_name") == _WANTED for kind in counted or ())
