from __future__ import annotations

import datetime as dt
import http.client
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import requests
from databricks import sql
from databricks.sql import exc as sql_errors
from databricks.sql.thrift_api.TCLIService import ttypes
from fake_spark import FakeSpark

from dbx_cd.errors import ConfigError, SetupError
from dbx_cd.sql_endpoint import SqlEndpoint, connection_block
from dbx_cd.sql_endpoint.arrow_types import SQL_NAME, distinct, table_schema, types_as_text
from dbx_cd.sql_endpoint.results import ResultPages
from dbx_cd.sql_endpoint.rows import Result, ResultRows
from dbx_cd.sql_endpoint.statement import failure_of


def answer(_spark: Any, statement: str) -> pa.Table:
    if statement == "fail":
        raise ValueError("it failed\n\nJVM stacktrace:\njava.lang.Boom\n\tat a.b.C(D.java:1)")
    if statement == "merge":
        return pa.table({"num_affected_rows": [7], "num_inserted_rows": [7]})
    return pa.table({"asked": [statement]})


@pytest.fixture(scope="module")
def endpoint() -> Iterator[SqlEndpoint]:
    with SqlEndpoint(FakeSpark(), rewrite=answer, tokens=["first", "second"]) as running:  # type: ignore[arg-type]
        yield running


def connect(endpoint: SqlEndpoint, token: str = "first", **options: Any) -> Any:
    uri = connection_block(endpoint)["connection_parameters"]["_connection_uri"]
    return sql.connect(
        "127.0.0.1", endpoint.http_path, access_token=token, _connection_uri=uri, enable_telemetry=False,
        _retry_stop_after_attempts_count=1, **options,
    )  # fmt: skip


def test_statement_by_an_accepted_token_is_answered_as_one_by_any_other() -> None:
    def nothing(_spark: Any, _statement: str) -> pa.Table:
        return pa.table({})

    def written(_spark: Any, _statement: str) -> pa.Table:
        return pa.table({"num_affected_rows": [7]})

    with SqlEndpoint(FakeSpark(), rewrite=nothing, after=written, tokens=["first"]) as running:  # type: ignore[arg-type]
        running.accept("of a task")
        for token in ("first", "of a task"):
            with connect(running, token) as connection:
                assert connection.cursor().execute("insert").fetchall() == [(7,)]


def post(endpoint: SqlEndpoint, *, path: str | None = None, **headers: str) -> requests.Response:
    return requests.post(f"{endpoint.host}{path or endpoint.http_path}", data=b"x", headers=headers, timeout=5)


@pytest.mark.parametrize("token", ["first", "second"])
def test_every_token_is_accepted(endpoint: SqlEndpoint, token: str) -> None:
    with connect(endpoint, token) as connection:
        assert connection.cursor().execute("hello").fetchone()[0] == "hello"


@pytest.mark.parametrize(
    "authorization", ["Bearer third", "Bearer ", "Bearer", "", "Basic first", "first", "Bearer firs", "Bearer first2"]
)
def test_request_without_a_valid_token_is_refused(endpoint: SqlEndpoint, authorization: str) -> None:
    refused = post(endpoint, Authorization=authorization)
    assert refused.status_code == 401
    assert refused.headers["x-databricks-reason-phrase"] == "invalid access token"


def test_connection_stays_usable_after_a_refusal(endpoint: SqlEndpoint) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", endpoint.port, timeout=5)
    for _ in range(3):
        connection.request("POST", endpoint.http_path, body=b"x" * 10_000)
        answered = connection.getresponse()
        answered.read()
        assert answered.status == 401


def test_other_paths_are_not_found(endpoint: SqlEndpoint) -> None:
    assert post(endpoint, path="/sql/1.0/warehouses/other", Authorization="Bearer first").status_code == 404
    assert requests.get(f"{endpoint.host}/api/2.1/jobs/list", timeout=5).status_code == 404


def test_path_may_carry_a_workspace_id(endpoint: SqlEndpoint) -> None:
    assert post(endpoint, path=f"{endpoint.http_path}?o=1", Authorization="Bearer first").status_code == 400


