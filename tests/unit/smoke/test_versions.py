"""Which table a check looks at where several models have one name, on builds that dbt made (`tests/recorded_dbt`).

First version 1 of `customers` is the latest and has the alias `customers`, then version 2.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from artifact_folders import manifest, node

from dbx_cd import ArtifactStore, ArtifactVersion, DbxCdError, Manifest, RelationName
from dbx_cd.dbt.artifacts import RunResults
from dbx_cd.smoke.baseline import ArtifactsBaseline, Baseline, NoBaseline
from dbx_cd.smoke.build import Build, render
from dbx_cd.smoke.checks import Assertion, Bounds, Comparison, ExpectationCheck
from dbx_cd.smoke.compare import compare_model
from dbx_cd.smoke.metrics import with_bounds
from dbx_cd.smoke.plan import Planned, Planner
from dbx_cd.smoke.report import CheckResult
from dbx_cd.smoke.run import load_suites
from recorded_dbt import PROJECTS, RECORDED

SMOKE = PROJECTS / "versions" / "smoke"
NO_SPARK: Any = None


def recorded(name: str) -> Build:
    folder = RECORDED / name
    return Build(Manifest.load(folder / "manifest.json"), RunResults.load(folder / "run_results.json"))


def planner(build: Build) -> Planner:
    return Planner(build, recheck=False, exists=lambda _: True, data_type=str)


def about(model: str) -> ExpectationCheck:
    return ExpectationCheck(name="rows", where="f:1", model=model, type="expect_table_row_count_to_equal")


def planned(build: Build, model: str) -> tuple[str, str | None]:
    """The relation and the version that a check of that name looks at."""
    plan = planner(build).plan(about(model), "customers")
    assert isinstance(plan, Planned)
    return str(plan.relation), plan.check.version


@pytest.fixture
def after(tmp_path: Path) -> ArtifactVersion:
    return ArtifactStore(tmp_path).publish("stg", RECORDED / "versions", commit="2" * 40)


def test_a_name_without_a_version_is_the_latest_whatever_the_order_of_the_manifest() -> None:
    assert planned(recorded("versions_before"), "customers") == ("stg.recorded.customers", "1")
    assert planned(recorded("versions"), "customers") == ("stg.recorded.customers", "2")


def test_a_version_is_meant_where_it_is_written() -> None:
    for name in ("customers.v1", "customers_v1", "versions.customers.v1"):
        assert planned(recorded("versions_before"), name) == ("stg.recorded.customers", "1")
        assert planned(recorded("versions"), name) == ("stg.recorded.customers_v1", "1")


@pytest.mark.parametrize(
    ("ref", "relation"),
    [
        ("'customers'", "customers"),
        ("'versions', 'customers'", "customers"),
        ("'customers', v=1", "customers_v1"),
        ("'customers', version='1'", "customers_v1"),
        ("'versions', 'customers', v=2", "customers"),
    ],
)
def test_ref_in_an_assertion_means_what_it_means_in_a_model(ref: str, relation: str) -> None:
    sql, nodes = render(f"select * from {{{{ ref({ref}) }}}}", recorded("versions"), lambda _: True)
    assert sql == f"select * from `stg`.`recorded`.`{relation}`"
    check = Assertion(name="a", where="f:1", sql=f"select * from {{{{ ref({ref}) }}}}")
    plan = planner(recorded("versions")).plan(check, "customers")
    assert isinstance(plan, Planned)
    assert plan.expected == f"no rows, of customers (version {nodes[0].version})"


@pytest.mark.parametrize(
    ("ref", "message"),
    [
        ("'customers', v=4", "no model `customers.v4`; did you mean `customers.v"),
        ("'lib', 'customers'", "no model `lib.customers`"),
        ("'custmers'", "did you mean `customers`?"),
        ("'versions', 'customers', 2", "cannot be rendered"),
        ("", "cannot be rendered"),
    ],
)
def test_ref_of_what_is_not_there_is_refused_with_the_nearest_name(ref: str, message: str) -> None:
    with pytest.raises(DbxCdError) as refused:
        render(f"select * from {{{{ ref({ref}) }}}}", recorded("versions"), lambda _: True)
    assert message in str(refused.value)


def test_the_baseline_is_what_the_name_means_in_the_other_environment() -> None:
    baseline = ArtifactsBaseline(recorded("versions_before_in_prod").manifest, "prod")
    relation = RelationName("stg", "recorded", "customers")
    assert baseline.source("customers", relation) == "`prod`.`recorded`.`customers`"
    assert baseline.source("customers.v2", relation) == "`prod`.`recorded`.`customers_v2`"
    new = baseline.source("customers.v4", relation)
    assert new == NoBaseline("prod has no model `customers.v4`"), "a new one: no other name was meant"


def test_a_model_without_a_table_in_the_other_environment_is_no_baseline() -> None:
    shortcut = node("model.shop.customers", config={"materialized": "ephemeral"})
    baseline = ArtifactsBaseline(Manifest.from_json(manifest(shortcut)), "prod")
    found = baseline.source("customers", RelationName("stg", "recorded", "customers"))
    assert found == NoBaseline("customers is ephemeral in prod and has no table there")


def test_a_report_says_which_version_was_looked_at() -> None:
    contracts = [c for suite in load_suites(SMOKE, published("versions")) for c in suite if c.KIND == "contract"]
    lines = [str(planner(recorded("versions")).plan(c, "contracts")) for c in contracts]
    columns = "customers: columns (checked by dbt build in this release)"
    test = "not_null_customers_v{0}_id (observed 0 failures, checked by dbt build in this release)"
    expected = [f"pass: customers (version {{0}}): {contract}" for contract in (columns, test)]
    assert lines == [line.format(version) for line in expected for version in (1, 2, 3)]


def published(name: str) -> Any:
    """A build as `load_suites` takes it."""

    class Published:
        def manifest(self) -> Manifest:
            return recorded(name).manifest

    return Published()


def test_a_selection_keeps_the_checks_of_the_version_that_it_names(after: ArtifactVersion) -> None:
    def kept(select: str) -> tuple[list[str | None], int]:
        contracts, customers = load_suites(SMOKE, after, select=select)
        return [c.version for c in contracts], len(customers)

    assert kept("customers") == (["1", "2", "3"] * 2, 2)
    assert kept("customers.v2") == (["2"] * 2, 2)
    assert kept("customers_v1") == (["1"] * 2, 0)
    assert kept("model.versions.customers.v1") == (["1"] * 2, 0)


DATES = [node("model.lib.dates", relation="stg.lib.dates"), node("model.other.dates", relation="stg.other.dates")]
SUCCESS = RunResults("build", (), {}, {})


def test_a_name_of_two_packages_makes_the_check_broken_and_names_both() -> None:
    build = Build(Manifest.from_json(manifest(*DATES)), SUCCESS)
    result = planner(build).plan(about("dates"), "customers")
    assert isinstance(result, CheckResult)
    assert result.status == "broken"
    assert "it may mean model.lib.dates, model.other.dates" in str(result.reason)


def test_a_baseline_that_is_ambiguous_is_broken_and_not_skipped() -> None:
    baseline: Baseline = ArtifactsBaseline(Manifest.from_json(manifest(*DATES)), "prod")
    check = Comparison(
        name="row_count", where="f:1", model="dates", expression="count(*)", bounds=Bounds(within_pct=20)
    )
    plan = Planned(check, "customers", "", {}, "", relation=RelationName("stg", "lib", "dates"))
    (result,) = with_bounds([plan], spark=NO_SPARK, baseline=baseline)
    assert isinstance(result, CheckResult)
    assert result.status == "broken"
    assert "model.other.dates" in str(result.reason)


def test_a_source_of_two_packages_is_refused_in_an_assertion() -> None:
    events = [
        node(f"source.{package}.web.events", relation=f"stg.{package}.events")
        | {"name": "events", "source_name": "web"}
        for package in ("lib", "other")
    ]
    build = Build(Manifest.from_json(manifest(sources=events)), SUCCESS)
    with pytest.raises(DbxCdError, match="ambiguous"):
        render("select * from {{ source('web', 'events') }}", build, lambda _: True)


@pytest.mark.parametrize("template", ["{{ 1 / 0 }}", "{{ 'x' * 10 ** 30 }}", "{{ [][0] }}", "{{ ref(['people']) }}"])
def test_a_template_that_python_cannot_evaluate_is_one_broken_check(template: str) -> None:
    check = Assertion(name="none", where="smoke/people.yml:3", sql=f"select * from t where {template}")
    result = planner(recorded("versions")).plan(check, "people")
    assert isinstance(result, CheckResult)
    assert result.status == "broken"
    assert result.reason


def test_wherever_a_name_is_looked_up_the_nearest_one_and_what_to_write_are_said(after: ArtifactVersion) -> None:
    near = "no model `custmers`; did you mean `customers`?"
    write = "Next: name a model, seed or snapshot as `ref` does"
    check = planner(recorded("versions")).plan(about("custmers"), "customers")
    assert isinstance(check, CheckResult)
    with pytest.raises(DbxCdError) as compared:
        compare_model(NO_SPARK, after, after, model="custmers")
    assert f"the project has {near} {write}" in str(check.reason)
    assert f"stg has {near} {write}" in str(compared.value)
    other = ArtifactsBaseline(recorded("versions").manifest, "prod")
    assert other.source("custmers", RelationName("stg", "s", "t")) == NoBaseline("prod has no model `custmers`")
    with pytest.raises(DbxCdError, match=r"'custmers' matches no model; did you mean `customers`\?"):
        load_suites(SMOKE, after, select="custmers")


def test_a_source_that_is_not_there_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(DbxCdError, match=r"no source `landing.site`; did you mean `landing.sites`\?.*Next: "):
        render("select * from {{ source('landing', 'site') }}", recorded("model_emptied"), lambda _: True)
    with pytest.raises(DbxCdError, match=r"no source `x\.y`\. Next: "):
        render("select * from {{ source('x', 'y') }}", recorded("model_emptied"), lambda _: True)


def test_a_check_of_an_ambiguous_name_stays_in_every_selection_and_says_why_it_broke(tmp_path: Path) -> None:
    class Published(ArtifactVersion):
        def manifest(self) -> Manifest:
            return Manifest.from_json(manifest(*DATES))

    suite = tmp_path / "smoke" / "dates.yml"
    suite.parent.mkdir()
    suite.write_text("tables: [{model: dates, expectations: [{expect_table_row_count_to_equal: {value: 1}}]}]")
    left = ArtifactStore(tmp_path / "store").publish("stg", RECORDED / "versions", commit="2" * 40)
    built = Published(**vars(left))
    *_, dates = load_suites(suite.parent, built, select="lib.dates")
    (check,) = dates
    result = planner(Build(built.manifest(), SUCCESS)).plan(check, "dates")
    assert isinstance(result, CheckResult)
    assert (result.status, "it may mean model.lib.dates, model.other.dates" in str(result.reason)) == ("broken", True)
