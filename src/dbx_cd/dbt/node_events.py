"""What dbt's events say of single nodes, where the artifacts say less: `sources.json` leaves out what went wrong."""

from __future__ import annotations

from dataclasses import dataclass, field

from dbx_cd.dbt.progress import DbtEvent

# The events that say why a node went wrong, in the order in which dbt 1.11 writes them, the fullest last
# (`task/base.py`, `task/printer.py`).
_REASONS = ("CatchableExceptionOnRun", "InternalErrorOnRun", "GenericExceptionOnRun", "RunResultError")


@dataclass
class NodeEvents:
    """Which nodes began, how many there were to be, and what went wrong with them."""

    begun: list[str] = field(default_factory=list)
    """The unique ids of the nodes that began."""
    total: int = 0
    """How many nodes dbt had selected; 0 when none began."""
    errors: dict[str, str] = field(default_factory=dict)
    """What dbt said of each node that went wrong, by its unique id."""

    def take(self, event: DbtEvent) -> None:
        """Note what one event says."""
        unique_id = str((event.data.get("node_info") or {}).get("unique_id") or "")
        if not unique_id:
            return
        if event.starts_node:
            self.begun.append(unique_id)
            self.total = max(self.total, event.total)
        elif event.name in _REASONS and event.message.strip():
            self.errors[unique_id] = event.message
