"""The profile that dbt is handed, and what its processes alone are told."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from dbx_cd import ConfigError
from dbx_cd.dbt.connection import DbtConnection, by_variable, connected
from dbx_cd.dbt.project import LocalProject

SECRET = "hunter2hunter2"
NAMES = {"type": "databricks", "catalog": "stg", "schema": "shop", "threads": 3}
CLUSTER = DbtConnection(
    "cluster",
    keys={"host": "127.0.0.1:1", "http_path": "/sql/protocolv1/o/0/x", "token": by_variable("DBT_ENV_SECRET_T")},
    variables={"DBT_ENV_SECRET_T": SECRET, "NO_PROXY": "127.0.0.1"},
)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalProject:
    for name in ("DBT_PROFILES_DIR", "DBT_ENGINE_PROFILES_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "dbt_project.yml").write_text("name: shop\nprofile: \"{{ env_var('PROFILE', 'shop') }}\"\n")
    profile(folder, {"stg": NAMES})
    return LocalProject.at(folder, work=tmp_path / "work", profiles_dir=None)


def profile(folder: Path, outputs: dict[str, Any]) -> None:
    (folder / "profiles.yml").write_text(yaml.safe_dump({"shop": {"target": "stg", "outputs": outputs}}))


def output(project: LocalProject) -> dict[str, Any]:
    assert project.profiles_dir is not None
    found: dict[str, Any] = yaml.safe_load((project.profiles_dir / "profiles.yml").read_text())
    return dict(found["shop"]["outputs"]["stg"])


def test_without_a_connection_the_project_is_as_it_is(project: LocalProject) -> None:
    assert connected(project, None, target="stg") is project


def test_on_the_cluster_every_key_about_connecting_is_replaced(project: LocalProject) -> None:
    profile(project.dir, {"stg": {**NAMES, "host": "elsewhere", "client_id": "1", "auth_type": "oauth"}})
    made = connected(project, CLUSTER, target="stg")
    assert output(made) == {**NAMES, **CLUSTER.keys, "connection_parameters": {}}


def test_the_profile_that_is_written_lies_in_the_work_folder_and_holds_no_secret(project: LocalProject) -> None:
    made = connected(project, CLUSTER, target="stg")
    assert made.profiles_dir is not None
    assert made.profiles_dir.is_relative_to(project.work)
    assert made.profiles_dir != project.dir
    assert SECRET not in (made.profiles_dir / "profiles.yml").read_text()
    assert output(project) == NAMES


def test_the_profile_s_name_may_be_one_of_a_variable(project: LocalProject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROFILE", "other")
    with pytest.raises(ConfigError, match="no profile 'other' with outputs"):
        connected(project, CLUSTER, target="stg")


def test_a_profile_that_says_nothing_of_how_to_connect_is_refused_with_the_three_ways(project: LocalProject) -> None:
    with pytest.raises(ConfigError) as refused:
        connected(project, DbtConnection(), target="stg")
    said = str(refused.value)
    assert said.startswith("the output stg does not say how to connect: no host, no http_path, no login")
    assert all(way in said for way in ("warehouse_id", "compute: cluster", "http_path and a login in the profile"))


def test_a_profile_that_says_it_is_used_as_it_is(project: LocalProject) -> None:
    profile(project.dir, {"stg": {**NAMES, "host": "h", "http_path": "/sql", "token": "{{ env_var('T') }}"}})
    assert connected(project, DbtConnection(), target="stg").profiles_dir == project.dir


@pytest.mark.parametrize("connection", [CLUSTER, DbtConnection("warehouse", keys=CLUSTER.keys)])
def test_without_a_profile_it_is_said_what_one_has_to_say(project: LocalProject, connection: DbtConnection) -> None:
    (project.dir / "profiles.yml").unlink()
    bare = LocalProject.at(project.dir, work=project.work, profiles_dir=None)
    with pytest.raises(ConfigError, match=r"no profiles\.yml that says catalog and schema .*shop: \{target: stg"):
        connected(bare, connection, target="stg")


def test_what_dbt_is_told_is_not_in_this_process_nor_in_words(project: LocalProject) -> None:
    connected(project, CLUSTER, target="stg")
    assert "DBT_ENV_SECRET_T" not in os.environ
    assert SECRET not in repr(CLUSTER)
    assert CLUSTER.hidden.text(f"x {SECRET} y 127.0.0.1") == "x ***** y 127.0.0.1"


def test_the_id_of_a_service_principal_is_no_secret() -> None:
    own = DbtConnection(variables={"DBT_ENV_SECRET_CLIENT_ID": "11111111-2222", "DBT_ENV_SECRET_CLIENT_SECRET": SECRET})
    assert own.hidden.text(f"11111111-2222 {SECRET}") == "11111111-2222 *****"


def test_a_secret_in_the_manifest_is_refused_and_not_kept(project: LocalProject) -> None:
    made = connected(project, CLUSTER, target="stg")
    made.clear_artifacts()
    made.target_path.mkdir(parents=True)
    (made.target_path / "manifest.json").write_text(f'{{"schema": "{SECRET}"}}')
    with pytest.raises(ConfigError, match=r"is in its manifest.*for logging in alone"):
        made.collect_artifacts()
    assert (made.files / "manifest.json").read_text() == '{"schema": "*****"}'


def test_secrets_are_masked_in_what_is_collected_however_dbt_connects(project: LocalProject) -> None:
    profile(project.dir, {"stg": {**NAMES, "host": "h", "http_path": "/sql", "token": "{{ env_var('T') }}"}})
    made = connected(project, DbtConnection(variables={"DBT_ENV_SECRET_T": SECRET}), target="stg")
    made.clear_artifacts()
    made.target_path.mkdir(parents=True)
    (made.target_path / "run_results.json").write_text(f'{{"message": "refused {SECRET}"}}')
    (made.work / "logs").mkdir()
    (made.work / "logs" / "dbt.log").write_text(SECRET)
    made.collect_artifacts()
    assert (made.files / "run_results.json").read_text() == '{"message": "refused *****"}'
    assert (made.files / "dbt.log").read_text() == "*****"
