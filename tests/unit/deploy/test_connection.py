"""What the job's own cluster cannot build, and whom dbt's endpoint there serves."""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests
from fake_spark import FakeSpark

from dbx_cd import Cd, ConfigError, build_release
from dbx_cd.dbt.artifacts import Manifest
from dbx_cd.dbt.connection import DbtConnection
from dbx_cd.deploy.connection import connected, refuse_on_cluster
from dbx_cd.release.events import Deploying
from memory.releases import Releases


def manifest(*models: dict[str, Any]) -> Manifest:
    nodes = {
        f"model.shop.m{n}": {
            "unique_id": f"model.shop.m{n}", "name": f"m{n}", "resource_type": "model", "package_name": "shop", **model,
        }
        for n, model in enumerate(models)
    }  # fmt: skip
    return Manifest.from_json({"metadata": {}, "nodes": nodes})


PYTHON = {"language": "python", "config": {"materialized": "table"}}
STREAMING = {"language": "sql", "config": {"materialized": "streaming_table"}}
TABLE = {"language": "sql", "config": {"materialized": "table"}}


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    return Releases(tmp_path)


def test_python_models_and_what_only_a_warehouse_makes_are_named(releases: Releases) -> None:
    found, cd = manifest(PYTHON, STREAMING, TABLE), releases.cd()
    on_cluster = replace(cd, config=replace(cd.config, compute="cluster"))
    with pytest.raises(ConfigError, match=r"cannot build m0 \(Python\), m1 \(streaming_table\).*warehouse_id"):
        refuse_on_cluster(on_cluster, found, found.nodes)
    refuse_on_cluster(on_cluster, found, ["model.shop.m2"])
    refuse_on_cluster(cd, found, found.nodes)


def test_an_open_target_is_refused_before_dbt_has_built_anything(releases: Releases) -> None:
    releases.settings = "compute: cluster\n"
    releases.model("orders", "def model(dbt, session): ...")
    with pytest.raises(ConfigError, match=r"the job's own cluster cannot build orders \(Python\)"):
        releases.build(releases.open())
    assert {call[0] for call in releases.dbt.calls} == {"ls"}


def test_a_gated_target_is_refused_before_it_is_claimed(releases: Releases) -> None:
    releases.model("orders", "def model(dbt, session): ...")
    release = releases.approved()
    releases.settings = "compute: cluster\n"
    with pytest.raises(ConfigError, match=r"the job's own cluster cannot build orders \(Python\)"):
        build_release(releases.cd(), release, target="prod")
    assert releases.cd().log.last(release, Deploying) is None


@pytest.mark.parametrize("compute", ["warehouse", "cluster"])
def test_the_claim_says_where_production_is_built(releases: Releases, compute: str) -> None:
    releases.settings = f"compute: {compute}\n"
    release = releases.approved()
    build_release(releases.cd(), release, target="prod")
    claim = releases.cd().log.last(release, Deploying)
    assert claim is not None
    assert claim.compute == compute


@pytest.fixture
def on_cluster(releases: Releases) -> Cd:
    releases.settings = "compute: cluster\nsecrets: {DBT_ENV_SECRET_MARK: own/mark}\n"
    session: Any = FakeSpark()
    return replace(releases.cd(), dbt=None, spark=session, secrets=lambda scope, key: f"{scope} {key} hidden")


def post(connection: DbtConnection, token: str) -> int:
    address = f"{connection.keys['connection_parameters']['_connection_uri']}"
    return requests.post(address, data=b"x", headers={"Authorization": f"Bearer {token}"}, timeout=5).status_code


def test_the_endpoint_serves_the_token_that_dbt_alone_is_told_and_ends_with_the_build(on_cluster: Cd) -> None:
    before = dict(os.environ)
    with connected(on_cluster) as connection, connected(on_cluster) as another:
        assert connection is not None
        assert another is not None
        assert connection.kind == "cluster"
        assert connection.keys["http_path"] == "/sql/protocolv1/o/0/dbx-cd"
        assert connection.keys["token"] == "{{ env_var('DBT_ENV_SECRET_DBX_CD_TOKEN') }}"
        token = connection.variables["DBT_ENV_SECRET_DBX_CD_TOKEN"]
        assert connection.variables["DBT_ENV_SECRET_MARK"] == "own mark hidden"
        assert (post(connection, token), post(another, token)) == (400, 401)  # 400: let in, and not understood
        # What the adapter asks first, over TLS, of a host that only these variables let it trust.
        probe = f"https://{connection.keys['host']}/.well-known/databricks-config"
        assert requests.get(probe, verify=connection.variables["REQUESTS_CA_BUNDLE"], timeout=5).ok
        assert token not in f"{connection} {dict(connection.keys)}"
    with pytest.raises(requests.ConnectionError):
        post(connection, token)
    assert dict(os.environ) == before


def test_the_endpoint_ends_with_a_build_that_fails(on_cluster: Cd) -> None:
    with pytest.raises(KeyboardInterrupt), connected(on_cluster) as connection:
        raise KeyboardInterrupt
    assert connection is not None
    with pytest.raises(requests.ConnectionError):
        post(connection, "x")


def test_a_secret_that_cannot_be_read_leaves_no_endpoint(on_cluster: Cd) -> None:
    def refuse(scope: str, key: str) -> str:
        raise PermissionError(f"no {scope}/{key}")

    before = threading.active_count()
    with pytest.raises(ConfigError, match="the secret own/mark"), connected(replace(on_cluster, secrets=refuse)):
        pytest.fail("nothing may be built")
    assert threading.active_count() == before
