"""What `prune` removes beside old versions, and what it must leave."""

from __future__ import annotations

import errno
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from artifact_folders import artifacts

from dbx_cd import ArtifactError, ArtifactStore
from dbx_cd.artifacts.version import RECORD_NAME, TIMESTAMP_FORMAT, Contents

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)


class Clock:
    """Tells the time that it is set to."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> ArtifactStore:
    return ArtifactStore(tmp_path / "root", clock=clock)


def publish(store: ArtifactStore, tmp_path: Path, clock: Clock, *, days_ago: float) -> Path:
    clock.now = NOW - timedelta(days=days_ago)
    folder = artifacts(tmp_path / f"dbt-{days_ago}", content=str(days_ago))
    version = store.publish("stg", folder, commit="abc", latest=True)
    clock.now = NOW
    return version.path


def without_record(path: Path) -> Path:
    (path / RECORD_NAME).unlink()
    return path


def docs(store: ArtifactStore, *, days_ago: int, served: bool = False) -> Path:
    name = (NOW - timedelta(days=days_ago)).strftime(TIMESTAMP_FORMAT)
    site = store.root / "stg" / "docs" / name
    site.mkdir(parents=True)
    (site / "index.html").write_text("x")
    if served:
        (store.root / "stg" / "docs.json").write_text(json.dumps({"timestamp": name}))
    return site


@pytest.mark.parametrize("torn", [None, "", '{"format": 1, "tar'])
def test_what_a_killed_publish_left_goes_after_a_day(store, tmp_path: Path, clock: Clock, torn: str | None) -> None:
    old = without_record(publish(store, tmp_path, clock, days_ago=2))
    young = without_record(publish(store, tmp_path, clock, days_ago=0.9))
    if torn is not None:
        for path in (old, young):
            (path / RECORD_NAME).write_text(torn)
    good = publish(store, tmp_path, clock, days_ago=0)
    planned = store.prune("stg", keep=1)
    assert (planned.incomplete, old.exists()) == ((old.name,), True), "a dry run removes nothing"
    done = store.prune("stg", keep=1, dry_run=False)
    assert (done.incomplete, done.removed, done.kept) == ((old.name,), (), (good.name,))
    assert (old.exists(), young.exists(), good.exists()) == (False, True, True)


def test_what_a_killed_publish_left_stays_as_long_as_the_caller_says(store, tmp_path: Path, clock: Clock) -> None:
    left = without_record(publish(store, tmp_path, clock, days_ago=2))
    publish(store, tmp_path, clock, days_ago=0)
    kept, gone = (store.prune("stg", keep=1, older_than=timedelta(days=days)).incomplete for days in (3, 1))
    assert (kept, gone) == ((), (left.name,))


def test_a_version_of_a_newer_format_is_never_removed(store: ArtifactStore, tmp_path: Path, clock: Clock) -> None:
    newer = publish(store, tmp_path, clock, days_ago=400)
    old, good = (publish(store, tmp_path, clock, days_ago=days) for days in (300, 0))
    record = newer / RECORD_NAME
    record.write_text(json.dumps(json.loads(record.read_text()) | {"format": Contents.FORMAT + 1}))
    done = store.prune("stg", keep=1, dry_run=False)
    assert (done.removed, done.incomplete) == ((old.name,), ())
    assert newer.exists()
    assert good.exists()


@pytest.mark.parametrize("pinned", [True, False])
def test_nothing_is_removed_where_a_record_cannot_be_read_now(
    store: ArtifactStore, tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, pinned: bool
) -> None:
    paths = [publish(store, tmp_path, clock, days_ago=days) for days in (300, 200, 0)]
    read = Path.read_bytes

    def refused(path: Path) -> bytes:
        if path == paths[0] / RECORD_NAME:
            raise PermissionError(errno.EACCES, "Permission denied")
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", refused)
    with pytest.raises(ArtifactError, match=r"artifacts\.json cannot be read: Permission denied"):
        store.prune("stg", keep=1, pinned=(paths[0].name,) if pinned else (), dry_run=False)
    assert all(path.exists() for path in paths)


def test_a_version_whose_record_is_damaged_is_named_and_never_removed(
    store: ArtifactStore, tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    damaged, good = (publish(store, tmp_path, clock, days_ago=days) for days in (300, 0))
    (damaged / RECORD_NAME).write_text('{"format": 1, "target": "stg"}')
    done = store.prune("stg", keep=1, dry_run=False)
    assert (done.removed, done.incomplete, damaged.exists()) == ((), (), True)
    assert [v.timestamp for v in store.list("stg")] == [good.name]
    assert damaged.name in caplog.text


def test_what_is_pinned_by_one_text_or_read_once_stays(store: ArtifactStore, tmp_path: Path, clock: Clock) -> None:
    first, second, _ = (publish(store, tmp_path, clock, days_ago=days) for days in (300, 200, 0))
    assert store.prune("stg", keep=1, pinned=first.name).removed == (second.name,)
    assert store.prune("stg", keep=1, pinned=iter([second.name, first.name])).removed == ()


def test_docs_sites_go_by_the_same_rule_but_the_one_that_is_served(store: ArtifactStore, clock: Clock) -> None:
    served = docs(store, days_ago=400, served=True)
    old = docs(store, days_ago=300)
    pinned, young = docs(store, days_ago=200), docs(store, days_ago=20)
    newest = docs(store, days_ago=1)
    keywords = {"keep": 1, "older_than": timedelta(days=30), "pinned": (pinned.name,)}
    assert store.prune("stg", **keywords).docs == (old.name,)
    assert old.exists()
    store.prune("stg", **keywords, dry_run=False)
    assert [site.exists() for site in (served, old, pinned, young, newest)] == [True, False, True, True, True]


def test_what_is_no_version_is_left_alone(store: ArtifactStore, tmp_path: Path, clock: Clock) -> None:
    publish(store, tmp_path, clock, days_ago=0)
    others = [store.root / "stg" / name for name in ("notes", "20261123", "20261123T101500Z")]
    for other in others:
        other.mkdir()
    store.prune("stg", keep=1, dry_run=False)
    assert all(other.exists() for other in others)


def test_a_removal_that_was_killed_is_finished_by_the_next(store: ArtifactStore, tmp_path: Path, clock: Clock) -> None:
    half = publish(store, tmp_path, clock, days_ago=300)
    publish(store, tmp_path, clock, days_ago=0)
    (half / RECORD_NAME).unlink()  # the first thing that goes
    assert store.prune("stg", keep=1, dry_run=False).incomplete == (half.name,)
    assert not half.exists()
