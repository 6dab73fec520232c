"""Where dbt connects: decided here, for every build, plan, question and site of docs of a release.

Three ways (docs/adr/0024-where-dbt-connects.md): as the project's profile says; in the SQL warehouse that the job names
by `warehouse_id`; or with `compute: cluster` on the job's own cluster, through an endpoint that lives as long as the
build and that `dbx_cd.deploy.connection` starts.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Literal

from dbx_cd.config import FILE_NAME, CdConfig
from dbx_cd.dbt.connection import TOKEN, DbtConnection, by_variable
from dbx_cd.embedded_warehouse import given_warehouse
from dbx_cd.plan.warehouse_login import warehouse_login
from dbx_cd.release.context import Cd
from dbx_cd.secret_names import read_secrets

CLUSTER_PATH = "/sql/protocolv1/o/0/dbx-cd"
"""The HTTP path of the job's own cluster: of such a path the adapter asks for the version of the runtime, of a
warehouse's it assumes the newest (dbt-databricks 1.12, `connections.py`)."""

Way = Literal["profile", "warehouse", "cluster"]


def way_of(config: CdConfig) -> Way:
    """By which of the three ways dbt connects."""
    if config.compute == "cluster":
        return "cluster"
    return "warehouse" if config.warehouse_id else "profile"


def secrets_of(cd: Cd) -> dict[str, str]:
    """The secrets that dbt is told, by their variables.

    Raises:
        ConfigError: one cannot be read.
    """
    return read_secrets(cd.config.secrets, cd.secrets, where=cd.config.project_dir / FILE_NAME)


def connection_to_send(cd: Cd) -> DbtConnection | None:
    """How a dbt connects that sends statements, but for one on the job's own cluster.

    Returns:
        None where dbt is run by something else than a process.

    Raises:
        ConfigError: a secret cannot be read, or there is no way to log in.
    """
    if cd.dbt is not None:
        return None
    variables = secrets_of(cd)
    if way_of(cd.config) == "profile":
        return DbtConnection(variables=variables)
    local = given_warehouse(os.environ)
    login = warehouse_login(cd.workspace, {} if local else variables)
    return DbtConnection(
        "warehouse",
        keys=local or _warehouse(cd),
        login=login.keys,
        variables={**variables, **login.variables},
    )


def connection_to_list(cd: Cd) -> DbtConnection | None:
    """How a dbt connects that parses and lists: as the one that builds, with no login, and nothing that answers.

    Raises:
        ConfigError: a secret cannot be read.
    """
    way = way_of(cd.config)
    if cd.dbt is not None:
        return None
    variables, token = secrets_of(cd), {"token": by_variable(TOKEN)}
    if way == "profile":
        return DbtConnection(variables=variables)
    keys = {"host": "127.0.0.1", "http_path": CLUSTER_PATH, **token} if way == "cluster" else _warehouse(cd)
    return DbtConnection(way, keys=keys, login=token, variables={**variables, TOKEN: "only-parses"})


def on_cluster(cd: Cd, block: Mapping[str, Any], environment: Mapping[str, str]) -> DbtConnection:
    """How dbt connects to an endpoint on the job's own cluster.

    Args:
        cd: the context.
        block: the keys of the profile's output for it, with its token in clear.
        environment: what its clients need in their environment.

    Raises:
        ConfigError: a secret cannot be read.
    """
    variables = {**secrets_of(cd), **environment, TOKEN: str(block["token"])}
    return DbtConnection("cluster", keys={**block, "token": by_variable(TOKEN)}, variables=variables)


def _warehouse(cd: Cd) -> dict[str, Any]:
    # What the adapter puts https:// before; the SDK's hosts have it.
    host = str(cd.workspace.config.host).removeprefix("https://").rstrip("/")
    return {"host": host, "http_path": f"/sql/1.0/warehouses/{cd.config.warehouse_id}"}
