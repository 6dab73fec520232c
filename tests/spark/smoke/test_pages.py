"""The report and the Data Docs of one failed run as a person sees them in a browser."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from browser import Seen, look_at
from pyspark.sql import SparkSession
from smoke_builds import Builds, model

from dbx_cd.smoke.report import SmokeReport
from dbx_cd.smoke.run import load_suites, run_smoke

HOSTILE = "<img src=x onerror='window.owned = true'>"
SCRIPT = "</pre></td><script>window.owned = true</script>"
SUITE = f"""
owner: "{HOSTILE}"
tables:
  - model: calm
    expectations: [expect_table_row_count_to_be_between: {{min_value: 1}}]
  - model: orders
    expectations:
      - expect_column_values_to_be_between: {{column: amount, min_value: -100}}
        name: passes
      - expect_column_values_to_not_be_null: {{column: label}}
        name: passes_too
      - expect_column_values_to_be_in_set: {{column: label, value_set: ["{SCRIPT}"]}}
        name: "{HOSTILE}"
    compare: [{{metric: "süm {SCRIPT}", sql: sum(amount), min_value: 0}}]
assertions:
  - {{name: "no rows {SCRIPT}", sql: "select label from {{{{ ref('orders') }}}}"}}
"""


@dataclass(frozen=True)
class Pages:
    """The stored pages of one run."""

    report: Path
    index: Path
    orders: Path
    work: Path

    def look(self, page: Path) -> Seen:
        return look_at(page, self.work)


@pytest.fixture(scope="module")
def pages(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Pages:
    folder = tmp_path_factory.mktemp("pages")
    spark.sql("create schema if not exists stg.smoke_pages")
    label = f"concat('{SCRIPT}', id)"
    rows = f'select id, -id as amount, {label} as label, "{HOSTILE}" as image from range(3)'
    for name in ("calm", "orders"):
        spark.sql(f"create or replace table stg.smoke_pages.{name} as {rows}")
    (folder / "smoke").mkdir()
    (folder / "smoke" / "sales.yml").write_text(SUITE, encoding="utf-8")
    build = Builds(folder / "builds").build(*(model(n, f"stg.smoke_pages.{n}") for n in ("calm", "orders")))
    docs = folder / "data-docs-stg"
    suites = load_suites(folder / "smoke", build)  # type: ignore[arg-type]
    report = run_smoke(suites, spark=spark, artifacts=build, docs_dir=docs, check=False)  # type: ignore[arg-type]
    assert report.counts == {"fail": 3, "pass": 3}
    assert SmokeReport.read(report.to_dict()) == report
    page = folder / "smoke-stg.html"
    page.write_text(report.to_page(past=[report]), encoding="utf-8")
    (orders,) = docs.glob("*orders.html")
    return Pages(page, docs / "data-docs-stg.html", orders, folder)


def test_report_opens_with_what_failed_first(pages: Pages) -> None:
    seen = pages.look(pages.report)
    assert seen.title == "smoke of stg failed: 3 fail, 3 pass"
    assert [row.split()[0] for row in seen.rows[:3]] == ["fail"] * 3
    assert len(seen.rows) == 3, "what passed is folded"
    assert "süm" in seen.text, "read as UTF-8"


def test_hostile_names_stay_text_in_the_report(pages: Pages) -> None:
    seen = pages.look(pages.report)
    assert not seen.owned
    assert HOSTILE in seen.text
    assert SCRIPT in seen.text


def test_data_docs_open_with_what_failed_first(pages: Pages) -> None:
    index = pages.look(pages.index)
    assert [row.split()[0] for row in index.rows] == ["fail", "fail", "pass"]
    assert "calm" in index.rows[-1]
    orders = pages.look(pages.orders)
    failed = orders.text.index("values must belong to this set")
    assert failed < orders.text.index("values must never be null")
    assert failed < orders.text.index("values must be greater than or equal to")
    assert "unexpected values found" in orders.text


def test_hostile_names_stay_text_in_data_docs(pages: Pages) -> None:
    for page in (pages.index, pages.orders):
        seen = pages.look(page)
        assert not seen.owned
        assert SCRIPT in seen.text
