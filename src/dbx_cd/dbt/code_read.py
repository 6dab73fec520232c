"""What the code of a node reads beside relations: macros, through any number of others, and variables by name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

from dbx_cd.dbt.artifacts import Manifest, Node
from dbx_cd.dbt.given_macros import JINJA, is_of_dbt, names_relations
from dbx_cd.dbt.project_state import strings

_WORD = re.compile(r"[A-Za-z_]\w*")
# `var('day')`, `var("day", 1)` and `var.has_var('day')`.
_NAMED = re.compile(r"""\bvar\s*(?:\.\s*has_var\s*)?\(\s*(['"])([^'"]*)\1\s*[,)]""")
_ANY = re.compile(r"\bvar\b")
_PARTS = ("raw_code", "config", "unrendered_config", "test_metadata", "columns", "constraints")


class CodeRead:
    """Looks up what nodes of one manifest read.

    dbt itself knows of the macros that a node's code calls by name. Not of those that it hands on as a value (dbt-core
    issue 8526), nor of the materialization, nor of the macros of dbt that the project overrides.

    Args:
        manifest: the manifest.
    """

    def __init__(self, manifest: Manifest) -> None:
        self._macros = manifest.macros
        self._root = manifest.project_name
        self._texts: dict[str, str] = {}
        self._next: dict[str, frozenset[str]] = {}
        self._reached: dict[frozenset[str], Mapping[str, str]] = {}

    def macros(self, node: Node) -> Mapping[str, str]:
        """The code of every macro that a node calls, by unique id."""
        first = frozenset((*self._called(node.raw), *self._behind(node), *self._named_in(self._text(node))))
        if first not in self._reached:
            self._reached[first] = self._closure(first)
        return self._reached[first]

    def code_of(self, macro: str) -> str | None:
        """The code of a macro; None where there is none of that unique id."""
        return str(self._macros[macro].get("macro_sql") or "") if macro in self._macros else None

    def _closure(self, first: frozenset[str]) -> Mapping[str, str]:
        found: set[str] = set()
        ahead = set(first)
        while ahead:
            unique_id = ahead.pop()
            if unique_id in self._macros and unique_id not in found:
                found.add(unique_id)
                ahead |= self._after(unique_id)
        return {unique_id: str(self._macros[unique_id].get("macro_sql") or "") for unique_id in found}

    def variables(self, node: Node, macros: Iterable[str]) -> frozenset[str] | None:
        """The names of the variables that a node and macros of projects read.

        Args:
            node: the node.
            macros: the unique ids of the macros that it calls.

        Returns:
            None where a name is computed, so that it may be any.
        """
        own = (str(self._macros[i].get("macro_sql") or "") for i in macros if not is_of_dbt(i))
        return variables_in(self._text(node), *own)

    def _text(self, node: Node) -> str:
        """All that is rendered of a node, its hooks and what a test is given among it."""
        if node.unique_id not in self._texts:
            parts = [node.raw.get(part) for part in _PARTS]
            self._texts[node.unique_id] = "\n".join(text for part in parts for text in strings(part) if "{" in text)
        return self._texts[node.unique_id]

    def _after(self, unique_id: str) -> frozenset[str]:
        """The macros that a macro calls itself."""
        if unique_id not in self._next:
            macro = self._macros[unique_id]
            named = () if is_of_dbt(unique_id) else self._named_in(str(macro.get("macro_sql") or ""))
            self._next[unique_id] = frozenset((*self._called(macro), *named)) - {unique_id}
        return self._next[unique_id]

    def _behind(self, node: Node) -> Iterator[str]:
        """The project's own macros behind the building of a node: its materialization, and what overrides dbt's."""
        if node.builds_relation:
            yield from self._overriding
        for name in (f"materialization_{node.materialized}_{kind}" for kind in ("default", "databricks", "spark")):
            yield from self._by_name.get(name, ())

    def _named_in(self, text: str) -> Iterator[str]:
        """The projects' macros whose names stand in the Jinja of a text."""
        for block in JINJA.findall(text):
            for word in _WORD.findall(block):
                yield from self._by_name.get(word, ())

    @cached_property
    def _by_name(self) -> Mapping[str, tuple[str, ...]]:
        found: dict[str, tuple[str, ...]] = {}
        for unique_id, macro in self._macros.items():
            if not is_of_dbt(unique_id) and not names_relations(macro):
                found[str(macro["name"])] = (*found.get(str(macro["name"]), ()), unique_id)
        return found

    @cached_property
    def _overriding(self) -> tuple[str, ...]:
        of_dbt = {str(macro["name"]) for unique_id, macro in self._macros.items() if is_of_dbt(unique_id)}
        of_dbt = {name for name in of_dbt if not name.startswith(("materialization_", "test_"))}  # nodes name these
        mine = (i for name, ids in self._by_name.items() if name in of_dbt for i in ids)
        return tuple(i for i in mine if i.split(".")[1] == self._root)

    @staticmethod
    def _called(raw: Mapping[str, Any]) -> tuple[str, ...]:
        return tuple((raw.get("depends_on") or {}).get("macros") or ())


def variables_in(*texts: str) -> frozenset[str] | None:
    """The names of the variables that Jinja in texts reads; None where a name is computed, so that it may be any."""
    rest = "".join(block for text in texts for block in JINJA.findall(_NAMED.sub(_without_var, text)))
    return None if _ANY.search(rest) else frozenset(match[2] for text in texts for match in _NAMED.finditer(text))


def _without_var(match: re.Match[str]) -> str:
    """What was read as a variable's name, taken out, with the end that may begin the default value."""
    return match[0][-1]
