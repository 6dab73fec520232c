"""The endpoint as databricks-sql-connector sees it."""

from __future__ import annotations

import datetime as dt
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import requests
from databricks import sql
from databricks.sql import exc as sql_errors
from databricks.sql.parameters import (
    BigIntegerParameter,
    DecimalParameter,
    FloatParameter,
    SmallIntParameter,
    TimestampNTZParameter,
    TimestampParameter,
    TinyIntParameter,
)
from databricks.sql.thrift_api.TCLIService import TCLIService, ttypes
from pyspark.sql import SparkSession
from thrift.protocol.TBinaryProtocol import TBinaryProtocol
from thrift.transport.THttpClient import THttpClient

from dbx_cd.errors import SetupError
from dbx_cd.sql_endpoint import SqlEndpoint, StatementRecord

CLUSTER_PATH = "/sql/protocolv1/o/0/dbx-cd"
SLOW = "SELECT sum(a.id * b.id % 7) FROM range(20000000) a JOIN range(20000) b"


BETWEEN_JOBS, GO_ON = threading.Event(), threading.Event()


def rewrite(spark: SparkSession, statement: str) -> str | pa.Table:
    if statement == "TWO JOBS":
        spark.range(1).collect()
        BETWEEN_JOBS.set()
        GO_ON.wait(30)
        return SLOW
    if statement == "ANSWER WITH A TABLE":
        return pa.table({"answer": [42]})
    return "SELECT 'rewritten' AS how" if statement == "ANSWER WITH SQL" else statement


@pytest.fixture(scope="module")
def log() -> list[StatementRecord]:
    return []


@pytest.fixture(scope="module")
def endpoint(spark: SparkSession, log: list[StatementRecord]) -> Iterator[SqlEndpoint]:
    with SqlEndpoint(spark, rewrite=rewrite, on_statement=log.append) as running:
        yield running


Connect = Callable[..., Any]


@pytest.fixture
def connect(endpoint: SqlEndpoint) -> Iterator[Connect]:
    opened = []

    def open_connection(**options: Any) -> Any:
        connection = sql.connect(
            "127.0.0.1",
            endpoint.http_path,
            access_token=options.pop("token", endpoint.token),
            _connection_uri=f"{endpoint.host}{endpoint.http_path}",
            enable_telemetry=False,
            _retry_stop_after_attempts_count=2,
            **options,
        )
        opened.append(connection)
        return connection

    yield open_connection
    for connection in opened:
        connection.close()


@pytest.fixture
def cursor(connect: Connect) -> Any:
    return connect().cursor()


@pytest.fixture
def thrift(endpoint: SqlEndpoint) -> Any:
    """The bare Thrift client, for what the connector never sends."""
    transport = THttpClient(f"{endpoint.host}{endpoint.http_path}")
    transport.setCustomHeaders({"Authorization": f"Bearer {endpoint.token}"})
    return TCLIService.Client(TBinaryProtocol(transport))


TYPES = [
    ("true", True, "boolean"),
    ("1Y", 1, "tinyint"),
    ("-2S", -2, "smallint"),
    ("2147483647", 2147483647, "int"),
    ("-9223372036854775808L", -9223372036854775808, "bigint"),
    ("1.5F", 1.5, "float"),
    ("1e300D", 1e300, "double"),
    (
        "cast('-12345678901234567890.123456789012345678' as decimal(38,18))",
        Decimal("-12345678901234567890.123456789012345678"),
        "decimal",
    ),
    ("'it''s ünïcödé 🦆'", "it's ünïcödé 🦆", "string"),
    ("cast('abc' as varchar(5))", "abc", "string"),
    ("''", "", "string"),
    ("X'00ff'", b"\x00\xff", "binary"),
    ("DATE'1600-02-29'", dt.date(1600, 2, 29), "date"),
    ("TIMESTAMP'2024-02-29 12:34:56.123456'", dt.datetime(2024, 2, 29, 12, 34, 56, 123456, dt.UTC), "timestamp"),
    ("TIMESTAMP_NTZ'2024-02-29 12:34:56.123456'", dt.datetime(2024, 2, 29, 12, 34, 56, 123456), "timestamp"),
    ("INTERVAL '1-2' YEAR TO MONTH", "1-2", "interval_year_month"),
    ("INTERVAL -5 MONTH", "-0-5", "interval_year_month"),
    ("INTERVAL '1 02:03:04.5' DAY TO SECOND", "1 02:03:04.500000000", "interval_day_time"),
    ("INTERVAL -2 DAY", "-2 00:00:00.000000000", "interval_day_time"),
    ("parse_json('{\"a\": [1, null]}')", '{"a":[1,null]}', "variant"),
    ("array(1, null, 3)", [1, None, 3], "array"),
    ("map('k', array(1))", [("k", [1])], "map"),
    ("named_struct('x', 1, 'y', named_struct('z', 'deep'))", {"x": 1, "y": {"z": "deep"}}, "struct"),
    ("null", None, "null"),
    ("cast(null as int)", None, "int"),
    ("cast(null as interval day to second)", None, "interval_day_time"),
    ("cast(null as variant)", None, "variant"),
]


