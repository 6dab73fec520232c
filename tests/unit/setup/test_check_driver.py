from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest
from check_projects import only, project, scene, statuses

from dbx_cd.setup import check_driver


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("16.4", "ok"),
        ("17.3", "ok"),
        ("18.0", "ok"),
        ("15.4", "fail"),
        ("16.3", "fail"),
        ("client.4.0", "ok"),
        (None, "skipped"),
    ],
)
def test_the_runtime_is_new_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str | None, expected: str
) -> None:
    monkeypatch.delenv("DATABRICKS_RUNTIME_VERSION", raising=False)
    if version is not None:
        monkeypatch.setenv("DATABRICKS_RUNTIME_VERSION", version)
    assert only(check_driver.runtime(scene(project(tmp_path)))).status == expected


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
    assert statuses(check_driver.packages(scene(project(tmp_path)))) == expected
