"""What a notebook's source says of itself: the parameters that it reads, and what it calls."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from dbx_cd.release.job import JOB_WIDGETS

_DECLARING = ("text", "dropdown", "combobox", "multiselect")
_START = "start_task"


@dataclass(frozen=True)
class NotebookSource:
    """A notebook."""

    problem: str | None
    """Why its source cannot be read as Python; None where it can."""
    widgets: Mapping[str, str | bool | None]
    """The parameters that it reads, each with its default where the source has one."""
    has_all: bool
    """Whether these are all: whoever makes names while it runs may read others."""
    calls: frozenset[str]
    """The functions of dbx_cd that it calls."""
    sets: frozenset[str]
    """The keys of task values that it sets."""
    sets_others: bool
    """Whether it sets task values under keys that it makes while it runs."""

    @property
    def starts_task(self) -> bool:
        """Whether it is a task of the Workflow."""
        return _START in self.calls


def read_notebook(file: Path) -> NotebookSource:
    """Read a notebook in Python's source format; a file that is no Python has a `problem`."""
    try:
        return _read(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as exc:
        return NotebookSource(str(exc), {}, False, frozenset(), frozenset(), True)


@lru_cache(maxsize=64)
def _read(text: str) -> NotebookSource:
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError) as exc:
        return NotebookSource(str(exc), {}, False, frozenset(), frozenset(), True)
    ours = dict(_imported(tree))
    widgets: dict[str, str | bool | None] = {}
    calls, sets, has_all, sets_others = set(), set(), True, False
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        name = ast.unparse(call.func)
        if _called(name, ours):
            calls.add(_called(name, ours))
        if _called(name, ours) == _START:
            has_all &= all(keyword.arg is not None for keyword in call.keywords)
            widgets |= {keyword.arg: _constant(keyword.value) for keyword in call.keywords if keyword.arg}
            widgets = {**dict.fromkeys(JOB_WIDGETS, ""), **widgets}
        elif name.endswith("widgets.getAll"):
            has_all = False
        elif ".widgets." in name and name.rpartition(".")[2] in (*_DECLARING, "get"):
            names = [arg for arg in call.args[:1] if isinstance(arg, ast.Constant)]
            has_all &= bool(names)
            default = _constant(call.args[1]) if len(call.args) > 1 else None
            widgets |= {str(n.value): default for n in names if widgets.get(str(n.value)) is None}
        elif name.endswith("taskValues.set"):
            key = next((k.value for k in call.keywords if k.arg == "key"), next(iter(call.args), None))
            sets_others |= not isinstance(key, ast.Constant)
            sets |= {str(key.value)} if isinstance(key, ast.Constant) else set()
    return NotebookSource(None, widgets, has_all, frozenset(calls), frozenset(sets), sets_others)


def _imported(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """What is imported of dbx_cd: each name as the notebook has it, and as it is called there."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "dbx_cd":
            yield from ((alias.asname or alias.name, alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((a.asname or a.name, "") for a in node.names if a.name.split(".")[0] == "dbx_cd")


def _called(name: str, ours: Mapping[str, str]) -> str:
    """The function of dbx_cd that is called by a name; "" for any other."""
    first, _, inside = name.partition(".")
    return inside.rpartition(".")[2] if inside and first in ours else ours.get(name, "")


def _constant(node: ast.expr) -> str | bool | None:
    value = node.value if isinstance(node, ast.Constant) else None
    return value if isinstance(value, str | bool) else None
