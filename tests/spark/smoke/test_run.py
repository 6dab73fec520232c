"""Smoke tests on real tables with real Great Expectations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from pyspark.sql import SparkSession
from smoke_builds import Build, Builds, generic_test, model, source

from dbx_cd.dbt.freshness import SourceFreshness
from dbx_cd.errors import ConfigError, SmokeFailed
from dbx_cd.smoke.baseline import TimeTravelBaseline
from dbx_cd.smoke.contracts import contracts_from_manifest
from dbx_cd.smoke.report import CheckResult, SmokeReport
from dbx_cd.smoke.run import NoBaseline, load_suites, run_smoke
from dbx_cd.smoke.suite import SmokeSuite
from spark_kind import PROD, STG

ORDERS = """
    select id as order_id, id % 50 as customer_id, cast(10 + id % 7 as decimal(12,2)) as amount,
           if(id % 3 = 0, 'placed', 'shipped') as status, if(id % 10 = 0, null, concat('u', id, '@x.org')) as email,
           id % 4 = 0 as active
    from range(200)
"""
CUSTOMERS = "select id as customer_id, concat('c''', id) as name, if(id < 20, 'north', 'süd') as region from range(50)"


@pytest.fixture(scope="module")
def shop(spark: SparkSession) -> SparkSession:
    for catalog, schema in ((STG, "smoke_stg"), (PROD, "smoke_prod")):
        spark.sql(f"create schema if not exists {catalog}.{schema}")
        spark.sql(f"create or replace table {catalog}.{schema}.orders as {ORDERS}")
        spark.sql(f"create or replace table {catalog}.{schema}.customers as {CUSTOMERS}")
    return spark


@pytest.fixture
def ansi(spark: SparkSession) -> Iterator[None]:
    """SQL that raises where a cast is impossible: the default of Spark 4 and of SQL warehouses, and not before."""
    name = "spark.sql.ansi.enabled"
    before = spark.conf.get(name)
    assert before is not None
    spark.conf.set(name, "true")
    yield
    spark.conf.set(name, before)


@pytest.fixture
def builds(tmp_path: Path) -> Builds:
    return Builds(tmp_path / "builds")


@pytest.fixture
def smoke_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "smoke"
    folder.mkdir()
    return folder


ORDERS_NODE = model("orders", f"{STG}.smoke_stg.orders")
CUSTOMERS_NODE = model("customers", f"{STG}.smoke_stg.customers")
PROD_NODES = (model("orders", f"{PROD}.smoke_prod.orders"), model("customers", f"{PROD}.smoke_prod.customers"))


def run(spark: SparkSession, build: Build, smoke_dir: Path | None = None, **options: Any) -> SmokeReport:
    """Without a folder the contracts alone."""
    options.setdefault("check", False)
    suites = load_suites(smoke_dir, build) if smoke_dir else [contracts_from_manifest(build.manifest())]
    return run_smoke(suites, spark=spark, artifacts=build, **options)


def only(report: SmokeReport, name: str) -> CheckResult:
    (found,) = (c for c in report.checks if c.name == name)
    return found


def table(spark: SparkSession, name: str, query: str) -> dict[str, Any]:
    spark.sql(f"create or replace table {STG}.smoke_stg.{name} as {query}")
    return model(name, f"{STG}.smoke_stg.{name}")


def suite(smoke_dir: Path, text: str, *, name: str = "sales") -> Path:
    path = smoke_dir / f"{name}.yml"
    path.write_text(f"domain: {name}\nowner: sales@example.org\n{text.lstrip()}", encoding="utf-8")
    return path


def test_clean_build_passes_every_kind_of_check(shop: SparkSession, builds: Builds, smoke_dir: Path) -> None:
    build = builds.build(
        ORDERS_NODE,
        CUSTOMERS_NODE,
        generic_test("unique", ORDERS_NODE, column_name="order_id"),
        generic_test("not_null", ORDERS_NODE, column_name="ORDER_ID"),
        generic_test("accepted_values", ORDERS_NODE, column_name="status", values=["placed", "shipped"]),
        generic_test(
            "relationships",
            ORDERS_NODE,
            parent=CUSTOMERS_NODE["unique_id"],
            column_name="customer_id",
            to="ref('customers')",
            field="customer_id",
        ),
    )
    suite(
        smoke_dir,
        """
tables:
  - model: orders
    expectations:
      - expect_column_sum_to_be_between: {column: amount, min_value: 0}
        guardrail: true
      - expect_column_values_to_match_regex: {column: email, regex: "@x"}
    compare:
      - row_count: {within_pct: 20}
      - metric: revenue
        sql: sum(amount)
        where: status <> 'cancelled'
        max_drop_pct: 5
      - metric: revenue_by_status
        sql: sum(amount)
        group_by: status
        within_pct: 5
