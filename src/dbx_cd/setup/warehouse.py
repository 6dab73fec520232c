"""A user's own connection to the SQL warehouse that a dbt profile names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from dbx_cd.errors import ConfigError, SetupError, SqlFailed
from dbx_cd.extras import importing_extra
from dbx_cd.jinja import EarlyJinja
from dbx_cd.sql_messages import first_line, step_to_rights
from dbx_cd.yaml_text import load_yaml

if TYPE_CHECKING:
    import pyarrow as pa
    from databricks.sql.client import Connection


class Warehouse:
    """Runs queries as the user.

    Args:
        connection: an open connection of databricks-sql-connector.
        host: the workspace, for records.
    """

    def __init__(self, connection: Connection, *, host: str) -> None:
        self._connection = connection
        self.host = host

    def query(self, statement: str) -> Sequence[Any]:
        """The rows of a query.

        Raises:
            SqlFailed: the warehouse refused it, or failed at it.
        """
        with _translated(), self._connection.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall())

    def columns(self, statement: str) -> list[tuple[str, str]]:
        """Names and types of a query's columns, types in the words of the protocol, such as `string` and `struct`.

        Raises:
            SqlFailed: the warehouse refused it, or failed at it.
        """
        with _translated(), self._connection.cursor() as cursor:
            cursor.execute(statement)
            return [(str(name), str(kind).lower()) for name, kind, *_ in cursor.description or ()]

    def arrow(self, statement: str, **parameters: str) -> pa.Table:
        """The rows of a query in Arrow, with named parameters that stand as `:name` in it.

        Raises:
            SqlFailed: the warehouse refused it, or failed at it.
        """
        with _translated(), self._connection.cursor() as cursor:
            cursor.execute(statement, parameters)
            return cursor.fetchall_arrow()


@contextmanager
def warehouse_of(profiles: Path, profile: str, target: str) -> Iterator[Warehouse]:
    """Connect as the profile says: by its token or its service principal, else as the SDK logs this user in by itself.

    Args:
        profiles: the `profiles.yml`.
        profile: the profile that `dbt_project.yml` names.
        target: its output.

    Raises:
        ConfigError: no such output, or it names no host and HTTP path.
        SetupError: the connector is not installed; or the warehouse cannot be reached, or refuses to log the user in.
    """
    output = _output(profiles, profile, target)
    with importing_extra("endpoint", purpose="a sample of a workspace"):
        from databricks import sql
    try:
        connection = sql.connect(
            output["host"], output["http_path"], **_credentials(output), **(output.get("connection_parameters") or {})
        )
    except Exception as exc:  # the connector raises its own errors, those of urllib3, and the SDK's ValueError
        raise SetupError(
            f"the SQL warehouse cannot be reached: {str(exc).splitlines()[0] if str(exc) else type(exc).__name__}",
            where=f"{output['host']}{output['http_path']}",
            next_step="log in with `databricks auth login`, or correct the profile's host, http_path and token",
        ) from exc
    with connection:
        yield Warehouse(connection, host=str(output["host"]))


def _credentials(output: Mapping[str, Any]) -> dict[str, Any]:
    if output.get("token"):
        return {"access_token": output["token"]}
    from databricks.sdk.core import Config

    keys = {name: output[name] for name in ("client_id", "client_secret") if output.get(name)}
    config = Config(host=f"https://{output['host']}", **(keys if len(keys) == 2 else {}))
    return {"credentials_provider": lambda: config.authenticate}


def _output(profiles: Path, profile: str, target: str) -> dict[str, Any]:
    where = f"{profiles}: {profile}.outputs.{target}"
    try:
        loaded = load_yaml(profiles.read_text(encoding="utf-8"), last_counts=True)
        output = loaded[profile]["outputs"][target]
        jinja = EarlyJinja()
        rendered = {
            key: jinja.render(value, where=f"{where}.{key}") if isinstance(value, str) else value
            for key, value in output.items()
            if key in ("host", "http_path", "token", "client_id", "client_secret", "connection_parameters")
        }
    except (OSError, UnicodeDecodeError, yaml.YAMLError, LookupError, TypeError, AttributeError) as exc:
        raise ConfigError("the profile has no such output", where=where, next_step="give another --target") from exc
    for key in ("host", "http_path"):
        if not rendered.get(key):
            raise ConfigError(f"the output has no {key}", where=where, next_step=f"add `{key}:` to it")
    return rendered


@contextmanager
def _translated() -> Iterator[None]:
    from databricks.sql.exc import Error

    try:
        yield
    except Error as exc:
        raise SqlFailed(first_line(str(exc)) or type(exc).__name__, next_step=step_to_rights(str(exc))) from exc
