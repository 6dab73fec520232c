"""A publish that is killed at each of its steps in turn: what is served afterwards is whole."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from artifact_folders import artifacts

from dbx_cd import ArtifactNotFound, ArtifactStore

FILES = ("manifest.json", "run_results.json", "project.tar.gz")
PUBLISHER = Path(__file__).with_name("killed_publishes.py")


def killed_publishes(folder: Path, what: str) -> Path:
    for name in ("one", "two"):
        artifacts(folder / name, content=name)
    subprocess.run([sys.executable, str(PUBLISHER), str(folder), what], check=True)
    return folder


@pytest.fixture(scope="module")
def over_one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stores after each kill of a publish of version two over version one."""
    return killed_publishes(tmp_path_factory.mktemp("over"), "over")


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stores after each kill of the very first publish."""
    return killed_publishes(tmp_path_factory.mktemp("first"), "first")


@pytest.fixture(scope="module")
def back(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stores after each kill of a move of `latest` from version two back to version one."""
    return killed_publishes(tmp_path_factory.mktemp("back"), "back")


@pytest.fixture(scope="module")
def away(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stores after each kill of a move of `latest` away from version two, the only one."""
    return killed_publishes(tmp_path_factory.mktemp("away"), "away")


def stores(folder: Path) -> Sequence[tuple[int, ArtifactStore]]:
    """The stores by the step of the kill."""
    steps = sorted(int(p.name) for p in folder.iterdir() if p.name.isdigit())
    return [(step, ArtifactStore(folder / str(step))) for step in steps]


def copies(folder: Path, copy: Path) -> Sequence[tuple[int, ArtifactStore]]:
    """The same, as copies that a test may change."""
    return [
        (step, ArtifactStore(shutil.copytree(store.root, copy / str(step), copy_function=shutil.copyfile)))
        for step, store in stores(folder)
    ]


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in FILES}


def test_publish_killed_at_any_step_leaves_latest_whole(over_one: Path) -> None:
    whole = {name: contents(over_one / name) for name in ("one", "two")}
    served = []
    for step, store in stores(over_one):
        version = store.latest("stg")
        assert contents(version.path) == whole[version.commit], step
        served.append(version.commit)
    switch = served.index("two")
    assert switch > 30, "too few steps were killed for this test to mean anything"
    assert served == ["one"] * switch + ["two"] * (len(served) - switch)


def test_kills_leave_torn_records_and_pointers(over_one: Path) -> None:
    """The steps are fine enough: among them are kills between opening a file and writing it."""
    pointers = {p.stat().st_size for p in over_one.glob("*/stg/latest.json")}
    records = {p.stat().st_size for p in over_one.glob("*/stg/*/artifacts.json")}
    assert 0 in pointers
    assert 0 in records


def test_publish_killed_at_any_step_never_loses_the_version_before(over_one: Path) -> None:
    for step, store in stores(over_one):
        before = store.list("stg")[0]
        assert contents(store.get("stg", before.timestamp).path) == contents(over_one / "one"), step


def test_publish_killed_at_any_step_lists_only_whole_versions(over_one: Path) -> None:
    for step, store in stores(over_one):
        for version in store.list("stg"):
            whole = contents(over_one / version.commit)
            assert contents(store.get("stg", version.timestamp).path) == whole, step


def test_publish_killed_at_any_step_does_not_hinder_the_next(over_one: Path, tmp_path: Path) -> None:
    for step, store in copies(over_one, tmp_path):
        again = store.publish("stg", over_one / "two", commit="three", release_id="r3", latest=True)
        assert store.latest("stg").timestamp == again.timestamp, step
        assert store.find("stg", "r3").timestamp == again.timestamp, step
        copy = store.root / "stg" / "latest"
        published = {p.name: p.read_bytes() for p in again.path.iterdir()}
        assert {p.name: p.read_bytes() for p in copy.iterdir()} == published, step


def test_prune_after_a_publish_killed_at_any_step_keeps_what_is_served(over_one: Path, tmp_path: Path) -> None:
    for step, store in copies(over_one, tmp_path):
        served = store.latest("stg").timestamp
        store.prune("stg", keep=1, dry_run=False)
        assert store.latest("stg").timestamp == served, step


def test_first_publish_killed_at_any_step_serves_all_of_it_or_nothing(first: Path) -> None:
    served = []
    for step, store in stores(first):
        try:
            version = store.latest("stg")
        except ArtifactNotFound:
            served.append(False)
        else:
            assert contents(version.path) == contents(first / "two"), step
            served.append(True)
    assert served == sorted(served)
    assert served[0] is False
    assert served[-1] is True


def served(store: ArtifactStore) -> str | None:
    """The commit of what `latest` serves, whole; None where it serves nothing."""
    try:
        return store.latest("stg").commit
    except ArtifactNotFound:
        return None


def move_again(store: ArtifactStore) -> None:
    """What a restore does that was killed and is called again."""
    *before, newest = store.list("stg")
    store.move_latest_back("stg", withdrawn=[newest], to=before[0] if before else None)


@pytest.mark.parametrize(("moved", "to"), [("back", "one"), ("away", None)])
def test_latest_moved_back_and_killed_at_any_step_serves_the_one_or_the_other(
    request: pytest.FixtureRequest, moved: str, to: str | None
) -> None:
    found = [served(store) for _, store in stores(request.getfixturevalue(moved))]
    switch = found.index(to)
    assert switch > 3, "too few steps were killed for this test to mean anything"
    assert found == ["two"] * switch + [to] * (len(found) - switch)


@pytest.mark.parametrize(("moved", "to"), [("back", "one"), ("away", None)])
def test_latest_moved_back_again_after_a_kill_at_any_step_is_where_it_should_be(
    request: pytest.FixtureRequest, tmp_path: Path, moved: str, to: str | None
) -> None:
    for step, store in copies(request.getfixturevalue(moved), tmp_path):
        move_again(store)
        assert served(store) == to, step
        (store.root / "stg" / "latest.json").write_bytes(b"")
        assert served(store) == to, (step, "what is withdrawn is not served by an unreadable pointer either")


@pytest.mark.parametrize("moved", ["back", "away"])
def test_latest_moved_back_and_killed_at_any_step_does_not_hinder_the_next_publish(
    request: pytest.FixtureRequest, tmp_path: Path, moved: str
) -> None:
    folder = request.getfixturevalue(moved)
    for step, store in copies(folder, tmp_path):
        again = store.publish("stg", folder / "one", commit="three", latest=True)
        assert served(store) == "three", step
        copy = store.root / "stg" / "latest"
        assert {p.name for p in copy.iterdir()} == {p.name for p in again.path.iterdir()}, step