assertions:
  - name: every_order_has_a_customer
    sql: >
      select order_id from {{ ref('orders') }} as o left anti join {{ ref('customers') }} as c
      on o.customer_id = c.customer_id
""",
    )
    report = run(
        shop,
        build,
        smoke_dir,
        baseline=builds.build(*PROD_NODES, target="prod"),
        freshness=(SourceFreshness("source.shop.landing.events", "pass", 3600.0),),
    )
    assert report.ok, str(report.failed)
    assert report.counts == {"pass": 11}
    assert {c.kind for c in report.checks} == {"contract", "expectation", "metric", "assertion", "freshness"}
    assert only(report, "revenue").observed == only(report, "revenue").baseline
    assert SmokeReport.from_dict(report.to_dict()) == report


class Begun(list[SmokeSuite]):
    """Suites that say when the first of them is looked at."""

    def __init__(self, suites: Sequence[SmokeSuite]) -> None:
        super().__init__(suites)
        self.event = Event()

    def __iter__(self) -> Iterator[SmokeSuite]:
        self.event.set()
        return super().__iter__()


def test_freshness_is_asked_while_the_checks_run(shop: SparkSession, builds: Builds) -> None:
    build = builds.build(ORDERS_NODE, generic_test("unique", ORDERS_NODE, column_name="order_id"))
    suites = Begun([contracts_from_manifest(build.manifest())])
    late = SourceFreshness("source.shop.landing.events", "error", 99_000.0)
    asked: list[bool] = []

    def ask() -> list[SourceFreshness]:
        asked.append(suites.event.wait(60))
        return [late]

    report = run_smoke(suites, spark=shop, artifacts=build, freshness=ask, check=False)
    assert asked == [True]
    assert [(c.name, c.status) for c in report.failed] == [("freshness of landing.events", "fail")]


def test_what_asking_for_freshness_raises_is_raised(shop: SparkSession, builds: Builds) -> None:
    def ask() -> None:
        raise ConfigError("no project here")

    with pytest.raises(ConfigError, match="no project here"):
        run_smoke([], spark=shop, artifacts=builds.build(ORDERS_NODE), freshness=ask)


@pytest.mark.parametrize(
    ("test", "query", "kwargs"),
    [
        ("unique", "select explode(array(1, 1, 2)) as k", {"column_name": "k"}),
        ("not_null", "select explode(array(1, null)) as k", {"column_name": "k"}),
        ("accepted_values", "select explode(array('a', 'b')) as k", {"column_name": "k", "values": ["a"]}),
        (
            "accepted_values",
            "select explode(array(1, 5)) as k",
            {"column_name": "k", "values": [1, 2], "quote": False},
        ),
        (
            "dbt_utils.unique_combination_of_columns",
            "select explode(array(1, 1)) as k, 'x' as j",
            {"combination_of_columns": ["k", "j"]},
        ),
    ],
)
def test_contract_that_dbt_did_not_run_catches_the_fault_here(
    shop: SparkSession, builds: Builds, test: str, query: str, kwargs: dict[str, Any]
) -> None:
    node = table(shop, "faulty", query)
    report = run(shop, builds.build(node, generic_test(test, node, **kwargs)))
    (result,) = report.checks
    assert (result.status, result.kind, result.relation) == ("fail", "contract", f"{STG}.smoke_stg.faulty")
    assert not report.ok


def test_orphan_is_shown_as_an_example(shop: SparkSession, builds: Builds) -> None:
    child = table(shop, "child", "select explode(array(1, 99, null)) as customer_id")
    orphan = generic_test(
        "relationships", child, parent=CUSTOMERS_NODE["unique_id"], column_name="customer_id", field="customer_id"
    )
    (result,) = run(shop, builds.build(child, CUSTOMERS_NODE, orphan)).checks
    assert (result.status, result.observed, result.examples) == ("fail", "1 rows", ("customer_id=99",))


def test_contract_checked_by_dbt_build_is_not_executed_again(shop: SparkSession, builds: Builds) -> None:
    node = table(shop, "faulty", "select explode(array(1, 1)) as k")
    unique = generic_test("unique", node, column_name="k")
    build = builds.build(node, unique, results={unique["unique_id"]: {"status": "pass", "failures": 0}})
    (result,) = run(shop, build).checks
    assert (result.status, result.reason) == ("pass", "checked by dbt build in this release")
    (rechecked,) = run(shop, build, recheck=True).checks
    assert rechecked.status == "fail"


def test_contract_that_dbt_skipped_is_executed_here(shop: SparkSession, builds: Builds) -> None:
    unique = generic_test("unique", ORDERS_NODE, column_name="order_id")
    (result,) = run(shop, builds.build(ORDERS_NODE, unique, results={unique["unique_id"]: "skipped"})).checks
    assert (result.status, result.reason) == ("pass", None)


@pytest.mark.parametrize(
    ("config", "status"),
    [
        ({"where": "k > 1"}, "pass"),
        ({"severity": "WARN"}, "warn"),
        ({"error_if": "> 1"}, "warn"),
        ({"error_if": "> 1", "warn_if": "> 1"}, "pass"),
        ({"severity": "warn", "error_if": "> 0"}, "warn"),
        ({"where": "{{ var('x') }}"}, "skipped"),
    ],
)
def test_where_severity_and_thresholds_of_a_dbt_test_count(
    shop: SparkSession, builds: Builds, config: dict[str, Any], status: str
) -> None:
    node = table(shop, "faulty", "select explode(array(1, 1, 2)) as k")
    (result,) = run(shop, builds.build(node, generic_test("unique", node, config=config, column_name="k"))).checks
    assert result.status == status


def test_keys_of_an_enforced_contract_are_verified_although_databricks_only_records_them(
    shop: SparkSession, builds: Builds
) -> None:
    shop.sql(f"create or replace table {STG}.smoke_stg.keyed as select explode(array(1, 1, 7)) as k, 1 as parent_id")
    column = {"name": "k", "data_type": "int", "constraints": [{"type": "primary_key"}, {"type": "not_null"}]}
    key = {"type": "foreign_key", "to": f"`{STG}`.`smoke_stg`.`customers`", "to_columns": ["customer_id"]}
    parent = {"name": "parent_id", "data_type": "integer", "constraints": [key]}
    keyed = model(
        "keyed",
        f"{STG}.smoke_stg.keyed",
        config={"contract": {"enforced": True}},
        columns={"k": column, "parent_id": parent},
    )
    build = builds.build(keyed, CUSTOMERS_NODE)
    report = run(shop, build)
    assert {c.name: (c.status, c.reason) for c in report.checks} == {
        "keyed: primary key (k)": ("fail", None),
        "keyed: foreign key (parent_id)": ("pass", None),
        "keyed: columns": ("pass", "checked by dbt build in this release"),
        "keyed: not null (k)": ("pass", "checked by dbt build in this release"),
    }
    assert only(run(shop, build, recheck=True), "keyed: columns").status == "pass"
    shop.sql(f"create or replace table {STG}.smoke_stg.keyed as select 1L as k, 1 as parent_id, 2 as more")
    changed = only(run(shop, build, recheck=True), "keyed: columns")
    assert (changed.status, changed.observed) == ("fail", "more is not in the contract; k is bigint, not int")


def test_keys_to_another_environment_s_relations_are_checked_or_broken_and_never_skipped(
    shop: SparkSession, builds: Builds
) -> None:
    """As dbt compiles them in a deferred build: a node's relation in another environment, and one that is no node's."""
    shop.sql(f"create or replace table {STG}.smoke_stg.deferring as select explode(array(1, 99)) as a, 1 as b")
    keys = {"a": "`other`.`shop`.`customers`", "b": "`other`.`shop`.`nobody`"}
    columns = {
        name: {
            "name": name,
            "data_type": "int",
            "constraints": [{"type": "foreign_key", "to": to, "to_columns": ["customer_id"]}],
        }
        for name, to in keys.items()
    }
    deferring = model(
        "deferring", f"{STG}.smoke_stg.deferring", config={"contract": {"enforced": True}}, columns=columns
    ) | {"depends_on": {"nodes": [CUSTOMERS_NODE["unique_id"]]}}
    report = run(shop, builds.build(deferring, CUSTOMERS_NODE))
    found = only(report, "deferring: foreign key (a)")
    assert (found.status, found.examples) == ("fail", ("a=99, b=1",))
    unknown = only(report, "deferring: foreign key (b)")
    assert (unknown.status, unknown.reason) == ("broken", "the manifest has no node `other`.`shop`.`nobody`")


def test_a_key_that_names_its_parent_is_checked_with_a_parent_from_before_also_when_state_is_favored(
    shop: SparkSession, builds: Builds
) -> None:
    """dbt has compiled where the ref resolved: of another key nobody knows what was meant but the state's."""
    shop.sql(f"create or replace table {STG}.smoke_stg.favoring as select explode(array(1, 99)) as a")
    key = {"type": "foreign_key", "to_columns": ["customer_id"]}

    def checked(to: str) -> tuple[str, str | None]:
        column = {"name": "a", "data_type": "int", "constraints": [key | {"to": to}]}
        favoring = model(
            "favoring", f"{STG}.smoke_stg.favoring", config={"contract": {"enforced": True}}, columns={"a": column}
        ) | {"depends_on": {"nodes": [CUSTOMERS_NODE["unique_id"]]}}
        build = builds.build(favoring, CUSTOMERS_NODE, not_built=["customers"], args={"favor_state": True})
        found = only(run(shop, build), "favoring: foreign key (a)")
        return found.status, found.observed or found.reason

    assert checked(f"`{STG}`.`smoke_stg`.`customers`") == ("fail", "1 rows")
    assert checked("`other`.`shop`.`customers`") == ("skipped", "not built in this release")


