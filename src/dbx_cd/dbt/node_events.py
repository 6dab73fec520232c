"""What dbt's events say of single nodes, where the artifacts say less: `sources.json` leaves out what went wrong."""

from __future__ import annotations

from dataclasses import dataclass, field

from dbx_cd.dbt.batches import BatchCauses
from dbx_cd.dbt.events import DbtEvent

# The events that say why a node went wrong, in the order in which dbt 1.11 writes them, the fullest last
# (`task/base.py`, `task/printer.py`).
_REASONS = ("CatchableExceptionOnRun", "InternalErrorOnRun", "GenericExceptionOnRun", "RunResultError")


@dataclass
class NodeEvents:
    """Which nodes began, how many there were to be, and what went wrong with them."""

    begun: dict[str, str | None] = field(default_factory=dict)
    """The relation of every node that began, by unique id, in that order; None for what makes no relation."""
    total: int = 0
    """How many nodes dbt had selected; 0 when none began."""
    errors: dict[str, str] = field(default_factory=dict)
    """What dbt said of each node that went wrong, by its unique id."""

    batches: BatchCauses = field(default_factory=BatchCauses)
    """Why batches of microbatch models failed."""

    def take(self, event: DbtEvent) -> None:
        """Note what one event says."""
        self.batches.take(event)
        unique_id = event.unique_id
        if not unique_id:
            return
        if event.starts_node:
            self.begun[unique_id] = _relation(event)
            self.total = max(self.total, event.total)
        elif event.name in _REASONS and event.message.strip():
            self.errors[unique_id] = event.message


def _relation(event: DbtEvent) -> str | None:
    relation = event.node_info.get("node_relation")
    return str(relation.get("relation_name") or "") or None if isinstance(relation, dict) else None
