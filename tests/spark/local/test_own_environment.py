"""A release of a project that locks dbt's packages: each task's dbt runs in that environment. Needs a package index."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from shop_repository import Repository

from dbx_cd.dbt.environment import DbtEnvironment, installed_version
from dbx_cd.dbt.environment_folder import ENVIRONMENTS
from dbx_cd.setup.lock_dbt import lock_dbt

pytestmark = pytest.mark.deep

TINY = Path(__file__).resolve().parents[2] / "fixtures" / "tiny_project"


def test_a_release_is_built_in_the_locked_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENVIRONMENTS, str(tmp_path / "environments"))
    repository = Repository(tmp_path / "repository", source=TINY)
    project = repository.folder / "warehouse" / "dbt"
    lock_dbt(project, requirements=[f"protobuf<{installed_version('protobuf')}"])
    # A dbt of this interpreter's would stop at once.
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(without_dbt(tmp_path)), *sys.path]))
    commit = repository.commit("with a lock of dbt's packages")
    command = [sys.executable, "-m", "dbx_cd.local", "run", "--project", str(project), "--commit", commit,
               "--approve-as", "anna@acme.example", "--state-dir", str(tmp_path / "state")]  # fmt: skip
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout
    environment = DbtEnvironment.of(project)
    assert environment.version("protobuf") not in ("", installed_version("protobuf"))
    root = tmp_path / "state" / "Volumes" / "ops" / "dbt_meta" / "artifacts"
    for target in ("stg", "prod"):
        pointed = json.loads((root / target / "latest.json").read_text())["timestamp"]
        record = json.loads((root / target / pointed / "artifacts.json").read_text())
        assert record["environment"]["digest"] == environment.record.digest
        assert record["adapter_version"] == environment.version("dbt-databricks")


def without_dbt(folder: Path) -> Path:
    """Where a dbt is found first that ends."""
    (folder / "broken" / "dbt").mkdir(parents=True)
    (folder / "broken" / "dbt" / "__init__.py").write_text("raise SystemExit('not this dbt')\n")
    return folder / "broken"
