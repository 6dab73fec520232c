"""How Great Expectations computes here: all aggregates of a table in one scan, and without a data context.

Imported by `gx` alone, which first tells Great Expectations not to send usage data.
"""

from __future__ import annotations

from typing import Any

from great_expectations.execution_engine.sparkdf_execution_engine import SparkDFExecutionEngine
from great_expectations.expectations.registry import get_metric_provider
from great_expectations.validator.validator import Validator

_ROW_COUNT = "table.row_count"
# The parts of Great Expectations' metrics that only build an expression; none of them reads the row count (1.24).
_PARTIAL = (".aggregate_fn", ".condition")
_LATER = object()  # not a number: whoever reads it by mistake raises


class OneScanEngine(SparkDFExecutionEngine):
    """Postpones aggregates until nothing else is ready, so that all aggregates of a table share one scan.

    Great Expectations resolves metrics in rounds and runs one query for each round; aggregates become ready in
    different rounds because they wait for the table's columns and its row count. Hardly any of them reads the row
    count, so it is promised first and counted with the others; a metric that does read it waits for that.
    """

    def __init__(self, *, postpone: bool, **options: Any) -> None:
        super().__init__(**options)
        self.postponed: dict[Any, Any] | None = {} if postpone else None

    def resolve_metrics(
        self, metrics_to_resolve: Any, metrics: Any = None, runtime_configuration: Any = None
    ) -> dict[Any, Any]:
        """Resolve what needs no scan, and only when there is nothing such left, everything else in one scan."""
        ready = list(metrics_to_resolve)
        if self.postponed is not None:
            counts = {metric.id: metric for metric in ready if metric.metric_name == _ROW_COUNT}
            self.postponed |= counts
            if counts:
                return dict.fromkeys(counts, _LATER)
        direct = [m for m in ready if self._provider(m)[1] is not None and not self._must_wait(m)]
        if direct:
            return super().resolve_metrics(direct, metrics, runtime_configuration)
        aggregates = [m for m in ready if self._provider(m)[1] is None]
        scanned = [*aggregates, *(self.postponed or {}).values()] or ready
        found: dict[Any, Any] = super().resolve_metrics(scanned, metrics, runtime_configuration)
        self.postponed = None  # not if the scan raised: Great Expectations then tries again without what failed
        return found

    def _provider(self, metric: Any) -> tuple[Any, Any]:
        return get_metric_provider(metric.metric_name, self)

    def _must_wait(self, metric: Any) -> bool:
        """Whether a metric may read the row count, which is not there yet."""
        if not self.postponed or not any(m.id in self.postponed for m in (metric.metric_dependencies or {}).values()):
            return False
        ours_or_theirs = self._provider(metric)[0].__module__.startswith(("great_expectations.", "dbx_cd."))
        return not (ours_or_theirs and metric.metric_name.endswith(_PARTIAL))


class QuietValidator(Validator):
    """A validator without a data context: no configuration store, no docs site, no progress bars."""

    def _determine_progress_bars(self) -> bool:
        return False
