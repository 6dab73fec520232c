"""The HTML page of one notebook run: every cell with its text and displayed HTML, in order."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from html import escape
from io import TextIOBase
from pathlib import Path
from typing import TextIO

_STYLE = """body{font:14px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem}
pre{background:#f6f8fa;padding:.6rem;overflow:auto;white-space:pre-wrap}pre.error{background:#fff0f0}
section{border-top:1px solid #ddd;padding:.4rem 0}h2{font-size:1rem}summary{color:#666;cursor:pointer}"""


@dataclass
class CellOutput:
    """What one cell printed and displayed."""

    title: str
    """The cell's title, or its line."""
    source: str
    """The cell's code."""
    _parts: list[tuple[str, list[str]]] = field(default_factory=list)

    @property
    def parts(self) -> list[tuple[str, str]]:
        """(kind, content), in order."""
        return [(kind, "".join(pieces)) for kind, pieces in self._parts]

    def add(self, kind: str, content: str) -> None:
        """Append a part; consecutive text is one."""
        if self._parts and kind == "text" and self._parts[-1][0] == "text":
            # Not joined yet: a notebook may print a hundred thousand pieces.
            self._parts[-1][1].append(content)
        else:
            self._parts.append((kind, [content]))


class NotebookPage:
    """Collects the outputs of a notebook's cells; ``write`` may be called after each cell."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.cells: list[CellOutput] = []
        self._written: list[str] = []

    def open_cell(self, title: str, source: str) -> None:
        """Start a cell: what follows belongs to it."""
        self.cells.append(CellOutput(title, source))

    def add(self, kind: str, content: str) -> None:
        """Add ``text``, ``html`` or ``error`` to the current cell."""
        if not self.cells:
            self.open_cell("", "")
        self.cells[-1].add(kind, content)

    @property
    def displayed(self) -> list[str]:
        """All HTML shown by ``displayHTML`` and ``display``, in order."""
        return [content for cell in self.cells for kind, content in cell.parts if kind == "html"]

    def write(self, path: Path) -> None:
        """Write the page, whole or not at all."""
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        temporary.write_text(self.render(), encoding="utf-8")
        temporary.replace(path)

    def render(self) -> str:
        """The page as one HTML document."""
        for cell in self.cells[len(self._written) : -1]:  # nothing is added to these any more
            self._written.append(_cell(len(self._written) + 1, cell))
        last = [_cell(len(self.cells), cell) for cell in self.cells[-1:]]
        cells = "\n".join([*self._written, *last])
        title = escape(self.title)
        head = f'<meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
        return f"<!doctype html><html><head>{head}</head><body><h1>{title}</h1>\n{cells}\n</body></html>\n"


def _cell(number: int, cell: CellOutput) -> str:
    source = f"<details><summary>source</summary><pre>{escape(cell.source)}</pre></details>"
    parts = "\n".join(_part(kind, content) for kind, content in cell.parts)
    return f"<section><h2>{number}. {escape(cell.title)}</h2>{source}\n{parts}</section>"


def _part(kind: str, content: str) -> str:
    if kind == "html":  # a shadow root keeps the styles of a displayed page away from this one
        return f'<div><template shadowrootmode="open">{content}</template></div>'
    return f'<pre class="{kind}">{escape(content)}</pre>'


class Tee(TextIOBase):
    """A stream that writes to the real output and to the page."""

    def __init__(self, page: NotebookPage, stream: TextIO) -> None:
        self._page = page
        self._stream = stream

    def write(self, text: str) -> int:
        """Write through at once, so that a terminal can follow."""
        self._page.add("text", text)
        self._stream.write(text)
        self._stream.flush()
        return len(text)

    def flush(self) -> None:
        """Flush the real output."""
        self._stream.flush()

    def writable(self) -> bool:
        """Always."""
        return True

    def fileno(self) -> int:
        """The real output's descriptor: subprocesses write there, past the page."""
        return self._stream.fileno()


def capture(page: NotebookPage) -> None:
    """From now on everything printed goes to the page as well."""
    sys.stdout = Tee(page, sys.stdout)
    sys.stderr = Tee(page, sys.stderr)
