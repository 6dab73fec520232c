"""One contract for both ways of starting a notebook task: a process of its own, and a fork of a warm parent."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from local_rest import source

from dbx_cd.config import WARM_DBT
from dbx_cd.local.notebooks.process import NotebookOrder, NotebookResult
from dbx_cd.local.rest.task_process import TaskPlace, TaskProcess, child_environment
from dbx_cd.local.warm_parents import WarmParents
from dbx_cd.shell_environment import as_in_the_shell
from dbx_cd.warm.parent import WarmParent

VOLUMES = Path("/of/no/task/Volumes")
SET_BY_IMPORTS = {"GX_ANALYTICS_ENABLED": "false"}
"""What Great Expectations' module here sets, and the warm parent has imported."""


@pytest.fixture(scope="module")
def parents(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WarmParents]:
    folder = tmp_path_factory.mktemp("parents")
    started = WarmParents(environment={}, volumes=VOLUMES, log_dir=folder).start()
    yield started
    started.stop()


@dataclass
class Task:
    """A notebook of one cell, run in one way."""

    folder: Path
    warm_parent: Path | None
    lines: list[str] = field(default_factory=list)
    heard: threading.Event = field(default_factory=threading.Event)

    def process(self, cell: str) -> TaskProcess:
        self.folder.mkdir(exist_ok=True)
        notebook = self.folder / "notebook.py"
        notebook.write_text(source(cell), encoding="utf-8")
        result = self.folder / "result.json"
        order = NotebookOrder(
            notebook=str(notebook), title="a task", task_key="t", job_group="g", user="bot", result_file=str(result),
            page_file=str(self.folder / "page.html"), import_paths=[str(self.folder)],
        )  # fmt: skip
        return TaskProcess(
            order,
            TaskPlace(self.folder, self.folder / "task.log", result),
            environment=child_environment(
                host="http://127.0.0.1:1", token="secret", volumes=VOLUMES, extra={"SHOP": "open"}
            ),
            warm_parent=self.warm_parent,
        )

    def run(self, cell: str, *, timeout_seconds: float | None = None) -> NotebookResult:
        return self.process(cell).run(timeout_seconds=timeout_seconds, on_line=self.hear)

    def hear(self, line: str) -> None:
        self.lines.append(line)
        self.heard.set()


@pytest.fixture
def tasks(parents: WarmParents, tmp_path: Path) -> dict[str, Task]:
    return {"cold": Task(tmp_path / "cold", None), "warm": Task(tmp_path / "warm", parents.notebooks)}


@pytest.fixture(params=["cold", "warm"])
def task(request: pytest.FixtureRequest, tasks: dict[str, Task]) -> Task:
    return tasks[request.param]


SEES = """
import json, os, signal, sys, threading
os.environ.pop("LC_CTYPE", None)  # Python sets it by itself where no locale is set
print(json.dumps({
    "environment": dict(os.environ), "cwd": os.getcwd(), "path": sys.path, "flags": str(sys.flags),
    "standard": [sys.stdin.read(), sys.stdout.isatty(), sys.__stdout__.encoding, sys.__stdout__.line_buffering],
    "threads": sorted(t.name for t in threading.enumerate()), "leads": os.getpid() == os.getsid(0) == os.getpgrp(),
    "signals": [str(signal.getsignal(n)).split(" at 0x")[0] for n in (signal.SIGINT, signal.SIGCHLD, signal.SIGPIPE)],
    "blocked": [str(n) for n in signal.pthread_sigmask(signal.SIG_BLOCK, ())],
}))
"""


def test_notebook_sees_the_same_both_ways(tasks: dict[str, Task]) -> None:
    seen: dict[str, Any] = {}
    for way, task in tasks.items():
        assert task.run(SEES).error is None
        seen[way] = json.loads(task.lines[-1].replace(str(task.folder), "<folder>"))
    seen["cold"]["environment"] |= SET_BY_IMPORTS
    assert seen["warm"] == seen["cold"]
    assert seen["warm"]["environment"]["SHOP"] == "open"


def test_only_the_fork_finds_its_packages_imported(tasks: dict[str, Task]) -> None:
    for task in tasks.values():
        task.run("import sys\nprint('great_expectations' in sys.modules)")
    assert (tasks["cold"].lines, tasks["warm"].lines) == (["False"], ["True"])


def test_value_and_output_are_taken(task: Task) -> None:
    result = task.run("print('a line')\ndbutils.notebook.exit('done')")
    assert (result.exit_value, result.error, task.lines) == ("done", None, ["a line"])
    assert (task.folder / "task.log").read_text() == "a line\n"


