from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from bare_python import run_without

from dbx_cd import SetupError
from dbx_cd.extras import importing_extra, require_extra

IMPORT = """
try:
    {statement}
except Exception as exc:
    print(f"{{type(exc).__name__}}: {{exc}}")
"""


def one_line(ended: subprocess.CompletedProcess[str]) -> str:
    """What was printed, which must be one line."""
    printed = (ended.stdout + ended.stderr).splitlines()
    assert len(printed) == 1, "\n".join(printed)
    return printed[0]


@pytest.mark.parametrize("package", ["thrift", "pyarrow", "cryptography", "certifi"])
def test_sql_endpoint_without_a_package_names_its_extra(package: str, tmp_path: Path) -> None:
    code = IMPORT.format(statement="from dbx_cd.sql_endpoint import SqlEndpoint")
    said = one_line(run_without([package], ["-c", code], folder=tmp_path))
    assert re.fullmatch(
        rf"SetupError: the SQL endpoint needs {package}[\w.]*, which is not installed\. "
        r"Next: pip install 'dbx-cd\[endpoint\]'",
        said,
    )


@pytest.mark.parametrize("package", ["pyspark", "flask"])
def test_embedded_workspace_without_a_package_names_its_extra(package: str, tmp_path: Path) -> None:
    ended = run_without([package], ["-m", "dbx_cd.local", "up"], folder=tmp_path)
    assert ended.returncode == 1
    assert one_line(ended) == (
        f"SetupError: the embedded workspace needs {package}, which is not installed. Next: pip install 'dbx-cd[local]'"
    )


def test_java_side_without_pyspark_names_its_extra(tmp_path: Path) -> None:
    ended = run_without(["pyspark"], ["-m", "dbx_cd.local.java_catalog", "--cache-dir", "cache"], folder=tmp_path)
    assert ended.returncode == 1
    assert "pip install 'dbx-cd[local]'" in one_line(ended)


def test_run_dbt_without_dbt_names_its_extra(tmp_path: Path) -> None:
    """Although the working directory has a folder called dbt, as many projects do."""
    (tmp_path / "dbt").mkdir()
    (tmp_path / "dbt" / "dbt_project.yml").write_text("name: shop\nprofile: shop\n")
    (tmp_path / "dbt" / "profiles.yml").write_text("shop: {}\n")
    code = IMPORT.format(statement="import dbx_cd; dbx_cd.run_dbt('parse', target='stg', project_dir='dbt')")
    said = one_line(run_without(["dbt"], ["-c", code], folder=tmp_path))
    assert said == ("SetupError: run_dbt needs dbt-core, which is not installed. Next: pip install 'dbx-cd[dbt]'")


def test_missing_module_of_this_project_is_no_missing_extra() -> None:
    with pytest.raises(ModuleNotFoundError), importing_extra("local", purpose="it"):
        import dbx_cd.no_such_module  # type: ignore[import-not-found]  # noqa: F401


def test_installed_package_is_told_by_its_version() -> None:
    assert re.match(r"\d+\.", require_extra("dbt", distribution="dbt-core", purpose="it"))


def test_missing_extra_keeps_what_was_not_found() -> None:
    with pytest.raises(SetupError) as raised, importing_extra("endpoint", purpose="it"):
        import no_such_package.inside  # type: ignore[import-not-found]  # noqa: F401
    assert isinstance(raised.value.__cause__, ModuleNotFoundError)
