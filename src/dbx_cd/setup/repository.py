"""Where `init` works: the root of a repository, where it is pushed to, its dbt project, and what the profile has."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

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


def profile_outputs(project: Path) -> list[str] | None:
    """The outputs of the profile in the `profiles.yml` beside `dbt_project.yml`.

    One that lies elsewhere may be another one than the job's, and of one that cannot be read dbt says what is wrong.

    Returns:
        Their names; None where nothing can be said.
    """
    try:
        text = (project / PROFILES_FILE).read_text(encoding="utf-8")
        profile = load_yaml(text, last_counts=True)[project_settings(project)["profile"]]
        return [str(name) for name in profile["outputs"]]
    except (OSError, UnicodeDecodeError, yaml.YAMLError, LookupError, TypeError):
        return None


def require_outputs(project: Path, targets: Sequence[str], *, next_step: str) -> None:
    """Every target is an output of the profile, as far as that can be said.

    Args:
        project: the project's folder.
        targets: the names.
        next_step: what to do where one is missing.

    Raises:
        ConfigError: the profile has no such output.
    """
    outputs = profile_outputs(project)
    missing = [name for name in targets if outputs is not None and name not in outputs]
    if missing:
        raise ConfigError(
            f"the profile has no output {', '.join(missing)}; it has {', '.join(outputs or ())}",
            where=project / PROFILES_FILE,
            next_step=next_step,
        )


# Hosts of repositories, by what the Jobs API calls their provider (reference of the Jobs API, `git_provider`).
_PROVIDERS = {
    "github.com": "gitHub",
    "gitlab.com": "gitLab",
    "bitbucket.org": "bitbucketCloud",
    "dev.azure.com": "azureDevOpsServices",
}
_SSH = re.compile(r"(?:ssh://)?git@(?:ssh\.)?([\w.-]+)[:/](?:v3/)?(.+)")


def remote_of(repository: Path) -> tuple[str, str | None] | None:
    """Where a repository is pushed to.

    Returns:
        Its address for HTTPS, as the job's git source has it, and the provider, None for one that the address does not
        tell; None where there is no `origin`, or one on this machine.
    """
    command = ["git", "-C", str(repository), "config", "--get", "remote.origin.url"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:  # no git here
        return None
    ssh = _SSH.fullmatch(found)
    if ssh is not None and "azure" not in ssh[1]:  # whose paths differ
        found = f"https://{ssh[1]}/{ssh[2]}"
    parts = urlsplit(found)
    if parts.scheme != "https" or not parts.hostname:
        return None
    # Without a user or token that somebody has put into it.
    host = parts.netloc.rpartition("@")[2]
    return f"https://{host}{parts.path.removesuffix('.git')}", _PROVIDERS.get(parts.hostname)
