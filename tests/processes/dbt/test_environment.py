"""dbt's own environment: made once and whole, by real uv from wheels made here; what does not get into it."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import dbx_cd
from dbx_cd import ConfigError, SetupError
from dbx_cd.dbt.environment import DbtEnvironment, installed_version
from dbx_cd.dbt.environment_folder import ENVIRONMENTS, RECORD, UNUSED_SECONDS
from dbx_cd.dbt.process import start_dbt
from dbx_cd.dbt.warm_parent import WARM_ENVIRONMENTS, given_parent, warm_dbt
from dbx_cd.local.warm_parents import WarmParents
from tiny_wheels import TELLING_DBT, Wheel, make_dbt, make_wheel, write_lock

WAITING = "import os, time\nwhile os.path.exists({flag!r}): time.sleep(0.05)\n"
MAKE = (
    "import logging, sys; logging.basicConfig()\n"
    "from dbx_cd.dbt.environment import DbtEnvironment\n"
    "print(DbtEnvironment.of(sys.argv[1]).folder)"
)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where environments are made."""
    folder = tmp_path / "environments"
    monkeypatch.setenv(ENVIRONMENTS, str(folder))
    monkeypatch.delenv("DATABRICKS_RUNTIME_VERSION", raising=False)
    return folder


@pytest.fixture
def project(root: Path, tmp_path: Path) -> Path:
    """A project with a lock of the tiny dbt and one more package, and a wheelhouse of both."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "dbt_project.yml").write_text("name: tiny\nprofile: tiny\n")
    (folder / "dbx_cd.yml").write_text(f"wheelhouse: {tmp_path / 'wheels'}\n")
    more = make_wheel(tmp_path / "wheels", "colour", "1.0", {"colour.py": "BLUE = 1\n"})
    write_lock(folder, [make_dbt(tmp_path / "wheels"), more])
    return folder


def locked(project: Path, *wheels: Wheel) -> Path:
    write_lock(project, wheels)
    return project


def told(environment: DbtEnvironment, cwd: Path, *, warm_parent: Path | None = None) -> dict[str, Any]:
    process = start_dbt(["build"], cwd=cwd, warm_parent=warm_parent, environment=environment)
    assert process.stdout is not None
    answer: dict[str, Any] = json.loads(process.stdout.read())
    assert process.wait(20) == 0
    return answer


def making(project: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(Path(dbx_cd.__file__).parents[1])}
    return subprocess.Popen(
        [sys.executable, "-c", MAKE, str(project)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=environment, start_new_session=True,
    )  # fmt: skip


def in_place(root: Path) -> list[str]:
    """Everything that is an environment, or a part of one."""
    return sorted(path.name for path in root.iterdir() if path.is_dir() and path.name != "uv-cache")


def becomes(condition: Callable[[], bool], *, within: float = 30) -> bool:
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_dbt_runs_in_an_environment_that_is_made_once(project: Path, root: Path, tmp_path: Path) -> None:
    made = DbtEnvironment.of(project)
    assert made.folder is not None
    assert (made.record.dbt_core, made.record.dbt_databricks) == ("9.9.9", "")
    assert (made.version("Colour"), made.version("mashumaro")) == ("1.0", "")
    assert installed_version("dbt-core") != "9.9.9"
    before = (made.folder / RECORD).stat().st_ino
    assert DbtEnvironment.of(project) == made
    assert (made.folder / RECORD).stat().st_ino == before
    answer = told(made, tmp_path)
    assert (answer["argv"], answer["prefix"]) == (["build"], str(made.folder))
    assert in_place(root) == [made.folder.name]


def test_other_content_of_the_lock_is_another_environment(project: Path, tmp_path: Path) -> None:
    first = DbtEnvironment.of(project)
    second = DbtEnvironment.of(locked(project, make_dbt(tmp_path / "wheels", "9.9.10")))
    assert second.record.dbt_core == "9.9.10"
    assert (first.folder, first.record.digest) != (second.folder, second.record.digest)


def test_two_processes_at_once_make_it_once(project: Path, root: Path) -> None:
    processes = [making(project), making(project)]
    ended = [process.communicate(timeout=60) for process in processes]
    folders = {out for out, _ in ended}
    assert len(folders) == 1, ended
    assert "".join(err for _, err in ended).count("dbt's own environment is made") == 1
    assert in_place(root) == [Path(folders.pop().strip()).name]


def test_killed_half_way_it_is_not_there_and_is_made_by_the_next(project: Path, root: Path, tmp_path: Path) -> None:
    flag = tmp_path / "wait"
    flag.touch()
    locked(project, make_dbt(tmp_path / "wheels", "9.9.11", main=WAITING.format(flag=str(flag)) + TELLING_DBT))
    process = making(project)
    # Installed, and about to be tried.
    assert becomes(lambda: any(root.glob("*.new/lib/python*/site-packages/dbt/cli/main.py"))), process.poll()
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert [name for name in in_place(root) if "." not in name] == []
    flag.unlink()
    made = DbtEnvironment.of(project)
    assert made.folder is not None
    assert in_place(root) == [made.folder.name]


def removed(folder: Path) -> None:
    next(folder.glob("lib/python*/site-packages/colour.py")).unlink()


def edited(folder: Path) -> None:
    """With as many bytes."""
    next(folder.glob("lib/python*/site-packages/colour.py")).write_text("BLUE = 2\n")


def without_interpreter(folder: Path) -> None:
    (folder / "bin" / "python").unlink()
    (folder / "bin" / "python").symlink_to("/no/such/python")


def torn(folder: Path) -> None:
    (folder / RECORD).write_text("{")


@pytest.mark.parametrize("damage", [removed, edited, without_interpreter, torn])
def test_a_damaged_one_is_noticed_and_made_anew(
    damage: Callable[[Path], None], project: Path, root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = DbtEnvironment.of(project)
    assert made.folder is not None
    damage(made.folder)
    assert DbtEnvironment.of(project) == made
    assert "is not what was made: it is made anew" in caplog.text
    assert next(made.folder.glob("lib/python*/site-packages/colour.py")).read_text() == "BLUE = 1\n"
    assert told(made, tmp_path)["prefix"] == str(made.folder)
    assert in_place(root) == [made.folder.name]


def test_one_that_nobody_uses_goes_when_another_is_made(project: Path, root: Path, tmp_path: Path) -> None:
    old, kept = (DbtEnvironment.of(locked(project, make_dbt(tmp_path / "wheels", v))).folder for v in ("9.1", "9.2"))
    assert old is not None
    assert kept is not None
    long_ago = time.time() - UNUSED_SECONDS - 60
    os.utime(old / RECORD, (long_ago, long_ago))
    new = DbtEnvironment.of(locked(project, make_dbt(tmp_path / "wheels", "9.3"))).folder
    assert new is not None
    assert in_place(root) == sorted([kept.name, new.name])


def test_another_file_than_was_locked_is_refused_and_nothing_stays(project: Path, root: Path, tmp_path: Path) -> None:
    make_wheel(tmp_path / "wheels", "colour", "1.0", {"colour.py": "BLUE = 'by somebody else'\n"})
    with pytest.raises(
        SetupError, match=r"making dbt's own environment failed: .* of colour==1\.0 is not what was locked"
    ):
        DbtEnvironment.of(project)
    assert in_place(root) == []


def test_a_wheel_that_is_missing_is_named(project: Path, tmp_path: Path) -> None:
    next((tmp_path / "wheels").glob("colour-*")).unlink()
    with pytest.raises(SetupError, match=r"colour is not in the wheelhouse.*wheels\)\. Next: .*--wheelhouse"):
        DbtEnvironment.of(project)


def test_a_wheel_for_another_python_alone_is_named(project: Path, tmp_path: Path) -> None:
    wheels = tmp_path / "wheels"
    next(wheels.glob("colour-*")).unlink()
    other = make_wheel(wheels, "colour", "1.0", {"colour.py": ""}, tag="cp27-cp27m-any")
    locked(project, make_dbt(wheels), other)
    with pytest.raises(SetupError, match=r"there is no wheel of colour==1\.0 for this Python and platform"):
        DbtEnvironment.of(project)


def test_what_is_needed_and_not_locked_is_named(project: Path, tmp_path: Path) -> None:
    needing = make_wheel(
        tmp_path / "wheels", "dbt-core", "9.9.12", {"dbt/cli/main.py": TELLING_DBT}, requires=["colour"]
    )
    with pytest.raises(SetupError, match="colour is needed and not locked"):
        DbtEnvironment.of(locked(project, needing))


def test_a_dbt_that_cannot_be_imported_is_no_environment(project: Path, root: Path, tmp_path: Path) -> None:
    broken = make_dbt(tmp_path / "wheels", "9.9.13", main="import no_such_module\n")
    with pytest.raises(SetupError, match=r"dbt cannot be imported in its own environment.*no_such_module"):
        DbtEnvironment.of(locked(project, broken))
    assert in_place(root) == []


def test_a_wheelhouse_that_is_not_there_counts_on_databricks(
    project: Path, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (project / "dbx_cd.yml").write_text("wheelhouse: /Volumes/ops/dbt_meta/no_wheels\n")
    # Elsewhere the index does: here one that is a folder.
    for name, value in {"UV_NO_INDEX": "1", "UV_OFFLINE": "1", "UV_FIND_LINKS": str(tmp_path / "wheels")}.items():
        monkeypatch.setenv(name, value)
    assert DbtEnvironment.of(project).folder is not None
    assert "is not on this machine: dbt is installed from the package index" in caplog.text
    monkeypatch.setenv("DATABRICKS_RUNTIME_VERSION", "16.4")
    monkeypatch.setenv(ENVIRONMENTS, str(root / "other"))
    with pytest.raises(SetupError, match="the wheelhouse is not there"):
        DbtEnvironment.of(project)


@pytest.mark.parametrize("given", ["wheels", "[a, b]"])
def test_a_wheelhouse_is_an_absolute_path(given: str, project: Path) -> None:
    (project / "dbx_cd.yml").write_text(f"wheelhouse: {given}\n")
    with pytest.raises(ConfigError, match="`wheelhouse` must be an absolute path"):
        DbtEnvironment.of(project)


def test_a_folder_that_others_may_enter_holds_no_environment(project: Path, root: Path) -> None:
    root.mkdir(mode=0o777)
    root.chmod(0o777)
    with pytest.raises(SetupError, match="the folder for it is not this user's alone"):
        DbtEnvironment.of(project)


@pytest.fixture
def leaking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Modules where a runtime would have them found, and one in dbt's current directory."""
    site = tmp_path / "runtime"
    site.mkdir()
    (site / "leaked.py").write_text("")
    (site / "sitecustomize.py").write_text(f"open({str(tmp_path / 'customized')!r}, 'w').close()\n")
    (tmp_path / "yaml.py").write_text("")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), *sys.path]))
    monkeypatch.setenv("VIRTUAL_ENV", sys.prefix)
    monkeypatch.setenv("PYTHONUSERBASE", str(site))
    monkeypatch.setenv("MY_SCHEMA", "anna")
    yield tmp_path
    assert not (tmp_path / "customized").exists()


