"""A linter of the Workflow's job: what neither the schema of bundles nor the official validation finds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from databricks.sdk.service.iam import AccessControlRequest
from databricks.sdk.service.jobs import JobSettings

from dbx_cd.config import CdConfig
from dbx_cd.errors import ConfigError
from dbx_cd.release.job import BUILD_NOTEBOOK, GATE_NOTEBOOK, notebook_name
from dbx_cd.setup.bundle_reading import Bundle, read_bundle
from dbx_cd.setup.bundled_job import BUNDLE_ONLY, in_words, not_taken, parsed_settings, permission
from dbx_cd.setup.lint.after_build_rules import after_build_findings
from dbx_cd.setup.lint.bundle_rules import bundle_findings, unknown_key
from dbx_cd.setup.lint.compute_rules import compute_findings
from dbx_cd.setup.lint.finding import RULES, Finding, Rule
from dbx_cd.setup.lint.gate_rules import gate_findings
from dbx_cd.setup.lint.linted_job import LintedJob
from dbx_cd.setup.lint.other_job_rules import other_job_findings, starting
from dbx_cd.setup.lint.parameter_rules import parameter_findings
from dbx_cd.setup.lint.reference_rules import reference_findings
from dbx_cd.setup.lint.rights_rules import rights_findings
from dbx_cd.setup.lint.run_rules import run_findings
from dbx_cd.setup.lint.second_half_rules import second_half_findings
from dbx_cd.setup.lint.selection_rules import selection_findings
from dbx_cd.setup.lint.task_rules import task_findings
from dbx_cd.setup.yaml_places import Place

__all__ = ["RULES", "Finding", "Rule", "lint_bundle", "lint_job"]

_ALL = (
    task_findings,
    reference_findings,
    parameter_findings,
    selection_findings,
    gate_findings,
    after_build_findings,
    compute_findings,
    run_findings,
    rights_findings,
    second_half_findings,
)


def lint_job(
    settings: JobSettings, permissions: Sequence[AccessControlRequest], *, where: object, repository: Path
) -> tuple[Finding, ...]:
    """Look at a job's settings, such as those of a deployed one.

    Args:
        settings: the settings.
        permissions: who may do what with it, but for its owner.
        where: what it is, for messages.
        repository: the root of the project's repository, whose notebooks and `dbx_cd.yml` it is for.

    Returns:
        What is wrong with it, from `fail` to `warn`, and in the order of the job.
    """

    def in_the_job(place: Place) -> str:
        return f"{where}: {in_words(place)}" if place else str(where)

    try:
        config = _config(settings, repository)
    except ConfigError as exc:
        return (_unreadable(exc, repository),)
    job = LintedJob(settings, tuple(permissions), repository, config, in_the_job, lambda _: repository)
    return _sorted(finding for rules in _ALL for finding in rules(job))


def lint_bundle(
    repository: Path, *, target: str | None = None, variables: Mapping[str, Any] | None = None
) -> tuple[Finding, ...]:
    """Look at the Workflow in a repository's bundle.

    Args:
        repository: the root of the repository, with `databricks.yml`.
        target: a target of the bundle; by default all of them.
        variables: values of variables, as they would be given to a deploy.

    Returns:
        What is wrong with it, from `fail` to `warn`, and in the order of the files. What cannot be read is a finding.
    """
    try:
        first = read_bundle(repository, target=target, variables=variables)
        others = [name for name in first.targets if target is None and name != first.target]
        bundles = [first, *(read_bundle(repository, target=name, variables=variables) for name in others)]
    except ConfigError as exc:
        return (_unreadable(exc, repository),)
    return _sorted(finding for bundle in bundles for finding in _of_bundle(bundle))


def _of_bundle(bundle: Bundle) -> Iterator[Finding]:
    yield from bundle_findings(bundle)
    workflows: dict[str, LintedJob] = {}
    is_any = False
    for key, job in bundle.defined_jobs.items():
        try:
            settings = parsed_settings(_settings(job), where=bundle.where(("resources", "jobs", key)))
            if _is_ours(settings):
                is_any = True
                yield from _unknown(bundle, key, settings)
                linted, problems = _of_the_bundle(bundle, key, settings)
                yield from problems
                workflows |= {key: linted}
        except ConfigError as exc:
            if _mentions_ours(job):
                is_any = True
                yield _unreadable(exc, bundle.root)
    started = dict(_with_starters(workflows))
    for linted in started.values():
        for rules in _ALL:
            yield from rules(linted)
    yield from other_job_findings(bundle, workflows)
    if not is_any:
        message = "no job of the bundle builds by the Workflow's notebooks"
        next_step = "include resources/dbx_cd.job.yml, or write it: python -m dbx_cd init"
        yield Finding.of("no-workflow", bundle.where(("resources",)), message, next_step)


def _with_starters(workflows: Mapping[str, LintedJob]) -> Iterator[tuple[str, LintedJob]]:
    """The jobs, each with those that run it; one without a folder of its own is of the project of those."""
    for key, job in workflows.items():
        starters = tuple((first, task) for first in workflows.values() for task in starting(first, key))
        config = job.config if "project_dir" in job.parameters or not starters else starters[0][0].config
        yield key, replace(job, starters=starters, config=config)


def _settings(job: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in job.items() if key not in BUNDLE_ONLY}


def _unknown(bundle: Bundle, key: str, settings: JobSettings) -> Iterator[Finding]:
    for place, value in not_taken(_settings(bundle.defined_jobs[key]), settings.as_dict()):
        yield unknown_key(bundle.where(("resources", "jobs", key, *place)), place, value)


def _of_the_bundle(bundle: Bundle, key: str, settings: JobSettings) -> tuple[LintedJob, list[Finding]]:
    """A job with what the bundle says of all of its jobs, and what of it cannot be read."""
    own: Place = ("resources", "jobs", key)
    if settings.run_as is None and isinstance(bundle.content.get("run_as"), dict):
        # "run_as of the bundle is that of each of its jobs" (asset bundle reference).
        settings.run_as = parsed_settings({"run_as": bundle.content["run_as"]}, where=bundle.where(("run_as",))).run_as
    permissions: list[AccessControlRequest] = []
    problems: list[Finding] = []
    for place, line in _permission_lines(bundle, own):
        try:
            permissions.append(permission(line, where=bundle.where(place)))
        except ConfigError as exc:
            next_step = exc.next_step or "correct it"
            problems.append(Finding.of("permission", bundle.where(place), exc.what, next_step))
    linted = LintedJob(
        settings,
        tuple(permissions),
        bundle.root,
        _config(settings, bundle.root),
        lambda place: bundle.where((*own, *place)),
        lambda place: bundle.origin((*own, *place))[0].parent,
    )
    return linted, problems


def _permission_lines(bundle: Bundle, own: Place) -> Iterator[tuple[Place, Any]]:
    for number, line in enumerate(bundle.defined_jobs[str(own[-1])].get("permissions") or ()):
        yield (*own, "permissions", number), line
    for number, line in enumerate(bundle.content.get("permissions") or ()):
        # On a job, CAN_RUN of the bundle is CAN_MANAGE_RUN (asset bundle documentation on permissions).
        is_run = isinstance(line, dict) and line.get("level") == "CAN_RUN"
        yield ("permissions", number), {**line, "level": "CAN_MANAGE_RUN"} if is_run else line


def _config(settings: JobSettings, repository: Path) -> CdConfig:
    """The settings of the project that a job is for.

    Raises:
        ConfigError: they cannot be read.
    """
    given = {parameter.name: parameter.default for parameter in settings.parameters or ()}
    return CdConfig.load(repository / str(given.get("project_dir") or "."))


def _is_ours(settings: JobSettings) -> bool:
    tasks = list(settings.tasks or ())
    tasks += [t.for_each_task.task for t in tasks if t.for_each_task is not None and t.for_each_task.task is not None]
    return any(notebook_name(task) in (BUILD_NOTEBOOK, GATE_NOTEBOOK) for task in tasks)


def _mentions_ours(settings: Mapping[str, Any]) -> bool:
    return any(name in str(settings) for name in (BUILD_NOTEBOOK, GATE_NOTEBOOK))


def _unreadable(exc: ConfigError, repository: Path) -> Finding:
    where = (exc.where or str(repository)).removeprefix(f"{repository}/")
    return Finding.of("unreadable", where, exc.what, exc.next_step or "correct it")


def _sorted(findings: Iterator[Finding]) -> tuple[Finding, ...]:
    """Each once, those that fail first."""
    return tuple(sorted(dict.fromkeys(findings), key=lambda finding: finding.severity != "fail"))
