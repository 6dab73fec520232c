"""Which nodes a command of dbt runs."""

from __future__ import annotations

import pytest
from artifact_folders import manifest, node

from dbx_cd import Manifest
from dbx_cd.dbt.runnable import built_by, is_run

RUN = ("seed.shop.s", "snapshot.shop.h", "test.shop.t", "function.shop.f", "unit_test.shop.m.adds")


def project(*unique_ids: str) -> Manifest:
    return Manifest.from_json(manifest(*(node(i, raw_code="select 1") for i in unique_ids)))


@pytest.mark.parametrize("name", ["exposure.shop.dashboard", "metric.shop.revenue", "semantic_model.shop.orders"])
def test_what_runs_no_query_is_built_by_no_command(name: str) -> None:
    assert built_by(project(name), [name], "build") == frozenset()


def test_run_builds_models_alone() -> None:
    nodes = project("model.shop.m", *RUN)
    assert built_by(nodes, nodes.nodes, "run") == {"model.shop.m"}
    assert built_by(nodes, nodes.nodes, "build") == nodes.nodes.keys()


def test_what_is_not_listed_is_not_built() -> None:
    assert built_by(project("model.shop.m", *RUN), ["model.shop.m", "model.shop.gone"], "build") == {"model.shop.m"}


def test_an_empty_file_is_built_by_nothing() -> None:
    nodes = Manifest.from_json(manifest(node("model.shop.blank", raw_code=" \n")))
    assert built_by(nodes, nodes.nodes, "build") == frozenset()


def test_an_ephemeral_model_is_built_with_its_readers_and_not_run() -> None:
    nodes = Manifest.from_json(manifest(node("model.shop.cte", raw_code="x", config={"materialized": "ephemeral"})))
    assert built_by(nodes, nodes.nodes, "build") == {"model.shop.cte"}
    assert not any(map(is_run, nodes.nodes.values()))
