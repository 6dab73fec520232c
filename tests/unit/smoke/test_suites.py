"""Suites, contracts, bounds and reports: everything of smoke tests that needs no Spark."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from decimal import Decimal
from importlib import resources
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jsonschema
import pytest
import yaml

from dbx_cd.dbt.artifacts import Manifest, RunResults
from dbx_cd.errors import DbxCdError, SmokeFailed, SuiteError
from dbx_cd.smoke.answers import Answer
from dbx_cd.smoke.baseline import NoBaseline, baseline_from
from dbx_cd.smoke.build import Build
from dbx_cd.smoke.checks import Assertion, Bounds, Comparison, ExpectationCheck, InvalidCheck, Severity
from dbx_cd.smoke.contract import Contract
from dbx_cd.smoke.contracts import contracts_from_manifest
from dbx_cd.smoke.dbt_verdict import verdict, verdict_query
from dbx_cd.smoke.docs import DataDocsPage, write_data_docs
from dbx_cd.smoke.judge import judge
from dbx_cd.smoke.picture import band
from dbx_cd.smoke.plan import Planned, Planner
from dbx_cd.smoke.report import CheckResult, SmokeReport, in_order
from dbx_cd.smoke.run import load_suites
from dbx_cd.smoke.suite import SmokeSuite

RECORDED = Path(__file__).resolve().parents[2] / "fixtures" / "recorded_dbt" / "recorded"

SUITE = """
domain: sales
owner: sales@example.org
tables:
  - model: orders
    expectations:
      - expect_column_sum_to_be_between: {column: amount, min_value: 0}
        guardrail: true
        owner: finance@example.org
    compare:
      - row_count: {within_pct: 20, min_baseline: 100}
      - metric: active_users
        sql: count(distinct case when active then user_id end)
        max_drop_pct: 20
        severity: warn
assertions:
  - name: no_negative_revenue
    sql: select 1 from {{ ref('orders') }} where amount < 0
