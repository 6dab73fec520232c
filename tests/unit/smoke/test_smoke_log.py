"""What a smoke run leaves in Python's log, without Spark."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from artifact_folders import artifacts

from dbx_cd import ArtifactStore, SmokeSuite, load_suites, run_smoke
from dbx_cd.relations import RelationName
from dbx_cd.smoke import data
from dbx_cd.smoke.checks import InvalidCheck

ORDERS = RelationName("stg", "shop", "orders")


class Catalog:
    def tableExists(self, name: str) -> bool:  # noqa: N802
        return name == ORDERS.quoted


class Session:
    """Answers with what it was asked."""

    catalog = Catalog()

    def sql(self, statement: str) -> str:
        return statement

    def table(self, name: str) -> str:
        return name


SPARK: Any = Session()


def test_every_statement_is_logged_cut(caplog: pytest.LogCaptureFixture) -> None:
    statement = "select " + "x" * 400
    with caplog.at_level(logging.DEBUG, "dbx_cd.smoke.data"):
        assert data.query(SPARK, statement) == f"select * from (\n{statement}\n)"
    assert [(r.levelname, r.getMessage()) for r in caplog.records] == [("DEBUG", statement[:300])]


def test_tables_looked_at_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "dbx_cd.smoke.data"):
        assert str(data.table(SPARK, ORDERS)) == ORDERS.quoted
        assert data.exists(SPARK, ORDERS)
        assert not data.exists(SPARK, RelationName("stg", "shop", "gone"))
    assert caplog.messages == ["table stg.shop.orders", "exists stg.shop.orders", "exists stg.shop.gone"]


def test_run_says_what_it_loads_where_it_begins_and_ends_and_which_checks_are_broken(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    build = ArtifactStore(tmp_path / "root").publish("stg", artifacts(tmp_path / "dbt"), commit="1a2b3c")
    broken = SmokeSuite("sales", (InvalidCheck(name="orders", where="smoke/sales.yml:3", problem="no such key"),))
    (tmp_path / "dbt_project.yml").touch()
    caplog.clear()
    with caplog.at_level(logging.INFO, "dbx_cd.smoke"):
        suites = load_suites(tmp_path / "smoke", build)
        run_smoke([*suites, broken], spark=SPARK, artifacts=build, check=False)
    loaded, begins, ends, warned = caplog.records
    assert loaded.getMessage() == "suite contracts: 0 checks"
    assert begins.getMessage().startswith("smoke of stg/")
    assert begins.getMessage().endswith("begins: 2 suites")
    assert ends.getMessage().startswith("smoke of stg failed: 1 broken, in ")
    assert (warned.levelname, warned.getMessage()) == ("WARNING", "broken: orders (no such key)")


def test_a_report_says_by_which_selection_or_domains_it_is_a_part(tmp_path: Path) -> None:
    build = ArtifactStore(tmp_path / "root").publish("stg", artifacts(tmp_path / "dbt"), commit="1a2b3c")
    (tmp_path / "dbt_project.yml").touch()
    for domains, narrowed in (("contracts", "domains contracts"), ("", "")):
        suites = load_suites(tmp_path / "smoke", build, domains=domains)
        assert run_smoke(suites, spark=SPARK, artifacts=build, check=False).narrowed == narrowed
