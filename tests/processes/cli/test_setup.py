"""`setup` on a project as it is: names of its own, from dbt's parse, its settings and its bundle."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dbx_cd.cli.main import main

SOURCE = Path(__file__).parents[2] / "fixtures" / "granted_project"
BUNDLE = """
variables:
  run_as: {default: 1234-bot}
  wheel: {default: /Volumes/ops/dbt_meta/wheels/dbx_cd.whl}
  release_log: {default: ops.meta.log}
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("setup") / "project"
    shutil.copytree(SOURCE, folder)
    (folder / "databricks.yml").write_text(BUNDLE)
    (folder / "dbx_cd.yml").write_text("release_log: ops.dbt_meta.release_log\n")
    return folder


def test_the_list_has_the_project_s_own_names(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--make-schemas", "--make-log", "--sre", "on-call", "--ci", "deployer")
    assert main(["setup", "--project", str(project), *options]) == 0
    output = capsys.readouterr()
    for line in (
        "CREATE VOLUME IF NOT EXISTS `ops`.`dbt_meta`.`wheels`;",
        "CREATE SCHEMA IF NOT EXISTS `prod`.`granted_dbt_test__audit`;",
        "GRANT SELECT, MODIFY ON TABLE `ops`.`meta`.`log` TO `1234-bot`;",
        "GRANT READ VOLUME ON VOLUME `ops`.`dbt_meta`.`wheels` TO `1234-bot`;",
        "GRANT USE SCHEMA, CREATE TABLE, CREATE FUNCTION ON SCHEMA `stg`.`granted` TO `1234-bot`;",
        "GRANT USE SCHEMA, SELECT ON SCHEMA `raw`.`shop` TO `1234-bot`;",
        "GRANT USE SCHEMA, SELECT ON SCHEMA `lake`.`web` TO `1234-bot`;",
        "GRANT SELECT, MODIFY ON TABLE `ops`.`meta`.`log` TO `dbx_cd_approvers`;",
        "GRANT USE CATALOG, USE SCHEMA, SELECT, MODIFY ON CATALOG `prod` TO `on-call`;",
    ):
        assert line in output.out.splitlines()
    assert "CREATE TABLE IF NOT EXISTS `ops`.`meta`.`log` (event_id STRING NOT NULL" in output.out
    assert "CREATE SCHEMA ON CATALOG" not in output.out
    assert "deployer: the role Service Principal User on 1234-bot" in output.out
    assert "release_log is ops.meta.log, as in databricks.yml, not as in dbx_cd.yml" in output.err


@pytest.mark.parametrize("options", [("--warehouse", "w"), ("--target", "prod")])
def test_where_to_run_is_refused_where_nothing_is_run(
    project: Path, options: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["setup", "--project", str(project), *options]) == 1
    assert "give --run as well" in capsys.readouterr().err


def test_two_ways_to_log_in_are_refused(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["setup", "--project", str(project), "--run", "--warehouse", "w", "--target", "prod"]) == 1
    assert "give one of them" in capsys.readouterr().err


def test_without_a_job_identity_the_option_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(SOURCE, tmp_path / "project")
    assert main(["setup", "--project", str(tmp_path / "project")]) == 1
    assert "--job-identity" in capsys.readouterr().err


def test_a_folder_without_a_project_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["setup", "--project", str(tmp_path)]) == 1
    assert "no dbt_project.yml" in capsys.readouterr().err


def test_a_target_that_the_profile_lacks_is_said_before_dbt_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(SOURCE, tmp_path / "project")
    (tmp_path / "project" / "dbx_cd.yml").write_text("targets: {stg: {}, live: {gate: approval, defer_to: stg}}\n")
    assert main(["setup", "--project", str(tmp_path / "project"), "--job-identity", "bot"]) == 1
    assert "live" in capsys.readouterr().err