"""


def write(folder: Path, text: str, name: str = "sales.yml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_suite_keeps_every_check_with_its_line(tmp_path: Path) -> None:
    suite = SmokeSuite.from_yaml(write(tmp_path, SUITE))
    expectation, rows, users, assertion = suite.checks
    file = f"{tmp_path.name}/sales.yml"
    assert (suite.domain, suite.owner) == ("sales", "sales@example.org")
    assert expectation == ExpectationCheck(
        name="expect_column_sum_to_be_between(amount)",
        where=f"{file}:7",
        model="orders",
        owner="finance@example.org",
        guardrail=True,
        type="expect_column_sum_to_be_between",
        arguments={"column": "amount", "min_value": 0},
        written={"min_value": 0},
    )
    assert isinstance(rows, Comparison)
    assert (rows.expression, rows.bounds) == ("count(*)", Bounds(within_pct=20, min_baseline=100))
    assert isinstance(users, Comparison)
    assert (users.name, users.severity, users.owner, users.where) == (
        "active_users",
        "warn",
        "sales@example.org",
        f"{file}:12",
    )
    assert isinstance(assertion, Assertion)
    assert assertion.where == f"{file}:17"


@pytest.mark.parametrize(
    ("old", "new", "line", "hint"),
    [
        ("expect_column_sum_to_be_between", "expect_column_sum_to_be_betwen", 7, "expect_column_sum_to_be_between"),
        ("column: amount", "colum: amount", 7, "colum: extra fields not permitted"),
        ("guardrail: true", "guardrails: true", 8, "did you mean `guardrail`?"),
        ("guardrail: true", "guardrail: sure", 8, "true or false"),
        ("severity: warn", "severity: warning", 15, "must be error or warn"),
        ("max_drop_pct: 20", "max_drop: 20", 14, "did you mean `max_drop_pct`?"),
        ("within_pct: 20", "within_pct: a lot", 11, "must be a number"),
        ("within_pct: 20", "within_pct: -1", 11, "must not be negative"),
        ("within_pct: 20, ", "", 11, "has no limit"),
        ("model: orders", "modell: orders", 5, "needs `model`"),
        ("compare:", "compares:", 10, "did you mean `compare`?"),
        ("assertions:", "asertions:", 16, "did you mean `assertions`?"),
        ("sql: select", "query: select", 18, "unknown key `query`"),
        ("owner: sales", "ownr: sales", 3, "did you mean `owner`?"),
    ],
)
def test_problem_names_file_line_and_the_nearest_word(tmp_path: Path, old: str, new: str, line: int, hint: str) -> None:
    path = write(tmp_path, SUITE.replace(old, new, 1))
    with pytest.raises(SuiteError) as caught:
        SmokeSuite.from_yaml(path)
    assert f"sales.yml:{line}: " in str(caught.value)
    assert hint in str(caught.value)


@pytest.mark.parametrize(
    ("text", "line", "hint"),
    [
        ("domain: sales\ntables: [", 2, "not valid YAML"),
        ("domain: sales\nowner: a\ndomain: b\n", 3, "given twice"),
        ("- just\n- a list\n", 1, "must be a mapping"),
        ("", 1, "must be a mapping"),
        ("domain: sales\n", 1, "has no check"),
        ("domain: sales\ntables: []\nassertions:\n", 1, "has no check"),
    ],
)
def test_file_that_is_no_suite_is_refused_with_its_line(tmp_path: Path, text: str, line: int, hint: str) -> None:
    with pytest.raises(SuiteError, match=hint) as caught:
        SmokeSuite.read(write(tmp_path, text))
    assert f":{line}" in str(caught.value.where)


@pytest.mark.parametrize("rest", ["", "\n    expectations: []", "\n    expectations:\n    compare: []"])
def test_a_table_without_a_check_is_broken(tmp_path: Path, rest: str) -> None:
    text = f"{SUITE.partition('tables:')[0]}tables:\n  - model: payments{rest}"
    (check,) = SmokeSuite.read(write(tmp_path, text))
    assert isinstance(check, InvalidCheck)
    assert (check.model, check.where.rpartition(":")[2]) == ("payments", "5")
    assert check.problem == "a table needs `expectations` or `compare`, a list of checks"


def test_one_bad_check_leaves_the_others_to_run(tmp_path: Path) -> None:
    suite = SmokeSuite.read(write(tmp_path, SUITE.replace("severity: warn", "severity: loud")))
    assert [c.KIND for c in suite] == ["expectation", "metric", "suite", "assertion"]


def node(name: str, **more: Any) -> dict[str, Any]:
    return {
        "unique_id": f"model.shop.{name}",
        "name": name,
        "resource_type": "model",
        "database": "stg",
        "schema": "marts",
        "relation_name": f"`stg`.`marts`.`{name}`",
        "original_file_path": f"models/{name}.sql",
        "config": {"materialized": "table"},
        **more,
    }


def manifest(*nodes: dict[str, Any]) -> Manifest:
    return Manifest.from_json({"metadata": {}, "nodes": {n["unique_id"]: n for n in nodes}})


def unique_test(target: str, column: str = "id", **more: Any) -> dict[str, Any]:
    return {
        "unique_id": f"test.shop.unique_{target}_{column}.1",
        "name": f"unique_{target}_{column}",
        "resource_type": "test",
        "schema": "x",
        "attached_node": f"model.shop.{target}",
        "test_metadata": {"name": "unique", "kwargs": {"column_name": column}},
        "depends_on": {"nodes": [f"model.shop.{target}"]},
        **more,
    }


def test_enforced_contract_repeats_no_test_and_marks_what_databricks_only_records() -> None:
    customers = node(
        "customers",
        config={"materialized": "table", "contract": {"enforced": True}, "meta": {"owner": "crm@example.org"}},
        columns={
            "id": {
                "name": "id",
                "data_type": "bigint",
                "constraints": [{"type": "primary_key"}, {"type": "not_null"}],
            }
        },
        constraints=[{"type": "check", "expression": "id > 0"}, {"type": "unique", "columns": ["id", "name"]}],
    )
    suite = contracts_from_manifest(manifest(customers, unique_test("customers")))
    found = {c.name: c.checked_by for c in suite if isinstance(c, Contract)}
    assert found == {
        "unique_customers_id": "test.shop.unique_customers_id.1",
        "customers: columns": "model.shop.customers",
        "customers: not null (id)": "model.shop.customers",
        "customers: check (id > 0)": "model.shop.customers",
        "customers: unique (id, name)": None,
    }
    assert {c.owner for c in suite} == {"crm@example.org"}


def test_data_test_that_promises_less_takes_no_place_of_an_enforced_contract() -> None:
    """One that warns lets pass what the contract forbids; a relationship to another table says nothing of this key."""
    keys = [{"type": "foreign_key", "to": "stg.marts.customers", "to_columns": ["id"]}, {"type": "unique"}]
    orders = node(
        "orders",
        config={"materialized": "table", "contract": {"enforced": True}},
        columns={"id": {"name": "id", "data_type": "bigint", "constraints": keys}},
    )

    def checks(parent: str, **config: Any) -> list[str]:
        kwargs = {"column_name": "id", "to": f"ref('{parent}')", "field": "ID"}
        relationship = unique_test("orders") | {
            "unique_id": "test.shop.relationship",
            "name": "relationship",
            "test_metadata": {"name": "relationships", "kwargs": kwargs},
            "depends_on": {"nodes": [f"model.shop.{parent}", "model.shop.orders"]},
        }
        nodes = [orders, node("customers"), node("guests"), unique_test("orders", config=config), relationship]
        return [check.name for check in contracts_from_manifest(manifest(*nodes))]

    assert checks("customers") == ["orders: columns", "relationship", "unique_orders_id"]
    assert "orders: foreign key (id)" in checks("guests")
    assert "orders: unique (id)" in checks("customers", severity="warn")


def foreign_key(to: str, *others: dict[str, Any], to_columns: tuple[str, ...] = ("id",)) -> Contract:
    """The check of a foreign key of production's orders, in a manifest with these other nodes."""
    key = {"type": "foreign_key", "to": to, "to_columns": list(to_columns)}
    depends_on = {"nodes": [other["unique_id"] for other in others]}
    orders = node(
        "orders",
        config={"materialized": "table", "contract": {"enforced": True}},
        columns={"id": {"name": "id", "data_type": "bigint", "constraints": [key]}},
        depends_on=depends_on,
    )
    (found,) = (c for c in contracts_from_manifest(manifest(orders, *others)) if c.name == "orders: foreign key (id)")
    assert isinstance(found, Contract)
    return found


