"""What becomes of a runtime's packages, asked of uv and a package registry: `make runtimes`.

uv takes the versions of a file that is there already as long as they fit, as pip does those that are installed. So a
runtime's list, resolved onto, says which of its packages would change.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.version import Version

from dbx_cd.setup.runtimes import RUNTIMES, Runtime

pytestmark = pytest.mark.deep

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "requirements"
SUPPORTED = [r for r in RUNTIMES if r.supported]
SYSTEMS = ("x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu")
"""Clusters have both: the bundle's own node type is an ARM one."""


def by_id(runtime: Runtime) -> str:
    return runtime.id


def packages_of(runtime: Runtime) -> Path:
    return FOLDER / f"runtime-{runtime.id}.txt"


def pins(text: str) -> dict[str, Version]:
    return {n: Version(v) for n, v in re.findall(r"^([a-z0-9-]+)==([^\s;\\]+)", text, re.M)}


def resolved(runtime: Runtime, *options: str, what: str = "setup.cfg") -> subprocess.CompletedProcess[str]:
    command = ["uv", "pip", "compile", what, "--quiet", "--python-version", runtime.python, *options]
    return subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False)


def moved(runtime: Runtime, folder: Path, *options: str) -> dict[str, tuple[Version, Version]]:
    """The runtime's packages that would be replaced, each with the version before and after."""
    file = Path(shutil.copy(packages_of(runtime), folder / "resolved.txt"))
    there = pins(file.read_text())
    found = resolved(runtime, "--output-file", str(file), *options)
    assert found.returncode == 0, found.stderr
    after = pins(file.read_text())
    return {name: (there[name], after[name]) for name in sorted(there.keys() & after) if there[name] != after[name]}


@pytest.mark.parametrize("runtime", SUPPORTED, ids=by_id)
def test_without_a_lock_one_package_of_the_runtime_changes(runtime: Runtime, tmp_path: Path) -> None:
    assert set(moved(runtime, tmp_path)) == {"typing-extensions"}


@pytest.mark.parametrize("runtime", RUNTIMES, ids=by_id)
def test_with_dbt_in_it_what_mlflow_and_google_s_clients_need_changes(runtime: Runtime, tmp_path: Path) -> None:
    """Why dbt has an environment of its own."""
    changed = moved(runtime, tmp_path, "--extra", "dbt")
    assert {"click", "databricks-sdk", "protobuf", "sqlparse"} <= set(changed)
    before, after = changed["protobuf"]
    assert before < Version("6") <= after
    assert ("pydantic" in changed) == (not runtime.supported)


def test_dbt_cannot_be_had_beside_the_runtime_s_mlflow(tmp_path: Path) -> None:
    runtime = next(r for r in RUNTIMES if r.id == "16.4")
    version = pins(packages_of(runtime).read_text())["mlflow-skinny"]
    wanted = tmp_path / "wanted.in"
    wanted.write_text(f"mlflow-skinny=={version}\n-r {FOLDER / 'dbt.txt'}\n")
    found = resolved(runtime, what=str(wanted))
    assert found.returncode != 0
    assert "protobuf" in found.stderr
    wanted.write_text(f"mlflow-skinny=={version}\n")
    assert resolved(runtime, what=str(wanted)).returncode == 0  # it is dbt that it cannot be beside


@pytest.mark.parametrize("runtime", [r for r in RUNTIMES if not r.supported], ids=by_id)
def test_refused_runtime_cannot_keep_its_packages(runtime: Runtime, tmp_path: Path) -> None:
    found = resolved(runtime, "--constraint", str(packages_of(runtime)))
    assert found.returncode != 0
    assert "pydantic==1.10.6" in found.stderr or "databricks-sdk==0.20.0" in found.stderr
    assert {"pydantic", "typing-extensions"} <= set(moved(runtime, tmp_path))


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("runtime", SUPPORTED, ids=by_id)
def test_lock_is_what_is_resolved_with_every_package_of_the_runtime_as_it_is(
    runtime: Runtime, system: str, tmp_path: Path
) -> None:
    """And on the other kind of machine it is the same."""
    lock = FOLDER / runtime.requirements
    file = Path(shutil.copy(lock, tmp_path / lock.name))
    asked = ("--constraint", str(packages_of(runtime)), "--python-platform", system, "--generate-hashes")
    found = resolved(runtime, *asked, "--no-annotate", "--no-header", "--output-file", str(file))
    assert found.returncode == 0, found.stderr
    there, everything = pins(packages_of(runtime).read_text()), pins(file.read_text())
    assert [name for name in there.keys() & everything.keys() if there[name] != everything[name]] == []
    assert {name: version for name, version in everything.items() if name not in there} == pins(lock.read_text())


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_locks_without_a_runtime_hold_for_every_python(python: str) -> None:
    for lock, extra in (("dbx_cd.txt", ()), ("dev.lock", ("--extra", "dev"))):
        command = ["uv", "pip", "compile", "setup.cfg", *extra, "--quiet", "--no-annotate", "--no-header"]
        asked = [*command, "--python-version", python, "--constraint", str(FOLDER / lock)]
        found = subprocess.run([sys.executable, "-m", *asked], cwd=ROOT, capture_output=True, text=True, check=False)
        assert found.returncode == 0, found.stderr
        assert set(pins(found.stdout)) <= set(pins((FOLDER / lock).read_text()))