@pytest.mark.usefixtures("ansi")
def test_every_fault_is_reported_in_one_run(shop: SparkSession, builds: Builds, smoke_dir: Path) -> None:
    faulty = table(
        shop, "faulty", "select explode(array(-5, 1)) as amount, 'x' as label, cast('nan' as double) as ratio"
    )
    suite(
        smoke_dir,
        """
tables:
  - model: faulty
    expectations:
      - expect_column_sum_to_be_between: {column: amount, min_value: 0}
      - expect_column_sum_to_be_between: {column: label, min_value: 0}
      - expect_column_max_to_be_between: {column: amonut, max_value: 3}
      - expect_column_values_to_be_between: {column: amount, min_value: 0}
        severity: warn
      - expect_column_values_to_be_betwen: {column: amount, min_value: 0}
      - no_such_package.checks.ExpectNothing: {}
    compare:
      - {metric: not_a_number, sql: sum(ratio), min_value: 0}
      - {metric: no_rows, sql: "sum(if(amount > 100, amount, null))", min_value: 0}
      - {metric: no_such_column, sql: sum(nope), min_value: 0}
      - {metric: not_an_aggregate, sql: amount, min_value: -100}
      - {metric: a_word, sql: max(label), min_value: 0}
      - {metric: fine, sql: count(*), min_value: 2}
  - model: orders
    expectations: [expect_table_row_count_to_be_between: {min_value: 1}]
  - model: customrs
    expectations: [expect_table_row_count_to_be_between: {min_value: 1}]
assertions:
  - {name: bad_sql, sql: "selec 1"}
  - {name: bad_ref, sql: "select 1 from {{ ref('orderz') }}"}
  - {name: not_offered, sql: "select {{ range(3) }}"}
  - {name: two_rows, sql: "select amount from {{ ref('faulty') }}"}
""",
    )
    report = run(shop, builds.build(faulty, ORDERS_NODE, CUSTOMERS_NODE), smoke_dir)
    found = {c.where: (c.status, c.reason) for c in report.checks}
    assert found["smoke/sales.yml:6"][0] == "fail"
    assert found["smoke/sales.yml:7"][0] == "broken"
    assert "CAST_INVALID_INPUT" in str(found["smoke/sales.yml:7"][1])
    assert found["smoke/sales.yml:8"] == ("broken", "there is no column `amonut`; did you mean `amount`?")
    assert found["smoke/sales.yml:9"][0] == "warn"
    assert "did you mean `expect_column_values_to_be_between`" in str(found["smoke/sales.yml:11"][1])
    assert found["smoke/sales.yml:12"] == ("broken", "No module named 'no_such_package'")
    assert found["smoke/sales.yml:14"][0] == "fail"
    assert "NaN is not a number" in str(found["smoke/sales.yml:14"][1])
    assert "no values" in str(found["smoke/sales.yml:15"][1])
    assert "nope" in str(found["smoke/sales.yml:16"][1])
    assert (
        found["smoke/sales.yml:16"][0] == found["smoke/sales.yml:17"][0] == found["smoke/sales.yml:18"][0] == "broken"
    )
    assert found["smoke/sales.yml:19"][0] == "pass"
    assert found["smoke/sales.yml:21"][0] == "pass"
    status, reason = found["smoke/sales.yml:23"]
    assert status == "broken"
    assert reason.startswith("the project has no model `customrs`; did you mean `customers`? Next: "), reason
    assert found["smoke/sales.yml:25"][0] == "broken"
    assert "did you mean `orders`" in str(found["smoke/sales.yml:26"][1])
    assert found["smoke/sales.yml:27"][0] == "broken"
    assert only(report, "two_rows").examples == ("amount=-5", "amount=1")
    assert len(report.checks) == 18
    assert not report.ok


