"""Plant one fault in each relation: the check named for it catches it, and the clean ones give no false alarm.

The relations are views, which are made at once; `test_smoke_shop.py` plants faults in tables.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from smoke_builds import Builds, generic_test, model

from dbx_cd.dbt.freshness import SourceFreshness
from dbx_cd.smoke.report import SmokeReport
from dbx_cd.smoke.run import load_suites, run_smoke
from spark_kind import PROD, STG

SCHEMA = "smoke_faults"


@dataclass(frozen=True)
class Fault:
    """A table without and with a fault, and the check that should notice: YAML of a suite or a generic test."""

    name: str
    clean: str
    faulty: str
    expectation: str = ""
    compare: str = ""
    assertion: str = ""
    contract: tuple[str, dict[str, Any]] | None = None
    node: dict[str, Any] = field(default_factory=dict)


def rows(count: int, columns: str = "id") -> str:
    return f"select {columns} from range({count})"


FAULTS = [
    Fault("duplicate_key", rows(9), "select id div 2 as id from range(9)", contract=("unique", {"column_name": "id"})),
    Fault(
        "orphan",
        rows(9),
        rows(9, "if(id = 3, 777, id) as id"),
        contract=("relationships", {"column_name": "id", "field": "id"}),
    ),
    Fault("null_value", rows(9), rows(9, "nullif(id, 4) as id"), contract=("not_null", {"column_name": "id"})),
    Fault(
        "unknown_status",
        rows(9, "'placed' as status"),
        rows(9, "if(id = 2, 'lost', 'placed') as status"),
        contract=("accepted_values", {"column_name": "status", "values": ["placed"]}),
    ),
    Fault(
        "duplicate_pair",
        rows(9, "id as a, 1 as b"),
        rows(9, "id % 8 as a, 1 as b"),
        contract=("dbt_utils.unique_combination_of_columns", {"combination_of_columns": ["a", "b"]}),
    ),
    Fault(
        "wrong_type",
        rows(9),
        rows(9, "cast(id as string) as id"),
        node={
            "config": {"contract": {"enforced": True}, "materialized": "table"},
            "columns": {"id": {"name": "id", "data_type": "bigint"}},
        },
    ),
    Fault(
        "negative_total",
        rows(9, "id as amount"),
        rows(9, "-id as amount"),
        expectation="expect_column_sum_to_be_between: {column: amount, min_value: 0}",
    ),
    Fault(
        "negative_value",
        rows(9, "id as amount"),
        rows(9, "id - 1 as amount"),
        expectation="expect_column_values_to_be_between: {column: amount, min_value: 0}",
    ),
    Fault(
        "malformed_email",
        rows(9, "'a@b.org' as email"),
        rows(9, "if(id = 1, 'nobody', 'a@b.org') as email"),
        expectation='expect_column_values_to_match_regex: {column: email, regex: "@"}',
    ),
    Fault("empty_table", rows(9), rows(0), expectation="expect_table_row_count_to_be_between: {min_value: 1}"),
    Fault(
        "missing_column",
        rows(9, "id, 1 as amount"),
        rows(9),
        expectation="expect_column_to_exist: {column: amount}",
    ),
    Fault(
        "end_before_start",
        rows(9, "id as started, id + 1 as ended"),
        rows(9, "id as started, if(id = 8, 0, id + 1) as ended"),
        expectation="expect_column_pair_values_a_to_be_greater_than_b: {column_A: ended, column_B: started}",
    ),
    Fault(
        "mean_drifts",
        rows(9, "10.0 as price"),
        rows(9, "1000.0 as price"),
        expectation="expect_column_mean_to_be_between: {column: price, max_value: 100}",
    ),
    Fault("row_loss_of_30_percent", rows(100), rows(70), compare="row_count: {within_pct: 20}"),
    Fault(
        "active_users_down_by_25_percent",
        rows(100, "id, id < 80 as active"),
        rows(100, "id, id < 60 as active"),
        compare="{metric: active_users, sql: count_if(active), max_drop_pct: 20}",
    ),
    Fault(
        "one_region_loses_its_rows",
        rows(100, "id, id % 2 as region"),
        rows(100, "id, if(id % 2 = 1 and id > 50, 0, id % 2) as region"),
        compare="{metric: by_region, sql: count(*), group_by: region, max_drop_pct: 20}",
    ),
    Fault(
        "revenue_is_not_a_number",
        rows(9, "1.0D as amount"),
        rows(9, "double('nan') as amount"),
        compare="{metric: revenue, sql: sum(amount), max_drop_pct: 10}",
    ),
    Fault(
        "total_differs_from_its_parts",
        rows(9, "id as part, id as whole"),
        rows(9, "id as part, id + 1 as whole"),
        assertion="select * from {{ ref('total_differs_from_its_parts') }} where part <> whole",
    ),
]
NAMES = [fault.name for fault in FAULTS]


def make(spark: SparkSession, folder: Path, *, faulty: bool) -> SmokeReport:
    """Tables, build and suites of all faults, checked in one run; the baseline is always the clean tables."""
    builds = Builds(folder / "builds")
    nodes = [model("parent", f"{STG}.{SCHEMA}.parent")]
    yaml: list[str] = []
    for fault in FAULTS:
        name = fault.name
        spark.sql(f"create or replace view {STG}.{SCHEMA}.{name} as {fault.faulty if faulty else fault.clean}")
        node = model(name, f"{STG}.{SCHEMA}.{name}", **fault.node)
        nodes.append(node)
        if fault.contract:
            nodes.append(generic_test(fault.contract[0], node, parent=nodes[0]["unique_id"], **fault.contract[1]))
        if fault.expectation:
            yaml.append(f"  - {{model: {name}, expectations: [{{{fault.expectation}}}]}}")
        if fault.compare:
            item = fault.compare if fault.compare.startswith("{") else f"{{{fault.compare}}}"
            yaml.append(f"  - {{model: {name}, compare: [{item}]}}")
    assertions = [f'  - {{name: {f.name}, sql: "{f.assertion}"}}' for f in FAULTS if f.assertion]
    smoke_dir = folder / "smoke"
    smoke_dir.mkdir()
    text = "\n".join(["domain: faults", "tables:", *yaml, "assertions:", *assertions])
    (smoke_dir / "faults.yml").write_text(text, encoding="utf-8")
    build = builds.build(*nodes)
    prod = builds.build(*(model(f.name, f"{PROD}.{SCHEMA}_prod.{f.name}") for f in FAULTS), target="prod")
    freshness = (SourceFreshness("source.shop.landing.events", "error" if faulty else "pass", 99_000.0),)
    return run_smoke(
        load_suites(smoke_dir, build),
        spark=spark,
        artifacts=build,
        baseline=prod,
        freshness=freshness,
        recheck=True,
        check=False,
    )


@pytest.fixture(scope="module")
def tables(spark: SparkSession) -> SparkSession:
    for schema in (f"{STG}.{SCHEMA}", f"{PROD}.{SCHEMA}_prod"):
        spark.sql(f"create schema if not exists {schema}")
    spark.sql(f"create or replace view {STG}.{SCHEMA}.parent as {rows(9)}")
    for fault in FAULTS:
        if fault.compare:
            spark.sql(f"create or replace view {PROD}.{SCHEMA}_prod.{fault.name} as {fault.clean}")
    return spark


@pytest.fixture(scope="module")
def faulty(tables: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> SmokeReport:
    return make(tables, tmp_path_factory.mktemp("faulty"), faulty=True)


@pytest.mark.parametrize("name", NAMES)
def test_planted_fault_is_caught_by_its_check(faulty: SmokeReport, name: str) -> None:
    (result,) = (c for c in faulty.checks if name in (c.model, c.name))
    assert result.status == "fail", str(result)


def test_stale_source_is_caught(faulty: SmokeReport) -> None:
    (result,) = (c for c in faulty.checks if c.kind == "freshness")
    assert (result.status, result.observed) == ("fail", "27.5 hours old")


def test_clean_tables_give_no_false_alarm(tables: SparkSession, tmp_path: Path) -> None:
    report = make(tables, tmp_path, faulty=False)
    assert report.ok
    assert report.counts == {"pass": len(FAULTS) + 1}