@pytest.mark.parametrize("way", ["cold", "warm"])
def test_nothing_of_the_runtime_gets_in_and_the_project_s_variables_do(way: str, project: Path, leaking: Path) -> None:
    environment = DbtEnvironment.of(project)
    if way == "cold":
        answer = told(environment, leaking)
        assert answer["parent"] == os.getpid()
    else:
        with warm_dbt(environment) as parent:
            answer = told(environment, leaking, warm_parent=parent)
        assert answer["parent"] != os.getpid()
    assert answer["prefix"] == str(environment.folder)
    # Of dbx_cd what a fork came from, and nothing that needs its packages.
    assert answer["found"] == ([] if way == "cold" else ["dbx_cd.errors"])
    assert "MY_SCHEMA" in answer["variables"]
    assert not {"PYTHONPATH", "VIRTUAL_ENV", "PYTHONUSERBASE", "PYTHONHOME"} & set(answer["variables"])


def test_the_embedded_workspace_has_one_warm_parent_for_each_environment(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = DbtEnvironment.of(project)
    (tmp_path / "logs").mkdir()
    parents = WarmParents(environment={}, volumes=tmp_path / "volumes", log_dir=tmp_path / "logs").start()
    try:
        monkeypatch.setenv(WARM_ENVIRONMENTS, parents.environment[WARM_ENVIRONMENTS])
        for name in ("PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"):
            monkeypatch.setenv(name, "1")  # as in its tasks
        address = given_parent(environment)
        assert address is not None
        first, second = (told(environment, tmp_path) for _ in range(2))
        assert given_parent(environment) == address
        assert first["parent"] == second["parent"] != os.getpid()
        assert first["prefix"] == str(environment.folder)
    finally:
        parents.stop()
    assert given_parent(environment) is None


def test_without_a_lock_dbt_is_this_interpreter_s_own(project: Path, caplog: pytest.LogCaptureFixture) -> None:
    (project / "requirements-dbt.txt").unlink()
    with caplog.at_level(logging.INFO):
        own = DbtEnvironment.of(project)
        assert (own.folder, own.python, own.record.digest) == (None, sys.executable, "")
    assert own.record.dbt_core == installed_version("dbt-core")
