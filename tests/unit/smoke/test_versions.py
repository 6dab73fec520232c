"""Which table a check looks at where several models have one name, on builds that dbt made (`fixtures/dbt/versions`).

First version 1 of `people` is the latest and has the alias `people`, then version 2.
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
from dbx_cd.smoke.metrics import with_bounds
from dbx_cd.smoke.plan import Planned, Planner
from dbx_cd.smoke.report import CheckResult
from dbx_cd.smoke.run import load_suites

DBT = Path(__file__).parents[2] / "fixtures" / "dbt"
SMOKE = DBT / "projects" / "versions" / "before" / "smoke"
NO_SPARK: Any = None


def recorded(name: str) -> Build:
    folder = DBT / "versions" / name
    return Build(Manifest.load(folder / "manifest.json"), RunResults.load(folder / "run_results.json"))


def planner(build: Build) -> Planner:
    return Planner(build, recheck=False, exists=lambda _: True, data_type=str)


def about(model: str) -> ExpectationCheck:
    return ExpectationCheck(name="rows", where="f:1", model=model, type="expect_table_row_count_to_equal")


def planned(build: Build, model: str) -> tuple[str, str | None]:
    """The relation and the version that a check of that name looks at."""
    plan = planner(build).plan(about(model), "people")
    assert isinstance(plan, Planned)
    return str(plan.relation), plan.check.version


@pytest.fixture
def after(tmp_path: Path) -> ArtifactVersion:
    return ArtifactStore(tmp_path).publish("stg", DBT / "versions" / "stg_after", commit="2" * 40)


def test_a_name_without_a_version_is_the_latest_whatever_the_order_of_the_manifest() -> None:
    assert planned(recorded("stg_before"), "people") == ("stg.clinic.people", "1")
    assert planned(recorded("stg_after"), "people") == ("stg.clinic.people", "2")


def test_a_version_is_meant_where_it_is_written() -> None:
    for name in ("people.v1", "people_v1", "case.people.v1"):
        assert planned(recorded("stg_before"), name) == ("stg.clinic.people", "1")
        assert planned(recorded("stg_after"), name) == ("stg.clinic.people_v1", "1")


@pytest.mark.parametrize(
    ("ref", "relation"),
    [
        ("'people'", "people"),
        ("'case', 'people'", "people"),
        ("'people', v=1", "people_v1"),
        ("'people', version='1'", "people_v1"),
        ("'case', 'people', v=2", "people"),
    ],
)
def test_ref_in_an_assertion_means_what_it_means_in_a_model(ref: str, relation: str) -> None:
    sql, nodes = render(f"select * from {{{{ ref({ref}) }}}}", recorded("stg_after"), lambda _: True)
    assert sql == f"select * from `stg`.`clinic`.`{relation}`"
    check = Assertion(name="a", where="f:1", sql=f"select * from {{{{ ref({ref}) }}}}")
    plan = planner(recorded("stg_after")).plan(check, "people")
    assert isinstance(plan, Planned)
    assert plan.expected == f"no rows, of people (version {nodes[0].version})"


@pytest.mark.parametrize(
    ("ref", "message"),
    [
        ("'people', v=3", "no model `people.v3`; did you mean `people.v"),
        ("'lib', 'people'", "no model `lib.people`"),
        ("'peopel'", "did you mean `people`?"),
        ("'case', 'people', 2", "cannot be rendered"),
        ("", "cannot be rendered"),
    ],
)
def test_ref_of_what_is_not_there_is_refused_with_the_nearest_name(ref: str, message: str) -> None:
    with pytest.raises(DbxCdError) as refused:
        render(f"select * from {{{{ ref({ref}) }}}}", recorded("stg_after"), lambda _: True)
    assert message in str(refused.value)


def test_the_baseline_is_what_the_name_means_in_the_other_environment() -> None:
    baseline = ArtifactsBaseline(recorded("prod_before").manifest, "prod")
    relation = RelationName("stg", "clinic", "people")
    assert baseline.source("people", relation) == "`prod`.`clinic`.`people`"
    assert baseline.source("people.v2", relation) == "`prod`.`clinic`.`people_v2`"
    assert "prod has no model people.v3" in str(baseline.source("people.v3", relation))


def test_a_model_without_a_table_in_the_other_environment_is_no_baseline() -> None:
    shortcut = node("model.shop.people", config={"materialized": "ephemeral"})
    baseline = ArtifactsBaseline(Manifest.from_json(manifest(shortcut)), "prod")
    found = baseline.source("people", RelationName("stg", "clinic", "people"))
    assert found == NoBaseline("people is ephemeral in prod and has no table there")


def test_a_report_says_which_version_was_looked_at() -> None:
    contracts = [c for suite in load_suites(SMOKE, published("stg_after")) for c in suite if c.KIND == "contract"]
    lines = [str(planner(recorded("stg_after")).plan(c, "contracts")) for c in contracts]
    expected = "pass: people (version {}): people: columns (checked by dbt build in this release)"
    assert lines == [expected.format(1), expected.format(2)]


def published(name: str) -> Any:
    """A build as `load_suites` takes it."""

    class Published:
        def manifest(self) -> Manifest:
            return recorded(name).manifest

    return Published()


def test_a_selection_keeps_the_checks_of_the_version_that_it_names(after: ArtifactVersion) -> None:
    def kept(select: str) -> tuple[list[str | None], int]:
        contracts, people = load_suites(SMOKE, after, select=select)
        return [c.version for c in contracts], len(people)

    assert kept("people") == (["1", "2"], 2)
    assert kept("people.v2") == (["2"], 2)
    assert kept("people_v1") == (["1"], 0)
    assert kept("model.case.people.v1") == (["1"], 0)


DATES = [node("model.lib.dates", relation="stg.lib.dates"), node("model.other.dates", relation="stg.other.dates")]
SUCCESS = RunResults("build", (), {}, {})


def test_a_name_of_two_packages_makes_the_check_broken_and_names_both() -> None:
    build = Build(Manifest.from_json(manifest(*DATES)), SUCCESS)
    result = planner(build).plan(about("dates"), "people")
    assert isinstance(result, CheckResult)
    assert result.status == "broken"
    assert "it may mean model.lib.dates, model.other.dates" in str(result.reason)


def test_a_baseline_that_is_ambiguous_is_broken_and_not_skipped() -> None:
    baseline: Baseline = ArtifactsBaseline(Manifest.from_json(manifest(*DATES)), "prod")
    check = Comparison(
        name="row_count", where="f:1", model="dates", expression="count(*)", bounds=Bounds(within_pct=20)
    )
    plan = Planned(check, "people", "", {}, "", relation=RelationName("stg", "lib", "dates"))
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
    result = planner(recorded("stg_after")).plan(check, "people")
    assert isinstance(result, CheckResult)
    assert result.status == "broken"
    assert result.reason
