"""The TCLIService handler: what each call of the Databricks SQL Thrift protocol does with a Spark session."""
# ruff: noqa: N802  (the method names are the protocol's)

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from dbx_cd.sql_endpoint import metadata
from dbx_cd.sql_endpoint.arrow_types import types_as_text
from dbx_cd.sql_endpoint.at_work import RunningStatement
from dbx_cd.sql_endpoint.executor import StatementExecutor, StatementRecord
from dbx_cd.sql_endpoint.liveness import GONE_SECONDS, asking_connection
from dbx_cd.sql_endpoint.operation import Operation
from dbx_cd.sql_endpoint.parameters import statement_arguments
from dbx_cd.sql_endpoint.session import EndpointSession
from dbx_cd.sql_endpoint.statement import Rewrite, failure_of, run_statement
from dbx_cd.sql_endpoint.thrift_api import PROTOCOL_VERSION, T, ThriftFault, UnknownHandle, success

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_log = logging.getLogger(__name__)

# The connector locks itself during a call, so that a cancellation waits as long: keep both short.
DIRECT_RESULT_SECONDS = 5.0
POLL_SECONDS = 1.0
# A client that was killed never closes its session.
IDLE_SESSION_SECONDS = 8 * 3600.0


def _answers(response: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Turn a fault into a response with an error status, so that a bad request never breaks the connection."""

    def decorate(call: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(call)
        def answer(self: ThriftService, request: Any) -> Any:
            try:
                return call(self, request)
            except ThriftFault as fault:
                return response(status=fault.status())
            except Exception as exc:
                _log.exception("%s failed", call.__name__)
                return response(status=ThriftFault(failure_of(exc).message, sql_state="HY000").status())

        return answer

    return decorate


def _not_supported(call: str, response: Any) -> Callable[..., Any]:
    def refuse(_service: ThriftService, _request: Any) -> Any:
        raise ThriftFault(f"[UNSUPPORTED] {call} is not supported by this endpoint", sql_state="0A000")

    return _answers(response)(refuse)


class ThriftService:
    """Handler of `TCLIService.Processor`.

    Args:
        spark: the session whose application runs the statements.
        rewrite: see `SqlEndpoint`.
        on_statement: see `SqlEndpoint`.
        clock: seconds that only ever grow; by them a session is idle.
    """

    def __init__(
        self,
        spark: SparkSession,
        *,
        rewrite: Rewrite | None = None,
        on_statement: Callable[[StatementRecord], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._spark = spark
        self._rewrite = rewrite
        self._clock = clock
        self._sessions: dict[bytes, EndpointSession] = {}
        self._lock = threading.Lock()
        self._executor = StatementExecutor(on_statement)

    def close(self) -> None:
        """Cancel what runs and free every session; `wait` tells when it has ended."""
        self._executor.close()  # first: what is submitted from here on does not begin
        with self._lock:
            sessions = list(self._sessions.values())
            self._sessions.clear()
        for session in sessions:
            session.close()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until nothing runs; whether that is so within `timeout` seconds (None: however long)."""
        return self._executor.at_work.wait(timeout)

    def running(self) -> list[RunningStatement]:
        """The statements that run now."""
        return self._executor.at_work.statements()

    def cancel_abandoned(self) -> None:
        """Cancel the operations whose clients are gone; see `liveness`."""
        for session, operation in self._executor.at_work.running():
            is_lost = session.connection is not None and session.connection.is_lost
            if is_lost and not operation.done.is_set() and self._clock() - session.last_used >= GONE_SECONDS:
                _log.warning("session %s: its client is gone, and what it ran is cancelled", session)
                session.cancel(operation)

    # Sessions

    @_answers(T.TOpenSessionResp)
    def OpenSession(self, request: Any) -> Any:
        """Open a session in the client's namespace, with its configuration."""
        self._close_idle()
        session = EndpointSession(
            self._spark,
            configuration=request.configuration or {},
            namespace=request.initialNamespace,
            now=self._clock(),
        )
        with self._lock:
            self._sessions[session.id] = session
        _log.info("session %s opened", session)
        return T.TOpenSessionResp(
            status=success(),
            serverProtocolVersion=PROTOCOL_VERSION,
            sessionHandle=session.handle(),
            configuration={},
            initialNamespace=request.initialNamespace,
            canUseMultipleCatalogs=True,
        )

    @_answers(T.TCloseSessionResp)
    def CloseSession(self, request: Any) -> Any:
        """Close a session and free its operations."""
        session = self._session(request)
        with self._lock:
            self._sessions.pop(session.id, None)
        session.close()
        _log.info("session %s closed", session)
        return T.TCloseSessionResp(status=success())

    @_answers(T.TGetInfoResp)
    def GetInfo(self, request: Any) -> Any:
        """Name and version of the server."""
        self._session(request)
        values = {
            T.TGetInfoType.CLI_SERVER_NAME: "dbx_cd SQL endpoint",
            T.TGetInfoType.CLI_DBMS_NAME: "Spark SQL",
            T.TGetInfoType.CLI_DBMS_VER: self._spark.version,
        }
        if request.infoType not in values:
            raise ThriftFault(f"[UNSUPPORTED] GetInfo({request.infoType}) is not supported", sql_state="0A000")
        return T.TGetInfoResp(status=success(), infoValue=T.TGetInfoValue(stringValue=values[request.infoType]))

    # Operations

    @_answers(T.TExecuteStatementResp)
    def ExecuteStatement(self, request: Any) -> Any:
        """Run a statement."""
        session = self._session(request)
        arguments = statement_arguments(request.parameters)
        as_text = types_as_text(request.useArrowNativeTypes)

        def rows() -> pa.Table:
            return run_statement(
                session.spark, request.statement, arguments=arguments, rewrite=self._rewrite, as_text=as_text
            )

        operation = Operation(T.TOperationType.EXECUTE_STATEMENT)
        timeout = request.queryTimeout or session.timeout
        self._executor.submit(session, operation, rows, sql=request.statement, timeout=timeout)
        return _started(T.TExecuteStatementResp, request, session, operation)

    @_answers(T.TGetOperationStatusResp)
    def GetOperationStatus(self, request: Any) -> Any:
        """The state of an operation; the answer waits up to `POLL_SECONDS` for its end."""
        _, operation = self._find(request)
        operation.done.wait(POLL_SECONDS)
        return operation.status()

    @_answers(T.TGetResultSetMetadataResp)
    def GetResultSetMetadata(self, request: Any) -> Any:
        """The columns of a finished operation."""
        return self._find(request)[1].pages().metadata()

    @_answers(T.TFetchResultsResp)
    def FetchResults(self, request: Any) -> Any:
        """The next page of rows."""
        if request.orientation != T.TFetchOrientation.FETCH_NEXT:
            raise ThriftFault("[UNSUPPORTED] results are read forwards only", sql_state="HY106")
        pages = self._find(request)[1].pages()
        answer = _page_answer(pages.next_page(max_rows=request.maxRows, max_bytes=request.maxBytes))
        if request.includeResultSetMetadata:
            answer.resultSetMetadata = pages.metadata()
        return answer

    @_answers(T.TCancelOperationResp)
    def CancelOperation(self, request: Any) -> Any:
        """Cancel an operation and its Spark jobs."""
        session, operation = self._find(request)
        session.cancel(operation)
        return T.TCancelOperationResp(status=success())

    @_answers(T.TCloseOperationResp)
    def CloseOperation(self, request: Any) -> Any:
        """Free an operation and its rows."""
        session, operation = self._find(request)
        session.discard(operation)
        return T.TCloseOperationResp(status=success())

    # Metadata

    @_answers(T.TGetCatalogsResp)
    def GetCatalogs(self, request: Any) -> Any:
        """The catalogs."""
        return self._metadata(T.TGetCatalogsResp, T.TOperationType.GET_CATALOGS, metadata.catalogs, request)

    @_answers(T.TGetSchemasResp)
    def GetSchemas(self, request: Any) -> Any:
        """The schemas of one catalog."""
        return self._metadata(T.TGetSchemasResp, T.TOperationType.GET_SCHEMAS, metadata.schemas, request)

    @_answers(T.TGetTablesResp)
    def GetTables(self, request: Any) -> Any:
        """The tables and views of one catalog."""
        return self._metadata(T.TGetTablesResp, T.TOperationType.GET_TABLES, metadata.tables, request)

    @_answers(T.TGetColumnsResp)
    def GetColumns(self, request: Any) -> Any:
        """The columns of the tables and views of one catalog."""
        return self._metadata(T.TGetColumnsResp, T.TOperationType.GET_COLUMNS, metadata.columns, request)

    @_answers(T.TGetTableTypesResp)
    def GetTableTypes(self, request: Any) -> Any:
        """The kinds of relations."""
        return self._metadata(T.TGetTableTypesResp, T.TOperationType.GET_TABLE_TYPES, metadata.table_types, request)

    @_answers(T.TGetTypeInfoResp)
    def GetTypeInfo(self, request: Any) -> Any:
        """The SQL types."""
        return self._metadata(T.TGetTypeInfoResp, T.TOperationType.GET_TYPE_INFO, metadata.type_info, request)

    GetFunctions = _not_supported("GetFunctions", T.TGetFunctionsResp)
    GetPrimaryKeys = _not_supported("GetPrimaryKeys", T.TGetPrimaryKeysResp)
    GetCrossReference = _not_supported("GetCrossReference", T.TGetCrossReferenceResp)
    GetDelegationToken = _not_supported("GetDelegationToken", T.TGetDelegationTokenResp)
    CancelDelegationToken = _not_supported("CancelDelegationToken", T.TCancelDelegationTokenResp)
    RenewDelegationToken = _not_supported("RenewDelegationToken", T.TRenewDelegationTokenResp)

    # Behind the calls

    def _metadata(self, response: Any, kind: int, ask: Callable[..., pa.Table], request: Any) -> Any:
        session = self._session(request)

        def query(sql: str) -> list[dict[str, Any]]:
            rows: list[dict[str, Any]] = run_statement(session.spark, sql, rewrite=self._rewrite).to_pylist()
            return rows

        operation = Operation(kind)
        self._executor.submit(session, operation, lambda: ask(query, request))
        return _started(response, request, session, operation)

    def _session(self, request: Any) -> EndpointSession:
        with self._lock:
            session = self._sessions.get(_guid(request.sessionHandle and request.sessionHandle.sessionId))
        if session is None:
            raise UnknownHandle("session")
        session.last_used, session.connection = self._clock(), asking_connection()
        return session

    def _find(self, request: Any) -> tuple[EndpointSession, Operation]:
        operation_id = _guid(request.operationHandle and request.operationHandle.operationId)
        with self._lock:
            session = next((s for s in self._sessions.values() if s.owns(operation_id)), None)
        if session is None:
            raise UnknownHandle("operation")
        session.last_used, session.connection = self._clock(), asking_connection()
        return session, session.operation(operation_id)

    def _close_idle(self) -> None:
        since = self._clock() - IDLE_SESSION_SECONDS
        with self._lock:
            idle = [session for session in self._sessions.values() if session.is_idle(since=since)]
            for session in idle:
                del self._sessions[session.id]
        for session in idle:
            session.close()
            _log.info("session %s closed: idle for %.0f h", session, IDLE_SESSION_SECONDS / 3600)


def _started(response: Any, request: Any, session: EndpointSession, operation: Operation) -> Any:
    """The answer to a call that began an operation: with its rows, if they come soon and the client takes them so."""
    if request.getDirectResults:
        operation.done.wait(DIRECT_RESULT_SECONDS)
    elif not request.runAsync:
        operation.done.wait()
    answer = response(status=success(), operationHandle=operation.handle())
    if request.getDirectResults and operation.done.is_set():
        answer.directResults = _direct_results(session, operation, request.getDirectResults)
    return answer


def _direct_results(session: EndpointSession, operation: Operation, limits: Any) -> Any:
    """The whole answer in the first response, with the operation closed when nothing is left to fetch."""
    results = T.TSparkDirectResults(operationStatus=operation.status())
    if not results.operationStatus.hasResultSet:
        return results
    pages = operation.pages()
    results.resultSetMetadata = pages.metadata()
    results.resultSet = _page_answer(pages.next_page(max_rows=limits.maxRows, max_bytes=limits.maxBytes))
    if not results.resultSet.hasMoreRows:
        session.discard(operation)
        results.closeOperation = T.TCloseOperationResp(status=success())
    return results


def _page_answer(page: Any) -> Any:
    return T.TFetchResultsResp(status=success(), hasMoreRows=page.has_more, results=page.row_set())


def _guid(identifier: Any) -> bytes:
    guid = identifier.guid if identifier is not None else b""
    return guid if isinstance(guid, bytes) else str(guid).encode()
