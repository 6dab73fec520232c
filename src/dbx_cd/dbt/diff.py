"""What changed in a project between two manifests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain
from typing import ClassVar

from dbx_cd import html
from dbx_cd.dbt.artifacts import Manifest, Node
from dbx_cd.dbt.catalog import Catalog
from dbx_cd.dbt.keys import enforces_contract
from dbx_cd.dbt.macro_diff import MacroDiff, changed_macros, given_macros_changed, macro_diffs, users
from dbx_cd.dbt.node_diff import (
    CodeDiff,
    ColumnChange,
    NodeDiff,
    attached,
    code_of,
    column_changes,
    columns_of,
    config_changes,
    contract_change,
    other_changes,
    same_test,
    test_in_words,
)
from dbx_cd.dbt.runnable import TEST_TYPES
from dbx_cd.records import Record

_MOST_LINES = 2000
"""How many lines of code all differences have together."""
_MARKS = {"added": "+", "removed": "-", "modified": "~", "unchanged": " "}


@dataclass(frozen=True)
class ArtifactDiff(Record):
    """What changed between two manifests, by unique id."""

    KIND: ClassVar[str] = "artifact_diff"

    added: tuple[str, ...]
    """Nodes that only the newer manifest has."""
    removed: tuple[str, ...]
    """Nodes that only the older manifest has."""
    modified: tuple[str, ...]
    """Nodes of both whose code, configuration, macros or columns differ."""
    nodes: tuple[NodeDiff, ...] = ()
    """What changed in each of them, and in the tests and the edges of others."""
    macros: tuple[MacroDiff, ...] = ()
    """Macros that changed, those of dbt and its adapter left out."""
    by_environment: tuple[str, ...] = ()
    """Nodes that are written alike and come out otherwise, such as by target, by a variable, or since a `ref` means
    another version now; not `modified`."""
    by_dbt: str = ""
    """That the two are of different versions of dbt, and how many of its own macros differ; "" where they are not."""
    old: str = ""
    """What was compared, such as an artifact version; "" where nobody says."""
    new: str = ""
    """What it was compared with."""

    def __str__(self) -> str:
        return f"{len(self.added)} added, {len(self.removed)} removed, {len(self.modified)} modified"

    @property
    def columns(self) -> Mapping[str, tuple[ColumnChange, ...]]:
        """The columns that changed, by node."""
        return {node.unique_id: node.columns for node in self.nodes if node.columns}

    def text(self) -> str:
        """All of it as text: a line for each node, what changed in it below, and the code as a unified diff."""
        return "\n".join([*self._head(), *chain.from_iterable(map(_node_text, self.nodes)), *self._macro_text()])

    def to_html(self) -> str:
        """A page part: a fold for each node, with what changed in it and its code."""
        head = [html.paragraph(line) for line in self._head()]
        macros = [
            html.fold(
                html.marked(f"{_MARKS[macro.change]} {macro.unique_id}"),
                html.join(
                    [html.paragraph(_used_by(macro)), html.code_diff(macro.sql.lines, left_out=macro.sql.left_out)]
                ),
            )
            for macro in self.macros
        ]
        return str(html.section("What changed in the project", *head, *map(_node_html, self.nodes), *macros))

    def _head(self) -> Iterator[str]:
        if self.old or self.new:
            yield f"from {self.old} to {self.new}"
        yield str(self)
        if self.by_dbt:
            yield self.by_dbt
        if self.by_environment:
            alike = ", ".join(self.by_environment)
            yield f"written alike, and come out otherwise, such as by environment or variables: {alike}"

    def _macro_text(self) -> Iterator[str]:
        for macro in self.macros:
            yield f"{_MARKS[macro.change]} {macro.unique_id}: {_used_by(macro)}"
            yield from _code_text(macro.sql)


def diff_manifests(
    old: Manifest, new: Manifest, *, old_catalog: Catalog | None = None, new_catalog: Catalog | None = None
) -> ArtifactDiff:
    """Compare two manifests, node by node.

    Two environments of one project compare as the same: where relations are is left out, and so is code as it was
    compiled. Macros of dbt and its adapter are no change of the project.

    Args:
        old, new: the manifests.
        old_catalog, new_catalog: the columns that the relations have; where one is missing, or does not know a node,
            documented columns are compared.
    """
    macros = changed_macros(old, new)
    before, after = users(old, macros), users(new, macros)
    used = {node: before.get(node, frozenset()) | after.get(node, frozenset()) for node in {*before, *after}}
    catalogs = (old_catalog, new_catalog) if old_catalog is not None and new_catalog is not None else ({}, {})
    diffs = [_node_diff(old, new, i, catalogs, used.get(i, frozenset())) for i in sorted({*old.nodes, *new.nodes})]
    tests = _tests(old, new, {diff.unique_id for diff, _ in diffs if diff.change == "modified"})
    shown = [
        replace(diff, tests=tests.get(diff.unique_id, ()))
        for diff, _ in diffs
        if not _is_shown_elsewhere(new.nodes.get(diff.unique_id) or old.nodes[diff.unique_id])
    ]
    return ArtifactDiff(
        added=tuple(diff.unique_id for diff, _ in diffs if diff.change == "added"),
        removed=tuple(diff.unique_id for diff, _ in diffs if diff.change == "removed"),
        modified=tuple(diff.unique_id for diff, _ in diffs if diff.change == "modified"),
        nodes=tuple(_bounded(diff for diff in shown if diff.change != "unchanged" or diff.lines)),
        macros=macro_diffs(old, new, macros, used),
        by_environment=tuple(diff.unique_id for diff, other in diffs if other and diff.change == "unchanged"),
        by_dbt=_by_dbt(old, new),
    )


def _node_diff(
    old: Manifest,
    new: Manifest,
    unique_id: str,
    catalogs: tuple[Catalog, Catalog],
    macros: frozenset[str],
) -> tuple[NodeDiff, bool]:
    """What changed in a node without its tests, and whether it comes out otherwise by the environment."""
    before, after = old.nodes.get(unique_id), new.nodes.get(unique_id)
    if before is None or after is None:
        return _whole(before, after, catalogs), False
    config, by_environment = config_changes(before, after)
    in_both = all(unique_id in catalog for catalog in catalogs)
    columns = [columns_of(node, catalogs[n] if in_both else {}) for n, node in enumerate((before, after))]
    diff = NodeDiff(
        unique_id=unique_id,
        change="unchanged",
        columns=column_changes(*columns),
        contract=contract_change(before, after),
        parents_added=tuple(p for p in after.depends_on if p not in before.depends_on),
        parents_removed=tuple(p for p in before.depends_on if p not in after.depends_on),
        config=config,
        macros=tuple(sorted(macros)),
        others=other_changes(before, after),
        sql=CodeDiff.of(code_of(before), code_of(after)),
    )
    written = (diff.columns, diff.contract, diff.config, diff.macros, diff.others, diff.sql.lines)
    edges = bool(diff.parents_added or diff.parents_removed)
    # The same code reads something else by a target or a variable; an exposure has none, and says itself what it reads.
    if any(written) or (edges and not code_of(after)):
        return replace(diff, change="modified"), by_environment
    return diff, by_environment or edges


def _whole(before: Node | None, after: Node | None, catalogs: tuple[Catalog, Catalog]) -> NodeDiff:
    """A node that only one manifest has."""
    node = after or before
    assert node is not None
    columns = [{} if side is None else columns_of(side, catalogs[n]) for n, side in enumerate((before, after))]
    change = "removed" if after is None else "added"
    return NodeDiff(
        unique_id=node.unique_id,
        change=change,
        columns=column_changes(*columns),
        contract=change if enforces_contract(node) else "",
        parents_added=after.depends_on if after else (),
        parents_removed=before.depends_on if before else (),
        sql=CodeDiff.of(code_of(before) if before else "", code_of(after) if after else ""),
    )


def _is_shown_elsewhere(node: Node) -> bool:
    """Whether it is a test that is shown with the nodes that it is about."""
    return node.resource_type in TEST_TYPES and bool(attached(node))


def _tests(old: Manifest, new: Manifest, modified: set[str]) -> Mapping[str, tuple[str, ...]]:
    """Tests that were added, removed or changed, in words, by the node that they are about."""
    sides = [{i: n for i, n in m.nodes.items() if n.resource_type in TEST_TYPES} for m in (old, new)]
    gone: dict[object, list[Node]] = {}
    for unique_id in sides[0].keys() - sides[1].keys():
        gone.setdefault(same_test(sides[0][unique_id]), []).append(sides[0][unique_id])
    found: dict[str, list[str]] = {}

    def say(node: Node, words: str) -> None:
        for about in attached(node):
            found.setdefault(about, []).append(words)

    for node in (sides[1][i] for i in sorted(sides[1].keys() - sides[0].keys())):
        earlier = gone.get(same_test(node))
        if earlier:
            say(node, f"~ {test_in_words(earlier.pop())} → {test_in_words(node)}")
        else:
            say(node, f"+ {test_in_words(node)}")
    for node in (node for nodes in gone.values() for node in nodes):
        say(node, f"- {test_in_words(node)}")
    for unique_id in sorted(modified & sides[1].keys()):
        say(sides[1][unique_id], f"~ {test_in_words(sides[1][unique_id])}")
    return {about: tuple(sorted(words)) for about, words in found.items()}


def _bounded(diffs: Iterator[NodeDiff]) -> Iterator[NodeDiff]:
    """All of them, with no more code than is read."""
    left = _MOST_LINES
    for diff in diffs:
        sql = diff.sql.shortened(left)
        left -= len(sql.lines)
        yield replace(diff, sql=sql)


def _by_dbt(old: Manifest, new: Manifest) -> str:
    before, after = (str(manifest.metadata.get("dbt_version") or "") for manifest in (old, new))
    macros = given_macros_changed(old, new)
    if before == after and not macros:
        return ""
    versions = f"dbt {before} → {after}" if before != after else f"dbt {after}, another adapter"
    return f"{versions}; macros of dbt and its adapter that differ: {macros}"


def _used_by(macro: MacroDiff) -> str:
    return f"used by {', '.join(macro.nodes)}" if macro.nodes else "used by no node"


def _node_text(diff: NodeDiff) -> Iterator[str]:
    yield f"{_MARKS[diff.change]} {diff.unique_id}"
    yield from (f"    {line}" for line in diff.lines)
    yield from _code_text(diff.sql)


def _code_text(sql: CodeDiff) -> Iterator[str]:
    yield from (f"    {line}" for line in sql.lines)
    if sql.left_out:
        yield f"    ({sql.left_out} more lines)"


def _node_html(diff: NodeDiff) -> object:
    code = html.code_diff(diff.sql.lines, left_out=diff.sql.left_out)
    return html.fold(
        html.marked(f"{_MARKS[diff.change]} {diff.unique_id}"), html.join([html.marked_list(diff.lines), code])
    )
