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


NOT_SUITES = {
    "a date that does not exist": (b"domain: a\nwhen: 2024-13-45\n", 2, "month must be in 1..12"),
    "a time that does not exist": (b"\nwhen: 2024-01-01T25:00:00Z\n", 2, "hour must be in 0..23"),
    "a NUL": (b"domain: a\nowner: b\x00\n", 2, "not valid YAML: the character #x0000"),
    "a number of 5000 digits": (b"domain: a\n\nrows: " + b"9" * 5000, 3, "'999999"),
    "a tag that does not fit": (b"domain: !!int ''\n", 1, "'' is no int"),
    "an alias within itself": (b"domain: a\ntables: &t\n- model: [*t]\n", 2, "stands within what it means"),
    "a nesting that is too deep": (b"a: " + b"[" * 3000, None, "nested too deeply"),
    "a long way of saying little": (
        b"a: &a [x, x, x, x, x, x, x, x, x, x]\n"
        + b"".join(b"%c: &%c [%s]\n" % (n + 1, n + 1, b", ".join([b"*%c" % n] * 10)) for n in range(97, 105)),
        1,
        "more than 100,000 values",
    ),
    "a text of another encoding": (b"domain: caf\xe9\n", None, "cannot be read"),
}


@pytest.mark.parametrize("name", NOT_SUITES)
def test_a_file_that_is_no_yaml_is_one_broken_check_with_its_line_and_the_others_are_read(
    project: Path, name: str
) -> None:
    content, line, expected = NOT_SUITES[name]
    (folder(project / "smoke") / "broken.yml").write_bytes(content)
    broken, sales = suites_in(project / "smoke")
    (check,) = broken
    assert isinstance(check, InvalidCheck)
    assert expected in check.problem
    assert check.where == "smoke/broken.yml" + (f":{line}" if line else "")
    assert len(check.problem) < 250
    assert [c.name for c in sales] == ["none"]


@pytest.mark.parametrize("name", NOT_SUITES)
def test_other_yaml_beside_and_below_ends_nothing(project: Path, name: str) -> None:
    for other in (project / "models", project / "smoke" / "data"):
        other.mkdir(parents=True)
        (other / "schema.yml").write_bytes(NOT_SUITES[name][0].replace(b"tables", b"sources"))
    assert suites_in(project / "smoke") == []
    assert len(problems(project / "smok")) == 1


def test_a_suite_below_is_known_by_its_keys_whatever_is_wrong_in_it(project: Path) -> None:
    folder(project / "smoke" / "sales", f"{SUITE}\nwhen: 2024-13-45\n")
    assert problems(project / "smoke") == ["sales/sales.yml is a suite, and suites are read from smoke/ itself alone"]


def test_a_file_or_a_broken_link_in_the_place_of_the_folder_is_broken(project: Path) -> None:
    (project / "smoke").write_text(SUITE)
    (problem,) = problems(project / "smoke")
    assert problem.startswith("smoke is a file, and suites are read from a folder: write a suite there")
    (project / "smoke").unlink()
    (project / "smoke").symlink_to("../checks")
    (problem,) = problems(project / "smoke")
    assert problem.startswith("smoke is a link to ../checks, which is not there: write a suite there")


def test_a_suite_that_is_a_link_to_nothing_is_broken(project: Path) -> None:
    (folder(project / "smoke") / "orders.yml").symlink_to("../gone.yml")
    (problem,) = problems(project / "smoke")
    assert problem.startswith("cannot be read: [Errno 2]")


def test_a_folder_that_cannot_be_looked_for_is_broken(project: Path) -> None:
    (problem,) = problems(project / ("x" * 300))
    assert "cannot be read: [Errno 36] File name too long" in problem
