"""Which batches of a microbatch model were not built, and why.

dbt 1.11 writes the batches into `run_results.json`, as pairs of start and end, and says "PARTIAL SUCCESS (2/3)" or
"ERROR" of the model. Why a batch failed is in its events alone: in the same thread, between the start of the batch and
its result (dbt-core 1.11, `task/run.py`; recorded in `tests/fixtures/recorded_dbt`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dbx_cd.dbt.events import DbtEvent

_NAMED = re.compile(r"batch (\S+) of ")
_WORKER = "Exception on worker thread. "
_TO = " to "
_MIDNIGHT = "T00:00:00"
_SHOWN = 3
_NO_CAUSE = "dbt's events do not say why; dbt.log does"

Causes = Mapping[str, str]
"""Why batches of one model failed, by how dbt's events call them: `2026-01-02`, `2026-01`, `2026-01-02T16`.

That of one which was never tried is ""."""


def unbuilt_batches(result: Mapping[str, Any]) -> tuple[str, ...]:
    """The batches that failed or were not run, of one result of `run_results.json`.

    Returns:
        Each as `2026-01-02 to 2026-01-03`: the moments that `--event-time-start` and `--event-time-end` take.
    """
    batches = (result.get("batch_results") or {}).get("failed") or ()
    return tuple(f"{_moment(start)}{_TO}{_moment(end)}" for start, end in batches)


def naming(message: str | None, batches: Sequence[str]) -> str | None:
    """What dbt said of a model, with all batches that were not built."""
    return f"{message}; not built: {', '.join(_ranges(batches))}" if batches else message


def _ranges(batches: Sequence[str]) -> list[str]:
    """These batches, in their order, those that follow one another as one range."""
    ranges: list[list[str]] = []
    for start, _, end in (batch.partition(_TO) for batch in batches):
        if ranges and ranges[-1][1] == start:
            ranges[-1][1] = end
        else:
            ranges.append([start, end])
    return [_TO.join(found) for found in ranges]


def why(batches: Sequence[str], causes: Causes) -> str:
    """Why the first of these batches were not built, a paragraph each, and which were never tried."""
    known = {batch: _cause(batch, causes) for batch in batches}
    untried = [batch for batch, cause in known.items() if cause == ""]
    failed = [f"batch {batch}: {cause}" for batch, cause in known.items() if cause]
    more = [f"{len(failed) - _SHOWN} more batches failed; dbt.log says why"] if len(failed) > _SHOWN else []
    never = [f"never tried, since dbt gave up: {', '.join(_ranges(untried))}"] if untried else []
    return "\n".join([*(failed[:_SHOWN] or [_NO_CAUSE]), *more, *never])


def _cause(batch: str, causes: Causes) -> str | None:
    """Why one batch was not built: "" where it was never tried, None where dbt's events do not say."""
    start, _, _ = batch.partition(_TO)
    start += "" if "T" in start else _MIDNIGHT
    return next((cause for label, cause in causes.items() if start.startswith(label)), None)


@dataclass
class BatchCauses:
    """Collects from dbt's events why batches failed."""

    by_model: dict[str, dict[str, str]] = field(default_factory=dict)
    """The causes, by the unique id of the model."""
    _running: dict[str, str] = field(default_factory=dict, repr=False)
    """The batch that each thread of dbt works on."""

    def take(self, event: DbtEvent) -> None:
        """Take the next event."""
        if event.name == "LogStartBatch":
            found = _NAMED.match(str(event.data.get("description")))
            self._running[event.thread] = found[1] if found else ""
        elif event.name == "LogBatchResult":
            self._running.pop(event.thread, None)
            # Where the first batch fails, dbt skips the others.
            if event.data.get("status") == "skipped" and (found := _NAMED.match(str(event.data.get("description")))):
                self.by_model.setdefault(event.unique_id, {})[found[1]] = ""
        elif event.name == "GenericExceptionOnRun" and self._running.get(event.thread):
            cause = str(event.data.get("exc") or event.message).removeprefix(_WORKER).strip()
            model = str(event.data.get("unique_id"))
            self.by_model.setdefault(model, {})[self._running[event.thread]] = cause or "dbt gave no reason"


def _moment(text: str) -> str:
    """Without the zone, which is always UTC, and without the time of midnight."""
    return text.removesuffix("+00:00").removesuffix(_MIDNIGHT)
