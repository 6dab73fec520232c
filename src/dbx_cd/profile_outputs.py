"""A project's own `profiles.yml`, read and pointed at another connection, or completed by one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from dbx_cd.errors import ConfigError
from dbx_cd.jinja import EarlyJinja
from dbx_cd.yaml_text import load_yaml

# The fields of dbt-databricks' DatabricksCredentials that say where and as whom to connect.
_LOGIN_KEYS = frozenset(
    {
        "token",
        "client_id",
        "client_secret",
        "azure_client_id",
        "azure_client_secret",
        "oauth_redirect_url",
        "oauth_scopes",
        "auth_type",
        "oidc_token_filepath",
    }
)
CONNECTION_KEYS = _LOGIN_KEYS | {"host", "http_path", "connection_parameters"}
"""The keys of an output that say where and as whom to connect."""
# What a dbt task of the platform sets, and profiles for it read (Databricks documentation, "dbt task for jobs").
TASK_TOKEN = "DBT_ACCESS_TOKEN"
# With these the adapter logs in by itself; `auth_type: oauth` without a secret would open a browser.
_SECRET_KEYS = ("token", "client_secret", "azure_client_secret")
_WORKLOADS = ("env-oidc", "file-oidc")
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


def with_connection(
    profiles_dir: str | Path,
    connection: Mapping[str, Any],
    *,
    out_dir: str | Path,
    profile_name: str | None = None,
    targets: Collection[str] = (),
    environ: Mapping[str, str] | None = None,
) -> Path:
    """Write the project's `profiles.yml` to `out_dir`, with `connection` in its databricks outputs.

    Catalogs, schemas, threads and every other key stay, Jinja included; other keys about connecting and authenticating
    go. Named compute resources stay too and lead to the same endpoint. The file holds a token: only its owner reads it.

    Args:
        profiles_dir: the folder of `profiles.yml`.
        connection: the keys of `connection_block`.
        out_dir: the folder for the file.
        profile_name: the only profile to be written; all of them when not given.
        targets: its outputs that are used, which must be databricks ones. Of no other is anything rendered, as dbt
            renders that of its target alone (dbt-core 1.11, `render_profile` in config/profile.py).
        environ: what `env_var` reads; this process's environment when not given.

    Returns:
        the file written.

    Raises:
        ConfigError: there is no `profiles.yml`, it is not valid, or has no databricks output; or one that is used is
            not there or no databricks one.
    """
    return _rewritten(
        Path(profiles_dir) / "profiles.yml",
        lambda output: _connected(output, connection),
        into=Path(out_dir),
        used=(profile_name, targets),
        environ=environ,
    )


def with_warehouse(
    profiles_dir: str | Path,
    warehouse: Mapping[str, Any],
    *,
    login: Mapping[str, Any],
    out_dir: str | Path,
    profile_name: str,
    target: str,
) -> Path:
    """Write the project's `profiles.yml` to `out_dir`, with a SQL warehouse in the place of its host and HTTP path.

    An output that says how to log in still logs in so; one that does not, or only as a dbt task of the platform or a
    person would, gets `login`. Everything else stays, named compute resources too: they are warehouses of the project.

    Args:
        profiles_dir: the folder of `profiles.yml`.
        warehouse: the keys `host` and `http_path`, and what else it takes to reach it.
        login: the keys that say as whom to log in.
        out_dir: the folder for the file.
        profile_name: the only profile to be written.
        target: its output that is used, which must be a databricks one.

    Returns:
        the file written.

    Raises:
        ConfigError: as `with_connection`.
    """

    def completed(output: Mapping[str, Any]) -> dict[str, Any]:
        if logs_in(output):
            return {**output, **warehouse}
        return {**{key: value for key, value in output.items() if key not in _LOGIN_KEYS}, **warehouse, **login}

    source = Path(profiles_dir) / "profiles.yml"
    return _rewritten(source, completed, into=Path(out_dir), used=(profile_name, [target]), environ=None)


def logs_in(output: Mapping[str, Any]) -> bool:
    """Whether an output says how a job can log in."""
    own = [str(output[key]) for key in _SECRET_KEYS if output.get(key)]
    return any(TASK_TOKEN not in value for value in own) or output.get("auth_type") in _WORKLOADS


def lacking(profiles_dir: str | Path, profile_name: str, target: str) -> tuple[str, ...]:
    """What an output does not say of how to connect: host, http_path, a login.

    Nothing where the file, or the output, is wrong in another way: dbt says which.

    Args:
        profiles_dir: the folder of `profiles.yml`.
        profile_name: the profile.
        target: its output.
    """
    try:
        output = _outputs(_load(Path(profiles_dir) / "profiles.yml"), profile_name, [target], source=Path())[target]
    except ConfigError:
        return ()
    if not isinstance(output, dict) or output.get("type") != "databricks":
        return ()
    missing = [key for key in ("host", "http_path") if not output.get(key)]
    # `auth_type: oauth` is a person's login, which `run_dbt` is for as well; the adapter wants one or the other.
    return (*missing, *([] if logs_in(output) or output.get("auth_type") or output.get("token") else ["login"]))


def _rewritten(
    source: Path,
    change: Callable[[Mapping[str, Any]], dict[str, Any]],
    *,
    into: Path,
    used: tuple[str | None, Collection[str]],
    environ: Mapping[str, str] | None,
) -> Path:
    """Write a `profiles.yml` with its databricks outputs changed; of `used`, a profile and its outputs, no other."""
    profile_name, targets = used
    profiles = _load(source)
    if profile_name is not None:
        outputs = _outputs(profiles, profile_name, targets, source=source)
        jinja = EarlyJinja(environ)
        for name in targets:
            where = f"{source}: {profile_name}.outputs.{name}"
            outputs[name] = {**_output(outputs[name], jinja, where=where), "type": "databricks"}
        profiles = {name: found for name, found in profiles.items() if name in (profile_name, "config")}
    replaced = 0
    for profile in profiles.values():
        # A key without outputs is no profile: older files hold dbt's own `config:`.
        found = (profile.get("outputs") if isinstance(profile, dict) else None) or {}
        for name, output in found.items() if isinstance(found, dict) else ():
            if isinstance(output, dict) and output.get("type") == "databricks":
                found[name] = change(output)
                replaced += 1
    if not replaced:
        raise ConfigError(
            "no output of type databricks", where=source, next_step="only dbt-databricks projects can run here"
        )
    written = into / "profiles.yml"
    written.parent.mkdir(parents=True, exist_ok=True)
    written.unlink(missing_ok=True)
    written.touch(mode=0o600)
    written.write_text(yaml.dump(profiles, Dumper=_PlainDumper, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return written


def profile_targets(
    profiles_dir: str | Path,
    profile_name: str,
    *,
    targets: Collection[str] | None = None,
    environ: Mapping[str, str] | None = None,
) -> dict[str, ProfileTarget]:
    """Targets of one profile by name, rendered as dbt does.

    Args:
        profiles_dir: the folder of `profiles.yml`.
        profile_name: `profile:` of `dbt_project.yml`.
        targets: which of them; all when not given. Nothing of the others is looked at.
        environ: what `env_var` reads; this process's environment when not given.

    Raises:
        ConfigError: file, profile or target missing, an output is not databricks or names no catalog or schema, or a
            variable without default is not set.
    """
    source = Path(profiles_dir) / "profiles.yml"
    outputs = _outputs(_load(source), profile_name, targets or (), source=source)
    jinja = EarlyJinja(environ)
    return {
        name: _target(outputs[name], jinja, where=f"{source}: {profile_name}.outputs.{name}")
        for name in (outputs if targets is None else targets)
    }


def _outputs(
    profiles: Mapping[str, Any], profile_name: str, targets: Collection[str], *, source: Path
) -> dict[str, Any]:
    profile = profiles.get(profile_name)
    outputs = profile.get("outputs") if isinstance(profile, dict) else None
    if not isinstance(outputs, dict) or not outputs:
        raise ConfigError(
            f"no profile {profile_name!r} with outputs",
            where=source,
            next_step=f"dbt_project.yml names it; the file has: {', '.join(map(str, profiles)) or 'nothing'}",
        )
    missing = [name for name in targets if name not in outputs]
    if missing:
        raise ConfigError(
            f"profile {profile_name!r} has no output {missing[0]!r}, but {', '.join(map(str, outputs))}",
            where=source,
            next_step="add the output, or say in dbx_cd.yml which of them are staging and production: "
            "`targets: {STAGING: {}, PRODUCTION: {gate: approval, defer_to: STAGING}}`",
        )
    return outputs


def _load(source: Path) -> dict[str, Any]:
    try:
        loaded = load_yaml(source.read_text(encoding="utf-8"), last_counts=True)
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
    kept = {key: value for key, value in output.items() if key not in CONNECTION_KEYS}
    own = output.get("connection_parameters")
    parameters = own if isinstance(own, dict) else {}  # Jinja for all of them is about a workspace, as their names are
    patience = {key: value for key, value in parameters.items() if key.startswith(_KEPT_PARAMETERS)}
    merged = {**kept, **connection}
    merged["connection_parameters"] = {**patience, **connection.get("connection_parameters", {})}
    if isinstance(kept.get("compute"), dict):
        merged["compute"] = {
            name: {**(resource if isinstance(resource, dict) else {}), "http_path": connection["http_path"]}
            for name, resource in kept["compute"].items()
        }
    return merged


def _output(output: Any, jinja: EarlyJinja, *, where: str) -> dict[str, Any]:
    """An output that has to be a databricks one."""
    if not isinstance(output, dict):
        raise ConfigError("an output must be a mapping", where=where)
    kind = jinja.render(output.get("type"), where=where)
    if kind != "databricks":
        raise ConfigError(
            f"the output's type is {kind!r}, not 'databricks'", where=where, next_step="use a dbt-databricks profile"
        )
    return output


def _target(given: Any, jinja: EarlyJinja, *, where: str) -> ProfileTarget:
    output = _output(given, jinja, where=where)
    # The adapter's own order: `catalog` is an alias of `database`, and session_properties may name it instead.
    catalog = output.get("catalog") or output.get("database")
    catalog = catalog or (output.get("session_properties") or {}).get("databricks.catalog")
    names = {"catalog": jinja.render(catalog, where=where), "schema": jinja.render(output.get("schema"), where=where)}
    for key, value in names.items():
        if not value:
            raise ConfigError(f"the output has no {key}", where=where, next_step=f"add `{key}:` to it")
    threads = jinja.render(output.get("threads", 1), where=where)
    if not threads.isdecimal() or int(threads) < 1:
        raise ConfigError(f"threads must be a positive number, not {threads!r}", where=where)
    return ProfileTarget(names["catalog"], names["schema"], int(threads))


class _PlainDumper(yaml.SafeDumper):
    """Writes every output in full: anchors of the source have been resolved."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True
