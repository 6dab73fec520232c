"""Values at which checks used to raise, or to judge a rounded number: each has its right outcome, on real tables."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from smoke_builds import Build, Builds, model

from dbx_cd.release.log import ReleaseLog
from dbx_cd.smoke.compare import compare_model
from dbx_cd.smoke.report import CheckResult, SmokeReport
from dbx_cd.smoke.run import load_suites, run_smoke
from memory.log_table import MemoryLogTable
from spark_kind import STG

CASE = Path(__file__).resolve().parents[2] / "fixtures" / "cases" / "10-values-that-break-checks" / "base"
SCHEMA = f"{STG}.smoke_values"


@pytest.fixture(scope="module")
def build(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Build:
    """The case's two models, and a table of numbers of many digits."""
    spark.sql(f"create schema if not exists {SCHEMA}")
    spark.sql(f"create or replace table {SCHEMA}.exact as {EXACT}")
    for name in ("samples", "no_samples"):
        sql = (CASE / "models" / f"{name}.sql").read_text(encoding="utf-8")
        query = sql.replace("{{ ref('samples') }}", f"{SCHEMA}.samples")
        spark.sql(f"create or replace table {SCHEMA}.{name} tblproperties ({ZONELESS}) as {query}")
    nodes = [model(name, f"{SCHEMA}.{name}") for name in ("samples", "no_samples", "exact")]
    return Builds(tmp_path_factory.mktemp("builds")).build(*nodes)


ZONELESS = "'delta.feature.timestampNtz' = 'supported'"
EXACT = """
select id, id % 2 as half, 1 as one, 9007199254740992 + id as whole,
  cast(concat('0.10000000000000000', id) as decimal(38,18)) as tenth
from range(2)
"""


@pytest.fixture(scope="module", params=["UTC", "America/New_York"])
def report(spark: SparkSession, build: Build, request: pytest.FixtureRequest) -> Iterator[SmokeReport]:
    before = spark.conf.get("spark.sql.session.timeZone")
    spark.conf.set("spark.sql.session.timeZone", request.param)
    suites = load_suites(CASE / "smoke", build)
    yield run_smoke(suites, spark=spark, artifacts=build, baseline=build, check=False)
    assert before is not None
    spark.conf.set("spark.sql.session.timeZone", before)


OUTCOMES: dict[str, tuple[str, Any, str]] = {
    "a_decimal_mean": ("pass", 0.1, ""),
    "b_decimal_sum": ("pass", 0.6, ""),
    "c_max_of_infinity_and_nan": ("fail", "NaN", "NaN is not a number"),
    "d_sum_of_nan": ("fail", "NaN", "NaN is not a number"),
    "e_quantile_of_nothing": ("fail", None, "no values"),
    "f_length_with_null": ("pass", None, ""),
    "g_empty_text_is_not_null": ("pass", None, ""),
    "h_timestamp_before_zones": ("pass", None, ""),
    "i_date_beyond_nanoseconds": ("pass", "9999-12-31", ""),
    "j_unique_struct": ("pass", 0, ""),
    "k_mean_of_nothing": ("fail", None, "no values"),
    "l_proportion_of_nothing": ("fail", None, "no values"),
    "m_nan": ("fail", "NaN", "NaN is not a number"),
    "m_null": ("fail", None, "no values"),
    "n_rule_on_no_rows": ("pass", None, ""),
    "o_sum_of_no_rows": ("fail", None, "of no rows, or of nulls only, the result is null"),
    "p_no_rows": ("pass", 0, ""),
}


def test_every_value_has_its_outcome_and_says_why(report: SmokeReport) -> None:
    found = {c.name: (c.status, c.observed, c.reason or "") for c in report.checks}
    assert set(found) == set(OUTCOMES)
    wrong = {
        name: found[name]
        for name, (status, observed, reason) in OUTCOMES.items()
        if found[name][:2] != (status, observed) or reason not in found[name][2]
    }
    assert wrong == {}
    assert not report.ok


def test_report_of_such_values_is_json_and_says_none_of_them_in_its_page(report: SmokeReport) -> None:
    table = MemoryLogTable()
    log = ReleaseLog.on(table)
    release = log.open("1a2b3c4", run_id="7", requester="ci")
    log.append(release, report)

    def refuse(token: str) -> None:
        raise AssertionError(f"{token} is no JSON")

    json.loads(table.rows()[-1][1].payload, parse_constant=refuse)
    assert log.last(release, SmokeReport) == report
    page = report.to_html(past=[report])
    assert "nan" not in page.replace("_nan", "").lower().replace("<td>nan</td>", "").replace("nan is not a number", "")
    assert ">None<" not in page