@pytest.mark.parametrize(("expression", "value", "type_name"), TYPES, ids=[case[0][:40] for case in TYPES])
def test_every_type_arrives_as_its_python_value(cursor: Any, expression: str, value: Any, type_name: str) -> None:
    cursor.execute(f"SELECT {expression} AS c")
    assert cursor.description[0][:2] == ("c", type_name)
    assert cursor.fetchall_arrow().column(0)[0].as_py() == value


def test_decimal_column_tells_precision_and_scale(cursor: Any) -> None:
    cursor.execute("SELECT cast(1.5 as decimal(10,2)) AS d")
    assert cursor.description[0][4:6] == (10, 2)


def test_timestamps_carry_the_session_time_zone(connect: Connect) -> None:
    cursor = connect(session_configuration={"TIMEZONE": "Asia/Kolkata"}).cursor()
    value = cursor.execute("SELECT TIMESTAMP'2024-01-01 00:00:00'").fetchone()[0]
    assert value.isoformat() == "2024-01-01T00:00:00+05:30"


def test_types_arrive_as_text_where_the_client_asks_for_text(connect: Connect) -> None:
    cursor = connect(_use_arrow_native_complex_types=False, _use_arrow_native_decimals=False).cursor()
    row = cursor.execute("SELECT array(1, 2) AS a, named_struct('x', 1) AS s, 1.50BD AS d").fetchone()
    assert (row.a, row.s, row.d) == ("[1,2]", '{"x":1}', Decimal("1.50"))
    assert [column[1] for column in cursor.description] == ["array", "struct", "decimal"]


def test_result_may_have_two_columns_of_one_name(cursor: Any) -> None:
    cursor.execute("SELECT 1 AS a, parse_json('2') AS a, 3 AS `b.c`")
    assert [column[0] for column in cursor.description] == ["a", "a", "b.c"]
    assert list(cursor.fetchone()) == [1, "2", 3]


def test_empty_result_keeps_its_columns(cursor: Any) -> None:
    cursor.execute("SELECT 1 AS a, array('x') AS b WHERE false")
    assert cursor.fetchall() == []
    assert [column[0] for column in cursor.description] == ["a", "b"]


def test_command_without_rows_succeeds(cursor: Any) -> None:
    assert cursor.execute("CREATE TEMPORARY VIEW nothing AS SELECT 1").fetchall() == []


def test_large_result_comes_in_pages(connect: Connect) -> None:
    cursor = connect().cursor()
    cursor.arraysize, cursor.buffer_size_bytes = 10_000, 1 << 20
    cursor.execute("SELECT id, repeat('x', 100) AS pad FROM range(45000)")
    table = cursor.fetchall_arrow()
    assert table.num_rows == 45_000
    assert pa.compute.sum(table["id"]).as_py() == sum(range(45_000))


def test_rows_larger_than_a_page_arrive(connect: Connect) -> None:
    cursor = connect().cursor()
    cursor.buffer_size_bytes = 1000
    cursor.execute("SELECT id, repeat('y', 5000) AS pad FROM range(7)")
    assert [(row.id, len(row.pad)) for row in cursor.fetchall()] == [(i, 5000) for i in range(7)]