def test_request_without_a_length_is_refused(endpoint: SqlEndpoint) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", endpoint.port, timeout=5)
    connection.putrequest("POST", endpoint.http_path)
    connection.endheaders()
    assert connection.getresponse().status == 411


def test_too_large_a_request_is_refused_unread(endpoint: SqlEndpoint) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", endpoint.port, timeout=5)
    connection.putrequest("POST", endpoint.http_path)
    connection.putheader("Content-Length", str(1 << 40))
    connection.endheaders()
    assert connection.getresponse().status == 413


def test_the_endpoint_listens_on_the_loopback_address_only(endpoint: SqlEndpoint) -> None:
    # All of 127.0.0.0/8 is this machine (Linux): a server that listened on every interface would answer here as well.
    with pytest.raises(OSError, match=r"refused|timed out|assign"):
        socket.create_connection(("127.0.0.2", endpoint.port), timeout=5).close()


def test_discovery_is_answered_over_plain_http_and_tls(endpoint: SqlEndpoint) -> None:
    trusted = endpoint.client_environment({})["REQUESTS_CA_BUNDLE"]
    for host in (endpoint.host, endpoint.host.replace("http:", "https:")):
        found = requests.get(f"{host}/.well-known/databricks-config", verify=trusted, timeout=5).json()
        assert found["host_type"] == "workspace"


def test_certificate_is_not_trusted_by_others(endpoint: SqlEndpoint) -> None:
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(f"https://127.0.0.1:{endpoint.port}/", timeout=5)
    assert requests.get(f"{endpoint.host}/", timeout=5).status_code == 404


def test_client_environment_keeps_what_was_trusted(endpoint: SqlEndpoint, tmp_path: Path) -> None:
    (tmp_path / "company.pem").write_text("# the company's own authority")
    for configured in (tmp_path, tmp_path / "company.pem"):
        environment = endpoint.client_environment({"REQUESTS_CA_BUNDLE": str(configured), "no_proxy": "intranet"})
        assert "the company's own authority" in Path(environment["REQUESTS_CA_BUNDLE"]).read_text()
        assert environment["no_proxy"] == "intranet,127.0.0.1"


def test_private_key_is_not_left_on_disk(endpoint: SqlEndpoint) -> None:
    folder = Path(endpoint.client_environment({})["REQUESTS_CA_BUNDLE"]).parent
    assert [path.name for path in folder.iterdir()] == ["trusted.pem"]
    assert b"PRIVATE KEY" not in (folder / "trusted.pem").read_bytes()


def test_failure_is_told_without_java_and_the_session_goes_on(endpoint: SqlEndpoint) -> None:
    with connect(endpoint) as connection:
        cursor = connection.cursor()
        with pytest.raises(sql_errors.ServerOperationError, match=r"^it failed$"):
            cursor.execute("fail")
        assert cursor.execute("again").fetchone()[0] == "again"


def test_rows_changed_by_a_statement_are_told(endpoint: SqlEndpoint) -> None:
    with connect(endpoint) as connection:
        assert connection.cursor().execute("merge").rowcount == 7


def test_rows_are_not_compressed_for_a_client_that_could_decompress_them(endpoint: SqlEndpoint) -> None:
    with connect(endpoint, enable_query_result_lz4_compression=True) as connection:
        cursor = connection.cursor()
        assert cursor.execute("hello").fetchone()[0] == "hello"
        assert connection.lz4_compression
        assert cursor.active_result_set.lz4_compressed is False


def test_spark_connect_without_sessions_is_refused_before_anything_listens() -> None:
    connect_session = type("SparkSession", (), {"__module__": "pyspark.sql.connect.session", "version": "3.5.6"})
    with pytest.raises(SetupError, match=r"Spark Connect before Spark 4\.2 has none \[Spark 3\.5\.6\]|dedicated"):
        SqlEndpoint(connect_session()).start()


