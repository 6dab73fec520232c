"""`secrets` in `dbx_cd.yml`: names of secrets, and how they are read."""

from __future__ import annotations

from pathlib import Path

import pytest

from dbx_cd import CdConfig, ConfigError
from dbx_cd.secret_names import SecretName, read_secrets

NAMES = {"DBT_ENV_SECRET_TOKEN": SecretName("dbt", "token")}


def load(folder: Path, text: str) -> CdConfig:
    (folder / "dbx_cd.yml").write_text(text)
    return CdConfig.load(folder)


def test_secrets_are_named_by_the_variables_that_dbt_gets_them_in(tmp_path: Path) -> None:
    assert load(tmp_path, "secrets: {DBT_ENV_SECRET_TOKEN: dbt/token}").secrets == NAMES
    assert CdConfig.load(tmp_path.parent).secrets == {}


@pytest.mark.parametrize("variable", ["TOKEN", "DATABRICKS_TOKEN", "PATH", "DBT_ENV_SECRET_", "DBT_ENV_SECRET_a"])
def test_a_variable_that_dbt_would_show_is_refused(tmp_path: Path, variable: str) -> None:
    with pytest.raises(ConfigError, match=rf"`secrets.{variable}` is not a variable that dbt keeps secret"):
        load(tmp_path, f"secrets: {{{variable}: dbt/token}}")


@pytest.mark.parametrize("value", ["dapi0123456789", "a/b/c", "'/key'", "{scope: a}", "7", "''", "'a b/c'"])
def test_what_names_no_secret_is_refused_and_not_repeated(tmp_path: Path, value: str) -> None:
    with pytest.raises(ConfigError, match="does not name a secret as scope/key") as refused:
        load(tmp_path, f"secrets: {{DBT_ENV_SECRET_TOKEN: {value}}}")
    assert "0123456789" not in str(refused.value)


@pytest.mark.parametrize("text", ["[DBT_ENV_SECRET_TOKEN]", "dbt/token"])
def test_secrets_that_are_no_mapping_are_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match="`secrets` must be a mapping of variables to secrets"):
        load(tmp_path, f"secrets: {text}")


def test_secrets_are_read_by_scope_and_key() -> None:
    assert read_secrets(NAMES, lambda scope, key: f"{scope}-{key}", where="here") == {
        "DBT_ENV_SECRET_TOKEN": "dbt-token"
    }
    assert read_secrets({}, None, where="here") == {}


def test_a_secret_that_cannot_be_read_is_named_with_the_right_that_it_takes() -> None:
    def refuse(scope: str, key: str) -> str:
        raise RuntimeError("PERMISSION_DENIED: no\nstack")

    with pytest.raises(ConfigError) as refused:
        read_secrets(NAMES, refuse, where="dbx_cd.yml")
    said = str(refused.value)
    assert said.startswith(
        "the secret dbt/token, for DBT_ENV_SECRET_TOKEN, cannot be read: PERMISSION_DENIED: no (dbx_cd.yml)"
    )
    assert "READ on the scope: databricks secrets put-acl dbt <identity> READ" in said


def test_an_empty_secret_is_refused() -> None:
    with pytest.raises(ConfigError, match="the secret dbt/token, for DBT_ENV_SECRET_TOKEN, is empty"):
        read_secrets(NAMES, lambda scope, key: "", where="here")


def test_without_a_notebook_secrets_cannot_be_read() -> None:
    with pytest.raises(ConfigError, match=r"secrets that only a notebook can read .*dbutils\.secrets\.get"):
        read_secrets(NAMES, None, where="here")


def test_interrupting_a_task_that_reads_a_secret_interrupts_it() -> None:
    def interrupted(scope: str, key: str) -> str:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        read_secrets(NAMES, interrupted, where="here")
