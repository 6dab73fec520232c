from __future__ import annotations

import json
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from artifact_folders import artifacts

from dbx_cd import ArtifactError, ArtifactNotFound, ArtifactStore, ArtifactVersion, ChecksumMismatch

COMMIT = "1a2b3c4d5e6f"


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "root")


@pytest.fixture
def publish(store: ArtifactStore, tmp_path: Path):
    """Publishes a folder to `stg`; every call publishes other content."""
    count = 0

    def publish(*, which: str = "build", status: str = "success", latest: bool = False, release_id: str | None = None):
        nonlocal count
        count += 1
        folder = artifacts(tmp_path / f"dbt-{count}", which=which, status=status, content=f"content {count}")
        return store.publish("stg", folder, commit=COMMIT, release_id=release_id, latest=latest)

    return publish


def test_published_files_are_served_byte_for_byte(store: ArtifactStore, tmp_path: Path) -> None:
    folder = artifacts(tmp_path / "dbt")
    store.publish("stg", folder, commit=COMMIT, latest=True)
    served = store.latest("stg")
    assert sorted(served.files) == ["manifest.json", "project.tar.gz", "run_results.json"]
    for name in served.files:
        assert served.file(name).read_bytes() == (folder / name).read_bytes()


def test_record_says_what_was_published(store: ArtifactStore, publish) -> None:
    version = publish(release_id="r1", latest=True)
    record = json.loads((version.path / "artifacts.json").read_text())
    assert record["format"] == 1
    assert record["wheel_version"]
    assert {k: record[k] for k in ("target", "timestamp", "release_id", "commit", "command", "ok", "dbt_version")} == {
        "target": "stg",
        "timestamp": version.timestamp,
        "release_id": "r1",
        "commit": COMMIT,
        "command": "build",
        "ok": True,
        "dbt_version": "1.11.0",
    }


def test_a_clock_that_is_behind_another_orders_no_version_before_one_that_is_there(tmp_path: Path) -> None:
    times = [datetime(2026, 1, 2, 12, tzinfo=UTC), datetime(2026, 1, 2, 11, tzinfo=UTC)]
    store = ArtifactStore(tmp_path / "root", clock=lambda: times.pop(0))
    first, second = (
        store.publish("stg", artifacts(tmp_path / name, content=name), commit=COMMIT, release_id="r1", latest=True)
        for name in ("a", "b")
    )
    assert [v.timestamp for v in store.list("stg")] == [first.timestamp, second.timestamp]
    assert store.find("stg", "r1").timestamp == second.timestamp == store.latest("stg").timestamp


def test_latest_copy_holds_the_files_of_the_version(store: ArtifactStore, publish) -> None:
    version = publish(latest=True)
    copy = store.root / "stg" / "latest"
    assert {p.name: p.read_bytes() for p in copy.iterdir()} == {p.name: p.read_bytes() for p in version.path.iterdir()}


def test_latest_copy_keeps_no_file_of_an_earlier_version(store: ArtifactStore, tmp_path: Path) -> None:
    folder = artifacts(tmp_path / "dbt")
    (folder / "catalog.json").write_text("{}")
    store.publish("stg", folder, commit=COMMIT, latest=True)
    (folder / "catalog.json").unlink()
    store.publish("stg", folder, commit=COMMIT, latest=True)
    assert not (store.root / "stg" / "latest" / "catalog.json").exists()


@pytest.mark.parametrize(
    ("which", "status", "ok"),
    [("build", "success", True), ("build", "error", False), ("run", "skipped", False), ("generate", "success", True)],
)
def test_command_and_outcome_are_read_from_run_results(publish, which: str, status: str, ok: bool) -> None:
    version = publish(which=which, status=status)
    assert (version.command, version.ok) == (which, ok)


def test_artifacts_without_run_results_count_as_failed(store: ArtifactStore, tmp_path: Path) -> None:
    folder = artifacts(tmp_path / "dbt")
    (folder / "run_results.json").unlink()
    assert not store.publish("stg", folder, commit=COMMIT).ok


