from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from local_rest import HEADER, SEPARATOR, source

from dbx_cd.local.notebooks.cells import NotebookCells
from dbx_cd.local.notebooks.dbutils import DBUtils, NotebookExit
from dbx_cd.local.notebooks.page import NotebookPage, Tee
from dbx_cd.local.notebooks.process import NotebookOrder
from dbx_cd.local.notebooks.source import NotebookFormatError, read_notebook
from dbx_cd.local.notebooks.spark import NoSpark

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(*cells: str, name: str = "notebook.py") -> Path:
        file = tmp_path / name
        file.write_text(source(*cells), encoding="utf-8")
        return file

    return write


class Ran:
    """A notebook run in this process."""

    def __init__(self, notebook: Path, *, spark: object = None, **parameters: str) -> None:
        self.page = NotebookPage("test")
        given = {"up": {"n": 0, "text": "x"}}
        self.dbutils = DBUtils(parameters=parameters, task_key="t", task_values=given, notebook=notebook)
        cells = NotebookCells(notebook, page=self.page, dbutils=self.dbutils, spark=spark or NoSpark())
        self.value: str | None = None
        try:
            cells.run(after_each=lambda: None)
        except NotebookExit as exc:
            self.value = exc.value


def test_cells_have_their_line_in_the_file(write: Write) -> None:
    cells = read_notebook(write("a = 1", "# DBTITLE 1,Second, with comma\nb = 2", "\n\nc = 3\n"))
    lines = write("a = 1", "# DBTITLE 1,Second, with comma\nb = 2", "\n\nc = 3\n").read_text().splitlines()
    assert [cell.source for cell in cells] == ["a = 1", "b = 2", "c = 3"]
    assert [lines[cell.line - 1] for cell in cells] == ["a = 1", "b = 2", "c = 3"]
    assert [cell.title for cell in cells] == [None, "Second, with comma", None]


def test_magic_cells_lose_their_prefix(write: Write) -> None:
    cells = read_notebook(
        write(
            "# MAGIC %md\n# MAGIC # Title\n# MAGIC\n# MAGIC text",
            "# MAGIC %sql select 1",
            "# MAGIC %python\n# MAGIC x = 1",
            "# MAGIC %run ./other",
            "# MAGIC %pip install a\n# MAGIC import b",
        )
    )
    assert [(cell.magic, cell.source) for cell in cells] == [
        ("md", "\n# Title\n\ntext"),
        ("sql", "select 1"),
        ("python", "\nx = 1"),
        ("run", "./other"),
        ("pip", "%pip install a\nimport b"),
    ]


ENVIRONMENT = """\
# /// script
# [tool.databricks.environment]
# environment_version = "4"
# dependencies = ["/Volumes/a/b/c/x.whl"]
# ///
"""


def test_the_environment_below_the_header_is_no_cell_and_moves_no_line(write: Write) -> None:
    file = write("# MAGIC %md\n# MAGIC # Title", "x = 1")
    first, _, rest = file.read_text().partition("\n")
    before = read_notebook(file)
    file.write_text(f"{first}\n{ENVIRONMENT}{rest}")
    cells = read_notebook(file)
    assert [(cell.magic, cell.source) for cell in cells] == [(cell.magic, cell.source) for cell in before]
    assert [cell.line for cell in cells] == [cell.line + 5 for cell in before]


@pytest.mark.parametrize(
    "text", ["# /// script\n# a = 1\nx = 1\n# ///\n", "# /// script\n# a = 1\n", "# /// other\n# ///\n"]
)
def test_what_is_no_environment_is_a_cell(write: Write, text: str) -> None:
    file = write("y = 1")
    file.write_text(file.read_text().replace("y = 1", f"{text}y = 1"))
    assert read_notebook(file)[0].source.startswith("# ///")