def test_missing_table_breaks_its_own_checks_only(shop: SparkSession, builds: Builds, smoke_dir: Path) -> None:
    gone = model("gone", f"{STG}.smoke_stg.gone")
    row_count = "expectations: [expect_table_row_count_to_be_between: {min_value: 1}]"
    suite(smoke_dir, f"tables:\n  - model: gone\n    {row_count}\n  - model: orders\n    {row_count}\n")
    report = run(shop, builds.build(gone, ORDERS_NODE), smoke_dir)
    assert {c.model: c.status for c in report.checks} == {"gone": "broken", "orders": "pass"}
    assert "TABLE_OR_VIEW_NOT_FOUND" in str(report.failed[0].reason)


def test_row_loss_and_metric_drop_against_prod_are_caught(shop: SparkSession, builds: Builds, smoke_dir: Path) -> None:
    shop.sql(f"create or replace table {STG}.smoke_stg.fewer as select * from ({ORDERS}) where order_id < 140")
    suite(
        smoke_dir,
        """
tables:
  - model: orders
    compare:
      - row_count: {within_pct: 20}
      - {metric: active_users, sql: count(distinct case when active then customer_id end), max_drop_pct: 20}
      - {metric: active_orders, sql: count_if(active), max_drop_pct: 20, severity: warn}
      - {metric: rows_tolerated, sql: count(*), max_drop_pct: 40}
      - {metric: few, sql: count_if(order_id < 3), min_baseline: 10, within_pct: 1}
      - {metric: none_at_all, sql: count_if(order_id > 1000), within_pct: 1}
      - {metric: by_status, sql: count(*), group_by: [status], max_drop_pct: 20}
""",
    )
    orders = model("orders", f"{STG}.smoke_stg.fewer")
    report = run(shop, builds.build(orders), smoke_dir, baseline=builds.build(*PROD_NODES, target="prod"))
    row_count = only(report, "row_count")
    assert (row_count.status, row_count.observed, row_count.baseline, row_count.low) == ("fail", 140, 200, 160)
    assert row_count.reason == "-30.0% against the baseline"
    assert only(report, "active_users").status == "pass"
    assert only(report, "active_orders").status == "warn"
    assert only(report, "rows_tolerated").status == "pass"
    assert only(report, "few").reason == "the baseline 3 is below min_baseline 10"
    assert "zero" in str(only(report, "none_at_all").reason)
    assert only(report, "by_status").status == "fail"
    assert len(only(report, "by_status").examples) == 2


