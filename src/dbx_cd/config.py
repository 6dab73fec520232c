"""`dbx_cd.yml`, the optional file beside `dbt_project.yml`, as one frozen record."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, Self, get_args, get_type_hints

import yaml

from dbx_cd.errors import ConfigError, DbxCdError
from dbx_cd.policies import ONE_WORD, Policies
from dbx_cd.relations import RelationName
from dbx_cd.secret_names import SecretName, secret_names
from dbx_cd.yaml_text import load_yaml

FILE_NAME = "dbx_cd.yml"

WARM_DBT = "DBX_CD_WARM_DBT"
"""The environment variable by which the embedded workspace tells its tasks the socket of a warm parent for dbt."""

Compute = Literal["warehouse", "cluster"]

_DURATION = re.compile(r"(\d+)\s*([mhd])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_NO_SETTINGS = ("project_dir", "written", "overruled", "warehouse_id")


@dataclass(frozen=True)
class TargetConfig:
    """One environment, named by its dbt target."""

    gate: Literal["approval"] | None = None
    """`approval`: nothing is built here without one."""
    defer_to: str | None = None
    """The target whose build is approved and deferred to; a gated target needs it."""
    writers: tuple[str, ...] = ()
    """As whom dbt writes here, besides the job's own identity, as the platform names them: where the profile logs in as
    somebody else, a rollback takes their commits during the build for the release's own."""


@dataclass(frozen=True)
class Keep:
    """Which artifact versions of a target are kept."""

    versions: int = 30
    """How many of the newest stay, whatever their age."""
    days: int = 180
    """How many days a version stays, whatever their number."""


def _default_targets() -> dict[str, TargetConfig]:
    return {"stg": TargetConfig(), "prod": TargetConfig(gate="approval", defer_to="stg")}


@dataclass(frozen=True)
class CdConfig:
    """The configuration of one project. Order of precedence: overrides, then the file, then these defaults."""

    artifacts_root: str = "/Volumes/ops/dbt_meta/artifacts"
    """The folder of all artifacts, on a Unity Catalog Volume."""
    release_log: str = "ops.dbt_meta.release_log"
    """The Delta table of the release log, as `catalog.schema.table`."""
    targets: dict[str, TargetConfig] = field(default_factory=_default_targets)
    """The environments, by dbt target."""
    smoke_dir: Path = Path("smoke")
    """The folder of smoke suites; relative to the project in the file, absolute once loaded."""
    approvers: str = "dbx_cd_approvers"
    """The group whose members may approve."""
    approval_expires: timedelta = timedelta(hours=72)
    """A request not decided within this time has to be made again."""
    policies: Policies = field(default_factory=Policies)
    """What happens where teams differ."""
    keep: Keep = Keep()
    """Which artifact versions are kept."""
    compute: Compute = "warehouse"
    """Where dbt's SQL runs: in a SQL warehouse, or on the job's own cluster."""
    secrets: dict[str, SecretName] = field(default_factory=dict)
    """The secrets that dbt's processes, and nothing else, are told, by the variables that they are told in."""
    warehouse_id: str | None = None
    """The SQL warehouse that the job's definition names; not a setting."""
    wheelhouse: str | None = None
    """A folder of wheels, as an absolute path, that dbt's own environment is installed from, without a network; None
    for the package index."""
    project_dir: Path = Path()
    """The folder that has `dbt_project.yml`; not a setting."""
    written: frozenset[str] = frozenset()
    """The keys that the project's file has; not a setting."""
    overruled: tuple[str, ...] = ()
    """What the file says and does not count, since it must not follow the commit, a line each; not a setting."""

    @classmethod
    def load(cls, project_dir: str | Path, *, overrides: Mapping[str, Any] | None = None) -> Self:
        """Read `dbx_cd.yml` of a project; without the file, the defaults.

        Args:
            project_dir: the folder that holds `dbt_project.yml`.
            overrides: values that win over the file, by the file's own keys; None and "" count as not given.

        Raises:
            ConfigError: the file is not YAML, or holds an unknown key (the message suggests the nearest one) or a
                value of the wrong type, or a gated target defers to itself or to one that is promoted to after it.
        """
        project = Path(project_dir).resolve()
        path = project / FILE_NAME
        given = {k: v for k, v in (overrides or {}).items() if v not in (None, "")}
        in_file = read_settings(path)
        values = {**in_file, **given}
        config: Self = _build(cls, values, where=str(path), inside="")
        for name, target in config.targets.items():
            if target.defer_to is not None and target.defer_to not in config.targets:
                raise ConfigError(
                    f"target {name!r} defers to {target.defer_to!r}, which is not a target",
                    where=path,
                    next_step=f"declare it under `targets`, or use one of {', '.join(config.targets)}",
                )
        refuse_disorder(config.targets, where=path)
        try:
            RelationName.parse(config.release_log)
        except DbxCdError as exc:
            raise ConfigError(f"`release_log`: {exc.what}", where=path, next_step=exc.next_step) from exc
        object.__setattr__(config, "project_dir", project)
        object.__setattr__(config, "written", frozenset(in_file))
        object.__setattr__(config, "smoke_dir", project / config.smoke_dir)
        return config

    @property
    def gates(self) -> tuple[str, ...]:
        """The gated targets in promotion order: as `targets` lists them. A release goes into each after the others."""
        return tuple(name for name, target in self.targets.items() if target.gate is not None)

    def target(self, name: str) -> TargetConfig:
        """The settings of a target.

        Raises:
            ConfigError: no such target.
        """
        if name not in self.targets:
            raise ConfigError(
                f"unknown target {name!r}",
                where=self.project_dir / FILE_NAME,
                next_step=f"use one of {', '.join(self.targets)}, or declare it under `targets`",
            )
        return self.targets[name]

    def staging_of(self, name: str) -> str:
        """The target that is built and tested before a gated one, and whose artifacts that one defers to.

        Raises:
            ConfigError: no such target, or it defers to nothing.
        """
        staging = self.target(name).defer_to
        if staging is None:
            raise ConfigError(
                f"target {name!r} defers to nothing, so there is no staging build to go by",
                where=self.project_dir / FILE_NAME,
                next_step=f"set targets.{name}.defer_to",
            )
        return staging


