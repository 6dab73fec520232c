"""`init` with the real dbt: what ships is found, and a first suite is drafted that the smoke test reads."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from git_repositories import commit, fill

from dbx_cd import SmokeSuite

pytestmark = pytest.mark.deep

OUTPUT = "{type: databricks, host: x, http_path: /sql/1.0/warehouses/x, token: \"{{ env_var('NONE', '') }}\", "
FILES = {
    "dbt_project.yml": "name: sales\nprofile: sales\nmodels: {sales: {marts: {+tags: [deploy]}}}\n",
    "profiles.yml": "sales:\n  target: dev\n  outputs:\n"
    + "".join(f"    {name}: {OUTPUT}catalog: lake_{name}, schema: sales}}\n" for name in ("dev", "qa", "production")),
    "models/raw.sql": "select 1 as id, 2.5 as amount",
    "models/marts/sales/orders.sql": "{{ config(materialized='table') }} select id, amount from {{ ref('raw') }}",
    "models/marts/sales/orders.yml": "models: [{name: orders, columns: [{name: id}, {name: amount}]}]\n",
}


def init(repository: Path, **variables: str) -> str:
    environment = {**os.environ, "HOME": str(repository.parent), **variables}
    command = [sys.executable, "-m", "dbx_cd", "init"]
    return subprocess.run(
        command, cwd=repository, env=environment, check=True, capture_output=True, text=True
    ).stdout  # fmt: skip


def test_what_ships_is_found_by_dbt_and_a_suite_is_drafted_for_it(tmp_path: Path) -> None:
    repository = commit(fill(tmp_path / "repository", FILES))
    output = init(repository)
    assert "tagged deploy, so that they ship: orders" in output
    suite = SmokeSuite.from_yaml(repository / "smoke" / "sales.yml")
    assert [(check.model, check.KIND, check.guardrail) for check in suite] == [
        ("orders", "expectation", True),
        ("orders", "metric", False),
    ]
    assert "nothing to do" in init(repository)
    assert not (repository / "target").exists()


def test_a_project_that_dbt_cannot_parse_gets_everything_else(tmp_path: Path) -> None:
    repository = commit(fill(tmp_path / "repository", {**FILES, "models/raw.sql": "select {{ nothing("}))
    output = init(repository)
    assert "which models ship is not known, and no smoke suite was drafted" in output
    assert (repository / "resources" / "dbx_cd.job.yml").is_file()
    assert not (repository / "smoke").exists()
