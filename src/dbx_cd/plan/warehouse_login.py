"""As whom dbt logs in to the warehouse that the job names, where the profile does not say it: as the job's identity.

The adapter runs in a process of its own, where the notebook's login does not reach. It takes a token, which it never
renews, or what it takes to get new ones: a client id with its secret, or a workload's identity (dbt-databricks 1.12,
`credentials.py`). So what the SDK knows of the second kind is handed on, and a token only where there is nothing else.
"""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from dbx_cd.dbt.connection import CLIENT_SECRET, OWN_ID, OWN_SECRET, TOKEN, by_variable
from dbx_cd.errors import ConfigError

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient
    from databricks.sdk.core import Config

_log = logging.getLogger(__name__)

_BEARER = "Bearer "
_WORKLOADS = ("env-oidc", "file-oidc")


@dataclass(frozen=True)
class WarehouseLogin:
    """How dbt logs in."""

    keys: Mapping[str, Any]
    """The keys of a profile's output; secrets in them are variables."""
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Those variables, as far as `secrets:` in dbx_cd.yml does not name them."""


def warehouse_login(workspace: WorkspaceClient, variables: Mapping[str, str]) -> WarehouseLogin:
    """How dbt logs in where the profile does not say it.

    Args:
        workspace: the client of the job's identity.
        variables: what dbt is told already.

    Raises:
        ConfigError: one of client id and secret is named without the other; or the identity has no token to hand on.
    """
    own = [name for name in (OWN_ID, OWN_SECRET) if name in variables]
    if len(own) == 1:
        other = OWN_SECRET if own[0] == OWN_ID else OWN_ID
        raise ConfigError(f"`secrets` names {own[0]} and not {other}", where="dbx_cd.yml", next_step="name both")
    if own:
        return WarehouseLogin(
            {"auth_type": "oauth", "client_id": by_variable(OWN_ID), "client_secret": by_variable(OWN_SECRET)}
        )
    return _renewed(workspace.config) or _by_token(workspace.config)


def _renewed(config: Config) -> WarehouseLogin | None:
    """What the adapter can get new tokens by; None where the SDK itself has nothing of that kind."""
    way = config.auth_type
    if way == "oauth-m2m":
        keys = {"auth_type": "oauth", "client_id": config.client_id, "client_secret": by_variable(CLIENT_SECRET)}
        return WarehouseLogin(keys, {CLIENT_SECRET: config.client_secret})
    if way == "azure-client-secret":
        keys = {
            "auth_type": "oauth",
            "azure_client_id": config.azure_client_id,
            "azure_client_secret": by_variable(CLIENT_SECRET),
        }
        return WarehouseLogin(keys, {CLIENT_SECRET: config.azure_client_secret})
    if way in _WORKLOADS and config.client_id:
        file = {"oidc_token_filepath": config.oidc_token_filepath} if config.oidc_token_filepath else {}
        return WarehouseLogin({"auth_type": way, "client_id": config.client_id, **file})
    return None


def _by_token(config: Config) -> WarehouseLogin:
    """The token of now."""
    try:
        header = config.authenticate().get("Authorization", "")
    except Exception as exc:  # the SDK raises what its ways to log in do: ValueError, errors of requests, its own
        raise ConfigError(
            f"there is no token of the job's identity for dbt: {exc}",
            where="job parameter warehouse_id",
            next_step=f"name client id and secret of a service principal under `secrets` in dbx_cd.yml: {OWN_ID}, "
            f"{OWN_SECRET}",
        ) from exc
    if not header.startswith(_BEARER):
        raise ConfigError(
            f"dbt cannot log in as the SDK does here ({config.auth_type}): that gives no token",
            where="job parameter warehouse_id",
            next_step=f"name {OWN_ID} and {OWN_SECRET} under `secrets` in dbx_cd.yml",
        )
    token = header.removeprefix(_BEARER)
    if config.auth_type != "pat":
        _log.warning(
            "dbt logs in by the token that this task has now, which is not renewed and %s: what takes longer fails. "
            "Name %s and %s under `secrets` in dbx_cd.yml, and dbt renews its own",
            _until(token), OWN_ID, OWN_SECRET,
        )  # fmt: skip
    # databricks-sdk refuses a token next to, say, DATABRICKS_CLIENT_ID unless this names the one to use.
    return WarehouseLogin({"token": by_variable(TOKEN)}, {TOKEN: token, "DATABRICKS_AUTH_TYPE": "pat"})


def _until(token: str) -> str:
    """How long a token lives, as it says itself where it is a JWT."""
    try:
        payload = token.split(".")[1]
        expires = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["exp"]
        return f"ends at {datetime.fromtimestamp(expires, UTC):%H:%M:%S} UTC"
    except (LookupError, ValueError, TypeError, OverflowError):
        # Measured by its `exp` (GitHub, mwojtyczka/databricks-dbt-factory, pull request 38).
        return "lives about an hour"
