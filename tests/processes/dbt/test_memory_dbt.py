"""What dbt in memory lists and says of a project is what dbt says of it: decisions are tested on the former."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from dbx_cd import run_dbt
from dbx_cd.dbt.artifacts import Manifest
from dbx_cd.dbt.changes import changes_between
from dbx_cd.dbt.effects import affected_relations, known_readers, table_replacements
from dbx_cd.dbt.listing import ListQuery, list_nodes
from dbx_cd.dbt.project_state import ProjectState
from dbx_cd.dbt.selection import Selection
from memory.dbt import PROJECT, MemoryDbt
from memory.tables import MemoryTables

MODELS = {
    "orders": "{{ config(materialized='table') }} select 1 as id",
    "daily": "{{ config(materialized='view') }} select * from {{ ref('orders') }}",
    "late": "{{ config(materialized='table') }} select * from {{ ref('daily') }}",
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "models").mkdir(parents=True)
    (folder / "dbt_project.yml").write_text(yaml.safe_dump({"name": PROJECT, "version": "1.0", "profile": PROJECT}))
    outputs = {
        target: {
            "type": "databricks", "catalog": target, "schema": "shop", "host": "127.0.0.1", "http_path": "/",
            "token": "none",
        }
        for target in ("stg", "prod")
    }  # fmt: skip
    (folder / "profiles.yml").write_text(yaml.safe_dump({PROJECT: {"target": "stg", "outputs": outputs}}))
    for name, text in MODELS.items():
        (folder / "models" / f"{name}.sql").write_text(text)
    return folder


def seen(project: Path, work: Path, *, target: str, exclude: str | None, dbt: MemoryDbt | None) -> dict[str, Any]:
    """All that a deploy reads of a listing."""
    done = run_dbt("ls", target=target, exclude=exclude, project_dir=project, work_dir=work, runner=dbt)
    manifest = Manifest.load(done.files_dir / "manifest.json")
    return {
        "ok": done.ok,
        "listed": sorted(done.listed),
        "nodes": {n.unique_id: (n.name, n.resource_type, n.relation, n.depends_on) for n in manifest.nodes.values()},
        "affected": sorted(affected_relations(manifest, done.listed), key=str),
        "readers": known_readers(manifest),
        "replaced": table_replacements(manifest, done.listed, full_refresh=False),
    }


@pytest.mark.parametrize("exclude", [None, "late", "orders late"])
@pytest.mark.parametrize("target", ["stg", "prod"])
def test_a_listing_is_what_dbt_lists(
    project: Path, tmp_path: Path, target: str, exclude: str | None, warm_dbt: None
) -> None:
    real = seen(project, tmp_path / "real", target=target, exclude=exclude, dbt=None)
    memory = seen(project, tmp_path / "memory", target=target, exclude=exclude, dbt=MemoryDbt(MemoryTables()))
    assert memory == real


SELECTORS = ("state:new", "state:old", "state:modified", "state:unmodified", "state:modified.body", "state:modified+")


def changed(project: Path, work: Path, *, state: Path, dbt: MemoryDbt | None) -> dict[str, Any]:
    """All that a plan reads of what has changed."""
    queries = {name: ListQuery(Selection(select=name), state, only_matched=True) for name in SELECTORS}
    listed = list_nodes(
        {"all": ListQuery(Selection()), "none": ListQuery(Selection(select="no_such_model")), **queries},
        target="prod", project_dir=project, work_dir=work, runner=dbt, check=True,
    )  # fmt: skip
    old, new = (ProjectState(Manifest.load(folder / "manifest.json")) for folder in (state, listed.run.files_dir))
    changes = changes_between(old, new, {"modified": listed.nodes["state:modified"]})
    return {"lists": listed.nodes, "changes": {i: change.change for i, change in changes.items()}}


def test_lists_of_what_changed_are_what_dbt_lists(project: Path, tmp_path: Path, warm_dbt: None) -> None:
    states = {}
    for name, dbt in {"real": None, "memory": MemoryDbt(MemoryTables())}.items():
        done = run_dbt("ls", target="prod", project_dir=project, work_dir=tmp_path / name, runner=dbt)
        states[name] = done.files_dir.rename(tmp_path / f"{name}-state")
    (project / "models" / "orders.sql").write_text(MODELS["orders"].replace("1", "2"))
    (project / "models" / "more.sql").write_text("{{ config(materialized='view') }} select 1 as id")
    real = changed(project, tmp_path / "real", state=states["real"], dbt=None)
    memory = changed(project, tmp_path / "memory", state=states["memory"], dbt=MemoryDbt(MemoryTables()))
    assert real["lists"]["none"] == ()
    assert memory | {"lists": {**memory["lists"], "none": ()}} == real
