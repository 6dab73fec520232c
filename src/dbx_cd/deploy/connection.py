"""dbt's SQL on the job's own cluster: the SQL endpoint over the notebook's session, for as long as one build takes."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from dbx_cd.config import FILE_NAME
from dbx_cd.dbt.artifacts import Manifest
from dbx_cd.dbt.connection import DbtConnection
from dbx_cd.enumeration import listed
from dbx_cd.errors import ConfigError, SetupError
from dbx_cd.plan.connection import CLUSTER_PATH, connection_to_send, on_cluster, way_of
from dbx_cd.release.context import Cd

_log = logging.getLogger(__name__)

# Standalone ones are made by a SQL warehouse, or a notebook on serverless compute (Databricks documentation,
# "Requirements for standalone pipelines").
_OF_A_WAREHOUSE = ("materialized_view", "streaming_table")
_SHOWN = 5


@contextmanager
def connected(cd: Cd) -> Iterator[DbtConnection | None]:
    """How dbt connects for one build; with `compute: cluster` its endpoint serves inside, and no longer.

    Args:
        cd: the context.

    Yields:
        What `run_dbt` is handed; None where dbt is run by something else than a process.

    Raises:
        ConfigError: a secret cannot be read, or there is no way to log in.
        SetupError: the session gives its clients no sessions of their own, or the endpoint cannot start.
    """
    if cd.dbt is not None or way_of(cd.config) != "cluster":
        yield connection_to_send(cd)
        return
    # Only here: the packages that it needs are an extra.
    from dbx_cd.sql_endpoint import SqlEndpoint, connection_block

    require_classic(cd)
    with SqlEndpoint(cd.spark, http_path=CLUSTER_PATH) as endpoint:
        _log.info("dbt's SQL runs on this cluster, through %s", endpoint.host)
        yield on_cluster(cd, connection_block(endpoint), endpoint.client_environment())


def require_classic(cd: Cd) -> None:
    """Refuse a session by Spark Connect: on serverless compute and in standard access mode `newSession` is refused.

    Raises:
        SetupError: it is one.
    """
    kind = type(cd.spark)
    if kind.__module__.startswith("pyspark.sql.connect"):
        raise SetupError(
            "`compute: cluster` needs a classic Spark session, and this one is of Spark Connect",
            where="this task's compute",
            next_step="run the job on a cluster in dedicated access mode (data_security_mode: SINGLE_USER), or take a "
            "SQL warehouse: the job parameter warehouse_id",
        )


def refuse_on_cluster(cd: Cd, manifest: Manifest, unique_ids: Iterable[str]) -> None:
    """Refuse nodes that dbt cannot build on the job's own cluster, before anything is built.

    Args:
        cd: the context.
        manifest: the target's manifest.
        unique_ids: what is to be built.

    Raises:
        ConfigError: a model in Python, which the adapter submits to the workspace and not to this session; or something
            that only a SQL warehouse makes.
    """
    if way_of(cd.config) != "cluster":
        return
    found = [
        f"{node.name} ({'Python' if node.raw.get('language') == 'python' else node.materialized})"
        for node in manifest.select(unique_ids)
        if node.resource_type == "model"
        and (node.raw.get("language") == "python" or node.materialized in _OF_A_WAREHOUSE)
    ]
    if found:
        raise ConfigError(
            f"the job's own cluster cannot build {listed(found, most=_SHOWN)}",
            where=f"{FILE_NAME}: compute",
            next_step="build them in a SQL warehouse, by the job parameter warehouse_id, or leave them out",
        )
