"""The Jinja of files that dbt reads before it parses a project: `profiles.yml`, `packages.yml`, the profile's name."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from jinja2 import StrictUndefined
from jinja2.sandbox import SandboxedEnvironment

from dbx_cd.errors import ConfigError
from dbx_cd.shell_environment import as_in_the_shell


class EarlyJinja:
    """`env_var`, `var` and the `as_*` filters, as dbt has them for these files (dbt-core 1.11, context/secret.py).

    A file sees no more variables than `--vars` names (context/base.py): those of dbt_project.yml are not read yet.
    The filters matter only to dbt's own types, so they change nothing here.
    """

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        self._environ = as_in_the_shell(os.environ) if environ is None else environ
        self._jinja = SandboxedEnvironment(undefined=StrictUndefined)
        self._jinja.globals |= {"env_var": self._env_var, "var": _var}
        for name in ("as_text", "as_bool", "as_number", "as_native"):
            self._jinja.filters[name] = lambda value: value

    def render(self, value: Any, *, where: str) -> str:
        """A value as dbt takes it; other types than text as text.

        Args:
            value: what stands in the file.
            where: the place, for the message.

        Raises:
            ConfigError: a variable without a default has no value, or it is no Jinja that these files can use.
        """
        if not isinstance(value, str):
            return "" if value is None else str(value)
        try:
            return self._jinja.from_string(value).render().strip()
        except _Missing as exc:
            raise ConfigError(exc.args[0], where=where, next_step=exc.args[1]) from exc
        except Exception as exc:  # also what Python says of an expression, such as 1/0
            raise ConfigError(f"cannot render {value!r}: {exc}", where=where, next_step="correct it") from exc

    def _env_var(self, name: str, default: str | None = None) -> str:
        value = self._environ.get(name, default)
        if value is None:
            raise _Missing(f"environment variable {name!r} is not set", "set it, or give a default")
        return value


_NO_DEFAULT = object()


def _var(name: str, default: Any = _NO_DEFAULT) -> Any:
    if default is _NO_DEFAULT:
        raise _Missing(f"variable {name!r} has no value here, where dbt knows only those of --vars", "give a default")
    return default


class _Missing(Exception):
    """What has no value, and what to do about it."""