def run(
    spark: SparkSession, build: Build, folder: Path, text: str, *, baseline: Build | None = None
) -> dict[str, CheckResult]:
    (folder / "exact.yml").write_text(f"tables:\n{text}", encoding="utf-8")
    suites = load_suites(folder, build)
    found = run_smoke(
        suites, spark=spark, artifacts=build, baseline=baseline or build, check=False, docs_dir=folder / "docs"
    )
    return {c.name: c for c in found.checks}


def test_limits_of_many_digits_are_compared_exactly(spark: SparkSession, build: Build, tmp_path: Path) -> None:
    text = """
  - model: exact
    expectations:
      - {expect_column_max_to_be_between: {column: tenth, max_value: 0.100000000000000001}, name: max_met}
      - {expect_column_max_to_be_between: {column: tenth, max_value: 0.1}, name: max_not_met}
      - {expect_column_max_to_be_between: {column: whole, max_value: 9007199254740993}, name: whole_met}
      - {expect_column_max_to_be_between: {column: whole, max_value: 9007199254740992}, name: whole_not_met}
      - {expect_column_sum_to_be_between: {column: tenth, min_value: 0.200000000000000002}, name: sum_not_met}
      - {expect_column_min_to_be_between: {column: tenth, min_value: 0.1, strict_min: true}, name: strict}
      - {expect_column_values_to_be_between: {column: tenth, min_value: 0.1, max_value: 0.1}, name: values}
      - {expect_column_values_to_be_between: {column: whole, max_value: 9007199254740992}, name: whole_values}
      - {expect_column_values_to_be_in_set: {column: tenth, value_set: [0.1, 0.3]}, name: set}
      - {expect_column_values_to_be_between: {column: id, max_value: 1.0e+300, min_value: -1.0e+30}, name: huge}
      - expect_column_max_to_be_between:
          {column: whole, max_value: 9007199254740992, row_condition: id = 0, condition_parser: spark}
        name: some_rows
      - expect_column_proportion_of_unique_values_to_be_between:
          {column: one, min_value: 1, row_condition: id = 0, condition_parser: spark}
        name: share_of_some_rows
      - {expect_column_proportion_of_unique_values_to_be_between: {column: one, min_value: 0.51}, name: share}
    compare:
      - {metric: total, sql: sum(tenth), max_value: 0.200000000000000001, min_value: 0.200000000000000001}
      - {metric: too_small, sql: sum(whole), min_value: 18014398509481986}
      - {metric: groups, sql: max(whole), group_by: half, max_value: 9007199254740992}
      - {metric: infinite, sql: max(double('infinity')), min_value: 0}
"""
    found = run(spark, build, tmp_path, text)
    assert {name: c.status for name, c in found.items() if c.status != "fail"} == {
        "huge": "pass",
        "some_rows": "pass",
        "share_of_some_rows": "pass",
        "max_met": "pass",
        "whole_met": "pass",
        "total": "pass",
    }
    assert found["max_not_met"].observed == "0.100000000000000001"
    assert found["whole_not_met"].observed == 9007199254740993
    assert (found["values"].observed, found["values"].examples) == ("1 of 2 rows", ("0.100000000000000001",))
    assert (found["whole_values"].observed, found["whole_values"].examples) == ("1 of 2 rows", ("9007199254740993",))
    assert found["share"].observed == 0.5
    assert found["set"].examples == ("0.100000000000000001",)
    assert found["total"].expected == "at least 0.200000000000000001, at most 0.200000000000000001"
    assert found["too_small"].observed == 18014398509481985
    assert found["groups"].examples == ("half=1, now=9007199254740993",)
    assert found["infinite"].reason == "Infinity is not a number that can be judged"
    page = next((tmp_path / "docs").glob("*exact.html")).read_text(encoding="utf-8")
    assert "maximum value must be less than or equal to" in page
    assert "0.100000000000000001" in page


def test_baseline_of_many_digits_is_compared_exactly(spark: SparkSession, build: Build, tmp_path: Path) -> None:
    earlier = f"select id, half, whole - id as whole, cast(0.1 as decimal(38,18)) as tenth from {SCHEMA}.exact"
    spark.sql(f"create or replace table {SCHEMA}.before as {earlier}")
    before = Builds(tmp_path / "builds").build(model("exact", f"{SCHEMA}.before"), target="prod")
    text = """
  - model: exact
    compare:
      - {metric: decimals, sql: sum(tenth), within_pct: 0}
      - {metric: integers, sql: max(whole), max_rise_pct: 0}
      - {metric: decimals_by_group, sql: sum(tenth), within_pct: 0, group_by: half}
      - {metric: integers_by_group, sql: max(whole), within_pct: 0, group_by: half}
      - {metric: tolerated, sql: sum(tenth), within_pct: 0.1}
      - metric: more_than_the_least
        sql: max(1.0000000000000000000000000000000000002)
        within_pct: 0
        min_baseline: 1.0000000000000000000000000000000000001
      - metric: less_than_the_least
        sql: max(-1.0000000000000000000000000000000000001)
        within_pct: 0
        min_baseline: 1.0000000000000000000000000000000000002
"""
    found = run(spark, build, tmp_path, text, baseline=before)
    assert {name: c.status for name, c in found.items() if c.status != "fail"} == {
        "tolerated": "pass",
        "more_than_the_least": "pass",
        "less_than_the_least": "skipped",
    }
    assert (found["decimals"].observed, found["decimals"].baseline) == ("0.200000000000000001", 0.2)
    assert found["decimals"].reason == "+0.000000000000000001 against the baseline"
    assert found["integers"].reason == "+1 against the baseline"
    assert found["decimals_by_group"].observed == found["integers_by_group"].observed == "1 of 2 groups out of bounds"
    same = run(spark, build, tmp_path, text)
    assert {name for name, c in same.items() if c.status != "pass"} == {"less_than_the_least"}


