"""The wheel without extras, in an environment of its own beside the packages of the oldest runtime: see tools/wheel."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import pytest

import dbx_cd
from dbx_cd.local.job_bundle import load_job

ROOT = Path(dbx_cd.__file__).parent
RUNTIME = Path(__file__).parents[2] / "requirements" / "oldest-runtime.txt"
PINS = dict(line.split("==") for line in RUNTIME.read_text().splitlines() if line and not line.startswith("#"))
# What a runtime brings itself, or what belongs to an extra.
NOT_OF_THE_WHEEL = (
    "certifi", "cryptography", "databricks-sql-connector", "dbt-adapters", "dbt-core", "dbt-databricks", "delta-spark",
    "flask", "numpy", "pandas", "protobuf", "py4j", "pyarrow", "pyspark", "sqlparse", "thrift",
)  # fmt: skip
OF_EXTRAS = ("databricks-sql-connector", "dbt-core", "dbt-databricks", "delta-spark", "flask", "pyspark", "thrift")


def modules() -> Iterator[str]:
    """The modules of the rooms that no extra is needed for."""
    for found in pkgutil.walk_packages(dbx_cd.__path__, "dbx_cd.", onerror=lambda _: None):
        if not found.name.startswith(("dbx_cd.local", "dbx_cd.sql_endpoint")) and not found.name.endswith("__main__"):
            yield found.name


def sdk_names() -> Iterator[tuple[str, str]]:
    """Every name of the SDK that is imported anywhere, also inside a function or for types only."""
    for path in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("databricks.sdk"):
                yield from ((str(node.module), alias.name) for alias in node.names)


def test_what_is_tested_is_the_installed_wheel() -> None:
    assert ROOT.is_relative_to(sys.prefix)


@pytest.mark.parametrize("package", PINS)
def test_package_of_the_runtime_is_left_as_it_is(package: str) -> None:
    assert version(package) == PINS[package]


def test_wheel_requires_nothing_that_a_runtime_brings_or_an_extra_is_for() -> None:
    without_extras = [r for r in requires("dbx-cd") or () if "extra ==" not in r]
    named = {re.split(r"[^\w.-]", requirement)[0].lower() for requirement in without_extras}
    assert named
    assert not named & set(NOT_OF_THE_WHEEL)


@pytest.mark.parametrize("package", OF_EXTRAS)
def test_package_of_an_extra_is_not_installed(package: str) -> None:
    with pytest.raises(PackageNotFoundError):
        version(package)


@pytest.mark.parametrize("name", sorted(dbx_cd.__all__))
def test_public_name_can_be_imported(name: str) -> None:
    assert getattr(dbx_cd, name) is not None


@pytest.mark.parametrize("name", sorted(modules()))
def test_module_can_be_imported(name: str) -> None:
    importlib.import_module(name)


@pytest.mark.parametrize(("module", "name"), sorted(set(sdk_names())))
def test_sdk_has_the_name(module: str, name: str) -> None:
    assert hasattr(importlib.import_module(module), name)


def test_sdk_knows_every_key_of_the_job_s_definition(tmp_path: Path) -> None:
    """`load_job` refuses a key that the SDK's own types drop."""
    settings = load_job(tmp_path, variables={})
    libraries = [library.as_dict() for task in settings.tasks or () for library in task.libraries or ()]
    assert {key for library in libraries for key in library} == {"whl", "requirements"}


def printed_by(*arguments: str) -> str:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False).stderr.strip()


def test_sql_endpoint_names_its_extra() -> None:
    assert printed_by("-c", "import dbx_cd.sql_endpoint").endswith("Next: pip install 'dbx-cd[endpoint]'")


def test_embedded_workspace_names_its_extra_in_one_line() -> None:
    (line,) = printed_by("-m", "dbx_cd.local", "up").splitlines()
    assert line.endswith("Next: pip install 'dbx-cd[local]'") or line.endswith("Next: pip install 'dbx-cd[endpoint]'")


def test_run_dbt_names_its_extra(tmp_path: Path) -> None:
    (tmp_path / "dbt_project.yml").write_text("name: shop\nprofile: shop\n")
    (tmp_path / "profiles.yml").write_text("shop: {}\n")
    with pytest.raises(dbx_cd.SetupError, match=r"Next: pip install 'dbx-cd\[dbt\]'"):
        dbx_cd.run_dbt("parse", target="stg", project_dir=tmp_path)
