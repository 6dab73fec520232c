"""By which of three ways dbt connects, and as whom."""

from __future__ import annotations

import base64
import json
import logging
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dbx_cd import CdConfig, ConfigError
from dbx_cd.dbt.connection import DbtConnection
from dbx_cd.deploy.connection import connected
from dbx_cd.embedded_warehouse import VARIABLE, told_to_tasks
from dbx_cd.plan.connection import connection_to_list, connection_to_send, way_of
from dbx_cd.plan.warehouse_login import warehouse_login
from dbx_cd.secret_names import SecretName

TOKEN = "DBT_ENV_SECRET_DBX_CD_TOKEN"
ENV = "{{{{ env_var('{}') }}}}"


class Config:
    """The SDK's configuration, logged in by one of its ways."""

    host = "https://adb-1.azuredatabricks.net/"
    oidc_token_filepath = None

    def __init__(
        self, auth_type: str = "pat", *, header: dict[str, str] | Exception | None = None, **keys: str
    ) -> None:
        self.auth_type = auth_type
        self._header = {"Authorization": "Bearer tok-en"} if header is None else header
        self.__dict__.update(keys)

    def authenticate(self) -> dict[str, str]:
        if isinstance(self._header, Exception):
            raise self._header
        return self._header


def context(config: Config | None = None, **settings: Any) -> Any:
    made = replace(CdConfig(), **settings)
    values = {"a": "value-of-a", "id": "client-id", "secret": "client-secret"}
    return SimpleNamespace(
        config=made, dbt=None, secrets=lambda scope, key: values[key],
        workspace=SimpleNamespace(config=config or Config()), spark=object(),
    )  # fmt: skip


def own(**names: str) -> dict[str, SecretName]:
    return {f"DBT_ENV_SECRET_{name}": SecretName("dbt", key) for name, key in names.items()}


def test_the_job_s_warehouse_goes_before_the_profile_and_the_cluster_before_both() -> None:
    assert way_of(CdConfig()) == "profile"
    assert way_of(replace(CdConfig(), warehouse_id="w")) == "warehouse"
    assert way_of(replace(CdConfig(), compute="cluster")) == "cluster"


def test_by_the_profile_dbt_is_told_its_secrets_and_nothing_else() -> None:
    sent = connection_to_send(context(secrets=own(A="a")))
    assert sent == DbtConnection(variables={"DBT_ENV_SECRET_A": "value-of-a"})
    assert connection_to_list(context(secrets=own(A="a"))) == sent


def test_a_warehouse_is_that_of_the_job_s_workspace() -> None:
    sent = connection_to_send(context(warehouse_id="w1", secrets=own(A="a")))
    assert sent is not None
    assert sent.kind == "warehouse"
    assert sent.keys == {"host": "adb-1.azuredatabricks.net", "http_path": "/sql/1.0/warehouses/w1"}
    assert sent.login == {"token": ENV.format(TOKEN)}
    assert sent.variables == {"DBT_ENV_SECRET_A": "value-of-a", TOKEN: "tok-en", "DATABRICKS_AUTH_TYPE": "pat"}


def test_what_only_lists_logs_nobody_in() -> None:
    failing = Config(header=ValueError("no login"))
    listing = connection_to_list(context(failing, warehouse_id="w1"))
    assert listing is not None
    assert listing.keys["http_path"] == "/sql/1.0/warehouses/w1"
    assert set(listing.variables) == {TOKEN}
    on_cluster = connection_to_list(context(failing, compute="cluster"))
    assert on_cluster is not None
    assert on_cluster.keys["http_path"] == "/sql/protocolv1/o/0/dbx-cd"


def test_something_else_than_a_process_is_told_nothing() -> None:
    cd = context(warehouse_id="w1", secrets=own(A="a"))
    cd.dbt = print
    assert connection_to_send(cd) is None
    assert connection_to_list(cd) is None
    with connected(cd) as connection:
        assert connection is None


def test_in_the_embedded_workspace_every_id_means_its_one_warehouse(monkeypatch: pytest.MonkeyPatch) -> None:
    told = told_to_tasks({"host": "127.0.0.1:1", "http_path": "/sql/1.0/warehouses/local"})
    monkeypatch.setenv(VARIABLE, told[VARIABLE])
    sent = connection_to_send(context(warehouse_id="w1", secrets=own(CLIENT_ID="id", CLIENT_SECRET="secret")))
    assert sent is not None
    assert (sent.keys["host"], sent.variables[TOKEN]) == ("127.0.0.1:1", "tok-en")


SERVICE_PRINCIPAL = {"client_id": "1", "client_secret": "s3cret"}


