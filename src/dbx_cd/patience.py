"""Which failures of the platform pass by themselves, and how long to wait for that: one policy for all of them.

It is spent by the SDK's own `retried`: one second after the first failure, a second more after each, ten at most. What
the SDK's client does by itself already is not done twice: connections that break, time-outs, and answers 429 and 503
(databricks-sdk, `_base_client.py`), for as long as `CLIENT_SECONDS` says. It raises `TimeoutError` when that is over,
and so nothing here tries again after one.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from dbx_cd.errors import SqlFailed

if TYPE_CHECKING:
    from databricks.sdk.clock import Clock

T = TypeVar("T")

CLIENT_SECONDS = 120
"""How long the SDK's client, and the look whether its host is there at all, try to reach the platform; by itself the
client would for five minutes."""
NAME_SECONDS = 30
"""How long a host is looked for whose name does not resolve: it is mistyped more often than a name server is away, and
that is back soon."""
# What a file system in user space passes on of its network and of the service behind it (Linux, errno(3)). By name,
# since other systems do not have all of them.
_PASSING_ERROR_NAMES = frozenset(
    ("EIO", "EREMOTEIO", "ESTALE", "ETIMEDOUT", "EAGAIN", "EINTR", "ENOTCONN", "ECONNRESET", "ECONNREFUSED",
     "ECONNABORTED", "EHOSTUNREACH", "EHOSTDOWN", "ENETUNREACH", "EPIPE", "EBUSY")
)  # fmt: skip
_CONDITION = re.compile(r"\[([A-Z0-9_.]+)\]")
# Delta's error conditions of a commit that met another one (delta-io/delta, `delta-error-classes.json`); Databricks
# documents the same names. What another commit changed is read again by the next attempt.
_CONFLICTS = (
    "DELTA_CONCURRENT_APPEND", "DELTA_CONCURRENT_DELETE_DELETE", "DELTA_CONCURRENT_DELETE_READ",
    "DELTA_CONCURRENT_TRANSACTION", "DELTA_CONCURRENT_WRITE", "DELTA_METADATA_CHANGED", "DELTA_PROTOCOL_CHANGED",
)  # fmt: skip
# The same as Delta's own classes, which begin the message in older runtimes (delta-io/delta, `exceptions.py`).
_CONFLICT_CLASSES = (
    "ConcurrentAppendException", "ConcurrentDeleteDeleteException", "ConcurrentDeleteReadException",
    "ConcurrentTransactionException", "ConcurrentWriteException", "MetadataChangedException",
    "ProtocolChangedException",
)  # fmt: skip
# What an interrupted answer or a storage that is busy leaves in a message that has no error condition. A query that ran
# into a limit of time of its own is none of these.
_BROKEN = (
    "connection reset", "connection refused", "broken pipe", "connection timed out", "connect timed out",
    "read timed out", "sockettimeoutexception", "unavailable", "too many requests", "slow down", "socket closed",
    "waiting for connection from pool", "waiting for a connection from the pool",
)  # fmt: skip
# Names of columns and tables. What libraries quote is the very message that counts ('Connection reset by peer').
_QUOTED = re.compile(r"`[^`]*`|'\w+'|\"\w+\"")


@dataclass(frozen=True)
class Patience:
    """How long something is tried again.

    Example:
        >>> Patience().repeat(lambda: path.read_bytes(), passing=passing_file_error)
    """

    timeout: timedelta = timedelta(seconds=90)
    """After this time no new attempt begins."""
    clock: Clock | None = None
    """What tells the time and sleeps; by default the machine's."""

    def repeat(self, attempt: Callable[[], T], *, passing: Callable[[BaseException], str | None]) -> T:
        """Try until it succeeds, or fails in a way that does not pass by itself, or the time is over.

        Args:
            attempt: what to do; doing it again must do no harm.
            passing: says of an error why it is worth another attempt; None where it is not.

        Raises:
            Exception: what the last attempt raised.
        """
        raised: list[Exception] = []
        try:
            return attempt()
        except Exception as exc:
            if passing(exc) is None:
                raise
            raised.append(exc)
        # Not before something has failed: the SDK takes a second to import.
        from databricks.sdk.retries import retried

        known = list(raised)

        def once() -> T:
            if known:
                raise known.pop()
            try:
                return attempt()
            except Exception as exc:
                raised.append(exc)
                raise

        try:
            done: T = retried(is_retryable=passing, timeout=self.timeout, clock=self.clock)(once)()
        except TimeoutError as exc:
            if exc is raised[-1]:
                raise
            raise raised[-1] from raised[-1].__cause__
        return done


def passing_file_error(error: BaseException) -> str | None:
    """Whether a file system that is reached over a network may do better the next time."""
    number = error.errno if isinstance(error, OSError) else None
    name = errno.errorcode.get(number or 0)
    return name if name in _PASSING_ERROR_NAMES else None


def is_refusal(error: BaseException) -> bool:
    """Whether an answer says no, by an HTTP status 4xx. Any other that is no success does not say what was done.

    The SDK's errors do not have the status itself. Their class is that of the status, or of an error code of the
    platform, which is more exact; a status that has no class, such as 502 and 520 of a proxy, is a plain
    `DatabricksError` (databricks-sdk, `errors/mapper.py`). 499 is left out: it says that a request was cut off.
    """
    from databricks.sdk.errors.platform import STATUS_CODE_MAPPING

    return isinstance(error, tuple(kind for status, kind in STATUS_CODE_MAPPING.items() if 400 <= status < 499))


def passing_answer(error: BaseException) -> str | None:
    """Whether the platform, or a proxy before it, may answer better the next time: it has failed by its own fault."""
    from databricks.sdk.errors.base import DatabricksError
    from databricks.sdk.errors.platform import DataLoss, NotImplemented

    if not isinstance(error, DatabricksError) or is_refusal(error) or isinstance(error, DataLoss | NotImplemented):
        return None
    return type(error).__name__


def passing_sql_error(error: BaseException) -> str | None:
    """Whether a statement may do better the next time: another commit came first, or the connection broke."""
    if not isinstance(error, SqlFailed):
        return None
    # PySpark gives no condition for what Delta raises; its message begins with it (measured, Delta 4.4).
    named = _CONDITION.match(error.what)
    condition = error.condition or (named[1] if named else "")
    if condition:
        return condition if condition.partition(".")[0] in _CONFLICTS else None
    class_name = next((name for name in _CONFLICT_CLASSES if _begins(error.what, name)), None)
    message = _QUOTED.sub("", error.what).lower()  # names of columns and tables say nothing of the connection
    return class_name or next((words for words in _BROKEN if words in message), None)


def _begins(message: str, class_name: str) -> bool:
    """Whether a message begins with a class of Java's, with or without its package."""
    return message.partition(":")[0].rpartition(".")[2].strip() == class_name
