"""The graph of a job's tasks: order, who depends on whom, and what ``run_if`` decides.

Rules from the public documentation ("Configure task dependencies"): a task whose condition handles failures is
*excluded* when the condition is not met, any other is *upstream failed*; excluded tasks count as successful; if all
dependencies are excluded, so is the task, whatever its ``run_if``; a cancelled task counts as a failure for tasks that
handle failures; the leaf tasks decide the result of the run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

SUCCESS = "SUCCESS"
FAILED = "FAILED"
TIMEDOUT = "TIMEDOUT"
CANCELED = "CANCELED"
EXCLUDED = "EXCLUDED"
UPSTREAM_FAILED = "UPSTREAM_FAILED"
UPSTREAM_CANCELED = "UPSTREAM_CANCELED"
SUCCESS_WITH_FAILURES = "SUCCESS_WITH_FAILURES"

RUN_IF = ("ALL_SUCCESS", "AT_LEAST_ONE_SUCCESS", "NONE_FAILED", "ALL_DONE", "AT_LEAST_ONE_FAILED", "ALL_FAILED")

_HANDLES_FAILURE = frozenset({"AT_LEAST_ONE_FAILED", "ALL_FAILED"})
_FAILURES = frozenset({FAILED, TIMEDOUT, UPSTREAM_FAILED})
_CANCELLATIONS = frozenset({CANCELED, UPSTREAM_CANCELED})
UNSUCCESSFUL = _FAILURES | _CANCELLATIONS


@dataclass(frozen=True)
class Dependency:
    """One entry of ``depends_on``."""

    task_key: str
    """The task that comes before."""
    outcome: str | None = None
    """The branch of a condition task, "true" or "false"; ``None`` for any other task."""


def dependencies(task: Mapping[str, object]) -> list[Dependency]:
    """The ``depends_on`` entries of one task's settings."""
    entries = task.get("depends_on") or []
    assert isinstance(entries, list)
    return [Dependency(entry["task_key"], entry.get("outcome")) for entry in entries]


def find_cycle(tasks: Sequence[Mapping[str, object]]) -> list[str] | None:
    """The task keys of one dependency cycle, or ``None``."""
    sorter = TopologicalSorter({str(task["task_key"]): [d.task_key for d in dependencies(task)] for task in tasks})
    try:
        sorter.prepare()
    except CycleError as exc:
        cycle: list[str] = exc.args[1]
        return cycle
    return None


def downstream_of(tasks: Iterable[Mapping[str, object]], roots: Iterable[str]) -> set[str]:
    """Every task that depends on one of ``roots``, directly or not; the roots themselves are not included."""
    parents = {str(task["task_key"]): {d.task_key for d in dependencies(task)} for task in tasks}
    reached: set[str] = set()
    frontier = set(roots)
    while frontier:
        frontier = {key for key, of in parents.items() if of & frontier} - reached
        reached |= frontier
    return reached


def leaves(tasks: Iterable[Mapping[str, object]]) -> set[str]:
    """Tasks on which no other task depends."""
    listed = list(tasks)
    used = {d.task_key for task in listed for d in dependencies(task)}
    return {str(task["task_key"]) for task in listed} - used


def as_seen_by(dependency: Dependency, result: str, outcome: str | None) -> str:
    """The result of a dependency from its dependant's side: the branch not taken counts as excluded."""
    if dependency.outcome is not None and result == SUCCESS and outcome != dependency.outcome:
        return EXCLUDED
    return result


def skip_reason(run_if: str, upstream: Sequence[str]) -> str | None:
    """Decide whether a task runs, once all its dependencies are done.

    Args:
        run_if: one of ``RUN_IF``.
        upstream: result states of the dependencies, as seen by this task.

    Returns:
        ``None`` if the task runs, otherwise the result state it gets without running.
    """
    if not upstream:
        return None
    if all(result == EXCLUDED for result in upstream):
        return EXCLUDED
    unsuccessful = [result for result in upstream if result in UNSUCCESSFUL]
    met = {
        "ALL_SUCCESS": not unsuccessful,
        "AT_LEAST_ONE_SUCCESS": len(unsuccessful) < len(upstream),
        "NONE_FAILED": not unsuccessful and any(result == SUCCESS for result in upstream),
        "ALL_DONE": True,
        "AT_LEAST_ONE_FAILED": bool(unsuccessful),
        "ALL_FAILED": len(unsuccessful) == len(upstream),
    }[run_if]
    if met:
        return None
    if run_if in _HANDLES_FAILURE:
        return EXCLUDED
    return UPSTREAM_CANCELED if set(unsuccessful) <= _CANCELLATIONS else UPSTREAM_FAILED


def run_result(results: Mapping[str, str], leaf_tasks: Iterable[str]) -> str:
    """The result state of a whole run, from the result state of each task."""
    last = [results[key] for key in leaf_tasks if key in results]
    if any(result in _FAILURES for result in last):
        return FAILED
    if any(result in _CANCELLATIONS for result in last):
        return CANCELED
    if any(result in UNSUCCESSFUL for result in results.values()):
        return SUCCESS_WITH_FAILURES
    return SUCCESS
