"""A profile that says little of how to connect, completed by the warehouse that the job names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from dbx_cd.errors import ConfigError
from dbx_cd.profile_outputs import lacking, logs_in, with_warehouse

WAREHOUSE = {"host": "adb.example.net", "http_path": "/sql/1.0/warehouses/w1"}
LOGIN = {"token": "{{ env_var('DBT_ENV_SECRET_DBX_CD_TOKEN') }}"}
NAMES = {"type": "databricks", "catalog": "stg", "schema": "shop"}


def completed(folder: Path, output: dict[str, Any], **more: dict[str, Any]) -> dict[str, Any]:
    profiles = {"shop": {"target": "stg", "outputs": {"stg": output, **more}}, "other": {"outputs": {"x": {}}}}
    (folder / "profiles.yml").write_text(yaml.safe_dump(profiles))
    path = with_warehouse(folder, WAREHOUSE, login=LOGIN, out_dir=folder / "out", profile_name="shop", target="stg")
    assert path.stat().st_mode & 0o777 == 0o600
    written: dict[str, Any] = yaml.safe_load(path.read_text())
    assert set(written) == {"shop"}
    return dict(written["shop"]["outputs"]["stg"])


def test_names_alone_are_enough(tmp_path: Path) -> None:
    assert completed(tmp_path, NAMES) == {**NAMES, **WAREHOUSE, **LOGIN}


def test_a_profile_of_a_dbt_task_gets_the_login_of_the_job(tmp_path: Path) -> None:
    task = {
        **NAMES,
        "host": "{{ env_var('DBT_HOST') }}",
        "http_path": "/sql/1.0/warehouses/old",
        "token": "{{ env_var('DBT_ACCESS_TOKEN') }}",
    }
    assert completed(tmp_path, task) == {**NAMES, **WAREHOUSE, **LOGIN}


def test_a_person_s_login_by_a_browser_is_no_login_of_a_job(tmp_path: Path) -> None:
    assert completed(tmp_path, {**NAMES, "auth_type": "oauth"}) == {**NAMES, **WAREHOUSE, **LOGIN}


@pytest.mark.parametrize(
    "own",
    [
        {"token": "{{ env_var('DBT_ENV_SECRET_TOKEN') }}"},
        {"auth_type": "oauth", "client_id": "1", "client_secret": "{{ env_var('DBT_ENV_SECRET_X') }}"},
        {"auth_type": "oauth", "azure_client_id": "1", "azure_client_secret": "{{ env_var('DBT_ENV_SECRET_X') }}"},
        {"auth_type": "env-oidc", "client_id": "1"},
    ],
)
def test_a_login_that_the_profile_has_stays(tmp_path: Path, own: dict[str, str]) -> None:
    assert completed(tmp_path, {**NAMES, **own}) == {**NAMES, **own, **WAREHOUSE}


def test_what_is_not_about_the_connection_stays(tmp_path: Path) -> None:
    more = {"threads": 8, "connection_parameters": {"_socket_timeout": 9}, "compute": {"big": {"http_path": "/sql/b"}}}
    assert completed(tmp_path, {**NAMES, **more}) == {**NAMES, **more, **WAREHOUSE, **LOGIN}


def test_an_output_of_another_adapter_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="the output's type is 'duckdb', not 'databricks'"):
        completed(tmp_path, {"type": "duckdb"})


@pytest.mark.parametrize(
    ("output", "missing"),
    [
        (NAMES, ("host", "http_path", "login")),
        ({**NAMES, "host": "h", "http_path": "/sql", "token": "{{ env_var('X') }}"}, ()),
        ({**NAMES, "host": "h", "http_path": "/sql", "auth_type": "oauth"}, ()),
        ({**NAMES, "host": "h", "token": "t"}, ("http_path",)),
        ({"type": "duckdb"}, ()),
    ],
)
def test_what_an_output_does_not_say_is_named(tmp_path: Path, output: dict[str, str], missing: tuple[str, ...]) -> None:
    (tmp_path / "profiles.yml").write_text(yaml.safe_dump({"shop": {"outputs": {"stg": output}}}))
    assert lacking(tmp_path, "shop", "stg") == missing


def test_what_is_wrong_in_another_way_is_left_to_dbt(tmp_path: Path) -> None:
    assert lacking(tmp_path, "shop", "stg") == ()
    (tmp_path / "profiles.yml").write_text("a: [")
    assert lacking(tmp_path, "shop", "stg") == ()


def test_an_output_without_keys_logs_nobody_in() -> None:
    assert not logs_in({})