def test_condition_and_metric_may_end_with_a_comment_and_a_condition_go_on_with_a_limit(
    spark: SparkSession, build: Build, tmp_path: Path
) -> None:
    text = """
  - model: exact
    compare:
      - {metric: total, sql: "sum(one) -- of all", where: "id >= 0 -- or so", within_pct: 0, max_value: 2}
      - {metric: beside, sql: "count(distinct half) -- of all", where: "id >= 0 -- or so", within_pct: 0, max_value: 2}
      - {metric: halves, sql: "sum(one) -- of each", where: "id >= 0 -- or so", group_by: half, within_pct: 0}
      - {metric: first, sql: count(*), where: id >= 0 order by id limit 1, within_pct: 0, max_value: 1}
      - {metric: first_by_half, sql: count(*), where: id >= 0 order by id limit 1, group_by: half, within_pct: 0}
"""
    found = run(spark, build, tmp_path, text)
    assert {name: (c.status, c.reason) for name, c in found.items()} == dict.fromkeys(found, ("pass", None))
    assert (len(found), found["total"].observed, found["first"].observed) == (5, 2, 1)
    assert found["first_by_half"].observed == "0 of 1 groups out of bounds"


def test_profiles_of_such_values_are_kept_legibly(spark: SparkSession, build: Build, tmp_path: Path) -> None:
    late = "timestamp'+12345-01-01 00:00:00'"
    tenth = "cast(concat('1.10000000000000000', id) as decimal(38,18))"
    query = f"select id, half, whole, {tenth} as tenth, double('nan') as odd, {late} as late from {SCHEMA}.exact"
    spark.sql(f"create or replace table {SCHEMA}.far as {query}")
    far = Builds(tmp_path).build(model("exact", f"{SCHEMA}.far"), target="prod")
    compared = compare_model(spark, build, far, model="exact", key=["id"])
    profiles = {d.column: (d.right.least, d.right.greatest) for d in compared.columns if d.right}
    assert profiles == {
        "late": ("+12345-01-01 00:00:00", "+12345-01-01 00:00:00"),
        "odd": ("NaN", "NaN"),
        "tenth": (1.1, "1.100000000000000001"),
    }
    assert json.loads(json.dumps(compared.to_dict(), allow_nan=False))
    shown = {row["id"]: row["differences"] for row in compared.changed}
    assert shown["1"] == "tenth: 0.100000000000000001 | 1.100000000000000001"


def test_year_that_python_does_not_have_is_judged_and_shown(spark: SparkSession, build: Build, tmp_path: Path) -> None:
    late = "timestamp'+12345-01-01 00:00:00'"
    spark.sql(f"create or replace table {SCHEMA}.late as select 1 as id, {late} as late, date'+12345-01-01' as day")
    late_build = Builds(tmp_path / "builds").build(model("late", f"{SCHEMA}.late"))
    text = """
  - model: late
    expectations:
      - {expect_column_max_to_be_between: {column: late, max_value: "2100-01-01"}, name: too_late}
      - {expect_column_max_to_be_between: {column: day, min_value: "2100-01-01"}, name: late_enough}
      - {expect_column_min_to_be_between: {column: day, max_value: "2100-01-01"}, name: day_too_late}
      - {expect_column_max_to_be_between: {column: id, max_value: 1}, name: beside}
assertions:
  - {name: rows, sql: "select late, day from {{ ref('late') }}"}
"""
    found = run(spark, late_build, tmp_path, text)
    assert {name: (c.status, c.observed) for name, c in found.items() if name != "rows"} == {
        "too_late": ("fail", "+12345-01-01 00:00:00"),
        "late_enough": ("pass", "+12345-01-01"),
        "day_too_late": ("fail", "+12345-01-01"),
        "beside": ("pass", 1),
    }
    assert found["rows"].examples == ("late=+12345-01-01 00:00:00, day=+12345-01-01",)