def test_sessions_and_statements_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    ended = threading.Event()
    with (
        caplog.at_level(logging.DEBUG, "dbx_cd.sql_endpoint"),
        SqlEndpoint(FakeSpark(), rewrite=answer, on_statement=lambda _: ended.set()) as running,  # type: ignore[arg-type]
        connect(running, running.token) as connection,
    ):
        connection.cursor().execute("select " + "x" * 400)
        assert ended.wait(5)
    about = [
        r for r in caplog.records if r.name.rpartition(".")[2] in ("service", "open_sessions", "executor", "endpoint")
    ]
    started, opened, statement, closed, stopped = [r.getMessage() for r in about]
    assert started.startswith("SQL endpoint at http://127.0.0.1:")
    assert opened.replace("opened", "closed") == closed
    assert statement.endswith(" s, ok: select " + "x" * (300 - len("select ")))
    assert stopped == "SQL endpoint stopped"


def test_closed_session_is_an_unknown_handle(endpoint: SqlEndpoint) -> None:
    connection = connect(endpoint)
    cursor = connection.cursor()
    other = connect(endpoint)
    other.session.backend.close_session(connection.session.session_id)
    with pytest.raises(sql_errors.DatabaseError, match="INVALID_HANDLE"):
        cursor.execute("hello")
    other.close()


def test_session_is_an_unknown_handle_to_another_token(endpoint: SqlEndpoint) -> None:
    with connect(endpoint, "first") as connection, connect(endpoint, "second") as other:
        with pytest.raises(sql_errors.DatabaseError, match="INVALID_HANDLE"):
            other.session.backend.close_session(connection.session.session_id)
        assert connection.cursor().execute("hello").fetchone()[0] == "hello"


def test_sessions_of_a_token_come_from_the_session_that_is_named_for_it() -> None:
    class Named(FakeSpark):
        def __init__(self, name: str) -> None:
            self.name = name

        def newSession(self) -> Named:  # noqa: N802
            return Named(f"new of {self.name}")

    def whose(spark: Any, _statement: str) -> pa.Table:
        return pa.table({"whose": [spark.name]})

    with SqlEndpoint(Named("nobody"), rewrite=whose, tokens=["a", "b"], spark_of=Named) as endpoint:  # type: ignore[arg-type]
        for token in ("a", "b", "a"):
            with connect(endpoint, token) as connection:
                assert connection.cursor().execute("who").fetchone()[0] == f"new of {token}"


class Query:
    """As much of a DataFrame as is asked before its rows are collected."""

    columns = ("n",)

    @property
    def schema(self) -> Any:
        from pyspark.sql.types import LongType, StructField, StructType

        return StructType([StructField("n", LongType())])


class Asked(FakeSpark):
    def newSession(self) -> Asked:  # noqa: N802
        return Asked()

    def sql(self, _statement: str) -> Query:
        return Query()


@pytest.mark.parametrize("token", ["from the start", "accepted later"])
def test_a_token_is_served_alike_whether_it_is_there_from_the_start_or_comes_later(token: str, tmp_path: Path) -> None:
    pytest.importorskip("pyspark", reason="`make wheel` runs this with the extra `endpoint` alone")
    places = []

    def collected(_frame: Any, rows: ResultRows) -> pa.Schema:
        places.append(rows.folder)
        rows.put(pa.RecordBatch.from_pydict({"n": [5]}))
        return pa.schema([("n", pa.int64())])

    with SqlEndpoint(
        Asked(),  # type: ignore[arg-type]
        rewrite=lambda _, statement: pa.table({}) if statement == "insert" else statement,
        after=lambda _, statement: pa.table({"num_affected_rows": [3], "num_inserted_rows": [3]}),
        collect=collected,  # type: ignore[arg-type]
        tokens=["from the start"],
        temporary=tmp_path,
    ) as endpoint:
        endpoint.accept("accepted later")
        with connect(endpoint, token) as connection:
            cursor = connection.cursor()
            assert cursor.execute("insert").rowcount == 3
            assert cursor.execute("select").fetchall() == [(5,)]
    assert places == [tmp_path]


