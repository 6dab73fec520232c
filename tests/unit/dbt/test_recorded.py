"""What `run_dbt` makes of what dbt itself left, scenario by scenario (`tests/recorded_dbt`)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from artifact_folders import manifest, node, run_results

from dbx_cd import DbtFailed, DbtRun, run_dbt
from dbx_cd.dbt.artifacts import RunResults
from dbx_cd.dbt.batches import naming, why
from memory.dbt import MemoryDbt
from memory.tables import MemoryTables
from recorded_dbt import RECORDED, recorded_dbt
from recorded_dbt.scenarios import SCENARIOS

Read = Callable[[str], DbtRun]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """What `run_dbt` says of a scenario."""

    def read(scenario: str) -> DbtRun:
        dbt = recorded_dbt(scenario)
        return run_dbt(dbt.words, target="stg", runner=dbt, project_dir=dbt.project, work_dir=tmp_path, check=False)

    return read


def results(scenario: str) -> dict[str, Any]:
    """The results of `run_results.json` as dbt wrote them, by the last part of their names."""
    document = json.loads((RECORDED / scenario / "run_results.json").read_text(encoding="utf-8"))
    return {result["unique_id"].split(".")[2]: result for result in document["results"]}


def test_every_scenario_is_recorded_and_nothing_else() -> None:
    assert {folder.name for folder in RECORDED.iterdir()} == SCENARIOS.keys()


def test_no_recording_names_a_place_of_the_machine_it_was_made_on() -> None:
    texts = {p: p.read_text(encoding="utf-8") for p in RECORDED.rglob("*") if p.is_file()}
    assert [p for p, text in texts.items() if any(top in text for top in ("/tmp/", "/root/", "/home/"))] == []


WELL = {"build", "model_emptied", "build_test_warned", "docs", "hooks", "ls", "microbatch", "two_packages",
        "versions", "versions_before", "versions_before_in_prod", "compared", "compared_after", "compared_in_prod",
        "timed_1", "timed_2", "timed_3", "timed_4", "timed_5",
        "lossy_before", "lossy", "lossy_staged"}  # fmt: skip
"""The scenarios in which dbt did what it was asked to; those of freshness and packages have their own tests."""
JUDGED = sorted(
    name for name in SCENARIOS if not name.startswith(("deps", "freshness")) and name != "build_without_deps"
)


@pytest.mark.parametrize("scenario", JUDGED)
def test_an_invocation_is_ok_when_dbt_ended_well_and_did_something(read: Read, scenario: str) -> None:
    assert read(scenario).ok == (scenario in WELL)


FAILED = {
    "build_node_failed": ["order_totals"],
    "build_fail_fast": ["order_totals"],
    "build_not_compiled": ["calendar"],
    "build_test_failed": ["unique_orders_id"],
    "build_interrupted": ["order_totals"],
    "hooks_start_failed": ["hooks-on-run-start-1"],
    "hooks_end_failed": ["hooks-on-run-end-1"],
    "hooks_of_model_failed": ["broken"],
    "microbatch_first_failed": ["daily"],
    "microbatch_middle_failed": ["daily"],
    "microbatch_later_failed": ["daily"],
    "microbatch_all_failed": ["daily"],
    "microbatch_not_compiled": ["daily"],
}
"""What failed, where dbt says so of a node or hook."""


@pytest.mark.parametrize("scenario", JUDGED)
def test_what_failed_is_named(read: Read, scenario: str) -> None:
    assert [node.name for node in read(scenario).failed] == FAILED.get(scenario, [])


REASONS = {
    "build_node_failed": r"order_totals: Database Error in model order_totals .*no_such_column",
    "build_fail_fast": r"order_totals: Database Error in model order_totals .*no_such_column",
    "build_not_compiled": r"calendar: Compilation Error in model calendar .*'no_such_macro' is undefined",
    "build_test_failed": r"unique_orders_id: Got 6 results, configured to fail if != 0",
    "build_nothing_selected": r"the selection matched no node",
    "build_unknown_target": r"failed: Runtime Error\n  The profile 'recorded' does not have a target named 'nowhere'",
    "build_killed": r"failed: dbt was ended by the signal SIGKILL",
    "build_interrupted": r"order_totals: dbt ended before this was done",
    "hooks_start_failed": r"hooks-on-run-start-1: hooks.on-run-start.1 failed, error:\n .*no_such_column",
    "hooks_end_failed": r"hooks-on-run-end-1: hooks.on-run-end.1 failed, error:\n .*no_such_column",
    "hooks_start_macro_failed": r"failed: Database Error in operation hooks-on-run-start-2\n .*no_such_column",
    "hooks_end_macro_failed": r"failed: Database Error in operation hooks-on-run-end-2\n .*no_such_column",
    "hooks_end_raises": r"failed: Compilation Error in operation raising-on-run-end-1 .*nobody may be granted anything",
    "hooks_of_model_failed": r"broken: Database Error in model broken .*no_such_column",
}


@pytest.mark.parametrize("scenario", REASONS)
def test_the_error_says_what_dbt_or_the_database_said(read: Read, scenario: str) -> None:
    with pytest.raises(DbtFailed, match=f"(?s){REASONS[scenario]}"):
        read(scenario).raise_if_failed()


@pytest.mark.parametrize("scenario", ["hooks_end_macro_failed", "hooks_start_macro_failed"])
def test_the_line_of_a_build_says_the_cause_and_not_only_what_kind_of_error_it_is(read: Read, scenario: str) -> None:
    assert re.search(r"Database Error in operation hooks-on-run-\w+-2.*: .*no_such_column", str(read(scenario)))


def test_interrupted_dbt_names_the_query_that_it_cancelled(read: Read) -> None:
    errors = read("build_interrupted").errors
    assert errors[0].startswith("CANCEL query model.plain.order_totals")
    assert errors[-1] == "KeyboardInterrupt"


TOUCHED = {
    "build": ["calendar", "orders", "sites", "order_totals", "busy_sites"],
    "build_node_failed": ["calendar", "orders", "sites", "order_totals"],
    "build_test_failed": ["calendar", "orders", "sites"],
    "build_interrupted": ["orders", "order_totals"],
    "hooks_of_model_failed": ["orders", "broken"],
    "hooks_end_macro_failed": ["orders"],
    "hooks_end_raises": ["orders"],
    "microbatch_middle_failed": ["events", "daily"],
    "microbatch_all_failed": ["events", "daily"],
    "build_killed": None,
    "hooks_start_macro_failed": None,
}
"""What an invocation may have changed; None where dbt left no results."""


@pytest.mark.parametrize("scenario", TOUCHED)
def test_what_may_have_been_changed_is_named(read: Read, scenario: str) -> None:
    touched = read(scenario).touched
    assert (touched and [relation.identifier for relation in touched]) == TOUCHED[scenario]


def test_dbt_leaves_the_relation_of_a_seed_out_of_its_results() -> None:
    """Hence it is taken from its events."""
    assert results("build")["sites"]["relation_name"] is None


def test_dbt_that_is_interrupted_leaves_what_ran_out_of_its_results() -> None:
    """Hence what began and has no result counts as failed."""
    assert "order_totals" not in results("build_interrupted")


def test_model_whose_file_is_empty_is_in_no_results_and_its_tests_are() -> None:
    assert {"orders", "unique_customers_id"} <= results("model_emptied").keys()
    assert "customers" not in results("model_emptied")


def test_hook_whose_macro_fails_is_in_no_results() -> None:
    """dbt ends with exit code 2 and has written successes only; of a failing statement it writes a result."""
    assert {result["status"] for result in results("hooks_end_macro_failed").values()} == {"success"}
    assert results("hooks_end_failed")["hooks-on-run-end-1"]["status"] == "error"


def test_source_whose_query_failed_is_left_out_of_what_dbt_writes() -> None:
    written = json.loads((RECORDED / "freshness" / "sources.json").read_text(encoding="utf-8"))["results"]
    names = {result["unique_id"].split(".", 2)[2] for result in written}
    manifest = json.loads((RECORDED / "freshness" / "manifest.json").read_text(encoding="utf-8"))
    declared = {unique_id.split(".", 2)[2] for unique_id in manifest["sources"]}
    unasked = {"landing.missing", "landing.wrong_field", "catalog.gone"}
    assert declared - names == unasked | {"landing.unruled"}


def test_source_without_a_time_is_as_old_as_the_calendar() -> None:
    written = json.loads((RECORDED / "freshness_empty_table" / "sources.json").read_text(encoding="utf-8"))["results"]
    assert [(r["status"], r["max_loaded_at"]) for r in written] == [("error", "0001-01-01T00:00:00+00:00")]


MIDDLE = "2026-01-02 to 2026-01-03"
ALL = ["2026-01-01 to 2026-01-02", MIDDLE, "2026-01-03 to 2026-01-04"]
WHOLE, REST = "2026-01-01 to 2026-01-04", "2026-01-02 to 2026-01-04"


@pytest.mark.parametrize(
    ("scenario", "status", "said", "unbuilt", "caused", "whole", "never"),
    [
        ("microbatch_middle_failed", "partial success", "PARTIAL SUCCESS (2/3)", [MIDDLE], [MIDDLE], MIDDLE, None),
        ("microbatch_later_failed", "partial success", "PARTIAL SUCCESS (2/3)", [MIDDLE], [MIDDLE], MIDDLE, None),
        ("microbatch_first_failed", "error", "ERROR", ALL, ALL[:1], WHOLE, REST),
        ("microbatch_all_failed", "error", "ERROR", ALL, ALL[:1], WHOLE, REST),
    ],
)
def test_failed_microbatch_names_its_batches_why_they_failed_and_which_were_never_tried(
    read: Read,
    scenario: str,
    status: str,
    said: str,
    unbuilt: list[str],
    caused: list[str],
    whole: str,
    never: str | None,
) -> None:
    run = read(scenario)
    (failed,) = run.failed
    assert (failed.status, list(failed.unbuilt)) == (status, unbuilt)
    assert failed.message is not None
    first, *causes = failed.message.splitlines()
    assert first == f"{said}; not built: {whole}"
    untried = [line for line in causes if line.startswith("never tried")]
    assert untried == ([f"never tried, since dbt gave up: {never}"] if never else [])
    assert [line.split(": ")[0] for line in causes if line.startswith("batch")] == [f"batch {b}" for b in caused]
    assert 'The value \'bad\' of the type "STRING" cannot be cast to "INT"' in failed.message
    with pytest.raises(DbtFailed, match=f"daily: {said[:5]}.*; not built: {whole}"):
        run.raise_if_failed()
    assert whole in run.to_html()


def test_every_batch_that_was_not_built_is_named_those_in_a_row_as_one_range() -> None:
    days = [f"2026-01-{day:02} to 2026-01-{day + 1:02}" for day in (1, 2, 3, 4, 6, 8, 10, 12)]
    ranges = ["2026-01-01 to 2026-01-05", *days[4:]]
    assert naming("ERROR", days) == f"ERROR; not built: {', '.join(ranges)}"


def test_why_the_batch_of_an_hour_at_midnight_failed_is_found() -> None:
    hours = ["2026-01-02 to 2026-01-02T01:00:00", "2026-01-02T01:00:00 to 2026-01-02T02:00:00"]
    said = why(hours, {"2026-01-02T00": "no such table", "2026-01-02T01": ""})
    assert said == f"batch {hours[0]}: no such table\nnever tried, since dbt gave up: {hours[1]}"


def test_of_many_batches_that_failed_the_first_causes_are_told_and_how_many_more_there_are() -> None:
    days = [f"2026-01-{day:02} to 2026-01-{day + 1:02}" for day in range(1, 6)]
    lines = why(days, {day[:10]: "boom" for day in days}).splitlines()
    assert lines == [*(f"batch {day}: boom" for day in days[:3]), "2 more batches failed; dbt.log says why"]


def test_results_alone_name_the_batches_without_why() -> None:
    loaded = RunResults.load(RECORDED / "microbatch_middle_failed" / "run_results.json")
    assert not loaded.ok
    assert [(n.name, n.message) for n in loaded.failed] == [("daily", f"PARTIAL SUCCESS (2/3); not built: {MIDDLE}")]


def test_batch_whose_cause_dbt_does_not_say_is_named_with_the_log(read: Read) -> None:
    """Of a batch that is not compiled dbt says why in dbt.log alone, at the level of debugging."""
    (failed,) = read("microbatch_not_compiled").failed
    assert failed.message == f"PARTIAL SUCCESS (2/3); not built: {MIDDLE}\ndbt's events do not say why; dbt.log does"


def test_events_of_batches_that_run_at_once_are_told_apart_by_their_thread(tmp_path: Path) -> None:
    """The recording has one thread; here the third batch begins in a second one before the second has failed."""
    dbt = recorded_dbt("microbatch_middle_failed")
    other = [line for line in dbt.lines if "LogStartBatch" in line and "2026-01-03" in line]
    failed = next(i for i, line in enumerate(dbt.lines) if "GenericExceptionOnRun" in line)
    dbt.lines[failed:failed] = [line.replace("Thread-1", "Thread-2") for line in other]
    run = run_dbt("build", target="stg", runner=dbt, project_dir=dbt.project, work_dir=tmp_path, check=False)
    assert f"\nbatch {MIDDLE}: Database Error" in str(run.failed[0].message)


@pytest.mark.parametrize("scenario", ["deps_local_missing", "deps_git_missing", "deps_hub_unreachable"])
def test_failed_deps_leaves_no_artifacts_and_says_why(scenario: str) -> None:
    dbt = recorded_dbt(scenario)
    outcome = dbt(["deps"])
    assert dbt.artifacts == []
    assert not outcome.success
    assert outcome.errors


@pytest.fixture(params=["artifact_folders", "memory"])
def written_here(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """A manifest and run results of one model over another, as tests write them themselves."""
    if request.param == "artifact_folders":
        over = node("model.shop.totals", relation="stg.shop.totals", depends_on=["model.shop.orders"])
        return manifest(over), run_results(totals="success")
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "orders.sql").write_text("select 1")
    (tmp_path / "models" / "totals.sql").write_text("select * from {{ ref('orders') }}")
    target = tmp_path / "target"
    places = ["--target", "stg", "--project-dir", str(tmp_path), "--target-path", str(target)]
    assert MemoryDbt(MemoryTables())(["build", *places]).success
    return json.loads((target / "manifest.json").read_text()), json.loads((target / "run_results.json").read_text())


def test_what_tests_write_themselves_has_no_field_that_dbt_does_not_write(
    written_here: tuple[dict[str, Any], dict[str, Any]],
) -> None:
    manifest, results = written_here
    by_dbt = {n: json.loads((RECORDED / "build" / f"{n}.json").read_text()) for n in ("manifest", "run_results")}
    fields = {key for node in by_dbt["manifest"]["nodes"].values() for key in node}
    assert manifest.keys() <= by_dbt["manifest"].keys()
    assert manifest["metadata"].keys() <= by_dbt["manifest"]["metadata"].keys()
    assert {key for node in manifest["nodes"].values() for key in node} <= fields
    assert results.keys() <= by_dbt["run_results"].keys()
    assert results["args"].keys() <= by_dbt["run_results"]["args"].keys()
    for result in results["results"]:
        assert result.keys() <= by_dbt["run_results"]["results"][0].keys()


def test_listed_nodes_are_those_of_the_project(read: Read) -> None:
    assert "model.plain.order_totals" in read("ls").listed
    assert "seed.plain.sites" in read("ls").listed
