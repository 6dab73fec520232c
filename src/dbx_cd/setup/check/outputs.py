"""The outputs of a project's profile: where each target builds, and as whom dbt logs in there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from dbx_cd.dbt.packages import project_settings
from dbx_cd.dbt.profiles import PROFILES_FILE, profiles_folder
from dbx_cd.errors import ConfigError
from dbx_cd.jinja import EarlyJinja
from dbx_cd.profile_outputs import CONNECTION_KEYS
from dbx_cd.yaml_text import load_yaml

_NAMES = ("type", "catalog", "database", "schema", "threads")
_VARIABLE = re.compile(r"env_var\s*\(\s*['\"]([^'\"]+)['\"]\s*\)")


@dataclass(frozen=True)
class Output:
    """One output of the profile, as far as it can be rendered here."""

    name: str
    """The target."""
    where: str
    """The file and the path in it."""
    values: Mapping[str, str]
    """The values of its keys; of one that needs a variable which is not set here, the text as it is written."""
    faults: Mapping[str, str] = field(default_factory=dict)
    """Why a key that names something cannot be rendered, by the key."""
    unset: tuple[str, ...] = ()
    """The variables without a default, and not set here, by which it logs in."""

    @property
    def catalog(self) -> str:
        """Its catalog: `catalog` is an alias of `database`, and session_properties may name it (dbt-databricks)."""
        return self.values.get("catalog") or self.values.get("database") or self.values.get("databricks.catalog", "")

    @property
    def schema(self) -> str:
        """Its default schema."""
        return self.values.get("schema", "")

    @property
    def has_connection(self) -> bool:
        """Whether it says where to connect."""
        return bool(self.values.get("host") or self.values.get("http_path"))

    @property
    def warehouse_id(self) -> str | None:
        """The SQL warehouse that its HTTP path leads to; None where it leads elsewhere, or is not known here."""
        found = re.fullmatch(r"/?sql/1\.0/(?:warehouses|endpoints)/(\w+)(?:\?.*)?", self.values.get("http_path", ""))
        return found[1] if found else None


def outputs_of(project: Path, targets: Iterable[str], *, profiles_dir: str | Path | None) -> dict[str, Output]:
    """The outputs of these targets; one that the profile has not is left out.

    Args:
        project: the project's folder.
        targets: the targets.
        profiles_dir: as for `run_dbt`.

    Raises:
        ConfigError: there is no `profiles.yml` in the repository, it cannot be read, or has no such profile.
    """
    folder = profiles_folder(project, given=profiles_dir)
    if folder is None:
        raise ConfigError(
            "no profiles.yml",
            where=project,
            next_step="commit one beside dbt_project.yml, with an output for each target: the job has no home folder",
        )
    source = folder / PROFILES_FILE
    profile = EarlyJinja().render(project_settings(project).get("profile"), where=f"{project}/dbt_project.yml: profile")
    profiles = read_profiles(source)
    found = (profiles.get(profile) or {}).get("outputs") if isinstance(profiles.get(profile), dict) else None
    if not isinstance(found, dict) or not found:
        raise ConfigError(
            f"no profile {profile!r} with outputs; the file has {', '.join(map(str, profiles)) or 'nothing'}",
            where=source,
            next_step="let `profile` in dbt_project.yml name one that is there",
        )
    return {
        name: _output(name, found[name], where=f"{source}: {profile}.outputs.{name}")
        for name in targets
        if isinstance(found.get(name), dict)
    }


def read_profiles(source: Path) -> dict[str, Any]:
    """What a `profiles.yml` holds.

    Raises:
        ConfigError: it cannot be read, or is no mapping.
    """
    try:
        loaded = load_yaml(source.read_text(encoding="utf-8"), last_counts=True)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as exc:
        raise ConfigError(f"cannot be read as YAML: {exc}", where=source, next_step="correct it") from exc
    if not isinstance(loaded, dict):
        raise ConfigError("holds no profiles", where=source, next_step="write one, with an output for each target")
    return loaded


def write_without_login(source: Path, folder: Path) -> None:
    """Write the profiles into another folder, with no way to log in: dbt parses a project without any.

    Args:
        source: the project's `profiles.yml`.
        folder: where to.

    Raises:
        ConfigError: see `read_profiles`.
    """
    profiles = read_profiles(source)
    for profile in profiles.values():
        outputs = profile.get("outputs") if isinstance(profile, dict) else None
        for output in outputs.values() if isinstance(outputs, dict) else ():
            if isinstance(output, dict):
                for key in CONNECTION_KEYS:
                    output.pop(key, None)
                output |= {"host": "nowhere.invalid", "http_path": "/sql/1.0/warehouses/0", "token": "none"}
    text = yaml.safe_dump(profiles, sort_keys=False, allow_unicode=True)
    (folder / PROFILES_FILE).write_text(text, encoding="utf-8")


def _output(name: str, given: Mapping[str, Any], *, where: str) -> Output:
    jinja = EarlyJinja()
    values: dict[str, str] = {}
    faults: dict[str, str] = {}
    unset: list[str] = []
    session = given.get("session_properties")
    for key, value in {**given, **(session if isinstance(session, dict) else {})}.items():
        if isinstance(value, dict | list):
            continue
        try:
            values[key] = jinja.render(value, where=f"{where}.{key}")
        except ConfigError as exc:
            values[key] = str(value)
            if key in _NAMES:
                faults[key] = exc.what
            elif key in CONNECTION_KEYS:
                unset += _VARIABLE.findall(str(value)) or [key]
    return Output(name, where, values, faults, tuple(dict.fromkeys(unset)))
