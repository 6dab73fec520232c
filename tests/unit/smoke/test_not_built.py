"""What is said of a model that a build left out, and what then counts as a look at the build.

In `model_emptied` of `tests/recorded_dbt` dbt built `customers`, and builds again when its file is empty: it leaves the
model out without a word, and runs its data tests on the table that is there.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from dbx_cd import Manifest
from dbx_cd.dbt.artifacts import RunResults
from dbx_cd.smoke.answers import Answer
from dbx_cd.smoke.build import Build, left_out_in_words
from dbx_cd.smoke.checks import Assertion, Check, ExpectationCheck
from dbx_cd.smoke.contracts import contracts_from_manifest
from dbx_cd.smoke.judge import judge
from dbx_cd.smoke.plan import Planned, Planner
from dbx_cd.smoke.report import CheckResult, SmokeReport
from recorded_dbt import RECORDED

EMPTY = "customers was not built in this release: its file customers_empty/customers.sql is empty"
BY_DBT = "checked by dbt build in this release"


def recorded(scenario: str, *, without: str = "") -> Build:
    folder = RECORDED / scenario
    results = RunResults.load(folder / "run_results.json")
    kept = tuple(r for r in results.results if r.unique_id != without)
    return Build(Manifest.load(folder / "manifest.json"), replace(results, results=kept))


def found(build: Build, check: Check) -> CheckResult:
    plan = Planner(build, recheck=False, exists=lambda _: True, data_type=str).plan(check, "sales")
    return judge(plan, Answer(success=True, observed=0)) if isinstance(plan, Planned) else plan


def data_test(build: Build, begins: str) -> CheckResult:
    (contract,) = (c for c in contracts_from_manifest(build.manifest) if c.name.startswith(begins))
    return found(build, contract)


def report(*checks: CheckResult) -> SmokeReport:
    return SmokeReport("stg", "20261123T101500.000000Z", "1a2b3c4", None, False, 1.0, checks)


def test_a_data_test_of_a_model_whose_file_is_empty_warns_and_has_not_looked_at_the_build() -> None:
    test = data_test(recorded("model_emptied"), "unique_customers")
    assert (test.status, test.reason) == ("warn", f"{BY_DBT}; {EMPTY}")
    assert not test.looked_at_the_build
    assert not report(test).ok


def test_a_data_test_that_also_reads_what_was_built_names_what_was_not() -> None:
    test = data_test(recorded("model_emptied"), "relationships")
    assert (test.status, test.reason) == ("warn", f"{BY_DBT}; {EMPTY}")
    assert report(test).ok


def test_a_data_test_of_a_model_outside_of_the_build_passes_and_has_not_looked_at_the_build() -> None:
    test = data_test(recorded("build", without="model.plain.orders"), "unique_orders")
    assert (test.status, test.reason) == ("pass", f"{BY_DBT}; orders was not built in this release")
    assert not test.looked_at_the_build


def test_a_data_test_that_failed_on_an_older_table_has_failed_all_the_same() -> None:
    test = data_test(recorded("build_test_failed", without="model.plain.orders"), "unique_orders")
    assert (test.status, report(test).ok) == ("fail", False)
    assert "orders was not built in this release" in str(test)


@pytest.mark.parametrize("begins", ["unique_orders", "not_null_order_totals"])
def test_a_data_test_of_what_was_built_has_looked_at_the_build(begins: str) -> None:
    test = data_test(recorded("build"), begins)
    assert (test.status, test.reason, test.looked_at_the_build) == ("pass", BY_DBT, True)


def test_a_data_test_of_an_ephemeral_model_looks_at_what_that_reads() -> None:
    test = data_test(recorded("model_emptied"), "not_null_late_orders")
    assert (test.status, test.reason, test.looked_at_the_build) == ("pass", BY_DBT, True)
    older = data_test(recorded("model_emptied", without="model.emptied.orders"), "not_null_late_orders")
    assert (older.looked_at_the_build, "orders was not built" in str(older)) == (False, True)


def reading(build: Build, **depends_on: list[str]) -> Build:
    """The same build of nodes that read something else."""
    nodes = {
        i: replace(node, depends_on=tuple(depends_on.get(node.name, node.depends_on)))
        for i, node in build.manifest.nodes.items()
    }
    return replace(build, manifest=replace(build.manifest, nodes=nodes))


@pytest.mark.parametrize("between", [[], ["model.emptied.more"]])
def test_a_data_test_of_an_ephemeral_model_looks_at_what_its_code_is_compiled_into(between: list[str]) -> None:
    """A staging layer of ephemeral models over sources, with the tests, below tables without any."""
    build = recorded("model_emptied")
    late = build.manifest.nodes["model.emptied.late_orders"]
    more = replace(late, unique_id="model.emptied.more", name="more", depends_on=(late.unique_id,))
    build = replace(build, manifest=replace(build.manifest, nodes={**build.manifest.nodes, more.unique_id: more}))
    of_source = reading(build, late_orders=["source.emptied.landing.sites"], orders=between or [late.unique_id])
    assert data_test(of_source, "not_null_late_orders").looked_at_the_build
    unread = reading(build, late_orders=["source.emptied.landing.sites"])
    assert not data_test(unread, "not_null_late_orders").looked_at_the_build


def test_a_data_test_that_names_its_tables_by_itself_is_about_anything() -> None:
    build = recorded("build")
    unique_id = next(i for i in build.manifest.nodes if i.startswith("test.plain.unique_orders"))
    itself = replace(build.manifest.nodes[unique_id], depends_on=())
    build = replace(build, manifest=replace(build.manifest, nodes={**build.manifest.nodes, unique_id: itself}))
    assert data_test(build, "unique_orders").looked_at_the_build
    assert found(build, Assertion(name="a", where="f:1", sql="select * from a.b.c where false")).looked_at_the_build


def test_a_data_test_that_names_no_model_and_was_not_run_is_skipped_with_the_reason() -> None:
    """A singular test without `ref`: `--select tag:deploy` does not reach it."""
    build = recorded("build")
    unique_id = next(i for i in build.manifest.nodes if i.startswith("test.plain.unique_orders"))
    raw = {**build.manifest.nodes[unique_id].raw, "attached_node": None, "test_metadata": None}
    singular = replace(build.manifest.nodes[unique_id], depends_on=(), raw=raw)
    manifest = replace(build.manifest, nodes={**build.manifest.nodes, unique_id: singular})
    without = replace(build, manifest=manifest, run_results=recorded("build", without=unique_id).run_results)
    test = data_test(without, "unique_orders")
    assert (test.status, test.due, "names no model by `ref`" in str(test.reason)) == ("skipped", False, True)
    assert data_test(replace(build, manifest=manifest), "unique_orders").looked_at_the_build, "where dbt ran it"


def test_a_data_test_that_runs_here_names_what_it_reads_and_was_not_built() -> None:
    build = recorded("model_emptied")
    unique_id = next(i for i in build.manifest.nodes if "relationships" in i)
    test = data_test(recorded("model_emptied", without=unique_id), "relationships")
    assert (test.status, test.reason) == ("pass", EMPTY)


def test_a_data_test_of_a_source_alone_has_not_looked_at_the_build_whoever_runs_it() -> None:
    of_dbt = data_test(recorded("model_emptied"), "source_unique")
    here = data_test(recorded("model_emptied", without=of_dbt_id()), "source_unique")
    assert [(t.status, t.looked_at_the_build, t.due) for t in (of_dbt, here)] == [("pass", False, True)] * 2
    assert (of_dbt.reason, here.reason) == (BY_DBT, None)
    assert not report(of_dbt, here).ok
    assert not report(of_dbt, here).was_due


def of_dbt_id() -> str:
    nodes = recorded("model_emptied").manifest.nodes
    return next(i for i in nodes if i.startswith("test.emptied.source_unique"))


def test_a_check_of_a_model_whose_file_is_empty_is_a_warning_that_names_the_file() -> None:
    rows = ExpectationCheck(name="rows", where="f:1", model="customers", type="expect_table_row_count_to_equal")
    for check in (rows, Assertion(name="a", where="f:1", sql="select * from {{ ref('customers') }}")):
        result = found(recorded("model_emptied"), check)
        reason = "not built in this release: its file customers_empty/customers.sql is empty"
        assert (result.status, result.reason, report(result).ok) == ("warn", reason, False)


def test_a_check_of_a_model_outside_of_the_build_is_skipped() -> None:
    rows = ExpectationCheck(name="rows", where="f:1", model="orders", type="expect_table_row_count_to_equal")
    result = found(recorded("build", without="model.plain.orders"), rows)
    assert (result.status, result.reason, result.due) == ("skipped", "not built in this release", False)


def test_an_assertion_names_what_it_reads_of_an_earlier_release() -> None:
    both = "select * from {{ ref('orders') }} join {{ ref('customers') }} using (id)"
    result = found(recorded("model_emptied"), Assertion(name="a", where="f:1", sql=both))
    assert (result.status, result.reason, result.looked_at_the_build) == ("pass", EMPTY, True)


def test_an_assertion_about_sources_alone_has_not_looked_at_the_build() -> None:
    sql = "select * from {{ source('landing', 'sites') }} where id is null"
    result = found(recorded("model_emptied"), Assertion(name="a", where="f:1", sql=sql))
    assert (result.status, result.looked_at_the_build) == ("pass", False)


def test_of_a_versioned_model_the_version_is_named() -> None:
    models = [node for node in recorded("versions").manifest.nodes.values() if node.version is not None]
    told = left_out_in_words(models).split("; ")
    assert told == [f"{node.name}.v{node.version} was not built in this release" for node in models]
    assert len(told) > 1