def test_task_whose_output_cannot_be_shown_goes_on_and_is_logged(task: Task) -> None:
    def broken(line: str) -> None:
        raise OSError("the terminal is gone")

    chatty = task.process("for n in range(3000):\n    print('x' * 100)\ndbutils.notebook.exit('done')")
    assert chatty.run(timeout_seconds=30, on_line=broken).exit_value == "done"
    assert len((task.folder / "task.log").read_text().splitlines()) == 3000


def test_task_whose_log_cannot_be_kept_goes_on_and_is_shown(task: Task) -> None:
    process = task.process("for n in range(3000):\n    print('x' * 100)\ndbutils.notebook.exit('done')")
    process._place = replace(process._place, log_file=task.folder / "missing" / "task.log")  # as where a disk is full
    assert process.run(timeout_seconds=30, on_line=task.hear).exit_value == "done"
    assert len(task.lines) == 3000


def test_a_hundred_thousand_lines_take_seconds(task: Task) -> None:
    begun = time.monotonic()
    result = task.run("for n in range(100_000):\n    print('line', n)\nprint('the last')", timeout_seconds=60)
    assert result.error is None
    assert task.lines[-1] == "the last"
    assert time.monotonic() - begun < 30
    assert "the last\n</pre>" in (task.folder / "page.html").read_text()


def test_error_has_the_notebook_s_own_frames(task: Task) -> None:
    result = task.run("def broken():\n    raise LookupError('as asked')\nbroken()")
    assert result.error == "LookupError: as asked"
    assert result.error_trace is not None
    frames = [line for line in result.error_trace.splitlines() if "File " in line]
    assert len(frames) == 2
    assert all("notebook.py" in line for line in frames)


def test_notebook_s_folder_does_not_shadow_a_package(task: Task) -> None:
    task.folder.mkdir()
    (task.folder / "yaml.py").write_text("raise SystemExit('shadowed')")
    assert task.run("import yaml\nprint(yaml.__version__)").error is None


def test_process_that_dies_is_an_error_with_its_code(task: Task) -> None:
    assert task.run("import os\nos._exit(7)").error == "The notebook's process ended unexpectedly (exit code 7)"


LEAVES_A_CHILD = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(os.getpid(), child.pid, flush=True)
time.sleep(60)
"""


def ended(pids: list[int], *, within: float = 10) -> bool:
    deadline = time.monotonic() + within

    def running(pid: int) -> bool:
        state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
        return bool(state.stdout.strip()) and not state.stdout.startswith("Z")

    while any(map(running, pids)):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_cancelled_task_ends_with_what_it_started(task: Task) -> None:
    process = task.process(LEAVES_A_CHILD)

    def cancel() -> None:
        assert task.heard.wait(30)
        process.cancel()

    threading.Thread(target=cancel, daemon=True).start()
    assert process.run(timeout_seconds=None, on_line=task.hear).error == "Cancelled"
    assert ended([int(pid) for pid in task.lines[0].split()])


def test_task_that_was_cancelled_before_it_started_does_not_start(task: Task) -> None:
    process = task.process("print('started')")
    process.cancel()
    assert process.run(timeout_seconds=None, on_line=task.hear).error == "Cancelled"
    assert task.lines == []


def test_task_over_its_time_ends_with_what_it_started(task: Task) -> None:
    assert task.run(LEAVES_A_CHILD, timeout_seconds=3).error == "Timed out"
    assert ended([int(pid) for pid in task.lines[0].split()])


WORKSPACE = """
import sys
from pathlib import Path
from test_task_process import LEAVES_A_CHILD, Task
Task(Path(sys.argv[1]), Path(sys.argv[2]) if sys.argv[2] else None).run(LEAVES_A_CHILD)
"""


def test_task_ends_when_its_workspace_dies(task: Task) -> None:
    folders = [str(Path(__file__).parent), str(Path(__file__).parents[2] / "unit")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*folders, os.environ.get("PYTHONPATH", "")])}
    log = task.folder / "task.log"
    with subprocess.Popen(
        [sys.executable, "-c", WORKSPACE, str(task.folder), str(task.warm_parent or "")], env=environment
    ) as workspace:
        while not (log.is_file() and log.read_text().endswith("\n")):
            assert workspace.poll() is None
            time.sleep(0.05)
        workspace.send_signal(signal.SIGKILL)
    assert ended([int(pid) for pid in log.read_text().split()])


STAND_IN = """
import os, pathlib, sys, time

def cli():
    try:
        pathlib.Path("warm" if "dbx_cd.warm.likeness" in sys.modules else "cold").touch()
        pathlib.Path("dbt_pid").write_text(str(os.getpid()))
        time.sleep(60)
    except KeyboardInterrupt:
        time.sleep(1)  # it cancels its queries; nobody may cut that short
        pathlib.Path("cancelled").touch()
