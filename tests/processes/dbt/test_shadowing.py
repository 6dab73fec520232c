"""A file of a dbt project that has the name of a package never takes the package's place in what is started here."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import dbx_cd
from dbx_cd import run_dbt
from dbx_cd.config import WARM_DBT
from dbx_cd.warm.parent import WarmParent

SOURCES = str(Path(dbx_cd.__file__).parents[1])
NAMES = ("yaml", "json", "logging", "agate", "ast", "argparse", "jinja2", "click", "lazy_loader")
TAKES_PLACE = "raise SystemExit('a file of the project was imported')\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with files named like modules of Python, of dbt and of what dbt needs, as the current directory."""
    folder = tmp_path / "project"
    (folder / "models").mkdir(parents=True)
    (folder / "dbt").mkdir()
    (folder / "dbt" / "__init__.py").write_text(TAKES_PLACE)
    (folder / "dbt_plugin.py").write_text(TAKES_PLACE)  # dbt imports every module whose name begins with dbt_
    for name in NAMES:
        (folder / f"{name}.py").write_text(TAKES_PLACE)
    (folder / "dbt_project.yml").write_text("name: shop\nversion: '1.0'\nprofile: shop\n")
    (folder / "models" / "orders.sql").write_text("select 1 as id\n")
    output = "{type: databricks, host: example.org, http_path: /sql, token: none, catalog: stg, schema: shop}"
    (folder / "profiles.yml").write_text(f"shop: {{target: stg, outputs: {{stg: {output}}}}}\n")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PYTHONPATH", f":.:{SOURCES}:")
    monkeypatch.delenv(WARM_DBT, raising=False)
    return folder


@pytest.fixture(params=["cold", "warm"])
def warm_parent(request: pytest.FixtureRequest, project: Path) -> Iterator[Path | None]:
    """None, or a warm parent that was started in the project's folder."""
    if request.param == "cold":
        yield None
    else:
        with WarmParent("dbx_cd.dbt.warm") as parent:
            yield parent.address


def test_dbt_parses_a_project_with_such_files(warm_parent: Path | None, project: Path, tmp_path: Path) -> None:
    assert run_dbt("parse", target="stg", project_dir=project, work_dir=tmp_path / "work", warm_parent=warm_parent).ok


@pytest.mark.parametrize("module", ["dbx_cd", "dbx_cd.local"])
def test_command_is_run_in_a_project_with_such_files(module: str, project: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": SOURCES}
    command = [sys.executable, "-m", module, "--help"]
    answer = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
    assert answer.stdout.startswith(f"usage: python -m {module}")
    assert answer.returncode == 0


def test_modules_of_the_current_directory_can_still_be_imported(project: Path) -> None:
    (project / "of_the_project.py").write_text("")
    code = "import sys; sys.argv = ['-m']; import dbx_cd, of_the_project"
    environment = {**os.environ, "PYTHONPATH": SOURCES, "PYTHONSAFEPATH": ""}
    subprocess.run([sys.executable, "-c", code], cwd=project, env=environment, check=True)
