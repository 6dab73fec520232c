"""How Great Expectations works here: all aggregates of a table in one scan, no data context, pages that escape.

Imported by `gx` alone, which first tells Great Expectations not to send usage data.
"""

from __future__ import annotations

import json
from typing import Any

from great_expectations.execution_engine.sparkdf_execution_engine import SparkDFExecutionEngine
from great_expectations.expectations.registry import get_metric_provider
from great_expectations.render.view.view import DefaultJinjaPageView
from great_expectations.validator.validator import Validator
from jinja2 import pass_context
from markupsafe import escape

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


_NAMES = ("template", "section_name", "page_title", "expectation_suite_name", "data_asset_name")


class EscapingPageView(DefaultJinjaPageView):
    """Data Docs in which values and names stay text.

    Great Expectations escapes the parameters of its sentences and nothing else (read in 1.24.1,
    `render/view/view.py`): values in tables, names of columns, titles and graphs get into its pages as they are.
    """

    def render(self, document: Any, template: Any = None, **options: Any) -> Any:
        """The page of a rendered document."""
        self._validate_document(document)
        # The check above wants the document as Great Expectations made it, so only what it does next is repeated here.
        return self._get_template(template or self._template).render(_harmless(document.to_json_dict()), **options)

    @pass_context
    def render_content_block(self, jinja_context: Any, content_block: Any, *args: Any, **options: Any) -> Any:
        """Escape text, alone or in a list; anything else is a block, of which the parts come here in turn."""
        if isinstance(content_block, list):
            content_block = [_as_text(part) for part in content_block]
        return super().render_content_block(jinja_context, _as_text(content_block), *args, **options)


def _harmless(part: Any, *, inside: str = "") -> Any:
    """The document with everything escaped that its templates do not hand to `render_content_block`."""
    if isinstance(part, list):
        return [_harmless(one) for one in part]
    if not isinstance(part, dict):
        return _as_text(part) if inside == "attributes" else part
    found: dict[Any, Any] = {}
    for key, value in part.items():
        if key == "graph":  # becomes part of a script
            found[key] = (value if isinstance(value, str) else json.dumps(value)).replace("<", "\\u003c")
        elif key in _NAMES and inside != "params" and isinstance(value, str):
            found[key] = _as_text(value)
        else:
            found[key] = _harmless(value, inside="attributes" if inside == "attributes" else key)
    return found


def _as_text(part: Any) -> Any:
    return str(escape(part)) if isinstance(part, str) else part
