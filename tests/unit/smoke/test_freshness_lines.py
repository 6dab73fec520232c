"""What a report says of sources, from what dbt left and said; a source that is not there stops the release."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dbx_cd import ArtifactStore, SmokeFailed, SmokeReport, contracts_from_manifest, run_smoke
from dbx_cd.dbt.freshness import SourceFreshness
from recorded_dbt import RECORDED, RecordedDbt

NO_SPARK: Any = None


def report_of(
    folder: Path, scenario: str, sources: Collection[str] | None = None, *, target: str = "stg"
) -> SmokeReport:
    """A report of a build whose contracts dbt has checked, beside some of the recorded sources."""
    left = {"stg": RECORDED / "versions_before", "prod": RECORDED / "versions_before_in_prod"}[target]
    built = ArtifactStore(folder).publish(target, left, commit="1" * 40)
    found = [f for name, f in RecordedDbt(scenario).freshness().items() if sources is None or name in sources]
    suites = [contracts_from_manifest(built.manifest())]
    tiny = target == "prod"
    return run_smoke(suites, spark=NO_SPARK, artifacts=built, freshness=lambda: found, tiny=tiny, check=False)


def lines(report: SmokeReport) -> dict[str, str]:
    return {c.name.removeprefix("freshness of "): str(c) for c in report.checks if c.kind == "freshness"}


@pytest.mark.parametrize("target", ["stg", "prod"])
@pytest.mark.parametrize(
    "source", ["landing.missing", "landing.wrong_field", "catalog.gone", "landing.stale", "landing.empty"]
)
def test_a_source_that_is_not_fresh_or_not_known_stops_the_release(tmp_path: Path, target: str, source: str) -> None:
    healthy = {"landing.fresh", "landing.late", "catalog.catalogued"}
    assert report_of(tmp_path, "freshness", healthy, target=target).ok
    report = report_of(tmp_path, "freshness", {*healthy, source}, target=target)
    assert [c.model for c in report.failed] == [source]
    with pytest.raises(SmokeFailed, match=f"freshness of {source}"):
        report.raise_if_failed()


def test_what_dbt_said_of_a_source_is_in_its_line(tmp_path: Path) -> None:
    found = lines(report_of(tmp_path, "freshness"))
    assert found["landing.missing"] == (
        "broken: freshness of landing.missing (expected warn after 1 day, error after 3 days, Database Error in source"
        " missing (models/sources.yml) Database Error [TABLE_OR_VIEW_NOT_FOUND] The table or view"
        " `stg`.`recorded`.`missing` cannot be found.)"
    )
    assert found["landing.stale"] == (
        "fail: freshness of landing.stale (observed 96.0 hours old, expected warn after 1 day, error after 3 days)"
    )
    assert found["landing.empty"].startswith("fail: freshness of landing.empty (observed no time found, ")
    assert found["landing.ahead"] == (
        "pass: freshness of landing.ahead (observed dated 1.0 hours in the future, its newest time is later than now,"
        " so nothing older can be noticed)"
    )
    assert found["catalog.catalogued"] == (
        "pass: freshness of catalog.catalogued (observed 0.0 hours old, by the catalog's time of the table's last"
        " change of any kind: the source names no column)"
    )


def test_what_to_do_about_a_source_is_not_to_release_again(tmp_path: Path) -> None:
    report = report_of(tmp_path, "freshness", {"landing.missing", "landing.stale"})
    with pytest.raises(SmokeFailed) as failure:
        report.raise_if_failed()
    advice = failure.value.next_step or ""
    assert advice.startswith("for a source run the ingestion, or fix the table, its loaded_at_field or the connection")
    assert advice.endswith("and repair the smoke task")
    assert "release again" not in advice


def test_what_to_do_names_both_where_a_check_and_a_source_have_failed(tmp_path: Path) -> None:
    report = report_of(tmp_path, "freshness", {"landing.stale"})
    check = next(c for c in report.checks if c.kind != "freshness")
    both = replace(report, checks=(replace(check, status="fail"), *report.checks))
    with pytest.raises(SmokeFailed) as failure:
        both.raise_if_failed()
    source, _, other = (failure.value.next_step or "").partition("; ")
    assert source.endswith("repair the smoke task")
    assert other == "fix the data or the model, or the check if it is wrong, and release again"


def test_without_a_connection_every_source_with_a_rule_has_a_line(tmp_path: Path) -> None:
    report = report_of(tmp_path, "freshness_refused_at_once")
    assert set(lines(report)) == set(RecordedDbt("freshness").freshness())
    assert {c.status for c in report.checks if c.kind == "freshness"} == {"broken"}


def test_a_source_has_the_file_that_declares_it_and_its_owner(tmp_path: Path) -> None:
    built = ArtifactStore(tmp_path).publish("stg", RECORDED / "model_emptied", commit="1" * 40)
    known = SourceFreshness("source.emptied.landing.sites", "pass")
    unknown = SourceFreshness("source..all sources", "runtime error")
    report = run_smoke([], spark=NO_SPARK, artifacts=built, freshness=[known, unknown], check=False)
    found = {c.model: (c.where, c.owner) for c in report.checks}
    assert found == {
        "landing.sites": ("models/models.yml", "landing-team"),
        "all sources": ("dbt source freshness", None),
    }
