"""Every source that dbt was to judge has a result, also where dbt writes none. All files are dbt's own."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from dbx_cd import DbtOutcome, DbtRun, Manifest, run_dbt
from dbx_cd.dbt.freshness import SourceFreshness, freshness_of, has_rule, load_freshness
from dbx_cd.errors import ArtifactError
from recorded_dbt import RECORDED, RecordedDbt
from recorded_dbt.scenarios import SCENARIOS

WITH_RULE = {
    "landing.fresh", "landing.late", "landing.stale", "landing.ahead", "landing.empty", "landing.nulls",
    "landing.missing", "landing.wrong_field", "landing.by_query", "catalog.catalogued", "catalog.gone",
}  # fmt: skip


def written(run: str) -> set[str]:
    """The sources in a run's `sources.json`."""
    results = json.loads((RECORDED / run / "sources.json").read_text(encoding="utf-8"))["results"]
    return {".".join(r["unique_id"].split(".")[2:]) for r in results}


def test_dbt_leaves_sources_that_it_could_not_judge_out_of_its_file() -> None:
    """What all of this is about; when dbt changes it, this says so."""
    assert written("freshness") == WITH_RULE - {"landing.missing", "landing.wrong_field", "catalog.gone"}


def test_every_source_with_a_rule_has_a_result_and_no_other_has() -> None:
    found = RecordedDbt("freshness").freshness()
    assert set(found) == WITH_RULE
    assert {name: f.status for name, f in found.items()} == {
        "landing.fresh": "pass",
        "landing.late": "warn",
        "landing.stale": "error",
        "landing.ahead": "pass",
        "landing.empty": "error",
        "landing.nulls": "error",
        "landing.by_query": "pass",
        "catalog.catalogued": "pass",
        "landing.missing": "runtime error",
        "landing.wrong_field": "runtime error",
        "catalog.gone": "runtime error",
    }


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("landing.missing", "[TABLE_OR_VIEW_NOT_FOUND] The table or view `stg`.`recorded`.`missing` cannot be found."),
        ("landing.wrong_field", "function parameter with name `loaded_when` cannot be resolved"),
        ("catalog.gone", "the catalog's metadata lists no such table: <DatabricksRelation `stg`.`recorded`.`gon"),
    ],
)
def test_a_source_that_could_not_be_judged_has_dbts_own_message_and_no_others(source: str, message: str) -> None:
    found = RecordedDbt("freshness").freshness()
    assert message in (found[source].error or "")
    assert [name for name, f in found.items() if message in (f.error or "")] == [source]
    assert found[source].criteria.startswith("warn after 1 day")


def test_a_selection_of_dbt_is_respected() -> None:
    assert {name: f.status for name, f in RecordedDbt("freshness_some").freshness().items()} == {
        "landing.stale": "error",
        "landing.missing": "runtime error",
    }


@pytest.mark.parametrize(("scenario", "begun"), [("freshness_refused", 11), ("freshness_refused_at_once", 0)])
def test_where_dbt_cannot_ask_for_any_source_each_with_a_rule_says_why(scenario: str, begun: int) -> None:
    dbt = RecordedDbt(scenario)
    assert len(dbt.outcome.nodes.begun) == begun
    found = dbt.freshness()
    assert set(found) == WITH_RULE
    assert {f.status for f in found.values()} == {"runtime error"}
    assert all("invalid access token" in (f.error or "") for f in found.values())


def test_where_dbt_leaves_no_manifest_one_result_stands_for_all() -> None:
    ((name, found),) = RecordedDbt("freshness_not_parsed").freshness().items()
    assert (name, found.status) == ("all sources", "runtime error")
    assert "depends on a node named 'nowhere'" in (found.error or "")


def test_dbt_that_was_killed_halfway_has_judged_nothing(tmp_path: Path) -> None:
    killed = RecordedDbt("freshness")
    del killed.lines[next(i for i, line in enumerate(killed.lines) if "3 of 11 START" in line) + 1 :]
    shutil.copyfile(RECORDED / "freshness" / "manifest.json", tmp_path / "manifest.json")
    (tmp_path / "sources.json").write_text('{"results": [')
    found = freshness_of(tmp_path, killed.outcome)
    assert {f.name for f in found} == WITH_RULE
    assert {f.status for f in found} == {"runtime error"}
    assert any("not readable as JSON" in (f.error or "") for f in found)


def test_another_runner_that_tells_nothing_of_single_sources_leaves_none_out(tmp_path: Path) -> None:
    for name in ("sources.json", "manifest.json"):
        shutil.copyfile(RECORDED / "freshness" / name, tmp_path / name)
    found = {f.name: f for f in freshness_of(tmp_path, DbtOutcome(False, ("it failed",)))}
    assert set(found) == WITH_RULE
    assert found["landing.missing"].error == "it failed"


@pytest.mark.parametrize("left", [None, "", '{"results": ['])
@pytest.mark.parametrize("outcome", [DbtOutcome(True), DbtOutcome(False, ("it failed",))])
def test_where_dbt_leaves_no_readable_results_every_source_with_a_rule_is_unknown_however_it_ended(
    tmp_path: Path, left: str | None, outcome: DbtOutcome
) -> None:
    shutil.copyfile(RECORDED / "freshness" / "manifest.json", tmp_path / "manifest.json")
    if left is not None:
        (tmp_path / "sources.json").write_text(left)
    found = freshness_of(tmp_path, outcome)
    assert {f.name for f in found} == WITH_RULE
    assert {f.status for f in found} == {"runtime error"}
    why = {None: "has left no sources.json" if outcome.success else "it failed"}.get(left, "not readable as JSON")
    assert all(why in (f.error or "") for f in found)


