"""The example's own suites on the example's own tables: quiet as built, and each planted fault caught by its check.

All faults are planted at once, in staging, after the releases of `shop_story`; the tables are restored at the end.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlparse

import pytest
from databricks.sdk.service.jobs import NotebookTask, Source, SubmitTask
from pyspark.sql import SparkSession
from shop_story import Observed

from dbx_cd import SmokeReport, load_suites, run_smoke
from dbx_cd.local.workspace import OWNER, EmbeddedWorkspace

BEST = "revenue = (select max(revenue) from stg.shop.daily_revenue)"


@dataclass(frozen=True)
class Faults:
    """What is done to a table: rows kept, rows that come twice, and then columns as SQL."""

    columns: Mapping[str, str]
    keep: str = "true"
    twice: str = "false"


FAULTY = {
    "stg.shop.orders": Faults(
        {
            "units": "if(order_id % 40 = 1, 0, units)",
            "status": "if(order_id = 12, 'lost', status)",
            "customer_id": "if(order_id = 13, 999999, customer_id)",
            "amount": "case order_id when 14 then null when 15 then -9999999 else amount end",
            "updated_at": "if(order_id = 16, ordered_at - interval 1 day, updated_at)",
            "ordered_at": "if(order_id = 17, timestamp'2001-01-01 00:00:00', ordered_at)",
        },
        keep="country_code <> 'AT' or order_id % 2 = 0 or order_id < 20",
        twice="order_id = 18",
    ),
    "stg.shop.customers": Faults(
        {
            "email": "if(customer_id % 9 = 0, 'nobody', email)",
            "region": "if(customer_id = 4, null, region)",
            "active": "active and customer_id % 4 <> 0",
            "order_count": "cast(order_count as string)",
        },
        twice="customer_id = 5",
    ),
    "stg.shop.daily_revenue": Faults(
        {"revenue": f"case when {BEST} then 6 * revenue when country_code = 'MX' then -revenue else revenue end"},
        keep=f"{BEST} or day(order_date) % 3 <> 0",
    ),
    "stg.shop.product_sales": Faults(
        {"sku": "if(product_id = 1, 'no sku', sku)", "category": "if(product_id = 2, 'toys', category)"},
        twice="product_id = 3",
    ),
    "stg.landing.web_events": Faults({"occurred_at": "if(event_id = 7, loaded_at + interval 1 day, occurred_at)"}),
}


def plant(spark: SparkSession, table: str, faults: Faults) -> None:
    rows = spark.table(table)
    kept = rows.where(faults.keep).unionAll(rows.where(faults.twice))
    columns = ", ".join(f"{faults.columns.get(c, c)} as {c}" for c in rows.columns)
    kept.createOrReplaceTempView("smoke_shop_kept")
    spark.sql(f"create or replace table {table} as select {columns} from smoke_shop_kept")


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
        for table, faults in FAULTY.items():
            plant(spark, table, faults)
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
