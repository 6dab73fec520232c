"""An interrupted dbt cancels its queries before it ends, however much it says meanwhile, and however often it is asked.

dbt is a stand-in here, in a process of its own: when it is interrupted it writes more than a pipe holds and then leaves
a file. What dbt itself says when it is interrupted is recorded: `build_interrupted` in `tests/fixtures/recorded_dbt`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from dbx_cd.config import WARM_DBT
from dbx_cd.dbt import runner
from dbx_cd.dbt.runner import dbt_process
from dbx_cd.warm.parent import WarmParent

SOURCES = str(Path(runner.__file__).parents[2])
STAND_IN = """
import json, os, pathlib, time

def event(name, message, level="info"):
    print(json.dumps({"info": {"name": name, "level": level, "msg": message}, "data": {}}), flush=True)

def cli():
    pathlib.Path("pid").write_text(str(os.getpid()))
    try:
        event("LogStartLine", "running")
        time.sleep(60)
    except KeyboardInterrupt:
        pathlib.Path("interrupted").touch()
        while pathlib.Path("endless").exists():
            time.sleep(0.05)
        until = time.monotonic() + float(pathlib.Path("seconds").read_text())
        while time.monotonic() < until:
            time.sleep(0.05)
        for number in range(5000):
            event("Chatter", "x" * 200)
        event("LogCancelLine", "CANCEL query model.shop.orders", "error")
        pathlib.Path("cancelled").touch()
        raise SystemExit(1)
"""


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that stands for a project, where dbt is the stand-in."""
    package = tmp_path / "modules" / "dbt" / "cli"
    package.mkdir(parents=True)
    (package.parent / "__init__.py").touch()
    (package / "__init__.py").touch()
    (package / "main.py").write_text(STAND_IN)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([SOURCES, str(tmp_path / "modules")]))
    monkeypatch.delenv(WARM_DBT, raising=False)
    project = tmp_path / "project"
    project.mkdir()
    (project / "seconds").write_text("0")
    return project


@pytest.fixture(params=["cold", "warm"])
def run(request: pytest.FixtureRequest, stand_in: Path) -> Iterator[Callable[[], object]]:
    """Runs the stand-in, cold and as a fork."""
    if request.param == "cold":
        yield lambda: dbt_process(cwd=stand_in, title="dbt build")(["build"])
    else:
        with WarmParent("dbx_cd.dbt.warm") as parent:
            yield lambda: dbt_process(cwd=stand_in, title="dbt build", warm_parent=parent.address)(["build"])


def when(file: Path, then: Callable[[], object]) -> None:
    """Do something in another thread as soon as a file is there."""

    def watch() -> None:
        while not (file.is_file() and (file.name != "pid" or file.read_text())):
            time.sleep(0.02)
        time.sleep(0.2)  # the stand-in has left the file, and goes on
        then()

    threading.Thread(target=watch, daemon=True).start()


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def runs(pid: int) -> bool:
    with suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def test_dbt_that_says_more_than_a_pipe_holds_cancels_its_queries(run: Callable[[], object], stand_in: Path) -> None:
    when(stand_in / "pid", interrupt)
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run()
    assert (stand_in / "cancelled").exists()
    assert time.monotonic() - started < 15


def test_what_dbt_cancelled_is_shown(
    run: Callable[[], object], stand_in: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    when(stand_in / "pid", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run()
    assert "CANCEL query model.shop.orders" in capsys.readouterr().err


def test_second_interrupt_does_not_end_dbt_before_it_has_cancelled(run: Callable[[], object], stand_in: Path) -> None:
    (stand_in / "seconds").write_text("1.5")
    when(stand_in / "pid", interrupt)
    when(stand_in / "interrupted", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run()
    assert (stand_in / "cancelled").exists()


def test_interrupt_that_reaches_dbt_twice_counts_once(run: Callable[[], object], stand_in: Path) -> None:
    (stand_in / "seconds").write_text("1.5")
    when(stand_in / "pid", interrupt)
    when(stand_in / "interrupted", lambda: os.kill(int((stand_in / "pid").read_text()), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        run()
    assert (stand_in / "cancelled").exists()


def test_dbt_that_does_not_end_is_killed_and_it_is_said_that_queries_may_go_on(
    run: Callable[[], object], stand_in: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(runner, "_STOP_SECONDS", 1)
    (stand_in / "endless").touch()
    when(stand_in / "pid", interrupt)
    when(stand_in / "interrupted", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run()
    assert not runs(int((stand_in / "pid").read_text()))
    assert "its queries may still be running" in caplog.text


def test_ctrl_c_of_a_terminal_reaches_both_and_dbt_cancels_its_queries(stand_in: Path) -> None:
    code = (
        "from pathlib import Path; from dbx_cd.dbt.runner import dbt_process\n"
        "dbt_process(cwd=Path.cwd(), title='dbt build')(['build'])"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=stand_in, stderr=subprocess.PIPE, start_new_session=True, text=True
    ) as terminal:
        when(stand_in / "pid", lambda: os.killpg(terminal.pid, signal.SIGINT))
        said = terminal.communicate(timeout=60)[1]
    assert (stand_in / "cancelled").exists()
    assert "KeyboardInterrupt" in said