def test_named_parameters(cursor: Any) -> None:
    row = cursor.execute(
        "SELECT :s AS s, :i AS i, :b AS b, :d AS d, :t AS t, :n AS n",
        {"s": "it's; -- 'x", "i": 7, "b": True, "d": dt.date(2024, 2, 29), "t": None, "n": 2**40},
    ).fetchone()
    assert list(row) == ["it's; -- 'x", 7, True, dt.date(2024, 2, 29), None, 2**40]


def test_positional_parameters(cursor: Any) -> None:
    assert list(cursor.execute("SELECT ?, ?, ?", ["a", 1.5, Decimal("-0.05")]).fetchone()) == [
        "a",
        1.5,
        Decimal("-0.05"),
    ]


def test_parameters_keep_their_types(cursor: Any) -> None:
    parameters = [
        TinyIntParameter(-128),
        SmallIntParameter(-32768),
        BigIntegerParameter(-(2**63)),
        FloatParameter(-1.25),
        DecimalParameter(Decimal("12.340"), scale=6, precision=3),
        TimestampParameter(dt.datetime(2024, 1, 2, 3, 4, 5, 6)),
        TimestampNTZParameter(dt.datetime(2024, 1, 2, 3, 4, 5)),
    ]
    types = cursor.execute("SELECT " + ", ".join(["typeof(?)"] * len(parameters)), parameters).fetchone()
    assert list(types) == ["tinyint", "smallint", "bigint", "float", "decimal(5,3)", "timestamp", "timestamp_ntz"]
    values = cursor.execute("SELECT " + ", ".join(["?"] * len(parameters)), parameters).fetchone()
    assert list(values) == [
        -128, -32768, -(2**63), -1.25, Decimal("12.340"),
        dt.datetime(2024, 1, 2, 3, 4, 5, 6, dt.UTC), dt.datetime(2024, 1, 2, 3, 4, 5),
    ]  # fmt: skip


def test_timestamp_parameter_is_in_the_session_time_zone(connect: Connect) -> None:
    cursor = connect(session_configuration={"TIMEZONE": "America/New_York"}).cursor()
    same = cursor.execute(
        "SELECT ? = TIMESTAMP'2024-07-01 12:00:00'", [TimestampParameter(dt.datetime(2024, 7, 1, 12))]
    )
    assert same.fetchone()[0] is True


def test_array_and_map_parameters(cursor: Any) -> None:
    row = cursor.execute("SELECT :a AS a, :m AS m", {"a": [1, 2], "m": {"k": "v"}}).fetchone()
    assert (list(row.a), row.m) == ([1, 2], [("k", "v")])


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("-- a comment; with a semicolon\nSELECT ';--' AS c /* end */", ";--"),
        ("/* outer /* nested */ */ SELECT 'b' -- end", "b"),
        ("SELECT 'two\nlines';", "two\nlines"),
        ("SELECT '\\'' AS c ; ", "'"),
    ],
)
def test_comments_and_semicolons_reach_spark_as_they_are(cursor: Any, statement: str, expected: str) -> None:
    assert cursor.execute(statement).fetchone()[0] == expected


@pytest.mark.parametrize("statement", ["", ";", "-- nothing", "SELECT 1; SELECT 2", "SELECT 'open", "\x00", "SELEC 1"])
def test_malformed_statement_fails_and_the_session_goes_on(cursor: Any, statement: str) -> None:
    with pytest.raises(sql_errors.Error):
        cursor.execute(statement)
    assert cursor.execute("SELECT 1").fetchone()[0] == 1


def test_error_shows_sparks_message_without_java(cursor: Any) -> None:
    with pytest.raises(sql_errors.ServerOperationError, match=r"\[TABLE_OR_VIEW_NOT_FOUND\]") as raised:
        cursor.execute("SELECT * FROM no_such_table")
    assert "\tat " not in str(raised.value)
    assert "JVM" not in str(raised.value)


def test_error_in_a_task_shows_its_cause(cursor: Any) -> None:
    with pytest.raises(sql_errors.ServerOperationError, match="DIVIDE_BY_ZERO") as raised:
        cursor.execute("SELECT 1 / (id - 5) FROM range(10)")
    assert "\tat " not in str(raised.value)


