"""When and where dbt ran a node: `timing` and `thread_id` of `run_results.json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Timing:
    """When one node ran, and in which of dbt's threads."""

    started: datetime
    """When dbt began to compile it."""
    ended: datetime
    """When it was done with it."""
    thread: str
    """The thread, as dbt names it, such as `Thread-4 (worker)`."""

    @property
    def seconds(self) -> float:
        """How long it had the thread."""
        return (self.ended - self.started).total_seconds()


def timing_of(raw: Mapping[str, Any]) -> Timing | None:
    """The timing of one result; None where dbt wrote none, as of a skipped node, or not all of it."""
    phases = [phase for phase in raw.get("timing") or () if phase.get("started_at") and phase.get("completed_at")]
    if not phases:
        return None
    return Timing(
        started=min(datetime.fromisoformat(phase["started_at"]) for phase in phases),
        ended=max(datetime.fromisoformat(phase["completed_at"]) for phase in phases),
        thread=str(raw.get("thread_id") or ""),
    )
