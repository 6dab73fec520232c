"""Records what dbt leaves: `make dbt-fixtures`, or `PYTHONPATH=src:tests python -m recorded_dbt.make SCENARIO`.

dbt itself runs, with its adapter, on the embedded workspace. What is kept is what it wrote, but for what differs from
one run to the next: ids, moments, durations and places get one value each, so that a second run changes a recording
only where dbt behaves otherwise. Of manifests the macros of dbt and its adapter are left out, for size; every node,
source and result is one line.
"""

from __future__ import annotations

import itertools
import json
import re
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import dbx_cd
from dbx_cd.dbt.events import DbtEvent
from dbx_cd.dbt.process import start_dbt
from dbx_cd.dbt.project import ARTIFACT_NAMES, LOG_NAME, LocalProject
from dbx_cd.dbt.runner import OUTPUT
from dbx_cd.dbt.warm_parent import warm_dbt
from dbx_cd.local.workspace import EmbeddedWorkspace
from dbx_cd.sql_endpoint.profile import connection_block, with_connection
from recorded_dbt import FIXTURES, PROJECTS, RECORDED
from recorded_dbt.scenarios import SCENARIOS

SCHEMA = "recorded"
CATALOGS = ("stg", "prod")
MOMENT = datetime(2026, 1, 1, 12)
"""What every moment becomes, but for the times of sources, which keep their distance from it."""
_AGES = 600
"""To how many seconds the ages of sources are rounded: a slow machine makes no difference."""
_ID = "00000000-0000-0000-0000-000000000000"
_KEPT = tuple(name for name in ARTIFACT_NAMES if name.endswith(".json"))
_LEFT_OUT = ("macros", "docs", "parent_map", "child_map", "group_map", "selectors", "disabled")
_GIVEN_BY_DBT = ("dbt", "dbt_spark", "dbt_databricks")
_MOMENTS = frozenset({"ts", "created_at", "generated_at", "started_at", "completed_at", "compiled_at", "run_started_at",
                      "invocation_started_at", "node_started_at", "node_finished_at", "snapshotted_at"})  # fmt: skip
_DURATIONS = frozenset({"execution_time", "execution", "elapsed", "elapsed_time"})
_SECONDS = re.compile(r"(in |and |\()\d+\.\d+( ?s)")
_EXPRESSION = re.compile(r"#\d+L?")
_OBJECT = re.compile(r"@[0-9a-f]{5,8}\b")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


class Recorder:
    """Runs scenarios, by a dbt that reaches a workspace, and writes a folder for each.

    Args:
        workspace: has the catalogs of `CATALOGS`.
        folder: where the projects are copied to.
        parent: a warm parent for dbt.
    """

    def __init__(self, workspace: EmbeddedWorkspace, folder: Path, parent: Path | None) -> None:
        self._spark = workspace.spark
        self._folder = folder
        self._parent = parent
        self._places = {str(workspace.state_dir): "/workspace", str(folder): "/profiles"}
        self._connection = connection_block(workspace.endpoint)

    @classmethod
    @contextmanager
    def on(cls, workspace: EmbeddedWorkspace) -> Iterator[Recorder]:
        """One for a workspace, whose certificate dbt trusts meanwhile."""
        with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory(prefix="recorded-") as folder:
            for variable, value in workspace.endpoint.client_environment().items():
                patch.setenv(variable, value)
            with warm_dbt() as parent:
                yield cls(workspace, Path(folder), parent)

    def record(self, name: str, *, into: Path) -> None:
        """Run a scenario; `into` gets its folder, in place of one that is there."""
        for catalog, schema in itertools.product(CATALOGS, (SCHEMA, f"{SCHEMA}_finance")):
            self._spark.sql(f"DROP SCHEMA IF EXISTS {catalog}.{schema} CASCADE")
        scenario, work = SCENARIOS[name], self._folder / name
        connection = self._connection | ({"token": scenario.token} if scenario.token else {})
        with_connection(FIXTURES, connection, out_dir=self._folder)
        project = LocalProject.prepare(PROJECTS / scenario.project, work=work, profiles_dir=self._folder)
        for command in scenario.before:
            code, lines = _run(project, command, parent=self._parent)
            if code != 0:
                raise SystemExit(f"{name}: dbt {' '.join(command)} failed:\n" + "\n".join(lines))
        shutil.rmtree(project.target_path, ignore_errors=True)
        with pytest.MonkeyPatch.context() as patch:
            for variable, value in scenario.environment.items():
                patch.setenv(variable, value)
            code, lines = _run(project, scenario.command, parent=self._parent, ended_by=scenario.ended_by)
        self._spark.sparkContext.cancelAllJobs()  # a dbt that was killed leaves its query to the warehouse
        shutil.rmtree(into / name, ignore_errors=True)
        (into / name).mkdir(parents=True)
        inside = {str(project.dir): "/project", str(project.target_path): "/target", str(work): "/work"}
        python = {sys.prefix: "/venv", str(Path(sys.prefix).resolve()): "/venv", sys.base_prefix: "/python"}
        sources = {str(Path(dbx_cd.__file__).parents[1]): "/src"}
        places = {**inside, **self._places, **python, **sources}
        write = _Writer(into / name, places, keeps_times=scenario.keeps_times)
        write.json("call.json", {"command": scenario.command, "exit_code": code})
        write.lines("events.jsonl", [] if scenario.keeps_times else lines)
        if scenario.keeps_log:
            logged = (project.work / "logs" / LOG_NAME).read_text(encoding="utf-8").splitlines()
            write.lines(LOG_NAME, [line for line in logged if _says_which_node(line)])
        for artifact in _KEPT:
            if (project.target_path / artifact).is_file():
                write.json(artifact, json.loads((project.target_path / artifact).read_text(encoding="utf-8")))


