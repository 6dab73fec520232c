"""What a build that leaves unchanged relations as they stand writes beside what dbt left."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

from dbx_cd.artifacts.built_inputs import BuiltInputs
from dbx_cd.dbt.artifacts import Manifest
from dbx_cd.dbt.finished import NOTHING_SELECTED
from dbx_cd.dbt.outcome import InvocationOutcome
from dbx_cd.dbt.run import DbtRun
from dbx_cd.plan.unchanged import Unchanged

_log = logging.getLogger(__name__)


def nothing_to_do(run: DbtRun, *, expected: bool) -> DbtRun:
    """The run; where nothing was to be done, and dbt found nothing to do, a good one, also in its artifacts."""
    if not expected or run.ok or run.nodes or run.errors != (NOTHING_SELECTED,):
        return run
    _log.info("%s: nothing changed and no test was selected, so dbt had nothing to do", run.target)
    InvocationOutcome(run.command, run.target, True, 0).write(run.files_dir)
    return replace(run, ok=True, errors=())


def record_inputs(unchanged: Unchanged | None, run: DbtRun, *, kept: Sequence[str] = ()) -> None:
    """Write from what the target was built beside what a build left; of one that failed, what it has touched.

    Args:
        unchanged: the inputs as they were before it; None where nobody looked.
        run: what dbt did.
        kept: the unique ids that were asked for and not built.
    """
    if unchanged is None:
        return
    if not run.ok:
        touched = None if run.touched is None else tuple(sorted(r.key for r in run.touched))
        BuiltInputs(run.target, touched=touched).write(run.files_dir)
        return
    built = Manifest.load(run.files_dir / "manifest.json")
    unchanged.record(run.target, built, kept).write(run.files_dir)
    _log.info("%s: %d relations stand as they are (policies.changed_only)", run.target, len(kept))
