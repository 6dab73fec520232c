"""Which macros changed between two manifests, and which nodes use them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from dbx_cd.dbt.artifacts import Manifest
from dbx_cd.dbt.given_macros import is_of_dbt
from dbx_cd.dbt.node_diff import CodeDiff


@dataclass(frozen=True)
class MacroDiff:
    """A macro of the project or its packages that was added, removed or changed."""

    unique_id: str
    """dbt's own id of the macro."""
    change: str
    """`added`, `removed` or `modified`."""
    nodes: tuple[str, ...]
    """The nodes that use it, through other macros too, by unique id."""
    sql: CodeDiff
    """Its code."""


def changed_macros(old: Manifest, new: Manifest) -> Mapping[str, str]:
    """The macros that differ, dbt's own left out, each with `added`, `removed` or `modified`."""
    found = {}
    for macro in sorted({*old.macros, *new.macros}):
        before, after = old.macros.get(macro), new.macros.get(macro)
        if not is_of_dbt(macro) and _code(before) != _code(after):
            found[macro] = "added" if before is None else "removed" if after is None else "modified"
    return found


def given_macros_changed(old: Manifest, new: Manifest) -> int:
    """How many macros of dbt and its adapter differ."""
    both = old.macros.keys() & new.macros.keys()
    return sum(is_of_dbt(macro) and _code(old.macros[macro]) != _code(new.macros[macro]) for macro in both)


def users(manifest: Manifest, macros: Collection[str]) -> Mapping[str, frozenset[str]]:
    """Of each node the macros among these that it uses, through other macros too; nodes that use none are left out."""
    readers: dict[str, list[str]] = {}
    for macro, raw in manifest.macros.items():
        for called in _called(raw):
            readers.setdefault(called, []).append(macro)
    through: dict[str, set[str]] = {}
    for macro in macros:
        open_ends = [macro]
        while open_ends:
            at = open_ends.pop()
            if macro not in through.setdefault(at, set()):
                through[at].add(macro)
                open_ends += readers.get(at, [])
    found = {
        node.unique_id: frozenset(used for called in _called(node.raw) for used in through.get(called, ()))
        for node in manifest.nodes.values()
    }
    return {node: used for node, used in found.items() if used}


def macro_diffs(
    old: Manifest, new: Manifest, changed: Mapping[str, str], used: Mapping[str, frozenset[str]]
) -> tuple[MacroDiff, ...]:
    """The changed macros, each with the nodes that use it.

    Args:
        old, new: the manifests.
        changed: as `changed_macros` says.
        used: of each node the changed macros that it uses.
    """
    return tuple(
        MacroDiff(
            unique_id=macro,
            change=change,
            nodes=tuple(sorted(node for node, macros in used.items() if macro in macros)),
            sql=CodeDiff.of(_code(old.macros.get(macro)), _code(new.macros.get(macro))),
        )
        for macro, change in changed.items()
    )


def _code(raw: Mapping[str, Any] | None) -> str:
    return "" if raw is None else str(raw.get("macro_sql") or "")


def _called(raw: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple((raw.get("depends_on") or {}).get("macros") or ())