def test_without_a_baseline_a_comparison_is_skipped_and_never_passes(
    shop: SparkSession, builds: Builds, smoke_dir: Path
) -> None:
    suite(smoke_dir, "tables: [{model: orders, compare: [{row_count: {within_pct: 20}}]}]")
    report = run(shop, builds.build(ORDERS_NODE), smoke_dir, baseline=NoBaseline("prod has not been built yet"))
    (result,) = report.checks
    assert (result.status, result.reason, result.observed) == ("skipped", "prod has not been built yet", 200)
    assert not report.ok, "nothing that was built has been judged"
    missing = builds.build(model("orders", f"{PROD}.smoke_prod.not_there"), target="prod")
    (result,) = run(shop, builds.build(ORDERS_NODE), smoke_dir, baseline=missing).checks
    assert (result.status, result.reason) == ("skipped", f"`{PROD}`.`smoke_prod`.`not_there` does not exist")


def test_prod_is_compared_with_itself_at_the_restore_point(shop: SparkSession, builds: Builds, smoke_dir: Path) -> None:
    name = f"{PROD}.smoke_prod.travel"
    shop.sql(f"create or replace table {name} as select * from range(100)")
    version = shop.sql(f"describe history {name}").agg({"version": "max"}).collect()[0][0]
    shop.sql(f"create or replace table {name} as select * from range(60)")
    missing = f"{PROD}.smoke_prod.orders"
    point = TimeTravelBaseline(versions={name: version, missing: None}, kinds={name: "table", missing: "missing"})
    row_count = "compare: [{row_count: {within_pct: 20}}]"
    suite(smoke_dir, f"tables: [{{model: travel, {row_count}}}, {{model: orders, {row_count}}}]")
    build = builds.build(model("travel", name), PROD_NODES[0], target="prod")
    report = run(shop, build, smoke_dir, baseline=point)
    assert {c.model: (c.status, c.observed, c.baseline) for c in report.checks} == {
        "travel": ("fail", 60, 100),
        "orders": ("skipped", 200, None),
    }
    assert report.skipped[0].reason == f"{PROD}.smoke_prod.orders did not exist before this release"


def test_model_outside_the_build_is_skipped_with_its_reason(
    shop: SparkSession, builds: Builds, smoke_dir: Path
) -> None:
    suite(
        smoke_dir,
        """
tables: [{model: heavy, expectations: [expect_table_row_count_to_be_between: {min_value: 1}]}]
assertions: [{name: about_heavy, sql: "select 1 from {{ ref('heavy') }}"}]
""",
    )
    heavy = model("heavy", f"{STG}.smoke_stg.heavy")
    report = run(shop, builds.build(ORDERS_NODE, heavy, not_built=["heavy"]), smoke_dir)
    assert [(c.status, c.reason) for c in report.checks] == [("skipped", "not built in this release")] * 2
    assert not report.ok, "nothing of what was built was looked at"