@pytest.mark.parametrize(
    ("config", "keys"),
    [
        (Config("oauth-m2m", client_id="1", client_secret="s3cret"), {"auth_type": "oauth", "client_id": "1"}),
        (
            Config("azure-client-secret", azure_client_id="2", azure_client_secret="s3cret"),
            {"auth_type": "oauth", "azure_client_id": "2"},
        ),
    ],
)
def test_a_client_secret_of_the_job_is_handed_on_so_that_dbt_renews_its_tokens(
    config: Config, keys: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    login = warehouse_login(SimpleNamespace(config=config), {})  # type: ignore[arg-type]
    (secret,) = set(login.keys) - set(keys)
    assert {**keys, secret: ENV.format("DBT_ENV_SECRET_DBX_CD_CLIENT_SECRET")} == login.keys
    assert secret in ("client_secret", "azure_client_secret")
    assert login.variables == {"DBT_ENV_SECRET_DBX_CD_CLIENT_SECRET": "s3cret"}
    assert "s3cret" not in repr(login)
    assert caplog.text == ""


def test_a_workload_s_identity_is_handed_on() -> None:
    config = Config("file-oidc", client_id="1", oidc_token_filepath="/var/token")
    login = warehouse_login(SimpleNamespace(config=config), {})  # type: ignore[arg-type]
    assert login.keys == {"auth_type": "file-oidc", "client_id": "1", "oidc_token_filepath": "/var/token"}
    assert login.variables == {}


def test_a_service_principal_among_the_secrets_goes_before_the_job_s_own_login() -> None:
    told = {"DBT_ENV_SECRET_CLIENT_ID": "1", "DBT_ENV_SECRET_CLIENT_SECRET": "2"}
    login = warehouse_login(SimpleNamespace(config=Config("runtime")), told)  # type: ignore[arg-type]
    assert login.keys == {
        "auth_type": "oauth",
        "client_id": ENV.format("DBT_ENV_SECRET_CLIENT_ID"),
        "client_secret": ENV.format("DBT_ENV_SECRET_CLIENT_SECRET"),
    }


@pytest.mark.parametrize("there", ["CLIENT_ID", "CLIENT_SECRET"])
def test_half_a_service_principal_is_refused(there: str) -> None:
    with pytest.raises(ConfigError, match=f"`secrets` names DBT_ENV_SECRET_{there} and not DBT_ENV_SECRET_CLIENT_"):
        warehouse_login(SimpleNamespace(config=Config()), {f"DBT_ENV_SECRET_{there}": "x"})  # type: ignore[arg-type]


def jwt(**claims: Any) -> str:
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"head.{body}.signature"


@pytest.mark.parametrize(
    ("token", "said"),
    [
        (jwt(exp=1_700_000_000), "ends at 22:13:20 UTC"),
        (jwt(sub="x"), "lives about an hour"),
        ("dapi0123", "lives about an hour"),
    ],
)
def test_the_token_of_a_notebook_is_warned_of(token: str, said: str, caplog: pytest.LogCaptureFixture) -> None:
    config = Config("runtime", header={"Authorization": f"Bearer {token}"})
    with caplog.at_level(logging.WARNING):
        login = warehouse_login(SimpleNamespace(config=config), {})  # type: ignore[arg-type]
    assert login.variables[TOKEN] == token
    assert f"not renewed and {said}" in caplog.text
    assert token not in caplog.text


def test_a_personal_token_is_not_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    warehouse_login(SimpleNamespace(config=Config("pat")), {})  # type: ignore[arg-type]
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("header", "why"),
    [(ValueError("no credentials"), "there is no token .*no credentials"), ({"Authorization": "Basic x"}, "no token")],
)
def test_a_login_without_a_token_is_refused_with_what_to_do(header: Any, why: str) -> None:
    config = Config("basic", header=header)
    with pytest.raises(ConfigError, match=f"{why}.*DBT_ENV_SECRET_CLIENT_ID"):
        warehouse_login(SimpleNamespace(config=config), {})  # type: ignore[arg-type]


def test_a_session_of_spark_connect_is_refused_before_anything_is_built() -> None:
    from dbx_cd.errors import SetupError

    cd = context(compute="cluster")
    cd.spark = type("SparkSession", (), {"__module__": "pyspark.sql.connect.session"})()
    with pytest.raises(SetupError, match=r"needs a classic Spark session.*dedicated access mode"), connected(cd):
        pytest.fail("nothing may be built")


def test_the_setting_is_one_of_two(tmp_path: Path) -> None:
    (tmp_path / "dbx_cd.yml").write_text("compute: serverless")
    with pytest.raises(ConfigError, match="`compute` must be one of warehouse, cluster, not 'serverless'"):
        CdConfig.load(tmp_path)
    (tmp_path / "dbx_cd.yml").write_text("warehouse_id: abc")
    with pytest.raises(ConfigError, match="unknown key `warehouse_id`"):
        CdConfig.load(tmp_path)