@pytest.mark.parametrize(
    "to",
    ["stg.marts.customers", "`STG`.`marts`.`customers`", "ref('customers')", "ref('shop', 'customers')"],
)
def test_foreign_key_finds_its_parent_as_parsed_and_as_compiled(to: str) -> None:
    found = foreign_key(to, node("customers"), node("guests"))
    assert (found.parent_id, found.untranslated) == ("model.shop.customers", None)


def test_foreign_key_that_dbt_deferred_to_another_environment_finds_its_parent() -> None:
    found = foreign_key("`other`.`elsewhere`.`customers`", node("customers"), node("guests"))
    assert (found.parent_id, found.untranslated) == ("model.shop.customers", None)


def test_foreign_key_to_nobody_s_relation_is_no_check_that_is_skipped() -> None:
    """Its parent is what the manifest has not, which makes the check a broken one."""
    found = foreign_key("`other`.`elsewhere`.`nobody`", node("customers"))
    assert (found.parent_id, found.untranslated) == ("`other`.`elsewhere`.`nobody`", None)


def test_foreign_key_of_two_columns_says_why_it_is_not_executed() -> None:
    found = foreign_key("stg.marts.customers", node("customers"), to_columns=("id", "day"))
    assert "only a foreign key of one column" in str(found.untranslated)


def test_not_null_of_a_view_is_not_enforced_by_delta() -> None:
    column = {"name": "id", "data_type": "bigint", "constraints": [{"type": "not_null"}]}
    view = node("v", config={"materialized": "view", "contract": {"enforced": True}}, columns={"id": column})
    checked = {c.name: c.checked_by for c in contracts_from_manifest(manifest(view)) if isinstance(c, Contract)}
    assert checked == {"v: columns": "model.shop.v", "v: not null (id)": None}


def test_test_without_translation_is_listed_with_its_reason() -> None:
    custom = unique_test("orders") | {"test_metadata": {"name": "is_even", "namespace": "maths", "kwargs": {}}}
    (contract,) = contracts_from_manifest(manifest(node("orders"), custom)).checks
    assert isinstance(contract, Contract)
    assert contract.untranslated == "the dbt test maths.is_even has no translation; dbt build runs it"


@pytest.mark.parametrize("select", ["orders", "tag:deploy", ["model.shop.orders"], "ord*"])
def test_contracts_of_selected_models_only(select: Any) -> None:
    nodes = (node("orders", tags=["deploy"]), node("customers"), unique_test("orders"), unique_test("customers"))
    assert [c.model for c in contracts_from_manifest(manifest(*nodes), select=select)] == ["orders"]


def test_selection_that_matches_nothing_is_refused() -> None:
    with pytest.raises(SuiteError, match="matches no model"):
        contracts_from_manifest(manifest(node("orders")), select="tag:none")


def test_load_suites_puts_contracts_before_the_files_in_order(tmp_path: Path) -> None:
    write(tmp_path, SUITE, "b.yml")
    write(tmp_path, SUITE.replace("domain: sales", "domain: people"), "a.yaml")
    build = SimpleNamespace(manifest=lambda: manifest(node("orders"), node("customers"), unique_test("customers")))
    assert [s.domain for s in load_suites(tmp_path, build)] == ["contracts", "people", "sales"]  # type: ignore[arg-type]
    kept = load_suites(tmp_path, build, select="customers")  # type: ignore[arg-type]
    assert [len(s) for s in kept] == [1, 1, 1], "assertions name no single model and stay"


