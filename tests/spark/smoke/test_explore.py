"""What an analyst looks at: two environments side by side, Data Docs, expectations of one's own."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from smoke_builds import Build, Builds, generic_test, model

from dbx_cd.errors import DbxCdError
from dbx_cd.smoke.compare import ModelComparison, compare_model
from dbx_cd.smoke.run import load_suites, run_smoke
from spark_kind import PROD, STG

COLUMNS = {"email": {"name": "email", "meta": {"sensitive": True}}}


@pytest.fixture(scope="module")
def sides(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> tuple[Build, Build]:
    rows = "select id, 10 * id as amount, concat('e', id) as email from range(10)"
    changed = """
        select id, if(id = 3, -1, 10 * id) as amount, if(id = 4, 'x', concat('e', id)) as email, 'new' as note
        from range(1, 12) where id <> 7
    """
    for relation, query in ((f"{STG}.smoke_explore.orders", changed), (f"{PROD}.smoke_explore_prod.orders", rows)):
        spark.sql(f"create schema if not exists {relation.rpartition('.')[0]}")
        spark.sql(f"create or replace table {relation} as {query}")
    builds = Builds(tmp_path_factory.mktemp("builds"))
    staged = model("orders", f"{STG}.smoke_explore.orders", columns=COLUMNS)
    stg = builds.build(staged, generic_test("unique", staged, column_name="id"))
    return stg, builds.build(model("orders", f"{PROD}.smoke_explore_prod.orders", columns=COLUMNS), target="prod")


def test_comparison_counts_rows_profiles_and_changes_by_the_promised_key(
    spark: SparkSession, sides: tuple[Build, Build]
) -> None:
    found = compare_model(spark, *sides, model="orders")
    assert (found.left_rows, found.right_rows, found.key) == (10, 10, ("id",))
    assert (found.only_left, found.only_right, found.differing) == (2, 2, 2)
    assert {row["id"]: row["differences"] for row in found.changed} == {"3": "amount: -1 | 30", "4": "email"}
    by_name = {d.column: d for d in found.columns}
    assert by_name["note"].right is None
    assert by_name["amount"].left is not None
    assert by_name["amount"].left.least == -1
    assert by_name["email"].left is not None
    assert by_name["email"].left.greatest is None, "a sensitive column is never shown"
    assert not found.same
    assert ModelComparison.from_dict(found.to_dict()) == found
    assert "keys only here" in found.to_html()


def test_comparison_with_itself_finds_nothing(spark: SparkSession, sides: tuple[Build, Build]) -> None:
    assert compare_model(spark, sides[0], sides[0], model="orders").same


def test_comparison_without_a_key_stops_at_profiles(spark: SparkSession, sides: tuple[Build, Build]) -> None:
    found = compare_model(spark, *sides, model="orders", key=())
    assert (found.key, found.differing, found.changed) == ((), None, ())
    with pytest.raises(DbxCdError, match="not a column on both sides"):
        compare_model(spark, *sides, model="orders", key=["nope"])
    with pytest.raises(DbxCdError, match="has no model"):
        compare_model(spark, *sides, model="orderz")


def test_data_docs_have_a_page_for_each_table_and_query(
    spark: SparkSession, sides: tuple[Build, Build], tmp_path: Path
) -> None:
    smoke_dir = tmp_path / "smoke"
    smoke_dir.mkdir()
    (smoke_dir / "sales.yml").write_text(
        """
tables:
  - model: orders
    expectations:
      - expect_column_values_to_be_between: {column: amount, min_value: 0}
      - expect_column_values_to_be_in_set: {column: note, value_set: ["<script>alert(1)</script>"]}
assertions: [{name: none, sql: "select 1 as x where false"}]
""",
        encoding="utf-8",
    )
    folder = tmp_path / "data-docs-stg"
    suites = load_suites(smoke_dir, sides[0])
    run_smoke(suites, spark=spark, artifacts=sides[0], docs_dir=folder, check=False)
    pages = {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}
    assert sorted(pages) == [
        f"data-docs-stg-001-{STG}.smoke_explore.orders.html",
        "data-docs-stg-002-none.html",
        "data-docs-stg.html",
    ]
    assert f'href="data-docs-stg-001-{STG}.smoke_explore.orders.html"' in pages["data-docs-stg.html"]
    orders = pages[f"data-docs-stg-001-{STG}.smoke_explore.orders.html"]
    assert "values must be greater than or equal to" in orders
    assert "<script>alert" not in orders


def test_expectation_of_ones_own_is_named_by_its_dotted_path(
    spark: SparkSession, sides: tuple[Build, Build], tmp_path: Path
) -> None:
    (tmp_path / "own.yml").write_text(
        """
tables:
  - model: orders
    expectations: [smoke_expectations.ExpectColumnValuesToBePercentages: {column: amount}]
""",
        encoding="utf-8",
    )
    suites = load_suites(tmp_path, sides[0])[1:]
    (result,) = run_smoke(suites, spark=spark, artifacts=sides[0], check=False).checks
    assert (result.status, set(result.examples)) == ("fail", {"-1", "110"})
