"""Where `init` works: the root of a repository, the folder of the dbt project in it, and what its profile has."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import yaml

from dbx_cd.dbt.packages import project_settings
from dbx_cd.dbt.profiles import PROFILES_FILE
from dbx_cd.errors import ConfigError
from dbx_cd.yaml_text import load_yaml

_NO_PROJECTS = ("dbt_packages", "integration_tests", "node_modules", "target")


def require_root(folder: Path) -> None:
    """The job checks out the whole repository, and CI reads its workflows at the root: a folder in it is no place.

    Args:
        folder: where to write, resolved.

    Raises:
        ConfigError: git has the root elsewhere. A folder that is in no repository yet may become one.
    """
    root = next((parent for parent in (folder, *folder.parents) if (parent / ".git").exists()), folder)
    if root != folder:
        inside = folder.relative_to(root).as_posix()
        raise ConfigError(
            f"the root of the repository is {root}",
            where=folder,
            next_step="start `init` there"
            + (f", with --project {inside}" if (folder / "dbt_project.yml").is_file() else ""),
        )


def project_folder(repository: Path, given: str | None) -> Path | None:
    """The folder of the dbt project; None where there is none yet.

    Args:
        repository: the root of the repository, resolved.
        given: the folder, relative to it; None for the only one.

    Raises:
        ConfigError: there is no project in the folder that is given, or there are several and none is given.
    """
    if given is not None:
        project = (repository / given).resolve()
        if not (project / "dbt_project.yml").is_file() or not project.is_relative_to(repository):
            raise ConfigError(
                "no dbt_project.yml", where=project, next_step="give a folder of the repository, relative to its root"
            )
        return project
    if (repository / "dbt_project.yml").is_file():
        return repository
    found = []
    for folder, inner, names in os.walk(repository):
        inner[:] = [name for name in inner if not name.startswith(".") and name not in _NO_PROJECTS]
        if "dbt_project.yml" in names:
            found.append(Path(folder))
    # A package names no profile: the projects that use it do.
    found = sorted([folder for folder in found if project_settings(folder).get("profile")] or found)
    if len(found) > 1:
        names_of = ", ".join(folder.relative_to(repository).as_posix() for folder in found)
        raise ConfigError(
            f"several dbt projects: {names_of}", where=repository, next_step="give the folder of one by --project"
        )
    return found[0] if found else None


def require_outputs(project: Path, targets: Sequence[str], *, next_step: str) -> None:
    """Every target is an output of the profile, where `profiles.yml` lies beside `dbt_project.yml`.

    One that lies elsewhere may be another one than the job's, and of one that cannot be read dbt says what is wrong.

    Args:
        project: the project's folder.
        targets: the names.
        next_step: what to do where one is missing.

    Raises:
        ConfigError: the profile has no such output.
    """
    source = project / PROFILES_FILE
    try:
        profile = load_yaml(source.read_text(encoding="utf-8"), last_counts=True)[project_settings(project)["profile"]]
        outputs = [str(name) for name in profile["outputs"]]
    except (OSError, UnicodeDecodeError, yaml.YAMLError, LookupError, TypeError):
        return
    missing = [name for name in targets if name not in outputs]
    if missing:
        raise ConfigError(
            f"the profile has no output {', '.join(missing)}; it has {', '.join(outputs)}",
            where=source,
            next_step=next_step,
        )
