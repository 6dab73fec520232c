"""The jobs of a bundle that are Workflows, as the rules see them, and what of them cannot be read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from databricks.sdk.service.iam import AccessControlRequest
from databricks.sdk.service.jobs import JobSettings

from dbx_cd.config import CdConfig
from dbx_cd.errors import ConfigError
from dbx_cd.release.job import BUILD_NOTEBOOK, GATE_NOTEBOOK
from dbx_cd.setup.api_types import normalized_settings
from dbx_cd.setup.bundle_reading import Bundle
from dbx_cd.setup.bundled_job import BUNDLE_ONLY, in_words, not_taken, parsed_settings, permission
from dbx_cd.setup.lint.bundle_rules import unknown_key
from dbx_cd.setup.lint.finding import Finding
from dbx_cd.setup.lint.linted_job import LintedJob
from dbx_cd.setup.lint.other_job_rules import starting
from dbx_cd.setup.yaml_places import Place


@dataclass
class JobsOfBundle:
    """What of a bundle's jobs can be looked at."""

    workflows: dict[str, LintedJob] = field(default_factory=dict)
    """The jobs that build by our notebooks, by key."""
    is_any: bool = False
    """Whether there is one, be it that it cannot be read."""
    findings: list[Finding] = field(default_factory=list)
    """What cannot be read, or is not what the Jobs API takes."""


def jobs_of_bundle(bundle: Bundle) -> JobsOfBundle:
    """Read the jobs of a bundle; one that has values of a wrong kind is looked at no further."""
    found = JobsOfBundle()
    for key, job in bundle.defined_jobs.items():
        if not _is_ours(job):
            continue
        found.is_any = True
        try:
            settings = _settings(bundle, key, found)
            if settings is not None:
                found.workflows[key] = _linted(bundle, key, settings, found)
        except ConfigError as exc:
            found.findings.append(unreadable(exc, bundle.root))
    found.workflows = dict(_with_starters(found.workflows))
    return found


def _settings(bundle: Bundle, key: str, found: JobsOfBundle) -> JobSettings | None:
    place: Place = ("resources", "jobs", key)
    normalized = normalized_settings({k: v for k, v in bundle.defined_jobs[key].items() if k not in BUNDLE_ONLY})
    for inside, expected in normalized.wrong:
        found.findings.append(_wrong(bundle, (*place, *inside), inside, expected))
    if normalized.wrong:
        return None
    settings = parsed_settings(normalized.value, where=bundle.where(place))
    for inside, value in not_taken(normalized.value, settings.as_dict()):
        found.findings.append(unknown_key(bundle.where((*place, *inside)), inside, value))
    run_as = bundle.content.get("run_as")
    if settings.run_as is None and isinstance(run_as, Mapping):
        # "run_as of the bundle is that of each of its jobs" (asset bundle reference).
        of_all = normalized_settings({"run_as": run_as})
        found.findings += [_wrong(bundle, inside, inside, expected) for inside, expected in of_all.wrong]
        settings.run_as = parsed_settings(of_all.value, where=bundle.where(("run_as",))).run_as
    return settings


def _wrong(bundle: Bundle, place: Place, inside: Place, expected: str) -> Finding:
    message = f"{in_words(inside)} must be {expected}"
    return Finding.of("wrong-kind", bundle.where(place), message, "correct it as the packaged definition has it")


def _linted(bundle: Bundle, key: str, settings: JobSettings, found: JobsOfBundle) -> LintedJob:
    """A job with what the bundle says of all of its jobs."""
    own: Place = ("resources", "jobs", key)
    permissions: list[AccessControlRequest] = []
    for place, line in _permission_lines(bundle, own):
        try:
            permissions.append(permission(line, where=bundle.where(place)))
        except ConfigError as exc:
            next_step = exc.next_step or "correct it"
            found.findings.append(Finding.of("permission", bundle.where(place), exc.what, next_step))
    return LintedJob(
        settings,
        tuple(permissions),
        bundle.root,
        config_of(settings, bundle.root),
        lambda place: bundle.where((*own, *place)),
        lambda place: bundle.origin((*own, *place))[0].parent,
    )


def _permission_lines(bundle: Bundle, own: Place) -> Iterator[tuple[Place, Any]]:
    for number, line in enumerate(_listed(bundle.defined_jobs[str(own[-1])].get("permissions"))):
        yield (*own, "permissions", number), line
    for number, line in enumerate(_listed(bundle.content.get("permissions"))):
        # On a job, CAN_RUN of the bundle is CAN_MANAGE_RUN (asset bundle documentation on permissions).
        is_run = isinstance(line, dict) and line.get("level") == "CAN_RUN"
        yield ("permissions", number), {**line, "level": "CAN_MANAGE_RUN"} if is_run else line


def _listed(value: Any) -> list[Any]:
    """A list; of anything else what has to be refused as an item of one."""
    return value if isinstance(value, list) else [] if value is None else [value]


def config_of(settings: JobSettings, repository: Path) -> CdConfig:
    """The settings of the project that a job is for.

    Raises:
        ConfigError: they cannot be read.
    """
    given = {parameter.name: parameter.default for parameter in settings.parameters or ()}
    return CdConfig.load(repository / str(given.get("project_dir") or "."))


def _with_starters(workflows: Mapping[str, LintedJob]) -> Iterator[tuple[str, LintedJob]]:
    """The jobs, each with those that run it; one without a folder of its own is of the project of those."""
    for key, job in workflows.items():
        starters = tuple((first, task) for first in workflows.values() for task in starting(first, key))
        config = job.config if "project_dir" in job.parameters or not starters else starters[0][0].config
        yield key, replace(job, starters=starters, config=config)


def _is_ours(job: Mapping[str, Any]) -> bool:
    return any(PurePosixPath(path.removesuffix(".py")).name in (BUILD_NOTEBOOK, GATE_NOTEBOOK) for path in _paths(job))


def _paths(value: Any) -> Iterator[str]:
    """Every notebook's path in settings, whatever is around it."""
    if isinstance(value, Mapping):
        path = value.get("notebook_path")
        if isinstance(path, str):
            yield path
    for inner in value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ():
        yield from _paths(inner)


def unreadable(exc: ConfigError, repository: Path) -> Finding:
    """What cannot be read, as a finding."""
    where = (exc.where or str(repository)).removeprefix(f"{repository}/")
    return Finding.of("unreadable", where, exc.what, exc.next_step or "correct it")
