"""The Workflow's job as the bundle's files have it, for the checks: which one it is, and what it builds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from dbx_cd.config import bundle_variables
from dbx_cd.errors import ConfigError
from dbx_cd.release.job import BUILD_NOTEBOOK, GATE_NOTEBOOK
from dbx_cd.setup.bundle_reading import Bundle, read_bundle
from dbx_cd.setup.bundled_job import BUNDLE_ONLY, JOB_KEY

_UNKNOWN = "${"


@dataclass(frozen=True)
class BuildTask:
    """A task that builds one target."""

    key: str
    """Its key."""
    target: str
    """The target."""
    select: str
    """What it builds, in dbt's words."""
    exclude: str = ""
    """What it leaves out."""
    with_parents: str = "none"
    """Which ancestors it builds as well."""


@dataclass(frozen=True)
class WrittenJob:
    """A job as it is written."""

    key: str
    """Its key under `resources.jobs`."""
    file: Path
    """The file that has it."""
    bundle: Path
    """The bundle's own file."""
    settings: Mapping[str, Any]
    """What the Jobs API takes, with variables filled in."""
    permissions: tuple[Mapping[str, str], ...]
    """Who may do what with it, but for its owner."""
    variables: Mapping[str, Any]
    """The values of the bundle's variables, as far as its files or the environment say them."""
    others: tuple[WrittenJob, ...] = field(default=())
    """The other jobs of the same Workflow: with two identities, the one that builds what has a gate."""

    @property
    def name(self) -> str:
        """Its name in the workspace."""
        return str(self.settings.get("name") or self.key)

    @property
    def run_as(self) -> str:
        """Whom it runs as; "" for whoever deploys it."""
        given = self.settings.get("run_as") or {}
        return str(given.get("service_principal_name") or given.get("user_name") or "")

    @property
    def parameters(self) -> dict[str, str]:
        """The default of each of its parameters."""
        return {str(p.get("name")): str(p.get("default") or "") for p in self.settings.get("parameters") or ()}

    @property
    def whole(self) -> dict[str, Any]:
        """Its settings with the tasks of the other jobs, as one job would have them."""
        tasks = [task for job in (self, *self.others) for task in job.settings.get("tasks") or ()]
        return {**self.settings, "tasks": tasks}

    def builds(self) -> Iterator[BuildTask]:
        """The tasks that build something, those of the other jobs as well."""
        for task in self.whole["tasks"]:
            given = (task.get("notebook_task") or {}).get("base_parameters") or {}
            if _notebook(task) == BUILD_NOTEBOOK and given.get("target"):
                select, exclude = (str(given.get(name) or "") for name in ("select", "exclude"))
                parents = given.get("with_parents") or "none"
                yield BuildTask(str(task.get("task_key")), given["target"], select, exclude, parents)


def is_unknown(value: object) -> bool:
    """Whether a value stands for something that only a deploy knows, such as `${workspace.file_path}`."""
    return isinstance(value, str) and _UNKNOWN in value


def written_job(repository: Path, *, job: str | None = None) -> WrittenJob:
    """Read the job of a repository's bundle.

    A variable has the value of BUNDLE_VAR_..., else what the bundle's default target gives it, else its default (asset
    bundle reference on custom variables; of `--var`, which would count before all, nothing is known here).

    Args:
        repository: the root of the repository.
        job: its key or name; by default the one that is the Workflow's.

    Raises:
        ConfigError: there is no bundle, it cannot be read, or has no such job.
    """
    declared = read_bundle(repository).content.get("variables") or {}
    bundle = read_bundle(repository, variables=bundle_variables(declared))
    values = bundle.variables
    jobs = {key: _job(bundle, key, values) for key in bundle.defined_jobs}
    key = _chosen(jobs, job, where=bundle.file)
    others = tuple(j for name, j in jobs.items() if name != key and j.name != jobs[key].name and _is_ours(j))
    found = jobs[key]
    return WrittenJob(
        key, found.file, found.bundle, found.settings, found.permissions, values, others if job is None else ()
    )


def _job(bundle: Bundle, key: str, values: Mapping[str, Any]) -> WrittenJob:
    definition = bundle.defined_jobs[key]
    permissions = tuple(line for line in definition.get("permissions") or () if isinstance(line, dict))
    settings = {name: value for name, value in definition.items() if name not in BUNDLE_ONLY}
    if "run_as" not in settings and bundle.content.get("run_as"):
        settings["run_as"] = bundle.content["run_as"]  # that of the bundle is each job's (asset bundle reference)
    path, _ = bundle.origin(("resources", "jobs", key))
    return WrittenJob(key, path, bundle.file, settings, permissions, values)


def _chosen(jobs: Mapping[str, WrittenJob], job: str | None, *, where: Path) -> str:
    if job is not None and not job.isdecimal():
        found = [key for key, written in jobs.items() if job in (key, written.name)]
    elif JOB_KEY in jobs:
        found = [JOB_KEY]
    else:
        found = [key for key, written in jobs.items() if _is_ours(written)]
    if len(found) != 1:
        wanted = f"job {job!r}" if job else "job that is the Workflow's"
        raise ConfigError(
            f"{'no' if not found else len(found)} {wanted} among {', '.join(jobs) or 'no jobs at all'}",
            where=where,
            next_step="say which one by --job; or write it: python -m dbx_cd init",
        )
    return found[0]


def _is_ours(job: WrittenJob) -> bool:
    return any(_notebook(task) in (GATE_NOTEBOOK, BUILD_NOTEBOOK) for task in job.settings.get("tasks") or ())


def _notebook(task: Mapping[str, Any]) -> str:
    path = str((task.get("notebook_task") or {}).get("notebook_path") or "")
    return PurePosixPath(path.removesuffix(".py")).name
