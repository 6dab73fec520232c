"""Executes the cells of a notebook in one namespace, as a Databricks notebook does."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dbx_cd.local.notebooks.dbutils import DBUtils, RestartPython
from dbx_cd.local.notebooks.page import NotebookPage
from dbx_cd.local.notebooks.source import Cell, read_notebook

_SHOWN_ROWS = 100
_MAX_RUN_DEPTH = 20


class NotebookCells:
    """One notebook and the state of its Python interpreter.

    Args:
        notebook: the notebook's file.
        page: where outputs go.
        dbutils: the notebook's ``dbutils``; survives a restart of Python.
        spark: the notebook's ``spark``.
    """

    def __init__(self, notebook: Path, *, page: NotebookPage, dbutils: DBUtils, spark: object) -> None:
        self._notebook = notebook
        self._page = page
        self._builtins: dict[str, Any] = {
            "__name__": "__main__",
            "__builtins__": __builtins__,
            "dbutils": dbutils,
            "spark": spark,
            "display": self.display,
            "displayHTML": self.display_html,
        }
        self._spark: Any = spark
        self._namespace = dict(self._builtins)

    def run(self, *, after_each: Callable[[], None]) -> None:
        """Run all cells in order; an exception of a cell ends the run and propagates.

        Args:
            after_each: called after each cell, also after the one that failed.
        """
        for cell in read_notebook(self._notebook):
            self._page.open_cell(cell.title or f"line {cell.line}", cell.source)
            try:
                self._run_cell(cell, self._notebook, depth=0)
            except RestartPython:
                self._namespace.clear()
                self._namespace.update(self._builtins)
            finally:
                after_each()

    def display_html(self, html: object) -> None:
        """``displayHTML``: show HTML below the cell."""
        self._page.add("html", str(html))

    def display(self, value: Any = None, *_arguments: object, **_options: object) -> None:
        """``display``: a Spark or pandas table, anything with ``_repr_html_``, or text."""
        if hasattr(value, "limit") and hasattr(value, "toPandas"):
            value = value.limit(_SHOWN_ROWS).toPandas()
        html = value._repr_html_() if hasattr(value, "_repr_html_") else None
        if html is not None:
            self._page.add("html", str(html))
        else:
            _write_line(value if isinstance(value, str) else repr(value))

    def _run_cell(self, cell: Cell, path: Path, *, depth: int) -> None:
        match cell.magic:
            case "python":
                self._python(cell.source, path, cell.line)
            case "md":
                self._page.add("markdown", cell.source)
            case "sql":
                self._sql(cell.source)
            case "pip":
                self._pip(cell, path)
            case "sh":
                self._shell(cell.source)
            case "run":
                self._run_other(cell, path, depth=depth)
            case _:
                raise NotImplementedError(
                    f"{path}:{cell.line}: magic %{cell.magic} is not supported by the embedded workspace"
                )

    def _python(self, source: str, path: Path, line: int) -> None:
        """Execute, and show the value of the last expression, as notebooks do."""
        # Empty lines in front make line numbers of tracebacks those of the file.
        tree = ast.parse("\n" * (line - 1) + source, str(path))
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, str(path), "exec"), self._namespace)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), str(path), "eval"), self._namespace)
            if value is not None:
                self.display(value)

    def _sql(self, source: str) -> None:
        import sqlparse

        for statement in sqlparse.split(source, strip_semicolon=True):
            if statement.strip():
                frame = self._spark.sql(statement)
                self._namespace["_sqldf"] = frame
                self.display(frame)

    def _pip(self, cell: Cell, path: Path) -> None:
        """Installs nothing: the embedded workspace has one set of packages. The restart of Python is kept."""
        rest = []
        for line in cell.source.split("\n"):
            if line.startswith("%pip"):
                _write_line(f"{line}: not executed, the embedded workspace uses the packages of its own environment")
                rest.append("")
            else:
                rest.append(line)
        self._namespace.clear()
        self._namespace.update(self._builtins)
        self._python("\n".join(rest), path, cell.line)

    def _shell(self, source: str) -> None:
        strict = source.startswith("-e")
        script = source.removeprefix("-e").lstrip(" ")
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
        sys.stdout.write(done.stdout)
        sys.stderr.write(done.stderr)
        if strict and done.returncode:
            raise subprocess.CalledProcessError(done.returncode, "%sh -e")

    def _run_other(self, cell: Cell, path: Path, *, depth: int) -> None:
        """``%run``: another notebook's cells in this notebook's namespace."""
        match = re.fullmatch(r'"?(\.{1,2}/[^"$]*?|[^/"$][^"$]*?)"?', cell.source.strip())
        if match is None:
            raise NotImplementedError(
                f"{path}:{cell.line}: %run takes a relative path and no arguments in the embedded workspace"
            )
        other = (path.parent / f"{match.group(1)}.py").resolve()
        if not other.is_file():
            raise FileNotFoundError(f"{path}:{cell.line}: %run: notebook not found: {other}")
        if depth >= _MAX_RUN_DEPTH:
            raise RecursionError(f"{path}:{cell.line}: %run nests more than {_MAX_RUN_DEPTH} notebooks")
        for inner in read_notebook(other):
            self._run_cell(inner, other, depth=depth + 1)


def _write_line(text: str) -> None:
    """To the notebook's own output, as its ``print`` does."""
    sys.stdout.write(f"{text}\n")
