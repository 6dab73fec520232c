"""What to do with one relation: a pure decision from what it was, what it is, and who changed it in between."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Literal

from dbx_cd.delta.history import Commit, History
from dbx_cd.delta.retention import RETENTION, retention
from dbx_cd.delta.tables import CatalogEntry, Fingerprint, Kind
from dbx_cd.relations import RelationName
from dbx_cd.rollback.point import RestorePoint, VersionAfter, VersionsAfter
from dbx_cd.rollback.readiness import readiness_of
from dbx_cd.rollback.relation_state import RelationState

Action = Literal["restore", "recreate_view", "drop", "keep", "none", "undrop", "rebuild", "impossible"]
NewTables = Literal["keep", "drop"]
Dropped = Callable[[str, str], frozenset[str] | None]

_UNKNOWN_WRITER = "(the versions after the build were not recorded: this may be the release's own)"


@dataclass(frozen=True)
class PlanItem:
    """One relation of a restore plan.

    `now` says what the relation is, in a form that maintenance does not change. `rows_written` counts rows inserted,
    updated or deleted by commits still in effect, as far as their metrics say. `later_writes` describes commits of
    others that would be erased. `keep_properties` is what RESTORE would silently revert and is set again afterwards.
    """

    name: str
    action: Action
    reason: str
    now: str
    kind_before: Kind
    kind_now: Kind
    from_version: int | None = None
    to_version: int | None = None
    fingerprint: Fingerprint | None = None
    rows_written: int | None = None
    bytes_now: int | None = None
    bytes_then: int | None = None
    later_writes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    keep_properties: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def relation(self) -> RelationName:
        """The name, parsed."""
        return RelationName.parse(self.name)

    @property
    def changes(self) -> bool:
        """Whether carrying the item out changes the relation."""
        return self.action in ("restore", "recreate_view", "drop", "undrop")

    def __str__(self) -> str:
        versions = f", version {self.from_version} -> {self.to_version}" if self.action == "restore" else ""
        written = f", {self.rows_written:,} rows written since" if self.rows_written else ""
        return f"{self.name}{versions}: {self.reason}{written}"

    @property
    def is_view(self) -> bool:
        """Whether the relation is a view when all is done."""
        return self.kind_before == "view" or (self.kind_before == "missing" and self.kind_now == "view")


@dataclass(frozen=True)
class Present:
    """A relation as it is when the plan is made; `size` in bytes, where it was asked for."""

    entry: CatalogEntry
    properties: Mapping[str, str] = field(default_factory=dict)
    size: int | None = None
    history: History | None = None
    definition: str | None = None

    @property
    def kind(self) -> Kind:
        """What it is now."""
        return self.entry.kind

    @property
    def mark(self) -> str:
        """What it is, in a form that maintenance does not change."""
        if self.history is None:
            return f"{self.kind} {self.definition or self.entry.table_type}".strip()
        wrote = self.history.commits.get(self.history.content_version())
        when = f" of {wrote.at.isoformat()}" if wrote else ""
        return f"{self.kind} content version {self.history.content_version()}{when}"


@dataclass(frozen=True)
class OwnCommits:
    """What the release itself did to one relation: what was before and after each of its builds.

    `after` is None for a build that was killed before it could say so.
    """

    builds: tuple[tuple[RelationState, VersionAfter | None], ...]

    @classmethod
    def of(cls, relation: RelationName, points: Sequence[RestorePoint], afters: Sequence[VersionsAfter]) -> OwnCommits:
        """Pair each restore point with what was recorded before the next one was taken."""
        builds = []
        ends = [p.taken_at for p in points[1:]] + [None]
        for point, end in zip(points, ends, strict=True):
            state = point.state(relation)
            done = [a for a in afters if a.taken_at >= point.taken_at and (end is None or a.taken_at <= end)]
            if state is not None:
                builds.append((state, done[-1].of(relation) if done else None))
        return cls(tuple(builds))

    @property
    def recorded(self) -> bool:
        """Whether every build said where it left the relation."""
        return all(after is not None for _, after in self.builds)

    def has(self, commit: Commit, history: History) -> bool:
        """Whether a build of the release made this commit."""
        for before, after in self.builds:
            if after is None or after.version is None or not _is_in(history, after.version, after.committed_at):
                continue
            known = before.version is not None and _is_in(history, before.version, before.committed_at)
            first = before.version if known and before.version is not None else -1
            if first < commit.version <= after.version:
                return True
        return False

    def created(self) -> bool:
        """Whether a build of the release may have made a relation that did not exist before."""
        return any(after is None or after.kind != "missing" for _, after in self.builds)

    def changed_view(self) -> bool:
        """Whether a build of the release changed the view, as far as is known."""
        return any(after is None or after.definition != before.definition for before, after in self.builds)

    def left(self, definition: str | None) -> bool:
        """Whether a build of the release left the view like this."""
        return any(after is not None and after.definition == definition for _, after in self.builds)


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
        now=now.mark,
        kind_before=before.kind,
        kind_now=now.kind,
        from_version=now.history.version if now.history else None,
        to_version=before.version,
        bytes_now=now.size,
        bytes_then=before.detail.size if before.detail else None,
    )
    match before.kind:
        case "missing":
            return _created(item, now, own, new_tables)
        case "other":
            return _not_restorable(item, before)
        case "view":
            return _view(item, before, now, own, to)
        case _:
            return _table(item, before, now, own, to, dropped)


def _created(item: PlanItem, now: Present, own: OwnCommits, new_tables: NewTables) -> PlanItem:
    if now.kind == "missing":
        return replace(item, reason="did not exist, and does not")
    if not own.created():
        return replace(item, action="keep", reason="somebody else created it after the release")
    if new_tables == "keep":
        return replace(item, action="keep", reason="created since the restore point; new_tables is keep")
    return replace(
        item, action="drop", reason="created since the restore point; new_tables is drop",
        later_writes=_writes_by_others(now, own, since=-1),
    )  # fmt: skip


def _not_restorable(item: PlanItem, before: RelationState) -> PlanItem:
    judged = readiness_of(before, datetime.min)
    action: Action = "rebuild" if judged.status == "rebuild" else "impossible"
    return replace(item, action=action, reason=judged.reason)


def _view(item: PlanItem, before: RelationState, now: Present, own: OwnCommits, to: datetime | None) -> PlanItem:
    if now.kind == "view" and now.definition == before.definition:
        return replace(item, reason="the view is as it was")
    if to is not None:
        return replace(
            item, action="keep", reason="a view has no history: only a release's restore point holds its text"
        )
    if before.view_text is None:
        return replace(item, action="rebuild", reason="this user may not read the view's text")
    if not own.changed_view():
        return replace(item, action="keep", reason="the release did not change the view; somebody else did")
    item = replace(item, action="recreate_view", later_writes=_writes_by_others(now, own, since=-1))
    if now.kind == "missing":
        return replace(item, reason="the view is gone")
    if now.kind == "view":
        return replace(item, reason="the view has another definition")
    return replace(item, reason=f"the view is a {now.kind} now, which is renamed out of the way and not dropped")


def _table(
    item: PlanItem, before: RelationState, now: Present, own: OwnCommits, to: datetime | None, dropped: Dropped
) -> PlanItem:
    history = now.history
    assert before.version is not None
    if history is None or not _is_in(history, before.version, before.committed_at):
        return _dropped(item, before, now, own, dropped)
    target = before.version if to is None else history.version_at(to)
    if target is None:
        return replace(
            item, action="impossible", reason=f"the table's log does not reach back to {to}", to_version=None
        )
    item = replace(item, to_version=target)
    if history.content_version() == history.content_version(target):
        return replace(item, reason=f"holds what version {target} held")
    changes = history.changes_since(target)
    said = f"{len(changes)} commit{'s' if len(changes) > 1 else ''} since version {target}"
    if to is None and own.recorded and not any(own.has(c, history) for c in changes):
        return replace(item, action="keep", reason=f"{said}, none of them the release's")
    return replace(
        item,
        action="restore",
        reason=said,
        fingerprint=before.fingerprint if to is None else None,
        rows_written=sum(c.rows_written for c in changes),
        later_writes=_writes_by_others(now, own, since=target),
        warnings=_warnings(before, now),
        keep_properties=_longer_retention(before.properties, now.properties),
        bytes_then=item.bytes_then if to is None else None,
    )


def _dropped(item: PlanItem, before: RelationState, now: Present, own: OwnCommits, dropped: Dropped) -> PlanItem:
    found = "is gone" if now.kind == "missing" else f"was dropped, and a {now.kind} has its name now"
    available = dropped(before.relation.catalog, before.relation.schema)
    if available is None:
        return replace(item, action="rebuild", reason=f"the table {found}; this platform has no UNDROP")
    if before.relation.identifier.lower() not in available:
        return replace(item, action="rebuild", reason=f"the table {found}; UNDROP does not list it")
    return replace(
        item,
        action="undrop",
        reason=f"the table {found}; UNDROP lists it",
        later_writes=_writes_by_others(now, own, since=-1),
        fingerprint=before.fingerprint,
    )


def _writes_by_others(now: Present, own: OwnCommits, *, since: int) -> tuple[str, ...]:
    """Commits after `since` that no build of the release made, and that the relation still shows."""
    if now.history is not None:
        foreign = [c for c in now.history.changes_since(since) if not own.has(c, now.history)]
        return tuple(f"{c} {_UNKNOWN_WRITER}" if not own.recorded else str(c) for c in foreign)
    if now.kind != "view" or own.left(now.definition):
        return ()
    return (f"the view was changed after the release{'' if own.recorded else ' ' + _UNKNOWN_WRITER}",)


def _is_in(history: History, version: int, committed_at: datetime | None) -> bool:
    """Whether a recorded version is one of this history, and not of a dropped table of the same name.

    An entry that log cleaning removed counts as being in it: the proof that the version is readable comes later.
    """
    commit = history.commits.get(version)
    if commit is not None:
        return committed_at is None or commit.at == committed_at
    return version < min(history.commits)


def _longer_retention(before: Mapping[str, str], now: Mapping[str, str]) -> dict[str, str]:
    """Retention that was made longer since and that RESTORE would silently make short again (measured)."""
    return {name: now[name] for name in RETENTION if name in now and retention(now, name) > retention(before, name)}


def _warnings(before: RelationState, now: Present) -> tuple[str, ...]:
    """What readers of the table meet after a RESTORE (measured on open-source Delta)."""
    found = ["a stream that reads the table fails unless it has skipChangeCommits"]
    if now.properties.get("delta.enableChangeDataFeed") == "true":
        found.append("readers of its change data feed get the inverse rows")
    if before.readers:
        found.append(f"read by {', '.join(before.readers)}")
    return tuple(found)
