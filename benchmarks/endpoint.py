"""The SQL endpoint against Spark itself: one statement, a million rows, and the memory that ten million rows take.

To end in time: 200 statements of each way in turn, and five rounds of the million rows.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from databricks import sql
from pyspark.sql import SparkSession

from benchmarks.measure import Ratio, say, side_by_side
from benchmarks.spark_cost import cost_of
from dbx_cd.local.workspace import EmbeddedWorkspace

STATEMENT = "SELECT id, id * 2 AS twice FROM range(100)"
STATEMENTS, ROUNDS = 200, 5
MOST_MILLISECONDS = 5
WIDE = "SELECT id, id * 2 AS b, id * 0.5D AS c, id % 7 AS d, cast(id AS string) AS e FROM range({rows})"


def measure() -> Iterator[Ratio]:
    """Measure all of it, on one embedded workspace."""
    with (
        tempfile.TemporaryDirectory() as folder,
        EmbeddedWorkspace(Path(folder) / "state", catalogs=["stg"]) as workspace,
        sql.connect(
            "127.0.0.1",
            workspace.endpoint.http_path,
            access_token=workspace.endpoint.token,
            _connection_uri=f"{workspace.endpoint.host}{workspace.endpoint.http_path}",
            enable_telemetry=False,
        ) as connection,
    ):
        cursor = connection.cursor()
        yield one_statement(workspace.spark, cursor)
        yield a_million_rows(workspace.spark, cursor)
        say("10 M rows, page by page")
        cost = cost_of(workspace.spark, lambda: read_all(cursor, 10_000_000))
        print(f"  10 M rows of five columns (460 MB) read page by page, client and endpoint in one process: {cost}")


def one_statement(spark: SparkSession, cursor: Any) -> Ratio:
    """A short query by the connector and by `spark.sql`, both with their rows as Arrow."""

    found = side_by_side(
        "one statement",
        lambda: cursor.execute(STATEMENT).fetchall_arrow(),
        lambda: spark.sql(STATEMENT).toArrow(),
        rounds=STATEMENTS,
    )
    more = (statistics.median(found.ours) - statistics.median(found.other)) * 1000
    quiet = (_quarter(found.ours) - _quarter(found.other)) * 1000
    verdict = "met" if quiet <= MOST_MILLISECONDS else "MISSED"
    name = (
        f"{STATEMENTS} statements, connector / spark.sql: {quiet:+.1f} ms each in the faster quarter "
        f"(aim <= {MOST_MILLISECONDS}: {verdict}), {more:+.1f} ms in the median"
    )
    return replace(found, name=name)


def _quarter(seconds: Sequence[float]) -> float:
    """What the fastest quarter takes at most: on a machine that others use, the median is theirs as well."""
    return statistics.quantiles(seconds, n=4)[0]


def a_million_rows(spark: SparkSession, cursor: Any) -> Ratio:
    """Five columns as one Arrow table in the client; the aim is 0.9 of `toArrow`'s rows a second."""
    statement = WIDE.format(rows=1_000_000)
    return side_by_side(
        "1 M rows of five columns, fetchall_arrow / toArrow",
        lambda: cursor.execute(statement).fetchall_arrow(),
        lambda: spark.sql(statement).toArrow(),
        rounds=ROUNDS,
        aim=1.11,
    )


def read_all(cursor: Any, rows: int) -> int:
    """The rows of a query, of which only a page is kept at a time."""
    cursor.execute(WIDE.format(rows=rows))
    total = 0
    while (page := cursor.fetchmany_arrow(100_000)).num_rows:
        total += page.num_rows
    return total
