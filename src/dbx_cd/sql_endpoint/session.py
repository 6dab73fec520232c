"""One Thrift session: its own Spark session, with its own settings, namespace, temporary views and operations."""

from __future__ import annotations

import contextlib
import secrets
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from dbx_cd.errors import SetupError
from dbx_cd.sql_endpoint.liveness import ClientConnection
from dbx_cd.sql_endpoint.missing_schema import schema_is_missing, start_in_missing_schema
from dbx_cd.sql_endpoint.operation import Failure, Operation
from dbx_cd.sql_endpoint.rows import Result
from dbx_cd.sql_endpoint.session_settings import SessionSettings
from dbx_cd.sql_endpoint.statement import failure_of
from dbx_cd.sql_endpoint.thrift_api import PROTOCOL_VERSION, T, ThriftFault, UnknownHandle

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

KEPT_FAILURES = 16  # of each session
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
        self.settings = SessionSettings(self.spark)
        """What the client has set, by Databricks SQL's names."""
        self.last_used = now
        """When the latest request came, by the clock of the service."""
        self.connection: ClientConnection | None = None
        """Over what it came."""
        self.awaited_schema: str | None = None
        """The schema that the session was opened on, where it did not exist then."""
        self._operations: dict[bytes, Operation] = {}
        self._lock = threading.Lock()
        try:
            self.settings.configure(configuration)
            self._use(namespace)
        except Exception as exc:
            with contextlib.suppress(Exception):  # what kept it from being set up is what the client has to know
                self.close()
            if isinstance(exc, ThriftFault):
                raise
            failure = failure_of(exc)
            raise ThriftFault(failure.message, sql_state=failure.sql_state) from exc

    def __str__(self) -> str:
        return self.id.hex()[:8]

    def _use(self, namespace: Any) -> None:
        """Start in the client's catalog and schema; the schema may be created later, as dbt does.

        On Spark Connect, which has no way into a schema that is not there, the session stays where it is until then.
        """
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
                self.awaited_schema = namespace.schemaName
                if not is_connect(self.spark):
                    start_in_missing_schema(self.spark, namespace.schemaName)

    def run(self, work: Callable[[], Result]) -> Result:
        """Run a statement's work on this thread, within the schema that the session was opened on.

        Raises:
            ThriftFault: the statement failed because that schema is still missing.
        """
        if self.awaited_schema is None:
            return work()
        if is_connect(self.spark):
            with contextlib.suppress(Exception):  # it is not there yet
                self.spark.sql(f"USE SCHEMA {_quoted(self.awaited_schema)}")
                self.awaited_schema = None
        try:
            return work()
        except Exception as exc:
            failure = schema_is_missing(self.spark, failure_of(exc))
            raise ThriftFault(failure.message, sql_state=failure.sql_state) from exc

    def handle(self) -> Any:
        """The Thrift handle by which the client names this session."""
        return T.TSessionHandle(T.THandleIdentifier(self.id, self.id), PROTOCOL_VERSION)

    def add(self, operation: Operation) -> None:
        """Keep an operation until it is closed or the session is.

        Clients never close what failed or was cancelled: of those, the latest are kept, for a client that asks again.
        """
        with self._lock:
            without_rows = [o for o in self._operations.values() if o.error is not None]
            for ended in without_rows[:-KEPT_FAILURES]:
                del self._operations[ended.id]
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
        if is_connect(self.spark):
            self.spark.stop()


def mark_jobs(spark: SparkSession, group: str, *, description: str) -> None:
    """Name the Spark jobs that this thread starts from now on, so that they can be cancelled by that name."""
    if is_connect(spark):
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
    if is_connect(spark):
        spark.interruptTag(group)
    else:
        spark.sparkContext.cancelJobGroup(group)


def require_sessions(spark: SparkSession) -> None:
    """Refuse a Spark that gives its clients no sessions of their own.

    Raises:
        SetupError: it is Spark Connect before 4.2, which refuses `newSession` and has no `cloneSession` yet.
    """
    if is_connect(spark) and not hasattr(spark, "cloneSession"):
        raise SetupError(
            "the SQL endpoint needs a Spark session that can be renewed, and Spark Connect before Spark 4.2 has none",
            where=f"Spark {spark.version}",
            next_step="run it on a cluster in dedicated access mode, or use a SQL warehouse",
        )


def _isolated(spark: SparkSession) -> SparkSession:
    if not is_connect(spark):
        return spark.newSession()
    connect: Any = spark
    _ = connect.version  # the server knows a session from its first request on, and clones none before
    clone: SparkSession = connect.cloneSession()  # starts as a copy
    return clone


def is_connect(spark: SparkSession) -> bool:
    """Whether a session speaks Spark Connect."""
    return type(spark).__module__.startswith("pyspark.sql.connect")


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"
