"""Suites that are not where they are looked for do not pass for none."""

from __future__ import annotations

from pathlib import Path

import pytest

from dbx_cd import CdConfig
from dbx_cd.smoke.checks import InvalidCheck
from dbx_cd.smoke.folder import suites_in

SUITE = "assertions: [{name: none, sql: select 1 where false}]"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "dbt_project.yml").write_text("name: shop\n")
    return tmp_path


def folder(path: Path, text: str | None = SUITE, name: str = "sales.yml") -> Path:
    path.mkdir(parents=True, exist_ok=True)
    if text is not None:
        (path / name).write_text(text)
    return path


def problems(path: Path) -> list[str]:
    """What is broken, of everything that is in the folder."""
    return [check.problem for suite in suites_in(path) for check in suite if isinstance(check, InvalidCheck)]


def test_a_project_need_not_have_the_default_folder(project: Path) -> None:
    assert suites_in(project / "smoke") == []
    folder(project / "smoke", None)
    assert suites_in(project / "smoke") == []


def test_a_folder_that_the_settings_name_must_be_there(project: Path) -> None:
    for name in ("checks", "smoke", "more/smoke"):
        (project / "dbx_cd.yml").write_text(f"smoke_dir: {name}\n")
        (problem,) = problems(CdConfig.load(project).smoke_dir)
        last = name.rpartition("/")[2]
        assert problem == f"there is no folder {last}/: write a suite there, or correct `smoke_dir` in dbx_cd.yml"


def test_a_folder_that_the_settings_name_must_hold_a_suite(project: Path) -> None:
    (project / "dbx_cd.yml").write_text("smoke_dir: checks\n")
    folder(project / "checks", "class ExpectSomething: ...", "own.py")
    (problem,) = problems(CdConfig.load(project).smoke_dir)
    assert problem.startswith("the folder checks/ holds no suite: write a suite there")
    folder(project / "smoke")
    (problem,) = problems(project / "checks")
    assert problem.endswith("correct `smoke_dir` in dbx_cd.yml (smoke/ has some)")


def test_a_misspelt_folder_is_named_with_the_one_that_is_meant(project: Path) -> None:
    folder(project / "smoke_tests")
    (problem,) = problems(project / "smoke_test")
    assert problem.startswith("there is no folder smoke_test/, and smoke_tests/ beside it has suites")
    (problem,) = problems(project / "smoke")
    assert problem.startswith("there is no folder smoke/, and smoke_tests/ beside it has suites")


def test_folders_with_other_yaml_are_not_taken_for_suites(project: Path) -> None:
    folder(project / "smoked", "sources: [{name: raw, tables: [{name: orders}]}]")
    folder(project / "smokes", "tables: [")
    assert suites_in(project / "smoke") == []


def test_a_suite_in_a_folder_below_is_broken_and_the_others_are_read(project: Path) -> None:
    folder(project / "smoke" / "sales", name="orders.yaml")
    folder(project / "smoke" / "data", "rows: [1]")
    folder(project / "smoke" / ".hidden")
    expected = ["sales/orders.yaml is a suite, and suites are read from smoke/ itself alone"]
    assert problems(project / "smoke") == expected
    folder(project / "smoke")
    assert problems(project / "smoke") == expected
    assert [suite.domain for suite in suites_in(project / "smoke")] == ["sales", "smoke"]


def test_files_are_read_whatever_their_suffix_is_written_like(project: Path) -> None:
    folder(folder(project / "smoke", name="b.YML"), name="a.yaml")
    assert [suite.domain for suite in suites_in(project / "smoke")] == ["a", "b"]


def test_outside_of_a_project_a_folder_must_be_there(tmp_path: Path) -> None:
    assert problems(tmp_path / "smoke")