@pytest.mark.parametrize(
    ("bounds", "baseline", "allowed"),
    [
        (Bounds(within_pct=20), 100, (80, 120)),
        (Bounds(within_pct=20), -100, (-120, -80)),
        (Bounds(max_drop_pct=25), 8, (6, None)),
        (Bounds(max_rise_pct=50, min_value=10), 8, (10, 12)),
        (Bounds(max_drop_pct=10, min_value=0, max_value=9), None, (0, 9)),
    ],
)
def test_bounds(bounds: Bounds, baseline: float | None, allowed: tuple[float | None, float | None]) -> None:
    assert bounds.allowed(baseline) == allowed


def result(status: Any, *, kind: str = "contract", due: bool = True, **more: Any) -> CheckResult:
    return CheckResult(name="n", kind=kind, status=status, domain="d", where="f:1", due=due, **more)


def report(*checks: CheckResult) -> SmokeReport:
    return SmokeReport("stg", "20261123T101500.000000Z", "1a2b3c4", None, False, 1.0, in_order(checks))


@pytest.mark.parametrize(
    ("checks", "ok"),
    [
        ([result("pass"), result("skipped")], True),
        ([result("pass"), result("warn")], True),
        ([result("pass"), result("fail")], False),
        ([result("pass"), result("broken", severity="warn")], False),
        ([result("skipped")], False),
        ([result("skipped", due=False)], False),
        ([result("skipped"), result("pass", kind="freshness")], False),
        ([result("warn", kind="suite", due=False)], False),
        ([], False),
        ([result("skipped", kind="metric", due=False, observed=0)], False),
        ([result("skipped", kind="metric", due=False, observed=3), result("pass")], True),
    ],
    ids=[
        "passed",
        "warned",
        "failed",
        "broken",
        "due",
        "not built",
        "freshness",
        "no guardrail",
        "none",
        "measured without a baseline",
        "measured beside a contract",
    ],
)
def test_nothing_that_did_not_run_counts_as_passed(checks: list[CheckResult], ok: bool) -> None:
    assert report(*checks).ok is ok


def test_report_puts_problems_first_and_says_so_in_one_line() -> None:
    found = report(result("pass"), result("skipped", reason="why"), result("broken"), result("fail"), result("warn"))
    assert [c.status for c in found.checks] == ["broken", "fail", "warn", "skipped", "pass"]
    assert str(found) == "smoke of stg failed: 1 broken, 1 fail, 1 warn, 1 skipped, 1 pass"
    with pytest.raises(SmokeFailed, match="broken: n"):
        found.raise_if_failed()


def test_a_report_without_a_check_of_the_build_says_why_and_what_to_do() -> None:
    not_built = result("skipped", kind="contract", due=False, reason="not built in this release")
    for found, why in (
        (report(), "smoke of stg failed: nothing to check: no check has judged what was built"),
        (report(not_built), r"failed: 1 skipped: no check has judged what was built \(not built in this release\)"),
    ):
        with pytest.raises(SmokeFailed, match=why) as caught:
            found.raise_if_failed()
        assert "repair the build first" in str(caught.value)


def test_after_a_rollback_with_nothing_to_test_a_report_says_so_and_nothing_failed() -> None:
    found = replace(report(result("skipped", due=False)), untested="prod had no build before")
    assert str(found) == "smoke of stg had nothing to test: 1 skipped"
    assert "<p>prod had no build before</p>" in found.to_html()
    found.raise_if_failed()
    assert not replace(found, checks=(result("fail"),)).ok


def test_a_report_without_checks_that_an_older_version_has_logged_is_read() -> None:
    older = {k: v for k, v in report().to_dict().items() if k != "untested"}
    assert SmokeReport.read(older) == report()
    check = {k: v for k, v in report(result("pass")).to_dict()["checks"][0].items() if k != "version"}
    assert SmokeReport.read({**older, "checks": [check]}) == report(result("pass"))


