"""`dbt source freshness` without the project's hooks, as it is part of the smoke tests, which only ask.

dbt 1.11 runs `on-run-start` and `on-run-end` for this command too, those of packages as well, unless the flag
`source_freshness_run_project_hooks` is false (`task/freshness.py`). It is neither an option nor a variable: it stands
in `flags` of dbt_project.yml, or in `config` of profiles.yml, which is the older place of all flags. dbt refuses a
project that has both (`config/project.py`, `read_project_flags`).

The flag alone would let dbt warn that there are hooks, which is an error where a project has set `warn_error`. So the
project's own hooks are taken out as well, and the warning is left for those of packages.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from dbx_cd.dbt.packages import package_folders, project_settings
from dbx_cd.dbt.profiles import PROFILES_FILE
from dbx_cd.dbt.project import LocalProject
from dbx_cd.yaml_text import load_yaml

_HOOKS = ("on-run-start", "on-run-end")
_NO_HOOKS = {"source_freshness_run_project_hooks": False}
_PROFILES = "profiles"


@contextmanager
def without_hooks(project: LocalProject) -> Iterator[LocalProject]:
    """Let dbt find a project that runs no hooks for `source freshness`, and put everything back afterwards.

    The files are written anew from what they hold: dbt reads the same settings, in the same order, without comments. A
    project in which nothing has hooks is left as it is, so that dbt's parse of it can be used again.

    Args:
        project: the copy, with its packages installed.

    Yields:
        The project to give to dbt: the same folder, and where flags are set in profiles.yml a copy of that.
    """
    found = project_settings(project.dir)
    # One that cannot be read is for dbt to report.
    if not found or not any(_has_hooks(folder) for folder in (project.dir, *package_folders(project.dir))):
        yield project
        return
    file = project.dir / "dbt_project.yml"
    original = file.read_bytes()
    settings = {key: value for key, value in found.items() if key not in _HOOKS}
    flags, profiles = settings.get("flags"), _profiles(project)
    is_in_profiles = bool(profiles.get("config")) and not flags
    if not is_in_profiles:
        settings["flags"] = _with_flag(flags)
    folder = project.work / _PROFILES
    try:
        file.write_text(_text(settings), encoding="utf-8")
        if is_in_profiles:
            folder.mkdir(mode=0o700, exist_ok=True)
            changed = {**profiles, "config": _with_flag(profiles["config"])}
            (folder / PROFILES_FILE).write_text(_text(changed), encoding="utf-8")
        yield replace(project, profiles_dir=folder) if is_in_profiles else project
    finally:
        file.write_bytes(original)
        shutil.rmtree(folder, ignore_errors=True)


def _has_hooks(folder: Path) -> bool:
    settings = project_settings(folder)
    return any(settings.get(key) for key in _HOOKS)


def _with_flag(flags: Any) -> dict[str, Any]:
    return {**(flags if isinstance(flags, dict) else {}), **_NO_HOOKS}


def _profiles(project: LocalProject) -> Mapping[str, Any]:
    """What profiles.yml holds; nothing where it cannot be read, which dbt then says."""
    file = (project.profiles_dir or Path.home() / ".dbt") / PROFILES_FILE
    try:
        loaded = load_yaml(file.read_text(encoding="utf-8"), last_counts=True)
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return loaded if isinstance(loaded, dict) else {}


def _text(settings: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(settings), sort_keys=False, allow_unicode=True)
