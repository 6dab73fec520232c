"""The wheel beside every package of 16.4 LTS, and dbt in an environment of its own, at once: `make runtimes`.

16.4 LTS has Python 3.12, and a few of its packages no longer install from the package index alone (psycopg2 wants the
headers of PostgreSQL; pandas 1.5.3 has no build for Python 3.12). So they are tried twice: with Python 3.11 all but
psycopg2 as listed; with 3.12, where that is installed, the nearest pandas and what it wants more.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.deep

ROOT = Path(__file__).parents[2]
LIST = ROOT / "requirements/runtime-16.4.txt"
LOCK = ROOT / "requirements/dbx_cd-16.4.txt"
NOT_TO_BE_HAD = {"3.11": {"psycopg2": None}, "3.12": {"psycopg2": None, "pandas": "2.1.1", "tzdata": "2024.1"}}
# What the runtime has besides its list: pip (release notes), and Spark, of which PySpark 3.5.2 is the open part.
BESIDES = ["pip==24.2", "pyspark==3.5.2", "py4j==0.10.9.7"]
# Of packages of the list alone: what they require and the runtime does not have, or has elsewhere.
KNOWN_TO_PIP_CHECK = ("ipywidgets", "ssh-import-id", "lazr-restfulclient")


def run(*command: str | Path, **options: Any) -> str:
    found = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, **options)
    assert found.returncode == 0, f"{command}\n{found.stdout[-3000:]}\n{found.stderr[-3000:]}"
    return found.stdout


def uv(*command: str | Path) -> str:
    return run(sys.executable, "-m", "uv", *command)


@dataclass
class Machine:
    """An environment with the packages of the runtime, in which the wheel is installed."""

    folder: Path
    wanted: dict[str, str]

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    @cached_property
    def environment(self) -> dict[str, str]:
        return {n: v for n, v in os.environ.items() if n not in ("PYTHONPATH", "VIRTUAL_ENV", "SPARK_HOME")}

    def packages(self) -> dict[str, str]:
        listed = json.loads(run(self.python, "-m", "pip", "list", "--format", "json", env=self.environment))
        return {re.sub(r"[-_.]+", "-", p["name"]).lower(): p["version"] for p in listed}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--installer", "uv", "--wheel", "--outdir", folder, ROOT)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module", params=["3.11", "3.12"])
def machine(request: pytest.FixtureRequest, wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Machine:
    version = request.param
    asked = [sys.executable, "-m", "uv", "python", "find", "--no-project", "--offline", version]
    interpreter = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
    if not interpreter:
        pytest.skip(f"Python {version} is not on this machine")
    listed = dict(line.split("==") for line in LIST.read_text().splitlines() if not line.startswith("#"))
    wanted = {n: v for n, v in (listed | NOT_TO_BE_HAD[version]).items() if v is not None}
    made = Machine(tmp_path_factory.mktemp("runtime"), wanted)
    uv("venv", "--quiet", "--python", interpreter, made.folder)
    pins = [f"{name}=={v}" for name, v in wanted.items()]
    uv("pip", "install", "--quiet", "--no-deps", "--python", made.python, *pins, *BESIDES)
    assert made.packages().items() >= wanted.items()
    library = made.folder / "library.txt"
    library.write_text(run(ROOT / "tools/library", wheel, LOCK, wheel.parent))
    # As a cluster does: with its own pip, from a file, and no compiler.
    pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:"]
    run(made.python, *pip, "--requirement", library, env=made.environment)
    return made


def test_not_one_package_of_the_runtime_is_replaced(machine: Machine) -> None:
    after = machine.packages()
    assert {n: after.get(n) for n in machine.wanted if after.get(n) != machine.wanted[n]} == {}
    assert after["dbx-cd"]


def test_packages_fit_each_other(machine: Machine) -> None:
    checked = subprocess.run(
        [machine.python, "-m", "pip", "check"], capture_output=True, text=True, check=False, env=machine.environment
    )
    lines = [line for line in checked.stdout.splitlines() if not line.startswith(("No broken", *KNOWN_TO_PIP_CHECK))]
    assert lines == []


def test_wheel_that_was_tampered_with_is_not_installed(machine: Machine, wheel: Path, tmp_path: Path) -> None:
    changed = Path(shutil.copy(wheel, tmp_path))
    library = tmp_path / "library.txt"
    library.write_text(run(ROOT / "tools/library", wheel, LOCK, tmp_path))
    with changed.open("ab") as file:
        file.write(b"\0")
    refused = subprocess.run(
        [machine.python, "-m", "pip", "install", "--dry-run", "--requirement", str(library)],
        capture_output=True,
        text=True,
        check=False,
        env=machine.environment,
    )
    assert refused.returncode != 0
    assert "THESE PACKAGES DO NOT MATCH THE HASHES" in refused.stderr


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dbt project with a lock of dbt's packages."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "models").mkdir()
    (folder / "models/orders.sql").write_text("select 1 as id\n")
    (folder / "dbt_project.yml").write_text("name: shop\nprofile: shop\nversion: 1.0.0\n")
    output = "{type: databricks, host: nowhere.invalid, http_path: /sql/1.0/warehouses/x, token: x, schema: shop}"
    (folder / "profiles.yml").write_text(f"shop:\n  target: stg\n  outputs:\n    stg: {output}\n")
    lock = ("--universal", "--python-version", "3.11", "--generate-hashes", "--no-header", "--no-annotate", "--quiet")
    uv("pip", "compile", ROOT / "requirements/dbt.txt", *lock, "--output-file", folder / "requirements-dbt.txt")
    return folder


@pytest.fixture(scope="module")
def dbt_python(machine: Machine, project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment made from that lock by hand."""
    folder = tmp_path_factory.mktemp("dbt")
    uv("venv", "--quiet", "--python", machine.python, folder)
    uv(
        "pip",
        "sync",
        "--quiet",
        "--require-hashes",
        "--python",
        folder / "bin/python",
        project / "requirements-dbt.txt",
    )
    return folder / "bin" / "python"


