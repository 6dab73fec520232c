"""A project's own `profiles.yml`, read and pointed at another connection."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from jinja2 import StrictUndefined, TemplateError
from jinja2.sandbox import SandboxedEnvironment

from dbx_cd.errors import ConfigError
from dbx_cd.sql_endpoint.http_server import LOOPBACK

if TYPE_CHECKING:
    from dbx_cd.sql_endpoint.endpoint import SqlEndpoint

# The fields of dbt-databricks' DatabricksCredentials that say where and as whom to connect.
_CONNECTION_KEYS = frozenset(
    {
        "host",
        "http_path",
        "token",
        "client_id",
        "client_secret",
        "azure_client_id",
        "azure_client_secret",
        "oauth_redirect_url",
        "oauth_scopes",
        "auth_type",
        "oidc_token_filepath",
        "connection_parameters",
    }
)
# Of the project's own connection_parameters only patience is about the project and not about its workspace.
_KEPT_PARAMETERS = ("_retry_", "_socket_timeout")


@dataclass(frozen=True)
class ProfileTarget:
    """What one target of a profile says about names and parallelism."""

    catalog: str
    """Where the target's models live."""
    schema: str
    """Their default schema."""
    threads: int
    """How many models dbt builds at once."""


def connection_block(endpoint: SqlEndpoint, *, tls: bool = True) -> dict[str, Any]:
    """The connection keys by which dbt-databricks reaches the endpoint.

    Args:
        endpoint: a running endpoint.
        tls: True needs `endpoint.client_environment()` in dbt's environment and is silent. False needs nothing there,
            and every dbt process then loses about two seconds and shows a message about a failed discovery probe.
    """
    return {
        # dbt-databricks puts https:// before the host; databricks-sdk does so only where there is no scheme.
        "host": f"{LOOPBACK}:{endpoint.port}" if tls else endpoint.host,
        "http_path": endpoint.http_path,
        "token": endpoint.token,
        # The connector's own traffic takes this address: plain HTTP, which never leaves the machine.
        "connection_parameters": {
            "_connection_uri": f"{endpoint.host}{endpoint.http_path}",
            "enable_telemetry": False,
        },
    }


