"""What comes after a build: its smoke test, the docs, and the way back."""

from __future__ import annotations

from collections.abc import Iterator

from databricks.sdk.service.jobs import RunIf

from dbx_cd.setup.lint.finding import Finding
from dbx_cd.setup.lint.linted_job import DOCS_NOTEBOOK, SMOKE_NOTEBOOK, LintedJob, PlacedTask
from dbx_cd.setup.lint.order_of_tasks import outer_key, way_round

_WHEN_NEEDED = (RunIf.AT_LEAST_ONE_FAILED, RunIf.ALL_DONE)


def after_build_findings(job: LintedJob) -> Iterator[Finding]:
    """Everything that is wrong with what follows a build."""
    builds: dict[str, list[PlacedTask]] = {}
    for build, target in job.builds():
        builds.setdefault(target, []).append(build)
    for smoke in job.of_notebook(SMOKE_NOTEBOOK):
        yield from _after(job, smoke, builds.get(job.target(smoke), []), rule="smoke-before-build", what="build")
    for docs in job.of_notebook(DOCS_NOTEBOOK):
        target = job.target(docs)
        tested = job.of_notebook(SMOKE_NOTEBOOK, target=target)
        yield from _after(job, docs, tested or builds.get(target, []), rule="docs-too-early", what="test")
    for target, found in builds.items():
        if target in job.gated:
            yield from _guarded(job, found[0], target)


def _after(job: LintedJob, placed: PlacedTask, goals: list[PlacedTask], *, rule: str, what: str) -> Iterator[Finding]:
    target = job.target(placed)
    if not target or "{{" in target:
        return
    if not goals:
        message = f"it is about {target}, and no task {what}s that"
        place = ("notebook_task", "base_parameters", "target")
        yield job.found(rule, place, message, next_step="correct the target", task=placed)
        return
    way = way_round(job, placed, goals)
    if way is not None:
        inside = "" if way.task == placed else f", and {placed.key} goes by it"
        yield job.found(rule, way.place, way.why + inside, next_step=way.next_step, task=way.task)


def _guarded(job: LintedJob, build: PlacedTask, target: str) -> Iterator[Finding]:
    smokes = job.of_notebook(SMOKE_NOTEBOOK, target=target)
    if not smokes:
        message = f"no task tests {target} after it"
        next_step = f"put the notebook {SMOKE_NOTEBOOK} with the parameter target: {target} after it"
        yield job.found("unguarded", (), message, next_step=next_step, task=build)
    rollbacks = job.rollbacks(target)
    if not rollbacks:
        message = f"no task rolls {target} back where it or its test fails"
        next_step = "put the notebook auto_rollback after it, with run_if: AT_LEAST_ONE_FAILED"
        yield job.found("no-rollback", (), message, next_step=next_step, task=build)
        return
    rollback = rollbacks[0]
    if rollback.run_if not in _WHEN_NEEDED:
        message = f"it runs by {rollback.run_if.value}, and so not where {build.key} alone or its test has failed"
        next_step = "set run_if: AT_LEAST_ONE_FAILED"
        yield job.found("rollback-never", ("run_if",), message, next_step=next_step, task=rollback)
    # Whether a task counts as failed where one before it has, is not documented: so it waits for each itself.
    missing = [outer_key(placed) for placed in (build, *smokes) if outer_key(placed) not in rollback.before]
    if missing:
        message = f"it does not wait for {' and '.join(missing)}, whose failure it is for"
        next_step = f"name {' and '.join(missing)} in depends_on"
        yield job.found("rollback-never", ("depends_on",), message, next_step=next_step, task=rollback)
