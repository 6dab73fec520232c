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

from dbx_cd.errors import ConfigError, WorkflowError
from dbx_cd.patience import CLIENT_SECONDS, NAME_SECONDS, Patience

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient
    from databricks.sdk.core import Config

_log = logging.getLogger(__name__)

_ATTEMPT_SECONDS = 10
# "HTTPSConnection(host='…', port=443): Failed to establish …", in older urllib3 "<… object at 0x7f…>: Failed …"
_WHOSE = re.compile(r"^<?[\w.]*Connection\b.*?[>)]: ")


def current_workspace() -> WorkspaceClient:
    """A client that authenticates as the SDK does by itself: in a notebook as its user, elsewhere by the environment.

    Raises:
        ConfigError: there are no credentials, or they contradict one another.
        WorkflowError: the workspace cannot be reached.
    """
    from databricks.sdk import WorkspaceClient

    try:
        return WorkspaceClient(config=reachable_config())
    except ValueError as exc:
        raise ConfigError(
            f"cannot log in to a Databricks workspace: {exc}",
            where="environment",
            next_step="set DATABRICKS_HOST and the variables of one way to authenticate",
        ) from exc


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
                require_reachable(self.host, verify=not self.skip_verify)
            super()._resolve_host_metadata()

    Config.attributes()  # found once, in the class that has them; a class below it would find none of its own
    config = Reachable()
    if not hasattr(Config, "_resolve_host_metadata") and config.host:
        require_reachable(config.host, verify=not config.skip_verify)  # an older SDK, which asks for no metadata
    if config.retry_timeout_seconds is None:
        config.retry_timeout_seconds = CLIENT_SECONDS
    return config


def require_reachable(host: str, *, verify: bool = True) -> None:
    """Make sure that there is a host: it answers, whatever that is, or takes a connection at least.

    It is tried again as long as the SDK's client would, where its name does not resolve for half a minute. A connection
    that is cut or kept waiting for this very path, as some proxies do, shows that there is one.

    Args:
        host: its address, with the scheme.
        verify: whether its certificate has to be a good one.

    Raises:
        WorkflowError: it does not.
    """
    import requests

    warned = False

    def ask() -> None:
        url = f"{host}/.well-known/databricks-config"
        try:
            requests.get(url, timeout=_ATTEMPT_SECONDS, allow_redirects=False, verify=verify)
        except (requests.ConnectionError, requests.Timeout) as exc:
            if _is_away(exc):
                raise

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
    except OSError as exc:  # of requests as well: it has a plain one where the file of certificates is not there
        raise WorkflowError(
            f"the workspace cannot be reached: {_why(exc)}",
            where=host,
            next_step="check DATABRICKS_HOST, or the host of the profile, and the network with its proxy (HTTPS_PROXY, "
            "NO_PROXY) and certificates (REQUESTS_CA_BUNDLE); then do it again",
        ) from exc


def _is_away(error: BaseException) -> bool:
    """Whether there was no connection at all, or none that can be trusted."""
    import requests
    from urllib3.exceptions import ConnectTimeoutError, NewConnectionError, ProxyError

    if isinstance(error, requests.ConnectTimeout | requests.exceptions.SSLError | requests.exceptions.ProxyError):
        return True
    return isinstance(_reason(error), NewConnectionError | ConnectTimeoutError | ProxyError)


def _is_unresolved(error: BaseException) -> bool:
    from urllib3.exceptions import NameResolutionError

    return isinstance(_reason(error), NameResolutionError)


def _reason(error: BaseException) -> BaseException | None:
    """What urllib3 raised: requests wraps it, ConnectionError(MaxRetryError(reason=NameResolutionError))."""
    reason = next((arg.reason for arg in error.args if getattr(arg, "reason", None) is not None), None)
    return getattr(reason, "original_error", None) or reason  # of a proxy, which is not there either


def _why(error: BaseException) -> str:
    if _is_unresolved(error):
        return "its name, or that of the proxy before it, does not resolve"
    return _WHOSE.sub("", str(_reason(error) or error))
