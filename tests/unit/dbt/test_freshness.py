"""Every source that dbt was to judge has a result, also where dbt writes none. All files are dbt's own."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from recorded_freshness import RECORDED, Recorded

from dbx_cd import DbtOutcome, DbtRun, Manifest, run_dbt
from dbx_cd.dbt.freshness import SourceFreshness, freshness_of, has_rule, load_freshness
from dbx_cd.errors import ArtifactError

WITH_RULE = {
    "raw.just_loaded", "raw.late", "raw.stale", "raw.ahead", "raw.empty", "raw.gone", "raw.other_column",
    "catalog.by_query", "catalog.just_altered", "catalog.not_listed",
}  # fmt: skip


def written(run: str) -> set[str]:
    """The sources in a run's `sources.json`."""
    results = json.loads((RECORDED / run / "sources.json").read_text(encoding="utf-8"))["results"]
    return {".".join(r["unique_id"].split(".")[2:]) for r in results}


def test_dbt_leaves_sources_that_it_could_not_judge_out_of_its_file() -> None:
    """What all of this is about; when dbt changes it, this says so."""
    assert written("all") == WITH_RULE - {"raw.gone", "raw.other_column", "catalog.not_listed"}


def test_every_source_with_a_rule_has_a_result_and_no_other_has() -> None:
    found = Recorded("all").found()
    assert set(found) == WITH_RULE
    assert {name: f.status for name, f in found.items()} == {
        "raw.just_loaded": "pass",
        "raw.late": "warn",
        "raw.stale": "error",
        "raw.ahead": "pass",
        "raw.empty": "error",
        "catalog.by_query": "pass",
        "catalog.just_altered": "pass",
        "raw.gone": "runtime error",
        "raw.other_column": "runtime error",
        "catalog.not_listed": "runtime error",
    }


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("raw.gone", "[TABLE_OR_VIEW_NOT_FOUND] The table or view `stg`.`fresh`.`gone` cannot be found."),
        ("raw.other_column", "function parameter with name `at` cannot be resolved"),
        ("catalog.not_listed", "the catalog's metadata lists no such table: <DatabricksRelation `stg`.`fresh`.`not_li"),
    ],
)
def test_a_source_that_could_not_be_judged_has_dbts_own_message_and_no_others(source: str, message: str) -> None:
    found = Recorded("all").found()
    assert message in (found[source].error or "")
    assert [name for name, f in found.items() if message in (f.error or "")] == [source]
    assert found[source].criteria.endswith("error after 1 day")


def test_a_selection_of_dbt_is_respected() -> None:
    assert {name: f.status for name, f in Recorded("selected").found().items()} == {
        "raw.stale": "error",
        "raw.gone": "runtime error",
    }


def test_where_dbt_fails_before_it_begins_every_source_with_a_rule_says_why() -> None:
    found = Recorded("unconnected").found()
    assert set(found) == WITH_RULE
    assert {f.status for f in found.values()} == {"runtime error"}
    assert all("invalid access token" in (f.error or "") for f in found.values())


def test_where_dbt_leaves_no_manifest_one_result_stands_for_all() -> None:
    ((name, found),) = Recorded("unparsed").found().items()
    assert (name, found.status) == ("all sources", "runtime error")
    assert "depends on a node named 'nowhere'" in (found.error or "")


def test_dbt_that_was_killed_halfway_has_judged_nothing(tmp_path: Path) -> None:
    killed = Recorded("all", left_out=("sources.json",), cut_after="3 of 10 START")
    shutil.copyfile(RECORDED / "all" / "manifest.json", tmp_path / "manifest.json")
    (tmp_path / "sources.json").write_text('{"results": [')
    found = freshness_of(tmp_path, killed.outcome)
    assert {f.name for f in found} == WITH_RULE
    assert {f.status for f in found} == {"runtime error"}
    assert any("not readable as JSON" in (f.error or "") for f in found)


def test_another_runner_that_tells_nothing_of_single_sources_leaves_none_out(tmp_path: Path) -> None:
    for name in ("sources.json", "manifest.json"):
        shutil.copyfile(RECORDED / "all" / name, tmp_path / name)
    found = {f.name: f for f in freshness_of(tmp_path, DbtOutcome(False, ("it failed",)))}
    assert set(found) == WITH_RULE
    assert found["raw.gone"].error == "it failed"


