"""The same suites over a Spark Connect session, in a client process that has no JVM of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from smoke_builds import Builds, generic_test, model

from dbx_cd.smoke.report import SmokeReport

CHILD = Path(__file__).with_name("smoke_over_connect.py")
SUITE = """
domain: connected
tables:
  - model: orders
    expectations:
      - expect_column_sum_to_be_between: {column: amount, min_value: 0}
      - expect_column_values_to_be_between: {column: amount, min_value: 1}
    compare:
      - row_count: {within_pct: 20}
      - {metric: per_group, sql: count(*), group_by: [kind], within_pct: 20}
      - {metric: nonsense, sql: sum(nope), max_drop_pct: 20}
assertions:
  - {name: no_zero, sql: "select amount from {{ ref('orders') }} where amount = 0"}
"""


@pytest.fixture(scope="module")
def remote(spark: SparkSession) -> Iterator[str]:
    """The address of a Spark Connect server inside the shared JVM."""
    jvm = spark._jvm
    assert jvm is not None
    jvm.org.apache.spark.SparkEnv.get().conf().set("spark.connect.grpc.binding.port", "0")
    companion = getattr(jvm.org.apache.spark.sql.connect.service, "SparkConnectService$")  # a Scala object
    service = getattr(companion, "MODULE$")
    service.start(spark.sparkContext._jsc.sc())
    yield f"sc://127.0.0.1:{service.localPort()}"
    nothing = jvm.scala.Option.empty()
    service.stop(nothing, nothing)


def test_suites_run_on_a_spark_connect_session(spark: SparkSession, remote: str, tmp_path: Path) -> None:
    for catalog in ("stg", "prod"):
        spark.sql(f"create schema if not exists {catalog}.smoke_connect")
        rows = "select id as order_id, id as amount, id % 3 as kind from range(100)"
        spark.sql(f"create or replace table {catalog}.smoke_connect.orders as {rows}")
    builds = Builds(tmp_path / "builds")
    orders = model("orders", "stg.smoke_connect.orders")
    build = builds.build(
        orders,
        generic_test("unique", orders, column_name="order_id"),
        generic_test("relationships", orders, column_name="kind", field="order_id"),
    )
    baseline = builds.build(model("orders", "prod.smoke_connect.orders"), target="prod")
    smoke_dir = tmp_path / "smoke"
    smoke_dir.mkdir()
    (smoke_dir / "connected.yml").write_text(SUITE, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(CHILD), remote, str(build.path), str(baseline.path), str(smoke_dir)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    report = SmokeReport.from_dict(json.loads(done.stdout.splitlines()[-1]))
    assert {c.name: c.status for c in report.checks} == {
        "unique_orders_order_id": "pass",
        "relationships_orders_kind": "pass",
        "expect_column_sum_to_be_between(amount)": "pass",
        "expect_column_values_to_be_between(amount)": "fail",
        "row_count": "pass",
        "per_group": "pass",
        "nonsense": "broken",
        "no_zero": "fail",
    }
    (failed,) = (c for c in report.checks if c.name == "expect_column_values_to_be_between(amount)")
    assert (failed.observed, failed.examples) == ("1 of 100 rows", ("0",))
