from __future__ import annotations

import platform
from importlib import metadata
from pathlib import Path

import pytest
from check_projects import only, project, scene, statuses

from dbx_cd import ConfigError
from dbx_cd.setup.check import of_driver


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("16.4", "warn"),  # whose Python is not this one
        ("18.0", "warn"),
        ("15.4", "fail"),
        ("16.3", "fail"),
        ("client.1.0", "fail"),
        (None, "skipped"),
    ],
)
def test_the_runtime_is_new_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str | None, expected: str
) -> None:
    monkeypatch.delenv("DATABRICKS_RUNTIME_VERSION", raising=False)
    if version is not None:
        monkeypatch.setenv("DATABRICKS_RUNTIME_VERSION", version)
    found = scene(project(tmp_path))
    found.facts["sql"] = (Session(), None)
    line = only(of_driver.runtime(found))
    assert line.status == expected
    assert bool(line.next_step) == (expected in ("warn", "fail"))


class Session:
    def query(self, _statement: str) -> list[tuple[str]]:
        return [("3.5.2 0000",)]


def test_a_runtime_as_it_is_shipped_is_ok(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABRICKS_RUNTIME_VERSION", "16.4")
    monkeypatch.setattr(platform, "python_version", lambda: "3.12.3")
    found = scene(project(tmp_path))
    found.facts["sql"] = (Session(), None)
    assert only(of_driver.runtime(found)).message == "16.4 LTS"


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (["PyYAML>=6"], ["ok"]),
        (["PyYAML>=99", "no-such-package-here"], ["fail", "fail"]),
        (['no-such-package-here; extra == "dev"'], ["ok"]),
    ],
)
def test_what_the_wheel_requires_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: list[str], expected: list[str]
) -> None:
    installed = metadata.version

    def version(name: str) -> str:
        return "1.0" if name == "dbx-cd" else installed(name)

    monkeypatch.setattr(metadata, "requires", lambda _name: wanted)
    monkeypatch.setattr(metadata, "version", version)
    assert statuses(of_driver.packages(scene(project(tmp_path)))) == expected


def test_the_environment_that_dbt_runs_in_is_made_and_named(tmp_path: Path) -> None:
    line = only(of_driver.environment(scene(project(tmp_path))))
    assert (line.status, "the job's own, without requirements-dbt.txt" in line.subject) == ("ok", True)
    assert (
        f"dbt-core {metadata.version('dbt-core')}, dbt-databricks {metadata.version('dbt-databricks')}" in line.message
    )


def test_a_lock_that_is_none_is_a_failure_with_the_command_that_writes_it(tmp_path: Path) -> None:
    found = scene(project(tmp_path))
    (found.project / "requirements-dbt.txt").write_text("dbt-core\n")
    with pytest.raises(ConfigError, match="lock-dbt"):
        list(of_driver.environment(found))
