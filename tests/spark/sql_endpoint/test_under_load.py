"""The endpoint under load: what it holds in memory of a large result, many clients at once, many statements."""

from __future__ import annotations

import gc
import logging
import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from databricks import sql
from databricks.sql import exc as sql_errors
from pyspark.sql import SparkSession

from dbx_cd.local.workspace import EmbeddedWorkspace
from dbx_cd.sql_endpoint.operation import Operation
from dbx_cd.sql_endpoint.session import EndpointSession

CLIENTS = 16
STATEMENTS = 10_000
MEBIBYTE = 1 << 20
WIDE = "SELECT id, id * 2 AS b, id * 0.5D AS c, id % 7 AS d, cast(id AS string) AS e FROM range({rows})"

Connect = Callable[[], Any]


@pytest.fixture
def connect(workspace: EmbeddedWorkspace, monkeypatch: pytest.MonkeyPatch) -> Connect:
    """Opens a connection, which only the test holds; what the connector logs of each is not kept for a report."""
    monkeypatch.setattr(logging.getLogger("databricks.sql"), "disabled", True)
    monkeypatch.setattr(logging.getLogger("databricks.sql.unsafe"), "disabled", True)
    endpoint = workspace.endpoint

    def open_connection() -> Any:
        return sql.connect(
            "127.0.0.1", endpoint.http_path, access_token=endpoint.token, catalog="stg", enable_telemetry=False,
            _connection_uri=f"{endpoint.host}{endpoint.http_path}", _retry_stop_after_attempts_count=2,
        )  # fmt: skip

    return open_connection


def peak_python() -> int:
    """The largest resident size of this process since it was last reset, in MiB (Linux, proc(5))."""
    return int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text("ascii"))[1]) // 1024  # type: ignore[index]


def old_generation(spark: SparkSession) -> Any:
    """Where the JVM keeps what outlives a collection: garbage of the moment is not in it."""
    beans = spark._jvm.java.lang.management.ManagementFactory.getMemoryPoolMXBeans()  # type: ignore[union-attr]
    return next(bean for bean in beans if bean.getName() in ("Tenured Gen", "G1 Old Gen"))


def collected(spark: SparkSession) -> int:
    """What is left in the JVM's heap after a collection, in MiB."""
    gc.collect()
    jvm: Any = spark._jvm
    for _ in range(3):
        jvm.java.lang.System.gc()
    return int(jvm.java.lang.management.ManagementFactory.getMemoryMXBean().getHeapMemoryUsage().getUsed()) // MEBIBYTE


def read(cursor: Any, rows: int) -> int:
    cursor.execute(WIDE.format(rows=rows))
    total = 0
    while (page := cursor.fetchmany_arrow(100_000)).num_rows:
        total += page.num_rows
    return total


def test_a_result_of_several_pages_that_lies_in_a_file_arrives_in_its_order(connect: Connect) -> None:
    with connect() as connection:
        table = connection.cursor().execute(WIDE.format(rows=350_000)).fetchall_arrow()
    assert table["id"].to_pylist() == list(range(350_000))
    assert table["e"][349_999].as_py() == "349999"


@pytest.mark.deep
def test_ten_million_rows_are_in_nobody_s_memory_whole(spark: SparkSession, connect: Connect) -> None:
    pool = old_generation(spark)
    with connect() as connection:
        cursor = connection.cursor()
        read(cursor, 500_000)
        collected(spark)
        pool.resetPeakUsage()
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        before, held = peak_python(), int(pool.getUsage().getUsed())
        assert read(cursor, 10_000_000) == 10_000_000  # 460 MB
    assert peak_python() - before < 250, "MiB, of the endpoint and of its client, which are one process here"
    assert (int(pool.getPeakUsage().getUsed()) - held) // MEBIBYTE < 150


@pytest.mark.deep
def test_sixteen_clients_at_once_get_their_own_rows(connect: Connect) -> None:
    def ask(number: int) -> list[int]:
        with connect() as connection:
            cursor = connection.cursor()
            cursor.execute(f"SET statement_timeout = {600 + number}")
            cursor.execute(f"CREATE TEMPORARY VIEW mine AS SELECT {number} AS n")
            answers = []
            for _ in range(20):
                rows = cursor.execute("SELECT n * id AS product FROM mine, range(1000) ORDER BY id").fetchall()
                answers.append(rows[999].product)
            return [*answers, int(cursor.execute("SET statement_timeout").fetchone()[1])]

    with ThreadPoolExecutor(CLIENTS) as clients:
        assert list(clients.map(ask, range(CLIENTS))) == [[999 * n] * 20 + [600 + n] for n in range(CLIENTS)]


@pytest.mark.deep
def test_ten_thousand_statements_leave_nothing_behind(spark: SparkSession, connect: Connect) -> None:
    spark.sql("CREATE SCHEMA IF NOT EXISTS stg.soak")

    def work(statements: int) -> None:
        connection = connect()
        cursor = connection.cursor()
        for number in range(statements):
            if number % 10 == 0:
                with pytest.raises(sql_errors.Error):
                    cursor.execute("SELECT no_such_column")
            elif number % 10 == 1:
                cursor.execute(f"CREATE OR REPLACE TEMPORARY VIEW v{number % 30} AS SELECT {number} AS n")
            elif number % 10 == 2:
                cursor.execute(f"SELECT id, repeat('x', 100) AS pad FROM range({number % 2000})").fetchall_arrow()
            else:
                assert cursor.execute(f"SELECT {number} AS n").fetchone().n == number
            if number % 100 == 99:
                connection.close()
                connection = connect()
                cursor = connection.cursor()
        connection.close()

    def all_clients(statements: int) -> None:
        with ThreadPoolExecutor(CLIENTS // 2) as clients:
            list(clients.map(work, [statements // 8] * 8))

    def held() -> dict[str, int]:
        deadline = time.monotonic() + 10  # what served the last connections notices their end a little later
        while time.monotonic() < deadline and any("process_request" in t.name for t in threading.enumerate()):
            time.sleep(0.1)
        heap = collected(spark)
        kinds = [type(thing) for thing in gc.get_objects()]
        jvm: Any = spark._jvm
        return {
            "heap": heap,
            "python": int(re.search(r"VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text("ascii"))[1]) // 1024,  # type: ignore[index]
            "threads": threading.active_count(),
            "java threads": int(jvm.java.lang.management.ManagementFactory.getThreadMXBean().getThreadCount()),
            "sessions": kinds.count(EndpointSession),
            "operations": kinds.count(Operation),
            "files": len(list(Path("/proc/self/fd").iterdir())),
        }

    all_clients(1600)
    before = held()
    all_clients(STATEMENTS)
    after = held()
    grown = {name: count - before[name] for name, count in after.items()}
    print(f"{STATEMENTS} statements: before {before}, after {after}")
    # One left by each statement or connection would be hundreds; a pool of threads grows a little with chance.
    may_grow = {"threads": 16, "java threads": 24, "files": 10, "heap": 40, "python": 60}
    assert {name: more for name, more in grown.items() if more > may_grow.get(name, 0)} == {}, grown