def test_notebook_code_and_dbt_run_at_once(machine: Machine, project: Path, dbt_python: Path, tmp_path: Path) -> None:
    script = Path(__file__).with_name("notebook_code.py")
    printed = run(machine.python, "-P", script, project, dbt_python, env=machine.environment, cwd=tmp_path)
    found = json.loads(printed.splitlines()[-1])
    word, protobuf, sdk = found["dbt"]
    assert word == "ready"
    assert protobuf.startswith("6.")
    assert sdk != machine.wanted["databricks-sdk"]
    assert found["runtime"] == {"protobuf": machine.wanted["protobuf"], "mlflow": machine.wanted["mlflow-skinny"]}
    assert found["public_names"] > 50
    assert found["targets"] == ["stg", "prod"]
    assert [(a["success"], a["error"]) for a in found["smoke"]] == [
        (True, None),
        (False, None),
        (False, None),
        (True, None),
    ]
    assert found["dbt_still_ran"] is True
    assert found["dbt_end"][:2] == [0, "parsed"], found["dbt_end"]


def test_dbt_beside_the_runtime_s_packages_is_what_breaks_them(machine: Machine, project: Path) -> None:
    """What is spared: protobuf 6 would come into the notebook's environment, and mlflow says that it is not for it."""
    asked = ["pip", "install", "--dry-run", "--python", machine.python, "-r", project / "requirements-dbt.txt"]
    planned = subprocess.run(
        [sys.executable, "-m", "uv", *map(str, asked)], capture_output=True, text=True, check=False
    ).stderr
    assert re.search(r"^ \+ protobuf==6\.", planned, re.M)
    assert re.search(r"^ - protobuf==4\.24\.1", planned, re.M)
    wants = run(machine.python, "-c", "from importlib.metadata import requires; print(requires('mlflow-skinny'))")
    assert "protobuf<6" in wants