def test_schema_for_editors_accepts_what_the_reader_accepts_and_knows_its_keys() -> None:
    schema = json.loads(resources.files("dbx_cd.smoke").joinpath("schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(yaml.safe_load(SUITE), schema)
    for old, new in (
        ("guardrail:", "guardrails:"),
        ("max_drop_pct", "max_drop"),
        ("warn", "loud"),
        ("tables:", "table:"),
    ):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(yaml.safe_load(SUITE.replace(old, new, 1)), schema)


def test_metric_is_drawn_in_its_band_with_the_trend_of_past_releases() -> None:
    metric = result("fail", kind="metric", observed=70, baseline=100, low=80.0, high=120.0)
    page = report(metric).to_html(past=[report(result("pass", kind="metric", observed=90))])
    assert "<title>now 70, baseline 100, at least 80, at most 120</title>" in page
    assert "polyline" in page
    assert "polyline" not in report(metric).to_html()


def test_band_of_one_value_and_open_ends_is_drawn() -> None:
    assert "<circle" in band(0, baseline=0, low=None, high=None)
    assert "now 5, at least 1" in band(5, baseline=None, low=1, high=None)


def test_no_baseline_is_a_reason() -> None:
    assert baseline_from(None) == NoBaseline("no baseline was given")


def test_importing_smoke_pulls_in_neither_great_expectations_nor_pyspark() -> None:
    code = (
        "import sys, dbx_cd.smoke.run; print([m for m in ('great_expectations', 'pyspark', 'dbt') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


SHOP = Path(__file__).resolve().parents[3] / "examples" / "shop" / "smoke"


def test_suites_of_the_example_are_valid_and_show_every_kind_of_check() -> None:
    schema = json.loads(resources.files("dbx_cd.smoke").joinpath("schema.json").read_text(encoding="utf-8"))
    checks: list[Any] = []
    for path in sorted(SHOP.glob("*.yml")):
        jsonschema.validate(yaml.safe_load(path.read_text(encoding="utf-8")), schema)
        suite = SmokeSuite.from_yaml(path)
        assert any(c.guardrail for c in suite), f"{suite.domain} has a guardrail"
        checks += suite.checks
    metrics = [c for c in checks if isinstance(c, Comparison)]
    shown = {key for c in metrics for key in Bounds.__dataclass_fields__ if getattr(c.bounds, key) is not None}
    assert shown == {"within_pct", "max_drop_pct", "max_rise_pct", "min_value", "min_baseline"}
    assert any(c.group_by for c in metrics)
    assert any(c.condition for c in metrics)
    assert any(isinstance(c, Assertion) for c in checks)
    assert any(isinstance(c, ExpectationCheck) and c.code for c in checks), "an expectation of the shop's own"
    assert {c.severity for c in checks} == {"error", "warn"}


OWN = """
from great_expectations.expectations.core import ExpectColumnValuesToBeBetween


class ExpectColumnValuesToBeShares(ExpectColumnValuesToBeBetween):
    max_value: float = {limit}


class Nothing:
    pass
"""


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("own_checks.ExpectColumnValuesToBeSharez", "has no class `ExpectColumnValuesToBeSharez`"),
        ("own_checks.Nothing", "is not a Great Expectations expectation class"),
        ("other_checks.ExpectNothing", "No module named 'other_checks'"),
        ("broken_checks.ExpectNothing", "invalid syntax"),
    ],
)
def test_expectation_in_a_file_beside_the_suites_is_found_or_refused_with_its_line(
    tmp_path: Path, name: str, hint: str
) -> None:
    (tmp_path / "own_checks.py").write_text(OWN.format(limit=1), encoding="utf-8")
    (tmp_path / "broken_checks.py").write_text("class :", encoding="utf-8")
    good = "tables: [{model: orders, expectations: [own_checks.ExpectColumnValuesToBeShares: {column: share}]}]"
    (check,) = SmokeSuite.from_yaml(write(tmp_path, good)).checks
    assert isinstance(check, ExpectationCheck)
    assert check.code == str(tmp_path / "own_checks.py")
    with pytest.raises(SuiteError, match=hint) as caught:
        SmokeSuite.from_yaml(write(tmp_path, good.replace("own_checks.ExpectColumnValuesToBeShares", name)))
    assert "sales.yml:1: " in str(caught.value)


def test_file_of_another_commit_is_another_expectation(tmp_path: Path) -> None:
    from dbx_cd.smoke.own_code import load_class

    limits = []
    for limit in (1, 2):
        path = tmp_path / "own_checks.py"
        path.write_text(OWN.format(limit=limit), encoding="utf-8")
        limits.append(load_class("own_checks.ExpectColumnValuesToBeShares", str(path))(column="share").max_value)
    assert limits == [1, 2]


def test_domains_are_chosen_by_name_and_an_unknown_one_is_refused(tmp_path: Path) -> None:
    write(tmp_path, SUITE)
    write(tmp_path, SUITE.replace("domain: sales", "domain: people"), "people.yml")
    build: Any = SimpleNamespace(manifest=lambda: manifest(node("orders")))
    assert [s.domain for s in load_suites(tmp_path, build, domains="people contracts")] == ["contracts", "people"]
    assert len(load_suites(tmp_path, build, domains="")) == 3
    assert {s.narrowed for s in load_suites(tmp_path, build, domains=iter(["people"]))} == {"domains people"}
    assert {s.narrowed for s in load_suites(tmp_path, build, domains="", select="")} == {""}
    with pytest.raises(SuiteError, match=r"no domain 'sale'.*contracts, people, sales"):
        load_suites(tmp_path, build, domains=["sale"])


def test_check_of_a_model_that_does_not_exist_stays_whatever_is_selected(tmp_path: Path) -> None:
    write(tmp_path, SUITE.replace("model: orders", "model: orderz"))
    build: Any = SimpleNamespace(manifest=lambda: manifest(node("orders"), node("customers")))
    suite = load_suites(tmp_path, build, select="customers")[1]
    assert suite.narrowed == "select customers"
    assert {c.model for c in suite} == {"orderz", None}


def test_thresholds_of_a_data_test_are_kept_as_dbt_puts_them_into_sql() -> None:
    config = {"fail_calc": "sum(n_records)", "limit": 3, "warn_if": "between 1 and 5", "error_if": "in (6, 7)"}
    (contract,) = contracts_from_manifest(manifest(node("orders"), unique_test("orders", config=config))).checks
    assert isinstance(contract, Contract)
    assert (contract.untranslated, contract.counts, contract.limit) == (None, True, 3)
    asked = " ".join(verdict_query(contract, contract.failures_query("`t`")).split())
    assert "sum(n_records) as failures, sum(n_records) between 1 and 5 as should_warn" in asked
    assert "sum(n_records) in (6, 7) as should_error from ( select id as unique_field, count(*) as n_records" in asked
    assert asked.endswith("having count(*) > 1 limit 3 ) dbt_internal_test")


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        (
            {"test_metadata": {"name": "unique", "kwargs": {"column_name": "{{ var('key') }}"}}},
            "`column_name` is a template",
        ),
        ({"config": {"where": "id > {{ from_id() }}"}}, "`where` is a template"),
        (
            {"depends_on": {"nodes": ["model.shop.orders"], "macros": ["macro.shop.test_unique"]}},
            "the project's own, in shop",
        ),
        (
            {
                "depends_on": {"nodes": ["model.shop.orders"], "macros": ["macro.shop.get_where_subquery"]},
                "config": {"where": "day > 'three days ago'"},
            },
            "`get_where_subquery` is the project's own",
        ),
    ],
)  # fmt: skip
def test_data_test_that_only_dbt_can_fill_in_has_no_translation_and_says_why(more: dict[str, Any], reason: str) -> None:
    (contract,) = contracts_from_manifest(manifest(node("orders"), unique_test("orders", **more))).checks
    assert isinstance(contract, Contract)
    assert reason in str(contract.untranslated)


