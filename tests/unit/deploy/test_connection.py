"""What the job's own cluster cannot build, and whom dbt's endpoint there serves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dbx_cd import ConfigError, build_release
from dbx_cd.dbt.artifacts import Manifest
from dbx_cd.deploy.connection import refuse_on_cluster
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
