"""A term of dbt's selection that means one node, wherever that is: asked of dbt itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from changed_project import VIEW, before

from dbx_cd.dbt.artifacts import Manifest
from dbx_cd.dbt.exact_terms import exactly
from dbx_cd.dbt.listing import ListQuery, list_nodes
from dbx_cd.dbt.selection import Selection

HARD = {
    "models/folder with blanks/in_blanks.sql": VIEW + "select 1 as id",
    "models/a,comma/in_comma.sql": VIEW + "select 1 as id",
    "models/brackets [old]/in_brackets.sql": VIEW + "select 1 as id",
    "models/orders/orders.sql": VIEW + "select 1 as id",
    "models/orders/of_orders.sql": VIEW + "select 1 as id",
    "models/deep/orders/more.sql": VIEW + "select 1 as id",
}


@pytest.mark.usefixtures("warm_dbt")
def test_a_term_means_one_node(tmp_path: Path) -> None:
    project = before(tmp_path / "project")
    for name, text in HARD.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(text)
    listed = list_nodes({"all": ListQuery(Selection())}, target="prod", project_dir=project, work_dir=tmp_path / "a")
    manifest = Manifest.load(listed.run.files_dir / "manifest.json")
    nodes = [node for node in manifest.select(listed.nodes["all"]) if node.builds_relation]
    assert {node.package for node in nodes} == {"shop", "parcels"}
    queries = {n.unique_id: ListQuery(Selection(select=exactly(n)), only_matched=True) for n in nodes}
    found = list_nodes(queries, target="prod", project_dir=project, work_dir=tmp_path / "b", check=True)
    assert found.nodes == {node.unique_id: (node.unique_id,) for node in nodes}
