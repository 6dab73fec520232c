"""A real dbt in an environment of its own, whose packages are not those of this interpreter. Needs a package index."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dbx_cd import run_dbt
from dbx_cd.dbt.environment import DbtEnvironment, installed_version
from dbx_cd.dbt.environment_folder import ENVIRONMENTS
from dbx_cd.dbt.outcome import InvocationOutcome
from dbx_cd.dbt.requirements_lock import RequirementsLock
from dbx_cd.dbt.warm_parent import warm_dbt
from dbx_cd.setup.lock_dbt import lock_dbt
from dbx_cd.setup.wheelhouse import fill_wheelhouse

pytestmark = pytest.mark.deep

FILES = {
    "dbt_project.yml": "name: tiny\nversion: '1.0'\nprofile: tiny\n",
    "profiles.yml": "tiny:\n  target: stg\n  outputs:\n"
    "    stg: {type: databricks, host: localhost, http_path: /none, token: none, catalog: c, schema: s}\n",
    "models/orders.sql": "select 1 as id\n",
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("real")
    for name, text in FILES.items():
        (folder / "project" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "project" / name).write_text(text)
    lock_dbt(folder / "project", requirements=[f"protobuf<{installed_version('protobuf')}"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(ENVIRONMENTS, str(folder / "environments"))
        yield folder / "project"


def test_dbt_runs_with_its_own_packages(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = DbtEnvironment.of(project)
    assert environment.version("protobuf") not in ("", installed_version("protobuf"))
    assert environment.version("great-expectations") == ""
    # Where this interpreter would find dbt first, one that ends.
    (tmp_path / "dbt").mkdir()
    (tmp_path / "dbt" / "__init__.py").write_text("raise SystemExit('not this dbt')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    cold = run_dbt("parse", target="stg", project_dir=project, work_dir=tmp_path / "cold")
    with warm_dbt(environment) as parent:
        warm = run_dbt("ls", target="stg", project_dir=project, work_dir=tmp_path / "warm", warm_parent=parent)
    assert cold.ok
    assert warm.listed == ("model.tiny.orders",)
    ended = InvocationOutcome.find(warm.files_dir)
    assert ended is not None
    assert ended.environment == environment.record


def test_a_wheelhouse_serves_it_without_an_index(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = RequirementsLock.find(project)
    assert found is not None
    here, other = (".".join(map(str, sys.version_info[:2])), platform.machine()), ("3.12", "aarch64")
    monkeypatch.setattr("dbx_cd.setup.wheelhouse.DRIVERS", (here, other))
    wheels = tmp_path / "wheels"
    lines: list[str] = []
    assert fill_wheelhouse(found, wheels, say=lines.append) > len(found.pins)
    assert len(lines) == 2
    (project / "dbx_cd.yml").write_text(f"wheelhouse: {wheels}\n")
    monkeypatch.setenv(ENVIRONMENTS, str(tmp_path / "environments"))
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
    assert DbtEnvironment.of(project).version("dbt-core") != ""
