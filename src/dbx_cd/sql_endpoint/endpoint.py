"""`SqlEndpoint`: the service and its HTTP server as one thing to start and stop."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import secrets
import shutil
import tempfile
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

from thrift.protocol.TBinaryProtocol import TBinaryProtocolAccelerated
from thrift.transport.TTransport import TMemoryBuffer

from dbx_cd.errors import ConfigError, SetupError
from dbx_cd.sql_endpoint.address import WAREHOUSE_PATH
from dbx_cd.sql_endpoint.at_work import RunningStatement
from dbx_cd.sql_endpoint.certificate import serve_loopback, trust_bundle
from dbx_cd.sql_endpoint.collect import collect
from dbx_cd.sql_endpoint.executor import StatementRecord
from dbx_cd.sql_endpoint.http_server import LOOPBACK, LoopbackServer
from dbx_cd.sql_endpoint.liveness import GONE_SECONDS, LivenessWatch
from dbx_cd.sql_endpoint.rows import Collect
from dbx_cd.sql_endpoint.service import ThriftService
from dbx_cd.sql_endpoint.session import require_sessions
from dbx_cd.sql_endpoint.statement import After, Rewrite
from dbx_cd.sql_endpoint.thrift_api import Processor

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_log = logging.getLogger(__name__)


class SqlEndpoint:
    """The Databricks SQL Thrift service on the loopback address, over one Spark application.

    Each Thrift session gets a Spark session of its own, and answers only to the token that opened it. A result is kept,
    as Arrow, until the client has read or closed it: what is large of it in a temporary file.

    Args:
        spark: the session whose application runs the statements.
        rewrite: asked for every statement; returns the SQL to run or the result itself. None: statements run as sent.
        after: asked for each statement that gave no columns, once it has run; returns what to answer instead, or None.
        collect: brings the rows of a query; by default as PySpark does, but batch by batch.
        tokens: the bearer tokens that are accepted; one random token when not given.
        port: TCP port; 0 takes a free one.
        http_path: `/sql/1.0/warehouses/<name>`, or `/sql/protocolv1/o/<digits>/<name>` for a cluster: from the former
            dbt-databricks concludes that the newest runtime answers, for the latter it asks for the version.
        on_statement: called after each statement, on the thread that ran it.
        spark_of: asked once for each token; returns the session of which this token's clients get new ones. None:
            `spark`, for all of them.
        temporary: the folder for its certificate and for results; by default the system's for temporary files.
        gone_after: how many seconds a client whose connection has ended may ask for nothing before what it runs is
            cancelled.

    Example:
        >>> with SqlEndpoint(spark) as endpoint:
        ...     block = connection_block(endpoint)
    """

    def __init__(
        self,
        spark: SparkSession,
        *,
        rewrite: Rewrite | None = None,
        after: After | None = None,
        collect: Collect = collect,
        tokens: Collection[str] | None = None,
        port: int = 0,
        http_path: str = WAREHOUSE_PATH,
        on_statement: Callable[[StatementRecord], None] | None = None,
        spark_of: Callable[[str], SparkSession] | None = None,
        temporary: Path | None = None,
        gone_after: float = GONE_SECONDS,
    ) -> None:
        if not re.fullmatch(r"/sql/(1\.0/warehouses/[\w.-]+|protocolv1/o/\d+/[\w.-]+)", http_path):
            raise ConfigError(
                "not an HTTP path of a SQL warehouse or cluster",
                where=http_path,
                next_step=f"use one like {WAREHOUSE_PATH} or /sql/protocolv1/o/0/local",
            )
        self.http_path = http_path
        self._tokens = tuple(tokens) if tokens is not None else (secrets.token_urlsafe(32),)
        if not self._tokens or not all(self._tokens):
            raise ConfigError("the SQL endpoint needs at least one token, and none may be empty")
        self._spark = spark
        self._rewrite = rewrite
        self._after = after
        self._collect = collect
        self._on_statement = on_statement
        self._spark_of = spark_of
        self._asked_port = port
        self._temporary = temporary
        self._gone_after = gone_after
        self._server: LoopbackServer | None = None
        self._services: dict[str, ThriftService] = {}

    @property
    def token(self) -> str:
        """The first of the accepted tokens."""
        return self._tokens[0]

    @property
    def port(self) -> int:
        """The TCP port of the running endpoint."""
        return int(self._running().server_address[1])

    @property
    def host(self) -> str:
        """The address over plain HTTP, with the scheme."""
        return f"http://{LOOPBACK}:{self.port}"

    def start(self) -> Self:
        """Serve until `stop`; starting twice changes nothing.

        Raises:
            SetupError: the port is taken, or this Spark gives its clients no sessions of their own.
        """
        if self._server is not None:
            return self
        require_sessions(self._spark)
        with contextlib.ExitStack() as undo:
            server = self._serve(undo)
            self._server, self._closing = server, undo.pop_all()
        _log.info("SQL endpoint at %s%s", self.host, self.http_path)
        return self

    def _serve(self, undo: contextlib.ExitStack) -> LoopbackServer:
        """Start everything; `undo` gets how each thing that has started is ended, also where the next one fails."""
        self._directory = Path(tempfile.mkdtemp(prefix="dbx-cd-endpoint-", dir=self._temporary))
        undo.callback(shutil.rmtree, self._directory, ignore_errors=True)
        tls, self._certificate = serve_loopback(self._directory)
        try:
            server = LoopbackServer({}, port=self._asked_port, path=self.http_path, tls=tls)
        except OSError as exc:
            raise SetupError(
                f"the SQL endpoint cannot listen: {exc.strerror}",
                where=f"{LOOPBACK}:{self._asked_port}",
                next_step="choose another port, or 0 for any free one",
            ) from exc
        undo.callback(server.connections.end_all)
        undo.callback(server.server_close)
        self._services = {}
        undo.callback(self._close_services)  # before the connections: clients are still told of the cancellation
        for token in self._tokens:
            self._serve_token(server, token, self._spark if self._spark_of is None else self._spark_of(token))
        serve = threading.Thread(target=server.serve_forever, args=(0.1,), name="sql-endpoint-http", daemon=True)
        serve.start()
        undo.callback(server.shutdown)
        watch = LivenessWatch(lambda: list(self._services.values()))
        watch.start()
        undo.callback(watch.stop)
        return server

    def stop(self) -> None:
        """Cancel what runs, close every session and connection, and free the port; the Spark session stays."""
        server, self._server = self._server, None
        if server is None:
            return
        self._closing.close()
        _log.info("SQL endpoint stopped")

    def _close_services(self) -> None:
        with contextlib.ExitStack() as every:  # goes on with the others where one of them fails
            for service in self._services.values():
                every.callback(service.close)

    def accept(self, token: str, *, spark: SparkSession | None = None) -> None:
        """Accept one more token, until `revoke`.

        Args:
            token: the token.
            spark: the session of which its clients get new ones; by default the endpoint's own.
        """
        self._serve_token(self._running(), token, spark or self._spark)

    def revoke(self, token: str, *, timeout: float | None = None) -> bool:
        """Take a token back: its requests are refused, what they run is cancelled, and their sessions are closed.

        Args:
            token: the token; one that is not accepted, or not any more, changes nothing.
            timeout: seconds to wait for what runs to have left Spark; None waits for it however long that takes.

        Returns:
            Whether nothing of it runs any more, so that nothing it began can still change a table.
        """
        if self._server is not None:
            self._server.refuse(token)
        service = self._services.get(token)
        if service is None:
            return True
        service.close()
        has_ended = service.wait(timeout)
        if has_ended:
            self._services.pop(token, None)
        return has_ended

    def running(self) -> list[RunningStatement]:
        """The statements that run now, of every token."""
        services = list(self._services.items())
        return [replace(statement, token=token) for token, service in services for statement in service.running()]

    def client_environment(self, environ: Mapping[str, str] | None = None) -> dict[str, str]:
        """What a client process, such as dbt, needs in its environment on top of `environ` (default: this process's).

        With it the client trusts the endpoint's certificate besides all it trusted before, goes to the loopback address
        without a proxy, and does not mistake other Databricks credentials in its environment for its own.
        """
        self._running()
        environ = os.environ if environ is None else environ
        bundle = self._directory / "trusted.pem"
        # Replaced as a whole: a client started earlier may be reading it.
        fresh = self._directory / f"{secrets.token_hex(4)}.pem"
        fresh.write_bytes(trust_bundle(self._certificate, environ))
        fresh.replace(bundle)
        direct = [environ.get("no_proxy") or environ.get("NO_PROXY") or "", LOOPBACK]
        no_proxy = ",".join(entry for entry in direct if entry)
        return {
            "REQUESTS_CA_BUNDLE": str(bundle),
            "NO_PROXY": no_proxy,
            "no_proxy": no_proxy,
            # databricks-sdk refuses a token next to, say, DATABRICKS_CLIENT_ID unless this names the one to use.
            "DATABRICKS_AUTH_TYPE": "pat",
        }

    def _serve_token(self, server: LoopbackServer, token: str, spark: SparkSession) -> None:
        """The one way in which a token is served, whether it is there from the start or comes later."""
        service = self._services[token] = ThriftService(
            spark, rewrite=self._rewrite, after=self._after, collect=self._collect, temporary=self._temporary,
            files=server.files, on_statement=self._on_statement, gone_after=self._gone_after,
        )  # fmt: skip
        server.accept(token, _answer_of(service))

    def _running(self) -> LoopbackServer:
        if self._server is None:
            raise SetupError("the SQL endpoint is not running", next_step="call start() first")
        return self._server

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc_info: object) -> None:
        self.stop()


def _answer_of(service: ThriftService) -> Callable[[bytes], bytes]:
    processor = Processor(service)

    def answer(body: bytes) -> bytes:
        reply = TMemoryBuffer()
        processor.process(TBinaryProtocolAccelerated(TMemoryBuffer(body)), TBinaryProtocolAccelerated(reply))
        return bytes(reply.getvalue())

    return answer
