"""What a repository's files were rendered for: so that `init`, run again, changes nothing but what is newer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dbx_cd.errors import ConfigError
from dbx_cd.release.workflow import JOB_NAME
from dbx_cd.setup.bundle_files import covers, included_files
from dbx_cd.setup.bundle_options import BUNDLE_FILE, JOB_FILE, Compute, Identities
from dbx_cd.setup.bundled_job import JOB_KEY
from dbx_cd.setup.yaml_places import read_places

# `init` knows these itself, so that a change of them shows.
_FOUND_ANEW = ("project_dir", "staging", "production")
# What a `databricks.yml` that `init` has written declares, in every version of it.
_OURS = {"artifacts_root", "release_log", "approvers", "run_as"}


@dataclass(frozen=True)
class PresentBundle:
    """What is there already."""

    is_ours: bool = True
    """Whether `databricks.yml` is this tool's, or is not there yet."""
    is_covered: bool = True
    """Whether the bundle includes the file of the job."""
    identities: Identities | None = None
    """As how many identities the present job works; None where there is none."""
    compute: Compute | None = None
    """Where the tasks of the present job run; None where there is none."""
    project: str | None = None
    """What the present job's name has of the project's; None for none."""
    has_job: bool = False
    """Whether there is a job."""
    git_provider: str | None = None
    """That of the present job; None where a variable says it, or nothing."""
    sres: str | None = None
    """The group that the present job lets look; None for nobody."""
    values: Mapping[str, Any] = field(default_factory=dict)
    """The defaults of variables that these files declare."""
    declared_elsewhere: frozenset[str] = frozenset()
    """Variables that other files of the bundle declare."""


def present_bundle(repository: Path) -> PresentBundle:
    """Look at the files of a repository.

    Raises:
        ConfigError: one of them cannot be read as YAML, or is no mapping.
    """
    bundle = _file(repository / BUNDLE_FILE)
    definition = _file(repository / JOB_FILE)
    declared = _variables(bundle)
    is_ours = bundle == {} or declared.keys() >= _OURS
    others: set[str] = set() if is_ours else set(declared)
    for name in included_files(repository, bundle):
        if name != JOB_FILE:
            others |= _variables(_file(repository / name)).keys()
    found = {**_variables(definition), **(declared if is_ours else {})}
    defaults = {name: given.get("default") for name, given in found.items() if isinstance(given, dict)}
    values = {n: value for n, value in defaults.items() if value is not None and n not in _FOUND_ANEW}
    resources = definition.get("resources")
    jobs = resources.get("jobs") if isinstance(resources, dict) else None
    job = jobs.get(JOB_KEY) if isinstance(jobs, dict) else None
    is_covered = bundle == {} or covers(bundle, JOB_FILE)
    if not isinstance(job, dict):
        return PresentBundle(is_ours, is_covered, values=values, declared_elsewhere=frozenset(others))
    return PresentBundle(
        is_ours,
        is_covered,
        identities=2 if any("run_job_task" in task for task in job.get("tasks") or () if isinstance(task, dict)) else 1,
        compute="serverless" if job.get("environments") else "cluster",
        project=str(job.get("name") or "").removeprefix(JOB_NAME).removeprefix("_") or None,
        has_job=True,
        git_provider=_git_provider(job),
        sres=str(values["sres"]) if values.get("sres") else None,
        values=values,
        declared_elsewhere=frozenset(others),
    )


def _git_provider(job: Mapping[str, Any]) -> str | None:
    source = job.get("git_source")
    given = str(source.get("git_provider") or "") if isinstance(source, dict) else ""
    return given if given and "${" not in given else None


def _variables(part: Mapping[str, Any]) -> dict[str, Any]:
    declared = part.get("variables")
    return {str(name): given for name, given in declared.items()} if isinstance(declared, dict) else {}


def _file(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        return read_places(path.read_text(encoding="utf-8"), file=path)[0]
    except (ConfigError, OSError, UnicodeDecodeError) as exc:
        what = exc.what if isinstance(exc, ConfigError) else f"cannot be read: {exc}"
        raise ConfigError(what, where=path, next_step="fix the file, and start `init` again") from exc
