"""Several lists of one project, made by dbt itself in one process with one parse."""

from __future__ import annotations

import itertools
import json
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from dbt_projects import manifest, shop

from dbx_cd import DbtFailed, run_dbt
from dbx_cd.config import WARM_DBT
from dbx_cd.dbt.carried_parse import cache_folder
from dbx_cd.dbt.listing import Listed, ListQuery, list_nodes
from dbx_cd.dbt.selection import Selection
from dbx_cd.warm.parent import WarmParent

ALL = ListQuery(Selection())
NONE = ListQuery(Selection(select="no_such_model"))
ORDERS = ListQuery(Selection(select="orders", exclude="resource_type:test"))
WAYS = ("cold", "warm")
UNCHANGED = "Partial parsing enabled: 0 files deleted, 0 files added, 0 files changed"

Ways = Callable[[str], None]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No parse is there yet."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))


@pytest.fixture
def way(warm_parent: WarmParent, monkeypatch: pytest.MonkeyPatch) -> Ways:
    """Says how dbt is started from then on."""

    def way(name: str) -> None:
        if name == "warm":
            monkeypatch.setenv(WARM_DBT, str(warm_parent.address))
        else:
            monkeypatch.delenv(WARM_DBT, raising=False)

    return way


def events(work: Path, name: str) -> list[dict[str, object]]:
    """The events of a name in dbt's log."""
    lines = (work / "logs" / "dbt.log").read_text().splitlines()
    infos = [json.loads(line)["info"] for line in lines]
    return [info for info in infos if info["name"] == name]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return shop(tmp_path / "shop")


STRICT = {"cold": {"warn_error_options": {"error": "all"}}, "warm": {"warn_error": True}}


@pytest.mark.parametrize("name", WAYS)
def test_lists_are_those_of_a_list_each_and_dbt_parses_once(
    project: Path, tmp_path: Path, way: Ways, name: str
) -> None:
    way(name)
    settings = yaml.safe_load((project / "dbt_project.yml").read_text())
    # Nothing that a list finds, or does not find, is an error of it.
    (project / "dbt_project.yml").write_text(yaml.safe_dump({**settings, "flags": STRICT[name]}))
    # A macro may print whatever it likes while dbt parses.
    printed = json.dumps({"info": {"name": "DbxCdListed"}, "data": {"query": "none", "listed": ["model.shop.x"]}})
    (project / "macros" / "region.sql").write_text(
        "{% macro region() %}{% do print('" + printed + "') %}{{ return('north') }}{% endmacro %}\n"
    )
    work = tmp_path / "work"
    listed = list_nodes(
        {"all": ALL, "none": NONE, "orders": ORDERS}, target="prod", project_dir=project, work_dir=work, check=True
    )
    assert (listed.run.ok, listed.run.command, listed.refused) == (True, "ls", {})
    assert listed.nodes["none"] == ()
    assert listed.nodes["orders"] == ("model.shop.orders",)
    began = events(work, "MainReportVersion")
    assert len(began) == 4
    assert len({info["pid"] for info in began}) == 1
    assert len(events(work, "UnableToPartialParse")) == 1
    # What is left is what `dbt ls` leaves, and a later invocation in the same folder uses the parse.
    one = run_dbt("ls", target="prod", project_dir=project, work_dir=work)
    assert UNCHANGED in (one.files_dir / "dbt.log").read_text()
    assert one.listed == listed.nodes["all"]


def test_parse_of_lists_is_carried_to_another_folder(project: Path, tmp_path: Path, way: Ways) -> None:
    way("warm")
    listed = list_nodes({"all": ALL}, target="prod", project_dir=project, work_dir=tmp_path / "a", vars={"day": "x"})
    kept = cache_folder()
    assert kept is not None
    assert len(list(kept.iterdir())) == 1
    done = run_dbt("ls", target="prod", project_dir=project, work_dir=tmp_path / "b", vars={"day": "x"})
    assert UNCHANGED in (done.files_dir / "dbt.log").read_text()
    assert (done.listed, len(list(kept.iterdir()))) == (listed.nodes["all"], 1)
    written = [
        manifest(run.files_dir / "manifest.json", project=tmp_path / folder / "project")
        for run, folder in ((listed.run, "a"), (done, "b"))
    ]
    assert written[0] == written[1]
    assert written[0]["nodes"]["model.shop.probe"]["config"]["meta"]["var"] == "x"


