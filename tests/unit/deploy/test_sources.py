"""How fresh sources are, and what stays of a `dbt source freshness` that failed."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import pytest

from dbx_cd import ArtifactError, ArtifactStore, DbtOutcome, Release, freshness_for
from dbx_cd.release.context import Cd
from memory.releases import Releases
from recorded_dbt import RecordedDbt


class LoggingDbt:
    """The recorded dbt, which also leaves what it said as its log."""

    def __init__(self, scenario: str) -> None:
        self.recorded = RecordedDbt(scenario)
        self.work: Path | None = None

    def __call__(self, args: list[str]) -> DbtOutcome:
        logs = Path(args[args.index("--log-path") + 1])
        logs.mkdir(parents=True, exist_ok=True)
        (logs / "dbt.log").write_text("\n".join(self.recorded.lines))
        self.work = logs.parent
        return self.recorded(args)


def opened(tmp_path: Path, dbt: LoggingDbt) -> tuple[Cd, Release]:
    releases = Releases(tmp_path / "repository")
    return replace(releases.cd(), dbt=dbt), releases.open()


def test_the_log_of_a_freshness_that_failed_stays_with_the_release_and_nothing_on_the_driver(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    dbt = LoggingDbt("freshness_missing_table")
    cd, release = opened(tmp_path, dbt)
    with caplog.at_level(logging.INFO, "dbx_cd"):
        found = freshness_for(cd, release, "stg", project_dir=dbt.recorded.project)
    assert [(f.name, f.status) for f in found] == [("landing.missing", "runtime error")]
    kept = cd.store.root / "releases" / release.id / "source-freshness-stg-dbt.log"
    assert "Search path" in kept.read_text()
    assert dbt.work is not None
    assert not dbt.work.exists()
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert str(kept) in warnings[-1]
    assert not any(str(dbt.work / "artifacts") in line for line in warnings)


def test_nothing_is_kept_of_a_freshness_that_went_well(tmp_path: Path) -> None:
    dbt = LoggingDbt("freshness_fresh")
    cd, release = opened(tmp_path, dbt)
    assert [f.status for f in freshness_for(cd, release, "stg", project_dir=dbt.recorded.project)] == ["pass"]
    assert not (cd.store.root / "releases" / release.id).exists()


def test_a_log_that_cannot_be_kept_does_not_hide_what_was_found(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    dbt = LoggingDbt("freshness_missing_table")
    cd, release = opened(tmp_path, dbt)

    def full(*_: object) -> Path:
        raise ArtifactError("the Volume is full")

    monkeypatch.setattr(ArtifactStore, "attach", full)
    found = freshness_for(cd, release, "stg", project_dir=dbt.recorded.project)
    assert [f.name for f in found] == ["landing.missing"]
    assert "the log of dbt source freshness cannot be kept: the Volume is full" in caplog.text
