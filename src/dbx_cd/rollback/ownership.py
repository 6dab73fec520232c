"""What the release itself did to a relation: what a rollback may undo, and what is left to a person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from dbx_cd.delta.history import Commit, History
from dbx_cd.delta.tables import Kind, Tables
from dbx_cd.errors import RestoreRefused
from dbx_cd.relations import RelationName
from dbx_cd.rollback.own_build import OwnBuild, Writer
from dbx_cd.rollback.plan_item import PlanItem
from dbx_cd.rollback.point import RestorePoint, VersionsAfter
from dbx_cd.rollback.relation_state import Present
from dbx_cd.rollback.view_writers import changes_by_others

_NOT_RECORDED = "(the versions after the build were not recorded: this may be the release's own)"
_NOT_VERIFIED = "(not verified: the table's history names nobody; this may be the release's own)"
_BY_WEIGHT: tuple[Writer, ...] = ("release", "unknown", "others")
_CLOCKS = timedelta(minutes=1)
_FIRST_COMMITS = 1000  # enough for all but very busy tables; those are asked a second time, for everything


def history_since(tables: Tables, relation: RelationName, version: int | None) -> History:
    """A table's newest commits, back to a recorded version at least."""
    commits = tables.history(relation, limit=_FIRST_COMMITS)
    if len(commits.commits) == _FIRST_COMMITS and min(commits.commits) > (version or 0):
        return tables.history(relation)
    return commits


def mark(now: Present) -> str:
    """What a relation is, in a form that maintenance does not change; two that differ are two."""
    if now.history is None:
        return f"{now.kind} {now.definition or now.entry.table_type}".strip()
    content = now.history.content_version()
    wrote = now.history.commits.get(content)
    return f"{now.kind} content version {content}{f' {wrote.mark}' if wrote else ''}"


@dataclass(frozen=True)
class OwnCommits:
    """What the release itself did to one relation."""

    builds: tuple[OwnBuild, ...]
    """Its builds, first to last."""

    @classmethod
    def of(cls, relation: RelationName, points: Sequence[RestorePoint], afters: Sequence[VersionsAfter]) -> OwnCommits:
        """Pair each restore point with what was recorded before the next one was taken."""
        builds = []
        ends = [p.taken_at for p in points[1:]] + [None]
        for point, end in zip(points, ends, strict=True):
            state = point.state(relation)
            done = [a for a in afters if a.taken_at >= point.taken_at and (end is None or a.taken_at <= end)]
            if state is not None:
                builds.append(
                    OwnBuild(state, done[-1].of(relation) if done else None, point.taken_at, writers=point.writers)
                )
        later = [build.before.version for build in builds[1:]]
        return cls(tuple(replace(b, next_version=v) for b, v in zip(builds, [*later, None], strict=True)))

    def writer_of(self, commit: Commit, history: History) -> Writer:
        """Whose commit this is, as far as is known."""
        found = {build.writer_of(commit, history) for build in self.builds}
        return next((w for w in _BY_WEIGHT if w in found), "others")

    def counted_by_name(self, commits: Sequence[Commit], history: History) -> tuple[str, ...]:
        """Commits taken for the release's own because `writers` lists their name, beside others by another name."""
        own = [commit for commit in commits if self.writer_of(commit, history) == "release"]
        listed = {name for build in self.builds for name in build.writers[1:]}  # the first is the job's own identity
        if len({commit.user for commit in own}) < 2:
            return ()
        return tuple(f"counted as the release's own, by targets.<target>.writers: {c}" for c in own if c.user in listed)

    def may_be_among(self, commits: Sequence[Commit], history: History) -> bool:
        """Whether a build of the release made one of these commits, as far as is known."""
        return any(self.writer_of(commit, history) != "others" for commit in commits)

    def created(self, now: Present) -> bool:
        """Whether a build of the release may have made a relation that did not exist before."""
        made = any(b.after is None or (b.after.kind != "missing" and not b.left_alone) for b in self.builds)
        return made and not self.existed(now)

    def existed(self, now: Present) -> bool:
        """Whether a table is older than the restore point that calls it missing: the catalog did not show it then."""
        if now.history is None:
            return False
        first = now.history.commits.get(0)
        # A minute, for the clocks of whoever wrote the log and whoever took the restore point.
        return first is None or all(first.at < build.taken_at - _CLOCKS for build in self.builds)

    def changed_view(self) -> bool:
        """Whether a build of the release changed the view, as far as is known."""
        return any(
            b.after is None or (b.after.definition != b.before.definition and not b.left_alone) for b in self.builds
        )

    def left_kind(self, kind: Kind) -> bool:
        """Whether the last build of the release left a relation of this kind."""
        after = self.builds[-1].after if self.builds else None
        return after is not None and after.kind == kind

    def writes_by_others(self, now: Present, *, since: int = -1) -> tuple[str, ...]:
        """Changes after a version that the relation still shows, and that are not known to be the release's own."""
        if now.history is not None:
            changes = [c for c in now.history.changes_since(since) if not c.is_layout]
            writers = [(commit, self.writer_of(commit, now.history)) for commit in changes]
            return tuple(f"{commit}{self._doubt(commit, who)}" for commit, who in writers if who != "release")
        return changes_by_others(self.builds, now) if now.kind == "view" else ()

    def _doubt(self, commit: Commit, writer: Writer) -> str:
        if writer == "others":
            return ""
        writers = self.builds[-1].writers
        if commit.user is None and writers:
            return f" {_NOT_VERIFIED}"
        if commit.user in writers or not writers:
            return f" {_NOT_RECORDED}"
        named = " or ".join(writers)
        return (
            f" (during the build, but not by {named}; if dbt writes under this name, targets.<target>.writers lacks it)"
        )


def is_as_planned(planned: PlanItem, now: PlanItem) -> bool:
    """Whether a relation is what the plan says, or what an earlier attempt at this plan made of it.

    Such an attempt brings a table to its version or a view to its definition, moves what stood in the way, or brings a
    dropped table back without restoring it yet.
    """
    if planned.now == now.now:
        # Another action for what looks the same: a table made anew alike, or a version that grew too old meanwhile.
        return planned.action == now.action
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
