"""What a report says of sources, from what dbt left and said; a source that is not there stops the release."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest
from recorded_freshness import RECORDED, Recorded

from dbx_cd import ArtifactStore, SmokeFailed, SmokeReport, contracts_from_manifest, run_smoke

NO_SPARK: Any = None


def report_of(
    folder: Path, recorded: str, sources: Collection[str] | None = None, *, target: str = "stg"
) -> SmokeReport:
    """A report of a build whose contracts dbt has checked, beside some of the recorded sources."""
    left = RECORDED.parent / "versions" / f"{target}_before"
    built = ArtifactStore(folder).publish(target, left, commit="1" * 40)
    found = [f for name, f in Recorded(recorded).found().items() if sources is None or name in sources]
    suites = [contracts_from_manifest(built.manifest())]
    tiny = target == "prod"
    return run_smoke(suites, spark=NO_SPARK, artifacts=built, freshness=lambda: found, tiny=tiny, check=False)


def lines(report: SmokeReport) -> dict[str, str]:
    return {c.name.removeprefix("freshness of "): str(c) for c in report.checks if c.kind == "freshness"}


@pytest.mark.parametrize("target", ["stg", "prod"])
@pytest.mark.parametrize("source", ["raw.gone", "raw.other_column", "catalog.not_listed", "raw.stale", "raw.empty"])
def test_a_source_that_is_not_fresh_or_not_known_stops_the_release(tmp_path: Path, target: str, source: str) -> None:
    healthy = {"raw.just_loaded", "raw.late", "catalog.just_altered"}
    assert report_of(tmp_path, "all", healthy, target=target).ok
    report = report_of(tmp_path, "all", {*healthy, source}, target=target)
    assert [c.model for c in report.failed] == [source]
    with pytest.raises(SmokeFailed, match=f"freshness of {source}"):
        report.raise_if_failed()


def test_what_dbt_said_of_a_source_is_in_its_line(tmp_path: Path) -> None:
    found = lines(report_of(tmp_path, "all"))
    assert found["raw.gone"].startswith(
        "broken: freshness of raw.gone (expected warn after 1 hour, error after 1 day, Database Error in source gone"
        " (models/sources.yml) Database Error [TABLE_OR_VIEW_NOT_FOUND] The table or view `stg`.`fresh`.`gone` cannot"
    )
    assert found["raw.stale"] == (
        "fail: freshness of raw.stale (observed 72.0 hours old, expected warn after 1 hour, error after 1 day)"
    )
    assert found["raw.empty"].startswith("fail: freshness of raw.empty (observed no time found, ")
    assert found["raw.ahead"] == (
        "pass: freshness of raw.ahead (observed dated 2.0 hours in the future, its newest time is later than now,"
        " so nothing older can be noticed)"
    )
    assert found["catalog.just_altered"] == (
        "pass: freshness of catalog.just_altered (observed 0.0 hours old, by the catalog's time of the table's last"
        " change of any kind: the source names no column)"
    )


def test_without_a_connection_every_source_with_a_rule_has_a_line(tmp_path: Path) -> None:
    report = report_of(tmp_path, "unconnected")
    assert set(lines(report)) == set(Recorded("all").found())
    assert {c.status for c in report.checks if c.kind == "freshness"} == {"broken"}
