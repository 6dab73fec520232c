from __future__ import annotations

import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Protocol

import pytest

from dbx_cd import ConfigError, start_task
from dbx_cd.local.notebooks.dbutils import EntryPoint
from dbx_cd.notebook import read_widgets
from dbx_cd.release.context import find_project

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


class Widgets(Protocol):
    """What the notebooks use of `dbutils.widgets`."""

    def text(self, name: str, defaultValue: str) -> None: ...  # noqa: N803

    def get(self, name: str) -> str: ...


class JobWidgets(Widgets):
    """Widgets as a job fills them: a parameter of the run wins over the default that the notebook declares."""

    def __init__(self, **parameters: str) -> None:
        self.parameters = parameters
        self.declared: dict[str, str] = {}

    def text(self, name: str, defaultValue: str) -> None:  # noqa: N803
        self.declared[name] = defaultValue

    def get(self, name: str) -> str:
        return self.parameters.get(name, self.declared[name])


class Dbutils:
    def __init__(self, **parameters: str) -> None:
        self.widgets = JobWidgets(**parameters)


def read(widgets: dict[str, str | bool], **parameters: str) -> dict[str, Any]:
    return read_widgets(Dbutils(**parameters), widgets)


def test_parameters_not_given_have_their_defaults_typed_as_they_are() -> None:
    assert read({"cmd": "build", "select": "", "defer": False, "tiny": True}) == {
        "cmd": "build", "select": "", "defer": False, "tiny": True,
    }  # fmt: skip


def test_given_parameters_win() -> None:
    assert read({"cmd": "build", "defer": False}, cmd="run", defer="true") == {"cmd": "run", "defer": True}


def test_parameters_not_asked_for_are_not_read() -> None:
    assert read({"cmd": "build"}, cmd="run", other="x") == {"cmd": "run"}


@pytest.mark.parametrize("text", ["true", "True", " TRUE ", "1", "yes"])
def test_text_that_means_true(text: str) -> None:
    assert read({"defer": False}, defer=text) == {"defer": True}


@pytest.mark.parametrize("text", ["false", "False", "0", "no", ""])
def test_text_that_means_false(text: str) -> None:
    assert read({"defer": True}, defer=text) == {"defer": False}


@pytest.mark.parametrize("text", ["ture", "2", "{{job.parameters.defer}}", "None", "on"])
def test_text_that_is_no_boolean_is_refused_by_its_name(text: str) -> None:
    with pytest.raises(ConfigError, match=r"must be true or false, not .*parameter defer"):
        read({"defer": False}, defer=text)


def test_text_is_freed_of_spaces_around_it() -> None:
    assert read({"select": ""}, select=" tag:deploy ") == {"select": "tag:deploy"}


def test_text_that_looks_like_a_boolean_stays_text() -> None:
    assert read({"select": ""}, select="true") == {"select": "true"}


def test_widgets_are_declared_with_the_defaults_as_text() -> None:
    dbutils = Dbutils()
    read_widgets(dbutils, {"cmd": "build", "defer": False})
    assert dbutils.widgets.declared == {"cmd": "build", "defer": "false"}


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a project in a folder, seen from its notebooks."""
    for folder in ("notebooks", "dbt"):
        (tmp_path / "repository" / folder).mkdir(parents=True)
    (tmp_path / "repository" / "dbt" / "dbt_project.yml").write_text("name: shop\n")
    monkeypatch.chdir(tmp_path / "repository" / "notebooks")
    return tmp_path / "repository"


def test_project_is_found_from_the_folder_of_the_notebook(repository: Path) -> None:
    assert find_project("dbt") == repository / "dbt"


def test_project_at_the_root_of_the_repository_is_found(repository: Path) -> None:
    (repository / "dbt_project.yml").write_text("name: shop\n")
    assert find_project(".") == repository


def test_nearest_project_counts(repository: Path) -> None:
    (repository.parent / "dbt").mkdir()
    (repository.parent / "dbt" / "dbt_project.yml").write_text("name: other\n")
    assert find_project("dbt") == repository / "dbt"


def test_absolute_path_of_a_project_is_taken_as_it_is(repository: Path) -> None:
    assert find_project(repository / "dbt") == repository / "dbt"


def test_missing_project_says_where_it_was_looked_for(repository: Path) -> None:
    with pytest.raises(ConfigError, match=r"no dbt project at 'wrong' .*relative to the root") as raised:
        find_project("wrong")
    assert raised.value.where == str(repository / "notebooks")


def test_a_task_that_does_not_say_its_target_takes_none_for_granted() -> None:
    given = Dbutils(run_id="1", commit="a" * 40)
    with pytest.raises(ConfigError, match="the task does not say its target"):
        start_task(given, None, target="")  # type: ignore[arg-type]


@pytest.mark.parametrize("notebook", sorted(NOTEBOOKS.glob("*.py")), ids=lambda path: path.stem)
def test_no_notebook_knows_what_targets_are_called(notebook: Path) -> None:
    assert not re.search(r"[\"'](stg|prod)[\"']", notebook.read_text())


class Context(EntryPoint):
    """`dbutils` of a notebook whose context gives this for its path, or fails with it."""

    def __init__(self, path: object) -> None:
        super().__init__("")
        self.path = path
        self.notebook = SimpleNamespace(entry_point=self)  # type: ignore[assignment, method-assign]

    def getDbutils(self) -> Any:  # noqa: N802
        return SimpleNamespace(notebook=lambda: self)

    def notebookPath(self) -> Any:  # noqa: N802
        return self

    def get(self) -> object:
        if isinstance(self.path, Exception):
            raise self.path
        return self.path


def test_the_notebook_s_own_path_comes_before_the_working_directory(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    assert find_project("dbt", dbutils=Context(f"{repository}/notebooks/run_dbt")) == repository / "dbt"


@pytest.mark.parametrize("path", [None, 7, "relative", RuntimeError("no context"), "/nowhere/at/all"])
def test_without_a_path_that_is_there_the_working_directory_counts(
    repository: Path, monkeypatch: pytest.MonkeyPatch, path: object
) -> None:
    monkeypatch.chdir(repository / "notebooks")
    assert find_project("dbt", dbutils=Context(path)) == repository / "dbt"


def test_an_interactive_notebook_is_found_by_what_ipython_knows(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    shell = SimpleNamespace(user_ns={"dbutils": Context(f"{repository}/notebooks/approve")})
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    assert find_project("dbt") == repository / "dbt"


def test_both_places_are_named_where_neither_has_the_project(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=rf"no dbt project at 'wrong'.*{repository}/notebooks or {tmp_path}"):
        find_project("wrong", dbutils=Context(f"{repository}/notebooks/run_dbt"))
