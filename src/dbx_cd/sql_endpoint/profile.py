"""The keys of a profile's output by which dbt-databricks reaches a SQL endpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dbx_cd.profile_outputs import ProfileTarget, profile_targets, with_connection
from dbx_cd.sql_endpoint.http_server import LOOPBACK

if TYPE_CHECKING:
    from dbx_cd.sql_endpoint.address import ReservedAddress
    from dbx_cd.sql_endpoint.endpoint import SqlEndpoint

__all__ = ["ProfileTarget", "connection_block", "profile_targets", "with_connection"]


def connection_block(endpoint: SqlEndpoint | ReservedAddress, *, tls: bool = True) -> dict[str, Any]:
    """The connection keys by which dbt-databricks reaches the endpoint.

    Args:
        endpoint: a running endpoint, or where one will run.
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
