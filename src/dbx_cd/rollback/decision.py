"""What to do with one relation: a pure decision from what it was, what it is, and who changed it in between."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from dbx_cd.delta.column_mapping import MODE, is_refused, mode_of, way_around
from dbx_cd.delta.history import History
from dbx_cd.delta.retention import FILES_KEPT, RETENTION, retention, unreadable_retention
from dbx_cd.errors import SqlFailed
from dbx_cd.rollback.differences import left_by_recreation, left_by_restore, left_where_nothing_is_done
from dbx_cd.rollback.own_build import is_same_table
from dbx_cd.rollback.ownership import OwnCommits, mark
from dbx_cd.rollback.plan_item import Action, NewTables, PlanItem
from dbx_cd.rollback.readiness import readiness_of
from dbx_cd.rollback.relation_state import Present, RelationState, hides_files

_CLUSTERING = "clustering"

Dropped = Callable[[str, str], frozenset[str] | None]


def decide(
    before: RelationState,
    now: Present,
    *,
    own: OwnCommits,
    to: datetime | None,
    new_tables: NewTables,
    dropped: Dropped,
) -> PlanItem:
    """Decide what brings one relation back.

    Args:
        before: what it was, from the restore point.
        now: what it is.
        own: the release's own commits, to tell them from those of others.
        to: a time to go back to instead of the restore point.
        new_tables: what becomes of relations the release created.
        dropped: asks which tables of a schema UNDROP can bring back; None where there is no UNDROP.
    """
    item = PlanItem(
        name=before.name,
        action="none",
        reason="as it was",
        now=mark(now),
        kind_before=before.kind,
        kind_now=now.kind,
        created=now.entry.created,
        from_version=now.history.version if now.history else None,
        to_version=before.version,
        bytes_now=now.detail.size if now.detail else None,
        bytes_then=before.detail.size if before.detail else None,
    )
    match before.kind:
        case "missing":
            return _created(item, now, own, new_tables, to)
        case "other":
            return _not_restorable(item, before)
        case "view":
            item = _view(item, before, now, own, to)
        case _:
            item = _table(item, before, now, own, to, dropped)
    return replace(item, differences=_differences(item, before, now, to))


def _differences(item: PlanItem, before: RelationState, now: Present, to: datetime | None) -> tuple[str, ...]:
    """What will not be as it was, though the item is carried out."""
    if item.action in ("rebuild", "impossible"):
        return ()
    if to is not None:
        return ("what the catalog keeps of it is recorded for the restore point, and not for another time",)
    if now.kind != before.kind:
        return ("its keys, tags, grants and owner: another relation has its name now, or none, so look at them",)
    if item.action == "none":
        return left_where_nothing_is_done(before, now)
    kept = (f"property {k} stays {v!r}, which was made longer since" for k, v in sorted(item.keep_properties.items()))
    return (*left_by_restore(before, now), *left_by_recreation(before), *kept)


def _created(item: PlanItem, now: Present, own: OwnCommits, new_tables: NewTables, to: datetime | None) -> PlanItem:
    if now.kind == "missing":
        return replace(item, reason="did not exist, and does not")
    if own.existed(now):
        reason = "it is older than the restore point, though the catalog did not show it then"
        return replace(item, action="keep", reason=reason)
    if not own.created(now):
        return replace(item, action="keep", reason="somebody else created it after the release")
    if now.kind == "other":
        return replace(item, action="keep", reason=_other_kind(item, now, own))
    if to is not None and (now.history is None or now.history.version_at(to) is not None):
        return replace(item, action="keep", reason="it may have been there at that time")
    if new_tables == "keep":
        return replace(item, action="keep", reason="created since the restore point; new_tables is keep")
    return replace(
        item, action="drop", reason="created since the restore point; new_tables is drop",
        later_writes=own.writes_by_others(now),
    )  # fmt: skip


def _other_kind(item: PlanItem, now: Present, own: OwnCommits) -> str:
    kind = now.entry.table_type.replace("_", " ").lower() or "of another kind"
    if own.left_kind(now.kind):
        return f"the release's {kind} is not dropped for you: DROP {kind.upper()} {item.relation.quoted}"
    return f"it is {kind} by now, which no build of the release made"


def _not_restorable(item: PlanItem, before: RelationState) -> PlanItem:
    judged = readiness_of(before, datetime.min)
    action: Action = "rebuild" if judged.status == "rebuild" else "impossible"
    return replace(item, action=action, reason=judged.reason)


def _view(item: PlanItem, before: RelationState, now: Present, own: OwnCommits, to: datetime | None) -> PlanItem:
    if now.kind == "view" and now.entry.view_text is None and before.view_text is not None and to is None:
        hidden = "only its owner may read the view's text"
        if not own.changed_view():
            reason = f"the release did not change the view; whether somebody else did is not verified: {hidden}"
            return replace(item, action="keep", reason=reason)
        reason = f"the release changed the view, and {hidden}: plan and restore it as its owner"
        return replace(item, action="rebuild", reason=reason)
    if now.kind == "view" and now.definition == before.definition:
        return replace(item, reason="the view is as it was")
    if to is not None:
        return replace(
            item, action="keep", reason="a view has no history: only a release's restore point holds its text"
        )
    if before.view_text is None:
        reason = "whoever took the restore point could not read the view's text, which its owner may"
        return replace(item, action="rebuild", reason=reason)
    if not own.changed_view():
        return replace(item, action="keep", reason="the release did not change the view; somebody else did")
    item = replace(item, action="recreate_view", later_writes=own.writes_by_others(now))
    if now.kind == "missing":
        return replace(item, reason="the view is gone")
    if now.kind == "view":
        return replace(item, reason="the view has another definition")
    return replace(item, reason=f"the view is a {now.kind} now, which is renamed out of the way and not dropped")


def _table(
    item: PlanItem, before: RelationState, now: Present, own: OwnCommits, to: datetime | None, dropped: Dropped
) -> PlanItem:
    history = now.history
    if history is None or not is_same_table(history, before):
        return _dropped(item, before, now, own, to, dropped)
    recorded = before.version if to is None else history.version_at(to)
    if recorded is None:
        return replace(
            item, action="impossible", reason=f"the table's log does not reach back to {to}", to_version=None
        )
    kept = retention(now.properties, FILES_KEPT)
    version, until = history.way_back(recorded, kept=kept)
    item = replace(item, to_version=version)
    if history.content_version() == history.content_version(version):
        return replace(item, reason=f"is what version {version} was")
    changes = history.changes_since(version)
    commits = f"{len(changes)} commit{'s' if len(changes) > 1 else ''} since version {version}"
    if to is None and not own.may_be_among(changes, history):
        return replace(item, action="keep", reason=f"{commits}, none of them the release's")
    if to is None and is_refused(now=now.properties, then=before.properties):
        # Before its age is looked at: replacing the table takes longer retention away again.
        return replace(item, action="rebuild", reason=f"{commits}; {_other_mode(before, now)}")
    if hides_files(now.entry.columns) or hides_files(before.columns):
        way = f"RESTORE TABLE {before.relation.quoted} TO VERSION AS OF {version} brings it back, unproved"
        return replace(item, action="rebuild", reason=f"{commits}; its column _metadata hides its files: {way}")
    if until is not None and until <= datetime.now(UTC):
        return replace(item, action="rebuild", reason=f"{commits}; {_too_old(before, now, until, kept)}")
    keep = _longer_retention(before.properties if to is None else {}, now.properties)
    is_as_recorded = to is None and history.refreshes.issuperset(range(recorded + 1, version + 1))
    return replace(
        item,
        action="restore",
        reason=commits,
        until=until,
        fingerprint=before.fingerprint if is_as_recorded else None,
        rows_written=sum(c.rows_written for c in changes),
        later_writes=own.writes_by_others(now, since=version),
        warnings=(
            *own.counted_by_name(changes, history),
            *_reverted(history, version, kept=keep),
            *_warnings(before, now),
        ),
        keep_properties=keep,
        bytes_then=item.bytes_then if to is None else None,
    )


def _other_mode(before: RelationState, now: Present) -> str:
    modes = f"from {mode_of(now.properties)} to {mode_of(before.properties)}"
    return f"RESTORE does not change {MODE} {modes}: {way_around(before.relation, then=before.properties)}"


def _too_old(before: RelationState, now: Present, until: datetime, kept: timedelta) -> str:
    days = math.ceil((datetime.now(UTC) - until + kept) / timedelta(days=1)) + 1
    unreadable = unreadable_retention(now.properties).get(FILES_KEPT)
    if unreadable is not None:
        return (
            f"{FILES_KEPT} is {unreadable!r}, which cannot be read: whether Delta goes back to that version is not "
            f"known; set it to 'interval {days} days' or longer by ALTER TABLE, and plan again"
        )
    call = f'extend_retention(spark, RelationName.parse("{before.name}"), days={days})'
    return (
        f"Delta went back to that version until {until:%Y-%m-%d %H:%M} UTC ({FILES_KEPT}); as long as VACUUM has not "
        f"removed its files, {call} makes it readable"
    )


def _dropped(
    item: PlanItem, before: RelationState, now: Present, own: OwnCommits, to: datetime | None, dropped: Dropped
) -> PlanItem:
    found = "is gone" if now.kind == "missing" else f"was dropped, and a {now.kind} has its name now"
    try:
        available = dropped(before.relation.catalog, before.relation.schema)
    except SqlFailed as exc:
        reason = f"the table {found}; whether UNDROP can bring it back is not known: {exc.what}"
        return replace(item, action="rebuild", reason=reason)
    if available is None:
        return replace(item, action="rebuild", reason=f"the table {found}; this platform has no UNDROP")
    if before.relation.identifier.lower() not in available:
        return replace(item, action="rebuild", reason=f"the table {found}; UNDROP does not list it")
    if to is not None:
        reason = f"the table {found}; what it was at {to} is known when UNDROP has brought it back: do that, plan again"
        return replace(item, action="rebuild", reason=reason)
    return replace(
        item,
        action="undrop",
        reason=f"the table {found}; UNDROP lists it",
        later_writes=own.writes_by_others(now),
        fingerprint=before.fingerprint,
    )


def _longer_retention(before: Mapping[str, str], now: Mapping[str, str]) -> dict[str, str]:
    """Retention that was made longer since and that RESTORE would silently make short again (measured).

    Of another time than the restore point's nothing is recorded: what is longer than Delta's default stays then.
    """
    return {name: now[name] for name in RETENTION if name in now and retention(now, name) > retention(before, name)}


def _reverted(history: History, version: int, *, kept: Mapping[str, str]) -> tuple[str, ...]:
    """What others did to how the table is kept, which needs nobody's consent, and which RESTORE takes back as well."""
    return tuple(
        f"taken back as well: {commit}"
        for commit in history.commits.values()
        if commit.version > version
        and (commit.is_layout or (commit.is_maintenance and commit.changed_properties - kept.keys()))
        and commit.version not in history.refreshes
    )


def _warnings(before: RelationState, now: Present) -> tuple[str, ...]:
    """What readers of the table meet after a RESTORE (measured on open-source Delta)."""
    found = ["a stream that reads the table fails unless it has skipChangeCommits"]
    if now.properties.get("delta.enableChangeDataFeed") == "true":
        found.append("readers of its change data feed get the inverse rows")
    if before.detail and "identityColumns" in before.detail.features:
        found.append("the numbers of its identity columns go on from where they are now")
    if before.readers:
        found.append(f"read by {', '.join(before.readers)}")
    if before.detail and now.detail and before.detail.partitioned_by and _CLUSTERING in now.detail.features:
        found.append(
            "it stays a table that can be clustered, which Delta does not replace by a partitioned one (measured): "
            "before the earlier code is built, rename it away"
        )
    return tuple(found)
