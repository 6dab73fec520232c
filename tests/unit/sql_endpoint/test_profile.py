from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest
import yaml

from dbx_cd.errors import ConfigError
from dbx_cd.sql_endpoint import ProfileTarget, profile_targets, with_connection

CONNECTION = {
    "host": "127.0.0.1:9",
    "http_path": "/sql/1.0/warehouses/local",
    "token": "secret",
    "connection_parameters": {"_connection_uri": "http://127.0.0.1:9/sql/1.0/warehouses/local"},
}

PROFILES = """
config: {send_anonymous_usage_stats: false}
shop:
  target: stg
  outputs:
    stg: &stg
      type: databricks
      host: adb-1.azuredatabricks.net
      http_path: /sql/1.0/warehouses/abc
      auth_type: oauth
      client_id: "{{ env_var('CLIENT_ID') }}"
      client_secret: "{{ env_var('CLIENT_SECRET') }}"
      azure_client_id: az
      azure_client_secret: az
      catalog: "{{ env_var('STG_CATALOG', 'stg') }}"
      schema: sales
      threads: "{{ env_var('THREADS', '4') | as_number }}"
      connect_retries: 3
      connection_parameters: {_socket_timeout: 60, _retry_delay_max: 5, http_headers: {x: y}, use_sea: true}
      compute:
        big: {http_path: /sql/1.0/warehouses/big}
    prod:
      <<: *stg
      catalog: prod
      threads: 8
    dev: {type: duckdb, path: ":memory:", token: mine}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "profiles.yml").write_text(PROFILES)
    return folder


def written(project: Path, tmp_path: Path) -> dict[str, Any]:
    return dict(yaml.safe_load(with_connection(project, CONNECTION, out_dir=tmp_path / "out").read_text()))


def databricks_only(project: Path) -> Path:
    profiles = yaml.safe_load(PROFILES)
    del profiles["shop"]["outputs"]["dev"]
    (project / "profiles.yml").write_text(yaml.safe_dump(profiles))
    return project


def test_only_the_connection_is_replaced(project: Path, tmp_path: Path) -> None:
    outputs = written(project, tmp_path)["shop"]["outputs"]
    assert outputs["prod"] == {
        "type": "databricks",
        "catalog": "prod",
        "schema": "sales",
        "threads": 8,
        "connect_retries": 3,
        "compute": {"big": {"http_path": "/sql/1.0/warehouses/local"}},
        **CONNECTION,
        "connection_parameters": {
            "_socket_timeout": 60,
            "_retry_delay_max": 5,
            "_connection_uri": "http://127.0.0.1:9/sql/1.0/warehouses/local",
        },
    }


def test_jinja_of_kept_values_stays(project: Path, tmp_path: Path) -> None:
    stg = written(project, tmp_path)["shop"]["outputs"]["stg"]
    assert stg["catalog"] == "{{ env_var('STG_CATALOG', 'stg') }}"
    assert stg["threads"] == "{{ env_var('THREADS', '4') | as_number }}"


def test_no_credential_of_the_project_is_copied(project: Path, tmp_path: Path) -> None:
    path = with_connection(databricks_only(project), CONNECTION, out_dir=tmp_path / "out")
    assert "CLIENT_" not in path.read_text()
    assert "azure" not in path.read_text()


def test_other_adapters_and_keys_are_left_alone(project: Path, tmp_path: Path) -> None:
    profiles = written(project, tmp_path)
    assert profiles["shop"]["outputs"]["dev"] == {"type": "duckdb", "path": ":memory:", "token": "mine"}
    assert profiles["config"] == {"send_anonymous_usage_stats": False}
    assert profiles["shop"]["target"] == "stg"


def test_written_profile_is_readable_by_its_owner_only(project: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "profiles.yml").write_text("older")
    (out / "profiles.yml").chmod(0o644)
    path = with_connection(project, CONNECTION, out_dir=out)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_targets_with_defaults_of_env_var(project: Path) -> None:
    assert profile_targets(databricks_only(project), "shop", environ={}) == {
        "stg": ProfileTarget("stg", "sales", 4),
        "prod": ProfileTarget("prod", "sales", 8),
    }


def test_env_var_wins_over_its_default(project: Path) -> None:
    targets = profile_targets(databricks_only(project), "shop", environ={"STG_CATALOG": "dev_7", "THREADS": "2"})
    assert targets["stg"] == ProfileTarget("dev_7", "sales", 2)


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("{type: databricks, schema: s}", "no catalog"),
        ("{type: databricks, catalog: c}", "no schema"),
        ("{type: spark, catalog: c, schema: s}", "'spark', not 'databricks'"),
        ("{type: databricks, catalog: c, schema: s, threads: many}", "threads"),
        ("{type: databricks, schema: s, catalog: \"{{ env_var('NOT_SET') }}\"}", "'NOT_SET' is not set"),
        ('{type: databricks, schema: s, catalog: "{{ nonsense( }}"}', "cannot render"),
        ('{type: databricks, schema: s, catalog: "{{ unknown_name }}"}', "cannot render"),
        ('{type: databricks, schema: s, catalog: "{{ 1 / 0 }}"}', "cannot render"),
        ("just text", "must be a mapping"),
    ],
)
def test_unusable_output_is_named(tmp_path: Path, output: str, message: str) -> None:
    (tmp_path / "profiles.yml").write_text(f"shop: {{outputs: {{stg: {output}}}}}")
    with pytest.raises(ConfigError, match=message) as raised:
        profile_targets(tmp_path, "shop", environ={})
    assert "shop.outputs.stg" in str(raised.value)


def test_catalog_may_be_a_session_property(tmp_path: Path) -> None:
    (tmp_path / "profiles.yml").write_text(
        "shop: {outputs: {a: {type: databricks, schema: s, session_properties: {databricks.catalog: c}}}}"
    )
    assert profile_targets(tmp_path, "shop", environ={}) == {"a": ProfileTarget("c", "s", 1)}


def test_missing_profile_lists_those_there_are(project: Path) -> None:
    with pytest.raises(ConfigError, match=r"no profile 'shopp'.*shop"):
        profile_targets(project, "shopp")


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no profiles\.yml"):
        with_connection(tmp_path, CONNECTION, out_dir=tmp_path / "out")


@pytest.mark.parametrize(
    "text", ["a: [", "- a list", "", "a: !!python/object:os.system {}", "a: 2024-13-45", "a: " + "[" * 3000]
)
def test_malformed_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "profiles.yml").write_text(text)
    with pytest.raises(ConfigError, match=r"profiles\.yml"):
        profile_targets(tmp_path, "shop")


def test_profiles_without_databricks_are_refused(tmp_path: Path) -> None:
    (tmp_path / "profiles.yml").write_text("shop: {outputs: {dev: {type: duckdb}}}")
    with pytest.raises(ConfigError, match="no output of type databricks"):
        with_connection(tmp_path, CONNECTION, out_dir=tmp_path / "out")


MIXED = """
shop:
  target: "{{ env_var('NOBODY_SETS_THIS') }}"
  outputs:
    qa:
      type: "{{ env_var('ADAPTER', 'databricks') }}"
      catalog: "{{ var('catalog', 'qa') }}"
      schema: shop
      token: "{{ t }}"
    production:
      type: databricks
      catalog: "{% if env_var('REGION', 'eu') == 'eu' %}eu{% else %}us{% endif %}"
      schema: shop
      connection_parameters: "{{ env_var('NOBODY_SETS_THIS_EITHER') }}"
    dev: {type: postgres, host: "{{ env_var('PGHOST') }}", schema: "{{ nonsense( }}"}
    sandbox: {type: databricks, catalog: "{{ env_var('SANDBOX') }}", connection_parameters: "{{ env_var('NO') }}"}
    broken: just text