"""

BY_RUN_DBT = "from dbx_cd.dbt.runner import dbt_process\ndbt_process(cwd=Path.cwd(), title='dbt build')(['build'])"
BY_ITSELF = "import subprocess, sys\nsubprocess.run([sys.executable, '-c', 'from dbt.cli.main import cli; cli()'])"


@pytest.mark.parametrize("starting_dbt", [BY_RUN_DBT, BY_ITSELF], ids=["run_dbt", "by itself"])
def test_dbt_of_a_cancelled_task_cancels_its_queries_before_the_task_has_ended(task: Task, starting_dbt: str) -> None:
    path = f"os.environ['PYTHONPATH'] = {str(stand_in(task))!r} + os.pathsep + os.environ['PYTHONPATH']"
    process = task.process(f"import os\nfrom pathlib import Path\n{path}\n{starting_dbt}")
    cancel_when_dbt_runs(task, process)
    pid = task.folder / "dbt_pid"
    assert process.run(timeout_seconds=None, on_line=task.hear).error == "Cancelled"
    assert (task.folder / "cancelled").exists(), "\n".join(task.lines)
    assert ended([int(pid.read_text())], within=0)


def test_dbt_that_was_forked_cancels_its_queries_before_the_task_has_ended(task: Task) -> None:
    """It is no child of the notebook's process, which has to wait for it all the same."""
    modules = stand_in(task)
    variables = child_environment(host="", token="", volumes=VOLUMES, extra={"SHOP": "open"})
    variables |= {"PYTHONPATH": os.pathsep.join([str(modules), variables["PYTHONPATH"]])}
    with WarmParent("dbx_cd.dbt.warm", environment=as_in_the_shell(variables)) as parent:
        paths = f"os.environ |= {{{WARM_DBT!r}: {str(parent.address)!r}, 'PYTHONPATH': {variables['PYTHONPATH']!r}}}"
        process = task.process(f"import os\nfrom pathlib import Path\n{paths}\n{BY_RUN_DBT}")
        cancel_when_dbt_runs(task, process)
        assert process.run(timeout_seconds=None, on_line=task.hear).error == "Cancelled"
        assert (task.folder / "warm").exists(), "it was not forked"
        assert (task.folder / "cancelled").exists(), "\n".join(task.lines)


def stand_in(task: Task) -> Path:
    """Where a dbt is that shows what becomes of it."""
    package = task.folder / "modules" / "dbt" / "cli"
    package.mkdir(parents=True)
    (package.parent / "__init__.py").touch()
    (package / "__init__.py").touch()
    (package / "main.py").write_text(STAND_IN)
    return task.folder / "modules"


def cancel_when_dbt_runs(task: Task, process: TaskProcess) -> None:
    pid = task.folder / "dbt_pid"

    def cancel() -> None:
        while not (pid.is_file() and pid.read_text()):
            time.sleep(0.02)
        process.cancel()

    threading.Thread(target=cancel, daemon=True).start()


SHOWS_VARIABLES = """
import json, os, pathlib

def cli():
    seen = {name: value for name, value in os.environ.items() if "DATABRICKS" in name or "DBX_CD_SHELL" in name}
    pathlib.Path("seen.json").write_text(json.dumps(seen))
"""


def test_dbt_sees_the_variables_of_the_shell_and_the_notebook_those_of_its_run(
    task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell = {"DATABRICKS_SCHEMA": "anna", "DATABRICKS_CLIENT_ID": "anna's", "DATABRICKS_HOST": "https://hers"}
    for name in [name for name in os.environ if name.startswith("DATABRICKS_")]:
        monkeypatch.delenv(name)
    for name, value in shell.items():
        monkeypatch.setenv(name, value)
    package = task.folder / "modules" / "dbt" / "cli"
    package.mkdir(parents=True)
    (package.parent / "__init__.py").touch()
    (package / "__init__.py").touch()
    (package / "main.py").write_text(SHOWS_VARIABLES)
    path = f"os.environ['PYTHONPATH'] = {str(task.folder / 'modules')!r} + os.pathsep + os.environ['PYTHONPATH']"
    show = "print({n: v for n, v in os.environ.items() if n.startswith('DATABRICKS_')})"
    schema = '{{ env_var("DATABRICKS_SCHEMA") }}'
    early = f"from dbx_cd.jinja import EarlyJinja\nprint(EarlyJinja().render({schema!r}, where=''))"
    assert task.run(f"import os\nfrom pathlib import Path\n{path}\n{show}\n{early}\n{BY_RUN_DBT}").error is None
    assert task.lines[:2] == [str({"DATABRICKS_HOST": "http://127.0.0.1:1", "DATABRICKS_TOKEN": "secret"}), "anna"]
    assert json.loads((task.folder / "seen.json").read_text()) == shell
