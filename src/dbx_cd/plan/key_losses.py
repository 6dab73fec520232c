"""Primary and foreign keys that a build drops and does not set again.

CREATE OR REPLACE TABLE drops a table's keys, and with its primary key the foreign keys of other tables that reference
it (measured on the embedded workspace). dbt-databricks adds those of the project after each one; the others are gone.
Incremental tables that dbt goes on with get the keys of the project where a contract is enforced, and lose all others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dbx_cd.dbt.artifacts import Node
from dbx_cd.dbt.effects import TABLES, kind_of
from dbx_cd.delta.tables import CatalogSettings, Constraint
from dbx_cd.plan.comparison import Comparison, Existing, contract_of
from dbx_cd.plan.contract_losses import constraints_of
from dbx_cd.plan.loss import Loss, loss
from dbx_cd.plan.treatment import Treatment
from dbx_cd.relations import RelationName

Treated = Sequence[tuple[Existing, Treatment]]
_DETAIL = "dropped, and the project does not set them again"
_DETAIL_OF_OTHERS = "dropped with the primary key that they reference, whose table is made anew"


def key_losses(treated: Treated, comparison: Comparison) -> Iterator[Loss]:
    """The keys of built relations that are lost, and the foreign keys of others that reference what is made anew."""
    gone = {name for existing, treatment in treated for name in _vanishing(existing, treatment)}
    own: dict[str, list[str]] = {e.relation.key: list(map(str, _lost(e, t))) for e, t in treated}
    sets_again = {e.relation.key for e, t in treated if _sets_again(e.node, t)}
    for key, settings in sorted(comparison.settings.items()):
        others = [
            str(constraint)
            for constraint in _ordered(settings)
            if key not in sets_again and (constraint.references or "").lower() in gone
        ]
        relation = _relation(key, comparison)
        if own.get(key):
            yield loss(relation, "keys_dropped", "keys", f"{', '.join(own[key])}: {_DETAIL}")
        elif others:
            yield loss(relation, "keys_dropped", "keys", f"{', '.join(others)}: {_DETAIL_OF_OTHERS}")


def _lost(existing: Existing, treatment: Treatment) -> list[Constraint]:
    """The keys of a relation that its own build takes off it for good."""
    node, keys = existing.node, _ordered(existing.settings)
    if treatment.how == "refused" or (treatment.how == "goes on" and not _sets_keys_of_what_goes_on(node)):
        return []
    project = {(kind, columns) for kind, columns, _ in constraints_of(node)} if _sets_keys(node) else set()
    return [key for key in keys if _as_in_project(key) not in project]


def _ordered(settings: CatalogSettings) -> list[Constraint]:
    return sorted(settings.keys or (), key=lambda key: key.name)


def _vanishing(existing: Existing, treatment: Treatment) -> Iterator[str]:
    """The keys that are away for a moment at least, so that nothing references them any more."""
    lost = _lost(existing, treatment)
    for key in existing.settings.keys or ():
        if treatment.how in ("replaced", "dropped") or key in lost:
            yield f"{existing.relation.catalog}.{existing.relation.schema}.{key.name}".lower()


def _sets_again(node: Node, treatment: Treatment) -> bool:
    """Whether the build of the relation itself adds the keys of the project, after those that it references."""
    if treatment.how == "goes on":
        return _sets_keys_of_what_goes_on(node)
    return treatment.how != "refused" and _sets_keys(node)


def _sets_keys(node: Node) -> bool:
    return kind_of(node) in TABLES and (contract_of(node) is not None or bool(node.config.get("persist_constraints")))


def _sets_keys_of_what_goes_on(node: Node) -> bool:
    """Whether dbt makes an existing incremental table's keys those of the project (`incremental.sql`)."""
    applies = str(node.config.get("incremental_apply_config_changes", True)).lower() not in ("false", "no", "0")
    return kind_of(node) == "incremental" and contract_of(node) is not None and applies


def _as_in_project(key: Constraint) -> tuple[str, tuple[str, ...]]:
    return key.type.lower().replace(" ", "_"), tuple(c.lower() for c in key.columns or ())


def _relation(key: str, comparison: Comparison) -> RelationName:
    for manifest in (comparison.manifest, comparison.before):
        node = None if manifest is None else manifest.relations.get(key)
        if node is not None and node.relation is not None:
            return node.relation
    return RelationName(*key.split(".", 2))