def with_connection(profiles_dir: str | Path, connection: Mapping[str, Any], *, out_dir: str | Path) -> Path:
    """Write the project's `profiles.yml` to `out_dir`, with `connection` in every databricks output.

    Catalogs, schemas, threads and every other key stay, Jinja included; other keys about connecting and authenticating
    go. Named compute resources stay too and lead to the same endpoint. The file holds a token: only its owner reads it.

    Returns:
        the file written.

    Raises:
        ConfigError: there is no `profiles.yml`, it is not valid, or has no databricks output.
    """
    source = Path(profiles_dir) / "profiles.yml"
    profiles = _load(source)
    replaced = 0
    for profile in profiles.values():
        # A key without outputs is no profile: older files hold dbt's own `config:`.
        outputs = (profile.get("outputs") or {}) if isinstance(profile, dict) else {}
        for name, output in outputs.items():
            if isinstance(output, dict) and output.get("type") == "databricks":
                outputs[name] = _connected(output, connection)
                replaced += 1
    if not replaced:
        raise ConfigError(
            "no output of type databricks", where=source, next_step="only dbt-databricks projects can run here"
        )
    written = Path(out_dir) / "profiles.yml"
    written.parent.mkdir(parents=True, exist_ok=True)
    written.unlink(missing_ok=True)
    written.touch(mode=0o600)
    written.write_text(yaml.dump(profiles, Dumper=_PlainDumper, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return written


def profile_targets(
    profiles_dir: str | Path, profile_name: str, *, environ: Mapping[str, str] | None = None
) -> dict[str, ProfileTarget]:
    """The targets of one profile by name, with `env_var()` rendered as dbt does.

    Args:
        profiles_dir: the folder of `profiles.yml`.
        profile_name: `profile:` of `dbt_project.yml`.
        environ: what `env_var` reads; this process's environment when not given.

    Raises:
        ConfigError: file or profile missing, an output is not databricks or names no catalog or schema, or a variable
            without default is not set.
    """
    source = Path(profiles_dir) / "profiles.yml"
    profiles = _load(source)
    profile = profiles.get(profile_name)
    if not isinstance(profile, dict) or not isinstance(profile.get("outputs"), dict) or not profile["outputs"]:
        raise ConfigError(
            f"no profile {profile_name!r} with outputs",
            where=source,
            next_step=f"dbt_project.yml names it; the file has: {', '.join(map(str, profiles)) or 'nothing'}",
        )
    render = _Renderer(os.environ if environ is None else environ)
    return {
        name: _target(output, render, where=f"{source}: {profile_name}.outputs.{name}")
        for name, output in profile["outputs"].items()
    }


def _load(source: Path) -> dict[str, Any]:
    try:
        loaded = yaml.safe_load(source.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError("no profiles.yml", where=source, next_step="pass the folder that holds it") from None
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"profiles.yml cannot be read: {exc}", where=source) from exc
    except yaml.YAMLError as exc:
        raise ConfigError(f"profiles.yml is not valid YAML: {exc}", where=source) from exc
    if not isinstance(loaded, dict):
        raise ConfigError("profiles.yml holds no profiles", where=source)
    return loaded


def _connected(output: Mapping[str, Any], connection: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in output.items() if key not in _CONNECTION_KEYS}
    own = output.get("connection_parameters") or {}
    patience = {key: value for key, value in own.items() if key.startswith(_KEPT_PARAMETERS)}
    merged = {**kept, **connection}
    merged["connection_parameters"] = {**patience, **connection.get("connection_parameters", {})}
    if isinstance(kept.get("compute"), dict):
        merged["compute"] = {
            name: {**(resource or {}), "http_path": connection["http_path"]}
            for name, resource in kept["compute"].items()
        }
    return merged


def _target(output: Any, render: _Renderer, *, where: str) -> ProfileTarget:
    if not isinstance(output, dict):
        raise ConfigError("an output must be a mapping", where=where)
    kind = render(output.get("type"), where=where)
    if kind != "databricks":
        raise ConfigError(
            f"the output's type is {kind!r}, not 'databricks'", where=where, next_step="use a dbt-databricks profile"
        )
    # The adapter's own order: `catalog` is an alias of `database`, and session_properties may name it instead.
    catalog = output.get("catalog") or output.get("database")
    catalog = catalog or (output.get("session_properties") or {}).get("databricks.catalog")
    names = {"catalog": render(catalog, where=where), "schema": render(output.get("schema"), where=where)}
    for key, value in names.items():
        if not value:
            raise ConfigError(f"the output has no {key}", where=where, next_step=f"add `{key}:` to it")
    threads = render(output.get("threads", 1), where=where)
    if not threads.isdecimal() or int(threads) < 1:
        raise ConfigError(f"threads must be a positive number, not {threads!r}", where=where)
    return ProfileTarget(names["catalog"], names["schema"], int(threads))


class _Renderer:
    """dbt's Jinja for profiles: `env_var` and the `as_*` filters, which matter only to dbt's own types."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._jinja = SandboxedEnvironment(undefined=StrictUndefined)
        self._jinja.globals["env_var"] = self._env_var
        for name in ("as_text", "as_bool", "as_number", "as_native"):
            self._jinja.filters[name] = lambda value: value

    def __call__(self, value: Any, *, where: str) -> str:
        if not isinstance(value, str):
            return "" if value is None else str(value)
        try:
            return self._jinja.from_string(value).render().strip()
        except _MissingVariable as exc:
            raise ConfigError(
                f"environment variable {exc.args[0]!r} is not set", where=where, next_step="set it, or give a default"
            ) from exc
        except TemplateError as exc:
            raise ConfigError(f"cannot render {value!r}: {exc}", where=where) from exc

    def _env_var(self, name: str, default: str | None = None) -> str:
        value = self._environ.get(name, default)
        if value is None:
            raise _MissingVariable(name)
        return value


class _MissingVariable(Exception):
    pass


class _PlainDumper(yaml.SafeDumper):
    """Writes every output in full: anchors of the source have been resolved."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True
