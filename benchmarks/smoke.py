"""Contracts and business checks on a large table and many small ones: our way, by hand, and with other libraries.

Part of `make bench`. Alone, with another number of rows: `python -m benchmarks.smoke --rows 100000`. Deequ is not among
the peers: its newest release on Maven Central is built for Spark 3.5 and does not load into Spark 4.

To end in time: ten small tables, not twenty, beside the large one, two rounds, and the run that warms a way up is the
one whose jobs and memory are told. What the ratios rest on is kept: a scan of five million rows that costs seconds, and
enough small tables that asking them one after the other shows.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import smoke_ways
from benchmarks.measure import Ratio, in_turn, say
from benchmarks.spark_cost import cost_of
from dbx_cd.dbt.artifacts import Manifest, RunResults
from dbx_cd.local.spark_session import start_spark
from dbx_cd.smoke.run import load_suites, run_smoke

ROWS, SMALL_TABLES, ROUNDS = 5_000_000, 10, 2
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
OTHERS = {
    "the least SQL by hand": (smoke_ways.by_hand, 1.3),
    "plain Great Expectations": (smoke_ways.plain_great_expectations, 0.6),
    "pandera": (smoke_ways.pandera, 1.0),
    "cuallee": (smoke_ways.cuallee, 1.0),
}


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


def measure(*, rows: int = ROWS, rounds: int = ROUNDS) -> Iterator[Ratio | str]:
    """Jobs and memory of the first run of each way, then the ratios."""
    with tempfile.TemporaryDirectory(prefix="dbx_cd_bench_") as work:
        folder = Path(work)
        spark = start_spark(folder / "state", catalogs=("stg", "prod"), settings={})
        names = ["large", *(f"small_{i}" for i in range(SMALL_TABLES))]
        for catalog in ("stg", "prod"):
            say(f"{catalog}: a table of {rows:,} rows and {SMALL_TABLES} small ones")
            spark.sql(f"create schema {catalog}.bench")
            for name in names:
                count = rows if name == "large" else 1000
                spark.sql(f"create table {catalog}.bench.{name} as select {COLUMNS} from range({count})")
        stg, prod = (_write(folder / target, target, names) for target in ("stg", "prod"))
        (folder / "smoke").mkdir()
        suite = SUITE.format(tables="".join(TABLE.format(name=name) for name in names))
        (folder / "smoke" / "bench.yml").write_text(suite, encoding="utf-8")

        def ours() -> None:
            suites = load_suites(folder / "smoke", stg)  # type: ignore[arg-type]
            report = run_smoke(suites, spark=spark, artifacts=stg, baseline=prod)  # type: ignore[arg-type]
            assert report.counts == {"pass": 10 * len(names)}, report

        ways: dict[str, Callable[[], object]] = {k: partial(work, spark, names) for k, (work, _) in OTHERS.items()}
        aims = {
            f"smoke suites on {rows:,} rows and {SMALL_TABLES} small tables / {k}": aim
            for k, (_, aim) in OTHERS.items()
        }
        for label, way in {"dbx_cd": ours, **ways}.items():
            say(f"the first run of {label}")
            yield f"smoke suites, {label}: {cost_of(spark, way)}"
        yield from in_turn(
            ours, list(ways.values()), names=list(aims), aims=list(aims.values()), rounds=rounds, warm=True
        )
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


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    for found in measure(**vars(parser.parse_args())):
        print(found, flush=True)
