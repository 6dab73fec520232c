"""Tables that a build may not replace because of what they are already: staging's are dropped, production's never.

CREATE OR REPLACE keeps a table's history, and with it what cannot be undone: a table that ever was clustered cannot
become partitioned. That stops a code rollback in staging, where the newer commit has built the table. Whatever is in
staging can be built again, so there the table goes, and the build runs once more. Readers of staging, such as views of
production that defer to it, miss the table until it is built.

Measured on Delta 4.4: RESTORE to a version of before the clustering brings rows and partitions back and leaves the
feature in the table's protocol, DROP FEATURE refuses it, and so does every later CREATE OR REPLACE ... PARTITIONED BY.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dbx_cd.dbt.artifacts import Manifest, Node, NodeResult
from dbx_cd.delta.tables import Tables
from dbx_cd.errors import ArtifactError, SqlFailed
from dbx_cd.plan.apart import taken_by_gated
from dbx_cd.relations import RelationName

if TYPE_CHECKING:
    from dbx_cd.release.context import Cd

_log = logging.getLogger(__name__)

_REPLACED_KINDS = ("table", "incremental", "seed")  # a snapshot's rows are in its table only
_CONDITION = re.compile(r"\[([A-Z][A-Z0-9_]+(?:\.[A-Z0-9_]+)?)\]")
_APPEND_ONLY = "DELTA_CANNOT_MODIFY_APPEND_ONLY"
# Refused by CREATE OR REPLACE: whatever builds the table meets it again. Measured on Delta 4.4, each with a DROP that
# helps, but for the last two, which are read in Delta's error texts.
_REPLACE_CONDITIONS = frozenset({
    "DELTA_CLUSTERING_REPLACE_TABLE_WITH_PARTITIONED_TABLE",
    "DELTA_ICEBERG_COMPAT_VIOLATION.REPLACE_TABLE_CHANGE_PARTITION_NAMES",
    "DELTA_ICEBERG_COMPAT_VIOLATION.DELETION_VECTORS_SHOULD_BE_DISABLED",
    "DELTA_TABLE_LOCATION_MISMATCH",
    _APPEND_ONLY,
    "DELTA_ICEBERG_COMPAT_VIOLATION.DELETION_VECTORS_NOT_PURGED",
    "DELTA_REPLACE_TABLE_WITH_CATALOG_MANAGED_NOT_SUPPORTED",
})  # fmt: skip
# Refused by an ALTER TABLE that dbt-databricks runs on an incremental model whose config has changed; a full refresh,
# which is CREATE OR REPLACE, does it (measured).
_ALTER_CONDITIONS = frozenset({
    "DELTA_ALTER_TABLE_CLUSTER_BY_ON_PARTITIONED_TABLE_NOT_ALLOWED",
    "DELTA_UNSUPPORTED_COLUMN_MAPPING_MODE_CHANGE",
})  # fmt: skip


@dataclass(frozen=True)
class Refusal:
    """A node whose own table stands in its way."""

    name: str
    """The node's name."""
    kind: str
    """`table`, `incremental` or `seed`."""
    relation: RelationName
    """Its table."""
    condition: str
    """The error condition that Delta named."""

    @property
    def replaced(self) -> str:
        """What dropping it means, in words."""
        rows = "; its rows are built anew, those of earlier runs are gone" if self.kind == "incremental" else ""
        return f"dropped {self.relation} to replace it: its layout cannot be changed in place ({self.condition}){rows}"


def refusals(manifest: Manifest, results: Iterable[NodeResult]) -> list[Refusal]:
    """The nodes of a failed build that an empty place would let pass, as far as dbt's results tell.

    Args:
        manifest: the build's manifest.
        results: what became of each node.
    """
    found = []
    for result in results:
        node = manifest.nodes.get(result.unique_id)
        condition = _condition(result.message or "") if result.failed else None
        if node is None or node.relation is None or condition is None or not node.builds_relation:
            continue
        kind = node.resource_type if node.resource_type != "model" else node.materialized
        if kind in _REPLACED_KINDS and not (condition == _APPEND_ONLY and _is_append_only(node)):
            found.append(Refusal(node.name, kind, node.relation, condition))
    return found


def make_room(cd: Cd, refused: Sequence[Refusal]) -> tuple[str, ...]:
    """Drop the tables of an open target that stand in the way of their own nodes.

    A relation that a gated target has as well is left alone, whatever the project's names make of it.

    Args:
        cd: the context.
        refused: from `refusals`.

    Returns:
        What was dropped and why, in words; empty where there is no use in running the build again.
    """
    if not refused:
        return ()
    try:
        kept = taken_by_gated(cd).relations
    except ArtifactError as exc:
        _log.warning("nothing is dropped, for it is not known what production has: %s", exc)
        return ()
    dropped = [r for r in refused if r.relation.key not in kept and _dropped(cd.tables, r)]
    for refusal in dropped:
        _log.warning("%s", refusal.replaced)
    return tuple(refusal.replaced for refusal in dropped)


def way_out(refused: Sequence[Refusal], *, target: str) -> str | None:
    """What to do where a gated target's own tables refuse a build; None where none does."""
    if not refused:
        return None
    steps = [f"nothing was dropped in {target}; roll its data back if that is to be what it was before"]
    altered = [r for r in refused if r.condition in _ALTER_CONDITIONS]
    stuck = [r for r in refused if r not in altered]
    if altered:
        steps.append(f"{_names(altered)} can be built with full_refresh, which needs an approval of its own")
    if stuck:
        steps.append(
            f"no rollback and no full_refresh lets {_names(stuck)} be replaced by the layout of this commit: keep the "
            "table's layout in a new commit, or have its owner move it away (ALTER TABLE ... RENAME TO, which keeps "
            "its rows and history, or DROP TABLE), then repair the run from the build on"
        )
    return "; ".join(steps)


def _condition(message: str) -> str | None:
    known = _REPLACE_CONDITIONS | _ALTER_CONDITIONS
    return next((name for name in _CONDITION.findall(message) if name in known), None)


def _is_append_only(node: Node) -> bool:
    """Whether the project itself wants the table so: then the next build would be refused again."""
    properties = node.config.get("tblproperties") or {}
    return str(properties.get("delta.appendOnly", "")).lower() == "true"


def _dropped(tables: Tables, refusal: Refusal) -> bool:
    try:
        if tables.entries([refusal.relation])[refusal.relation.key].kind != "table":
            return False
        tables.drop(refusal.relation, kind="table")
    except SqlFailed as exc:
        _log.warning("%s stands in its own way, and cannot be dropped: %s", refusal.relation, exc)
        return False
    return True


def _names(refused: Sequence[Refusal]) -> str:
    return ", ".join(f"{r.relation} ({r.condition})" for r in refused)
