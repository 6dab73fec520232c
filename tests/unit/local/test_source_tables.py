"""Sources of several packages: one name may mean several tables, and one table may be declared twice."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from artifact_folders import manifest, node

from dbx_cd import ConfigError
from dbx_cd.dbt.artifacts import Manifest
from dbx_cd.local.sources.loading import load_sources
from dbx_cd.local.sources.tables import source_tables, with_files


def source(package: str, relation: str, **more: Any) -> dict[str, Any]:
    unique_id = f"source.{package}.raw.orders"
    return node(unique_id, relation=relation, source_name="raw", **more) | {"name": "orders"}


def manifests(*sources: dict[str, Any]) -> dict[str, Manifest]:
    return {"stg": Manifest.from_json(manifest(sources=sources))}


def test_a_name_that_means_several_tables_is_refused_and_each_has_a_name_of_its_own(tmp_path: Path) -> None:
    found = manifests(source("shop", "a.shop.orders"), source("other", "b.web.orders"))
    (tmp_path / "raw.orders.csv").touch()
    with pytest.raises(ConfigError, match=r"may be for a\.shop\.orders or b\.web\.orders.*CATALOG\.SCHEMA\.TABLE"):
        with_files(source_tables(found), tmp_path, found)
    (tmp_path / "raw.orders.csv").rename(tmp_path / "b.web.orders.csv")
    tables = with_files(source_tables(found), tmp_path, found)
    assert {str(t.relation): t.file is not None for t in tables} == {"a.shop.orders": False, "b.web.orders": True}


def test_a_table_that_two_packages_declare_is_one_with_the_columns_of_whoever_has_some(tmp_path: Path) -> None:
    columns = {"id": {"name": "id", "data_type": "bigint"}}
    found = manifests(source("shop", "a.shop.orders"), source("other", "A.Shop.orders", columns=columns))
    (tmp_path / "raw.orders.parquet").mkdir()
    (table,) = with_files(source_tables(found), tmp_path, found)
    assert (str(table.relation), list(table.node.columns)) == ("a.shop.orders", ["id"])
    assert table.file == tmp_path / "raw.orders.parquet"


@pytest.mark.parametrize(
    ("catalog", "why"),
    [
        ("open data", "Unity Catalog takes no catalog called 'open data': no blanks, dots, slashes or commas"),
        ("System", "the catalog System is read-only here"),
    ],
)
def test_a_catalog_that_cannot_be_made_is_told_with_its_reason(catalog: str, why: str, tmp_path: Path) -> None:
    tables = source_tables(manifests(source("shop", f"{catalog}.web.orders")))
    lines: list[str] = []
    load_sources(SimpleNamespace(newSession=lambda: None), tables, project_dir=tmp_path, say=lines.append)  # type: ignore[arg-type]
    assert lines == [f"source {catalog}.web.orders is not made: {why}"]