other: {outputs: {stg: {type: snowflake, password: in clear}}}
"""
USED = ("qa", "production")


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    (tmp_path / "profiles.yml").write_text(MIXED)
    return tmp_path


def test_nothing_of_an_output_that_is_not_used_is_looked_at(mixed: Path) -> None:
    assert profile_targets(mixed, "shop", targets=USED, environ={}) == {
        "qa": ProfileTarget("qa", "shop", 1),
        "production": ProfileTarget("eu", "shop", 1),
    }


def test_outputs_that_are_used_are_connected_whatever_the_others_are(mixed: Path, tmp_path: Path) -> None:
    path = with_connection(mixed, CONNECTION, out_dir=tmp_path / "out", profile_name="shop", targets=USED, environ={})
    outputs = yaml.safe_load(path.read_text())["shop"]["outputs"]
    given = yaml.safe_load(MIXED)["shop"]["outputs"]
    for name in USED:
        assert {key: outputs[name][key] for key in CONNECTION} == CONNECTION
        assert outputs[name]["catalog"] == given[name]["catalog"]
        assert outputs[name]["type"] == "databricks"
    assert {name: outputs[name] for name in ("dev", "broken")} == {name: given[name] for name in ("dev", "broken")}


def test_other_profiles_of_a_user_are_not_written(mixed: Path, tmp_path: Path) -> None:
    path = with_connection(mixed, CONNECTION, out_dir=tmp_path / "out", profile_name="shop", targets=USED, environ={})
    assert "in clear" not in path.read_text()


def test_an_output_that_is_used_and_is_for_another_database_is_named(mixed: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"'snowflake', not 'databricks'.*other\.outputs\.stg"):
        with_connection(mixed, CONNECTION, out_dir=tmp_path / "out", profile_name="other", targets=["stg"])


def test_a_target_that_the_profile_does_not_have_is_named_beside_those_it_has(mixed: Path, tmp_path: Path) -> None:
    message = "profile 'shop' has no output 'stg', but qa, production, dev, sandbox, broken.*dbx_cd.yml"
    with pytest.raises(ConfigError, match=message):
        profile_targets(mixed, "shop", targets=["stg", "qa"], environ={})
    with pytest.raises(ConfigError, match=message):
        with_connection(mixed, CONNECTION, out_dir=tmp_path / "out", profile_name="shop", targets=["stg"])


def test_a_variable_of_the_command_line_without_a_default_is_named(tmp_path: Path) -> None:
    (tmp_path / "profiles.yml").write_text("shop: {outputs: {a: {type: databricks, catalog: \"{{ var('c') }}\"}}}")
    with pytest.raises(ConfigError, match=r"variable 'c' has no value here, where dbt knows only those of --vars"):
        profile_targets(tmp_path, "shop", environ={})
