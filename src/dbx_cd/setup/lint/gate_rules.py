"""The way to a gated target: staging is built and tested, somebody is asked, and nothing is built without that."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from dbx_cd.config import FILE_NAME
from dbx_cd.release.job import BUILD_NOTEBOOK, GATE_NOTEBOOK
from dbx_cd.setup.lint.finding import Finding
from dbx_cd.setup.lint.linted_job import SMOKE_NOTEBOOK, LintedJob, PlacedTask
from dbx_cd.setup.lint.order_of_tasks import FOR_FAILURES, way_round

_OTHER_DBT = ("dbt_task", "dbt_cloud_task", "dbt_platform_task")
_BUILDING = ("build_release", "run_dbt")


def gate_findings(job: LintedJob) -> Iterator[Finding]:
    """Everything that is wrong with gates, and every way past one."""
    yield from _other_ways(job)
    yield from _builds(job)
    for target, gates in job.gates.items():
        for gate in gates:
            yield from _gate(job, gate, target)
    yield from _in_order(job)


def _other_ways(job: LintedJob) -> Iterator[Finding]:
    for placed in job.tasks:
        for kind in _OTHER_DBT:
            if getattr(placed.task, kind) is not None:
                message = "it runs dbt beside the Workflow: nobody is asked, and nothing is noted"
                next_step = "build by the notebook run_dbt, behind a gate"
                yield job.found("hidden-build", (kind,), message, next_step=next_step, task=placed)
        source, file = job.source(placed), job.notebook_file(placed)
        if source is not None and file is not None and file.stem != BUILD_NOTEBOOK:
            for name in sorted(source.calls.intersection(_BUILDING)):
                message = f"its notebook calls {name}, and the Workflow knows builds by the name {BUILD_NOTEBOOK}"
                place = ("notebook_task", "notebook_path")
                next_step = f"build by the notebook {BUILD_NOTEBOOK}, behind a gate"
                yield job.found("hidden-build", place, message, next_step=next_step, task=placed)
        if placed.around is not None and placed in [*job.of_notebook(GATE_NOTEBOOK), *(b for b, _ in job.builds())]:
            message = f"{placed.around.task_key} repeats it"
            yield job.found("repeated", (), message, next_step="let it be a task of its own", task=placed)


def _builds(job: LintedJob) -> Iterator[Finding]:
    seen: dict[str, PlacedTask] = {}
    for build, target in job.builds():
        if target in seen:
            message = f"{seen[target].key} builds {target} as well"
            next_step = "let one task build it; `select` takes several models"
            yield job.found("built-twice", (), message, next_step=next_step, task=build)
        elif target:
            seen[target] = build
        if target in job.gated:
            yield from _past_the_gate(job, build, target)


def _past_the_gate(job: LintedJob, build: PlacedTask, target: str) -> Iterator[Finding]:
    gates = list(job.gates.get(target, ()))
    if not gates:
        before = job.ancestors(build.key)
        others = [f"{g.key} asks about {t}" for t, found in job.gates.items() for g in found if g.key in before and t]
        message = f"nobody is asked before it builds {target}{': ' + ' and '.join(others) if others else ''}"
        next_step = f"put a gate with the parameter target: {target} before it"
        yield job.found("past-the-gate", (), message, next_step=next_step, task=build)
        return
    way = way_round(job, build, gates)
    if way is not None:
        rule = "conditional-gate" if way.left_out and way.place[0] == "depends_on" else "past-the-gate"
        inside = "" if way.task == build else f", so {build.key} can begin without an approval"
        yield job.found(rule, way.place, way.why + inside, next_step=way.next_step, task=way.task)


def _gate(job: LintedJob, gate: PlacedTask, target: str) -> Iterator[Finding]:
    source = job.source(gate)
    if source is not None and source.problem is None and "require_approval" not in source.calls:
        message = "its notebook does not call require_approval, so it holds nobody"
        next_step = "copy the packaged notebook: python -m dbx_cd init"
        yield job.found("not-a-gate", ("notebook_task", "notebook_path"), message, next_step=next_step, task=gate)
    if target in job.config.targets and target not in job.config.gates:
        message = f"{target} is not gated in {FILE_NAME}: the job counts, and people read the other"
        next_step = f"set targets.{target}.gate to approval there"
        place = ("notebook_task", "base_parameters", "target")
        yield job.found("gate-of-open-target", place, message, next_step=next_step, task=gate)
    for tested in _promoted_through(job, target):
        smokes = job.of_notebook(SMOKE_NOTEBOOK, target=tested)
        if not smokes and job.is_second_half and tested not in job.gated:
            yield from _tested_by_the_first(job, tested)
            continue
        if not smokes:
            message = f"no task tests {tested} before it asks about {target}"
            next_step = f"put the notebook {SMOKE_NOTEBOOK} with the parameter target: {tested} before it"
            yield job.found("untested", ("depends_on",), message, next_step=next_step, task=gate)
            continue
        way = way_round(job, gate, smokes)
        # A gate that is left out where nothing has failed was looked at from its build.
        if way is not None and not (way.task == gate and gate.run_if in FOR_FAILURES):
            inside = "" if way.task == gate else f", so {gate.key} asks about what is not tested"
            yield job.found("untested", way.place, way.why + inside, next_step=way.next_step, task=way.task)


def _tested_by_the_first(job: LintedJob, tested: str) -> Iterator[Finding]:
    """Whether the job that starts the second half has tested what that one asks about."""
    for first, placed in job.starters:
        smokes = first.of_notebook(SMOKE_NOTEBOOK, target=tested)
        if not smokes:
            message = f"no task tests {tested} before it starts the second half"
            next_step = f"put the notebook {SMOKE_NOTEBOOK} with the parameter target: {tested} before it"
            yield first.found("untested", ("depends_on",), message, next_step=next_step, task=placed)
            continue
        way = way_round(first, placed, smokes)
        if way is not None:
            inside = "" if way.task == placed else f", so {placed.key} asks about what is not tested"
            yield first.found("untested", way.place, way.why + inside, next_step=way.next_step, task=way.task)


def _promoted_through(job: LintedJob, target: str) -> list[str]:
    """What has to be tested before somebody is asked about a target: what it is promoted from."""
    targets = job.config.targets
    known = targets[target].defer_to if target in targets else None
    return [known] if known else [name for name, settings in targets.items() if settings.gate is None][:1]


def _in_order(job: LintedJob) -> Iterator[Finding]:
    present = [target for target in job.config.gates if target in job.gates]
    for first, second in itertools.pairwise(present):
        builds = [build for build, target in job.builds() if target == first]
        goals = job.of_notebook(SMOKE_NOTEBOOK, target=first) or builds
        gate = job.gates[second][0]
        # What defers to the first was looked at as untested.
        if goals and first not in _promoted_through(job, second):
            way = way_round(job, gate, goals)
            if way is not None:
                message = f"it asks about {second} before {first} is built and tested: {way.why}"
                yield job.found("gates-out-of-order", way.place, message, next_step=way.next_step, task=gate)