@pytest.mark.parametrize("name", [pytest.param("cold", marks=pytest.mark.deep), "warm"])
def test_project_that_cannot_be_parsed_fails_as_any_invocation_of_it(
    project: Path, tmp_path: Path, way: Ways, name: str
) -> None:
    way(name)
    (project / "models" / "broken.sql").write_text("{{ nothing_such() }} select {{ ref('no_such_model') }}")
    asked = {"all": ALL, "none": NONE}
    listed = list_nodes(asked, target="prod", project_dir=project, work_dir=tmp_path / "a")
    alone = run_dbt("ls", target="prod", project_dir=project, work_dir=tmp_path / "b", check=False)
    assert (listed.run.ok, listed.nodes, listed.run.errors) == (False, {}, alone.errors)
    assert listed.run.errors
    outcomes = [json.loads((run.files_dir / "dbt_outcome.json").read_text()) for run in (listed.run, alone)]
    assert outcomes[0]["exit_code"] == outcomes[1]["exit_code"] == 2
    with pytest.raises(DbtFailed, match=r"no_such_model|nothing_such"):
        list_nodes(asked, target="prod", project_dir=project, work_dir=tmp_path / "a", check=True)


def breaking(folder: Path, *, columns: str) -> Path:
    """A project with a contracted model in a version."""
    (folder / "models").mkdir(parents=True, exist_ok=True)
    (folder / "dbt_project.yml").write_text("name: firm\nversion: '1.0'\nprofile: firm\n")
    outputs = {
        "prod": {"type": "databricks", "catalog": "c", "schema": "s", "host": "h", "http_path": "/", "token": "t"}
    }
    (folder / "profiles.yml").write_text(yaml.safe_dump({"firm": {"target": "prod", "outputs": outputs}}))
    (folder / "models" / "paid_v1.sql").write_text("{{ config(materialized='table') }} select 1 as id")
    listed = [{"name": name, "data_type": "int"} for name in columns.split()]
    model = {"name": "paid", "config": {"contract": {"enforced": True}}, "columns": listed, "versions": [{"v": 1}]}
    (folder / "models" / "paid.yml").write_text(yaml.safe_dump({"models": [model]}))
    return folder


def test_list_that_dbt_refuses_does_not_end_the_others_where_it_may_fail(tmp_path: Path, way: Ways) -> None:
    """`state:modified` where a contract of a versioned model breaks (dbt-core 1.11, `same_contract`)."""
    way("warm")

    works = itertools.count()

    def lists(project: Path, **queries: ListQuery) -> Listed:
        work = tmp_path / f"work{next(works)}"
        return list_nodes(queries, target="prod", project_dir=project, work_dir=work)

    before = lists(breaking(tmp_path / "before", columns="id more"), all=ALL).run
    state = before.files_dir.rename(tmp_path / "state")
    after = breaking(tmp_path / "after", columns="id")
    modified = Selection(select="state:modified")
    found = lists(after, modified=ListQuery(modified, state, may_fail=True), all=ALL)
    assert (found.run.ok, found.nodes) == (True, {"all": ("model.firm.paid.v1",)})
    assert "breaking change" in found.refused["modified"]
    assert "more" in found.refused["modified"]
    found = lists(after, all=ALL, modified=ListQuery(modified, state))
    assert (found.run.ok, list(found.nodes)) == (False, ["all"])
    assert any("breaking change" in error for error in found.run.errors)


@pytest.mark.parametrize("name", WAYS)
def test_interrupt_of_the_caller_ends_the_lists(project: Path, tmp_path: Path, way: Ways, name: str) -> None:
    way(name)
    (project / "models" / "endless.sql").write_text("{% for n in range(1000000000) %}{% endfor %}select 1 as id")
    log = tmp_path / "work" / "logs" / "dbt.log"

    def interrupt() -> None:
        while not (log.is_file() and "Running with dbt" in log.read_text()):
            time.sleep(0.05)
        time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        list_nodes({"all": ALL, "none": NONE}, target="stg", project_dir=project, work_dir=tmp_path / "work")
    assert time.monotonic() - started < 60
    running = [p for p in Path("/proc").glob("[0-9]*/cwd") if _leads_to(p, tmp_path / "work" / "project")]
    assert running == []


def _leads_to(link: Path, folder: Path) -> bool:
    try:
        return link.readlink() == folder
    except OSError:
        return False
