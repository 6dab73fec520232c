"""Whether the workspace's host is there at all, before the SDK asks it anything.

The SDK asks a host for its metadata whenever a `Config` is made, by a client of its own that says nothing and tries for
five minutes, whatever `retry_timeout_seconds` is; then it goes on without (databricks-sdk, `config.py` and `oauth.py`).
A host that is mistyped, or a network without a way to it, is found out here first, and said.
"""

from __future__ import annotations

import logging
import re
from datetime import timedelta
from typing import TYPE_CHECKING

from dbx_cd.errors import WorkflowError
from dbx_cd.patience import CLIENT_SECONDS, NAME_SECONDS, Patience

if TYPE_CHECKING:
    from databricks.sdk.core import Config

_log = logging.getLogger(__name__)

_ATTEMPT_SECONDS = 10
# "HTTPSConnection(host='…', port=443): Failed to establish …", in older urllib3 "<… object at 0x7f…>: Failed …"
_WHOSE = re.compile(r"^<?[\w.]*Connection\b.*?[>)]: ")


def reachable_config() -> Config:
    """The SDK's configuration, as it finds it by itself, for a host that answers.

    Raises:
        WorkflowError: the host cannot be reached.
        ValueError: there are no credentials, or they contradict one another; raised by the SDK.
    """
    from databricks.sdk.core import Config

    class Reachable(Config):
        """Knows the host from the environment or a profile, and has not asked it anything."""

        def _resolve_host_metadata(self) -> None:
            if self.host:
                require_reachable(self.host)
            super()._resolve_host_metadata()

    Config.attributes()  # found once, in the class that has them; a class below it would find none of its own
    config = Reachable()
    if config.retry_timeout_seconds is None:
        config.retry_timeout_seconds = CLIENT_SECONDS
    return config


def require_reachable(host: str) -> None:
    """Make sure that a host answers, whatever it answers.

    It is tried again as long as the SDK's client would, where its name does not resolve for half a minute.

    Args:
        host: its address, with the scheme.

    Raises:
        WorkflowError: it does not.
    """
    import requests

    warned = False

    def ask() -> None:
        requests.get(f"{host}/.well-known/databricks-config", timeout=_ATTEMPT_SECONDS, allow_redirects=False)

    def passing(error: BaseException, *, unresolved: bool) -> str | None:
        nonlocal warned
        if isinstance(error, requests.exceptions.SSLError):
            return None  # a certificate does not become another one
        if not isinstance(error, requests.ConnectionError | requests.Timeout):
            return None
        if _is_unresolved(error) is not unresolved:
            return None
        if not warned:
            seconds = NAME_SECONDS if unresolved else CLIENT_SECONDS
            _log.warning("%s cannot be reached: %s; it is tried for %d s", host, _why(error), seconds)
            warned = True
        return "cannot connect"

    def resolved() -> None:
        patience = Patience(timedelta(seconds=NAME_SECONDS))
        patience.repeat(ask, passing=lambda error: passing(error, unresolved=True))

    try:
        patience = Patience(timedelta(seconds=CLIENT_SECONDS))
        patience.repeat(resolved, passing=lambda error: passing(error, unresolved=False))
    except requests.RequestException as exc:
        raise WorkflowError(
            f"the workspace cannot be reached: {_why(exc)}",
            where=host,
            next_step="check DATABRICKS_HOST, or the host of the profile, and the network; then do it again",
        ) from exc


def _is_unresolved(error: BaseException) -> bool:
    from urllib3.exceptions import NameResolutionError

    # requests wraps what urllib3 raised: ConnectionError(MaxRetryError(reason=NameResolutionError))
    return any(isinstance(getattr(arg, "reason", None), NameResolutionError) for arg in error.args)


def _why(error: BaseException) -> str:
    if _is_unresolved(error):
        return "its name does not resolve"
    reason = next((arg.reason for arg in error.args if getattr(arg, "reason", None) is not None), error)
    return _WHOSE.sub("", str(reason))