def test_artifacts_without_a_manifest_count_as_failed(store: ArtifactStore, tmp_path: Path) -> None:
    folder = artifacts(tmp_path / "dbt")
    (folder / "manifest.json").unlink()
    assert not store.publish("stg", folder, commit=COMMIT).ok


@pytest.mark.parametrize(("which", "status"), [("build", "error"), ("build", "skipped"), ("generate", "success")])
def test_latest_is_refused_for_anything_but_a_successful_build(store, publish, which: str, status: str) -> None:
    with pytest.raises(ArtifactError, match=rf"must not move to a \w+ dbt {which}"):
        publish(which=which, status=status, latest=True)
    assert list((store.root / "stg").iterdir()) == [], "nothing half-written is left"


def test_failed_build_is_published_and_latest_stays(store: ArtifactStore, publish) -> None:
    good = publish(latest=True)
    failed = publish(status="error")
    assert store.latest("stg").timestamp == good.timestamp
    assert store.get("stg", failed.timestamp).ok is False


def test_publishing_an_empty_folder_is_refused(store: ArtifactStore, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ArtifactError, match="the folder is empty"):
        store.publish("stg", tmp_path / "empty", commit=COMMIT)


def test_publishing_twice_makes_two_versions_and_changes_neither(store: ArtifactStore, publish) -> None:
    first = publish(latest=True)
    before = {p.name: p.read_bytes() for p in first.path.iterdir()}
    second = publish(latest=True)
    assert first.timestamp < second.timestamp
    assert {p.name: p.read_bytes() for p in first.path.iterdir()} == before


def test_many_publishes_in_a_row_get_versions_of_their_own_in_order(publish) -> None:
    timestamps = [publish().timestamp for _ in range(20)]
    assert len(set(timestamps)) == 20
    assert timestamps == sorted(timestamps)


def test_two_publishes_in_one_microsecond_get_two_versions(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path / "root", clock=lambda: datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC))
    folder = artifacts(tmp_path / "dbt")
    versions = [store.publish("stg", folder, commit=COMMIT) for _ in range(2)]
    assert [v.timestamp for v in versions] == ["20260102T030405.000006Z", "20260102T030405.000007Z"]


def test_names_of_versions_are_utc_timestamps_that_sort(store: ArtifactStore, publish) -> None:
    for _ in range(3):
        publish()
    names = [v.timestamp for v in store.list("stg")]
    assert names == sorted(names)
    assert all(len(name) == len("20260102T030405.000006Z") and name.endswith("Z") for name in names)


def test_file_names_with_unicode_are_published(store: ArtifactStore, tmp_path: Path) -> None:
    folder = artifacts(tmp_path / "dbt")
    (folder / "übersicht 日本.html").write_text("ü", encoding="utf-8")
    version = store.publish("stg", folder, commit=COMMIT, latest=True)
    assert store.latest("stg").file("übersicht 日本.html").read_text(encoding="utf-8") == "ü"
    assert "übersicht 日本.html" in version.files


def test_asking_for_a_file_that_was_not_published_names_it(publish) -> None:
    with pytest.raises(ArtifactNotFound, match=r"catalog\.json"):
        publish().file("catalog.json")


def test_missing_latest_says_what_to_do(store: ArtifactStore, publish) -> None:
    publish()
    with pytest.raises(ArtifactNotFound, match=r"'stg'.*Next: run the Workflow once"):
        store.latest("stg")


def test_missing_target_folder_is_an_artifact_not_found(store: ArtifactStore) -> None:
    with pytest.raises(ArtifactNotFound):
        store.latest("nowhere")
    assert store.list("nowhere") == []


