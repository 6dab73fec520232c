"""What a repository's own bundle says: its variables, and what the Workflow's job is called."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from dbx_cd.errors import ConfigError
from dbx_cd.setup.bundle import BUNDLE_FILE, JOB_FILE
from dbx_cd.yaml_text import load_yaml

JOB_KEY = "dbx_cd"
"""The job's key below `resources.jobs`: the same in every project, whatever the job is called."""
_VARIABLE = re.compile(r"\$\{var\.(\w+)\}")


def read_bundle_file(path: Path, *, text: str | None = None) -> dict[str, Any]:
    """What a file of a bundle says.

    Args:
        path: the file.
        text: what is in it, where that is known already.

    Raises:
        ConfigError: it cannot be read as YAML, or is no mapping.
    """
    try:
        loaded = load_yaml(path.read_text(encoding="utf-8") if text is None else text)
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as exc:
        raise ConfigError(f"cannot be read as YAML: {exc}", where=path) from exc
    return mapping(loaded, path)


def mapping(value: object, where: Path) -> dict[str, Any]:
    """A value that has to be a mapping.

    Raises:
        ConfigError: it is none.
    """
    if not isinstance(value, dict):
        raise ConfigError("must be a mapping", where=where)
    return value


def declared_variables(bundle: Mapping[str, Any], job: Mapping[str, Any], *, where: Path) -> dict[str, Any]:
    """The values of a bundle's variables: their defaults, in either file, and what the default target says.

    Several files of a bundle may declare variables, and a target may give them other values (asset bundle reference:
    `include`, `targets`).

    Args:
        bundle: what `databricks.yml` says.
        job: what the file of the job says.
        where: the files, for errors.

    Raises:
        ConfigError: one of the parts is no mapping.
    """
    found: dict[str, Any] = {}
    for part in (job, bundle):
        for name, variable in mapping(part.get("variables") or {}, where).items():
            given = variable if isinstance(variable, dict) else {}
            found[str(name)] = given.get("default", found.get(str(name), ""))
    targets = mapping(bundle.get("targets") or {}, where)
    chosen = [t for t in targets.values() if isinstance(t, dict) and (t.get("default") or len(targets) == 1)]
    for name, given in (chosen[0].get("variables") or {}).items() if chosen else ():
        value = given.get("default", found.get(str(name), "")) if isinstance(given, dict) else given
        found[str(name)] = value
    return found


def own_job_name(folder: Path) -> str | None:
    """What the Workflow's job is called by the bundle of the repository that a folder is in.

    Args:
        folder: a folder in a working tree.

    Returns:
        Its name; None where the repository has no definition of the job, or one that does not say it.
    """
    place = folder.resolve()
    for root in (place, *place.parents):
        if (root / JOB_FILE).is_file():
            return _job_name(root)
        if (root / ".git").exists():
            break
    return None


def _job_name(repository: Path) -> str | None:
    try:
        job = read_bundle_file(repository / JOB_FILE)
        bundle = read_bundle_file(repository / BUNDLE_FILE) if (repository / BUNDLE_FILE).is_file() else {}
        name = job["resources"]["jobs"][JOB_KEY]["name"]
        values = declared_variables(bundle, job, where=repository)
    except (ConfigError, LookupError, TypeError, AttributeError):
        return None
    filled = _VARIABLE.sub(lambda found: str(values.get(found[1], found[0])), str(name))
    return None if "${" in filled else filled
