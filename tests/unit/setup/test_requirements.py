"""The files of `requirements/`, without a package registry: `tests/packages` resolves them anew."""

from __future__ import annotations

import configparser
import hashlib
import re
import subprocess
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from dbx_cd.setup.runtimes import RUNTIMES, Runtime

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "requirements"
SUPPORTED = [r for r in RUNTIMES if r.supported]
# What a cluster has itself, what belongs to an extra, and what dbt's environment of its own is for.
NEVER = (
    "dbt-core",
    "dbt-databricks",
    "dbt-adapters",
    "dbt-common",
    "databricks-sql-connector",
    "pyspark",
    "delta-spark",
)


def setup_cfg(section: str, key: str) -> list[str]:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    return parser[section][key].strip().splitlines()


REQUIRED = [Requirement(line) for line in setup_cfg("options", "install_requires")]


def pins(file: Path) -> dict[str, Version]:
    """The packages of a file; of one that has several versions by Python, the newest."""
    found = re.findall(r"^([a-z0-9-]+)==([^\s;\\]+)", file.read_text(), re.M)
    return {name: Version(version) for name, version in found}


def hashed(file: Path) -> dict[str, int]:
    """How many hashes each line of a locked file has, comments left out."""
    lines = re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", file.read_text(), flags=re.M)).splitlines()
    return {line: len(re.findall(r"--hash=sha256:[0-9a-f]{64}(?= |$)", line)) for line in lines}


def by_id(runtime: Runtime) -> str:
    return runtime.id


def test_every_runtime_has_its_list_and_every_supported_one_its_lock() -> None:
    assert {f.name for f in FOLDER.glob("runtime-*.txt")} == {f"runtime-{r.id}.txt" for r in RUNTIMES}
    assert {r.requirements for r in RUNTIMES if (FOLDER / r.requirements).exists()} == {
        r.requirements for r in SUPPORTED
    }


@pytest.mark.parametrize("runtime", RUNTIMES, ids=by_id)
def test_list_of_a_runtime_names_its_source_and_pins_each_package_once(runtime: Runtime) -> None:
    text = (FOLDER / f"runtime-{runtime.id}.txt").read_text()
    packages = [line for line in text.splitlines() if not line.startswith("#")]
    names = [line.split("==")[0] for line in packages]
    assert re.search(r"# Source: .*\n(#.*\n)*#.*read on \d{4}-\d\d-\d\d", text)
    assert f"(Python {runtime.python})" in text
    assert len(names) > 100
    assert names == sorted(set(names))
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9][^\s]*", line) for line in packages)
    assert all(name == canonicalize_name(name) for name in names)


@pytest.mark.parametrize("runtime", SUPPORTED, ids=by_id)
def test_lock_changes_no_package_of_its_runtime(runtime: Runtime) -> None:
    there = pins(FOLDER / f"runtime-{runtime.id}.txt")
    assert not set(pins(FOLDER / runtime.requirements)) & set(there)


@pytest.mark.parametrize("runtime", SUPPORTED, ids=by_id)
@pytest.mark.parametrize("required", REQUIRED, ids=str)
def test_runtime_with_its_lock_has_what_the_wheel_requires(runtime: Runtime, required: Requirement) -> None:
    there = pins(FOLDER / f"runtime-{runtime.id}.txt") | pins(FOLDER / runtime.requirements)
    assert there[canonicalize_name(required.name)] in required.specifier


@pytest.mark.parametrize("required", REQUIRED, ids=str)
def test_lock_without_a_runtime_has_what_the_wheel_requires(required: Requirement) -> None:
    assert pins(FOLDER / "dbx_cd.txt")[canonicalize_name(required.name)] in required.specifier


@pytest.mark.parametrize("name", ["dbx_cd.txt", *(r.requirements for r in SUPPORTED)])
def test_every_package_of_a_lock_is_pinned_with_its_hashes(name: str) -> None:
    lines = hashed(FOLDER / name)
    assert len(lines) > 5
    assert all(re.match(r"[a-z0-9-]+==\S+( ; .+?)? +--hash=", line) for line in lines)
    assert all(count >= 1 for count in lines.values())


@pytest.mark.parametrize("name", ["dbx_cd.txt", *(r.requirements for r in SUPPORTED)])
def test_lock_has_nothing_that_a_runtime_brings_or_dbt_needs(name: str) -> None:
    assert not set(pins(FOLDER / name)) & set(NEVER)


def test_library_is_the_wheel_by_its_hash_and_the_lock(tmp_path: Path) -> None:
    """Without a hash pip refuses the wheel, because other lines have one."""
    wheel, lock = tmp_path / "dbx_cd-1.0-py3-none-any.whl", FOLDER / "dbx_cd-16.4.txt"
    wheel.write_bytes(b"the wheel")
    command = [ROOT / "tools/library", wheel, lock, "/Volumes/ops/dbt_meta/wheels"]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    first, *others = [line for line in printed.splitlines() if not line.startswith("#")]
    digest = hashlib.sha256(b"the wheel").hexdigest()
    assert first == f"/Volumes/ops/dbt_meta/wheels/{wheel.name} --hash=sha256:{digest}"
    assert others == [line for line in lock.read_text().splitlines() if not line.startswith("#")]


def test_refused_runtime_cannot_have_a_lock() -> None:
    """Why each is refused is true of its list: a package there is older than what the wheel takes."""
    great_expectations = Requirement("pydantic>=1.10.7")
    refused = [pins(FOLDER / f"runtime-{r.id}.txt") for r in RUNTIMES if not r.supported]
    assert len(refused) == 2
    assert all(packages["pydantic"] not in great_expectations.specifier for packages in refused)


def test_pythons_said_are_those_that_are_tried() -> None:
    """The classifiers, and the matrix of the project's own CI."""
    said = [c.rsplit(" ", 1)[1] for c in setup_cfg("metadata", "classifiers") if re.search(r":: 3\.\d+$", c)]
    workflow = (ROOT / ".github/workflows/ci.yml").read_text()
    assert said == ["3.11", "3.12", "3.13"] == sorted(set(re.findall(r'"(3\.\d+)"', workflow)))
    assert {r.python for r in SUPPORTED} <= set(said)
