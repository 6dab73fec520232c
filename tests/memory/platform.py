"""What a rollback asks the platform: runs, whose tasks have ended, and a query history without statements."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from databricks.sdk.errors import NotFound
from databricks.sdk.service.jobs import Run
from databricks.sdk.service.sql import ListQueriesResponse

ENDED = {"state": {"life_cycle_state": "TERMINATED", "result_state": "SUCCESS"}, "end_time": 4102444800000}


@dataclass
class Platform:
    """Runs by their ids, in the SDK's own shape; every other run has ended."""

    runs: dict[int, dict[str, Any]] = field(default_factory=dict)

    def get_run(self, run_id: int, include_history: bool | None = None) -> Run:
        """A run."""
        found = self.runs.get(run_id, ENDED)
        if not found:
            raise NotFound(f"Run {run_id} does not exist.")
        return Run.from_dict({"run_id": run_id, **found})

    def list(self, **_asked: Any) -> ListQueriesResponse:
        """The query history."""
        return ListQueriesResponse.from_dict({"res": []})
