"""The TCLIService handler: what each call of the Databricks SQL Thrift protocol does with a Spark session."""
# ruff: noqa: N802  (the method names are the protocol's)

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from dbx_cd.sql_endpoint import metadata
from dbx_cd.sql_endpoint.answers import answers, not_supported, page_answer, started
from dbx_cd.sql_endpoint.arrow_types import types_as_text
from dbx_cd.sql_endpoint.at_work import RunningStatement
from dbx_cd.sql_endpoint.collect import collect
from dbx_cd.sql_endpoint.executor import StatementExecutor, StatementRecord
from dbx_cd.sql_endpoint.liveness import GONE_SECONDS
from dbx_cd.sql_endpoint.open_sessions import LOOK_FOR_IDLE_SECONDS, OpenSessions
from dbx_cd.sql_endpoint.operation import Operation
from dbx_cd.sql_endpoint.parameters import statement_arguments
from dbx_cd.sql_endpoint.result_files import ResultFiles
from dbx_cd.sql_endpoint.rows import Collect, Result
from dbx_cd.sql_endpoint.session import EndpointSession
from dbx_cd.sql_endpoint.statement import After, Rewrite, run_statement
from dbx_cd.sql_endpoint.thrift_api import PROTOCOL_VERSION, T, ThriftFault, success

if TYPE_CHECKING:
    from pyspark.sql import SparkSession
    from pyspark.sql.types import StructType

_log = logging.getLogger(__name__)

POLL_SECONDS = 1.0  # short for the reason that `DIRECT_RESULT_SECONDS` is


