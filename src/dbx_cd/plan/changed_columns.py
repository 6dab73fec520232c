"""The columns that a release adds, takes away or changes, and the dashboards that depend on what it changes."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from dbx_cd.dbt.artifacts import Manifest
from dbx_cd.plan.comparison import Comparison, Existing
from dbx_cd.plan.readers import Readers


def changed_columns(comparison: Comparison, changed: Collection[str]) -> tuple[str, ...]:
    """The columns of what is built over something that exists and is otherwise than it, a line each.

    Args:
        comparison: what production has, and the release.
        changed: the unique ids of what is not what production has.

    Returns:
        Such as `prod.shop.orders: + discount decimal(5,2)`; `-` for one that goes, `~` for one of another type.
    """
    existing = (one for one in comparison.existing if one.node.unique_id in changed)
    return tuple(line for one in existing for line in _of(one, comparison))


def changed_exposures(manifest: Manifest, changed: Collection[str]) -> tuple[str, ...]:
    """The exposures that read what changes, directly or through others, each once and in words."""
    return Readers(manifest).exposures(changed)


def _of(existing: Existing, comparison: Comparison) -> Iterator[str]:
    after = comparison.columns_after(existing.node)
    if after is None:
        return
    before = {c.name.lower(): c for c in existing.entry.columns}
    now = {c.name.lower(): c for c in after}
    for name, column in now.items():
        if name not in before:
            yield f"{existing.relation}: + {column.name} {column.type}"
        elif before[name].type != column.type:
            yield f"{existing.relation}: ~ {column.name} {before[name].type} -> {column.type}"
    yield from (
        f"{existing.relation}: - {column.name} {column.type}" for name, column in before.items() if name not in now
    )
