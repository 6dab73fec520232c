"""Whose commit is it, and is it still the same table: what a rollback may undo, and what is left to a person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from dbx_cd.delta.history import Commit, History
from dbx_cd.delta.tables import Tables
from dbx_cd.errors import RestoreRefused
from dbx_cd.relations import RelationName
from dbx_cd.rollback.plan_item import PlanItem
from dbx_cd.rollback.point import RestorePoint, VersionAfter, VersionsAfter
from dbx_cd.rollback.relation_state import Present, RelationState

_UNKNOWN_WRITER = "(the versions after the build were not recorded: this may be the release's own)"
_FIRST_COMMITS = 1000  # enough for all but very busy tables; those are asked a second time, for everything


def history_since(tables: Tables, relation: RelationName, version: int | None) -> History:
    """A table's newest commits, back to a recorded version at least."""
    commits = tables.history(relation, limit=_FIRST_COMMITS)
    if len(commits.commits) == _FIRST_COMMITS and min(commits.commits) > (version or 0):
        return tables.history(relation)
    return commits


def is_in(history: History, version: int | None, committed_at: datetime | None) -> bool:
    """Whether a recorded version is one of this table's, and not of a dropped table of the same name.

    An entry that log cleaning removed counts as being in it: the proof that the version is readable comes later.
    """
    if version is None:
        return False
    commit = history.commits.get(version)
    if commit is not None:
        return committed_at is None or commit.at == committed_at
    return version < min(history.commits)


def mark(now: Present) -> str:
    """What a relation is, in a form that maintenance does not change; two that differ are two."""
    if now.history is None:
        return f"{now.kind} {now.definition or now.entry.table_type}".strip()
    content = now.history.content_version()
    wrote = now.history.commits.get(content)
    when = f" of {wrote.at.isoformat()}" if wrote else ""
    return f"{now.kind} content version {content}{when}"


@dataclass(frozen=True)
class OwnCommits:
    """What the release itself did to one relation."""

    builds: tuple[tuple[RelationState, VersionAfter | None], ...]
    """What was before and after each of its builds; None after one that was killed before it could say so."""

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
            if after is None or after.version is None or not is_in(history, after.version, after.committed_at):
                continue
            known = is_in(history, before.version, before.committed_at)
            first = before.version if known and before.version is not None else -1
            if first < commit.version <= after.version:
                return True
        return False

    def may_be_among(self, commits: Sequence[Commit], history: History) -> bool:
        """Whether a build of the release made one of these commits, as far as is known."""
        return not self.recorded or any(self.has(commit, history) for commit in commits)

    def created(self) -> bool:
        """Whether a build of the release may have made a relation that did not exist before."""
        return any(after is None or after.kind != "missing" for _, after in self.builds)

    def changed_view(self) -> bool:
        """Whether a build of the release changed the view, as far as is known."""
        return any(after is None or after.definition != before.definition for before, after in self.builds)

    def left(self, definition: str | None) -> bool:
        """Whether a build of the release left the view like this."""
        return any(after is not None and after.definition == definition for _, after in self.builds)

    def writes_by_others(self, now: Present, *, since: int = -1) -> tuple[str, ...]:
        """Changes after a version that no build of the release made, and that the relation still shows."""
        unknown = "" if self.recorded else f" {_UNKNOWN_WRITER}"
        if now.history is not None:
            changes = now.history.changes_since(since)
            return tuple(f"{commit}{unknown}" for commit in changes if not self.has(commit, now.history))
        if now.kind != "view" or self.left(now.definition):
            return ()
        return (f"the view was changed after the release{unknown}",)


def is_as_planned(planned: PlanItem, now: PlanItem) -> bool:
    """Whether a relation is what the plan says, or what an earlier attempt at this plan made of it.

    Such an attempt brings a table to its version or a view to its definition, moves what stood in the way, or brings a
    dropped table back without restoring it yet.
    """
    if planned.now == now.now:
        return True
    if not planned.changes:
        return False
    if now.action == "none":
        return True
    moved_away = now.kind_now == "missing" and planned.action == now.action
    return moved_away or (planned.action == "undrop" and now.action == "restore" and not now.later_writes)


def is_restored(item: PlanItem, history: History) -> bool:
    """Whether a table is by now what the plan makes of it; else nobody has written to it since it was looked at last.

    Raises:
        RestoreRefused: somebody has.
    """
    content = history.content_version()
    if content == history.content_version(item.to_version):
        return True
    if item.from_version is not None and content != history.content_version(item.from_version):
        raise RestoreRefused(
            f"somebody wrote to it just now: {history.commits.get(content)}",
            where=item.name,
            next_step="plan again: the plan says then what would be erased",
        )
    return False
