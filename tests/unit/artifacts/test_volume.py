"""A Volume whose files fail for a while, or for good: what is published is whole, and what is said is what to do."""

from __future__ import annotations

import ast
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

import dbx_cd
from dbx_cd import ArtifactError, ArtifactNotFound, ArtifactStore, ConfigError
from dbx_cd.artifacts.latest import POINTER_NAME
from dbx_cd.dbt.artifacts import Manifest, RunResults
from dbx_cd.dbt.outcome import OUTCOME_NAME, InvocationOutcome
from dbx_cd.dbt.selection import Selection
from dbx_cd.release.anchor import ANCHOR_NAME, LogAnchor, read_anchor, write_anchor
from dbx_cd.volume import Unreachable

SHA = "a" * 40


class Disk:
    """Makes opening or writing some files fail; each failure is used once, `forever` or so often."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._patch = patch
        self._left: list[tuple[str, str, int, list[None]]] = []
        self._open = io.open
        for module in (io, builtins):
            patch.setattr(module, "open", self._opened)

    def fail(self, name: str, number: int, *, mode: str = "r", times: int = 1) -> None:
        self._left.append((name, mode, number, [None] * times))

    def heal(self) -> None:
        self._left.clear()

    def fail_call(self, call: str, name: str, number: int, *, times: int = 1) -> None:
        """Makes one of the calls of `os` fail for what has a name."""
        real, left = getattr(os, call), [None] * times

        def called(path: Any, *more: Any, **options: Any) -> Any:
            if left and str(path).endswith(name):
                left.pop()
                raise OSError(number, os.strerror(number), str(path))
            return real(path, *more, **options)

        self._patch.setattr(os, call, called)

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


PASSING = [errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EAGAIN, errno.EREMOTEIO, errno.EHOSTUNREACH, errno.EPIPE]


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


def published(store: ArtifactStore, built: Path) -> ArtifactStore:
    """A store with two versions; the older one may be pruned, and `latest` moved back to it."""
    for commit in (SHA, "b" * 40):
        store.publish("stg", built, commit=commit, latest=True)
    return store


def undone(store: ArtifactStore) -> bool:
    """Nothing is in place any more; whether `latest` then serves nothing."""
    store.move_latest_back("stg", withdrawn=store.list("stg"), to=None)
    with pytest.raises(ArtifactNotFound):
        store.latest("stg")
    return True


Step = Callable[[ArtifactStore, Path], object]

# The call of the operating system, the end of the path that it fails for, and what is done to get there.
STEPS: dict[str, tuple[str, str, Step]] = {
    "the target's folder is made": ("mkdir", "new", lambda s, b: s.publish("new", b, commit=SHA)),
    "a version's folder is made": ("mkdir", "Z", lambda s, b: s.publish("stg", b, commit=SHA)),
    "the copy is made": ("mkdir", "latest", lambda s, b: s.publish("new", b, commit=SHA, latest=True)),
    "a release's folder is made": ("mkdir", "r1", lambda s, _: s.attach("r1", "page.html", "<p>")),
    "the root is made": ("mkdir", "root", lambda s, _: write_anchor(s.root / "root", LogAnchor("ops.x.log", "id"))),
    "the copy's record goes": (
        *("unlink", "latest/artifacts.json"), lambda s, b: s.publish("stg", b, commit=SHA, latest=True)
    ),
    "the pointer goes": ("unlink", POINTER_NAME, lambda s, _: undone(s)),
    "a version's record goes": ("unlink", "Z/artifacts.json", lambda s, _: s.prune("stg", keep=1, dry_run=False)),
    "versions are listed": ("scandir", "stg", lambda s, _: s.list("stg")),
    "docs sites are listed": ("scandir", "docs", lambda s, _: s.prune("stg", keep=1)),
    "the copy is listed": ("scandir", "latest", lambda s, b: s.publish("stg", b, commit=SHA, latest=True)),
    "the copy is looked at": ("stat", "new/latest", lambda s, _: s.list("new")),
    "an anchor is looked at": ("stat", ANCHOR_NAME, lambda s, _: read_anchor(s.root)),
    "a state is looked at": (
        *("stat", "/manifest.json"), lambda s, _: Selection().flags(defer=True, state_path=s.list("stg")[0].path)
    ),
    "an outcome is looked at": ("stat", OUTCOME_NAME, lambda s, _: s.list("stg")[0].outcome()),
}  # fmt: skip


@pytest.mark.parametrize("step", STEPS)
def test_each_step_that_fails_for_a_moment_is_done_again(
    store: ArtifactStore, disk: Disk, built: Path, clock: PassingTime, step: str
) -> None:
    call, name, do = STEPS[step]
    published(store, built)
    disk.fail_call(call, name, errno.EIO, times=2)
    do(store, built)
    assert len(clock.slept) == 2
    assert [v.commit for v in store.list("stg")], "and what is there can be read"


@pytest.mark.parametrize("step", STEPS)
def test_each_step_that_is_not_allowed_says_which_right_is_missing(
    store: ArtifactStore, disk: Disk, built: Path, clock: PassingTime, step: str
) -> None:
    call, name, do = STEPS[step]
    published(store, built)
    disk.fail_call(call, name, errno.EACCES, times=1000)
    with pytest.raises(Unreachable, match=r"cannot be .*Permission denied.*Next: get READ VOLUME and WRITE VOLUME"):
        do(store, built)
    assert clock.slept == []


def test_what_a_refused_publish_leaves_does_not_hide_why_it_was_refused(
    store: ArtifactStore, disk: Disk, tmp_path: Path
) -> None:
    failed = artifacts(tmp_path / "failed", status="error")
    disk.fail_call("rmdir", "Z", errno.EACCES)
    with pytest.raises(ArtifactError, match="`latest` must not move to a failed dbt build"):
        store.publish("stg", failed, commit=SHA, latest=True)


def test_latest_serves_nothing_also_where_its_copy_cannot_be_removed(
    store: ArtifactStore, disk: Disk, built: Path, caplog: pytest.LogCaptureFixture
) -> None:
    published(store, built)
    disk.fail_call("rmdir", "latest", errno.EACCES)
    assert undone(store)
    assert "its copy stays, without a record: latest cannot be removed: Permission denied" in caplog.text


READS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "manifest.json": ("manifest.json", Manifest.load),
    "run_results.json": ("run_results.json", RunResults.load),
    OUTCOME_NAME: (OUTCOME_NAME, lambda path: InvocationOutcome.find(path.parent)),
    ANCHOR_NAME: (ANCHOR_NAME, lambda path: read_anchor(path.parent)),
}


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO], ids=errno.errorcode.__getitem__)
@pytest.mark.parametrize("name", READS)
def test_a_file_that_cannot_be_read_now_is_not_called_damaged(
    tmp_path: Path, disk: Disk, clock: PassingTime, name: str, number: int
) -> None:
    (tmp_path / name).write_text("{}")
    disk.fail(name, number, times=1000)
    with pytest.raises(Unreachable, match=rf"{name} cannot be read: .*Next: (get READ|repair)") as raised:
        READS[name][1](tmp_path / name)
    assert "damaged" not in str(raised.value)
    assert "JSON" not in str(raised.value)
    assert "remove" not in str(raised.value)


@pytest.mark.parametrize("name", READS)
@pytest.mark.parametrize("half", ['{"half', "[" * 100_000], ids=["torn", "nested"])
def test_a_damaged_file_is_not_said_to_be_out_of_reach(tmp_path: Path, name: str, half: str) -> None:
    (tmp_path / name).write_text(half)
    with pytest.raises((ArtifactError, ConfigError), match="not readable as JSON") as raised:
        READS[name][1](tmp_path / name)
    assert not isinstance(raised.value, Unreachable)


def test_an_anchor_that_is_not_what_is_written_there_is_damaged(tmp_path: Path) -> None:
    (tmp_path / ANCHOR_NAME).write_text("{}")
    with pytest.raises(ConfigError, match=r"release_log\.json is damaged: .*table.*Next: find out who changed it"):
        read_anchor(tmp_path)


def test_an_anchor_of_a_newer_wheel_is_not_to_be_removed(tmp_path: Path) -> None:
    (tmp_path / ANCHOR_NAME).write_text('{"format": 99, "wheel_version": "9.1"}')
    with pytest.raises(ConfigError, match=r"written by a newer dbx_cd: .*Next: install dbx-cd 9\.1 or later$"):
        read_anchor(tmp_path)


ROOTS: dict[str, Callable[[Path], object]] = {
    "a file": lambda root: root.write_text("x"),
    "a link that leads nowhere": lambda root: root.symlink_to("gone"),
}


@pytest.mark.parametrize("what", ROOTS)
@pytest.mark.parametrize("place", [".", "stg", "releases"])
def test_what_is_no_folder_is_named_and_nothing_is_written(tmp_path: Path, built: Path, what: str, place: str) -> None:
    store = ArtifactStore(tmp_path / "root")
    (store.root / place).parent.mkdir(exist_ok=True)
    ROOTS[what](store.root / place)
    step = "a file stands where a folder should be"
    with pytest.raises(Unreachable, match=rf"cannot be made: .*Next: .*{step}"):
        store.attach("r1", "page.html", "x") if place == "releases" else store.publish("stg", built, commit=SHA)


LONG = "x" * 300
TOO_LONG: dict[str, Step] = {
    "publish": lambda store, built: store.publish(LONG, built, commit=SHA),
    "list": lambda store, _: store.list(LONG),
    "find": lambda store, _: store.find(LONG, "r1"),
    "latest": lambda store, _: store.latest(LONG),
    "prune": lambda store, _: store.prune(LONG, keep=1),
    "attach": lambda store, _: store.attach(LONG, "page.html", "x"),
    "a page": lambda store, _: store.attach("r1", LONG, "x"),
}


@pytest.mark.parametrize("step", TOO_LONG)
def test_a_name_that_is_too_long_is_refused_in_words(store: ArtifactStore, built: Path, step: str) -> None:
    store.root.mkdir()
    with pytest.raises(Unreachable, match=r"File name too long.*Next: give a shorter name"):
        TOO_LONG[step](store, built)


def test_a_file_named_like_a_version_is_none_and_stays(store: ArtifactStore, built: Path) -> None:
    good = store.publish("stg", built, commit=SHA, latest=True, release_id="r1")
    folder, names = store.root / "stg", ("20200101T000000.000000Z", "20200102T000000.000000Z")
    (folder / "docs").mkdir()
    files = [place / name for place in (folder, folder / "docs") for name in names]
    for file in files:
        file.write_text("x")
    assert (store.latest("stg"), store.find("stg", "r1")) == (good, good)
    assert [v.timestamp for v in store.list("stg")] == [good.timestamp]
    done = store.prune("stg", keep=1, dry_run=False)
    assert (done.removed, done.incomplete, done.docs) == ((), (), ())
    assert all(file.exists() for file in files)


# How a file system is touched; `volume` does it for all.
_TOUCHING = {"unlink", "rmdir", "rmtree", "mkdir", "iterdir", "scandir", "glob", "stat", "exists", "is_dir", "is_file",
             "read_bytes", "read_text", "write_bytes", "write_text", "open", "rename", "replace"}  # fmt: skip


@pytest.mark.parametrize(
    "module",
    ["artifacts/latest.py", "artifacts/pruning.py", "artifacts/target_folder.py", "artifacts/store.py",
     "artifacts/version.py", "release/anchor.py", "deploy/docs.py"],
)  # fmt: skip
def test_a_volume_is_touched_by_one_module(module: str) -> None:
    """Two calls are of no Volume: `is_file`, in the folder on local disk that dbt filled, and a time's `replace`."""
    tree = ast.parse((Path(dbx_cd.__file__).parent / module).read_text(encoding="utf-8"))
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    touching = [c for c in calls if isinstance(c, ast.Attribute) and c.attr in _TOUCHING]
    found = {ast.unparse(c) for c in touching if ast.unparse(c.value) != "volume"}
    local = {c for c in found if "is_file" in c and module in ("artifacts/version.py", "deploy/docs.py")}
    assert found - local - {c for c in found if c.startswith("datetime.")} == set()


def test_versions_are_not_listed_as_if_none_were_served_where_the_pointer_cannot_be_read(
    store: ArtifactStore, disk: Disk, built: Path
) -> None:
    """Whoever asks which of them is served would be told that none is."""
    published(store, built)
    disk.fail(POINTER_NAME, errno.EACCES, times=1000)
    with pytest.raises(Unreachable, match=r"latest\.json cannot be read: Permission denied"):
        store.list("stg")
    disk.heal()
    (store.root / "stg" / POINTER_NAME).write_text("{")
    assert [v.is_latest for v in store.list("stg")] == [False, True], "a damaged one is another matter"
