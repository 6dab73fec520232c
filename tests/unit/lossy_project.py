"""Production and a release, from what dbt wrote of the project `lossy` in two versions, and from facts of a catalog."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from dbx_cd.dbt.artifacts import Manifest
from dbx_cd.delta.tables import CatalogEntry, CatalogSettings, Column, Constraint
from dbx_cd.plan.comparison import Comparison
from dbx_cd.plan.loss import Loss
from dbx_cd.plan.losses import losses_of
from recorded_dbt import RECORDED

BEFORE, AFTER, STAGED = (
    Manifest.load(RECORDED / scenario / "manifest.json") for scenario in ("lossy_before", "lossy", "lossy_staged")
)


def node_id(name: str, manifest: Manifest = AFTER) -> str:
    (found,) = [n.unique_id for n in manifest.nodes.values() if n.name == name and n.builds_relation]
    return found


def key(name: str, catalog: str = "prod") -> str:
    return f"{catalog}.recorded.{name}"


def table(*columns: str, **changes: Any) -> CatalogEntry:
    """A Delta table with columns such as `id int` or `id int not null`."""
    split = [column.removesuffix(" not null").partition(" ") for column in columns]
    made = tuple(
        Column(name, type_, nullable=not column.endswith(" not null"))
        for column, (name, _, type_) in zip(columns, split, strict=True)
    )
    return replace(CatalogEntry("table", "MANAGED", columns=made), **changes)


def view(*columns: str) -> CatalogEntry:
    return table(*columns, kind="view", table_type="VIEW")


def other(table_type: str, *columns: str) -> CatalogEntry:
    return table(*columns, kind="other", table_type=table_type)


def primary_key(name: str, *columns: str) -> Constraint:
    return Constraint(name, "PRIMARY KEY", columns)


def with_config(manifest: Manifest, name: str, **config: Any) -> Manifest:
    """A manifest in which one node is configured otherwise."""
    return with_raw(manifest, name, config={**manifest.nodes[node_id(name, manifest)].config, **config})


def with_raw(manifest: Manifest, name: str, **raw: Any) -> Manifest:
    node = manifest.nodes[node_id(name, manifest)]
    return replace(manifest, nodes={**manifest.nodes, node.unique_id: replace(node, raw={**node.raw, **raw})})


def losses(
    name: str,
    there: CatalogEntry,
    staged: CatalogEntry | None = None,
    *,
    settings: CatalogSettings | None = None,
    manifest: Manifest = AFTER,
    **changes: Any,
) -> tuple[Loss, ...]:
    """What the build of one node loses."""
    of_settings: Mapping[str, CatalogSettings] = {} if settings is None else {key(name): settings}
    given = {"before": BEFORE, "staged_manifest": STAGED} | changes
    return losses_of(
        Comparison(
            manifest,
            [node_id(name, manifest)],
            {key(name): there},
            of_settings,
            staged={} if staged is None else {key(name, "stg"): staged},
            **given,
        )
    )


def named(found: tuple[Loss, ...]) -> list[tuple[str, str]]:
    """Of each loss what is lost, and its kind with a mark where it needs consent."""
    return [(loss.name.partition(": ")[2], loss.kind + ("!" if loss.destructive else "")) for loss in found]