def test_an_endpoint_that_cannot_start_leaves_nothing(tmp_path: Path) -> None:
    def spark_of(token: str) -> FakeSpark:
        if token == "second":
            raise ValueError("no such user")
        return FakeSpark()

    before, at = set(threading.enumerate()), free_port()
    endpoint = SqlEndpoint(
        FakeSpark(), tokens=["first", "second"], spark_of=spark_of, port=at, temporary=tmp_path  # type: ignore[arg-type]
    )  # fmt: skip
    with pytest.raises(ValueError, match="no such user") as failed:  # keeps alive what the failure refers to
        endpoint.start()
    until(lambda: set(threading.enumerate()) <= before)
    assert list(tmp_path.iterdir()) == []
    with SqlEndpoint(FakeSpark(), port=at), pytest.raises(SetupError, match="not running"):  # type: ignore[arg-type]
        _ = endpoint.port
    assert failed.traceback


def test_an_endpoint_that_cannot_listen_leaves_no_folder(endpoint: SqlEndpoint, tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="cannot listen"):
        SqlEndpoint(FakeSpark(), port=endpoint.port, temporary=tmp_path).start()  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "it does not come to that"
        time.sleep(0.01)


def test_session_that_cannot_be_set_up_says_why(endpoint: SqlEndpoint) -> None:
    with pytest.raises(sql_errors.Error, match=r"spark\.not\.there"):
        connect(endpoint, session_configuration={"spark.not.there": "1"})


