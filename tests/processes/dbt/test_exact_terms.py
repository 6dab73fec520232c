"""The terms of dbt's selection by which a plan adds nodes: each means one node, of whatever kind, and no other."""

from __future__ import annotations

from pathlib import Path

import yaml
from deferral_project import NAME, PARENTS, fill

from dbx_cd import run_dbt
from dbx_cd.dbt.artifacts import Manifest
from dbx_cd.dbt.exact_terms import exactly

OUTPUT = {
    "type": "databricks", "catalog": "prod", "schema": "s", "host": "deferral.cloud.databricks.com",
    "http_path": "/sql/1.0/warehouses/0123456789abcdef", "token": "none",
}  # fmt: skip


def test_each_node_is_meant_and_nothing_else(tmp_path: Path) -> None:
    project = tmp_path / "project"
    fill(project)
    (project / "profiles.yml").write_text(yaml.safe_dump({NAME: {"target": "prod", "outputs": {"prod": OUTPUT}}}))
    everything = run_dbt("ls", target="prod", project_dir=project, check=True)
    nodes = Manifest.load(everything.files_dir / "manifest.json").nodes
    wanted = {parent.unique_id for parent in PARENTS}
    terms = " ".join(exactly(nodes[unique_id]) for unique_id in sorted(wanted))
    listed = run_dbt("ls", target="prod", project_dir=project, select=terms, check=True).listed
    assert {i for i in listed if not i.startswith("test.")} == wanted
