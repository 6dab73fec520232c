"""The example's own suites on the example's own tables: quiet as built, and each planted fault caught by its check.

All faults are planted at once, in staging, after the releases of `shop_story`; the tables are restored at the end.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlparse

import pytest
from databricks.sdk.service.jobs import NotebookTask, Source, SubmitTask
from pyspark.sql import SparkSession
from shop_story import Observed

from dbx_cd import SmokeReport, load_suites, run_smoke
from dbx_cd.local.workspace import OWNER, EmbeddedWorkspace

ORDERS = """
    select * replace (
        case when order_id % 40 = 1 then 0 else units end as units,
        case when order_id = 12 then 'lost' else status end as status,
        case when order_id = 13 then 999999 else customer_id end as customer_id,
        case when order_id = 14 then null when order_id = 15 then -9999999 else amount end as amount,
        case when order_id = 16 then ordered_at - interval 1 day else updated_at end as updated_at,
        case when order_id = 17 then timestamp'2001-01-01 00:00:00' else ordered_at end as ordered_at
    )
    from stg.shop.orders where country_code <> 'AT' or order_id % 2 = 0 or order_id < 20
    union all select * from stg.shop.orders where order_id = 18
"""
CUSTOMERS = """
    select * replace (
        case when customer_id % 9 = 0 then 'nobody' else email end as email,
        case when customer_id = 4 then null else region end as region,
        active and customer_id % 4 <> 0 as active,
        cast(order_count as string) as order_count
    )
    from stg.shop.customers
    union all
    select * replace (cast(order_count as string) as order_count) from stg.shop.customers where customer_id = 5
"""
BEST = "revenue = (select max(revenue) from stg.shop.daily_revenue)"
REVENUE = f"""
    select * replace (
        case when {BEST} then 6 * revenue when country_code = 'MX' then -revenue else revenue end as revenue
    )
    from stg.shop.daily_revenue where {BEST} or day(order_date) % 3 <> 0
"""
PRODUCTS = """
    select * replace (
        case when product_id = 1 then 'no sku' else sku end as sku,
        case when product_id = 2 then 'toys' else category end as category
    )
    from stg.shop.product_sales union all select * from stg.shop.product_sales where product_id = 3
"""
EVENTS = """
    select * replace (case when event_id = 7 then loaded_at + interval 1 day else occurred_at end as occurred_at)
    from stg.landing.web_events
"""
FAULTY = {
    "stg.shop.orders": ORDERS,
    "stg.shop.customers": CUSTOMERS,
    "stg.shop.daily_revenue": REVENUE,
    "stg.shop.product_sales": PRODUCTS,
    "stg.landing.web_events": EVENTS,
}
# What was planted, and the check that is to say so.
CAUGHT = {
    "duplicate order": "unique_orders_order_id",
    "unknown status": "accepted_values_orders_status",
    "orphan": "relationships_orders_customer_id",
    "missing amount": "not_null_orders_amount",
    "negative total": "expect_column_sum_to_be_between(amount)",
    "no units": "expect_column_values_to_be_between(units)",
    "update before the order": "no_update_before_the_order",
    "half of a country's orders": "orders_by_country",
    "order before the sign-up": "no_order_before_signup",
    "mean of orders": "average_order",
    "duplicate customer": "unique_customers_customer_id",
    "missing region": "not_null_customers_region",
    "wrong type": "customers: columns",
    "malformed e-mail": "expect_column_values_to_match_regex(email)",
    "active users -25%": "active_users",
    "row loss of 30%": "daily_revenue: row_count",
    "negative revenue": "expect_column_values_to_be_between(revenue)",
    "revenue loss": "total_revenue",
    "duplicate product": "unique_product_sales_product_id",
    "wrong SKU": "shop_expectations.ExpectColumnValuesToBeSkus(sku)",
    "event from the future": "no_event_from_the_future",
}
WARNED = {"new category": "expect_column_values_to_be_in_set(category)", "best day": "best_day"}


def look(story: Observed, spark: SparkSession) -> SmokeReport:
    cd = story.workflow.cd
    built = cd.store.latest("stg")
    suites = load_suites(Path(story.workflow.project.repository) / "smoke", built)
    return run_smoke(suites, spark=spark, artifacts=built, baseline=cd.store.latest("prod"), recheck=True, check=False)


@pytest.fixture(scope="module")
def clean(story: Observed, spark: SparkSession) -> SmokeReport:
    return look(story, spark)


@pytest.fixture(scope="module")
def faulty(clean: SmokeReport, story: Observed, spark: SparkSession) -> Iterator[SmokeReport]:
    versions = {t: spark.sql(f"describe history {t} limit 1").collect()[0]["version"] for t in FAULTY}
    try:
        for table, query in FAULTY.items():
            spark.sql(f"create or replace table {table} as {query}")
        yield look(story, spark)
    finally:
        for table, version in versions.items():
            spark.sql(f"restore table {table} to version as of {version}")


def test_suites_of_the_example_give_no_false_alarm(clean: SmokeReport) -> None:
    assert clean.ok
    assert [str(c) for c in clean.checks if c.status not in ("pass", "skipped")] == []
    assert {c.reason for c in clean.skipped} <= {"not built in this release"}


@pytest.mark.parametrize("fault", CAUGHT)
def test_fault_is_caught_by_the_check_named_for_it(faulty: SmokeReport, fault: str) -> None:
    named = [name for c in faulty.failed for name in (c.name, f"{c.model}: {c.name}")]
    assert any(name.startswith(CAUGHT[fault]) for name in named), named


@pytest.mark.parametrize("fault", WARNED)
def test_fault_that_is_only_shown_is_a_warning(faulty: SmokeReport, fault: str) -> None:
    assert WARNED[fault] in {c.name for c in faulty.checks if c.status == "warn"}


def test_sensitive_values_are_in_no_part_of_the_report(faulty: SmokeReport) -> None:
    assert "nobody" not in str(faulty.to_dict())
    assert "no sku" in str(faulty.to_dict()), "others are shown as examples"


def test_analyst_explores_one_domain_and_compares_a_model(
    faulty: SmokeReport, story: Observed, workspace: EmbeddedWorkspace
) -> None:
    page = explore(story, workspace, target="stg", domain="sales", models="product_sales", compare_with="prod")
    assert "Smoke test of stg" in page
    assert "ExpectColumnValuesToBeSkus" in page
    assert "unique_product_sales_product_id" not in page, "another domain"
    assert "active_users" not in page, "another model"
    assert "product_sales: stg against prod" in page
    assert "sku: no sku | BO-0001" in page, "a changed row by its key"


def explore(story: Observed, workspace: EmbeddedWorkspace, **widgets: str) -> str:
    """The page of the notebook `smoke_explore`, run by a person."""
    project = {
        "project_dir": str(story.workflow.project.repository),
        "artifacts_root": str(story.workflow.artifacts_root),
    }
    path = "/Workspace/notebooks/smoke_explore"
    notebook = NotebookTask(path, base_parameters=project | widgets, source=Source.WORKSPACE)
    jobs = workspace.client(OWNER).jobs
    run = jobs.submit(run_name="explore", tasks=[SubmitTask("explore", notebook_task=notebook)]).result()
    (task,) = run.tasks or ()
    return Path(unquote(urlparse(task.run_page_url or "").path)).read_text(encoding="utf-8")