def refuse_disorder(targets: Mapping[str, TargetConfig], *, where: Path) -> None:
    """A gated target defers to what is built before it: an open target, or a gated one that is listed before it.

    Raises:
        ConfigError: it defers to itself, or to one that comes later.
    """
    gates = [name for name, target in targets.items() if target.gate is not None]
    for name in gates:
        before = targets[name].defer_to
        if before in gates and gates.index(before) >= gates.index(name):
            later = "itself" if before == name else f"{before!r}, which is listed after it"
            raise ConfigError(
                f"gated target {name!r} defers to {later}",
                where=where,
                next_step="list `targets` in the order in which a release is promoted; a gated target defers to an "
                "open one, or to a gated one that is listed before it",
            )


def dbt_metadata_variables() -> dict[str, str]:
    """The variables that dbt writes into the metadata of every artifact (dbt-common: DBT_ENV_CUSTOM_ENV_*)."""
    return {name: value for name, value in os.environ.items() if name.startswith("DBT_ENV_CUSTOM_ENV_")}


def variables_set(names: Iterable[str]) -> list[str]:
    """Which of these environment variables have a value."""
    return [name for name in names if os.environ.get(name)]


def runtime_version() -> str:
    """The version of the Databricks runtime that this process is on; "" elsewhere (documented variable)."""
    return os.environ.get("DATABRICKS_RUNTIME_VERSION", "")


def bundle_variables(names: Iterable[str]) -> dict[str, str]:
    """The values of a bundle's variables that the environment gives (asset bundle reference: BUNDLE_VAR_<name>)."""
    return {name: os.environ[f"BUNDLE_VAR_{name}"] for name in names if f"BUNDLE_VAR_{name}" in os.environ}


def profiles_dir_of_environment() -> tuple[str, str] | None:
    """The variable by which dbt is told the folder of `profiles.yml`, and its value; None where there is none.

    dbt prefers the first of the two (dbt-core 1.11, `_create_option_and_track_env_var` in cli/params.py).
    """
    names = variables_set(("DBT_ENGINE_PROFILES_DIR", "DBT_PROFILES_DIR"))
    return (names[0], os.environ[names[0]]) if names else None


