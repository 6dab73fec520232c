"""Whoever starts a release from a working tree is told which of its files are not in it."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from git_repositories import commit, fill, git

import dbx_cd.local.__main__ as local
from dbx_cd.artifacts.uncommitted import uncommitted, uncommitted_in_words
from dbx_cd.cli.main import main


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A dbt project in a repository, as its commit has it."""
    fill(tmp_path / "shop", {"dbt_project.yml": "name: shop\nprofile: shop\n", "profiles.yml": "shop: {}\n"})
    fill(tmp_path / "shop", {"models/orders.sql": "select 1", ".gitignore": "target/\n"})
    commit(tmp_path)
    return tmp_path / "shop"


def head(project: Path) -> str:
    return git(project, "rev-parse", "HEAD")


def change(project: Path) -> None:
    fill(project, {"models/orders.sql": "select 2", "models/größe.sql": "select 1", "target/run.sql": "ignored"})
    (project / "profiles.yml").unlink()


def test_changed_new_and_deleted_files_are_named_and_ignored_ones_are_not(project: Path) -> None:
    assert uncommitted(project, commit=head(project)) == ()
    change(project)
    assert uncommitted(project, commit=head(project)) == (
        "shop/models/größe.sql", "shop/models/orders.sql", "shop/profiles.yml",
    )  # fmt: skip


def test_settings_are_named_first_and_then_what_else_is_in_the_project(project: Path) -> None:
    names = [".github/workflows/cd.yml", "databricks.yml", *(f"notebooks/{n}.py" for n in range(10))]
    fill(project.parent, {**dict.fromkeys(names, ""), "shop/dbx_cd.yml": "", "shop/models/more.sql": ""})
    found = uncommitted(project.parent, commit=head(project), project=project)
    assert found == ("shop/dbx_cd.yml", "shop/models/more.sql", *names)
    assert "shop/dbx_cd.yml" in uncommitted_in_words(uncommitted(project.parent, commit=head(project)))


def test_a_release_of_another_commit_says_nothing_of_the_tree(project: Path) -> None:
    earlier = head(project)
    commit(fill(project, {"models/more.sql": "select 1"}))
    change(project)
    assert uncommitted(project, commit=earlier) == ()


def test_outside_of_a_repository_there_is_nothing_to_say(tmp_path: Path) -> None:
    assert uncommitted(tmp_path, commit="a" * 40) == ()


def test_many_names_are_cut() -> None:
    assert uncommitted_in_words([f"m{n}" for n in range(12)]).endswith("m8, m9 and 2 more")


SAID = "not in this release, since not committed: shop/models/größe.sql, shop/models/orders.sql, shop/profiles.yml\n"


def test_trigger_names_them_and_starts_the_release_all_the_same(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    change(project)
    monkeypatch.chdir(project)
    monkeypatch.setenv("DATABRICKS_CONFIG_FILE", str(project / "none"))
    monkeypatch.setenv("DATABRICKS_AUTH_TYPE", "pat")
    assert main(["trigger", "--commit", head(project)]) == 1, "there is no workspace here"
    said = capsys.readouterr().err
    assert said.startswith(SAID)
    assert "cannot log in to a Databricks workspace" in said


def test_a_local_run_names_them_but_not_what_the_workspace_itself_keeps(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    change(project)
    (project / "profiles.yml").write_text("shop: {outputs: {}}\n")
    fill(project / ".dbx_cd", {"catalog.json": "{}"})

    def workspace(*_: Any, **__: Any) -> SimpleNamespace:
        raise KeyboardInterrupt

    monkeypatch.setattr(local, "_workspace", workspace)
    state = str(project / ".dbx_cd")
    assert local.main(["run", "--project", str(project), "--state-dir", state]) == 130
    assert capsys.readouterr().err.startswith(SAID)


@pytest.mark.parametrize(
    ("name", "said"),
    [(b"gr\xfc.sql", "gr\\xfc.sql"), (b"a\nb.sql", "a\\nb.sql")],
    ids=["bytes that are no UTF-8", "a line break"],
)
def test_a_name_that_cannot_be_printed_is_one_line_of_text_that_any_encoding_takes(
    project: Path, name: bytes, said: str
) -> None:
    (project / "models" / os.fsdecode(name)).write_text("select 1")
    sentence = uncommitted_in_words(uncommitted(project, commit=head(project)))
    assert len(sentence.encode().splitlines()) == 1
    assert said in sentence


def test_a_commit_in_capital_letters_is_the_same_commit(project: Path) -> None:
    change(project)
    assert uncommitted(project, commit=head(project).upper()) == uncommitted(project, commit=head(project)) != ()