class ThriftService:
    """Handler of `TCLIService.Processor`.

    Args:
        spark: the session whose application runs the statements.
        rewrite: see `SqlEndpoint`.
        after: see `SqlEndpoint`.
        collect: see `SqlEndpoint`.
        temporary: see `SqlEndpoint`.
        files: where large results are offered to clients that download them; None where they cannot.
        on_statement: see `SqlEndpoint`.
        clock: seconds that only ever grow; by them a session is idle.
        look_every: see `OpenSessions`.
        gone_after: see `SqlEndpoint`.
    """

    def __init__(
        self,
        spark: SparkSession,
        *,
        rewrite: Rewrite | None = None,
        after: After | None = None,
        collect: Collect = collect,
        temporary: Path | None = None,
        files: ResultFiles | None = None,
        on_statement: Callable[[StatementRecord], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
        look_every: float = LOOK_FOR_IDLE_SECONDS,
        gone_after: float = GONE_SECONDS,
    ) -> None:
        self._spark = spark
        self._rewrite = rewrite
        self._after = after
        self._collect = collect
        self._temporary = temporary
        self._files = files
        self._clock = clock
        self._gone_after = gone_after
        self._sessions = OpenSessions(clock, look_every=look_every)
        self._executor = StatementExecutor(on_statement)

    def close(self) -> None:
        """Cancel what runs and free every session; `wait` tells when it has ended."""
        self._executor.close()  # first: what is submitted from here on does not begin
        self._sessions.close_all()

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
            if is_lost and not operation.done.is_set() and self._clock() - session.last_used >= self._gone_after:
                _log.warning("session %s: its client is gone, and what it ran is cancelled", session)
                session.cancel(operation)

    # Sessions

    @answers(T.TOpenSessionResp)
    def OpenSession(self, request: Any) -> Any:
        """Open a session in the client's namespace, with its configuration."""
        self._sessions.close_idle()
        with self._sessions.place() as add:
            session = EndpointSession(
                self._spark,
                configuration=request.configuration or {},
                namespace=request.initialNamespace,
                now=self._clock(),
            )
            add(session)
        _log.info("session %s opened", session)
        return T.TOpenSessionResp(
            status=success(),
            serverProtocolVersion=PROTOCOL_VERSION,
            sessionHandle=session.handle(),
            configuration={},
            initialNamespace=request.initialNamespace,
            canUseMultipleCatalogs=True,
        )

    @answers(T.TCloseSessionResp)
    def CloseSession(self, request: Any) -> Any:
        """Close a session and free its operations."""
        self._sessions.close(self._sessions.session(request))
        return T.TCloseSessionResp(status=success())

    @answers(T.TGetInfoResp)
    def GetInfo(self, request: Any) -> Any:
        """Name and version of the server."""
        self._sessions.session(request)
        values = {
            T.TGetInfoType.CLI_SERVER_NAME: "dbx_cd SQL endpoint",
            T.TGetInfoType.CLI_DBMS_NAME: "Spark SQL",
            T.TGetInfoType.CLI_DBMS_VER: self._spark.version,
        }
        if request.infoType not in values:
            raise ThriftFault(f"[UNSUPPORTED] GetInfo({request.infoType}) is not supported", sql_state="0A000")
        return T.TGetInfoResp(status=success(), infoValue=T.TGetInfoValue(stringValue=values[request.infoType]))

    # Operations

    @answers(T.TExecuteStatementResp)
    def ExecuteStatement(self, request: Any) -> Any:
        """Run a statement."""
        session = self._sessions.session(request)
        arguments = statement_arguments(request.parameters)
        as_text = types_as_text(request.useArrowNativeTypes)

        def rows() -> Result:
            answered = session.settings.answer(request.statement)
            if answered is not None:
                return Result.of(answered)
            return run_statement(
                session.spark, request.statement, arguments=arguments, rewrite=self._rewrite, as_text=as_text,
                after=self._after, row_limit=request.resultRowLimit, collect=self._collect, temporary=self._temporary,
            )  # fmt: skip

        files = self._files if request.canReadArrowResult and request.canDownloadResult else None
        operation = Operation(T.TOperationType.EXECUTE_STATEMENT, files=files)
        timeout = request.queryTimeout or session.settings.timeout
        self._executor.submit(session, operation, lambda: session.run(rows), sql=request.statement, timeout=timeout)
        return started(T.TExecuteStatementResp, request, session, operation)

    @answers(T.TGetOperationStatusResp)
    def GetOperationStatus(self, request: Any) -> Any:
        """The state of an operation; the answer waits up to `POLL_SECONDS` for its end."""
        _, operation = self._sessions.operation(request)
        operation.done.wait(POLL_SECONDS)
        return operation.status()

    @answers(T.TGetResultSetMetadataResp)
    def GetResultSetMetadata(self, request: Any) -> Any:
        """The columns of a finished operation."""
        return self._sessions.operation(request)[1].pages().metadata()

    @answers(T.TFetchResultsResp)
    def FetchResults(self, request: Any) -> Any:
        """The next page of rows."""
        if request.orientation != T.TFetchOrientation.FETCH_NEXT:
            raise ThriftFault("[UNSUPPORTED] results are read forwards only", sql_state="HY106")
        pages = self._sessions.operation(request)[1].pages()
        answer = page_answer(pages.next_page(max_rows=request.maxRows, max_bytes=request.maxBytes))
        if request.includeResultSetMetadata:
            answer.resultSetMetadata = pages.metadata()
        return answer

    @answers(T.TCancelOperationResp)
    def CancelOperation(self, request: Any) -> Any:
        """Cancel an operation and its Spark jobs."""
        session, operation = self._sessions.operation(request)
        session.cancel(operation)
        return T.TCancelOperationResp(status=success())

    @answers(T.TCloseOperationResp)
    def CloseOperation(self, request: Any) -> Any:
        """Free an operation and its rows."""
        session, operation = self._sessions.operation(request)
        session.discard(operation)
        return T.TCloseOperationResp(status=success())

    # Metadata

    @answers(T.TGetCatalogsResp)
    def GetCatalogs(self, request: Any) -> Any:
        """The catalogs."""
        return self._metadata(T.TGetCatalogsResp, T.TOperationType.GET_CATALOGS, metadata.catalogs, request)

    @answers(T.TGetSchemasResp)
    def GetSchemas(self, request: Any) -> Any:
        """The schemas of one catalog."""
        return self._metadata(T.TGetSchemasResp, T.TOperationType.GET_SCHEMAS, metadata.schemas, request)

    @answers(T.TGetTablesResp)
    def GetTables(self, request: Any) -> Any:
        """The tables and views of one catalog."""
        return self._metadata(T.TGetTablesResp, T.TOperationType.GET_TABLES, metadata.tables, request)

    @answers(T.TGetColumnsResp)
    def GetColumns(self, request: Any) -> Any:
        """The columns of the tables and views of one catalog."""
        return self._metadata(T.TGetColumnsResp, T.TOperationType.GET_COLUMNS, metadata.columns, request)

    @answers(T.TGetTableTypesResp)
    def GetTableTypes(self, request: Any) -> Any:
        """The kinds of relations."""
        return self._metadata(T.TGetTableTypesResp, T.TOperationType.GET_TABLE_TYPES, metadata.table_types, request)

    @answers(T.TGetTypeInfoResp)
    def GetTypeInfo(self, request: Any) -> Any:
        """The SQL types."""
        return self._metadata(T.TGetTypeInfoResp, T.TOperationType.GET_TYPE_INFO, metadata.type_info, request)

    GetFunctions = not_supported("GetFunctions", T.TGetFunctionsResp)
    GetPrimaryKeys = not_supported("GetPrimaryKeys", T.TGetPrimaryKeysResp)
    GetCrossReference = not_supported("GetCrossReference", T.TGetCrossReferenceResp)
    GetDelegationToken = not_supported("GetDelegationToken", T.TGetDelegationTokenResp)
    CancelDelegationToken = not_supported("CancelDelegationToken", T.TCancelDelegationTokenResp)
    RenewDelegationToken = not_supported("RenewDelegationToken", T.TRenewDelegationTokenResp)

    # Behind the calls

    def _metadata(self, response: Any, kind: int, ask: Callable[..., pa.Table], request: Any) -> Any:
        session = self._sessions.session(request)

        def rows() -> Result:
            return Result.of(ask(_SessionLookup(session.spark, self._rewrite), request))

        operation = Operation(kind)
        self._executor.submit(session, operation, rows)
        return started(response, request, session, operation)


class _SessionLookup:
    """A session's answers to `metadata`."""

    def __init__(self, spark: SparkSession, rewrite: Rewrite | None) -> None:
        self._spark = spark
        self._rewrite = rewrite

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """The rows of a statement."""
        found: list[dict[str, Any]] = run_statement(self._spark, sql, rewrite=self._rewrite).table().to_pylist()
        return found

    def schema(self, quoted_name: str) -> StructType:
        """The columns of a table or view."""
        return self._spark.sql(f"SELECT * FROM {quoted_name}").schema
