"""The page that shows when the nodes of a build ran, made from what dbt recorded."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from dbx_cd import ArtifactError, ArtifactStore, DbtOutcome, build_release
from dbx_cd.artifacts.version import ArtifactVersion
from dbx_cd.deploy.timeline_page import keep_timeline
from memory.dbt import MemoryDbt
from memory.releases import Releases
from recorded_dbt import RECORDED


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "artifacts")


def published(store: ArtifactStore, recording: str, folder: Path, *, release_id: str | None = "r1") -> ArtifactVersion:
    made = folder / recording
    made.mkdir()
    for name in ("manifest.json", "run_results.json"):
        if (RECORDED / recording / name).is_file():
            shutil.copyfile(RECORDED / recording / name, made / name)
    return store.publish("stg", made, commit="a" * 40, release_id=release_id)


def test_page_is_kept_with_the_release_and_shows_the_last_good_build_beside(
    store: ArtifactStore, tmp_path: Path
) -> None:
    published(store, "timed_1", tmp_path)
    published(store, "build_node_failed", tmp_path)
    page = keep_timeline(store, published(store, "timed_2", tmp_path, release_id="r2"))
    assert page == store.root / "releases" / "r2" / "timeline-stg.html"
    text = page.read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>")
    assert "17 nodes in 20.1 s with 3 threads, 24.8 s the time before" in text
    assert len(text) < 20_000


def test_first_build_has_a_page_without_a_comparison(store: ArtifactStore, tmp_path: Path) -> None:
    page = keep_timeline(store, published(store, "timed_1", tmp_path))
    assert page is not None
    assert "17 nodes in 24.8 s with 3 threads; slowest chain" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("recording", ["build_killed", "build_nothing_selected"])
def test_build_without_results_has_none(store: ArtifactStore, tmp_path: Path, recording: str) -> None:
    assert keep_timeline(store, published(store, recording, tmp_path)) is None


def test_artifacts_of_no_release_have_none(store: ArtifactStore, tmp_path: Path) -> None:
    assert keep_timeline(store, published(store, "timed_1", tmp_path, release_id=None)) is None


def test_build_goes_on_where_the_page_cannot_be_stored(
    store: ArtifactStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refused(*_: object) -> Path:
        raise ArtifactError("the Volume is full")

    monkeypatch.setattr(store, "attach", refused)
    assert keep_timeline(store, published(store, "timed_1", tmp_path)) is None
    assert "no page of its timeline: the Volume is full" in caplog.text


class TimedDbt(MemoryDbt):
    """dbt in memory that also says when it ran each node."""

    def __call__(self, args: list[str]) -> DbtOutcome:
        outcome = super().__call__(args)
        written = Path(args[args.index("--target-path") + 1]) / "run_results.json"
        if written.is_file():
            results = json.loads(written.read_text())
            moment = {"name": "execute", "started_at": "2026-01-01T12:00:00Z", "completed_at": "2026-01-01T12:00:01Z"}
            for result in results["results"]:
                result |= {"timing": [moment], "thread_id": "Thread-1"}
            written.write_text(json.dumps(results))
        return outcome


def test_build_of_a_release_names_its_page(tmp_path: Path) -> None:
    releases = Releases(tmp_path)
    releases.dbt = TimedDbt(releases.tables)
    release = releases.approved()
    result = build_release(releases.cd(), release, target="prod")
    assert result.timeline == releases.root / "releases" / release.id / "timeline-prod.html"
    assert result.timeline.is_file()
    assert str(result.timeline) in result.to_html()