def test_wrong_parameter_is_an_error_of_the_statement(cursor: Any) -> None:
    with pytest.raises(sql_errors.Error, match="UNBOUND_SQL_PARAMETER"):
        cursor.execute("SELECT :there, :missing", {"there": 1})


def test_sessions_do_not_share_temporary_views_settings_or_schema(connect: Connect) -> None:
    one, two = connect().cursor(), connect().cursor()
    one.execute("CREATE TEMPORARY VIEW mine AS SELECT 1 AS x")
    one.execute("SET spark.sql.shuffle.partitions = 7")
    one.execute("CREATE SCHEMA IF NOT EXISTS spark_catalog.endpoint_one")
    one.execute("USE spark_catalog.endpoint_one")
    try:
        with pytest.raises(sql_errors.Error, match="TABLE_OR_VIEW_NOT_FOUND"):
            two.execute("SELECT * FROM mine")
        assert two.execute("SET spark.sql.shuffle.partitions").fetchone()[1] != "7"
        assert one.execute("SELECT current_schema()").fetchone()[0] == "endpoint_one"
        assert two.execute("SELECT current_schema()").fetchone()[0] != "endpoint_one"
    finally:
        one.execute("DROP SCHEMA spark_catalog.endpoint_one CASCADE")


def test_session_starts_in_the_namespace_asked_for(connect: Connect) -> None:
    connect().cursor().execute("CREATE SCHEMA IF NOT EXISTS spark_catalog.`endpoint_ns`")
    cursor = connect(catalog="spark_catalog", schema="endpoint_ns").cursor()
    assert list(cursor.execute("SELECT current_catalog(), current_schema()").fetchone()) == [
        "spark_catalog",
        "endpoint_ns",
    ]
    cursor.execute("DROP SCHEMA spark_catalog.`endpoint_ns`")


def test_schema_of_the_session_may_be_created_later(connect: Connect) -> None:
    cursor = connect(catalog="spark_catalog", schema="not_there_yet").cursor()
    assert cursor.execute("SELECT 1").fetchone()[0] == 1


def test_unknown_catalog_is_an_error_of_the_connection(connect: Connect) -> None:
    with pytest.raises(sql_errors.Error, match="no_such_catalog"):
        connect(catalog="no_such_catalog")


def test_session_configuration_is_applied(connect: Connect) -> None:
    cursor = connect(session_configuration={"ANSI_MODE": "false", "spark.sql.shuffle.partitions": 3}).cursor()
    assert cursor.execute("SELECT 1 / 0").fetchone()[0] is None
    assert cursor.execute("SET spark.sql.shuffle.partitions").fetchone()[1] == "3"


def test_unknown_session_setting_is_refused(connect: Connect) -> None:
    with pytest.raises(sql_errors.Error, match="no session setting 'NOT_A_SETTING'"):
        connect(session_configuration={"NOT_A_SETTING": "1"})


def test_statement_timeout_ends_a_statement(connect: Connect) -> None:
    cursor = connect(session_configuration={"STATEMENT_TIMEOUT": "5"}).cursor()
    with pytest.raises(sql_errors.Error, match="STATEMENT_TIMEOUT"):
        cursor.execute(SLOW)
    assert cursor.execute("SELECT 1").fetchone()[0] == 1


def _running_jobs(spark: SparkSession) -> int:
    return len(spark.sparkContext.statusTracker().getActiveJobsIds())


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it did not happen within 30 s"
        threading.Event().wait(0.02)


def test_cancel_stops_the_spark_job_and_the_session_goes_on(spark: SparkSession, connect: Connect) -> None:
    cursor = connect().cursor()
    cursor.execute_async(SLOW)
    _until(lambda: _running_jobs(spark) > 0)
    cursor.cancel()
    _until(lambda: _running_jobs(spark) == 0)
    assert cursor.get_query_state().name == "CANCELLED"
    assert connect().cursor().execute("SELECT 1").fetchone()[0] == 1


def test_closing_a_session_stops_its_statements(spark: SparkSession, connect: Connect) -> None:
    connection = connect()
    connection.cursor().execute_async(SLOW)
    _until(lambda: _running_jobs(spark) > 0)
    connection.close()
    _until(lambda: _running_jobs(spark) == 0)


