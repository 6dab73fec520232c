"""The SQL warehouse of the embedded workspace, its endpoint, as ``warehouses.get`` asks for it."""

from __future__ import annotations

from typing import Any

from flask import Blueprint

from dbx_cd.local.rest.api_error import does_not_exist


def warehouses_api(http_path: str) -> Blueprint:
    """The one endpoint that there is, by the last part of its path.

    Args:
        http_path: where dbt reaches it, such as `/sql/1.0/warehouses/local`.
    """
    api = Blueprint("warehouses", __name__, url_prefix="/api/2.0/sql/warehouses")
    own = http_path.rpartition("/")[2]

    @api.get("/<warehouse_id>")
    def get(warehouse_id: str) -> dict[str, Any]:
        if warehouse_id != own:
            raise does_not_exist(f"SQL warehouse {warehouse_id} does not exist.")
        return {"id": own, "name": own, "state": "RUNNING", "odbc_params": {"path": http_path}}

    return api
