"""Contracts and business checks on a large table and many small ones, against SQL by hand and plain Great Expectations.

Run alone with `python -m benchmarks.smoke`; the number of Spark jobs of each way is printed with the ratios.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import great_expectations as gx
import great_expectations.expectations as gxe
from pyspark.sql import SparkSession

from benchmarks.measure import Ratio, side_by_side
from dbx_cd.dbt_artifacts import Manifest, RunResults
from dbx_cd.local.spark_session import start_spark
from dbx_cd.smoke.run import load_suites, run_smoke

ROWS, SMALL_TABLES = 5_000_000, 20
COLUMNS = "id as order_id, id % 1000 as customer_id, cast(id % 97 as decimal(12,2)) as amount, id % 5 as status"
SUITE = """
domain: bench
tables:
{tables}
"""
TABLE = """
  - model: {name}
    expectations:
      - expect_column_sum_to_be_between: {{column: amount, min_value: 0}}
      - expect_column_max_to_be_between: {{column: amount, max_value: 100}}
      - expect_column_values_to_be_between: {{column: amount, min_value: 0, max_value: 100}}
      - expect_table_row_count_to_be_between: {{min_value: 1}}
    compare:
      - row_count: {{within_pct: 20}}
      - {{metric: revenue, sql: sum(amount), max_drop_pct: 20}}
