"""What the endpoint of a workspace answers to databricks-sql-connector: settings, schemas, results, errors."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from databricks import sql
from databricks.sql import exc as sql_errors
from pyspark.sql import SparkSession

import dbx_cd.local
from dbx_cd.local.workspace import EmbeddedWorkspace
from dbx_cd.sql_endpoint.sql_state import GENERAL_ERROR, sql_state_of

SCHEMA = "stg.protocol"
SLOW = "SELECT sum(a.id * b.id % 7) FROM range(20000000) a JOIN range(20000) b"

Connect = Callable[..., Any]


@pytest.fixture(scope="module")
def connect(workspace: EmbeddedWorkspace) -> Iterator[Connect]:
    opened = []
    endpoint = workspace.endpoint

    def open_connection(**options: Any) -> Any:
        connection = sql.connect(
            "127.0.0.1", endpoint.http_path, access_token=endpoint.token, enable_telemetry=False,
            _connection_uri=f"{endpoint.host}{endpoint.http_path}", _retry_stop_after_attempts_count=2, **options,
        )  # fmt: skip
        opened.append(connection)
        return connection

    yield open_connection
    for connection in opened:
        connection.close()


@pytest.fixture(scope="module", autouse=True)
def schema(spark: SparkSession) -> Iterator[None]:
    spark.sql(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
    yield
    spark.sql(f"DROP SCHEMA {SCHEMA} CASCADE")


@pytest.fixture
def cursor(connect: Connect) -> Any:
    return connect(catalog="stg").cursor()


@pytest.fixture(scope="module")
def table(spark: SparkSession, schema: None) -> str:
    spark.sql(f"CREATE TABLE {SCHEMA}.t (id INT, v STRING)")
    return f"{SCHEMA}.t"


def value(cursor: Any, statement: str) -> Any:
    return cursor.execute(statement).fetchone()[0]


# Settings


def test_ansi_mode_is_set_read_and_reset(cursor: Any) -> None:
    assert list(cursor.execute('/* {"app": "dbt"} */ SET ansi_mode = false;').fetchone()) == ["ansi_mode", "false"]
    assert value(cursor, "SELECT 1 / 0") is None
    assert list(cursor.execute("SET ANSI_MODE").fetchone()) == ["ANSI_MODE", "false"]
    cursor.execute("RESET ansi_mode")
    with pytest.raises(sql_errors.Error, match="DIVIDE_BY_ZERO"):
        cursor.execute("SELECT 1 / 0")


@pytest.mark.parametrize("written", ["'Asia/Kolkata'", "Asia/Kolkata", "INTERVAL '5:30' HOUR TO MINUTE"])
def test_time_zone_is_set(cursor: Any, written: str) -> None:
    cursor.execute(f"SET timezone = {written}")
    assert value(cursor, "SELECT TIMESTAMP'2024-01-01 00:00:00'").isoformat() == "2024-01-01T00:00:00+05:30"
    assert cursor.execute("SET timezone").fetchone()[1] == value(cursor, "SELECT current_timezone()")


def test_statement_timeout_ends_the_statements_after_it_until_it_is_reset(cursor: Any) -> None:
    assert cursor.execute("SET statement_timeout").fetchone()[1] == "172800"
    cursor.execute("SET STATEMENT_TIMEOUT = 1")
    with pytest.raises(sql_errors.Error, match="STATEMENT_TIMEOUT"):
        cursor.execute(SLOW)
    cursor.execute("RESET statement_timeout")
    assert value(cursor, "SET statement_timeout") == "statement_timeout"
    assert cursor.execute("SET statement_timeout").fetchone()[1] == "172800"


def test_set_alone_lists_the_settings(cursor: Any) -> None:
    cursor.execute("SET use_cached_result = false")
    settings = dict(tuple(row) for row in cursor.execute("SET").fetchall())
    assert settings["USE_CACHED_RESULT"] == "false"
    assert {"ANSI_MODE", "STATEMENT_TIMEOUT", "TIMEZONE", "spark.app.id"} <= set(settings)


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("SET nonsense = 1", r"\[CONFIG_NOT_AVAILABLE\].*nonsense.*SQLSTATE: 42K0I"),
        ("RESET nonsense", r"\[CONFIG_NOT_AVAILABLE\].*nonsense"),
        ("SET ansi_mode = maybe", r"\[INVALID_CONF_VALUE\].*'maybe'.*true or false.*SQLSTATE: 22022"),
        ("SET statement_timeout = 172801", r"\[INVALID_CONF_VALUE\].*from 0 to 172800"),
        ("SET timezone = 'Nowhere/X'", r"\[INVALID_CONF_VALUE.TIME_ZONE\].*SQLSTATE: 22022"),
    ],
)
def test_setting_that_cannot_be_is_refused_by_its_name(cursor: Any, statement: str, message: str) -> None:
    with pytest.raises(sql_errors.ServerOperationError, match=message):
        cursor.execute(statement)


@pytest.mark.parametrize(
    "statement",
    ["SET TIME ZONE 'UTC'", "SET spark.sql.shuffle.partitions = 3", "DECLARE VARIABLE n INT", "SET CATALOG stg"],
)
def test_other_statements_of_spark_s_that_begin_with_set_reach_it(cursor: Any, statement: str) -> None:
    cursor.execute(statement)
    if statement.startswith("DECLARE"):
        cursor.execute("SET VAR n = 5")
        assert value(cursor, "SELECT n") == 5


# A schema that is not there yet


def test_session_waits_for_its_schema_and_never_falls_to_another(connect: Connect) -> None:
    cursor = connect(catalog="stg", schema="protocol_later").cursor()
    assert list(cursor.execute("SELECT current_catalog(), current_schema()").fetchone()) == ["stg", "protocol_later"]
    for statement in ("CREATE TABLE t AS SELECT 1 AS a", "SELECT * FROM t", "INSERT INTO t VALUES (1)", "SHOW TABLES"):
        with pytest.raises(sql_errors.ServerOperationError, match=r"SCHEMA_NOT_FOUND\].*`protocol_later`"):
            cursor.execute(statement)
    cursor.execute("CREATE SCHEMA stg.protocol_later")
    try:
        cursor.execute("CREATE TABLE t AS SELECT 1 AS a")
        assert value(cursor, "SELECT a FROM stg.protocol_later.t") == 1
        with pytest.raises(sql_errors.ServerOperationError, match=r"TABLE_OR_VIEW_NOT_FOUND\].*`other`"):
            cursor.execute("SELECT * FROM other")
    finally:
        cursor.execute("DROP SCHEMA stg.protocol_later CASCADE")


# Results


def test_the_first_statement_may_use_a_catalog_that_the_session_has_not_seen(workspace: EmbeddedWorkspace) -> None:
    endpoint = workspace.endpoint
    for catalog in workspace.catalogs:
        with sql.connect(
            "127.0.0.1", endpoint.http_path, access_token=endpoint.token, enable_telemetry=False,
            _connection_uri=f"{endpoint.host}{endpoint.http_path}",
        ) as connection:  # fmt: skip
            cursor = connection.cursor().execute(f"USE CATALOG `{catalog}`")
            assert value(cursor, "SELECT current_catalog()") == catalog


def test_row_limit_of_the_client_is_kept(connect: Connect, table: str) -> None:
    cursor = connect(catalog="stg").cursor(row_limit=2)
    assert [row.id for row in cursor.execute("SELECT id FROM range(100) ORDER BY id DESC").fetchall()] == [99, 98]
    assert len(cursor.execute("SHOW CATALOGS").fetchall()) == 2


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("array()", []),
        ("map()", []),
        ("array(array())", [[]]),
        ("named_struct('a', array(), 'b', null)", {"a": [], "b": None}),
        ("array(null)", [None]),
        ("null", None),
    ],
)
def test_empty_and_void_values_arrive(cursor: Any, expression: str, expected: Any) -> None:
    assert cursor.execute(f"SELECT {expression} AS c").fetchall_arrow().column(0)[0].as_py() == expected


def test_statements_that_write_answer_how_many_rows(cursor: Any) -> None:
    def affected(statement: str) -> dict[str, int]:
        row = cursor.execute(statement).fetchone().asDict()
        assert cursor.rowcount == row["num_affected_rows"]
        return {name: count for name, count in row.items() if count}

    target = f"{SCHEMA}.written"
    cursor.execute(f"CREATE TABLE {target} (id INT, v STRING)")
    inserted = {"num_affected_rows": 2, "num_inserted_rows": 2}
    assert affected(f"INSERT INTO {target} VALUES (1, 'a'), (2, 'b')") == inserted
    assert (
        affected(f"WITH q AS (SELECT 1 AS id, 'c' AS v UNION ALL SELECT 3, 'd') INSERT OVERWRITE {target} TABLE q")
        == inserted
    )
    replaced = affected(f"INSERT INTO {target} REPLACE WHERE id = 3 SELECT 3, 'e'")
    assert replaced == {"num_affected_rows": 1, "num_inserted_rows": 1}
    assert affected(f"UPDATE {target} SET v = 'f'") == {"num_affected_rows": 2}
    merged = affected(
        f"MERGE INTO {target} t USING (SELECT 1 AS id, 'g' AS v UNION ALL SELECT 9, 'h') s ON t.id = s.id "
        "WHEN MATCHED THEN UPDATE SET v = s.v WHEN NOT MATCHED THEN INSERT *"
    )
    assert merged == {"num_affected_rows": 2, "num_updated_rows": 1, "num_inserted_rows": 1}
    assert affected(f"DELETE FROM {target} WHERE id = 9") == {"num_affected_rows": 1}


def test_insert_into_a_table_that_is_not_delta_s_answers_nothing_of_an_earlier_one(cursor: Any) -> None:
    cursor.execute(f"CREATE TABLE {SCHEMA}.other_format (id INT) USING parquet")
    cursor.execute(f"CREATE TABLE {SCHEMA}.earlier AS SELECT 1 AS id")
    assert cursor.execute(f"INSERT INTO {SCHEMA}.other_format VALUES (1)").fetchall() == []
    assert cursor.rowcount == -1


def test_history_and_detail_stand_where_a_table_may(cursor: Any) -> None:
    target = f"{SCHEMA}.described"
    cursor.execute(f"CREATE TABLE {target} (id INT) COMMENT 'it''s'")
    cursor.execute(f"INSERT INTO {target} VALUES (1)")
    operations = cursor.execute(
        f"SELECT version, operation, operationMetrics['numOutputRows'] FROM (DESCRIBE HISTORY {target}) ORDER BY 1"
    ).fetchall()
    assert [tuple(row) for row in operations] == [(0, "CREATE TABLE", None), (1, "WRITE", "1")]
    assert value(cursor, f"SELECT max(h.version) FROM (desc history {target} limit 1) AS h") == 1
    same = f"SELECT timestamp FROM (DESCRIBE HISTORY {target}) WHERE version = 1"
    assert value(cursor, same) == cursor.execute(f"DESCRIBE HISTORY {target}").fetchone().timestamp
    assert value(cursor, f"SELECT description FROM (DESCRIBE DETAIL {target})") == "it's"
    assert (
        value(cursor, "SELECT '(DESCRIBE HISTORY nothing)' -- (DESCRIBE HISTORY nothing)")
        == "(DESCRIBE HISTORY nothing)"
    )


# Metadata


def test_tables_and_columns_in_full(cursor: Any) -> None:
    cursor.execute(
        f"CREATE TABLE {SCHEMA}.meta (`Id` INT NOT NULL COMMENT 'key', d DECIMAL(10,2), "
        "s STRUCT<Name: STRING, age: INT>, m MAP<STRING, INT>, a ARRAY<STRING>) COMMENT 'about it'"
    )
    tables = cursor.tables("stg", "protocol", "meta%").fetchall()
    assert [tuple(row)[:5] for row in tables] == [("stg", "protocol", "meta", "TABLE", "about it")]
    assert [column[0] for column in cursor.description] == [
        "TABLE_CAT", "TABLE_SCHEM", "TABLE_NAME", "TABLE_TYPE", "REMARKS", "TYPE_CAT", "TYPE_SCHEM", "TYPE_NAME",
        "SELF_REFERENCING_COL_NAME", "REF_GENERATION",
    ]  # fmt: skip
    columns = cursor.columns("stg", "protocol", "meta").fetchall()
    assert [
        (c.COLUMN_NAME, c.DATA_TYPE, c.TYPE_NAME, c.NULLABLE, c.IS_NULLABLE, c.ORDINAL_POSITION) for c in columns
    ] == [
        ("Id", 4, "INT", 0, "NO", 1),
        ("d", 3, "DECIMAL(10,2)", 1, "YES", 2),
        ("s", 2002, "STRUCT<Name: STRING, age: INT>", 1, "YES", 3),
        ("m", 2000, "MAP<STRING, INT>", 1, "YES", 4),
        ("a", 2003, "ARRAY<STRING>", 1, "YES", 5),
    ]
    assert (columns[0].REMARKS, columns[1].COLUMN_SIZE, columns[1].DECIMAL_DIGITS) == ("key", 10, 2)
    # The types that databricks-sql-connector's own tests expect of Databricks.
    assert [(column[0], column[1]) for column in cursor.description[4:]] == [
        ("DATA_TYPE", "int"), ("TYPE_NAME", "string"), ("COLUMN_SIZE", "int"), ("BUFFER_LENGTH", "tinyint"),
        ("DECIMAL_DIGITS", "int"), ("NUM_PREC_RADIX", "int"), ("NULLABLE", "int"), ("REMARKS", "string"),
        ("COLUMN_DEF", "string"), ("SQL_DATA_TYPE", "int"), ("SQL_DATETIME_SUB", "int"), ("CHAR_OCTET_LENGTH", "int"),
        ("ORDINAL_POSITION", "int"), ("IS_NULLABLE", "string"), ("SCOPE_CATALOG", "string"), ("SCOPE_SCHEMA", "string"),
        ("SCOPE_TABLE", "string"), ("SOURCE_DATA_TYPE", "smallint"), ("IS_AUTO_INCREMENT", "string"),
    ]  # fmt: skip


def test_catalog_that_is_not_named_is_every_one(cursor: Any) -> None:
    catalogs = {row.TABLE_CAT for row in cursor.catalogs().fetchall()}
    assert {"stg", "prod", "dev_anna", "system"} <= catalogs
    assert {row.TABLE_CATALOG for row in cursor.schemas().fetchall()} == catalogs
    found = cursor.tables(schema_name="information\\_schema", table_name="tables").fetchall()
    assert {row.TABLE_CAT for row in found} == catalogs
    assert {row.TABLE_CATALOG for row in cursor.schemas("dev_anna", "def%").fetchall()} == {"dev_anna"}
    assert cursor.tables("no_such_catalog", "x").fetchall() == []


def test_broken_view_leaves_the_columns_of_the_others(cursor: Any) -> None:
    cursor.execute(f"CREATE TABLE {SCHEMA}.gone (a INT)")
    cursor.execute(f"CREATE VIEW {SCHEMA}.broken AS SELECT a FROM {SCHEMA}.gone")
    cursor.execute(f"CREATE VIEW {SCHEMA}.broken_not AS SELECT 1 AS b")
    cursor.execute(f"DROP TABLE {SCHEMA}.gone")
    assert [row.COLUMN_NAME for row in cursor.columns("stg", "protocol", "broken%").fetchall()] == ["b"]


# Errors


@pytest.mark.parametrize(
    ("statement", "state"),
    [
        ("USE CATALOG no_such_catalog", "42P08"),
        ("ALTER TABLE {t} DROP PRIMARY KEY", "42704"),  # emulated
        ("ALTER TABLE stg.protocol.nothing SET TAGS ('a' = 'b')", "42P01"),  # emulated, in Java
        ("UNDROP TABLE stg.protocol.nothing", "0A000"),
        ("RESTORE {t} TO VERSION AS OF 99", "22003"),  # Delta's
        ("INSERT INTO {t} SELECT 1", "42802"),
        ("SELECT 1 / 0", "22012"),
        ("SELEC", "42601"),
        ("SELECT raise_error('no')", "P0001"),
    ],
)
def test_every_error_ends_with_its_sqlstate(cursor: Any, table: str, statement: str, state: str) -> None:
    with pytest.raises(sql_errors.ServerOperationError, match=rf"SQLSTATE: {state}\b"):
        cursor.execute(statement.format(t=table))


def test_unknown_function_is_named_with_its_line(cursor: Any) -> None:
    with pytest.raises(sql_errors.ServerOperationError, match=r"`no_such_function`.*SQLSTATE: 42883.*line 2 pos 2"):
        cursor.execute("SELECT 1,\n  no_such_function(id)\nFROM range(1)")
    with pytest.raises(sql_errors.ServerOperationError, match=r"`no_such_rows`.*SQLSTATE: 42883.*line 2 pos 5"):
        cursor.execute("SELECT *\nFROM no_such_rows(1)")


def test_every_error_class_of_the_workspace_itself_has_a_sqlstate(spark: SparkSession) -> None:
    root = Path(dbx_cd.local.__file__).parent
    sources = [path for kind in ("*.py", "*.java") for path in root.rglob(kind)]
    found = {name for path in sources for name in re.findall(r'"\[([A-Z][A-Z0-9_.]+)\]', path.read_text("utf-8"))}
    assert {"CONSTRAINT_DOES_NOT_EXIST", "TABLE_OR_VIEW_NOT_FOUND"} <= found
    assert {name for name in found if sql_state_of(f"[{name}] x") == GENERAL_ERROR} == set()
