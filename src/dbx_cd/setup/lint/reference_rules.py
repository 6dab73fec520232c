"""References in double braces: what they may be, and whether what they speak of is there.

"Syntax errors, such as a reference that does not exist or a missing brace, are ignored without a message and taken as
text" (documentation on dynamic value references), so a mistake shows when a release runs, if at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from dbx_cd.setup.lint.finding import Finding
from dbx_cd.setup.lint.linted_job import LintedJob, PlacedTask
from dbx_cd.setup.lint.task_rules import nearest
from dbx_cd.setup.yaml_places import Place

_BRACED = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
# Half of a reference: braces that nothing closes, or one brace around what looks like one. `${...}` is the bundle's.
_HALF = re.compile(r"\{\{|(?<!\$)\{\s*(?:job|task|tasks|workspace)\.[\w.]+\s*\}")
_NAME = r"(?:\w+|`[^`]+`)"
_TIME = r"(?:iso_weekday|is_weekday|iso_date|iso_datetime|year|month|day|hour|minute|second|timestamp_ms)"
# The supported references (documentation on dynamic value references); `input` is that of a for_each_task.
_KNOWN = tuple(
    re.compile(pattern)
    for pattern in (
        r"job\.(?:id|name|run_id|repair_count|trigger\.type|trigger\.file_arrival\.location)",
        rf"job\.(?:start_time|trigger\.time)\.{_TIME}",
        r"job\.trigger\.table_update\.\w[\w.]*",
        rf"job\.parameters\.(?P<parameter>{_NAME})",
        r"task\.(?:name|run_id|execution_count|notebook_path)",
        rf"tasks\.(?P<task>{_NAME})\.(?:run_id|result_state|error_code|execution_count|notebook_path)",
        rf"tasks\.(?P<setter>{_NAME})\.values\.(?P<value>{_NAME})",
        rf"tasks\.(?P<query>{_NAME})\.output\.\w[\w.]*",
        r"workspace\.(?:id|url)",
        rf"backfill\.{_TIME}",
        r"input(?:\.\w+)*",
    )
)
_SECRET = re.compile(r"secrets/[\w.-]+/[\w.-]+")
_PLACES_OF_SECRETS = ("spark_env_vars", "spark_conf")


def reference_findings(job: LintedJob) -> Iterator[Finding]:
    """Everything that is wrong with references, in the job's own parts and in its tasks."""
    settings = job.settings.as_dict()
    tasks = settings.pop("tasks", [])
    for place, text in _texts(settings, ()):
        yield from _of_text(job, text, place, None)
    for placed in job.tasks:
        body: Any = {"tasks": tasks}
        for part in placed.place:
            body = body[part]
        body = {key: value for key, value in body.items() if key != "description"}
        if body.get("for_each_task"):
            inner = {key: value for key, value in body["for_each_task"].items() if key != "task"}
            body = {**body, "for_each_task": inner}
        for place, text in _texts(body, ()):
            yield from _of_text(job, text, place, placed)


def _texts(value: Any, place: Place) -> Iterator[tuple[Place, str]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _texts(inner, (*place, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _texts(inner, (*place, number))
    elif isinstance(value, str) and place != ("description",):
        yield place, value


def _of_text(job: LintedJob, text: str, place: Place, placed: PlacedTask | None) -> Iterator[Finding]:
    for braced in _BRACED.finditer(text):
        yield from _of_reference(job, braced[1].strip(), place, placed)
    half = _HALF.search(_BRACED.sub("", text))
    if half is not None:
        message = f"{text!r} has {half[0]!r}, which is no reference: it stays as text"
        next_step = "write {{...}}, with two braces on each side"
        yield job.found("reference", place, message, next_step=next_step, task=placed)


def _of_reference(job: LintedJob, inner: str, place: Place, placed: PlacedTask | None) -> Iterator[Finding]:
    written = "{{" + inner + "}}"
    if _SECRET.fullmatch(inner):
        if not set(place) & set(_PLACES_OF_SECRETS):
            # "spark_conf and environment variables" (documentation on secrets in a cluster's configuration).
            message = f"{written} is filled in for a cluster's spark_env_vars and spark_conf alone, here it is text"
            next_step = "set it there, and read the variable"
            yield job.found("reference", place, message, next_step=next_step, task=placed)
        return
    match = next((found for pattern in _KNOWN if (found := pattern.fullmatch(inner))), None)
    if match is None or (inner.startswith("input") and (placed is None or placed.around is None)):
        message = f"{written} means nothing: the task would get it as text"
        next_step = nearest(
            inner, ["job.run_id", "job.id", "job.name", *(f"job.parameters.{p}" for p in job.parameters)]
        )
        yield job.found("reference", place, message, next_step=next_step, task=placed)
        return
    groups = {name: value.strip("`") for name, value in match.groupdict().items() if value}
    parameter = groups.get("parameter")
    if parameter is not None and parameter not in job.parameters:
        message = f"{written}: the job has no parameter {parameter}"
        next_step = nearest(parameter, list(job.parameters))
        yield job.found("undeclared-parameter", place, message, next_step=next_step, task=placed)
    key = groups.get("task") or groups.get("setter") or groups.get("query")
    if key is not None:
        yield from _of_task(job, key, groups.get("value"), written, place, placed)


def _of_task(
    job: LintedJob, key: str, value: str | None, written: str, place: Place, placed: PlacedTask | None
) -> Iterator[Finding]:
    other = job.by_key.get(key)
    before = job.ancestors(placed.key) if placed is not None and placed.around is None else set(job.by_key)
    if other is None:
        problem, next_step = f"there is no task {key}", nearest(key, sorted(before))
    elif key not in before:
        problem, next_step = f"{key} does not come before this task", f"name {key} in depends_on"
    else:
        source = job.source(other)
        if value is None or source is None or source.sets_others or value in source.sets:
            return
        problem = f"the notebook of {key} sets no value {value}"
        next_step = (
            nearest(value, sorted(source.sets)) if source.sets else "take it out: nothing travels in task values"
        )
    yield job.found("task-value", place, f"{written}: {problem}", next_step=next_step, task=placed)