@pytest.mark.parametrize("left", [None, "", '{"results": ['])
@pytest.mark.parametrize("outcome", [DbtOutcome(True), DbtOutcome(False, ("it failed",))])
def test_where_dbt_leaves_no_readable_results_every_source_with_a_rule_is_unknown_however_it_ended(
    tmp_path: Path, left: str | None, outcome: DbtOutcome
) -> None:
    shutil.copyfile(RECORDED / "all" / "manifest.json", tmp_path / "manifest.json")
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
    shutil.copyfile(RECORDED / "selected" / "manifest.json", tmp_path / "manifest.json")
    outcome = Recorded("selected").outcome
    assert {f.name for f in freshness_of(tmp_path, replace(outcome, success=True))} == {"raw.stale", "raw.gone"}


def test_nothing_selected_is_no_source_of_which_nothing_is_known() -> None:
    folder = RECORDED.parents[1] / "recorded_dbt" / "recorded" / "freshness_nothing_selected"
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
    document = json.loads((RECORDED / "all" / "sources.json").read_text(encoding="utf-8"))
    document["results"][0][key] = value
    (tmp_path / "sources.json").write_text(json.dumps(document))
    shutil.copyfile(RECORDED / "all" / "manifest.json", tmp_path / "manifest.json")
    with pytest.raises(ArtifactError, match="not a dbt sources file"):
        load_freshness(tmp_path / "sources.json")
    assert {f.status for f in freshness_of(tmp_path, DbtOutcome(True))} == {"runtime error"}


def test_sources_without_a_rule_and_disabled_ones_have_none() -> None:
    manifest = Manifest.load(RECORDED / "all" / "manifest.json")
    sources = {n.name for n in manifest.nodes.values() if n.resource_type == "source"}
    ruled = {n.name for n in manifest.nodes.values() if n.resource_type == "source" and has_rule(n)}
    assert sources - ruled == {"without_rule"}
    assert "disabled" not in sources


@pytest.mark.parametrize(
    ("source", "observed", "remark"),
    [
        ("raw.ahead", "dated 2.0 hours in the future", "later than now"),
        ("raw.empty", "no time found", "the table is empty"),
        ("catalog.just_altered", "0.0 hours old", "the catalog's time of the table's last change"),
        ("raw.stale", "72.0 hours old", None),
        ("catalog.by_query", "0.0 hours old", None),
        ("raw.gone", None, "[TABLE_OR_VIEW_NOT_FOUND]"),
    ],
)
def test_what_is_unusual_about_an_age_is_said_in_words(source: str, observed: str | None, remark: str | None) -> None:
    found = Recorded("all").found()[source]
    assert found.observed == observed
    assert (found.remark is None) if remark is None else (remark in (found.remark or ""))


def test_limits_are_in_words() -> None:
    found = {f.name: f for f in load_freshness(RECORDED / "all" / "sources.json")}
    assert found["raw.late"].criteria == "warn after 1 hour, error after 1 day"
    assert found["catalog.just_altered"].criteria == "error after 1 day"


def invoked(cmd: str, run: str, work: Path) -> DbtRun:
    """The record of a command of which dbt has done what is recorded."""
    project = RECORDED.parent / "projects" / "freshness"
    return run_dbt(cmd, target="stg", project_dir=project, work_dir=work, runner=Recorded(run), check=False)


@pytest.mark.parametrize("run", ["all", "selected", "unconnected", "unparsed"])
def test_the_record_of_an_invocation_has_them(run: str, tmp_path: Path) -> None:
    done = invoked("source freshness", run, tmp_path)
    assert {f.name for f in done.freshness or ()} == set(Recorded(run).found())
    assert DbtRun.read(json.loads(json.dumps(done.to_dict()))) == done


def test_another_command_says_nothing_of_freshness(tmp_path: Path) -> None:
    assert invoked("parse", "unconnected", tmp_path).freshness is None


def test_freshness_written_by_an_older_version_is_read() -> None:
    older = {"unique_id": "source.shop.web.events", "status": "error", "age_seconds": 7200.0, "max_loaded_at": None}
    assert SourceFreshness(**older).observed == "2.0 hours old"  # type: ignore[arg-type]
