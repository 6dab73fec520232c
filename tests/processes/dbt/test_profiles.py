"""dbt itself takes the `profiles.yml` that `profiles_folder` says, and renders its target's output alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dbx_cd import run_dbt
from dbx_cd.dbt.profiles import profiles_folder
from dbx_cd.sql_endpoint import profile_targets

PROFILES = """
shop:
  target: "{{{{ env_var('NOBODY_SETS_THIS') }}}}"
  outputs:
    qa:
      {{type: databricks, catalog: "{place}", schema: "{{{{ var('schema', 'shop') }}}}", host: x, http_path: /}}
    dev: {{type: postgres, host: "{{{{ env_var('PGHOST_OF_NOBODY') }}}}", schema: "{{{{ nonsense( }}}}"}}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project and four places that each have a `profiles.yml` with a catalog of the place's name."""
    for place in ("shop", "environment", "engine", "home/.dbt"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "profiles.yml").write_text(PROFILES.format(place=place.split("/")[0]))
    (tmp_path / "shop" / "models").mkdir()
    (tmp_path / "shop" / "models" / "orders.sql").write_text("select 1 as id")
    text = "name: shop\nversion: '1.0'\nprofile: \"{{ env_var('PROFILE_OF_NOBODY', 'shop') }}\"\n"
    (tmp_path / "shop" / "dbt_project.yml").write_text(text)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("DBT_PROFILES_DIR", "DBT_ENGINE_PROFILES_DIR"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "shop"


def database(files: Path) -> str:
    return str(json.loads((files / "manifest.json").read_bytes())["nodes"]["model.shop.orders"]["database"])


def by_dbt(project: Path, work: Path) -> str:
    """The catalog that dbt takes, started by hand in the project's folder."""
    arguments = ["parse", "--target", "qa", "--target-path", str(work), "--log-path", str(work)]
    code = "from dbt.cli.main import cli; cli()"
    subprocess.run([sys.executable, "-P", "-c", code, *arguments], cwd=project, check=True, env=os.environ)
    return database(work)


CASES = {
    "of the environment": ({"DBT_PROFILES_DIR": "environment"}, True),
    "of dbt's newer variable": ({"DBT_PROFILES_DIR": "environment", "DBT_ENGINE_PROFILES_DIR": "engine"}, True),
    "of the project": ({}, True),
    "of the user": ({}, False),
}


@pytest.mark.parametrize(
    "case", [pytest.param(c, marks=[pytest.mark.deep] if c != "of the user" else []) for c in CASES]
)
def test_run_dbt_reads_the_profiles_that_dbt_reads(
    case: str, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, warm_dbt: None
) -> None:
    variables, has_own = CASES[case]
    for name, place in variables.items():
        monkeypatch.setenv(name, str(tmp_path / place))
    if not has_own:
        (project / "profiles.yml").unlink()
    done = run_dbt("parse", target="qa", project_dir=project, work_dir=tmp_path / "work")
    assert database(done.files_dir) == by_dbt(project, tmp_path / "by_hand")


def test_an_output_for_another_database_with_unset_variables_is_in_nobody_s_way(
    project: Path, tmp_path: Path, warm_dbt: None
) -> None:
    done = run_dbt("parse", target="qa", project_dir=project, work_dir=tmp_path / "work")
    folder = profiles_folder(project, given=None)
    assert folder == project
    assert profile_targets(folder, "shop", targets=["qa"])["qa"].catalog == database(done.files_dir) == "shop"
