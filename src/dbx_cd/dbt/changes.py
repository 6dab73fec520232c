"""What changed in a project between two manifests of one target: by dbt's own `state:modified`, and why."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dbx_cd.dbt.artifacts import Manifest, Node
from dbx_cd.dbt.code_read import CodeRead, variables_in
from dbx_cd.dbt.given_macros import is_of_dbt, names_relations
from dbx_cd.dbt.listing import ListQuery
from dbx_cd.dbt.node_differences import MOVED, Difference, differences, is_known_by_path
from dbx_cd.dbt.project_state import ProjectState, changed_variables, is_written_alike
from dbx_cd.dbt.selection import Selection

Change = Literal["new", "modified", "environment", "unchanged"]
MODIFIED = "modified"
"""The name of the query, and of its list."""
_BY_DBT = "state:modified"
# `dbt ls` does not list these.
_NOT_LISTED = ("operation", "analysis")


@dataclass(frozen=True)
class NodeChange:
    """What happened to one node."""

    unique_id: str
    """dbt's own id."""
    change: Change
    """`environment`: its project is the same, and dbt, an adapter or the environment gives it another value."""
    reasons: tuple[str, ...] = ()
    """What differs, in words: `code`, `config materialized`, `macro shop.cents`, `var day`, `contract`, ..."""

    @property
    def must_build(self) -> bool:
        """Whether what stands in the target cannot be what this state would build, wherever that comes from."""
        return self.change in ("new", "modified") or any(reason.startswith(MOVED) for reason in self.reasons)


def change_queries(state: Path) -> Mapping[str, ListQuery]:
    """The queries for `list_nodes` whose lists `changes_between` takes.

    One, since each costs about a second for a thousand models (measured): which nodes are new is in the manifests, and
    in what the others differ as well. dbt refuses it where the contract of a versioned model breaks.

    Args:
        state: the folder with the older manifest.
    """
    return {MODIFIED: ListQuery(Selection(select="state:modified"), state, only_matched=True, may_fail=True)}


def changes_between(
    old: ProjectState, new: ProjectState, listed: Mapping[str, Collection[str]]
) -> Mapping[str, NodeChange]:
    """What happened to every node of the newer state, by unique id.

    dbt knows neither the values of variables nor the content of a seed above 1 MB, nor what lies behind the building
    of a relation (a macro that names schemas, an overridden macro, a materialization): these are compared here.

    Args:
        old, new: the states, of the same target.
        listed: the lists that `change_queries` asks for, made in the newer state; where dbt refused, the manifests
            alone are compared.
    """
    comparison = _Comparison(old, new, frozenset(listed[MODIFIED]) if MODIFIED in listed else None)
    return {unique_id: comparison.of(node) for unique_id, node in new.manifest.nodes.items()}


def removed(old: Manifest, new: Manifest) -> tuple[str, ...]:
    """The nodes that only the older manifest has, renamed ones too."""
    return tuple(sorted(old.nodes.keys() - new.nodes.keys()))


def renamed(old: Manifest, new: Manifest) -> tuple[tuple[str, str], ...]:
    """The removed nodes that go on under another id: those of the same relation, else of the same file's content.

    Returns:
        Pairs of the older and the newer id; none where more than one may be meant.
    """
    gone = [old.nodes[unique_id] for unique_id in removed(old, new)]
    come = [new.nodes[unique_id] for unique_id in removed(new, old)]
    pairs: dict[str, str] = {}
    for same in (_place, _content):
        for node in gone:
            key = same(node)
            before = [n for n in gone if key is not None and same(n) == key and n.unique_id not in pairs]
            after = [n for n in come if key is not None and same(n) == key and n.unique_id not in pairs.values()]
            if len(before) == len(after) == 1:
                pairs[node.unique_id] = after[0].unique_id
    return tuple(sorted(pairs.items()))


