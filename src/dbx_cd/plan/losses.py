"""What a build would take from production, each loss with a name by which somebody consents to it.

Only what exists can be lost, and what the build makes again as it was is not lost: a second release of the same commit
loses nothing. What is said here without being `destructive` takes nothing away: a column that is not filled any more,
a schema change that dbt will refuse.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from dbx_cd.dbt.effects import REPLACEABLE_FORMATS, TABLES, file_format, is_replaced_whole, kind_of
from dbx_cd.plan.column_losses import column_losses
from dbx_cd.plan.comparison import Comparison, Existing
from dbx_cd.plan.contract_losses import contract_losses
from dbx_cd.plan.key_losses import key_losses
from dbx_cd.plan.loss import Loss, loss
from dbx_cd.plan.readers import Readers
from dbx_cd.plan.setting_losses import setting_losses
from dbx_cd.plan.treatment import Treatment, in_words, treatment_of
from dbx_cd.policies import Policies

_ABOUT_COLUMNS = ("column_dropped", "column_narrowed")


def losses_of(comparison: Comparison) -> tuple[Loss, ...]:
    """What a build of the selected nodes would take from production, by relation.

    Args:
        comparison: what production has, and the release.

    Returns:
        Each with who reads the relation, as the release's manifest knows it.
    """
    treated = [(existing, treatment_of(existing, comparison)) for existing in comparison.existing]
    found = [one for existing, treatment in treated for one in _of_one(existing, treatment, comparison)]
    found += key_losses(treated, comparison)
    readers = Readers(comparison.manifest)
    return tuple(_with_readers(one, comparison, readers) for one in sorted(found, key=lambda one: one.relation))


def to_agree_to(losses: Iterable[Loss], policies: Policies) -> tuple[str, ...]:
    """The names of the losses that need consent: what is dropped as an orphan needs it whatever the policy is."""
    asks = policies.destructive_changes == "consent"
    return tuple(loss.name for loss in losses if loss.destructive and (asks or loss.kind == "orphan_dropped"))


def _with_readers(one: Loss, comparison: Comparison, readers: Readers) -> Loss:
    node = comparison.manifest.relations.get(one.relation.lower())
    if node is None:
        return one
    read_by, exposures = readers.of(node.unique_id)
    return replace(one, readers=read_by, exposures=exposures)


def _of_one(existing: Existing, treatment: Treatment, comparison: Comparison) -> Iterator[Loss]:
    if treatment.how == "refused":
        yield loss(existing.relation, "build_refused", "build", treatment.by, destructive=False)
        return
    if comparison.is_foreign(existing):
        yield loss(existing.relation, "taken_over", "relation that no release made", _taken_over(existing, treatment))
    yield from _of_the_whole(existing, treatment)
    yield from _of_layout(existing, treatment)
    yield from _of_rows(existing, comparison)
    of_columns = list(column_losses(existing, treatment, comparison))
    yield from of_columns
    lost = {one.column for one in of_columns if one.kind in _ABOUT_COLUMNS}
    yield from contract_losses(existing, columns_lost=lost)
    yield from setting_losses(existing, treatment, hooks=comparison.hooks_at_the_end)


def _taken_over(existing: Existing, treatment: Treatment) -> str:
    does = {"goes on": "writes to it", "replaced": "replaces it", "dropped": "drops it"}[treatment.how]
    node = existing.node
    return f"it is there, no build of this target that is known made it, and {node.resource_type} {node.name} {does}"


def _of_the_whole(existing: Existing, treatment: Treatment) -> Iterator[Loss]:
    """What is dropped with its history; a view has none, and what it was is in its text."""
    node, entry = existing.node, existing.entry
    if treatment.how != "dropped" or entry.kind == "view":
        return
    what = in_words(entry)
    is_plain = entry.kind == "table" or entry.table_type.upper() in ("MANAGED", "EXTERNAL", "BASE TABLE")
    if treatment.is_swapped or not is_plain or kind_of(node) not in TABLES:
        with_history = ", with its history" if entry.kind == "table" else ""
        yield loss(
            existing.relation, "table_replaced", what, f"the {what} is dropped{with_history}, for {treatment.by}"
        )
    elif entry.kind == "table":
        detail = f"the Delta table is dropped, with its history, for {treatment.by}"
        yield loss(existing.relation, "format_changed", "format", detail)
    elif _changes_format(existing):
        detail = f"the table is dropped for one of another format ({file_format(node.config)})"
        yield loss(existing.relation, "format_changed", "format", detail)


def _changes_format(existing: Existing) -> bool:
    """Whether a table that is not Delta today gets another format; the catalog does not say which one it has."""
    now = file_format(existing.node.config)
    if now in REPLACEABLE_FORMATS:
        return True
    return existing.before is not None and file_format(existing.before.config) != now


def _of_layout(existing: Existing, treatment: Treatment) -> Iterator[Loss]:
    """Delta replaces no clustered table with a partitioned one (measured); the other way round it does."""
    if treatment.how != "replaced" or existing.entry.kind != "table" or existing.before is None:
        return
    before, now = existing.before.config, existing.node.config
    if (before.get("liquid_clustered_by") or before.get("auto_liquid_cluster")) and now.get("partition_by"):
        detail = "Delta refuses to replace a clustered table with a partitioned one"
        yield loss(existing.relation, "build_refused", "layout", detail, destructive=False)


def _of_rows(existing: Existing, comparison: Comparison) -> Iterator[Loss]:
    """Rows that the sources do not have any more, where an incremental model is built from nothing."""
    node = existing.node
    if kind_of(node) != "incremental" or existing.entry.kind == "view":
        return
    if is_replaced_whole(node, full_refresh=comparison.full_refresh):
        by = "its config full_refresh" if node.config.get("full_refresh") else "--full-refresh"
        was = existing.before is not None and bool(existing.before.config.get("full_refresh"))
        detail = f"it is built from nothing ({by}): rows that its sources do not have any more are gone"
        yield loss(
            existing.relation,
            "full_refresh",
            "rows of earlier builds",
            f"{detail}, as after every build before" if was else detail,
            destructive=not was,
        )
