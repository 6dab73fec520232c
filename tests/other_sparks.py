"""Which tests run on a Spark that is not the embedded workspace (`spark_kind.py`), and how many there must be.

The files run on every Spark: they need a session, and nothing else of the embedded workspace. What a test of theirs
needs beyond that is said by a mark, `not_on("spark35", reason="...")`, and shown when the run ends.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from spark_kind import KIND, KINDS

FILES = (
    "test_contract.py",
    "delta/test_tables.py",
    "delta/test_pyspark_names.py",
    "release/test_log.py",
    "rollback/test_restore.py",
    "rollback/test_restore_matrix.py",
    "rollback/test_refresh.py",
    "rollback/test_rehearsal.py",
    "plan/test_leaks.py",
    "plan/test_rollback_readiness.py",
    "smoke/test_run.py",
    "smoke/test_values.py",
    "smoke/test_queries.py",
    "smoke/test_explore.py",
    "smoke/test_faults.py",
)
"""The files of `tests/spark` that run on every Spark."""

AT_LEAST = {"connect": 280, "spark35": 275}
"""How many tests pass there at least: a whole run of fewer fails, so that it cannot come to say nothing."""

EMBEDDED = {"workspace", "story"}
"""The fixtures that are the embedded workspace."""

_left_out: Counter[str] = Counter()


def is_wanted(path: Path) -> bool:
    """Whether a file of tests belongs to this run."""
    return KIND == "embedded" or any(path.as_posix().endswith(f"tests/spark/{name}") for name in FILES)


def leave_out(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect what cannot run on this Spark."""
    reasons = {item: reason for item in items if (reason := why_not(item, KIND))}
    if reasons:
        _left_out.update(reasons.values())
        config.hook.pytest_deselected(items=list(reasons))
        items[:] = [item for item in items if item not in reasons]


def why_not(item: Any, kind: str) -> str | None:
    """Why a test does not run on a Spark; None where it does."""
    for mark in item.iter_markers("not_on"):
        unknown = [name for name in mark.args if name not in KINDS]
        if unknown or not mark.kwargs.get("reason"):
            raise pytest.UsageError(f"{item.nodeid}: the mark not_on has kinds of {KINDS}, and a reason")
        if kind in mark.args:
            return str(mark.kwargs["reason"])
    needs = EMBEDDED & set(getattr(item, "fixturenames", ()))
    return "needs the embedded workspace itself" if kind != "embedded" and needs else None


def summary(passed: int, *, kind: str, is_whole: bool) -> tuple[list[str], bool]:
    """What to say in the end, and whether the run has shown enough."""
    lines = [f"{kind}: {passed} passed, {sum(_left_out.values())} left out"]
    lines += [f"  {count} left out: {reason}" for reason, count in _left_out.most_common()]
    enough = not is_whole or passed >= AT_LEAST[kind]
    if not enough:
        lines.append(f"only {passed} passed, and {AT_LEAST[kind]} must: see AT_LEAST in {Path(__file__).name}")
    return lines, enough
