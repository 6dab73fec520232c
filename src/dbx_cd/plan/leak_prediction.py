"""Staging leaks as the plan predicts them: what of production will refer to staging after a deferred build.

A ref that dbt resolves to staging is read once where a table is built, and for good where a view is made: whoever reads
that view reads staging. Foreign keys, masks and filters stay likewise. `dbx_cd.plan.leaks` finds them afterwards.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from dbx_cd.dbt.artifacts import Manifest, Node
from dbx_cd.dbt.functions import object_name
from dbx_cd.dbt.keys import enforced_constraints, key_parent, only_in_keys
from dbx_cd.delta.sql_names import names_in
from dbx_cd.plan.catalog_references import NOT_READ, Kind, Through
from dbx_cd.plan.leaks import Leak, StagingNames
from dbx_cd.plan.resolution import Resolution
from dbx_cd.relations import RelationName

STAYING_QUERIES = ("view", "materialized_view", "streaming_table", "metric_view")
"""The materializations of dbt-databricks that are, or are filled from, a query that stays."""


def predicted_leaks(
    manifest: Manifest,
    selected: Collection[str],
    resolutions: Sequence[Resolution],
    *,
    staging: StagingNames,
    existing: Sequence[Leak] = (),
) -> tuple[Leak, ...]:
    """What will refer to staging when these nodes are built.

    Args:
        manifest: the target's own manifest, before the build.
        selected: the unique ids of what is built.
        resolutions: where the refs to parents outside of the selection go.
        staging: what is staging's.
        existing: leaks of objects that production has, such as `find_leaks` finds: a view over them leaks too.
    """
    known: dict[str, list[Leak]] = {}
    for leak in existing:
        known.setdefault(leak.relation.lower(), []).append(leak)
    prediction = _Prediction(manifest, frozenset(selected), {r.parent: r for r in resolutions}, staging, known)
    leaks = [leak for node in manifest.select(sorted(selected)) for leak in prediction.of(node)]
    return tuple(dict.fromkeys(leaks))


@dataclass
class _Prediction:
    manifest: Manifest
    selected: frozenset[str]
    resolutions: Mapping[str, Resolution]
    staging: StagingNames
    existing: Mapping[str, Sequence[Leak]]
    reading: dict[str, tuple[Leak, ...]] = field(default_factory=dict)

    def of(self, node: Node) -> Iterator[Leak]:
        """What a node that is built will refer to."""
        if object_name(node) is None or node.is_ephemeral:
            return
        if node.resource_type == "function" or node.materialized in STAYING_QUERIES:
            yield from self.read_by(node)
        if node.resource_type == "model" and node.materialized != "view":
            yield from self._keys(node)
            yield from self._protection(node)

    def read_by(self, node: Node) -> tuple[Leak, ...]:
        """What a query or function that stays reads of staging."""
        if node.unique_id not in self.reading:
            self.reading[node.unique_id] = ()  # a circle, which dbt refuses, ends here
            self.reading[node.unique_id] = tuple(self._read_by(node))
        return self.reading[node.unique_id]

    def _read_by(self, node: Node) -> Iterator[Leak]:
        kind: Kind = "function" if node.resource_type == "function" else "view"
        for parent in self._parents(node):
            through: Through = "function" if "function" in (kind, parent.resource_type) else "view text"
            if (staging := self._in_staging(parent)) is not None:
                yield Leak(str(object_name(node)), kind, through, (), staging)
                continue
            for leak in self._of_parent(parent):
                path = (str(object_name(parent)), *leak.path)
                via = through if leak.is_certain else leak.through
                yield replace(leak, relation=str(object_name(node)), kind=kind, through=via, path=path)

    def _of_parent(self, parent: Node) -> Sequence[Leak]:
        """What whoever reads this parent reads of staging with it."""
        if parent.unique_id not in self.selected:
            name = object_name(parent)
            found = self.existing.get(name.key, ()) if name else ()
            return [leak for leak in found if leak.through not in NOT_READ]
        if parent.resource_type == "function" or parent.materialized in STAYING_QUERIES:
            return self.read_by(parent)
        return [*self._protection(parent)] if parent.resource_type == "model" else ()

    def _parents(self, node: Node) -> Iterator[Node]:
        """What a node reads, also through ephemeral models."""
        unread = only_in_keys(self.manifest, node)
        for parent in self.manifest.select(i for i in node.depends_on if i not in unread):
            if parent.is_ephemeral:
                yield from self._parents(parent)
            elif parent.resource_type in ("model", "seed", "snapshot", "source", "function"):
                yield parent

    def _in_staging(self, parent: Node) -> str | None:
        """The object of staging that a parent's name will mean; None where it is production's."""
        if parent.unique_id in self.selected:
            return None
        resolution = self.resolutions.get(parent.unique_id)
        if resolution is not None and resolution.place == "state":
            return resolution.relation
        name = object_name(parent)
        return str(name) if resolution is None and name is not None and self.staging.has(name) else None

    def _keys(self, node: Node) -> Iterator[Leak]:
        """The foreign keys that a model's contract gives its table."""
        for constraint in enforced_constraints(node):
            if constraint.get("type") in ("foreign_key", "custom"):
                for name in self._referenced(constraint):
                    yield Leak(str(node.relation), "table", "foreign key", (), name)

    def _referenced(self, constraint: Mapping[str, Any]) -> Iterator[str]:
        """What a key refers to in staging: by its expression, which dbt-databricks prefers, or else by `to`."""
        expression, to = str(constraint.get("expression") or ""), str(constraint.get("to") or "")
        parent = None if expression else key_parent(self.manifest, to)
        if parent is None:
            yield from self._named(expression or to)
        elif (name := self._in_staging(parent)) is not None:
            yield name

    def _protection(self, node: Node) -> Iterator[Leak]:
        """The masks and the row filter that a model's config gives its table."""
        given: list[tuple[Through, Any]] = [("row filter", node.config.get("row_filter"))]
        given += [("column mask", column.get("column_mask")) for column in node.columns.values()]
        for through, config in given:
            if isinstance(config, Mapping):
                for name in self._named(str(config.get("function") or "")):
                    yield Leak(str(node.relation), "table", through, (), name)

    def _named(self, text: str) -> Iterator[str]:
        """The objects of staging that a text names in full."""
        for name in names_in(text):
            if len(name.parts) == 3 and self.staging.has(RelationName(*name.parts)):
                yield ".".join(name.parts)
