"""One build of a release, as far as one relation goes: what it found, where it left it, which commits are its own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from dbx_cd.delta.history import Commit, History
from dbx_cd.rollback.point import VersionAfter
from dbx_cd.rollback.relation_state import RelationState

Writer = Literal["release", "others", "unknown"]
"""Whose commit: the release's own, somebody else's, or one of which that cannot be told."""


def is_same_table(history: History, recorded: RelationState | VersionAfter) -> bool:
    """Whether a table is the one that was recorded, and not another that was made in its place after a drop."""
    return recorded.version is not None and history.has(
        recorded.version, at=recorded.committed_at, mark=recorded.commit_mark
    )


@dataclass(frozen=True)
class OwnBuild:
    """One build of the release, as far as one relation goes."""

    before: RelationState
    """What was there before it."""
    after: VersionAfter | None
    """Where it left the relation; None after one that was killed before it could say so."""
    taken_at: datetime
    """When its restore point was taken, UTC."""
    next_version: int | None = None
    """Where a later build of the release found the table: what is committed until then was done by this one."""
    writers: tuple[str, ...] = ()
    """Whose commits are the release's own, as the platform names them; empty in records of before they were kept."""

    @property
    def left_alone(self) -> bool:
        """Whether dbt says that it has not built the relation: what became of it meanwhile is somebody else's."""
        return self.after is not None and self.after.is_built is False

    def writer_of(self, commit: Commit, history: History) -> Writer:
        """Whose commit this is, by the time between before and after, and by the name in the table's history.

        A history that names nobody (open-source Delta; Databricks always names somebody) proves nothing. A name that is
        not known as one of the release's may be somebody else's, or the one under which dbt logs in.
        """
        known = is_same_table(history, self.before)
        if known and self.before.version is not None and commit.version <= self.before.version:
            return "others"
        if self.left_alone:
            return "others"  # also by one of the release's names: another job of the same identity
        if self.after is not None and not (is_same_table(history, self.after) and commit.version <= _end(self.after)):
            return "others"
        is_named = not self.writers or commit.user in self.writers
        is_before_repair = bool(self.writers) and commit.version <= (self.next_version or -1)
        return "release" if is_named and (self.after is not None or is_before_repair) else "unknown"


def _end(after: VersionAfter) -> int:
    return -1 if after.version is None else after.version