def _says_which_node(line: str) -> bool:
    event = DbtEvent.parse(line)
    return event.node is not None or event.name == "MainEncounteredError"


def _run(
    project: LocalProject, command: Sequence[str], *, parent: Path | None, ended_by: str = ""
) -> tuple[int, list[str]]:
    """Run dbt as `run_dbt` does; the exit code, and the lines of its output."""
    words = list(command)
    flags = project.flags("stg", paths=words[0] != "deps")
    if "--target" in words:
        at = flags.index("--target")
        del flags[at : at + 2]
    process = start_dbt([*words, *flags, *OUTPUT], cwd=project.dir, warm_parent=parent)
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line.rstrip("\n"))
        event = DbtEvent.parse(line)
        if ended_by and event.starts_node and event.node == "order_totals":
            process.send_signal(getattr(signal, ended_by))
    return process.wait(), lines


class _Writer:
    """Writes files without what differs between any two invocations, but for times where those are what is recorded."""

    def __init__(self, folder: Path, places: dict[str, str], *, keeps_times: bool) -> None:
        self._folder = folder
        self._places = places
        self._keeps_times = keeps_times

    def lines(self, name: str, lines: Sequence[str]) -> None:
        """Write lines, each an event or other text."""
        plain = []
        for line in lines:
            try:
                plain.append(json.dumps(self._plain(json.loads(line)), ensure_ascii=False, sort_keys=True))
            except ValueError:
                plain.append(self._text(line))
        (self._folder / name).write_text("".join(f"{line}\n" for line in plain), encoding="utf-8")

    def json(self, name: str, document: Any) -> None:
        """Write a document; the moments of `sources.json` keep their distances."""
        if name == "manifest.json":
            document = {key: value for key, value in document.items() if key not in _LEFT_OUT} | {
                "macros": {
                    key: value
                    for key, value in document.get("macros", {}).items()
                    if value["package_name"] not in _GIVEN_BY_DBT
                }
            }
        for result in document.get("results", ()):
            if result.get("max_loaded_at"):
                result |= _at_moment(result["max_loaded_at"], result["max_loaded_at_time_ago_in_s"])
        (self._folder / name).write_text(entry_a_line(self._plain(document)), encoding="utf-8")

    def _plain(self, value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {name: self._plain(inner, name) for name, inner in value.items()}
        if isinstance(value, list):
            return [self._plain(inner, key) for inner in value]
        if self._keeps_times and key in {*_MOMENTS, *_DURATIONS, "thread_id"}:
            return value
        if key in _MOMENTS and value:
            return MOMENT.timestamp() if isinstance(value, float) else _written_alike(value, MOMENT)
        if key in _DURATIONS and isinstance(value, int | float):
            return 0.5
        if key in ("pid", "thread", "thread_id") and value:
            return 1 if isinstance(value, int) else "Thread-1"
        return self._text(value) if isinstance(value, str) else value

    def _text(self, text: str) -> str:
        for place, name in self._places.items():
            text = text.replace(place, name)
        text = _OBJECT.sub("@1", _EXPRESSION.sub("#1", text))
        return _UUID.sub(_ID, _SECONDS.sub(r"\g<1>0.50\2", text))


def entry_a_line(document: Mapping[str, Any]) -> str:
    """A document as JSON, a line for each entry of what it consists of: a node, a result, a value of its metadata."""

    def line(value: Any) -> str:
        return json.dumps(value, ensure_ascii=False, sort_keys=True)

    parts = []
    for key, value in sorted(document.items()):
        if value and isinstance(value, dict):
            entries, brackets = [f"{line(name)}: {line(inner)}" for name, inner in sorted(value.items())], "{}"
        elif value and isinstance(value, list):
            entries, brackets = [line(inner) for inner in value], "[]"
        else:
            parts.append(f" {line(key)}: {line(value)}")
            continue
        inside = ",\n".join(f"  {entry}" for entry in entries)
        parts.append(f" {line(key)}: {brackets[0]}\n{inside}\n {brackets[1]}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _written_alike(text: str, moment: datetime) -> str:
    """A moment as dbt wrote another: with or without a zone, and with as many digits."""
    found = re.fullmatch(r"[^T]+T[\d:]+(\.\d+)?(.*)", text)
    assert found, text
    return f"{moment.isoformat()}{'.000000' if found[1] else ''}{found[2]}"


def _at_moment(loaded_at: str, age: float) -> dict[str, Any]:
    """When a source was loaded, moved so that its rounded age stays; so does the year 1, which dbt writes for none."""
    if loaded_at.startswith("0001"):
        return {"max_loaded_at_time_ago_in_s": (MOMENT - datetime(1, 1, 1)).total_seconds()}
    rounded = _AGES * round(age / _AGES)
    moved = MOMENT - timedelta(seconds=rounded)
    return {"max_loaded_at": _written_alike(loaded_at, moved), "max_loaded_at_time_ago_in_s": float(rounded)}


def main(names: Sequence[str], *, say: Callable[[str], object] = print) -> int:
    """Record the scenarios of these names, or all."""
    unknown = sorted(set(names) - SCENARIOS.keys())
    if unknown:
        say(f"no scenario {', '.join(unknown)}; there are {', '.join(SCENARIOS)}")
        return 2
    with (
        tempfile.TemporaryDirectory(prefix="recorded-") as state,
        EmbeddedWorkspace(state, catalogs=CATALOGS) as workspace,
        Recorder.on(workspace) as recorder,
    ):
        for name in names or SCENARIOS:
            say(name)
            recorder.record(name, into=RECORDED)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
