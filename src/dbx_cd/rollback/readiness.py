"""Whether and until when a relation can be brought back to what it is now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

from dbx_cd.delta.column_mapping import MODE, is_refused, mode_of, way_around
from dbx_cd.delta.retention import RETENTION, in_days, retention, shorter_retention, unreadable_retention
from dbx_cd.delta.spark_tables import SparkTables
from dbx_cd.delta.tables import Tables
from dbx_cd.errors import RestoreRefused
from dbx_cd.relations import RelationName

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from dbx_cd.rollback.relation_state import RelationState

# How long UNDROP lists a dropped table of Unity Catalog by default (Databricks documentation; not verified).
UNDROP_WINDOW = timedelta(days=7)

_LEAST = timedelta(minutes=10)
"""What is restorable for less than this is called lost: a build takes longer."""

Status = Literal["restorable", "undrop", "rebuild", "impossible"]


@dataclass(frozen=True)
class Readiness:
    """How one relation would come back."""

    name: str
    """The relation, with catalog and schema."""
    status: Status
    """By the restore itself, with the platform's UNDROP first, by dbt from the earlier code, or not at all."""
    reason: str
    """Why, for people."""
    until: datetime | None = None
    """Until when, UTC, where that is limited."""
    is_lost: bool = False
    """Whether nothing can bring today's rows back after the deploy; a rebuild makes others."""


def readiness_of(state: RelationState, taken_at: datetime) -> Readiness:
    """Judge one relation of a restore point.

    A table's files outlive their removal by `delta.deletedFileRetentionDuration`, which begins with the build at the
    earliest. But Delta goes back to a version by the age of its own commit, so that is what counts; see `refresh`.
    """
    judged = _judged(state, taken_at)
    return replace(judged, reason=judged.reason + _fine_grained(state))


def _judged(state: RelationState, taken_at: datetime) -> Readiness:
    match state.kind:
        case "missing":
            return Readiness(state.name, "restorable", "does not exist yet: what the release creates can be dropped")
        case "view" if state.view_text is None:
            return Readiness(state.name, "rebuild", "this user may not read the view's text")
        case "view":
            return Readiness(state.name, "restorable", "its text is recorded")
        case "table" if state.unreadable:
            # Also where files are gone today: the rows of all others are there, and no RESTORE brings those back.
            return Readiness(state.name, "rebuild", state.unreadable, is_lost=True)
        case "table" if state.replaced_by and state.can_undrop:
            reason = f"the build drops it for {state.replaced_by}; UNDROP brings it back for 7 days (never tried)"
            return Readiness(state.name, "undrop", reason, taken_at + UNDROP_WINDOW)
        case "table" if state.replaced_by:
            reason = f"the build drops it for {state.replaced_by}, with its history; this platform has no UNDROP"
            return Readiness(state.name, "rebuild", reason, is_lost=True)
        case "table":
            return _of_table(state, taken_at)
    if state.table_type == "MATERIALIZED_VIEW":
        return Readiness(state.name, "rebuild", "a materialized view has no time travel: deploy the earlier code")
    reason = f"{state.table_type.lower() or 'this kind'} has no time travel"
    return Readiness(state.name, "impossible", reason, is_lost=True)


def _of_table(state: RelationState, taken_at: datetime) -> Readiness:
    kept = {name: shorter_retention(name, state.properties, state.properties_after) for name in RETENTION}
    shortest = min(kept, key=lambda name: kept[name])
    unreadable = {**unreadable_retention(state.properties), **unreadable_retention(state.properties_after or {})}
    limit = f"{shortest} is {in_days(kept[shortest])}"
    if shortest in unreadable:
        limit = f"{shortest} is {unreadable[shortest]!r}, which cannot be read, so that nothing is promised"
    committed = state.committed_at or taken_at
    until = committed + kept[shortest]
    failed = f"; no version of today could be made: {state.refresh_error}" if state.refresh_error else ""
    gets_one_of_today = state.refresh_due and state.refresh_error is None
    if not gets_one_of_today and until <= taken_at + _LEAST:
        reason = (
            f"version {state.version} is of {committed:%Y-%m-%d} and {limit}: Delta does not go back to it once the "
            f"build has written{failed}"
        )
        return Readiness(state.name, "rebuild", reason, is_lost=True)
    if state.properties_after is not None and is_refused(now=state.properties_after, then=state.properties):
        return Readiness(state.name, "rebuild", _other_mode(state, state.properties_after))
    if gets_one_of_today:
        made = (
            f"version {state.version} is of {committed:%Y-%m-%d}; the restore point makes one of today of it (MODIFY)"
        )
        reason = f"files checked; {limit}; {made}"
        return Readiness(state.name, "restorable", reason, taken_at + kept[shortest])
    made = f"; version {state.version} was made of version {state.refreshed_from}" if state.refreshed_from else ""
    return Readiness(state.name, "restorable", f"files checked; {limit}{made}{failed}", until)


def _other_mode(state: RelationState, after: Mapping[str, str]) -> str:
    modes = f"from {mode_of(state.properties)} to {mode_of(after)}"
    return (
        f"the build changes {MODE} {modes}, and RESTORE does not change it back: "
        f"to bring it back, {way_around(state.relation, then=state.properties)}"
    )


def _fine_grained(state: RelationState) -> str:
    """Row filters and masks refuse time travel on dedicated compute: FGAC_TIME_TRAVEL_NOT_SUPPORTED (documentation)."""
    if not state.settings.fine_grained:
        return ""
    listed = ", ".join(state.settings.fine_grained)
    return f"; it has {listed}: no time travel on dedicated compute: roll back on standard compute or a warehouse"


def extend_retention(spark: SparkSession, table: RelationName, *, days: int) -> None:
    """Keep what a table was for at least this many days, so that it can be brought back that long.

    Before a deploy it keeps VACUUM from removing what the table was, unless the build resets it (CREATE OR REPLACE
    does).
    After one it makes versions readable again that are older than the retention was, as far as VACUUM has left their
    files. A restore keeps retention that was made longer since.

    Both retention properties are set, because Delta refuses files kept longer than the log (measured). Files already
    vacuumed stay gone.

    Args:
        spark: a session that may alter the table.
        table: a Delta table.
        days: how long; retention that is already longer stays.

    Raises:
        RestoreRefused: retention is set to what cannot be read here, so that it may be longer. Nothing is changed.

    Example:
        extend_retention(spark, RelationName.parse("prod.shop.orders"), days=30)
    """
    extend(SparkTables.of(spark), table, days=days)


def extend(tables: Tables, table: RelationName, *, days: int) -> None:
    """What `extend_retention` does, on tables that are asked already."""
    now = tables.detail(table).properties
    for name, value in unreadable_retention(now).items():
        raise RestoreRefused(
            f"{name} is {value!r}, which cannot be read: it may be longer than {days} days",
            where=table,
            next_step="set it by hand to a number of days, such as 'interval 30 days', with ALTER TABLE ... "
            "SET TBLPROPERTIES",
        )
    wanted = timedelta(days=days)
    longer = {name: f"interval {days} days" for name in RETENTION if retention(now, name) < wanted}
    if longer:
        tables.set_properties(table, longer)
