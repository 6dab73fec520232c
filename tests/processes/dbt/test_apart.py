"""Where dbt itself says it would write, in a project with a wrong macro: staging's build is refused for every kind."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from dbx_cd import ConfigError, DbtRun, run_dbt
from dbx_cd.dbt.artifacts import Manifest
from dbx_cd.plan.apart import require_apart
from memory.releases import Releases

FILES = {
    "models/orders.sql": "{{ config(materialized='table', post_hook='grant select on table prod.shop.orders to x') }}\n"
    "select 1 as id",
    "models/only_a_cte.sql": "{{ config(materialized='ephemeral') }} select 1 as id",
    "models/orders.yml": yaml.safe_dump({
        "models": [{"name": "orders", "columns": [{"name": "id", "data_tests": [{"not_null": {"config": {
            "store_failures": True}}}, "unique"]}]}]
    }),
    "seeds/countries.csv": "code\nAT\n",
    "snapshots/history.yml": yaml.safe_dump({
        "snapshots": [{"name": "history", "relation": "ref('orders')", "config": {
            "unique_key": "id", "strategy": "check", "check_cols": "all"}}]
    }),
    "macros/names.sql": "{% macro generate_database_name(name, node) %}prod{% endmacro %}",
}  # fmt: skip


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    settings = {"name": "shop", "version": "1.0", "profile": "shop", "on-run-end": ["drop table prod.shop.orders"]}
    written = {"host": "127.0.0.1", "http_path": "/", "token": "none", "schema": "shop", "type": "databricks"}
    outputs = {target: {**written, "catalog": target} for target in ("stg", "prod")}
    profiles = {"shop": {"target": "stg", "outputs": outputs}}
    files = {**FILES, "dbt_project.yml": yaml.safe_dump(settings), "profiles.yml": yaml.safe_dump(profiles)}
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def problems(releases: Releases, project: Path, work: Path, *, cmd: str = "build") -> str:
    """What is wrong with a staging build, by what dbt lists."""

    def listed(target: str) -> DbtRun:
        return run_dbt("ls", target=target, project_dir=project, work_dir=work / target)

    staging = listed("stg")
    with pytest.raises(ConfigError) as why:
        require_apart(
            releases.cd(), target="stg", cmd=cmd, manifest=Manifest.load(staging.files_dir / "manifest.json"),
            selected=staging.listed, names_in=lambda gate: Manifest.load(listed(gate).files_dir / "manifest.json"),
        )  # fmt: skip
    return str(why.value)


def test_every_relation_that_dbt_would_make_and_every_hook_is_compared(
    project: Path, tmp_path: Path, warm_dbt: None
) -> None:
    message = problems(Releases(tmp_path / "releases"), project, tmp_path / "work")
    for line in (
        "model orders as prod.shop.orders, which is prod's model orders",
        "seed countries as prod.shop.countries",
        "snapshot history as prod.shop.history",
        "test not_null_orders_id as prod.shop_dbt_test__audit.not_null_orders_id",
        "hook shop-on-run-end-0 names prod.shop.orders",
        "post-hook of orders names prod.shop.orders",
    ):
        assert line in message
    assert "unique_orders_id" not in message
    assert "only_a_cte" not in message


def test_dbt_run_is_judged_by_its_models_and_hooks(project: Path, tmp_path: Path, warm_dbt: None) -> None:
    message = problems(Releases(tmp_path / "releases"), project, tmp_path / "work", cmd="run")
    assert "model orders" in message
    assert "hook shop-on-run-end-0" in message
    assert "seed countries" not in message
