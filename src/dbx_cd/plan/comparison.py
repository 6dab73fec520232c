"""What is compared to see what a build takes away: what production has, and what the build will make of it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from dbx_cd.dbt.artifacts import Manifest, Node
from dbx_cd.dbt.keys import enforces_contract
from dbx_cd.delta.tables import NOTHING_KNOWN, CatalogEntry, CatalogSettings, Column
from dbx_cd.relations import RelationName

UNKNOWN_RUNTIME = (0, 0)


@dataclass(frozen=True)
class Existing:
    """A node to be built whose relation exists in production."""

    node: Node
    """The node, of this release."""
    relation: RelationName
    """Its relation."""
    entry: CatalogEntry
    """What the catalog knows of that."""
    settings: CatalogSettings
    """What the catalog keeps of it besides."""
    before: Node | None
    """The node that made it, of the release that production has; None where that is not known."""


@dataclass(frozen=True)
class Comparison:
    """Production and a release that is to be built there. Relations are known by `RelationName.key`."""

    manifest: Manifest
    """The release's manifest, for the target that is to be built."""
    selected: Collection[str]
    """The unique ids that are to be built."""
    there: Mapping[str, CatalogEntry]
    """What production has."""
    settings: Mapping[str, CatalogSettings] = field(default_factory=dict)
    """What the catalog keeps of that besides; also of relations that are not built, whose foreign keys may go."""
    before: Manifest | None = None
    """The manifest of the release that production has; None where there is none."""
    earlier: Sequence[Manifest] = ()
    """Manifests of builds before that one: they may have made what is there."""
    touched: Collection[str] = ()
    """Relations that releases have begun to make since, and failed at, or that were rolled back."""
    staged_manifest: Manifest | None = None
    """The manifest of staging's build of this very commit; None where there is none."""
    staged: Mapping[str, CatalogEntry] = field(default_factory=dict)
    """What that build has made in staging, and nothing of earlier ones."""
    full_refresh: bool = False
    """Whether incremental models are rebuilt."""
    materialization_v2: bool = False
    """Whether the project has dbt-databricks' behavior flag `use_materialization_v2`."""
    runtime: tuple[int, int] | None = None
    """The runtime of the cluster that dbt uses, `UNKNOWN_RUNTIME` where that is not known; None for a SQL warehouse."""

    @property
    def existing(self) -> Iterator[Existing]:
        """The nodes that are built over something that exists, by their relations' names."""
        nodes = [n for n in self.manifest.select(self.selected) if n.builds_relation and not n.is_blank]
        for node in sorted(nodes, key=lambda n: str(n.relation)):
            assert node.relation is not None
            key = node.relation.key
            entry = self.there.get(key)
            if entry is not None and entry.kind != "missing":
                before = None if self.before is None else self.before.relations.get(key)
                yield Existing(node, node.relation, entry, self.settings.get(key, NOTHING_KNOWN), before)

    @cached_property
    def hooks_at_the_end(self) -> tuple[str, ...]:
        """The texts of what runs once all is built, whatever is selected."""
        hooks = (node for node in self.manifest.nodes.values() if node.resource_type == "operation")
        return tuple(str(n.raw.get("raw_code") or "") for n in hooks if "on-run-end" in (n.raw.get("tags") or ()))

    def is_foreign(self, existing: Existing) -> bool:
        """Whether something is there that no known build made; False where no build is known."""
        known = [manifest for manifest in (self.before, *self.earlier) if manifest is not None]
        key = existing.relation.key
        return bool(known) and key not in self.touched and not any(key in m.relations for m in known)

    def columns_after(self, node: Node) -> tuple[Column, ...] | None:
        """The columns that a node's query gives; None where nothing says it.

        They are those that staging's build of the same code has, or what an enforced contract says. A table that dbt
        went on with in staging may have more of them, in another order, than the query gives: what only its query
        would tell is not known then.
        """
        staged = None if self.staged_manifest is None else self.staged_manifest.nodes.get(node.unique_id)
        if staged is not None and staged.relation is not None:
            entry = self.staged.get(staged.relation.key)
            if entry is not None and entry.kind != "missing":
                return entry.columns
        contract = contract_of(node)
        if contract and all(column.get("data_type") for column in contract.values()):
            return tuple(Column(name, str(column["data_type"])) for name, column in contract.items())
        return None


def contract_of(node: Node | None) -> Mapping[str, Mapping[str, Any]] | None:
    """The columns of a contract that dbt enforces; None where there is none."""
    return node.columns if node is not None and enforces_contract(node) else None