def test_failed_write_tells_what_went_wrong_with_the_row(spark: SparkSession, cursor: Any) -> None:
    spark.sql("CREATE SCHEMA IF NOT EXISTS stg.connector")
    with pytest.raises(sql_errors.Error) as failure:
        cursor.execute("CREATE TABLE stg.connector.t AS SELECT cast(raise_error('no such day') AS INT) AS day")
    assert "no such day" in str(failure.value)
    assert "An error occurred while calling" not in str(failure.value)
    assert "\tat " not in str(failure.value)


def test_cancel_between_two_jobs_of_a_statement_stops_the_second(
    spark: SparkSession, cursor: Any, log: list[StatementRecord]
) -> None:
    cursor.execute_async("TWO JOBS")
    assert BETWEEN_JOBS.wait(30)
    cursor.cancel()
    GO_ON.set()
    _until(lambda: any(record.sql == "TWO JOBS" for record in log))
    assert _running_jobs(spark) == 0


def test_result_of_a_polled_statement_is_fetched(cursor: Any) -> None:
    cursor.execute_async("SELECT id AS n FROM range(3)")
    cursor.get_async_execution_result()
    assert [row.n for row in cursor.fetchall()] == [0, 1, 2]


def test_concurrent_clients_get_their_own_rows(connect: Connect) -> None:
    def ask(number: int) -> list[int]:
        cursor = connect().cursor()
        return [cursor.execute(f"SELECT {number} * id FROM range(3)").fetchall()[2][0] for _ in range(5)]

    with ThreadPoolExecutor(8) as clients:
        assert list(clients.map(ask, range(8))) == [[2 * number] * 5 for number in range(8)]


def test_rewrite_answers_with_sql_or_with_a_table(cursor: Any) -> None:
    assert cursor.execute("ANSWER WITH SQL").fetchone()[0] == "rewritten"
    assert cursor.execute("ANSWER WITH A TABLE").fetchone()[0] == 42


def test_statements_are_reported(cursor: Any, log: list[StatementRecord]) -> None:
    cursor.execute("SELECT 'reported'")
    with pytest.raises(sql_errors.Error):
        cursor.execute("SELECT not_reported")
    _until(lambda: len(log) > 1 and log[-1].sql == "SELECT not_reported")
    worked = next(record for record in log if record.sql == "SELECT 'reported'")
    assert worked.error is None
    assert worked.seconds > 0
    assert "not_reported" in (log[-1].error or "")


@pytest.mark.parametrize("token", ["wrong", "", "tökén"])
def test_wrong_token_is_refused_with_a_reason(endpoint: SqlEndpoint, token: str) -> None:
    url = f"{endpoint.host}{endpoint.http_path}"
    answer = requests.post(url, data=b"", headers={"Authorization": f"Bearer {token}".encode()}, timeout=5)
    assert answer.status_code == 401
    assert answer.headers["x-databricks-reason-phrase"] == "invalid access token"


def test_connector_shows_why_a_token_is_refused(connect: Connect) -> None:
    with pytest.raises(sql_errors.Error, match=r"401|invalid access token"):
        connect(token="wrong")


def test_dbt_databricks_discovery_probe_is_answered_over_tls(endpoint: SqlEndpoint, tmp_path: Path) -> None:
    bundle = endpoint.client_environment({})["REQUESTS_CA_BUNDLE"]
    url = f"https://127.0.0.1:{endpoint.port}/.well-known/databricks-config"
    assert requests.get(url, verify=bundle, timeout=5).json()["host_type"] == "workspace"


def test_cluster_path_and_fixed_tokens(spark: SparkSession) -> None:
    with SqlEndpoint(spark, http_path=CLUSTER_PATH, tokens=["first", "second"]) as endpoint:
        with sql.connect(
            "127.0.0.1", CLUSTER_PATH, access_token="second", enable_telemetry=False,
            _connection_uri=f"{endpoint.host}{CLUSTER_PATH}",
        ) as connection:  # fmt: skip
            assert connection.cursor().execute("SELECT 1").fetchone()[0] == 1
        with pytest.raises(SetupError, match="cannot listen"):
            SqlEndpoint(spark, port=endpoint.port).start()