def test_stop_ends_idle_connections_and_frees_the_port() -> None:
    endpoint = SqlEndpoint(FakeSpark(), rewrite=answer).start()  # type: ignore[arg-type]
    port = endpoint.port
    with socket.create_connection(("127.0.0.1", port), timeout=5) as idle:
        idle.sendall(f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
        assert idle.recv(100)
        endpoint.stop()
        while idle.recv(1000):
            pass
    with SqlEndpoint(FakeSpark(), port=port) as again:  # type: ignore[arg-type]
        assert again.port == port


def test_stopped_endpoint_says_so() -> None:
    with pytest.raises(SetupError, match="not running"):
        _ = SqlEndpoint(FakeSpark()).port  # type: ignore[arg-type]


def test_random_tokens_differ() -> None:
    one, two = SqlEndpoint(FakeSpark()), SqlEndpoint(FakeSpark())  # type: ignore[arg-type]
    assert one.token != two.token
    assert len(one.token) > 32


@pytest.mark.parametrize("path", ["/", "sql/1.0/warehouses/x", "/sql/1.0/warehouses/", "/sql/protocolv1/o/x/y"])
def test_http_path_must_be_one_dbt_understands(path: str) -> None:
    with pytest.raises(ConfigError, match="HTTP path"):
        SqlEndpoint(FakeSpark(), http_path=path)  # type: ignore[arg-type]


@pytest.mark.parametrize("tokens", [[], [""], ["a", ""]])
def test_empty_tokens_are_refused(tokens: list[str]) -> None:
    with pytest.raises(ConfigError, match="token"):
        SqlEndpoint(FakeSpark(), tokens=tokens)  # type: ignore[arg-type]


def test_connection_block_with_and_without_tls(endpoint: SqlEndpoint) -> None:
    assert connection_block(endpoint) == {
        "host": f"127.0.0.1:{endpoint.port}",
        "http_path": "/sql/1.0/warehouses/local",
        "token": "first",
        "connection_parameters": {
            "_connection_uri": f"http://127.0.0.1:{endpoint.port}/sql/1.0/warehouses/local",
            "enable_telemetry": False,
        },
    }
    assert connection_block(endpoint, tls=False)["host"] == f"http://127.0.0.1:{endpoint.port}"


def test_thrift_types_of_arrow_columns() -> None:
    schema = pa.schema(
        [
            ("b", pa.bool_()),
            ("d", pa.decimal128(12, 3)),
            ("t", pa.timestamp("us", "UTC")),
            ("l", pa.list_(pa.int32())),
            ("m", pa.map_(pa.string(), pa.int32())),
            ("s", pa.struct([("x", pa.int8())])),
            ("x", pa.large_string()),
            pa.field("v", pa.string(), metadata={SQL_NAME: b"VARIANT"}),
            pa.field("i", pa.string(), metadata={SQL_NAME: b"INTERVAL YEAR TO MONTH"}),
            pa.field("a", pa.string(), metadata={SQL_NAME: b"ARRAY<STRUCT<X:INT>>"}),
        ]
    )
    columns = table_schema(schema, schema.names).columns
    entries = [column.typeDesc.types[0].primitiveEntry for column in columns]
    assert [ttypes.TTypeId._VALUES_TO_NAMES[entry.type] for entry in entries] == [
        "BOOLEAN_TYPE", "DECIMAL_TYPE", "TIMESTAMP_TYPE", "ARRAY_TYPE", "MAP_TYPE", "STRUCT_TYPE", "STRING_TYPE",
        "STRING_TYPE", "INTERVAL_YEAR_MONTH_TYPE", "ARRAY_TYPE",
    ]  # fmt: skip
    assert {name: value.i32Value for name, value in entries[1].typeQualifiers.qualifiers.items()} == {
        "precision": 12,
        "scale": 3,
    }


def test_distinct_names_keep_the_first() -> None:
    assert distinct(["a", "a:2", "a", "b", "a"]) == ["a", "a:2", "a:3", "b", "a:5"]
    assert distinct(["a", "a:3", "a"]) == ["a", "a:3", "a:3:3"]


def test_client_that_names_no_types_reads_arrow() -> None:
    assert types_as_text(None) == frozenset()
    wanted = ttypes.TSparkArrowTypes(timestampAsArrow=True, decimalAsArrow=False, complexTypesAsArrow=True)
    assert types_as_text(wanted) == {"decimal"}


def read(pages: ResultPages, **limits: int) -> list[pa.Table]:
    schema = pa.ipc.read_schema(pa.py_buffer(pages.metadata().arrowSchema))
    read_pages = []
    while True:
        page = pages.next_page(**limits)
        batches = [pa.ipc.read_record_batch(pa.py_buffer(data), schema) for data, _ in page.batches]
        assert [batch.num_rows for batch in batches] == [rows for _, rows in page.batches]
        read_pages.append(pa.Table.from_batches(batches, schema))
        if not page.has_more:
            return read_pages


def test_pages_hold_every_row_once_and_in_order() -> None:
    table = pa.concat_tables([pa.table({"n": range(start, start + 100)}) for start in range(0, 1000, 100)])
    pages = read(ResultPages(Result.of(table)), max_rows=70)
    assert all(page.num_rows <= 70 for page in pages)
    assert pa.concat_tables(pages)["n"].to_pylist() == list(range(1000))


def test_page_stays_near_its_size_and_always_moves_on() -> None:
    table = pa.table({"text": ["x" * 1000] * 50})
    assert {page.num_rows for page in read(ResultPages(Result.of(table)), max_bytes=10_000)} <= set(range(1, 11))
    assert len(read(ResultPages(Result.of(table)), max_bytes=1)) == 50


@pytest.mark.parametrize("table", [pa.table({}), pa.table({"a": pa.array([], pa.int32())})])
def test_empty_result_is_one_empty_page(table: pa.Table) -> None:
    assert [page.num_rows for page in read(ResultPages(Result.of(table)))] == [0]


def test_values_survive_the_pages() -> None:
    table = pa.table({"d": [Decimal("1.50"), None], "t": [dt.datetime(2024, 1, 1, tzinfo=dt.UTC), None]})
    assert read(ResultPages(Result.of(table)))[0].equals(table)


def test_a_refusal_does_not_show_the_plan_of_what_may_not_be_read() -> None:
    refused = "[INSUFFICIENT_PERMISSIONS] Insufficient privileges: User does not have SELECT on Table 'a.b.v'."
    plan = "Project [x#1]\n+- View (`a`.`b`.`v`, [x#1])\n   +- Filter (secret#2 = 7)"
    failure = failure_of(ValueError(f"{refused} SQLSTATE: 42501;\n{plan}"))
    assert (failure.message, failure.sql_state) == (f"{refused} SQLSTATE: 42501", "42501")
    other = f"[UNRESOLVED_COLUMN] y. SQLSTATE: 42703;\n{plan}"
    assert failure_of(ValueError(other)).message == other
