"""`init`: what a project's repository needs for its releases, written where it is not there yet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from dbx_cd.config import CdConfig
from dbx_cd.dbt.packages import project_settings
from dbx_cd.dbt.requirements_lock import FILE_NAME as DBT_LOCK
from dbx_cd.errors import ConfigError
from dbx_cd.setup.bundle import (
    bundle_text,
    ci_text,
    job_text,
    packaged_folder,
    production_job_text,
    variable_names,
    with_environment,
)
from dbx_cd.setup.bundle_options import (
    BUNDLE_FILE,
    CI_FILE,
    JOB_FILE,
    PRODUCTION_JOB_FILE,
    BundleOptions,
    Cloud,
    Compute,
    Identities,
    TargetNames,
)
from dbx_cd.setup.first_suite import TAG, Parse, Shipped, shipped_of
from dbx_cd.setup.init_targets import AskedNames, FoundTargets, find_targets
from dbx_cd.setup.lock_dbt import packaged_lock
from dbx_cd.setup.planned_files import PlannedFile, write_files
from dbx_cd.setup.present_bundle import PresentBundle, present_bundle
from dbx_cd.setup.repository import project_folder, remote_of, require_root


@dataclass(frozen=True)
class Asked:
    """What `init` is asked for."""

    directory: Path
    """The root of the project's repository."""
    project: str | None = None
    """The folder of the dbt project in it; None for the only one."""
    names: AskedNames = field(default_factory=AskedNames)
    """What its targets are called."""
    compute: Compute | None = None
    """Where the notebooks run; None for as it is, or a cluster."""
    identities: Identities | None = None
    """As how many identities the Workflow works; None for as it is, or one."""
    cloud: Cloud = "aws"
    """Whose node types a cluster has, in a file that is not there yet."""
    sres: str | None = None
    """The group that sees the job; None for as it is, or nobody."""


@dataclass(frozen=True)
class InitPlan:
    """What a repository is to have."""

    repository: Path
    """Its root."""
    files: tuple[PlannedFile, ...]
    """Every file, also those that are as they are to be."""
    remarks: tuple[str, ...] = ()
    """What is left to do by hand, a sentence each."""

    @property
    def diff(self) -> str:
        """What would be written, and how what is there and stays differs, as `git apply` takes it."""
        return "".join(file.diff for file in self.files)


def plan_init(asked: Asked, *, parse: Parse | None = None) -> InitPlan:
    """Decide what a repository is to have; writes nothing.

    Args:
        asked: what for.
        parse: reads the project's manifest, in place of dbt.

    Raises:
        ConfigError: it is no root of a repository, its projects or targets are not clear, or a file that is there
            cannot be read.
    """
    repository = asked.directory.resolve()
    if not repository.is_dir():
        raise ConfigError("no such folder", where=repository, next_step="give the root of the project's repository")
    require_root(repository)
    project = project_folder(repository, asked.project)
    if project is None and asked.names.is_any:
        raise ConfigError(
            "dbx_cd.yml has to lie beside dbt_project.yml, and there is none here",
            where=repository,
            next_step="start `init` in the root of the repository that has the dbt project",
        )
    targets = FoundTargets(TargetNames()) if project is None else find_targets(project, asked.names)
    present = present_bundle(repository)
    options = _options(asked, repository, project, names=targets.names, present=present)
    drafted = Shipped((), {}) if project is None else shipped_of(project, targets.names.staging, parse=parse)
    files = [PlannedFile.in_repository(repository, name, text) for name, text in _same_for_all(options)]
    if project is not None:
        files += _of_the_project(repository, project, drafted, targets)
    remarks = [*_of_the_bundle(present, options), *_of_what_ships(project, drafted)]
    if targets.remark:
        remarks.insert(0, targets.remark)
    return InitPlan(repository, tuple(files), tuple(remarks))


def init(plan: InitPlan, *, say: Callable[[str], None]) -> None:
    """Write what a repository has not; nothing that is there is changed, but for targets added to `dbx_cd.yml`.

    Args:
        plan: what it is to have.
        say: is told each file that was written, what differs, and what is left to do.

    Raises:
        ConfigError: a file cannot be written; then none is.
    """
    for path in write_files(plan.repository, plan.files):
        say(str(path))
    differing = [file.name for file in plan.files if file.differs]
    if differing:
        say(f"stays as it is, and differs from what this version writes (see --diff): {', '.join(differing)}")
    elif not any(file.is_written for file in plan.files):
        say("nothing to do: every file is as this version writes it")
    for remark in plan.remarks:
        say(remark)


