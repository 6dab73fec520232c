"""A linter of the Workflow's job: what neither the schema of bundles nor the official validation finds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from databricks.sdk.service.iam import AccessControlRequest
from databricks.sdk.service.jobs import JobSettings

from dbx_cd.errors import ConfigError
from dbx_cd.setup.bundle_reading import Bundle, read_bundle
from dbx_cd.setup.bundled_job import in_words
from dbx_cd.setup.lint.after_build_rules import after_build_findings
from dbx_cd.setup.lint.bundle_rules import bundle_findings
from dbx_cd.setup.lint.compute_rules import compute_findings
from dbx_cd.setup.lint.finding import RULES, Finding, Rule
from dbx_cd.setup.lint.gate_rules import gate_findings
from dbx_cd.setup.lint.jobs_of_bundle import config_of, jobs_of_bundle, unreadable
from dbx_cd.setup.lint.linted_job import LintedJob
from dbx_cd.setup.lint.other_job_rules import other_job_findings
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
        config = config_of(settings, repository)
    except ConfigError as exc:
        return (unreadable(exc, repository),)
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
        return (unreadable(exc, repository),)
    return _sorted(finding for bundle in bundles for finding in _of_bundle(bundle))


def _of_bundle(bundle: Bundle) -> Iterator[Finding]:
    yield from bundle_findings(bundle)
    jobs = jobs_of_bundle(bundle)
    yield from jobs.findings
    for job in jobs.workflows.values():
        for rules in _ALL:
            yield from rules(job)
    yield from other_job_findings(bundle, jobs.workflows)
    if not jobs.is_any:
        message = "no job of the bundle builds by the Workflow's notebooks"
        next_step = "include resources/dbx_cd.job.yml, or write it: python -m dbx_cd init"
        yield Finding.of("no-workflow", bundle.where(("resources",)), message, next_step)


def _sorted(findings: Iterator[Finding]) -> tuple[Finding, ...]:
    """Each once, those that fail first."""
    return tuple(sorted(dict.fromkeys(findings), key=lambda finding: finding.severity != "fail"))
