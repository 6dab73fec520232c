"""One contract for both ways of starting dbt: a process of its own, and a fork of a warm parent."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from dbt_projects import manifest, shop

from dbx_cd import run_dbt
from dbx_cd.config import WARM_DBT
from dbx_cd.dbt import warm_parent as warm_parent_module
from dbx_cd.dbt.process import CHANGE_A_BUILD, start_dbt
from dbx_cd.warm.client import WarmProcess
from dbx_cd.warm.parent import WarmParent

WAYS = ("cold", "warm")
"""There is a third: where no parent is at the address that is given, dbt starts cold."""


@dataclass(frozen=True)
class Seen:
    """What one invocation left."""

    code: int
    events: list[tuple[str, str]]
    messages: str
    manifest: object
    invocation_id: str


@pytest.fixture(scope="module")
def go(warm_parent: WarmParent, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Seen]:
    """Parses a project in one of the ways; nothing is carried."""

    def go(way: str, project: Path, *, target: str = "stg") -> Seen:
        left = tmp_path_factory.mktemp(way)
        with pytest.MonkeyPatch.context() as patch:
            _choose(patch, way, warm_parent)
            process = start_dbt(_arguments(project, target=target, left=left), cwd=project)
        assert isinstance(process, WarmProcess) == (way == "warm")
        assert process.stdout is not None
        lines = process.stdout.read().splitlines()
        code = process.wait(60)
        infos = [json.loads(line)["info"] for line in lines]
        written = left / "manifest.json"
        return Seen(
            code=code,
            events=[(info["name"], info["level"]) for info in infos],
            messages="\n".join(info["msg"] for info in infos),
            manifest=manifest(written, project=project) if written.is_file() else None,
            invocation_id=infos[0]["invocation_id"],
        )

    return go


@pytest.fixture(scope="module")
def parsed(go: Callable[..., Seen], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Seen]:
    project = shop(tmp_path_factory.mktemp("parsed") / "shop")
    return {way: go(way, project) for way in WAYS} | {"again": go("warm", project)}


@pytest.fixture(scope="module")
def failed(go: Callable[..., Seen], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Seen]:
    project = shop(tmp_path_factory.mktemp("failed") / "shop")
    return {way: go(way, project, target="nowhere") for way in ("gone", "warm")}


def test_a_parse_ends_well_both_ways(parsed: dict[str, Seen]) -> None:
    assert [parsed[way].code for way in WAYS] == [0, 0]


def test_both_ways_leave_the_same_manifest(parsed: dict[str, Seen]) -> None:
    assert parsed["cold"].manifest
    assert parsed["warm"].manifest == parsed["cold"].manifest


def test_both_ways_say_the_same_events(parsed: dict[str, Seen]) -> None:
    assert parsed["cold"].events
    assert parsed["warm"].events == parsed["cold"].events


def test_second_fork_says_and_leaves_what_the_first_did(parsed: dict[str, Seen]) -> None:
    assert parsed["again"].events == parsed["warm"].events
    assert parsed["again"].manifest == parsed["warm"].manifest


def test_each_invocation_has_an_id_of_its_own(parsed: dict[str, Seen]) -> None:
    assert len({seen.invocation_id for seen in parsed.values()}) == len(parsed)


def test_failure_ends_and_says_the_same_both_ways(failed: dict[str, Seen]) -> None:
    cold, warm = failed.values()
    assert cold.code == warm.code == 2
    assert cold.events == warm.events
    assert all("does not have a target named 'nowhere'" in seen.messages for seen in (cold, warm))


@pytest.fixture
def endless(tmp_path: Path) -> Path:
    """A project whose configuration does not end being rendered."""
    project = shop(tmp_path / "shop")
    endless = "{% for n in range(1000000000) %}{% endfor %}"
    settings = yaml.safe_load((project / "dbt_project.yml").read_text())
    (project / "dbt_project.yml").write_text(
        yaml.safe_dump({**settings, "vars": {"endless": endless}, "version": endless})
    )
    return project


@pytest.mark.parametrize("way", WAYS)
def test_interrupt_of_the_caller_ends_dbt(
    way: str, endless: Path, tmp_path: Path, warm_parent: WarmParent, monkeypatch: pytest.MonkeyPatch
) -> None:
    _choose(monkeypatch, way, warm_parent)
    log = tmp_path / "work" / "logs" / "dbt.log"

    def interrupt() -> None:
        while not (log.is_file() and "Running with dbt" in log.read_text()):
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run_dbt("parse", target="stg", project_dir=endless, work_dir=tmp_path / "work")
    assert time.monotonic() - started < 60
    running = [p for p in Path("/proc").glob("[0-9]*/cwd") if _leads_to(p, tmp_path / "work" / "project")]
    assert running == []


def test_task_has_one_parent_for_all_its_invocations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(WARM_DBT, raising=False)
    with warm_parent_module.warm_dbt() as parent:
        assert parent is not None
        assert parent.is_socket()
    assert not parent.parent.exists()


def test_task_of_the_embedded_workspace_uses_its_parent(warm_dbt: None, warm_parent: WarmParent) -> None:
    with warm_parent_module.warm_dbt() as parent:
        assert parent == warm_parent.address
    assert parent.is_socket()


def _choose(patch: pytest.MonkeyPatch, way: str, parent: WarmParent) -> None:
    if way == "warm":
        patch.setenv(WARM_DBT, str(parent.address))
    elif way == "gone":
        patch.setenv(WARM_DBT, str(parent.address.with_name("gone")))
    else:
        patch.delenv(WARM_DBT, raising=False)


def _arguments(project: Path, *, target: str, left: Path) -> list[str]:
    return [
        "parse", "--project-dir", str(project), "--profiles-dir", str(project), "--target", target,
        "--target-path", str(left), "--log-path", str(left), "--log-format", "json", "--no-use-colors",
        "--no-send-anonymous-usage-stats",
    ]  # fmt: skip


def _leads_to(link: Path, folder: Path) -> bool:
    try:
        return link.readlink() == folder
    except OSError:
        return False


def test_every_environment_variable_that_dbt_reads_for_an_option_is_known_here() -> None:
    from dbt.cli.params import KNOWN_ENV_VARS

    output = (
        "CACHE_SELECTED_ONLY", "CLEAN_PROJECT_FILES_ONLY", "DEBUG", "HOST", "INTROSPECT", "LOG_CACHE_EVENTS",
        "LOG_FILE_MAX_BYTES", "LOG_FORMAT", "LOG_FORMAT_FILE", "LOG_LEVEL", "LOG_LEVEL_FILE", "LOG_PATH",
        "MACRO_DEBUGGING", "NO_PRINT", "PARTIAL_PARSE", "PARTIAL_PARSE_FILE_DIFF", "POPULATE_CACHE", "PRINT",
        "PRINTER_WIDTH", "QUIET", "SEND_ANONYMOUS_USAGE_STATS", "SHOW_RESOURCE_REPORT", "SINGLE_THREADED", "SQLPARSE",
        "STATIC_PARSER", "USE_COLORS", "USE_COLORS_FILE", "USE_EXPERIMENTAL_PARSER", "USE_FAST_TEST_EDGES",
        "VERSION_CHECK", "WRITE_JSON",
    )  # fmt: skip
    by_parameter = ("TARGET", "TARGET_PATH", "PROFILES_DIR", "PROJECT_DIR")
    known = {variable.name.removeprefix("DBT_ENGINE_") for variable in KNOWN_ENV_VARS}
    assert known == {*CHANGE_A_BUILD, *output, *by_parameter}