def _options(
    asked: Asked, repository: Path, project: Path | None, *, names: TargetNames, present: PresentBundle
) -> BundleOptions:
    name = str(project_settings(project).get("name") or "") if project is not None else ""
    options = BundleOptions(
        targets=names,
        project=present.project if present.has_job else name or None,
        project_dir=project.relative_to(repository).as_posix() if project is not None else ".",
        compute=asked.compute or present.compute or "cluster",
        identities=asked.identities or present.identities or 1,
        cloud=asked.cloud,
        sres=asked.sres or present.sres,
        is_bundle_ours=present.is_ours,
        values=present.values,
        declared_elsewhere=present.declared_elsewhere,
    )
    remote = remote_of(repository)
    if remote is not None and not present.has_job:
        url, provider = remote
        options = replace(options, values={"git_url": url, **options.values})
        options = replace(options, git_provider=provider or options.git_provider)
    return replace(options, git_provider=present.git_provider or options.git_provider)


def _same_for_all(options: BundleOptions) -> Iterator[tuple[str, str]]:
    """What lies in the repository, whatever its project: each file's name and text."""
    if options.is_bundle_ours:
        yield BUNDLE_FILE, bundle_text(options)
    yield JOB_FILE, job_text(options)
    if options.identities == 2:
        yield PRODUCTION_JOB_FILE, production_job_text(options)
    yield CI_FILE, ci_text(options)
    for path in sorted((packaged_folder() / "notebooks").glob("*.py")):
        yield f"notebooks/{path.name}", with_environment(path.read_text(encoding="utf-8"), options)
    trigger = packaged_folder() / "requirements" / "dbx_cd-trigger.txt"
    yield f"requirements/{trigger.name}", trigger.read_text(encoding="utf-8")


def _of_the_project(repository: Path, project: Path, drafted: Shipped, targets: FoundTargets) -> Iterator[PlannedFile]:
    """What lies beside `dbt_project.yml`."""
    inside = project.relative_to(repository)
    if targets.settings is not None:
        path, text = targets.settings
        name = path.relative_to(repository).as_posix()
        yield PlannedFile.in_repository(repository, name, text, is_addition=True)
    if not (project / DBT_LOCK).exists():  # one that is there is the team's
        yield PlannedFile((inside / DBT_LOCK).as_posix(), packaged_lock())
    if not CdConfig.load(project).smoke_dir.exists():
        for domain, text in drafted.suites.items():
            yield PlannedFile.in_repository(repository, (inside / "smoke" / f"{domain}.yml").as_posix(), text)


def _of_the_bundle(present: PresentBundle, options: BundleOptions) -> Iterator[str]:
    if not present.is_covered:
        yield f"add to {BUNDLE_FILE}, which stays as it is:\ninclude:\n  - {JOB_FILE}"
    if not present.is_ours:
        yield (
            f"the variables of the Workflow are in {JOB_FILE}, beside the job; a target of your bundle that is to have "
            "other values sets them below its `variables`"
        )
    theirs = ", ".join(sorted(present.declared_elsewhere & variable_names(options)))
    if theirs:
        yield f"your bundle declares these variables itself, and the Workflow takes them as they are: {theirs}"
    if options.project_dir == "." and not options.project:
        yield f"where dbt_project.yml is in another folder, or comes to one, set `project_dir` in {BUNDLE_FILE}"


def _of_what_ships(project: Path | None, drafted: Shipped) -> Iterator[str]:
    if project is None:
        return
    if drafted.problem:
        yield f"which models ship is not known, and no smoke suite was drafted: {drafted.problem}"
    elif drafted.models:
        yield f"tagged {TAG}, so that they ship: {', '.join(drafted.models)}"
    else:
        yield (
            f"no model is tagged {TAG}, so nothing would ship; for a folder of models add to dbt_project.yml:\n"
            "models:\n"
            f"  {project_settings(project).get('name')}:\n    marts:\n      +tags: [{TAG}]"
        )
