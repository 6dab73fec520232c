"""A Volume whose files fail for a while, or for good: what is published is whole, and what is said is what to do."""

from __future__ import annotations

import builtins
import errno
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from artifact_folders import artifacts
from failing_api import PassingTime

from dbx_cd import ArtifactError, ArtifactNotFound, ArtifactStore
from dbx_cd.artifacts.latest import POINTER_NAME
from dbx_cd.release.anchor import LogAnchor, read_anchor, write_anchor

SHA = "a" * 40


class Disk:
    """Makes opening or writing some files fail; each failure is used once, `forever` or so often."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._left: list[tuple[str, str, int, list[None]]] = []
        self._open = io.open
        for module in (io, builtins):
            patch.setattr(module, "open", self._opened)

    def fail(self, name: str, number: int, *, mode: str = "r", times: int = 1) -> None:
        self._left.append((name, mode, number, [None] * times))

    def heal(self) -> None:
        self._left.clear()

    def _opened(self, file: Any, mode: str = "r", *more: Any, **options: Any) -> Any:
        opened = self._open(file, mode, *more, **options)
        for name, failing, number, left in self._left:
            if left and failing in mode and str(file).endswith(name):
                left.pop()
                if failing == "w":
                    opened.write(b"half")  # what was written of a file before it failed
                opened.close()
                raise OSError(number, os.strerror(number), str(file))
        return opened


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> PassingTime:
    return PassingTime().instead_of_the_machine_s(monkeypatch)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


@pytest.fixture
def store(tmp_path: Path, clock: PassingTime) -> ArtifactStore:
    return ArtifactStore(tmp_path / "artifacts")


@pytest.fixture
def built(tmp_path: Path) -> Path:
    return artifacts(tmp_path / "built")


PASSING = [errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EAGAIN]


@pytest.mark.parametrize("number", PASSING, ids=errno.errorcode.__getitem__)
@pytest.mark.parametrize("name", ["manifest.json", "artifacts.json", "latest.json", "latest/run_results.json"])
def test_a_write_that_fails_halfway_is_begun_again(
    store: ArtifactStore, disk: Disk, built: Path, name: str, number: int
) -> None:
    disk.fail(name, number, mode="w", times=2)
    published = store.publish("stg", built, commit=SHA, latest=True)
    assert store.latest("stg") == published, "verified, so every file is whole"
    copy = store.root / "stg" / "latest"
    assert all((copy / file).read_bytes() == published.file(file).read_bytes() for file in published.files)


@pytest.mark.parametrize("name", ["manifest.json", "artifacts.json", "latest.json"])
def test_a_read_that_fails_for_a_moment_is_done_again(store: ArtifactStore, disk: Disk, built: Path, name: str) -> None:
    published = store.publish("stg", built, commit=SHA, latest=True)
    disk.fail(name, errno.EIO, times=2)
    assert store.latest("stg") == published


def test_a_pointer_that_cannot_be_read_is_no_damaged_one(store: ArtifactStore, disk: Disk, built: Path) -> None:
    """A damaged one serves the newest build; one that cannot be read now may name another."""
    store.publish("stg", built, commit=SHA, latest=True)
    disk.fail(POINTER_NAME, errno.EIO, times=1000)
    with pytest.raises(ArtifactError, match=r"latest\.json cannot be read: Input/output error .*Next: repair the task"):
        store.latest("stg")
    disk.heal()
    assert store.latest("stg").commit == SHA


WRITING: dict[str, tuple[int, str]] = {
    "denied": (errno.EACCES, "get READ VOLUME and WRITE VOLUME"),
    "full": (errno.ENOSPC, "make room"),
    "read-only": (errno.EROFS, "name a Volume that can be written"),
}


@pytest.mark.parametrize("why", WRITING)
def test_what_does_not_pass_is_not_tried_again_and_says_what_to_do(
    store: ArtifactStore, disk: Disk, built: Path, clock: PassingTime, why: str
) -> None:
    number, words = WRITING[why]
    disk.fail("manifest.json", number, mode="w", times=1000)
    with pytest.raises(ArtifactError, match=rf"manifest\.json cannot be copied: .*{words}"):
        store.publish("stg", built, commit=SHA)
    assert clock.slept == []
    disk.heal()
    with pytest.raises(ArtifactNotFound):
        store.latest("stg")


def test_a_volume_that_stays_away_is_given_up_within_two_minutes(
    store: ArtifactStore, disk: Disk, built: Path, clock: PassingTime
) -> None:
    began = clock.now
    disk.fail("artifacts.json", errno.ESTALE, mode="w", times=1000)
    with pytest.raises(ArtifactError, match=r"artifacts\.json cannot be written: Stale file handle"):
        store.publish("stg", built, commit=SHA)
    assert 60 < clock.now - began < 120
    disk.heal()
    assert store.list("stg") == [], "no record, no version"


ELSEWHERE: dict[str, Callable[[ArtifactStore], object]] = {
    "page.html": lambda store: store.attach("r", "page.html", "<p>"),
    "release_log.json": lambda store: write_anchor(store.root, LogAnchor("ops.x.log", "id")),
}


@pytest.mark.parametrize("name", ELSEWHERE)
def test_whatever_else_is_written_is_written_again(store: ArtifactStore, disk: Disk, name: str) -> None:
    store.root.mkdir()
    disk.fail(name, errno.EIO, mode="w", times=2)
    ELSEWHERE[name](store)
    found = next(store.root.rglob(name))
    assert b"half" not in found.read_bytes()


def test_the_anchor_is_read_again(store: ArtifactStore, disk: Disk) -> None:
    write_anchor(store.root, LogAnchor("ops.x.log", "id"))
    disk.fail("release_log.json", errno.EIO, times=2)
    anchor = read_anchor(store.root)
    assert anchor is not None
    assert anchor.table_id == "id"
