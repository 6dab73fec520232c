"""Whether a published invocation is good: by what `run_dbt` has seen of its process, and else the record says so."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

import pytest
from artifact_folders import artifacts

from dbx_cd import ArtifactError, ArtifactNotFound, ArtifactStore, ArtifactVersion
from dbx_cd.artifacts.version import write_json
from dbx_cd.dbt.outcome import OUTCOME_NAME, FailedHook, InvocationOutcome

HOOK = FailedHook("shop-on-run-end-0", "Compilation Error in operation shop-on-run-end-0 (./dbt_project.yml)")


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "root")


def ended(folder: Path, *, ok: bool, exit_code: int = 0, hooks: tuple[FailedHook, ...] = ()) -> Path:
    """A folder whose `run_results.json` holds only successes, with how the process ended beside it."""
    artifacts(folder)
    InvocationOutcome("build", "stg", ok, exit_code, hooks, tuple(h.message for h in hooks)).write(folder)
    return folder


def published(store: ArtifactStore, folder: Path) -> ArtifactVersion:
    return store.publish("stg", folder, commit="abc", release_id="r1")


def test_a_build_whose_hook_failed_is_not_good_whatever_its_run_results_say(
    store: ArtifactStore, tmp_path: Path
) -> None:
    version = published(store, ended(tmp_path / "dbt", ok=False, exit_code=2, hooks=(HOOK,)))
    assert version.run_results().ok, "the file that dbt wrote knows nothing of the hook"
    assert not version.ok
    assert not version.is_deployable
    with pytest.raises(ArtifactNotFound, match="no successful build"):
        store.find("stg", "r1")


def test_latest_is_refused_for_a_build_whose_hook_failed(store: ArtifactStore, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="must not move to a failed dbt build"):
        store.publish("stg", ended(tmp_path / "dbt", ok=False, exit_code=2), commit="abc", latest=True)


def test_a_lost_pointer_does_not_serve_a_build_whose_hook_failed(store: ArtifactStore, tmp_path: Path) -> None:
    good = store.publish("stg", ended(tmp_path / "good", ok=True), commit="abc", latest=True)
    published(store, ended(tmp_path / "bad", ok=False, exit_code=2, hooks=(HOOK,)))
    (store.root / "stg" / "latest.json").unlink()
    assert store.latest("stg").timestamp == good.timestamp


@pytest.mark.parametrize("ok", [True, False])
def test_failed_nodes_count_whatever_is_said_of_the_process(store: ArtifactStore, tmp_path: Path, ok: bool) -> None:
    folder = artifacts(tmp_path / "dbt", status="success" if ok else "error")
    InvocationOutcome("build", "stg", ok=True, exit_code=0).write(folder)
    assert published(store, folder).ok is ok


def test_the_record_says_where_ok_is_from(store: ArtifactStore, tmp_path: Path) -> None:
    alone = published(store, artifacts(tmp_path / "alone"))
    of_process = published(store, ended(tmp_path / "process", ok=True))
    records = [json.loads((version.path / "artifacts.json").read_text()) for version in (alone, of_process)]
    assert [record["ok_from"] for record in records] == ["run_results.json", OUTCOME_NAME]
    assert [str(v).rpartition(", ")[2] for v in (alone, of_process)] == ["ok by run_results.json alone", "ok"]
    assert [v.ok_from for v in store.list("stg")] == ["run_results.json", OUTCOME_NAME]


def test_what_was_published_of_a_hook_can_be_read_again(store: ArtifactStore, tmp_path: Path) -> None:
    version = published(store, ended(tmp_path / "dbt", ok=False, exit_code=2, hooks=(HOOK,)))
    found = InvocationOutcome.find(version.path)
    assert found is not None
    assert (found.exit_code, found.hooks) == (2, (HOOK,))


@pytest.mark.parametrize("content", ["{", "[]", '{"format": 1}', '{"format": 99, "wheel_version": "9.9.9"}'])
def test_a_damaged_or_newer_outcome_is_refused_and_nothing_is_published(
    store: ArtifactStore, tmp_path: Path, content: str
) -> None:
    folder = artifacts(tmp_path / "dbt")
    (folder / OUTCOME_NAME).write_text(content)
    with pytest.raises(ArtifactError, match=OUTCOME_NAME):
        published(store, folder)
    assert not list((store.root / "stg").iterdir())


def test_a_command_that_left_no_run_results_has_its_name_in_the_record(store: ArtifactStore, tmp_path: Path) -> None:
    folder = tmp_path / "dbt"
    folder.mkdir()
    InvocationOutcome("deps", "stg", ok=False, exit_code=1, errors=("no such package",)).write(folder)
    version = published(store, folder)
    assert (version.command, version.ok) == ("deps", False)


def test_an_unreadable_pointer_serves_nothing_that_was_not_published_as_latest(
    store: ArtifactStore, tmp_path: Path
) -> None:
    first = store.publish("stg", ended(tmp_path / "a", ok=True), commit="abc", latest=True)
    published(store, ended(tmp_path / "by hand", ok=True))
    (store.root / "stg" / "latest.json").write_text('{"timest')
    assert store.latest("stg").timestamp == first.timestamp
    assert [v.is_latest for v in store.list("stg")] == [True, False]


def test_a_switch_that_failed_leaves_no_version(
    store: ArtifactStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where there was none before: a pointer that was never written is not taken for a damaged one."""

    def full(*_given: object, **_more: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    folder = ended(tmp_path / "dbt", ok=True)
    with monkeypatch.context() as patch:
        patch.setattr("dbx_cd.artifacts.latest.write_json", full)
        with pytest.raises(OSError, match="No space left"):
            store.publish("stg", folder, commit="abc", release_id="r1", latest=True)
    assert store.list("stg") == []
    for read in (lambda: store.latest("stg"), lambda: store.find("stg", "r1")):
        with pytest.raises(ArtifactNotFound):
            read()
    assert store.publish("stg", folder, commit="abc", latest=True).timestamp == store.latest("stg").timestamp


@pytest.mark.parametrize("named", ["..", "../../elsewhere", "latest", ""])
def test_a_pointer_that_names_no_version_leads_nowhere_else(store: ArtifactStore, tmp_path: Path, named: str) -> None:
    first = store.publish("stg", ended(tmp_path / "a", ok=True), commit="abc", latest=True)
    (store.root.parent / "elsewhere").mkdir()
    for folder in (store.root, store.root.parent / "elsewhere"):
        (folder / "artifacts.json").write_bytes((first.path / "artifacts.json").read_bytes())
    pointer = store.root / "stg" / "latest.json"
    pointer.write_text(json.dumps(json.loads(pointer.read_text()) | {"timestamp": named}))
    assert store.latest("stg").path == first.path


@pytest.mark.parametrize("target", ["..", "../..", ".", "", "stg/..", "/etc", "a/b", "releases", "stg\0"])
def test_the_name_of_a_target_never_leads_out_of_the_root(store: ArtifactStore, tmp_path: Path, target: str) -> None:
    folder = artifacts(tmp_path / "dbt")
    before = sorted(tmp_path.rglob("*"))
    calls = (
        lambda: store.publish(target, folder, commit="abc"),
        lambda: store.latest(target),
        lambda: store.list(target),
        lambda: store.get(target, "20261123T101500.000000Z"),
        lambda: store.find(target, "r1"),
        lambda: store.prune(target, keep=1, dry_run=False),
        lambda: store.move_latest_back(target, withdrawn=(), to=None),
    )
    for call in calls:
        with pytest.raises(ArtifactError, match="cannot name a folder of artifacts"):
            call()
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("release", "name"), [("..", "page"), (".", "page"), ("r", ".."), ("r", ""), ("", "p"), ("r", "a/b")]
)
def test_a_page_never_lies_outside_of_its_release(store: ArtifactStore, release: str, name: str) -> None:
    with pytest.raises(ArtifactError, match="not the plain names"):
        store.attach(release, name, "x")
    assert not store.root.exists()


def test_a_pointer_that_took_effect_and_then_failed_serves_its_version(
    store: ArtifactStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def written_and_failed(path: Path, content: dict[str, Any]) -> None:
        write_json(path, content)
        raise ArtifactError("the answer was lost", where=path)

    monkeypatch.setattr("dbx_cd.artifacts.latest.write_json", written_and_failed)
    version = store.publish("stg", artifacts(tmp_path / "dbt"), commit="c" * 12, latest=True)
    assert store.latest("stg").timestamp == version.timestamp
