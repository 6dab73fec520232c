"""`changed_only`: a selection narrowed to what must be built, as dbt's own terms, and read back from dbt."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from dbx_cd.dbt.artifacts import Manifest, Node
from dbx_cd.dbt.changes import NodeChange
from dbx_cd.dbt.exact_terms import exactly, may_mean_others
from dbx_cd.dbt.finished import NOTHING_SELECTED
from dbx_cd.dbt.runnable import TEST_TYPES, built_by
from dbx_cd.dbt.selection import Selection
from dbx_cd.plan.changed_nodes import ChangedNodes
from dbx_cd.plan.must_build import Reasons
from dbx_cd.plan.project_dbt import ProjectDbt


@dataclass(frozen=True)
class Narrowed:
    """What is built of what was asked for."""

    changed: ChangedNodes
    """With the selection that dbt is given, and what that means."""
    kept: frozenset[str] = frozenset()
    """The unique ids of the relations that were asked for and stay as they are."""
    mind: tuple[str, ...] = ()
    """Why nothing was narrowed, in words, where it should have been."""


def narrowed(dbt: ProjectDbt, asked: ChangedNodes, made: Collection[str], reasons: Reasons) -> Narrowed:
    """Narrow a selection to the nodes that must be built, with their tests, and tests that changed.

    Where no relation must be built, what is left are the tests of all that was asked for: they run on what stands.

    Args:
        dbt: dbt on the project.
        asked: what was asked for.
        made: the unique ids of it that make something in the target.
        reasons: why which of these must be built.

    Raises:
        DbtFailed: dbt cannot say what the narrowed selection means.
    """
    kept = frozenset(made) - reasons.keys()
    whole = replace(asked, changes={**asked.changes, **_with_reasons(asked, reasons)})
    if not kept:
        return Narrowed(whole)
    manifest = asked.manifest
    try:
        selection = _tests_of(asked.selection) if not reasons else _exactly_these(asked, reasons)
        listed = _listed(dbt, selection, manifest)
        more = sorted(listed - asked.selected)
        if more:
            exclude = _terms(n for n in manifest.select(more) if n.resource_type in TEST_TYPES)
            selection = replace(selection, exclude=" ".join([*((selection.exclude or "").split()), *exclude]))
            listed = _listed(dbt, selection, manifest)
        _require(listed, asked, reasons, kept)
    except _CannotNarrow as exc:
        return Narrowed(whole, mind=(f"changed_only: {exc}, so all that was asked for is built",))
    return Narrowed(replace(whole, selection=selection, selected=listed), kept)


def as_agreed(dbt: ProjectDbt, asked: ChangedNodes, made: Collection[str], selection: Selection) -> Narrowed:
    """What was asked for, narrowed as somebody has agreed to already.

    Raises:
        DbtFailed: dbt cannot say what the narrowed selection means.
    """
    listed = _listed(dbt, selection, asked.manifest)
    return Narrowed(replace(asked, selection=selection, selected=listed), frozenset(made) - listed)


class _CannotNarrow(Exception):
    """Terms of dbt's selection do not say what is meant."""


def _with_reasons(asked: ChangedNodes, reasons: Reasons) -> dict[str, NodeChange]:
    """Of nodes with the same code also why they are built."""
    changes = ((i, asked.changes.get(i), why) for i, why in reasons.items())
    return {i: replace(c, reasons=why) for i, c, why in changes if c is not None and not c.reasons}


def _exactly_these(asked: ChangedNodes, reasons: Reasons) -> Selection:
    nodes = list(asked.manifest.select(sorted(reasons)))
    tests = [
        node
        for node in asked.manifest.select(sorted(asked.selected))
        if node.resource_type in TEST_TYPES
        and not reasons.keys() & set(node.depends_on)
        and asked.changes[node.unique_id].change in ("new", "modified")
    ]
    return replace(asked.selection, select=" ".join(_terms([*nodes, *tests])), with_parents="none")


def _tests_of(selection: Selection) -> Selection:
    """The tests of what a selection means, and nothing else: what is below a term is among what dbt intersects."""
    if selection.with_parents == "changed":
        raise _CannotNarrow("with_parents: changed goes by another state")
    terms = (selection.select or "").split()
    if selection.with_parents == "all":
        terms = [term if term.startswith("+") else f"+{term}" for term in terms]
    prefixes = [f"{term}," for term in terms] or [""]
    select = " ".join(f"{prefix}resource_type:{kind}" for prefix in prefixes for kind in TEST_TYPES)
    return replace(selection, select=select, with_parents="none")


def _terms(nodes: Iterable[Node]) -> list[str]:
    """A term for each: one that leaves out too many tests would not be seen in what dbt lists."""
    terms = {node.unique_id: exactly(node) for node in nodes}
    for unique_id, term in terms.items():
        if may_mean_others(term):
            raise _CannotNarrow(f"the name or the path of {unique_id} means something else to dbt's selection")
    return [*terms.values()]


def _listed(dbt: ProjectDbt, selection: Selection, manifest: Manifest) -> frozenset[str]:
    listed = dbt.list(selection)
    if not listed.ok and listed.errors[:1] != (NOTHING_SELECTED,):
        listed.raise_if_failed()
    return built_by(manifest, listed.listed, selection.cmd)


def _require(listed: frozenset[str], asked: ChangedNodes, reasons: Reasons, kept: Collection[str]) -> None:
    """What dbt would build is what is meant."""
    if other := sorted((listed - asked.selected) | (listed & frozenset(kept)) | (reasons.keys() - listed)):
        raise _CannotNarrow(f"dbt reads the terms for what must be built otherwise ({', '.join(other[:3])})")
