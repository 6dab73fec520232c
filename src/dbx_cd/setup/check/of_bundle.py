"""Checks of the bundle's files: there is a job, it is this project's, and what it names is there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from dbx_cd.config import bundle_variables
from dbx_cd.dbt.requirements_lock import FILE_NAME as LOCK_NAME, RequirementsLock
from dbx_cd.release.standing import require_targets
from dbx_cd.setup.bundle_options import CI_FILE
from dbx_cd.setup.bundle_reading import bundle_file, read_bundle
from dbx_cd.setup.check.report import CheckLine, fail, ok, skipped, warn
from dbx_cd.setup.check.scene import Scene
from dbx_cd.setup.check.written_job import WrittenJob
from dbx_cd.setup.job_lint import RULES, lint_bundle

_TRIGGER = re.compile(r"dbx_cd\s+trigger\b([^\n]*)")
_JOB = re.compile(r"--job[ =]+[\"']?([\w.-]+)")
# What the packaged bundle has in place of a team's own values, and the linter takes for values.
_PLACEHOLDERS = ("example.org", "example-org")


def bundle(scene: Scene) -> Iterator[CheckLine]:
    """The bundle's files can be read, and have the job."""
    job = scene.bundled
    inside = job.file.relative_to(scene.repository).as_posix()
    yield ok(
        inside, f"job {job.name}, {len(job.settings.get('tasks') or ())} tasks, runs as {job.run_as or 'its owner'}"
    )
    yield from _placeholders(job)


def _placeholders(job: WrittenJob) -> Iterator[CheckLine]:
    left = [name for name, value in job.variables.items() if any(text in str(value) for text in _PLACEHOLDERS)]
    for name in left:
        yield warn(
            job.bundle.name,
            f"the variable {name} is still {job.variables[name]}, as `init` writes it",
            next_step=f"set its default, or give it at the deploy: --var={name}=..., or BUNDLE_VAR_{name}",
        )


def job_targets(scene: Scene) -> Iterator[CheckLine]:
    """The job builds the targets that the settings have, and looks for the project where it is."""
    definition = scene.definition
    require_targets(scene.own_config, definition.standing)
    built = (*definition.open_targets, *definition.gates)
    yield ok(scene.bundled.name, f"builds {', '.join(built)}, as the settings have it")
    unbuilt = [name for name in scene.own_config.targets if name not in built]
    if unbuilt:
        yield warn(
            scene.bundled.name,
            f"has no task that builds {', '.join(unbuilt)}",
            next_step="add its tasks to the job (docs/deploy.md, 'A second gate'), or take it out of dbx_cd.yml",
        )
    written = definition.parameters.get("project_dir", ".") or "."
    inside = scene.project.relative_to(scene.repository).as_posix() if _is_inside(scene) else "."
    if Path(written) != Path(inside):
        yield fail(
            scene.bundled.name,
            f"looks for the project in {written!r}, and it is in {inside!r}",
            next_step=f"set the variable project_dir to {inside} in {scene.bundled.bundle.name}",
        )


def _is_inside(scene: Scene) -> bool:
    return scene.project.is_relative_to(scene.repository)


def linter(scene: Scene) -> Iterator[CheckLine]:
    """What neither the schema nor the platform's own validation finds in the job."""
    if bundle_file(scene.repository) is None:
        yield skipped("", "there is no bundle to look at")
        return
    declared = read_bundle(scene.repository).content.get("variables") or {}
    findings = lint_bundle(scene.repository, variables=bundle_variables(declared))
    for finding in findings:
        line = fail if finding.severity == "fail" else warn
        yield line(finding.where, finding.message, next_step=finding.next_step)
    if not any(finding.severity == "fail" for finding in findings):
        yield ok(scene.bundled.name, f"none of the {len(RULES)} rules that would stop a release is broken")


def ci(scene: Scene) -> Iterator[CheckLine]:
    """A merge starts this very job."""
    path = scene.repository / CI_FILE
    if not path.is_file():
        yield warn(
            CI_FILE,
            "is not there: nothing starts the Workflow after a merge, unless another CI does",
            next_step="run `python -m dbx_cd init`, or let your CI run `python -m dbx_cd trigger --commit SHA`",
        )
        return
    calls = _TRIGGER.findall(path.read_text(encoding="utf-8", errors="replace").replace("\\\n", " "))
    if not calls:
        yield fail(
            CI_FILE,
            "does not start the Workflow",
            next_step='let it run `python -m dbx_cd trigger --commit "$GITHUB_SHA"`',
        )
        return
    job = scene.written.name if scene.written is not None else None
    for call in calls:
        named = _JOB.search(call)
        name = named[1] if named else "dbx_cd"
        if job is not None and name != job and not name.isdecimal():
            yield fail(
                CI_FILE,
                f"starts the job {name}, and the bundle's is called {job}",
                next_step=f"give `trigger` --job {job}",
            )
        else:
            yield ok(CI_FILE, f"starts the job {name}")


def dbt_requirements(scene: Scene) -> Iterator[CheckLine]:
    """The packages of dbt are locked, so that production is built with those of staging."""
    lock = RequirementsLock.find(scene.project)
    if lock is None:
        yield warn(
            LOCK_NAME,
            "is not there, so the dbt that happens to be installed is used, and a later repair may take another one",
            next_step="run `python -m dbx_cd lock-dbt`, and commit what it writes",
        )
        return
    versions = {pin.name: pin.version for pin in lock.pins}
    if "dbt-databricks" not in versions:
        yield fail(LOCK_NAME, "does not lock dbt-databricks", next_step="run `python -m dbx_cd lock-dbt`")
    else:
        yield ok(LOCK_NAME, f"locks dbt-core {versions['dbt-core']}, dbt-databricks {versions['dbt-databricks']}")
