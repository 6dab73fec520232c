"""Calls of the workspace's API: where its errors, and those of the way to it, become errors of dbx_cd.

The SDK raises `DatabricksError` for an answer that refuses, `TimeoutError` when its client has tried long enough, what
`requests` raises for the connection and for an answer that is no JSON, and `ValueError` where it cannot log in
(databricks-sdk, `_base_client.py`, `oauth.py`). An answer of another shape is what its `from_dict` trips over: it
raises `AttributeError`, `KeyError` or `TypeError`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from traceback import walk_tb
from typing import TYPE_CHECKING

from dbx_cd.errors import WorkflowError
from dbx_cd.patience import Patience, is_refusal, passing_answer

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient
    from databricks.sdk.service.iam import User

_LATER = "do it again in some minutes"
_OTHER_SHAPE = (AttributeError, KeyError, TypeError)
# Where the SDK logs in; a request enters them by `Config.authenticate` (databricks-sdk, `core.py`).
_LOGIN = ("databricks.sdk.config", "databricks.sdk.credentials_provider", "databricks.sdk.oauth")


@contextmanager
def calling(what: str, *, right: str, where: object = None, next_step: str | None = None) -> Iterator[None]:
    """Translate what a call of the SDK inside can raise.

    Args:
        what: what failed then, as one clause, such as "the job cannot be read".
        right: what to get where it was refused, such as "CAN VIEW on the job".
        where: the job, run or workspace concerned.
        next_step: what to do where the answer itself does not tell.

    Raises:
        WorkflowError: the platform refused, failed, could not be reached, or answered what cannot be read.
    """
    from databricks.sdk.errors.base import DatabricksError
    from databricks.sdk.errors.sdk import OperationFailed
    from requests import RequestException

    try:
        yield
    except (DatabricksError, OperationFailed, TimeoutError, RequestException, ValueError, *_OTHER_SHAPE) as exc:
        why, advice = _why(exc, right=right)
        raise WorkflowError(f"{what}: {why}", where=where, next_step=advice or next_step or _LATER) from exc


def whoami(workspace: WorkspaceClient) -> User:
    """Whom the platform takes this client for, with the groups that it tells.

    Raises:
        WorkflowError: the platform does not say.
    """
    with calling("the workspace does not say who is logged in", right="a login of this workspace"):
        return Patience().repeat(workspace.current_user.me, passing=passing_answer)


def may_have_happened(error: BaseException | None) -> bool:
    """Whether a call that ended so can have done what it was to do: the answer is missing, not negative."""
    from databricks.sdk.errors.base import DatabricksError
    from databricks.sdk.errors.platform import TooManyRequests
    from requests import RequestException

    if isinstance(error, TimeoutError) and isinstance(error.__cause__, TooManyRequests):
        return False
    if isinstance(error, DatabricksError):
        return not is_refusal(error)
    return isinstance(error, (TimeoutError, RequestException, *_OTHER_SHAPE))


def _why(error: BaseException, *, right: str) -> tuple[str, str | None]:
    """Why a call failed, and what to do; None where that is for the caller to say."""
    from databricks.sdk.errors import platform
    from databricks.sdk.errors.base import DatabricksError
    from requests import JSONDecodeError, RequestException

    text = " ".join(str(error).split())
    stated = f": {text}" if text and text != "None" else ""
    match error:
        case platform.PermissionDenied():
            return f"permission denied{stated}", f"this identity needs {right}"
        case platform.Unauthenticated():
            return f"not logged in{stated}", "log in again: the token is not valid any more, or not of this workspace"
        case platform.NotFound():
            return (
                f"not found{stated}",
                f"check the id, and that this is the right workspace; else this identity needs {right}",
            )
        case platform.TooManyRequests() | platform.TemporarilyUnavailable():
            return f"the platform takes no more requests for now{stated}", _LATER
        case platform.InternalError() | platform.DeadlineExceeded():
            return f"the platform failed at it{stated}", _LATER
        case DatabricksError() if is_refusal(error):
            return text or type(error).__name__, None
        case DatabricksError():
            return f"the platform, or a proxy before it, failed at it{stated}", _LATER
        case JSONDecodeError() | AttributeError() | KeyError() | TypeError():
            return (
                f"the answer cannot be read ({type(error).__name__}{stated})",
                "check that DATABRICKS_HOST is the workspace, and that no proxy answers in its place; then do it again",
            )
        case TimeoutError() if error.__cause__ is not None:
            why, advice = _why(error.__cause__, right=right)
            return f"{why} (tried until it {text[:1].lower()}{text[1:]})", advice
        case RequestException() | TimeoutError():
            advice = "check DATABRICKS_HOST and the network, then do it again"
            return f"the workspace cannot be reached{stated}", advice
        case ValueError() if _is_of_login(error):
            return f"cannot log in{stated}", "set DATABRICKS_HOST and the variables of one way to authenticate"
        case ValueError():
            return f"the answer is not one that the SDK can read{stated}", None
    return text or type(error).__name__, None


def _is_of_login(error: ValueError) -> bool:
    """Whether the SDK raised it while it logged in: the class says nothing, and parsing an answer raises it as well."""
    return any(frame.f_globals.get("__name__") in _LOGIN for frame, _ in walk_tb(error.__traceback__))