def test_where_dbt_succeeds_and_leaves_nothing_at_all_one_result_stands_for_all(tmp_path: Path) -> None:
    ((found),) = freshness_of(tmp_path, DbtOutcome(True))
    assert (found.name, found.status, found.error) == (
        "all sources", "runtime error", "dbt has left no sources.json",
    )  # fmt: skip


def test_dbt_that_had_begun_with_all_it_selected_leaves_out_no_other_when_its_results_are_lost(tmp_path: Path) -> None:
    shutil.copyfile(RECORDED / "freshness_some" / "manifest.json", tmp_path / "manifest.json")
    outcome = RecordedDbt("freshness_some").outcome
    assert {f.name for f in freshness_of(tmp_path, replace(outcome, success=True))} == {
        "landing.stale",
        "landing.missing",
    }


def test_nothing_selected_is_no_source_of_which_nothing_is_known() -> None:
    folder = RECORDED / "freshness_nothing_selected"
    assert Manifest.load(folder / "manifest.json").nodes
    assert freshness_of(folder, DbtOutcome(True)) == ()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("max_loaded_at_time_ago_in_s", float("nan")),
        ("max_loaded_at_time_ago_in_s", float("inf")),
        ("max_loaded_at_time_ago_in_s", "3600"),
        ("max_loaded_at_time_ago_in_s", True),
        ("max_loaded_at", 5),
        ("criteria", {"warn_after": {"count": 1}}),
    ],
)
def test_results_with_a_value_that_dbt_never_writes_are_no_results(tmp_path: Path, key: str, value: object) -> None:
    document = json.loads((RECORDED / "freshness" / "sources.json").read_text(encoding="utf-8"))
    document["results"][0][key] = value
    (tmp_path / "sources.json").write_text(json.dumps(document))
    shutil.copyfile(RECORDED / "freshness" / "manifest.json", tmp_path / "manifest.json")
    with pytest.raises(ArtifactError, match="not a dbt sources file"):
        load_freshness(tmp_path / "sources.json")
    assert {f.status for f in freshness_of(tmp_path, DbtOutcome(True))} == {"runtime error"}


def test_sources_without_a_rule_and_disabled_ones_have_none() -> None:
    manifest = Manifest.load(RECORDED / "freshness" / "manifest.json")
    sources = {n.name for n in manifest.nodes.values() if n.resource_type == "source"}
    ruled = {n.name for n in manifest.nodes.values() if n.resource_type == "source" and has_rule(n)}
    assert sources - ruled == {"unruled"}
    assert "disabled" not in sources


@pytest.mark.parametrize(
    ("source", "observed", "remark"),
    [
        ("landing.ahead", "dated 1.0 hours in the future", "later than now"),
        ("landing.empty", "no time found", "the table is empty"),
        ("catalog.catalogued", "0.0 hours old", "the catalog's time of the table's last change"),
        ("landing.stale", "96.0 hours old", None),
        ("landing.by_query", "1.0 hours old", None),
        ("landing.missing", None, "[TABLE_OR_VIEW_NOT_FOUND]"),
    ],
)
def test_what_is_unusual_about_an_age_is_said_in_words(source: str, observed: str | None, remark: str | None) -> None:
    found = RecordedDbt("freshness").freshness()[source]
    assert found.observed == observed
    assert (found.remark is None) if remark is None else (remark in (found.remark or ""))


def test_limits_are_in_words() -> None:
    found = {f.name: f for f in load_freshness(RECORDED / "freshness" / "sources.json")}
    assert found["landing.late"].criteria == "warn after 1 day, error after 3 days"
    assert found["catalog.catalogued"].criteria == "warn after 1 day"


def invoked(dbt: RecordedDbt, work: Path) -> DbtRun:
    """The record of what dbt has done."""
    return run_dbt(dbt.words, target="stg", project_dir=dbt.project, work_dir=work, runner=dbt, check=False)


@pytest.mark.parametrize("scenario", [name for name in SCENARIOS if name.startswith("freshness")])
def test_the_record_of_an_invocation_has_them(scenario: str, tmp_path: Path) -> None:
    dbt = RecordedDbt(scenario)
    done = invoked(dbt, tmp_path)
    assert {f.name for f in done.freshness or ()} == set(dbt.freshness())
    assert DbtRun.read(json.loads(json.dumps(done.to_dict()))) == done


def test_another_command_says_nothing_of_freshness(tmp_path: Path) -> None:
    dbt = RecordedDbt("freshness_refused_at_once")
    dbt.words = "parse"
    assert invoked(dbt, tmp_path).freshness is None


def test_freshness_written_by_an_older_version_is_read() -> None:
    older = {"unique_id": "source.shop.web.events", "status": "error", "age_seconds": 7200.0, "max_loaded_at": None}
    assert SourceFreshness(**older).observed == "2.0 hours old"  # type: ignore[arg-type]