def test_parent_that_was_deferred_is_read_where_dbt_read_it(shop: SparkSession, builds: Builds) -> None:
    child = table(shop, "child", "select explode(array(1, 99)) as customer_id")
    parent = model("customers", f"{PROD}.smoke_prod.no_customers_here")
    test = generic_test(
        "relationships", child, parent=parent["unique_id"], column_name="customer_id", field="customer_id"
    )
    compiled = f"select customer_id from {STG}.smoke_stg.child where customer_id not in (select customer_id from {{}})"
    test |= {"compiled_code": compiled.format(f"{STG}.smoke_stg.customers")}
    (result,) = run(shop, builds.build(child, parent, test, not_built=["customers"])).checks
    assert (result.status, result.examples) == ("fail", ("customer_id=99",))
    del test["compiled_code"]
    (result,) = run(shop, builds.build(child, parent, test, not_built=["customers"])).checks
    assert (result.status, result.reason) == ("skipped", "not built in this release")


def test_singular_test_comes_from_dbt_and_is_rechecked_by_its_own_sql(shop: SparkSession, builds: Builds) -> None:
    node = table(shop, "child", "select 1 as customer_id")
    singular = generic_test("anything", node) | {"test_metadata": None, "compiled_code": "select 1 as wrong"}
    build = builds.build(node, singular, results={singular["unique_id"]: "pass"})
    assert [c.status for c in run(shop, build).checks] == ["pass"]
    assert [c.status for c in run(shop, build, recheck=True).checks] == ["fail"]


def test_contract_of_a_source_is_executed(shop: SparkSession, builds: Builds) -> None:
    landing = source("customers", f"{STG}.smoke_stg.customers")
    (result,) = run(shop, builds.build(landing, generic_test("not_null", landing, column_name="name"))).checks
    assert (result.status, result.model) == ("pass", "customers")


def test_source_that_this_build_does_not_read_may_be_missing(shop: SparkSession, builds: Builds) -> None:
    landing = source("events", f"{PROD}.smoke_prod.no_events_here")
    check = generic_test("not_null", landing, column_name="id")
    (result,) = run(shop, builds.build(landing, ORDERS_NODE, check)).checks
    assert (result.status, result.reason) == ("skipped", "not built in this release")
    reader = ORDERS_NODE | {"depends_on": {"nodes": [landing["unique_id"]]}}
    (result,) = run(shop, builds.build(landing, reader, check)).checks
    assert result.status == "broken"


def test_tiny_suite_is_contracts_and_guardrails(shop: SparkSession, builds: Builds, smoke_dir: Path) -> None:
    row_count = "expect_table_row_count_to_be_between: {min_value: 1}"
    suite(smoke_dir, f"tables: [{{model: orders, expectations: [{{{row_count}, guardrail: true}}, {row_count}]}}]")
    suite(smoke_dir, f"tables: [{{model: orders, expectations: [{row_count}]}}]", name="people")
    build = builds.build(ORDERS_NODE, generic_test("unique", ORDERS_NODE, column_name="order_id"))
    report = run(shop, build, smoke_dir, tiny=True)
    assert [(c.kind, c.domain, c.status) for c in report.checks] == [
        ("suite", "people", "warn"),
        ("contract", "contracts", "pass"),
        ("expectation", "sales", "pass"),
    ]
    assert report.ok