def test_a_notebook_s_project_is_found_by_its_own_path_wherever_it_works(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on serverless compute, where nothing promises the working directory."""
    (tmp_path / "repository" / "dbt").mkdir(parents=True)
    (tmp_path / "repository" / "notebooks").mkdir()
    (tmp_path / "elsewhere" / "dbt").mkdir(parents=True)
    for project in ("repository", "elsewhere"):
        (tmp_path / project / "dbt" / "dbt_project.yml").write_text("name: shop\n")
    monkeypatch.chdir(tmp_path / "elsewhere")
    notebook = write(
        "from dbx_cd.release.context import find_project",
        "dbutils.notebook.exit(find_project('dbt', dbutils=dbutils))",
        name="repository/notebooks/run_dbt.py",
    )
    assert Ran(notebook).value == str(tmp_path / "repository" / "dbt")


def test_comments_that_look_like_separators_are_code(write: Write) -> None:
    text = 'x = """\n# COMMAND --------\n"""\n# COMMAND: not one'
    assert [cell.source for cell in read_notebook(write(text))] == [text]


def test_windows_line_ends_and_a_byte_order_mark_are_read(tmp_path: Path) -> None:
    file = tmp_path / "notebook.py"
    text = "\ufeff" + HEADER + "a = 1" + SEPARATOR + "b = 2\n"
    file.write_bytes(text.replace("\n", "\r\n").encode())
    assert [cell.source for cell in read_notebook(file)] == ["a = 1", "b = 2"]


def test_plain_python_file_is_no_notebook(tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    file.write_text("x = 1\n")
    with pytest.raises(NotebookFormatError, match=r"module\.py"):
        read_notebook(file)


def test_magic_mixed_with_code_is_refused_with_its_line(write: Write) -> None:
    with pytest.raises(NotebookFormatError, match=r"notebook\.py:2"):
        read_notebook(write("# MAGIC %sql select 1\nx = 1"))


def test_cells_share_one_namespace(write: Write) -> None:
    assert Ran(write("x = 20", "def double():\n    return 2 * x", "dbutils.notebook.exit(double() + 2)")).value == "42"


def test_value_of_the_last_expression_is_shown(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    Ran(write("x = 5\nx + 1", "x = 6", "None"))
    assert capsys.readouterr().out == "6\n"


def test_displayed_html_is_kept_in_order(write: Write) -> None:
    class_with_html = "class Page:\n    def _repr_html_(self): return '<b>two</b>'"
    ran = Ran(write("displayHTML('<i>one</i>')", class_with_html, "Page()", "display(Page())"))
    assert ran.page.displayed == ["<i>one</i>", "<b>two</b>", "<b>two</b>"]
    assert "<i>one</i>" in ran.page.render()


def test_page_escapes_printed_text(write: Write) -> None:
    page = NotebookPage("<script>")
    page.open_cell("<script>", "<script>")
    page.add("text", "<script>")
    assert "<script>" not in page.render()


def test_restart_and_pip_drop_variables_but_not_widgets(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    exists = "dbutils.notebook.exit(str('x' in dir()) + dbutils.widgets.get('w'))"
    declare = "x = 1\ndbutils.widgets.text('w', 'kept')"
    assert Ran(write(declare, "dbutils.library.restartPython()\nx = 2", exists)).value == "Falsekept"
    assert Ran(write(declare, "# MAGIC %pip install dbx_cd.whl", exists)).value == "Falsekept"
    assert "%pip install dbx_cd.whl: not executed" in capsys.readouterr().out


def test_run_executes_another_notebook_in_this_namespace(write: Write) -> None:
    write("shared = 'from other'", name="other.py")
    assert Ran(write("# MAGIC %run ./other", "dbutils.notebook.exit(shared)")).value == "from other"


def test_run_of_a_missing_notebook_says_where(write: Write) -> None:
    with pytest.raises(FileNotFoundError, match=r"notebook\.py:2.*nowhere\.py"):
        Ran(write("# MAGIC %run ./nowhere"))


def test_notebook_that_runs_itself_ends(write: Write) -> None:
    with pytest.raises(RecursionError, match="nests more than"):
        Ran(write("# MAGIC %run ./notebook"))


@pytest.mark.parametrize("magic", ["scala", "r", "fs"])
def test_unsupported_magics_are_named(write: Write, magic: str) -> None:
    with pytest.raises(NotImplementedError, match=f"%{magic}"):
        Ran(write(f"# MAGIC %{magic} x"))


def test_shell_cell_prints_and_fails_only_with_e(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    Ran(write("# MAGIC %sh echo from shell; false"))
    assert capsys.readouterr().out == "from shell\n"
    with pytest.raises(Exception, match="%sh -e"):
        Ran(write("# MAGIC %sh -e\n# MAGIC false"))


class FakeSpark:
    """Records statements; a frame is its statement."""

    def sql(self, statement: str) -> str:
        return statement


def test_sql_cell_runs_each_statement_and_sets_sqldf(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    cells = write("# MAGIC %sql\n# MAGIC select ';' as x;\n# MAGIC select 2;", "dbutils.notebook.exit(_sqldf)")
    assert Ran(cells, spark=FakeSpark()).value == "select 2"
    assert capsys.readouterr().out == "select ';' as x\nselect 2\n"


def test_widgets_take_given_values_over_defaults(write: Write) -> None:
    cells = write(
        "dbutils.widgets.text('a', 'default')\ndbutils.widgets.dropdown('b', 'x', ['x', 'y'])\n"
        "dbutils.widgets.combobox('c', 'free', ['x'])\ndbutils.widgets.multiselect('d', 'x', ['x', 'y'])",
        "import json\ndbutils.notebook.exit(json.dumps(dbutils.widgets.getAll()))",
    )
    assert json.loads(Ran(cells, a="given").value) == {"a": "given", "b": "x", "c": "free", "d": "x"}


def test_undefined_widget_and_wrong_default_are_errors(write: Write) -> None:
    with pytest.raises(ValueError, match="InputWidgetNotDefined: no widget named 'x'"):
        Ran(write("dbutils.widgets.get('x')"))
    with pytest.raises(ValueError, match="not one of its choices"):
        Ran(write("dbutils.widgets.dropdown('b', 'z', ['x', 'y'])"))


def test_task_values_of_other_tasks_and_defaults(write: Write) -> None:
    get = "dbutils.jobs.taskValues.get"
    assert Ran(write(f"dbutils.notebook.exit({get}('up', 'n', default=7))")).value == "0"
    assert Ran(write(f"dbutils.notebook.exit({get}('up', 'other', default=7))")).value == "7"
    with pytest.raises(ValueError, match="task 'up' has set no task value 'other'"):
        Ran(write(f"{get}('up', 'other', debugValue=1)"))


def test_process_ends_with_its_workspace(write: Write, tmp_path: Path) -> None:
    notebook = write("import time\nprint('started', flush=True)\ntime.sleep(600)")
    order = NotebookOrder(
        notebook=str(notebook),
        title="test",
        task_key="t",
        job_group="g",
        user="bot",
        result_file=str(tmp_path / "result.json"),
        page_file=str(tmp_path / "page.html"),
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "dbx_cd.local.notebooks.process"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(order.to_dict()) + "\n")
    process.stdin.flush()
    assert process.stdout.readline() == "started\n"
    process.stdin.close()  # what the death of the workspace does
    assert process.wait(timeout=30) == -signal.SIGKILL
    process.stdout.close()


def test_output_is_written_through_and_kept(capsys: pytest.CaptureFixture[str]) -> None:
    page = NotebookPage("test")
    print("line", file=Tee(page, sys.stdout))
    assert capsys.readouterr().out == "line\n"
    assert page.cells[0].parts == [("text", "line\n")]