class _Comparison:
    """Compares the nodes of two states."""

    def __init__(self, old: ProjectState, new: ProjectState, modified: frozenset[str] | None) -> None:
        self._old = old
        self._new = new
        self._modified = modified
        self._read = CodeRead(old.manifest), CodeRead(new.manifest)
        self._variables: dict[str, frozenset[str]] = {}
        self._other_naming = _naming(old.manifest) != _naming(new.manifest)

    def of(self, node: Node) -> NodeChange:
        """What happened to a node of the newer state."""
        before = self._old.manifest.nodes.get(node.unique_id)
        if before is None:
            return NodeChange(node.unique_id, "new")
        macros, upgrades = self._macros(before, node)
        inside = [*macros, *self._variables_read(node)]
        if is_known_by_path(node) and self._old.file(before) != self._new.file(node):
            inside.append("code")
        outside: list[str] = []
        for difference in self._differences(before, node):
            (outside if not inside and self._is_outside(difference, before, node) else inside).append(difference.what)
        if node.unique_id in (self._modified or ()) and not (inside or outside or upgrades):
            inside = [_BY_DBT]
        change: Change = "modified" if inside else "environment" if outside or upgrades else "unchanged"
        return NodeChange(node.unique_id, change, tuple(dict.fromkeys((*inside, *outside, *upgrades))))

    def _differences(self, before: Node, node: Node) -> Iterator[Difference]:
        """What differs; of a node that dbt calls unmodified only what dbt does not compare."""
        listed = self._modified is None or node.resource_type in _NOT_LISTED or node.unique_id in self._modified
        return (d for d in differences(before, node) if listed or not d.seen)

    def _is_outside(self, difference: Difference, before: Node, node: Node) -> bool:
        """Whether only an environment or an upgrade can have made it."""
        if difference.what.startswith(MOVED) and self._other_naming and node.resource_type != "source":
            return False
        texts = (content.decode(errors="replace") for content in self._new.files(node) if content is not None)
        alike = is_written_alike((self._old, before), (self._new, node))
        read = None if alike is None else variables_in(*texts)
        return difference.may_be_outside(node, same_files=alike) and not self._changed(node, read)

    def _macros(self, before: Node, node: Node) -> tuple[list[str], list[str]]:
        """The macros behind a node that differ: those of projects, and in other words those of dbt and its adapters."""
        a, b = self._read
        # A build adds to a node what it called while it ran, and a parse does not know that (measured, 1.11).
        called = {*a.macros(before), *b.macros(node)}
        other = sorted(i for i in called if a.code_of(i) != b.code_of(i))
        mine = [f"macro {'.'.join(i.split('.')[1:])}" for i in other if not is_of_dbt(i)]
        packages = dict.fromkeys(i.split(".")[1] for i in other if is_of_dbt(i))
        return mine, [self._upgrade(package) for package in packages]

    def _upgrade(self, package: str) -> str:
        states = (self._old, self._new)
        if package == "dbt":
            a, b = (state.manifest.metadata.get("dbt_version") for state in states)
        else:
            a, b = (state.adapter_version for state in states)
        return f"macros of {package} {a} -> {b}" if a and b and a != b else f"macros of {package}"

    def _variables_read(self, node: Node) -> list[str]:
        """The variables that a node reads, by whatever macros, and that have another value now."""
        if not self._changed_variables(node.package):
            return []
        return [
            f"var {name}" for name in self._changed(node, self._read[1].variables(node, self._read[1].macros(node)))
        ]

    def _changed(self, node: Node, read: frozenset[str] | None) -> list[str]:
        """Those of the variables that are read which have another value now; of all, where any may be."""
        changed = self._changed_variables(node.package)
        return sorted(changed if read is None else changed & read)

    def _changed_variables(self, package: str) -> frozenset[str]:
        if package not in self._variables:
            self._variables[package] = changed_variables(self._old, self._new, package)
        return self._variables[package]


def _naming(manifest: Manifest) -> Mapping[str, object]:
    """The macros of projects that name schemas, relations and catalogs, by unique id."""
    macros = manifest.macros.items()
    return {i: macro.get("macro_sql") for i, macro in macros if names_relations(macro) and not is_of_dbt(i)}


def _place(node: Node) -> object:
    return (node.resource_type, node.relation.key) if node.relation else None


def _content(node: Node) -> object:
    checksum = node.raw.get("checksum")
    if not isinstance(checksum, dict) or checksum.get("name") != "sha256" or node.is_blank:
        return None
    return (node.resource_type, checksum.get("checksum"))