@pytest.mark.parametrize("config", [{"error_if": "> {{ most() }}"}, {"sql_header": "set x = 1;"}])
def test_data_test_whose_thresholds_only_dbt_can_fill_in_is_judged_by_dbt_alone(config: dict[str, Any]) -> None:
    (contract,) = contracts_from_manifest(manifest(node("orders"), unique_test("orders", config=config))).checks
    assert isinstance(contract, Contract)
    assert next(iter(config)) in str(contract.judged_by_dbt)


COLUMNS = ("failures", "should_warn", "should_error")


def test_answer_without_the_names_that_dbt_looks_for_is_no_verdict() -> None:
    (contract,) = contracts_from_manifest(manifest(node("orders"), unique_test("orders"))).checks
    assert isinstance(contract, Contract)
    for columns, rows in ((("failures", "should_warn", "(count(1) >= 2)"), [(1, True, True)]), (COLUMNS, [])):
        with pytest.raises(DbxCdError, match="one number and two answers"):
            verdict(contract, columns, rows)


@pytest.mark.parametrize("found", [None, "3", True, 1.5, float("nan"), Decimal("0.5"), (1,), 2**31])
def test_count_of_failures_that_is_no_whole_number_is_no_verdict(found: Any) -> None:
    (contract,) = contracts_from_manifest(manifest(node("orders"), unique_test("orders"))).checks
    assert isinstance(contract, Contract)
    with pytest.raises(DbxCdError, match="fail_calc"):
        verdict(contract, COLUMNS, [(found, True, True)])


@pytest.mark.parametrize(
    ("severity", "warns", "fails", "status"),
    [
        ("ERROR", True, True, "fail"),
        ("error", False, True, "fail"),
        ("error", True, False, "warn"),
        ("error", None, None, "pass"),
        ("warn", False, True, "pass"),
        ("WARN", 2, False, "warn"),
        ("error", "off", "Yes", "fail"),
        ("error", "No", "off", "pass"),
    ],
)
def test_severity_decides_which_threshold_counts_as_in_dbt(
    severity: str, warns: object, fails: object, status: str
) -> None:
    test = unique_test("orders", config={"severity": severity})
    (contract,) = contracts_from_manifest(manifest(node("orders"), test)).checks
    assert isinstance(contract, Contract)
    assert verdict(contract, COLUMNS, [(Decimal("2.00"), warns, fails)]) == (status, 2)


