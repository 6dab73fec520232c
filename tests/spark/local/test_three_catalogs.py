"""The trade project, as a new user runs it: sources in three catalogs, names by macros, files for the sources."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from git_repositories import fill

from trade_project import SOURCES, trade

pytestmark = pytest.mark.deep


@dataclass
class Ran:
    """A finished command."""

    code: int
    output: str
    state: Path


def run(folder: Path, *arguments: str) -> Ran:
    command = [sys.executable, "-m", "dbx_cd.local", "run", "--project", str(folder / "repository"), *arguments]
    command += ["--state-dir", str(folder / "state"), "--approve-as", "anna@trade.example"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return Ran(done.returncode, done.stdout, folder / "state")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trade")
    trade(folder / "repository")
    fill(folder / "sources", SOURCES)
    return folder


@pytest.fixture(scope="module")
def ran(folder: Path) -> Ran:
    return run(folder, "--sources", str(folder / "sources"))


def artifacts(ran: Ran, target: str) -> Path:
    return ran.state / "Volumes" / "ops" / "dbt_meta" / "artifacts" / target


def test_it_goes_to_production_without_an_edit(ran: Ran) -> None:
    assert ran.code == 0, ran.output
    for task in ("stg_build", "stg_smoke", "approval_gate", "prod_build", "prod_smoke", "docs_refresh"):
        assert f"{task:<14} SUCCESS" in ran.output
    assert "source Landing.erp.orders has 3 rows from erp.orders.csv" in ran.output
    assert "source partners.people.customer_v2 has 2 rows from crm.customers.json" in ran.output


def test_whom_it_grants_something_is_known_by_name(ran: Ran) -> None:
    assert "users and groups of the project's grants, known here by name alone: trade-readers\n" in ran.output
    assert "PRINCIPAL_DOES_NOT_EXIST" not in ran.output


def test_documentation_has_the_columns_of_every_catalog(ran: Ran) -> None:
    newest = json.loads((artifacts(ran, "prod") / "docs.json").read_text())
    (catalog,) = (artifacts(ran, "prod") / "docs" / newest["timestamp"]).glob("catalog.json")
    found = json.loads(catalog.read_text())
    databases = {node["metadata"]["database"].lower() for kind in ("nodes", "sources") for node in found[kind].values()}
    assert {"marts_live", "landing", "partners", "clicks"} <= databases


def test_no_task_parses_what_the_start_has_parsed(ran: Ran) -> None:
    for target in ("stg", "prod"):
        assert "Unable to do partial parsing" not in (artifacts(ran, target) / "latest" / "dbt.log").read_text()


def test_a_second_release_finds_its_sources_again(ran: Ran, folder: Path) -> None:
    again = run(folder, "--sources", str(folder / "sources"))
    assert again.code == 0, again.output
    assert "sources: 5 as an earlier start has loaded them" in again.output


def test_a_catalog_that_nobody_names_is_given(ran: Ran, folder: Path) -> None:
    assert "--catalog" not in ran.output
    refused = run(folder, "--catalog", "a.b")
    assert refused.code == 1
    assert "'a.b' cannot be the name of a catalog" in refused.output
