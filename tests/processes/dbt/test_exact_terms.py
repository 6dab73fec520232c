"""The term of dbt's selection that means one node, of whatever kind and wherever that is: asked of dbt itself."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from dbx_cd.dbt.artifacts import Manifest
from dbx_cd.dbt.exact_terms import exactly
from dbx_cd.dbt.listing import ListQuery, list_nodes
from dbx_cd.dbt.runnable import built_by
from dbx_cd.dbt.selection import Selection

NAME = "shop"
SELECT = "select 1 as id"
FILES = {
    "models/folder with blanks/in_blanks.sql": SELECT,
    "models/a,comma/in_comma.sql": SELECT,
    "models/brackets [old]/in_brackets.sql": SELECT,
    "models/orders.sql": SELECT,
    "models/orders/of_orders.sql": SELECT,
    "models/deep/orders/more.sql": SELECT,
    "models/between.sql": "{{ config(materialized='ephemeral') }} " + SELECT,
    "models/versioned_v1.sql": SELECT,
    "models/versioned_v2.sql": SELECT,
    "seeds/small.csv": "id\n1\n",
    "snapshots/kept.sql": "{% snapshot kept %}{{ config(strategy='check', unique_key='id', check_cols='all') }} "
    + SELECT
    + "{% endsnapshot %}",
    "functions/half.sql": "x / 2",
    "tests/singular.sql": "select 1 from {{ ref('orders') }} where false",
    "dbt_packages/parcels/dbt_project.yml": "name: parcels\nversion: '1.0'\n",
    "dbt_packages/parcels/models/orders/packed.sql": SELECT,
    "dbt_packages/.installed": "",
    "packages.yml": "packages: [{local: parcels}]\n",
}
PROPERTIES = {
    "models/models.yml": {
        "models": [
            {"name": "orders", "columns": [{"name": "id", "data_tests": ["not_null", "unique"]}]},
            {"name": "more", "columns": [{"name": "id", "data_tests": ["not_null"]}]},
            {"name": "versioned", "latest_version": 2, "versions": [{"v": 1}, {"v": 2}]},
        ],
        "unit_tests": [{"name": "one", "model": "orders", "given": [], "expect": {"rows": [{"id": 1}]}}],
    },
    "functions/functions.yml": {
        "functions": [
            {"name": "half", "arguments": [{"name": "x", "data_type": "int"}], "returns": {"data_type": "int"}}
        ]
    },
    "dbt_project.yml": {"name": NAME, "version": "1.0", "profile": NAME},
    "profiles.yml": {
        NAME: {"target": "prod", "outputs": {"prod": {"type": "databricks", "catalog": "prod", "schema": "s",
                                                      "host": "127.0.0.1", "http_path": "/", "token": "none"}}},
    },
}  # fmt: skip
KINDS = {"model", "seed", "snapshot", "function", "test", "unit_test"}


@pytest.mark.usefixtures("warm_dbt")
def test_a_term_means_one_node(tmp_path: Path) -> None:
    project = tmp_path / "project"
    for name, text in {**FILES, **{name: yaml.safe_dump(part) for name, part in PROPERTIES.items()}}.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(text)
    everything = {"all": ListQuery(Selection())}
    listed = list_nodes(everything, target="prod", project_dir=project, work_dir=tmp_path / "a", check=True)
    manifest = Manifest.load(listed.run.files_dir / "manifest.json")
    nodes = list(manifest.select(built_by(manifest, listed.nodes["all"], "build")))
    assert {node.resource_type for node in nodes} == KINDS
    assert {node.package for node in nodes} == {NAME, "parcels"}
    queries = {n.unique_id: ListQuery(Selection(select=exactly(n)), only_matched=True) for n in nodes}
    found = list_nodes(queries, target="prod", project_dir=project, work_dir=tmp_path / "b", check=True)
    assert found.nodes == {node.unique_id: (node.unique_id,) for node in nodes}
