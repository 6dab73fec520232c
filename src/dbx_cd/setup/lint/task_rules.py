"""Tasks and how they hang together: keys, types, dependencies."""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Iterator, Sequence
from graphlib import CycleError, TopologicalSorter

from databricks.sdk.service.jobs import Task

from dbx_cd.setup.lint.finding import Finding
from dbx_cd.setup.lint.linted_job import LintedJob, PlacedTask

# "A unique name for the task", letters, digits, - and _ (Jobs API documentation; 100 characters at most).
_KEY = re.compile(r"[\w-]{1,100}", re.ASCII)
# `compute` says where a task of some types runs, and is none.
TASK_TYPES = tuple(f.name for f in dataclasses.fields(Task) if f.name.endswith("_task"))


def task_findings(job: LintedJob) -> Iterator[Finding]:
    """Everything that is wrong with keys, types and dependencies."""
    yield from _twice(job)
    for placed in job.tasks:
        yield from _key(job, placed)
        yield from _type(job, placed)
        yield from _dependencies(job, placed)
        if placed.task.disabled:
            # "All succeeded: the downstream task does not run" (documentation on disabled tasks).
            message = "it is disabled: nothing after it runs, and a rollback may not either"
            yield job.found("disabled", ("disabled",), message, next_step="take `disabled` out", task=placed)
    yield from _circles(job)


def _twice(job: LintedJob) -> Iterator[Finding]:
    settings = job.settings
    named = {
        "tasks": ("task", [task.task_key for task in settings.tasks or ()]),
        "job_clusters": ("job cluster", [cluster.job_cluster_key for cluster in settings.job_clusters or ()]),
        "environments": ("environment", [environment.environment_key for environment in settings.environments or ()]),
        "parameters": ("parameter", [parameter.name for parameter in settings.parameters or ()]),
    }
    for key, (what, names) in named.items():
        for number, name in enumerate(names):
            if name and name in names[:number]:
                message = f"{what} {name} is there twice: a deploy puts the two together without a word"
                yield job.found("twice", (key, number), message, next_step="give one of them a name of its own")


def _key(job: LintedJob, placed: PlacedTask) -> Iterator[Finding]:
    if not _KEY.fullmatch(placed.key):
        message = f"{placed.key!r} is no key of a task" if placed.key else "a task without a key"
        next_step = "use letters, digits, _ and -, at most 100"
        yield job.found("task-key", ("task_key",), message, next_step=next_step, task=placed)


def _type(job: LintedJob, placed: PlacedTask) -> Iterator[Finding]:
    types = [name for name in TASK_TYPES if getattr(placed.task, name) is not None]
    if len(types) != 1:
        message = f"it is of two types: {' and '.join(types)}" if types else "it is of no type, so it does nothing"
        next_step = "keep one of them" if types else "give it a notebook_task"
        yield job.found("task-type", tuple(types[-1:]), message, next_step=next_step, task=placed)


def _dependencies(job: LintedJob, placed: PlacedTask) -> Iterator[Finding]:
    for number, dependency in enumerate(placed.task.depends_on or ()):
        place = ("depends_on", number)
        other = job.by_key.get(dependency.task_key)
        if dependency.task_key == placed.key:
            message = "it waits for itself"
            yield job.found("circle", place, message, next_step="name the task before it", task=placed)
        elif other is None:
            message = f"it waits for {dependency.task_key}, and there is no such task"
            next_step = nearest(dependency.task_key, list(job.by_key))
            yield job.found("no-such-task", place, message, next_step=next_step, task=placed)
        elif dependency.outcome is not None and other.task.condition_task is None:
            message = f"it waits for the outcome {dependency.outcome} of {other.key}, which is no condition"
            yield job.found("outcome", place, message, next_step="take `outcome` out", task=placed)


def _circles(job: LintedJob) -> Iterator[Finding]:
    graph = {key: {b for b in placed.before if b != key and b in job.by_key} for key, placed in job.by_key.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as exc:
        circle: list[str] = list(exc.args[1])
        placed = job.by_key[min(circle[:-1], key=lambda key: job.by_key[key].place)]
        message = f"these wait for each other: {' -> '.join(circle)}"
        next_step = "let each wait for the one before it"
        yield job.found("circle", ("depends_on",), message, next_step=next_step, task=placed)


def nearest(name: str, known: Sequence[str]) -> str:
    """What to do about a name that there is not."""
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]}?" if near else f"use one of {', '.join(known)}" if known else "define it"