@pytest.mark.parametrize("name", ["20260102T030405.000006Z", "latest", "../stg", ""])
def test_get_of_what_is_not_a_version_is_an_artifact_not_found(store: ArtifactStore, publish, name: str) -> None:
    publish(latest=True)
    with pytest.raises(ArtifactNotFound):
        store.get("stg", name)


READERS = {
    "latest": lambda store, version: store.latest("stg"),
    "get": lambda store, version: store.get("stg", version.timestamp),
    "find": lambda store, version: store.find("stg", "r1"),
    "resolve": lambda store, version: store.resolve(store.root / "stg" / "latest"),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", ["manifest.json", "run_results.json", "project.tar.gz"])
def test_file_changed_after_publish_is_never_served(store: ArtifactStore, publish, reader: str, name: str) -> None:
    version = publish(latest=True, release_id="r1")
    content = bytearray((version.path / name).read_bytes())
    content[0] ^= 1
    (version.path / name).write_bytes(content)
    with pytest.raises(ChecksumMismatch, match=name):
        READERS[reader](store, version)


@pytest.mark.parametrize("reader", READERS)
def test_file_removed_after_publish_is_a_checksum_mismatch(store: ArtifactStore, publish, reader: str) -> None:
    version = publish(latest=True, release_id="r1")
    (version.path / "manifest.json").unlink()
    with pytest.raises(ChecksumMismatch, match="is gone"):
        READERS[reader](store, version)


def test_changed_record_of_the_latest_version_is_a_checksum_mismatch(store: ArtifactStore, publish) -> None:
    record = publish(latest=True).path / "artifacts.json"
    record.write_text(record.read_text().replace(COMMIT, "f" * 12))
    with pytest.raises(ChecksumMismatch, match=r"artifacts\.json"):
        store.latest("stg")


def test_damaged_latest_hides_no_other_version(store: ArtifactStore, publish) -> None:
    first = publish(latest=True, release_id="r1")
    (publish(latest=True).path / "artifacts.json").write_text("{}")
    assert store.get("stg", first.timestamp).timestamp == first.timestamp
    with pytest.raises(ChecksumMismatch):
        store.latest("stg")


def test_latest_version_that_was_removed_by_hand_is_reported(store: ArtifactStore, publish) -> None:
    publish(latest=True)
    (publish(latest=True).path / "artifacts.json").unlink()
    with pytest.raises(ArtifactError, match="which is not complete"):
        store.latest("stg")


def test_pointer_torn_at_any_length_still_serves_the_new_version(store: ArtifactStore, publish) -> None:
    publish(latest=True)
    new = publish(latest=True)
    pointer = store.root / "stg" / "latest.json"
    whole = pointer.read_bytes()
    for length in range(len(whole) + 1):
        pointer.write_bytes(whole[:length])
        served = store.latest("stg")
        assert (served.timestamp, served.is_latest) == (new.timestamp, True), f"pointer cut after {length} bytes"


def test_torn_pointer_is_warned_of_and_a_whole_one_is_not(
    store: ArtifactStore, publish, caplog: pytest.LogCaptureFixture
) -> None:
    new = publish(latest=True)
    store.latest("stg")
    assert caplog.messages == []
    (store.root / "stg" / "latest.json").write_bytes(b"{")
    store.latest("stg")
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert f"the newest complete build, {new.timestamp}, is served" in record.getMessage()


def test_publish_and_prune_are_logged(store: ArtifactStore, publish, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "dbx_cd.artifacts"):
        old, new = publish(), publish(latest=True)
        store.prune("stg", keep=1, dry_run=True)
        store.prune("stg", keep=1, dry_run=False)
    assert caplog.messages == [
        f"published {old}: 3 files",
        f"published {new}: 3 files, now latest",
        f"removed stg/{old.timestamp}",
    ]


def test_torn_pointer_of_the_first_version_serves_it(store: ArtifactStore, publish) -> None:
    first = publish(latest=True)
    (store.root / "stg" / "latest.json").write_bytes(b"")
    assert store.latest("stg").timestamp == first.timestamp


def test_torn_pointer_never_serves_a_failed_build_or_docs(store: ArtifactStore, publish) -> None:
    good = publish(latest=True)
    publish(status="error")
    publish(which="generate")
    (store.root / "stg" / "latest.json").write_bytes(b"")
    assert store.latest("stg").timestamp == good.timestamp


def test_version_without_its_record_is_not_listed(store: ArtifactStore, publish) -> None:
    kept = publish(latest=True)
    (publish().path / "artifacts.json").unlink()
    assert [v.timestamp for v in store.list("stg")] == [kept.timestamp]


def test_version_with_a_torn_record_is_not_listed(store: ArtifactStore, publish) -> None:
    kept = publish(latest=True)
    record = publish().path / "artifacts.json"
    record.write_bytes(record.read_bytes()[:40])
    assert [v.timestamp for v in store.list("stg")] == [kept.timestamp]


def test_list_marks_the_one_that_latest_serves(store: ArtifactStore, publish) -> None:
    publish(latest=True)
    publish(latest=True)
    publish()
    assert [v.is_latest for v in store.list("stg")] == [False, True, False]


def test_list_ignores_folders_that_are_no_versions(store: ArtifactStore, publish) -> None:
    publish(latest=True)
    (store.root / "stg" / "docs").mkdir()
    assert len(store.list("stg")) == 1


def test_find_returns_the_newest_successful_build_of_the_release(store: ArtifactStore, publish) -> None:
    publish(release_id="r1")
    wanted = publish(release_id="r1")
    publish(release_id="r1", status="error")
    publish(release_id="r1", which="generate")
    publish(release_id="r2")
    assert store.find("stg", "r1").timestamp == wanted.timestamp


def test_find_names_a_release_without_a_successful_build(store: ArtifactStore, publish) -> None:
    publish(release_id="r1", status="error")
    with pytest.raises(ArtifactNotFound, match="release r1 has no successful build in target 'stg'"):
        store.find("stg", "r1")


def test_resolving_latest_gives_the_immutable_version(store: ArtifactStore, publish) -> None:
    version = publish(latest=True)
    resolved = store.resolve(f"{store.root}/stg/latest/")
    publish(latest=True)
    assert resolved.path == version.path
    assert resolved.path.name == version.timestamp


def test_resolving_a_timestamp_gives_that_version(store: ArtifactStore, publish) -> None:
    old = publish(latest=True)
    publish(latest=True)
    assert store.resolve(old.path).timestamp == old.timestamp


@pytest.mark.parametrize("path", ["/elsewhere/stg/latest", "relative/latest", "", "{root}", "{root}/stg"])
def test_resolving_a_path_that_is_no_version_is_an_artifact_not_found(store: ArtifactStore, path: str) -> None:
    with pytest.raises(ArtifactNotFound, match="not a path of this store"):
        store.resolve(path.format(root=store.root))


def test_attached_page_is_stored_with_the_release_and_replaced(store: ArtifactStore) -> None:
    store.attach("r1", "smoke.html", "<p>ü</p>")
    path = store.attach("r1", "smoke.html", b"<p>two</p>")
    assert path == store.root / "releases" / "r1" / "smoke.html"
    assert path.read_bytes() == b"<p>two</p>"


def test_attached_page_is_in_no_version(store: ArtifactStore, publish) -> None:
    version = publish(latest=True, release_id="r1")
    store.attach("r1", "smoke.html", "x")
    assert store.find("stg", "r1").digest == version.digest


def test_digest_depends_on_every_file(store: ArtifactStore, tmp_path: Path) -> None:
    folder = artifacts(tmp_path / "dbt")
    digests = [store.publish("stg", folder, commit=COMMIT).digest for _ in range(2)]
    (folder / "catalog.json").write_text("{}")
    digests.append(store.publish("stg", folder, commit=COMMIT).digest)
    assert digests[0] == digests[1] != digests[2]


def test_diff_names_what_changed(store: ArtifactStore, publish) -> None:
    assert store.diff(publish(), publish()).modified == ("model.shop.orders",)


def timestamps(versions: list[ArtifactVersion]) -> tuple[str, ...]:
    return tuple(v.timestamp for v in versions)


def test_prune_dry_run_removes_nothing(store: ArtifactStore, publish) -> None:
    versions = [publish(latest=True) for _ in range(3)]
    result = store.prune("stg", keep=1)
    assert (result.removed, result.dry_run) == (timestamps(versions[:2]), True)
    assert timestamps(store.list("stg")) == timestamps(versions)


def test_prune_keeps_the_newest(store: ArtifactStore, publish) -> None:
    versions = [publish(latest=True) for _ in range(4)]
    result = store.prune("stg", keep=2, dry_run=False)
    assert (result.removed, result.kept) == (timestamps(versions[:2]), timestamps(versions[2:]))
    assert timestamps(store.list("stg")) == timestamps(versions[2:])
    assert not versions[0].path.exists()


def test_prune_never_removes_latest(store: ArtifactStore, publish) -> None:
    serving = publish(latest=True)
    for _ in range(3):
        publish(status="error")
    store.prune("stg", keep=1, dry_run=False)
    assert store.latest("stg").timestamp == serving.timestamp


def test_prune_never_removes_what_a_torn_pointer_still_serves(store: ArtifactStore, publish) -> None:
    serving = publish(latest=True)
    publish(status="error")
    (store.root / "stg" / "latest.json").write_bytes(b"{")
    store.prune("stg", keep=1, dry_run=False)
    assert store.latest("stg").timestamp == serving.timestamp


@pytest.mark.parametrize("pin", ["timestamp", "release_id"])
def test_prune_never_removes_pinned(store: ArtifactStore, publish, pin: str) -> None:
    pinned = publish(latest=True, release_id="r1")
    gone = publish(latest=True, release_id="r2")
    publish(latest=True, release_id="r3")
    result = store.prune("stg", keep=1, pinned=[getattr(pinned, pin)], dry_run=False)
    assert result.removed == (gone.timestamp,)
    assert store.get("stg", pinned.timestamp).ok


def test_prune_removes_only_what_is_older_than_asked(tmp_path: Path) -> None:
    folder = artifacts(tmp_path / "dbt")
    published = [
        ArtifactStore(tmp_path, clock=lambda day=day: datetime(2026, 1, day, tzinfo=UTC)).publish(
            "stg", folder, commit=COMMIT, latest=True
        )
        for day in (1, 10, 20)
    ]
    store = ArtifactStore(tmp_path, clock=lambda: datetime(2026, 1, 21, tzinfo=UTC))
    assert store.prune("stg", keep=1, older_than=timedelta(days=15)).removed == (published[0].timestamp,)
    assert store.prune("stg", keep=1, older_than=timedelta(days=5)).removed == timestamps(published[:2])


def test_prune_of_everything_is_refused(store: ArtifactStore, publish) -> None:
    publish(latest=True)
    with pytest.raises(ArtifactError, match="at least 1"):
        store.prune("stg", keep=0, dry_run=False)


def test_version_tells_itself_in_one_line(publish) -> None:
    version = publish(status="error")
    assert str(version) == f"stg/{version.timestamp}: dbt build of {COMMIT}, failed"


def test_latest_copy_of_a_version_that_was_withdrawn_before_holds_its_files_alone(store, publish) -> None:
    first, second = publish(latest=True), publish(latest=True)
    assert store.move_latest_back("stg", withdrawn=[first], to=second) is None
    assert store.move_latest_back("stg", withdrawn=[second], to=first) == second
    assert store.latest("stg").timestamp == first.timestamp
    copy = store.root / "stg" / "latest"
    assert {p.name for p in copy.iterdir()} == {*first.files, "artifacts.json"}
