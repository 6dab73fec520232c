"""The unmodified dbt-databricks on the embedded catalogs: a project built in staging and deferred into prod."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from dbx_cd.local.emulation import emulate
from dbx_cd.sql_endpoint import SqlEndpoint
from dbx_cd.sql_endpoint.profile import connection_block, with_connection

pytestmark = pytest.mark.deep

PROJECT = Path(__file__).with_name("catalog_project")
SCHEMA = "stg.catalog_test"


@dataclass
class Dbt:
    """Runs dbt commands on a copy of the project; each command has a target folder of its own."""

    endpoint: SqlEndpoint
    project: Path
    results: dict[str, Path] = field(default_factory=dict)

    def __call__(self, label: str, *arguments: str) -> str:
        target = self.project.parent / label
        command = [sys.executable, "-m", "dbt.cli.main", *arguments]
        places = ["--profiles-dir", self.project.parent / "profiles", "--target-path", target, "--log-path", target]
        answer = subprocess.run(
            [*command, *places],
            cwd=self.project,
            env={**os.environ, **self.endpoint.client_environment(), "DBT_ENGINE_SEND_ANONYMOUS_USAGE_STATS": "false"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert answer.returncode == 0, answer.stdout
        self.results[label] = target
        return answer.stdout

    def artifact(self, label: str, name: str) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.results[label] / name).read_text())
        return content


@pytest.fixture(scope="module")
def dbt(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dbt]:
    """The project after: a first build, an incremental build with a new column, freshness, docs and a prod build."""
    folder = tmp_path_factory.mktemp("dbt")
    shutil.copytree(PROJECT, folder / "project")
    with SqlEndpoint(spark, rewrite=emulate) as endpoint:
        with_connection(PROJECT, connection_block(endpoint), out_dir=folder / "profiles")
        run = Dbt(endpoint, folder / "project")
        run("landed", "run-operation", "land_events")
        run("first", "build")
        run("second", "build", "--vars", "{more: true}")
        run("fresh", "source", "freshness")
        run("docs", "docs", "generate")
        run("prod", "build", "--target", "prod", "--select", "tag:deploy", "--defer", "--state", str(folder / "second"))
        yield run


def rows(spark: SparkSession, sql: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in spark.sql(sql).collect()]


def test_every_node_of_both_builds_succeeded(dbt: Dbt) -> None:
    for label in ("first", "second"):
        statuses = {result["status"] for result in dbt.artifact(label, "run_results.json")["results"]}
        assert statuses == {"success", "pass"}


def test_seed_keeps_awkward_text(dbt: Dbt, spark: SparkSession) -> None:
    customers = rows(spark, f"SELECT customer FROM {SCHEMA}.raw_orders ORDER BY id")
    assert customers == [("O'Hara",), ("Zoë",), ('a "quoted" name',), (None,)]


def test_merge_updated_rows_and_added_a_column(dbt: Dbt, spark: SparkSession) -> None:
    merged = rows(spark, f"SELECT id, amount, customer FROM {SCHEMA}.orders_merged ORDER BY id")
    assert [(row[0], float(row[1]), row[2]) for row in merged][:2] == [(1, 11.5, "O'Hara"), (2, 21.0, "Zoë")]


def test_other_incremental_strategies_replaced_or_added_their_rows(dbt: Dbt, spark: SparkSession) -> None:
    assert spark.table(f"{SCHEMA}.orders_by_day").count() == 4
    assert spark.table(f"{SCHEMA}.orders_replaced").count() == 4
    assert spark.table(f"{SCHEMA}.orders_appended").count() == 8


def test_comments_of_tables_views_and_columns_are_persisted(dbt: Dbt, spark: SparkSession) -> None:
    comments = dict(
        rows(spark, "SELECT table_name, comment FROM stg.information_schema.tables WHERE table_schema = 'catalog_test'")
    )
    assert comments["stg_orders"] == "Orders, cleaned. 'View' with an apostrophe's test"
    assert comments["orders"] == "All orders"
    columns = rows(
        spark,
        "SELECT table_name, comment FROM stg.information_schema.columns "
        "WHERE table_schema = 'catalog_test' AND column_name = 'id'",
    )
    assert ("stg_orders", "the order's number") in columns
    assert ("orders", "key; see `stg_orders`") in columns


def test_constraints_of_contracts_hold(dbt: Dbt, spark: SparkSession) -> None:
    keys = rows(
        spark,
        "SELECT table_name, constraint_name, constraint_type FROM stg.information_schema.table_constraints "
        "WHERE table_schema = 'catalog_test' ORDER BY constraint_name",
    )
    assert keys == [
        ("customers", "customers_pk", "PRIMARY KEY"),
        ("payments", "payments_customer_fk", "FOREIGN KEY"),
        ("payments", "payments_pk", "PRIMARY KEY"),
    ]
    with pytest.raises(Exception, match="total_not_negative"):
        spark.sql(f"UPDATE {SCHEMA}.customers SET total = -1")


def test_tags_are_set(dbt: Dbt, spark: SparkSession) -> None:
    tags = "SELECT tag_name, tag_value FROM stg.information_schema.{} WHERE schema_name = 'catalog_test' ORDER BY 1"
    assert rows(spark, tags.format("table_tags")) == [("owner", "sales team"), ("pii", "no")]
    assert rows(spark, tags.format("column_tags")) == [("class", "name of a person")]


def test_functions_of_dbt_are_built_and_called_by_models_and_by_each_other(dbt: Dbt, spark: SparkSession) -> None:
    built = {result["unique_id"] for result in dbt.artifact("second", "run_results.json")["results"]}
    assert {"function.catalog_project.with_tax", "function.catalog_project.with_tip"} <= built
    prices = rows(spark, f"SELECT p.price, o.amount FROM {SCHEMA}.priced p JOIN {SCHEMA}.stg_orders o USING (id)")
    assert prices
    for price, amount in prices:
        assert price == pytest.approx(float(amount) * 1.19 + 1)


def test_freshness_is_known_from_a_column_and_from_the_catalog(dbt: Dbt) -> None:
    statuses = {result["status"] for result in dbt.artifact("fresh", "sources.json")["results"]}
    assert statuses == {"pass"}


def test_docs_list_every_relation_with_its_columns(dbt: Dbt) -> None:
    catalog = dbt.artifact("docs", "catalog.json")
    models = {name.split(".")[-1]: node for name, node in catalog["nodes"].items()}
    assert {"raw_orders", "stg_orders", "orders", "orders_merged", "customers", "payments", "orders_history"} <= set(
        models
    )
    assert models["customers"]["columns"]["total"]["type"] == "decimal(20,2)"
    assert models["stg_orders"]["metadata"]["type"] == "view"


def test_prod_build_defers_unselected_parents_to_staging(dbt: Dbt, spark: SparkSession) -> None:
    built = {row["tableName"] for row in spark.sql("SHOW TABLES IN prod.catalog_test").collect()}
    assert built == {"orders", "orders_merged", "customers"}
    assert spark.table("prod.catalog_test.orders").count() == 4


def test_state_modified_selects_what_changed(dbt: Dbt) -> None:
    model = dbt.project / "models" / "orders_replaced.sql"
    model.write_text(model.read_text().replace("id, amount", "id, amount * 2 as amount"))
    listed = dbt("listed", "ls", "--select", "state:modified", "--state", str(dbt.results["second"]), "--quiet")
    assert listed.split() == ["catalog_project.orders_replaced"]
