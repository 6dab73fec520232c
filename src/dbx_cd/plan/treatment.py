"""What a build does to a relation that exists: go on with it, replace it in place, drop it first, or refuse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dbx_cd.dbt.artifacts import Node
from dbx_cd.dbt.effects import (
    MATERIALIZATIONS,
    REPLACEABLE_FORMATS,
    file_format,
    is_replaced_whole,
    kind_of,
    table_replacements,
)
from dbx_cd.delta.tables import CatalogEntry
from dbx_cd.plan.comparison import Comparison, Existing

_OF_PLATFORM = ("MATERIALIZED_VIEW", "STREAMING_TABLE", "METRIC_VIEW", "FOREIGN")
_VIEWLIKE = ("MATERIALIZED_VIEW", "STREAMING_TABLE")


@dataclass(frozen=True)
class Treatment:
    """What becomes of an existing relation (read in the macros of dbt-databricks 1.12.7, and measured)."""

    how: Literal["goes on", "replaced", "dropped", "refused"]
    """`replaced` keeps a table's history, `dropped` keeps nothing."""
    by: str = ""
    """What takes its place, such as `a view`; or why dbt refuses."""
    is_swapped: bool = False
    """Whether what is dropped gives its name to another of its kind, made before."""


GOES_ON = Treatment("goes on")
REPLACED = Treatment("replaced")


def treatment_of(existing: Existing, comparison: Comparison) -> Treatment:
    """What the build does to a relation, by what it is and what the node makes."""
    node, full_refresh = existing.node, comparison.full_refresh
    if _is_custom(node) and existing.before is not None and kind_of(existing.before) == kind_of(node):
        return GOES_ON  # nobody knows what it does; what stands is what it has made, and it has made it before
    if existing.entry.kind == "view":
        return _of_view(node, v2=comparison.materialization_v2)
    if existing.entry.kind == "other":
        return _of_other(node, existing.entry, full_refresh=full_refresh)
    whole = is_replaced_whole(node, full_refresh=full_refresh)
    if whole and _is_safer(node):
        # Heeded by the second version of the materializations alone (measured): it swaps the tables by their names.
        by = "a table that takes its name (use_safer_relation_operations)"
        return Treatment("dropped", by, is_swapped=True) if comparison.materialization_v2 else REPLACED
    replacement = table_replacements(comparison.manifest, [node.unique_id], full_refresh=full_refresh)
    if replacement:
        (by,) = replacement.values()
        return Treatment("dropped", by)
    return REPLACED if whole else GOES_ON


def _is_custom(node: Node) -> bool:
    """Whether it is a materialization of the project or of a package."""
    return kind_of(node) not in MATERIALIZATIONS


def _is_safer(node: Node) -> bool:
    is_replaceable = file_format(node.config) in REPLACEABLE_FORMATS and kind_of(node) in ("table", "incremental")
    return is_replaceable and bool(node.config.get("use_safer_relation_operations"))


def _of_view(node: Node, *, v2: bool) -> Treatment:
    kind = kind_of(node)
    if kind == "view":
        if v2 and node.config.get("view_update_via_alter"):
            return GOES_ON
        if v2 and node.config.get("use_safer_relation_operations"):
            return Treatment("dropped", "a view that takes its name", is_swapped=True)
        return REPLACED
    if kind in ("seed", "snapshot"):
        return Treatment("refused", f"dbt makes no {kind} of what is a view")
    return Treatment("dropped", f"a {kind.replace('_', ' ')}")


def _of_other(node: Node, entry: CatalogEntry, *, full_refresh: bool) -> Treatment:
    """What is no Delta table: the platform's own relations, shallow clones, and tables of other formats."""
    kind, is_type = kind_of(node), entry.table_type.upper()
    if is_type == kind.upper():
        return GOES_ON
    whole = is_replaced_whole(node, full_refresh=full_refresh)
    if is_type in _OF_PLATFORM:
        if kind in ("seed", "snapshot"):
            return Treatment("refused", f"dbt makes no {kind} of what is a {in_words(entry)}")
        if kind == "incremental" and not whole and is_type not in _VIEWLIKE:
            return GOES_ON
    elif not whole and kind in ("incremental", "snapshot"):
        return GOES_ON
    return Treatment("dropped", _made_by(node))


def _made_by(node: Node) -> str:
    kind = kind_of(node)
    return "a table" if kind in ("table", "incremental", "seed") else f"a {kind.replace('_', ' ')}"


def in_words(entry: CatalogEntry) -> str:
    """What a relation is, as in `materialized view` or `managed shallow clone`."""
    return entry.table_type.lower().replace("_", " ") if entry.kind == "other" else entry.kind
