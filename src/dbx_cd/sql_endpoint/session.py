"""One Thrift session: its own Spark session, with its own settings, namespace, temporary views and operations."""

from __future__ import annotations

import contextlib
import logging
import secrets
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dbx_cd.sql_endpoint.liveness import ClientConnection
from dbx_cd.sql_endpoint.operation import Failure, Operation
from dbx_cd.sql_endpoint.statement import failure_of
from dbx_cd.sql_endpoint.thrift_api import PROTOCOL_VERSION, T, ThriftFault, UnknownHandle

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_log = logging.getLogger(__name__)

# Databricks SQL names its session parameters differently from Spark (documentation, "Configuration parameters").
_SPARK_NAMES = {
    "ANSI_MODE": "spark.sql.ansi.enabled",
    "TIMEZONE": "spark.sql.session.timeZone",
    "LEGACY_TIME_PARSER_POLICY": "spark.sql.legacy.timeParserPolicy",
    "MAX_FILE_PARTITION_BYTES": "spark.sql.files.maxPartitionBytes",
}
# These change how fast or how a result travels, never what it is; this endpoint has no such machinery.
_WITHOUT_EFFECT = ("QUERY_TAGS", "USE_CACHED_RESULT", "ENABLE_PHOTON")
_TIMEOUT = "STATEMENT_TIMEOUT"
_CANCEL_AGAIN_SECONDS = 0.2


class EndpointSession:
    """A session that a client opened."""

    def __init__(
        self, spark: SparkSession, *, configuration: Mapping[str, str], namespace: Any = None, now: float = 0.0
    ) -> None:
        self.id = secrets.token_bytes(16)
        """The 16 bytes in the client's handle."""
        self.spark = _isolated(spark)
        """The Spark session that only this client uses."""
        self.timeout: float | None = None
        """Seconds a statement may take; None for no limit."""
        self.last_used = now
        """When the latest request came, by the clock of the service."""
        self.connection: ClientConnection | None = None
        """Over what it came."""
        self._operations: dict[bytes, Operation] = {}
        self._lock = threading.Lock()
        try:
            self._configure(configuration)
            self._use(namespace)
        except ThriftFault:
            raise
        except Exception as exc:
            failure = failure_of(exc)
            raise ThriftFault(failure.message, sql_state=failure.sql_state) from exc

    def __str__(self) -> str:
        return self.id.hex()[:8]

    def _configure(self, configuration: Mapping[str, str]) -> None:
        for name, value in configuration.items():
            key = _SPARK_NAMES.get(name.upper(), name)
            if key.upper() == _TIMEOUT:
                self.timeout = float(value) or None
            elif key.upper() in _WITHOUT_EFFECT or key.startswith("spark.thriftserver."):
                _log.debug("session setting %s has no effect here", name)
            elif key.startswith("spark."):
                self.spark.conf.set(key, value)
            else:
                raise ThriftFault(f"[UNKNOWN_CONFIGURATION] there is no session setting {name!r}", sql_state="42K0I")

    def _use(self, namespace: Any) -> None:
        """Start in the client's catalog and schema; the schema may be created later, as dbt does."""
        # SQL and not `spark.catalog`, which needs an active session on the calling thread.
        if namespace is not None and namespace.catalogName:
            self.spark.sql(f"SET CATALOG {_quoted(namespace.catalogName)}")
        if namespace is not None and namespace.schemaName:
            try:
                self.spark.sql(f"USE SCHEMA {_quoted(namespace.schemaName)}")
            except Exception as exc:
                # 42704 is SCHEMA_NOT_FOUND, the code every supported Spark has for it.
                if failure_of(exc).sql_state != "42704":
                    raise

    def handle(self) -> Any:
        """The Thrift handle by which the client names this session."""
        return T.TSessionHandle(T.THandleIdentifier(self.id, self.id), PROTOCOL_VERSION)

    def add(self, operation: Operation) -> None:
        """Keep an operation until it is closed or the session is."""
        with self._lock:
            self._operations[operation.id] = operation

    def operation(self, operation_id: bytes) -> Operation:
        """The operation.

        Raises:
            UnknownHandle: it is closed, or belongs to another session.
        """
        with self._lock:
            try:
                return self._operations[operation_id]
            except KeyError:
                raise UnknownHandle("operation") from None

    def discard(self, operation: Operation) -> None:
        """Free an operation and its rows; it is cancelled if it still runs."""
        with self._lock:
            self._operations.pop(operation.id, None)
        self.cancel(operation)
        operation.free()

    def cancel(self, operation: Operation) -> None:
        """Stop an operation and its Spark jobs."""
        if operation.cancel():
            stop_jobs(self.spark, operation)

    def stop(self, operation: Operation, failure: Failure) -> None:
        """Fail an operation from outside, and cancel its Spark jobs."""
        operation.fail(failure)
        stop_jobs(self.spark, operation)

    def owns(self, operation_id: bytes) -> bool:
        """Whether the operation is one of this session's."""
        return operation_id in self._operations

    def is_idle(self, *, since: float) -> bool:
        """Whether nothing runs and nothing was asked for after `since`, by the clock of `last_used`."""
        return self.last_used < since and all(operation.done.is_set() for operation in list(self._operations.values()))

    def close(self) -> None:
        """Free everything. The Spark session of a classic session is left to Java's garbage collector."""
        for operation in list(self._operations.values()):
            self.discard(operation)
        if _is_connect(self.spark):
            self.spark.stop()


def mark_jobs(spark: SparkSession, group: str, *, description: str) -> None:
    """Name the Spark jobs that this thread starts from now on, so that they can be cancelled by that name."""
    if _is_connect(spark):
        spark.clearTags()
        spark.addTag(group)
    else:
        spark.sparkContext.setJobGroup(group, description, interruptOnCancel=True)


def stop_jobs(spark: SparkSession, operation: Operation) -> None:
    """Cancel the Spark jobs of an operation until its thread has left it.

    Cancelling once is not enough: a cancellation between two jobs of one statement finds none to cancel, and the next
    job then runs to its end (measured on Spark 4.2: about one in forty, `cancelJobGroupAndFutureJobs` or not).
    """

    def cancel_again() -> None:
        with contextlib.suppress(Exception):  # Spark has been stopped
            while not operation.left.wait(_CANCEL_AGAIN_SECONDS):
                _cancel_jobs(spark, operation.group)

    _cancel_jobs(spark, operation.group)
    threading.Thread(target=cancel_again, name="sql-endpoint-cancel", daemon=True).start()


def _cancel_jobs(spark: SparkSession, group: str) -> None:
    if _is_connect(spark):
        spark.interruptTag(group)
    else:
        spark.sparkContext.cancelJobGroup(group)


def _isolated(spark: SparkSession) -> SparkSession:
    if not _is_connect(spark):
        return spark.newSession()
    # Spark Connect refuses newSession; cloneSession came with 4.2 and starts as a copy.
    clone = getattr(spark, "cloneSession", None)
    if clone is None:
        raise ThriftFault(
            "[UNSUPPORTED_SESSION] this Spark Connect session can be neither renewed nor cloned: "
            "use a cluster in dedicated access mode",
            sql_state="0A000",
        )
    return clone()  # type: ignore[no-any-return]


def _is_connect(spark: SparkSession) -> bool:
    return type(spark).__module__.startswith("pyspark.sql.connect")


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"
