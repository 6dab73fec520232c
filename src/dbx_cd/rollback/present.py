"""What a relation is now, in the terms of what a restore point recorded of it."""

from __future__ import annotations

from datetime import UTC, datetime

from dbx_cd.delta.tables import CatalogEntry, Tables
from dbx_cd.rollback.ownership import history_since
from dbx_cd.rollback.plan_item import PlanItem
from dbx_cd.rollback.relation_state import Present, RelationState, view_definition


def present_of(
    tables: Tables, before: RelationState, entry: CatalogEntry, *, details: bool, to: datetime | None = None
) -> Present:
    """Ask about one relation.

    Args:
        tables: where it is.
        before: what it was.
        entry: what the catalog says of it now.
        details: also ask for what costs more: a table's size, layout and protocol.
        to: a time that a table's commits have to reach back to, as far as its log does.
    """
    relation = before.relation
    if entry.kind == "table":
        detail = tables.detail(relation) if details else None
        properties = detail.properties if detail else tables.properties(relation)
        commits = history_since(tables, relation, before.version)
        if to is not None and min(commits.commits) > 0 and commits.version_at(to) is None:
            commits = tables.history(relation)  # the newest reach back to the recorded version, and not to that time
        commits = commits.with_times_of(properties, recorded=before.properties)
        return Present(entry, properties, detail, history=commits)
    if entry.kind == "view":
        properties, reading = tables.properties(relation), tables.view_reading(relation)
        recorded = before.view_reading if before.kind == "view" else reading
        # Records of before that was kept have none to compare with.
        older = view_definition(entry, properties, reading=None)
        alike = older if recorded is None else view_definition(entry, properties, reading=reading.like(recorded))
        whole = view_definition(entry, properties, reading=reading)
        return Present(entry, definition=alike, definitions=frozenset({older, alike, whole}))
    return Present(entry)


def is_untouched(tables: Tables, planned: PlanItem, entry: CatalogEntry) -> bool:
    """Whether a table that is to be restored is at the version of the plan, was not made anew, and can go back still.

    The version alone may be another table's of that name; when it was created says that, where the catalog does.
    """
    return (
        planned.action == "restore"
        and planned.from_version is not None
        and (planned.until is None or planned.until > datetime.now(UTC))
        and entry.kind == "table"
        and entry.created is not None
        and entry.created == planned.created
        and tables.is_newest(planned.relation, planned.from_version)
    )