"""


@dataclass(frozen=True)
class _Build:
    """Stands for an ArtifactVersion in which dbt has run no test."""

    folder: Path
    target: str
    timestamp: str = "20261123T101500.000000Z"
    commit: str = "1a2b3c4"
    release_id: str | None = None

    def manifest(self) -> Manifest:
        return Manifest.load(self.folder / "manifest.json")

    def run_results(self) -> RunResults:
        return RunResults.load(self.folder / "run_results.json")


def measure(*, rows: int = ROWS, rounds: int = 3) -> Iterator[Ratio | str]:
    """The ratios, and the Spark jobs of one run of each way."""
    folder = Path(tempfile.mkdtemp(prefix="dbx_cd_bench_"))
    spark = start_spark(folder / "state", catalogs=("stg", "prod"))
    names = ["large", *(f"small_{i}" for i in range(SMALL_TABLES))]
    for catalog in ("stg", "prod"):
        spark.sql(f"create schema {catalog}.bench")
        for name in names:
            count = rows if name == "large" else 1000
            spark.sql(f"create table {catalog}.bench.{name} as select {COLUMNS} from range({count})")
    stg, prod = (_write(folder / target, target, names) for target in ("stg", "prod"))
    (folder / "smoke").mkdir()
    suite = SUITE.format(tables="".join(TABLE.format(name=name) for name in names))
    (folder / "smoke" / "bench.yml").write_text(suite, encoding="utf-8")
    suites = load_suites(folder / "smoke", stg)  # type: ignore[arg-type]

    def ours() -> None:
        run_smoke(suites, spark=spark, artifacts=stg, baseline=prod)  # type: ignore[arg-type]

    ways: dict[str, tuple[Callable[[], None], float]] = {
        "least SQL by hand": (lambda: _by_hand(spark, names), 1.3),
        "plain Great Expectations": (lambda: _plain(spark, names), 0.6),
    }
    for label, (other, aim) in ways.items():
        yield side_by_side(f"smoke suites against {label}", ours, other, rounds=rounds, aim=aim)
    for label, work in {"ours": ours, **{k: v[0] for k, v in ways.items()}}.items():
        yield f"Spark jobs, {label}: {_jobs(spark, work)}"
    spark.stop()


def _write(folder: Path, target: str, names: list[str]) -> _Build:
    nodes: dict[str, Any] = {}
    for name in names:
        unique_id = f"model.bench.{name}"
        nodes[unique_id] = {
            "unique_id": unique_id,
            "name": name,
            "resource_type": "model",
            "database": target,
            "schema": "bench",
            "relation_name": f"`{target}`.`bench`.`{name}`",
            "config": {"materialized": "table"},
        }
        for test, column, more in (
            ("unique", "order_id", {}),
            ("not_null", "order_id", {}),
            ("not_null", "amount", {}),
            ("accepted_values", "status", {"values": list(range(5))}),
        ):
            test_id = f"test.bench.{test}_{name}_{column}"
            nodes[test_id] = {
                "unique_id": test_id,
                "name": f"{test}_{name}_{column}",
                "resource_type": "test",
                "attached_node": unique_id,
                "test_metadata": {"name": test, "kwargs": {"column_name": column, **more}},
                "depends_on": {"nodes": [unique_id]},
            }
    models = [i for i in nodes if i.startswith("model.")]
    results = [{"unique_id": i, "status": "success", "execution_time": 0} for i in models]
    folder.mkdir(parents=True)
    manifest = {"metadata": {}, "nodes": nodes}
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    run_results = {"args": {"which": "build"}, "metadata": {}, "results": results}
    (folder / "run_results.json").write_text(json.dumps(run_results), encoding="utf-8")
    return _Build(folder, target)


def _by_hand(spark: SparkSession, names: list[str]) -> None:
    """One query for each table and one for its baseline: the least that answers the same questions."""
    for name in names:
        now = spark.sql(f"""
            select count(*), sum(amount), max(amount), count_if(amount < 0 or amount > 100),
                   count(order_id) - count(distinct order_id), count_if(order_id is null), count_if(amount is null),
                   count_if(status not in (0, 1, 2, 3, 4))
            from stg.bench.{name}
        """).collect()[0]
        then = spark.sql(f"select count(*), sum(amount) from prod.bench.{name}").collect()[0]
        assert now[0] >= 0.8 * then[0]
        assert float(now[1]) >= 0.8 * float(then[1])
        assert not any(now[3:])


def _plain(spark: SparkSession, names: list[str]) -> None:
    """The same expectations as Great Expectations runs them by itself."""
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False, "metric_calculations": False}
    source = context.data_sources.add_spark("spark", persist=False)
    for name in names:
        batch = source.add_dataframe_asset(name).add_batch_definition_whole_dataframe("all")
        then = spark.sql(f"select count(*), sum(amount) from prod.bench.{name}").collect()[0]
        suite = gx.ExpectationSuite(name=name)
        for expectation in (
            gxe.ExpectColumnSumToBeBetween(column="amount", min_value=0),
            gxe.ExpectColumnMaxToBeBetween(column="amount", max_value=100),
            gxe.ExpectColumnValuesToBeBetween(column="amount", min_value=0, max_value=100),
            gxe.ExpectTableRowCountToBeBetween(min_value=int(0.8 * then[0])),
            gxe.ExpectColumnSumToBeBetween(column="amount", min_value=0.8 * float(then[1])),
            gxe.ExpectColumnValuesToBeUnique(column="order_id"),
            gxe.ExpectColumnValuesToNotBeNull(column="order_id"),
            gxe.ExpectColumnValuesToNotBeNull(column="amount"),
            gxe.ExpectColumnValuesToBeInSet(column="status", value_set=[0, 1, 2, 3, 4]),
        ):
            suite.add_expectation(expectation)
        frame = spark.table(f"stg.bench.{name}")
        assert batch.get_batch(batch_parameters={"dataframe": frame}).validate(suite).success


def _jobs(spark: SparkSession, work: Callable[[], None]) -> int:
    """How many jobs the work starts; each job gets the next number of the application."""
    spark.range(1).count()
    before = _last_job(spark)
    work()
    spark.range(1).count()
    return _last_job(spark) - before - 1


def _last_job(spark: SparkSession) -> int:
    tracker = spark.sparkContext._jsc.sc().statusStore().jobsList(None)
    return int(max(tracker.apply(i).jobId() for i in range(tracker.size())))


if __name__ == "__main__":
    for found in measure():
        print(found, flush=True)
