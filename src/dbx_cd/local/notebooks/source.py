"""Parser of Databricks notebooks in source format: a Python file whose comments hold the cells.

Format (public documentation, "Export and import Databricks notebooks"): the first line is the header, ``# COMMAND``
lines separate cells, ``# MAGIC`` lines hold what is not Python, ``# DBTITLE`` gives a cell a title.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dbx_cd.errors import DbxCdError

HEADER = "# Databricks notebook source"
_METADATA = "# /// script"
_SEPARATOR = re.compile(r"# COMMAND -{10}\s*")
_TITLE = re.compile(r"# DBTITLE \d+,(.*)")
_MAGIC = re.compile(r"# MAGIC ?")
_LANGUAGE = re.compile(r"%([a-z]+)(?:\s+|$)")


class NotebookFormatError(DbxCdError):
    """A file that is not a notebook in source format, or a cell that mixes magic and code."""


@dataclass(frozen=True)
class Cell:
    """One cell of a notebook."""

    magic: str
    """``python``, ``md``, ``sql``, ``run``, ``pip``, ``sh``, ..."""
    source: str
    """Its text, without the magic."""
    line: int
    """Its first line in the file, from 1."""
    title: str | None = None
    """Its title, if it has one."""


def read_notebook(path: Path) -> list[Cell]:
    """The cells of a notebook file, empty ones left out.

    Raises:
        NotebookFormatError: no header, or a cell mixes magic and code.
    """
    lines = _without_metadata(path.read_text(encoding="utf-8").splitlines())
    if not lines or lines[0].lstrip("\ufeff").rstrip() != HEADER:
        raise NotebookFormatError(
            "Not a notebook in source format", where=path, next_step=f"start the file with '{HEADER}'"
        )
    return [cell for block, line in _blocks(lines) if (cell := _cell(block, line, path)) is not None]


def _without_metadata(lines: list[str]) -> list[str]:
    """Lines with the environment that the platform writes below the header as empty ones: it is no cell.

    The form is that of inline script metadata: from `# /// script` to `# ///`, all of it comments (PEP 723).
    """
    if len(lines) < 2 or lines[1].rstrip() != _METADATA:
        return lines
    end = next((n for n, line in enumerate(lines) if n > 1 and line.rstrip() == "# ///"), None)
    if end is None or not all(line.startswith("#") for line in lines[1:end]):
        return lines
    return [lines[0], *([""] * end), *lines[end + 1 :]]


def _blocks(lines: list[str]) -> Iterator[tuple[list[str], int]]:
    """The lines between separators, with the number of the first."""
    start = 1
    for index in range(1, len(lines) + 1):
        if index == len(lines) or _SEPARATOR.fullmatch(lines[index]):
            yield lines[start:index], start + 1
            start = index + 1


def _cell(lines: list[str], line: int, path: Path) -> Cell | None:
    title: str | None = None
    while lines and (not lines[0].strip() or _TITLE.fullmatch(lines[0])):
        match = _TITLE.fullmatch(lines[0])
        title = match.group(1).strip() if match else title
        lines, line = lines[1:], line + 1
    while lines and not lines[-1].strip():
        lines = lines[:-1]
    if not lines:
        return None
    marked = [bool(_MAGIC.match(text)) for text in lines]
    if not any(marked):
        return Cell("python", "\n".join(lines), line, title)
    if not all(mark or not text.strip() for mark, text in zip(marked, lines, strict=True)):
        raise NotebookFormatError("A cell mixes '# MAGIC' lines and code", where=f"{path}:{line}")
    return _magic_cell([_MAGIC.sub("", text, count=1) for text in lines], line, title)


def _magic_cell(lines: list[str], line: int, title: str | None) -> Cell:
    match = _LANGUAGE.match(lines[0])
    if match is None:  # "# MAGIC" in front of plain Python is what the platform writes for a cell in %python
        return Cell("python", "\n".join(lines), line, title)
    magic = match.group(1)
    if magic == "pip":  # may be followed by Python lines, so keep the magic itself
        return Cell(magic, "\n".join(lines), line, title)
    first = lines[0][match.end() :]
    return Cell(magic, "\n".join([first, *lines[1:]]), line, title)