def test_numbers_of_a_suite_keep_every_digit(tmp_path: Path) -> None:
    text = """
tables:
  - model: orders
    expectations:
      - expect_column_max_to_be_between: {column: amount, min_value: 9007199254740993, max_value: 123456789012345678.12}
    compare:
      - {metric: total, sql: sum(amount), within_pct: 0.1, max_value: 123456789012345678.12, min_value: -0.5}
"""
    expectation, total = SmokeSuite.from_yaml(write(tmp_path, text)).checks
    assert isinstance(expectation, ExpectationCheck)
    assert expectation.written == {"min_value": 9007199254740993, "max_value": Decimal("123456789012345678.12")}
    assert isinstance(total, Comparison)
    assert total.bounds.within_pct == Decimal("0.1")
    assert str(total.bounds) == "within 0.1% of the baseline, at least -0.5, at most 123456789012345678.12"


@pytest.mark.parametrize(
    ("args", "fails"),
    [
        ({}, False),
        ({"warn_error": True}, True),
        ({"warn_error_options": {"error": [], "warn": [], "silence": []}}, False),
        ({"warn_error_options": {"error": ["LogTestResult"], "warn": [], "silence": []}}, True),
        ({"warn_error_options": {"error": ["NothingToDo"], "warn": [], "silence": []}}, False),
        ({"warn_error_options": {"error": "all", "warn": [], "silence": []}}, True),
        ({"warn_error_options": {"error": "*", "warn": ["LogTestResult"], "silence": []}}, False),
        ({"warn_error_options": {"error": ["LogTestResult"], "warn": [], "silence": ["LogTestResult"]}}, False),
    ],
)
@pytest.mark.parametrize("severity", ["warn", "error"])
def test_warning_of_a_data_test_fails_where_dbts_flags_say_so(
    args: dict[str, Any], fails: bool, severity: Severity
) -> None:
    manifest = Manifest.load(RECORDED / "build_test_warned" / "manifest.json")
    results = RunResults.load(RECORDED / "build_test_warned" / "run_results.json")
    unbuilt = replace(results, args=args, results=tuple(r for r in results.results if r.resource_type != "test"))
    planner = Planner(Build(manifest, unbuilt), recheck=True, exists=lambda _: True, data_type=str)
    contract = next(c for c in contracts_from_manifest(manifest) if isinstance(c, Contract) and c.checked_by)
    planned = planner.plan(replace(contract, severity=severity, warn_if="> 0", error_if="> 10"), "contracts")
    assert isinstance(planned, Planned)
    assert isinstance(planned.check, Contract)
    status, _ = verdict(planned.check, ["failures", "should_warn", "should_error"], [(3, True, False)])
    found = judge(planned, Answer(success=False, verdict=status))
    assert (found.status, found.severity) == (("fail", "error") if fails else ("warn", severity))
    plain = planner.plan(replace(contract, severity=severity), "contracts")
    assert isinstance(plain, Planned)
    assert judge(plain, Answer(success=False)).status == ("fail" if fails or severity == "error" else "warn")


@pytest.mark.parametrize("limit", ["1.0e+309", "-1.0e+400", f"1{'0' * 309}"])
def test_limit_beyond_every_number_of_spark_is_refused(tmp_path: Path, limit: str) -> None:
    text = SUITE.replace("within_pct: 20", f"min_value: {limit}")
    with pytest.raises(SuiteError, match="beyond every number that Spark has"):
        SmokeSuite.from_yaml(write(tmp_path, text))


@pytest.mark.parametrize("limit", [".nan", ".inf", "-.inf"])
def test_limit_that_is_no_finite_number_is_refused(tmp_path: Path, limit: str) -> None:
    with pytest.raises(SuiteError, match="must be a number"):
        SmokeSuite.from_yaml(write(tmp_path, SUITE.replace("within_pct: 20", f"within_pct: {limit}")))


def test_stored_report_is_a_whole_page() -> None:
    page = report(result("fail")).to_page()
    assert page.startswith("<!doctype html>")
    assert '<meta charset="utf-8">' in page


def test_data_docs_index_names_what_failed_first(tmp_path: Path) -> None:
    good, bad = (DataDocsPage(title, "<p>", failed=n, checks=2) for title, n in (("a", 0), ("b", 1)))
    index, first, _ = write_data_docs(tmp_path / "docs", [good, bad])
    assert first.name == "docs-001-b.html"
    text = index.read_text(encoding="utf-8")
    assert text.index("docs-001-b.html") < text.index("docs-002-a.html")