def test_each_group_is_judged_against_its_own_baseline(shop: SparkSession, builds: Builds, smoke_dir: Path) -> None:
    then = "(null, 10D), ('gone', 10D), ('null', 10D), ('nan', 10D), ('low', 10D), ('few', 2D), ('zero', 0D)"
    now = "(null, 10D), ('null', null), ('nan', double('nan')), ('low', 5D), ('few', 1D), ('zero', 7D), ('new', 3D)"
    for relation, rows in ((f"{PROD}.smoke_prod.grouped", then), (f"{STG}.smoke_stg.grouped", now)):
        shop.sql(f"create or replace table {relation} as select * from values {rows} as t(kind, amount)")
    suite(
        smoke_dir,
        """
tables:
  - model: grouped
    compare:
      - {metric: by_kind, sql: sum(amount), group_by: kind, max_drop_pct: 20, min_baseline: 5}
      - {metric: all_new, sql: sum(amount), group_by: kind, where: "kind in ('new', 'zero')", max_rise_pct: 10}
      - {metric: absolute, sql: sum(amount), group_by: [KIND], where: "kind = 'new'", min_value: 1}
      - {metric: no_groups, sql: count(*), group_by: kind, where: "kind = 'x'", min_value: 1}
      - {metric: no_such_column, sql: count(*), group_by: knd, min_value: 1}
""",
    )
    build = builds.build(model("grouped", f"{STG}.smoke_stg.grouped"))
    prod = builds.build(model("grouped", f"{PROD}.smoke_prod.grouped"), target="prod")
    report = run(shop, build, smoke_dir, baseline=prod)
    by_kind = only(report, "by_kind")
    assert (by_kind.status, by_kind.observed) == ("fail", "4 of 8 groups out of bounds")
    assert by_kind.reason == "3 groups have no baseline to judge them by"
    assert {e.split(",")[0] for e in by_kind.examples} == {"kind=gone", "kind=null", "kind=nan", "kind=low"}
    all_new = only(report, "all_new")
    assert (all_new.status, all_new.reason) == ("skipped", "2 groups have no baseline to judge them by")
    assert (only(report, "absolute").status, only(report, "absolute").observed) == (
        "pass",
        "0 of 1 groups out of bounds",
    )
    assert (only(report, "no_groups").status, only(report, "no_groups").reason) == ("skipped", "there are no groups")
    assert only(report, "no_such_column").status == "broken"
    assert "knd" in str(only(report, "no_such_column").reason)


def test_empty_table_fails_what_it_cannot_answer(shop: SparkSession, builds: Builds, smoke_dir: Path) -> None:
    shop.sql(f"create or replace table {STG}.smoke_stg.nothing as select * from ({ORDERS}) where false")
    suite(
        smoke_dir,
        """
tables:
  - model: orders
    expectations: [expect_column_values_to_be_between: {column: amount, min_value: 0}]
    compare:
      - row_count: {within_pct: 20}
      - {metric: revenue, sql: sum(amount), max_drop_pct: 20}
      - {metric: by_status, sql: count(*), group_by: status, max_drop_pct: 20}
      - {metric: several_rows, sql: "explode(array(1, 2))", min_value: 0}
      - {metric: several_rows_of_the_baseline, sql: "explode(array(1, 2))", within_pct: 1}
      - {metric: no_rows_of_the_baseline, sql: "explode(array())", within_pct: 1}
""",
    )
    empty = model("orders", f"{STG}.smoke_stg.nothing")
    report = run(shop, builds.build(empty), smoke_dir, baseline=builds.build(*PROD_NODES, target="prod"))
    assert {c.name: c.status for c in report.checks} == {
        "expect_column_values_to_be_between(amount)": "pass",
        "row_count": "fail",
        "revenue": "fail",
        "by_status": "fail",
        "several_rows": "broken",
        "several_rows_of_the_baseline": "broken",
        "no_rows_of_the_baseline": "broken",
    }
    assert only(report, "row_count").reason == "-100.0% against the baseline"
    assert "null" in str(only(report, "revenue").reason)


@pytest.mark.usefixtures("ansi")
def test_sensitive_columns_never_show_their_values(
    shop: SparkSession, builds: Builds, smoke_dir: Path, tmp_path: Path
) -> None:
    orders = ORDERS_NODE | {"columns": {"email": {"name": "email", "tags": ["pii"]}}}
    suite(
        smoke_dir,
        """
tables:
  - model: orders
    expectations:
      - expect_column_values_to_match_regex: {column: email, regex: nowhere}
      - expect_column_distinct_values_to_be_in_set: {column: email, value_set: [nowhere]}
      - expect_column_most_common_value_to_be_in_set: {column: email, value_set: [nowhere]}
      - unexpected_rows_expectation: {unexpected_rows_query: "select * from {batch}"}
    compare:
      - {metric: total, sql: sum(cast(email as int)), min_value: 0}
      - {metric: by_email, sql: count(*), group_by: email, max_value: 0}
assertions:
  - {name: all_rows, sql: "select order_id, email from {{ ref('orders') }} where order_id = 1"}
  - {name: renamed, sql: "select order_id, EMAIL as contact, 1 as status from {{ ref('orders') }} where order_id = 1"}
""",
    )
    docs = tmp_path / "docs"
    report = run(shop, builds.build(orders), smoke_dir, docs_dir=docs)
    assert {c.name: c.status for c in report.checks if c.status != "fail"} == {
        "total": "broken",
        "unexpected_rows_expectation": "broken",
    }
    assert only(report, "all_rows").examples == ("order_id=1",)
    assert only(report, "renamed").examples == ("order_id=1, status=1",)
    assert only(report, "expect_column_values_to_match_regex(email)").observed == "180 of 200 rows"
    assert only(report, "by_email").observed == "181 of 181 groups out of bounds"
    assert [str(c) for c in report.checks if "@x.org" in str((c.reason, c.observed, c.expected, c.examples))] == []
    assert "@x.org" not in str(report.to_dict())
    pages = [page.read_text(encoding="utf-8") for page in docs.iterdir()]
    assert len(pages) == 5
    assert not [page for page in pages if "@x.org" in page]


