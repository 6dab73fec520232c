"""A real dbt in an environment of its own, whose packages are not those of this interpreter. Needs a package index."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dbx_cd import run_dbt
from dbx_cd.dbt.environment import DbtEnvironment, installed_version
from dbx_cd.dbt.environment_folder import ENVIRONMENTS
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


def test_dbt_runs_with_its_own_packages(project: Path, tmp_path: Path) -> None:
    environment = DbtEnvironment.of(project)
    assert environment.version("protobuf") not in ("", installed_version("protobuf"))
    assert environment.version("great-expectations") == ""
    run = run_dbt("debug", target="stg", project_dir=project, work_dir=tmp_path / "debug", check=False)
    log = (run.files_dir / "dbt.log").read_text()
    assert f"python path: {environment.folder}/bin/python" in log
    cold = run_dbt("parse", target="stg", project_dir=project, work_dir=tmp_path / "cold")
    with warm_dbt(environment) as parent:
        warm = run_dbt("ls", target="stg", project_dir=project, work_dir=tmp_path / "warm", warm_parent=parent)
    assert cold.ok
    assert warm.listed == ("model.tiny.orders",)


def test_a_wheelhouse_serves_it_without_an_index(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = RequirementsLock.find(project)
    assert found is not None
    wheels = tmp_path / "wheels"
    lines: list[str] = []
    assert fill_wheelhouse(found, wheels, say=lines.append) > len(found.pins)
    assert len(lines) == 4
    assert fill_wheelhouse(found, wheels, say=lines.append) == 0
    (project / "dbx_cd.yml").write_text(f"wheelhouse: {wheels}\n")
    monkeypatch.setenv(ENVIRONMENTS, str(tmp_path / "environments"))
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
    assert DbtEnvironment.of(project).version("dbt-core") != ""