def test_stopped_endpoint_frees_its_port(spark: SparkSession) -> None:
    endpoint = SqlEndpoint(spark).start()
    port = endpoint.port
    endpoint.stop()
    endpoint.stop()
    with SqlEndpoint(spark, port=port) as again:
        assert again.port == port


def test_metadata_calls(connect: Connect) -> None:
    cursor = connect().cursor()
    cursor.execute("CREATE SCHEMA IF NOT EXISTS spark_catalog.endpoint_meta")
    cursor.execute(
        "CREATE TABLE spark_catalog.endpoint_meta.t_one (a INT COMMENT 'key', b DECIMAL(10,2)) USING parquet"
    )
    cursor.execute("CREATE VIEW spark_catalog.endpoint_meta.v_two AS SELECT 1 AS c")
    try:
        assert "spark_catalog" in [row.TABLE_CAT for row in cursor.catalogs().fetchall()]
        schemas = cursor.schemas("spark_catalog", "endpoint\\_m%").fetchall()
        assert [(row.TABLE_SCHEM, row.TABLE_CATALOG) for row in schemas] == [("endpoint_meta", "spark_catalog")]
        tables = cursor.tables("spark_catalog", "endpoint_meta", "%").fetchall()
        assert [(row.TABLE_NAME, row.TABLE_TYPE) for row in tables] == [("t_one", "TABLE"), ("v_two", "VIEW")]
        only_views = cursor.tables("spark_catalog", "endpoint_meta", table_types=["VIEW"]).fetchall()
        assert [row.TABLE_NAME for row in only_views] == ["v_two"]
        columns = cursor.columns("spark_catalog", "endpoint_meta", "t_one").fetchall()
        assert [(row.COLUMN_NAME, row.TYPE_NAME, row.REMARKS, row.ORDINAL_POSITION) for row in columns] == [
            ("a", "INT", "key", 1),
            ("b", "DECIMAL(10,2)", "", 2),
        ]
        assert (columns[1].COLUMN_SIZE, columns[1].DECIMAL_DIGITS) == (10, 2)
    finally:
        cursor.execute("DROP SCHEMA spark_catalog.endpoint_meta CASCADE")


def _handle() -> Any:
    return ttypes.THandleIdentifier(b"0" * 16, b"0" * 16)


def test_unknown_handles_are_answered_with_a_status(thrift: Any) -> None:
    session = ttypes.TSessionHandle(_handle())
    operation = ttypes.TOperationHandle(_handle(), ttypes.TOperationType.EXECUTE_STATEMENT, True)
    answers = [
        thrift.ExecuteStatement(ttypes.TExecuteStatementReq(sessionHandle=session, statement="SELECT 1")),
        thrift.CloseSession(ttypes.TCloseSessionReq(sessionHandle=session)),
        thrift.GetOperationStatus(ttypes.TGetOperationStatusReq(operationHandle=operation)),
        thrift.FetchResults(ttypes.TFetchResultsReq(operationHandle=operation, orientation=0, maxRows=1)),
        thrift.CancelOperation(ttypes.TCancelOperationReq(operationHandle=operation)),
    ]
    assert {answer.status.statusCode for answer in answers} == {ttypes.TStatusCode.INVALID_HANDLE_STATUS}


def test_call_without_an_implementation_says_so(thrift: Any) -> None:
    status = thrift.GetPrimaryKeys(ttypes.TGetPrimaryKeysReq(sessionHandle=ttypes.TSessionHandle(_handle()))).status
    assert status.statusCode == ttypes.TStatusCode.ERROR_STATUS
    assert "GetPrimaryKeys is not supported" in status.errorMessage


def test_malformed_message_is_refused_and_the_endpoint_goes_on(endpoint: SqlEndpoint, cursor: Any) -> None:
    headers = {"Authorization": f"Bearer {endpoint.token}"}
    answer = requests.post(f"{endpoint.host}{endpoint.http_path}", data=b"not thrift", headers=headers, timeout=5)
    assert answer.status_code == 400
    assert "Thrift" in json.loads(answer.text)["message"]
    assert cursor.execute("SELECT 1").fetchone()[0] == 1