def given_path(variable: str) -> Path | None:
    """The path that the embedded workspace gave this process in an environment variable; None when it gave none."""
    given = os.environ.get(variable)
    return Path(given) if given else None


def read_settings(path: Path, *, last_counts: bool = False) -> dict[str, Any]:
    """The settings in a project's file as they stand there; nothing where there is no file.

    Args:
        path: the file.
        last_counts: take the last of two equal keys: for the archive of another release, which may have been published
            when that still counted. Never for the release at hand.

    Raises:
        ConfigError: it is not YAML, has a key twice, or is no mapping.
    """
    if not path.is_file():
        return {}
    try:
        loaded = load_yaml(path.read_text(encoding="utf-8"), last_counts=last_counts)
    except (yaml.YAMLError, UnicodeDecodeError) as exc:
        raise ConfigError(f"not valid YAML: {exc}", where=path, next_step="fix the file") from exc
    except OSError as exc:
        raise ConfigError(f"cannot be read: {exc}", where=path, next_step="give the right to read it") from exc
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        raise ConfigError("must be a mapping of settings", where=path, next_step="see the README's table of settings")
    return loaded


def _build(cls: type[Any], values: object, *, where: str, inside: str) -> Any:
    if values is None:
        values = {}
    if not isinstance(values, Mapping):
        raise ConfigError(f"`{inside}` must be a mapping, not {values!r}", where=where)
    hints = get_type_hints(cls)
    known = [f.name for f in fields(cls) if f.name not in _NO_SETTINGS]
    built: dict[str, Any] = {}
    for key, value in values.items():
        label = f"{inside}.{key}" if inside else str(key)
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            raise ConfigError(
                f"unknown key `{label}`",
                where=where,
                next_step=f"did you mean `{near[0]}`?" if near else f"known keys: {', '.join(known)}",
            )
        built[key] = _convert(hints[key], value, where=where, label=label)
    return cls(**built)


def _convert(hint: Any, value: Any, *, where: str, label: str) -> Any:
    def wrong(expected: str) -> ConfigError:
        return ConfigError(f"`{label}` must be {expected}, not {value!r}", where=where, next_step="fix the value")

    if hint == dict[str, TargetConfig]:
        if not isinstance(value, Mapping) or not value:
            raise wrong("a mapping of target names")
        return {str(k): _build(TargetConfig, v, where=where, inside=f"{label}.{k}") for k, v in value.items()}
    if hint == dict[str, SecretName]:
        return secret_names(value, where=where)
    if hint == tuple[str, ...]:
        if not isinstance(value, list) or not all(isinstance(name, str) and name for name in value):
            raise wrong("a list of names")
        return tuple(value)
    if is_dataclass(hint):
        if isinstance(value, str) and hint in ONE_WORD:
            value = {part.name: value for part in fields(hint)}
        return _build(hint, value, where=where, inside=label)  # type: ignore[arg-type]
    if hint is bool:
        if not isinstance(value, bool):
            raise wrong("true or false")
        return value
    if hint is timedelta:
        match = _DURATION.fullmatch(str(value))
        if match is None:
            raise wrong("a duration such as 72h, 30m or 3d")
        return timedelta(**{_UNITS[match[2]]: int(match[1])})
    if hint is int:
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise wrong("a whole number of at least 1")
        return value
    choices = _choices(hint)
    if choices:
        if value not in choices:
            raise wrong("one of " + ", ".join(map(str, choices)))
        return value
    if value is None and type(None) in get_args(hint):
        return None
    if not isinstance(value, str | Path) or not str(value):
        raise wrong("text")
    return Path(value) if hint is Path else str(value)


def _choices(hint: Any) -> tuple[Any, ...]:
    """The words of a Literal, or of `Literal[...] | None`; nothing for other types."""
    if getattr(hint, "__origin__", None) is Literal:
        return get_args(hint)
    for inner in get_args(hint):
        if getattr(inner, "__origin__", None) is Literal:
            return (*get_args(inner), None)
    return ()
