"""Which secrets dbt is told by which environment variables: names, never values."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from dbx_cd.errors import ConfigError

SecretReader = Callable[[str, str], str]
"""Reads a secret by its scope and key, as `dbutils.secrets.get` does."""

PREFIX = "DBT_ENV_SECRET_"
# Only such a variable dbt keeps out of models and of its log: `env_var` of it is refused but in profiles.yml and
# packages.yml, and its value is masked (dbt documentation, "Environment variables"). It is no flag of dbt's, either.
_VARIABLE = re.compile(rf"{PREFIX}[A-Z0-9_]+")
# "Must consist of alphanumeric characters, dashes, underscores, @, and periods, and may not exceed 128 characters"
# (Databricks documentation, scopes and keys of secrets).
_SECRET = re.compile(r"([\w@.-]{1,128})/([\w@.-]{1,128})", re.ASCII)


@dataclass(frozen=True)
class SecretName:
    """One secret of the workspace."""

    scope: str
    """Its scope."""
    key: str
    """Its key in the scope."""

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """The secret that `scope/key` names; None where the text names none."""
        found = _SECRET.fullmatch(text)
        return cls(found[1], found[2]) if found else None

    def __str__(self) -> str:
        return f"{self.scope}/{self.key}"


def secret_names(given: Any, *, where: str) -> dict[str, SecretName]:
    """The secrets of `secrets:` in `dbx_cd.yml`, by their variables.

    Raises:
        ConfigError: it is no mapping, a variable is not one that dbt keeps secret, or a value names no secret. What is
            written in the place of a name is not repeated: it may be the secret itself.
    """
    if not isinstance(given, Mapping):
        raise ConfigError(
            "`secrets` must be a mapping of variables to secrets",
            where=where,
            next_step=f"write `{PREFIX}TOKEN: scope/key`",
        )
    found = {}
    for variable, text in given.items():
        if not _VARIABLE.fullmatch(str(variable)):
            raise ConfigError(
                f"`secrets.{variable}` is not a variable that dbt keeps secret",
                where=where,
                next_step=f"let its name begin with {PREFIX}, in capitals, here and in profiles.yml",
            )
        name = SecretName.parse(text) if isinstance(text, str) else None
        if name is None:
            raise ConfigError(
                f"`secrets.{variable}` does not name a secret as scope/key",
                where=where,
                next_step="put the value into a secret scope of the workspace, and its scope and key here",
            )
        found[str(variable)] = name
    return found


def read_secrets(names: Mapping[str, SecretName], reader: SecretReader | None, *, where: object) -> dict[str, str]:
    """The values of secrets, by their variables.

    Args:
        names: which.
        reader: reads one; None where there is no way to read any.
        where: the file that names them.

    Raises:
        ConfigError: one cannot be read, or is empty.
    """
    if names and reader is None:
        raise ConfigError(
            f"dbt needs {', '.join(names)}, secrets that only a notebook can read",
            where=where,
            next_step="run it as a task of the Workflow, or pass open_cd(..., secrets=dbutils.secrets.get)",
        )
    return {variable: _read(variable, name, reader, where=where) for variable, name in names.items() if reader}


def _read(variable: str, name: SecretName, reader: SecretReader, *, where: object) -> str:
    try:
        value = reader(name.scope, name.key)
    except Exception as exc:  # of Java or of the SDK, as the runtime has it: no class of it is promised
        why = next(iter(str(exc).strip().splitlines()), "") or type(exc).__name__
        raise ConfigError(
            f"the secret {name}, for {variable}, cannot be read: {why}",
            where=where,
            next_step=f"look for the key {name.key!r} in the scope {name.scope!r}, and give whoever runs this job READ "
            f"on the scope: databricks secrets put-acl {name.scope} <identity> READ",
        ) from exc
    if not value:
        raise ConfigError(f"the secret {name}, for {variable}, is empty", where=where, next_step="put its value there")
    return value