def test_hostile_values_columns_and_titles_stay_text_in_data_docs() -> None:
    import great_expectations as gx
    import great_expectations.expectations as gxe
    import pandas as pd

    from dbx_cd.smoke.gx import data_docs_page

    script, image = "</script><script>own()</script>", "<img src=x onerror=own()>"
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False, "metric_calculations": False}  # type: ignore[assignment]
    asset = context.data_sources.add_pandas("p").add_dataframe_asset("a")
    frame = pd.DataFrame({script: [1, 2], "label": [image, script]})
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": frame})
    suite = gx.ExpectationSuite(name="s")
    suite.add_expectation(gxe.ExpectColumnMaxToBeBetween(column=script, max_value=0))
    suite.add_expectation(gxe.ExpectColumnValuesToBeInSet(column="label", value_set=[image + "?"]))
    suite.add_expectation(gxe.ExpectColumnDistinctValuesToBeInSet(column="label", value_set=[script + "?"]))
    suite.add_expectation(gxe.ExpectTableRowCountToBeBetween(max_value=1, description=image))
    results = batch.validate(suite, result_format="BASIC").results
    assert [r.success for r in results] == [False] * 4
    page = data_docs_page(image, results)
    assert "<script>own" not in page
    assert "<img src=x" not in page
    assert page.count("&lt;img src=x onerror=own()&gt;") >= 3
    assert "&amp;lt;" not in page, "nothing is escaped twice"


@pytest.mark.parametrize(
    ("text", "where", "problem"),
    [("tables: [", "people.yml:1", "not valid YAML"), ("", "people.yml:1", "must be a mapping")],
)
def test_file_that_is_no_suite_is_a_broken_check_and_the_others_run(
    tmp_path: Path, text: str, where: str, problem: str
) -> None:
    write(tmp_path, SUITE)
    write(tmp_path, text, "people.yml")
    build: Any = SimpleNamespace(manifest=lambda: manifest(node("orders")))
    _, people, sales = load_suites(tmp_path, build)
    (broken,) = people.checks
    assert isinstance(broken, InvalidCheck)
    assert broken.where == f"{tmp_path.name}/{where}"
    assert problem in broken.problem
    assert len(sales) == 4


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ("min_value: 9007199254740993.01, max_value: 12", "min_value=9007199254740993.01, max_value=12"),
        ("min_value: 0.1, strict_min: true", "min_value=0.1, strict_min=True"),
    ],
)
def test_limit_of_an_expectation_is_shown_by_the_digits_it_is_written_with(
    tmp_path: Path, limits: str, expected: str
) -> None:
    assert expected_of(tmp_path, f"expect_column_values_to_be_between: {{column: id, {limits}}}") == expected


def test_numbers_and_texts_of_a_set_are_shown_as_they_are_written(tmp_path: Path) -> None:
    check = "expect_column_values_to_be_in_set: {column: id, value_set: [9007199254740993.01, 2, a]}"
    assert expected_of(tmp_path, check) == "value_set=[9007199254740993.01, 2, 'a']"


def expected_of(folder: Path, check: str) -> str:
    """What the report says is expected by a check of `orders`."""
    file = write(folder, f"tables:\n  - model: orders\n    expectations:\n      - {check}\n")
    left = RECORDED / "build"
    build = Build(Manifest.load(left / "manifest.json"), RunResults.load(left / "run_results.json"))
    planned = Planner(build, False, exists=lambda _: True, data_type=str).plan(SmokeSuite.from_yaml(file).checks[0], "")
    assert isinstance(planned, Planned)
    return planned.expected


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, "orders is one of 0"),
        ({"severity": "warn"}, "orders is one of 0, severity warn"),
        ({"warn_if": "> 0", "error_if": "between 5 and 9"},
         "orders is one of 0, warn if count(*) > 0, error if count(*) between 5 and 9"),
        ({"error_if": "> 10"}, "orders is one of 0, error if count(*) > 10"),
        ({"severity": "warn", "warn_if": "> 3", "error_if": "> 10"},
         "orders is one of 0, severity warn, warn if count(*) > 3"),
        ({"fail_calc": "max(n)", "limit": 5},
         "orders is one of 0, warn if max(n) of at most 5 failures != 0, error if max(n) of at most 5 failures != 0"),
    ],
)  # fmt: skip
def test_what_a_data_test_expects_and_when_it_warns_is_shown_of_one_that_dbt_has_run(
    config: dict[str, Any], expected: str
) -> None:
    folder = RECORDED / "build_test_warned"
    build = Build(Manifest.load(folder / "manifest.json"), RunResults.load(folder / "run_results.json"))
    checks = contracts_from_manifest(build.manifest)
    (contract,) = (c for c in checks if isinstance(c, Contract) and c.rule == "accepted_values")
    planner = Planner(build, recheck=False, exists=lambda _: True, data_type=str)
    found = planner.plan(replace(contract, **{"severity": "error", **config}), "contracts")
    assert isinstance(found, CheckResult)
    assert found.status == "warn"
    assert found.expected == expected
    assert f"expected {expected}, checked by dbt" in str(found)
