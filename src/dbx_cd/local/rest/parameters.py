"""Parameters of a task: precedence, and dynamic value references such as ``{{job.run_id}}``.

Public documentation ("What is a dynamic value reference?"): what is not a reference is left as literal text; an
unknown name inside a known namespace is an error. Job parameters override task parameters of the same name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

_REFERENCE = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")
_PART = re.compile(r"`([^`]*)`|([A-Za-z0-9_\-]+)")
_NAMESPACES = ("job", "task", "tasks", "workspace")


class UnknownReference(ValueError):
    """A reference into a known namespace that names nothing."""


@dataclass(frozen=True)
class RunFacts:
    """What references can speak about: one task of one run."""

    job_id: int
    """0 for a one-time run."""
    job_name: str
    """The run's name."""
    run_id: int
    """The job run's id."""
    start_time: int
    """When the run began, in milliseconds since the epoch."""
    trigger_type: str
    """What started the run; here always ``ONE_TIME``."""
    repair_count: int
    """How often the run was repaired."""
    task_key: str
    """The task's name in the job."""
    task_run_id: int
    """The id of this attempt."""
    execution_count: int
    """The number of this attempt, from 1."""
    notebook_path: str | None
    """The notebook, as the task names it; ``None`` for another kind of task."""
    workspace_url: str
    """The address of the REST server."""
    job_parameters: Mapping[str, str] = field(default_factory=dict)
    """The run's job parameters, by name."""
    results: Mapping[str, str] = field(default_factory=dict)
    """The result state of each task that has one, by key."""
    values: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    """Task values, by the key of the task that set them."""


def references(text: str) -> Iterator[tuple[str, ...]]:
    """The dynamic references in ``text``, each as its parts: ``("job", "parameters", "commit")``."""
    for match in _REFERENCE.finditer(text):
        parts = _parts(match.group(1))
        if parts is not None:
            yield parts


def resolve(text: str, facts: RunFacts) -> str:
    """Replace every dynamic value reference in ``text``.

    Raises:
        UnknownReference: a reference into a known namespace that names nothing.
    """

    def replace(match: re.Match[str]) -> str:
        parts = _parts(match.group(1))
        return match.group(0) if parts is None else _value(parts, facts)

    return _REFERENCE.sub(replace, text)


def with_resolved_job_parameters(facts: RunFacts) -> RunFacts:
    """Job parameters may themselves be references, such as ``{{job.run_id}}``, but not to each other."""
    bare = replace(facts, job_parameters={})
    return replace(facts, job_parameters={name: resolve(v, bare) for name, v in facts.job_parameters.items()})


def task_parameters(base: Mapping[str, str], overriding: Mapping[str, str], facts: RunFacts) -> dict[str, str]:
    """What the notebook's widgets get: the task's own parameters, resolved, then those that override them."""
    return {**{name: resolve(value, facts) for name, value in base.items()}, **overriding}


def _parts(reference: str) -> tuple[str, ...] | None:
    """Split at dots, honouring backticks; ``None`` if this is no reference at all."""
    parts: list[str] = []
    position = 0
    while True:
        match = _PART.match(reference, position)
        if match is None:
            return None
        parts.append(match.group(1) if match.group(1) is not None else match.group(2))
        position = match.end()
        if position == len(reference):
            break
        if reference[position] != ".":
            return None
        position += 1
    return tuple(parts) if parts[0] in _NAMESPACES and len(parts) > 1 else None


def _value(parts: tuple[str, ...], facts: RunFacts) -> str:
    name = ".".join(parts)
    match parts:
        case ("job", "parameters", parameter):
            if parameter in facts.job_parameters:
                return facts.job_parameters[parameter]
        case ("job", "start_time", form):
            return _time(name, form, facts.start_time)
        case ("tasks", task_key, "values", key):
            if key in facts.values.get(task_key, {}):
                value = facts.values[task_key][key]
                return value if isinstance(value, str) else json.dumps(value)
        case ("tasks", task_key, "result_state"):
            if task_key in facts.results:
                return facts.results[task_key].lower()
        case _:
            found = _scalars(facts).get(name)
            if found is not None:
                return str(found)
    raise UnknownReference(f"unknown dynamic value reference {{{{{name}}}}}")


def _scalars(facts: RunFacts) -> dict[str, object]:
    return {
        "job.id": facts.job_id,
        "job.name": facts.job_name,
        "job.run_id": facts.run_id,
        "job.repair_count": facts.repair_count,
        "job.trigger.type": facts.trigger_type.lower(),
        "task.name": facts.task_key,
        "task.run_id": facts.task_run_id,
        "task.execution_count": facts.execution_count,
        "task.notebook_path": facts.notebook_path,
        "workspace.id": 0,
        "workspace.url": facts.workspace_url,
    }


def _time(name: str, form: str, milliseconds: int) -> str:
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    forms = {
        "iso_date": moment.strftime("%Y-%m-%d"),
        "iso_datetime": moment.strftime("%Y-%m-%dT%H:%M:%S.%f"),
        "iso_weekday": str(moment.isoweekday()),
        "is_weekday": str(moment.isoweekday() < 6).lower(),
        "timestamp_ms": str(milliseconds),
        "year": str(moment.year),
        "month": str(moment.month),
        "day": str(moment.day),
        "hour": str(moment.hour),
        "minute": str(moment.minute),
        "second": str(moment.second),
    }
    if form not in forms:
        raise UnknownReference(f"unknown dynamic value reference {{{{{name}}}}}")
    return forms[form]
