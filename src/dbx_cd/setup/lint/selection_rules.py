"""What builds and gates are asked to build, and what unselected parents are resolved by."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast, get_args

from dbx_cd.dbt.selection import Selection, WithParents
from dbx_cd.errors import ConfigError
from dbx_cd.plan.asked_selection import deployable
from dbx_cd.release.job import BUILD_NOTEBOOK, GATE_NOTEBOOK
from dbx_cd.setup.lint.finding import Finding
from dbx_cd.setup.lint.linted_job import LintedJob, PlacedTask
from dbx_cd.setup.lint.task_rules import nearest

_GIVEN = ("notebook_task", "base_parameters")
_TRUE = ("true", "1", "yes")


def selection_findings(job: LintedJob) -> Iterator[Finding]:
    """Everything that is wrong with what is to be built."""
    for placed in [*job.of_notebook(BUILD_NOTEBOOK), *job.of_notebook(GATE_NOTEBOOK)]:
        yield from _possible(job, placed)
    for build, target in job.builds():
        if target in job.gates and target in job.gated:
            yield from _asked_for_other(job, build, target)
            yield from _deferred(job, build, target)
        elif target and target not in job.gated:
            yield from _without_state(job, build)


def _selection(job: LintedJob, placed: PlacedTask) -> Selection:
    """What a task asks for, as its notebook would make it of the parameters."""
    parents = job.resolved(placed, "with_parents") or "none"
    return Selection(
        job.resolved(placed, "cmd") or "build",
        job.resolved(placed, "select") or None,
        job.resolved(placed, "exclude") or None,
        cast(WithParents, parents),
        job.parameters.get("full_refresh", job.resolved(placed, "full_refresh")).lower() in _TRUE,
    )


def _possible(job: LintedJob, placed: PlacedTask) -> Iterator[Finding]:
    selection = _selection(job, placed)
    problems: list[tuple[str, str, str | None]] = []
    try:
        deployable(selection.cmd)
    except ConfigError as exc:
        problems.append(("cmd", exc.what, nearest(selection.cmd, ("build", "run"))))
    for name in ("select", "exclude"):
        alone: dict[str, Any] = {name: getattr(selection, name)}
        try:
            Selection(**alone).refuse_flags()
        except ConfigError as exc:
            problems.append((name, exc.what, exc.next_step))
    parents = get_args(WithParents)
    if selection.with_parents not in parents:
        message = f"with_parents must be one of {', '.join(parents)}, not {selection.with_parents!r}"
        problems.append(("with_parents", message, nearest(selection.with_parents, parents)))
    for name, message, next_step in problems:
        if name not in job.parameters:
            yield job.found("selection", (*_GIVEN, name), message, next_step=next_step or "correct it", task=placed)


def _asked_for_other(job: LintedJob, build: PlacedTask, target: str) -> Iterator[Finding]:
    gate = job.gates[target][0]
    if job.source(gate) is None or job.source(build) is None:
        return
    asked, built = _selection(job, gate), _selection(job, build)
    if asked.select is None:
        # What staging was asked to build, where the gate names nothing.
        staging = job.config.targets[target].defer_to if target in job.config.targets else None
        of_staging = next((task for task, other in job.builds() if other == staging), None)
        asked = replace(asked, select=_selection(job, of_staging).select if of_staging is not None else None)
    for name in asked.differing(built):
        if name not in job.parameters:
            values = f"{name} {getattr(asked, name)!r}", repr(getattr(built, name))
            message = f"it asks for {values[0]}, and {build.key} for {values[1]}, which would be refused"
            next_step = f"give both the same {name}"
            yield job.found("asks-for-other", (*_GIVEN, name), message, next_step=next_step, task=gate)


def _deferred(job: LintedJob, build: PlacedTask, target: str) -> Iterator[Finding]:
    given = job.resolved(build, "state_path").rstrip("/")
    origin = job.config.targets[target].defer_to if target in job.config.targets else None
    root = job.parameters.get("artifacts_root", "").rstrip("/")
    if given and origin and "{{" not in given and not f"{given}/".startswith(f"{root}/{origin}/"):
        message = f"its state_path is {given}, and {target} is promoted from {origin}, whose artifacts it goes by"
        next_step = f"write {root}/{origin}/latest/"
        yield job.found("defers-elsewhere", (*_GIVEN, "state_path"), message, next_step=next_step, task=build)


def _without_state(job: LintedJob, build: PlacedTask) -> Iterator[Finding]:
    needs = job.resolved(build, "defer").lower() in _TRUE or _selection(job, build).with_parents == "changed"
    if needs and not job.resolved(build, "state_path"):
        message = "it defers, or builds what changed, and has no state_path to go by"
        next_step = "give it state_path: <artifacts_root>/<target>/latest/"
        yield job.found("selection", (*_GIVEN, "state_path"), message, next_step=next_step, task=build)