@pytest.mark.usefixtures("ansi")
def test_a_sensitive_value_is_not_told_by_what_spark_says_of_it(
    shop: SparkSession, builds: Builds, smoke_dir: Path
) -> None:
    node = table(shop, "secrets", "select 1 as id, 'secret\\nmore' as raw") | {
        "columns": {"raw": {"name": "raw", "tags": ["pii"]}}
    }
    suite(
        smoke_dir,
        """
assertions:
  - {name: cast, sql: "select id from {{ ref('secrets') }} where cast(raw as int) > 0"}
  - {name: date, sql: "select id from {{ ref('secrets') }} where to_date(raw, 'yyyy') is null"}
  - {name: raised, sql: "select id from {{ ref('secrets') }} where assert_true(false, raw) is null"}
  - {name: shown, sql: "select cast(raw as int) as id from {{ ref('secrets') }}"}
  - {name: misspelt, sql: "select raww from {{ ref('secrets') }}"}
""",
    )
    report = run(shop, builds.build(node), smoke_dir)
    assert {c.name: c.status for c in report.checks} == {
        **dict.fromkeys(("cast", "date", "raised", "misspelt"), "broken"),
        "shown": "fail",
    }
    assert "secret\\n" not in str(report.to_dict())
    assert "secret'" not in str(report.to_dict())
    assert "[CAST_INVALID_INPUT] 'hidden'" in str(only(report, "cast").reason)
    assert "UNRESOLVED_COLUMN" in str(only(report, "misspelt").reason)


@pytest.mark.usefixtures("ansi")
@pytest.mark.parametrize("thresholds", [{}, {"warn_if": "> 1", "error_if": "> 10"}], ids=str)
def test_rows_that_can_be_counted_and_not_shown_are_judged_as_dbt_judges_them(
    shop: SparkSession, builds: Builds, thresholds: dict[str, str]
) -> None:
    """dbt counts failing rows, and no column of theirs is computed for that."""
    node = table(shop, "texts", "select * from values (1, 'x'), (2, '5') as t(id, raw)")
    singular = generic_test("anything", node, config={"severity": "warn" if not thresholds else "error", **thresholds})
    singular |= {
        "test_metadata": None,
        "compiled_code": f"select id, cast(raw as int) as n from {node['relation_name']}",
    }
    (check,) = run(shop, builds.build(node, singular)).checks
    assert (check.status, len(check.examples)) == ("warn", 1)
    assert "no row can be shown: [CAST_INVALID_INPUT]" in check.examples[0]


@pytest.mark.parametrize("bounds", ["{min_value: 1, max_value: 10}", "{within_pct: 10}"])
def test_a_group_whose_value_is_no_number_is_out_where_sql_is_not_ansi_too(
    shop: SparkSession, builds: Builds, smoke_dir: Path, bounds: str
) -> None:
    """The default of clusters before Databricks Runtime 17."""
    node = table(shop, "words", "select * from values ('a', 'abc'), ('b', '7') as t(k, word)")
    suite(
        smoke_dir,
        f"tables: [{{model: words, compare: [{{metric: m, sql: max(word), group_by: k, {bounds[1:-1]}}}]}}]",
    )
    build = builds.build(node)
    shop.conf.set("spark.sql.ansi.enabled", "false")
    try:
        (check,) = run(shop, build, smoke_dir, baseline=build).checks
    finally:
        shop.conf.unset("spark.sql.ansi.enabled")
    assert (check.status, check.observed) == ("fail", "1 of 2 groups out of bounds")


def test_raise_if_failed_carries_the_report(shop: SparkSession, builds: Builds, smoke_dir: Path) -> None:
    suite(smoke_dir, "assertions: [{name: never, sql: select 1 as one}]")
    build = builds.build(ORDERS_NODE)
    with pytest.raises(SmokeFailed, match="never") as caught:
        run(shop, build, smoke_dir, check=True)
    assert isinstance(caught.value.report, SmokeReport)


def test_hostile_names_stay_text_in_the_page(shop: SparkSession, builds: Builds, smoke_dir: Path) -> None:
    suite(smoke_dir, "assertions: [{name: '<script>alert(1)</script>', sql: \"select '<b>' as x\"}]")
    page = run(shop, builds.build(ORDERS_NODE), smoke_dir).to_html()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
