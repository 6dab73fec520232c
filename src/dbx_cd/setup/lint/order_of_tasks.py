"""Whether one task can begin only where another has succeeded.

"Tasks configured to handle failures are marked as Excluded if their Run if condition is not met. Excluded tasks are
skipped and are treated as successful" (documentation on task dependencies): so a task that may be left out
holds nobody.
"""

from __future__ import annotations

from dataclasses import dataclass

from databricks.sdk.service.jobs import RunIf

from dbx_cd.setup.lint.linted_job import LintedJob, PlacedTask
from dbx_cd.setup.yaml_places import Place

FOR_FAILURES = (RunIf.AT_LEAST_ONE_FAILED, RunIf.ALL_FAILED)
"""What a task runs by that is left out where nothing has failed."""


@dataclass(frozen=True)
class WayRound:
    """How a task can begin though what it should wait for has not succeeded."""

    task: PlacedTask
    """The task that lets it."""
    place: Place
    """What in that task."""
    why: str
    """In words."""
    next_step: str
    """What to do."""
    left_out: bool = False
    """Whether what should be waited for may be left out, and count as successful."""


def way_round(job: LintedJob, start: PlacedTask, goals: list[PlacedTask]) -> WayRound | None:
    """How a task can begin though none of some others has succeeded; None where it cannot.

    Args:
        job: the job.
        start: the task.
        goals: the others: one of them is enough.
    """
    keys = {outer_key(goal) for goal in goals}
    names = " or ".join(sorted(keys))
    begin = outer(job, start)
    if not keys & job.ancestors(begin.key):
        return WayRound(begin, ("depends_on",), f"it does not wait for {names}", f"name {names} in depends_on")
    seen: set[str] = set()
    waiting = [begin]
    reached: list[PlacedTask] = []
    not_holding: list[PlacedTask] = []
    while waiting:
        placed = waiting.pop(0)
        if placed.run_if != RunIf.ALL_SUCCESS:
            not_holding.append(placed)
            continue
        for key in placed.before:
            if key in keys and key in job.by_key:
                reached.append(job.by_key[key])
            elif key in job.by_key and key not in seen:
                seen.add(key)
                waiting.append(job.by_key[key])
    if not reached:
        # A task that holds nobody matters where what should be waited for comes before it.
        placed = next(p for p in not_holding if keys & job.ancestors(p.key))
        why = f"it runs by {placed.run_if.value}, also where {names} has not succeeded"
        return WayRound(placed, ("run_if",), why, "take `run_if` out")
    left_out = [_left_out(goal) for goal in reached]
    return None if None in left_out else left_out[0]


def _left_out(placed: PlacedTask) -> WayRound | None:
    if placed.run_if in FOR_FAILURES:
        why = f"it runs by {placed.run_if.value}: where nothing has failed it is left out, and counts as successful"
        return WayRound(placed, ("run_if",), why, "take `run_if` out", left_out=True)
    for number, dependency in enumerate(placed.task.depends_on or ()):
        if dependency.outcome is not None:
            why = f"the condition {dependency.task_key} may leave it out, and then it counts as successful"
            return WayRound(placed, ("depends_on", number), why, "let it run each time", left_out=True)
    return None


def outer_key(placed: PlacedTask) -> str:
    """The key of a task as others wait for it: of one that is repeated, that of the task around it."""
    return placed.key if placed.around is None else placed.around.task_key


def outer(job: LintedJob, placed: PlacedTask) -> PlacedTask:
    """The task that others wait for."""
    return job.by_key.get(outer_key(placed), placed)
