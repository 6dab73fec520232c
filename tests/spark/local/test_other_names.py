"""A release of a project that is not like the example: in a monorepo, with targets dev, qa, uat and production.

Its package lies beside it, its `profiles.yml` elsewhere, with an output for another database that reads variables
nobody sets; a `.gitkeep` lies where packages are installed. It has no job of its own.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.deep

FILES = {
    "shared/dbt_project.yml": "name: shared\nversion: '1.0'\n",
    "shared/macros/cents.sql": "{% macro cents(amount) %}cast({{ amount }} * 100 as bigint){% endmacro %}\n",
    "shop/dbt_project.yml": "name: sales\nversion: '1.0'\nprofile: \"{{ env_var('PROFILE_OF_NOBODY', 'shop') }}\"\n",
    "shop/packages.yml": "packages:\n  - local: ../shared\n",
    "shop/dbt_packages/.gitkeep": "",
    "shop/dbx_cd.yml": "targets:\n  qa: {}\n  uat: {gate: approval, defer_to: qa}\n"
    "  production: {gate: approval, defer_to: qa}\n",
    "shop/seeds/raw_orders.csv": "id,amount\n1,10.5\n2,20\n",
    "shop/models/orders.sql": "{{ config(materialized='table', tags=['deploy']) }}\n"
    "select id, {{ shared.cents('amount') }} as cents from {{ ref('raw_orders') }}\n",
    "shop/models/orders.yml": "models:\n  - name: orders\n    columns: [{name: id, data_tests: [unique]}]\n",
    "shop/smoke/sales.yml": "domain: sales\ntables:\n  - model: orders\n    expectations:\n"
    "      - expect_column_sum_to_be_between: {column: cents, min_value: 0}\n        guardrail: true\n",
    "profiles/profiles.yml": """
shop:
  target: "{{ env_var('TARGET_OF_NOBODY') }}"
  outputs:
    dev: {type: postgres, host: "{{ env_var('PGHOST_OF_NOBODY') }}", schema: s}
    qa: {type: databricks, host: "{{ env_var('HOST') }}", catalog: "{{ var('qa', 'lake_qa') }}", schema: sales}
    uat: {type: databricks, host: "{{ env_var('HOST') }}", catalog: lake_uat, schema: sales}
    production: {type: databricks, host: "{{ env_var('HOST') }}", catalog: lake, schema: sales}
""",
}


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state of the workspace after the release."""
    folder = tmp_path_factory.mktemp("monorepo")
    repository = folder / "repository"
    for name, text in FILES.items():
        (repository / name).parent.mkdir(parents=True, exist_ok=True)
        (repository / name).write_text(text)
    for command in (["init", "-q"], ["add", "-Af"], ["commit", "-q", "-m", "all"]):
        identity = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]
        subprocess.run(["git", *identity, *command], cwd=repository, check=True)
    places = ["--project", "shop", "--profiles-dir", "profiles", "--state-dir", str(folder / "state")]
    command = [sys.executable, "-m", "dbx_cd.local", "run", *places, "--approve-as", "anna@acme.example"]
    done = subprocess.run(
        command, cwd=repository, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    (folder / "state" / "output.txt").write_text(done.stdout)
    return folder / "state"


def artifacts(state: Path) -> Path:
    return state / "Volumes" / "ops" / "dbt_meta" / "artifacts"


def test_every_gate_is_asked_for_and_passed_in_one_run(state: Path) -> None:
    output = (state / "output.txt").read_text()
    for target in ("uat", "production"):
        assert f" to {target}, sealed " in output
    for task in ("stg_build", "uat_gate", "uat_build", "uat_smoke", "approval_gate", "prod_build", "prod_smoke"):
        assert f"{task:<14} SUCCESS" in output


@pytest.mark.parametrize(("target", "catalog"), [("qa", "lake_qa"), ("uat", "lake_uat"), ("production", "lake")])
def test_each_target_is_built_where_its_own_output_says(state: Path, target: str, catalog: str) -> None:
    manifest = json.loads((artifacts(state) / target / "latest" / "manifest.json").read_text())
    node = manifest["nodes"]["model.sales.orders"]
    assert node["relation_name"] == f"`{catalog}`.`sales`.`orders`"
    assert "cast(amount * 100 as bigint)" in node["compiled_code"]


def test_the_package_is_in_the_archive_that_production_was_built_from(state: Path, tmp_path: Path) -> None:
    archives = [artifacts(state) / target / "latest" / "project.tar.gz" for target in ("qa", "uat", "production")]
    assert len({archive.read_bytes() for archive in archives}) == 1
    shutil.unpack_archive(archives[0], tmp_path / "project")
    assert (tmp_path / "project" / "dbt_packages" / "shared" / "macros" / "cents.sql").is_file()
