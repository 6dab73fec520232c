"""Do what a restore plan says: relations that do not depend on one another at the same time, each proved, journaled."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dbx_cd.delta.tables import Kind
from dbx_cd.delta.views import dependency_levels
from dbx_cd.errors import DbxCdError, SqlFailed
from dbx_cd.rollback.journal import RestoredRelation
from dbx_cd.rollback.plan_item import Action, PlanItem
from dbx_cd.rollback.progress import OnProgress
from dbx_cd.rollback.proof import verify_again, verify_table, verify_view
from dbx_cd.rollback.relation_state import RelationState
from dbx_cd.rollback.statements import RestoreStatements

if TYPE_CHECKING:
    from dbx_cd.release.context import Cd
    from dbx_cd.release.events import Release

_log = logging.getLogger(__name__)

JOURNAL_SECONDS = 2.0
"""How long a relation that is done may wait for others that are written down in the same commit."""

_NOT_MOVED: Mapping[Action, tuple[Kind, ...]] = {"recreate_view": ("missing", "view"), "undrop": ("missing",)}
"""What does not stand in the way of the actions that move things out of it."""


@dataclass(frozen=True)
class Attempt:
    """One attempt to carry out a plan; one that was killed is gone on with by the next."""

    cd: Cd
    """The context."""
    release: Release
    """The release that is undone."""
    target: str
    """The gated target."""
    seal: str
    """The plan's seal."""
    before: Mapping[str, RelationState]
    """What the relations were, by name."""
    journal: Mapping[str, RestoredRelation]
    """What earlier attempts at this plan wrote down, by name."""
    tried: Mapping[str, Sequence[PlanItem]]
    """What the plan, and those whose killed attempts it ends, were to change, by name."""
    statements: RestoreStatements
    """What changes production."""
    at_point: bool
    """Whether it goes back to the restore point, and not to another time."""
    on_progress: OnProgress
    """Called with each relation that is done, or has failed."""

    def all(self, items: list[PlanItem], *, threads: int) -> list[RestoredRelation]:
        """Tables that must be undropped, then all tables at once, then views after those they read, then drops.

        An UNDROP is the step most likely to fail, so it comes before anything is changed.
        """
        done: list[RestoredRelation] = []
        with ThreadPoolExecutor(max_workers=threads, thread_name_prefix="restore") as pool:
            for item in items:
                if item.action == "undrop":
                    done += self._together(pool, [item])
            if not all(r.ok for r in done):
                return done
            done += self._together(pool, [i for i in items if not i.is_view and i.action not in ("undrop", "drop")])
            for group in self._views_and_drops(items):
                done += self._together(pool, group)
        return done

    def _views_and_drops(self, items: Sequence[PlanItem]) -> list[list[PlanItem]]:
        """Groups whose members do not depend on one another, in the order in which they are to be done."""
        views = {i.name: i for i in items if i.is_view and i.action != "drop"}
        texts = {name: self.before[name].view_text or "" for name in views}
        levels = dependency_levels(texts, {name: self.before[name].view_namespace for name in views})
        drops = [i for i in items if i.action == "drop"]
        by_kind = [[i for i in drops if i.kind_now == "view"], [i for i in drops if i.kind_now != "view"]]
        return [*([views[name] for name in level] for level in levels), *by_kind]

    def _together(self, pool: ThreadPoolExecutor, items: Sequence[PlanItem]) -> list[RestoredRelation]:
        """Do items at the same time; when this returns, all that came of them is in the journal.

        The journal is written by this thread alone, what is done by then in one commit: appends to one Delta table
        would only wait for each other, and each costs as much as a look at several tables. What a killed attempt did
        not get to write down, the next one finds in the tables themselves.
        """
        done: list[RestoredRelation] = []
        unwritten: list[RestoredRelation] = []
        running = {pool.submit(self._one, i) for i in items}
        due = time.monotonic() + JOURNAL_SECONDS
        while running:
            ended, running = wait(running, timeout=max(due - time.monotonic(), 0), return_when=FIRST_COMPLETED)
            for future in ended:
                done.append(future.result())
                unwritten.append(done[-1])
                self.on_progress(done[-1])
            if not running or time.monotonic() >= due:
                self._journal(unwritten)
                unwritten, due = [], time.monotonic() + JOURNAL_SECONDS
        return done

    def _journal(self, done: Sequence[RestoredRelation]) -> None:
        new = [r for r in done if r.ok and replace(r, seconds=0.0) != self._written(r.name)]
        if new:
            self.cd.log.append_all(self.release, new)

    def _written(self, name: str) -> RestoredRelation | None:
        """What an earlier attempt wrote down of a relation, but for how long it took."""
        found = self.journal.get(name)
        return found and replace(found, seconds=0.0)

    def _one(self, item: PlanItem) -> RestoredRelation:
        """Do one item and prove it; a failure becomes part of the result."""
        clock = time.monotonic()
        written = None if item.changes else self._written(item.name)
        done = RestoredRelation(
            item.name,
            item.action,
            self.seal,
            ok=True,
            from_version=item.from_version,
            to_version=item.to_version,
            differences=item.differences,
            target=self.target,
        )
        if written is not None and written.changes:
            done = written
        try:
            done = self._do(item, done) if done is not written else self._look_again(item, done)
        except DbxCdError as exc:
            seconds = round(time.monotonic() - clock, 1)
            done = replace(
                done, ok=False, proof="", error=exc.located, next_step=exc.next_step, differences=(), seconds=seconds
            )
            _log.warning("%s", done)
            return done
        return replace(
            done, moved_to=done.moved_to or self._moved_before(item), seconds=round(time.monotonic() - clock, 1)
        )

    def _do(self, item: PlanItem, done: RestoredRelation) -> RestoredRelation:
        before, tables = self.before[item.name], self.cd.tables
        match item.action:
            case "restore":
                version = self.statements.restore(item)
                return replace(done, proof=self._proof(item, before), version_after=version)
            case "undrop":
                moved = self.statements.undrop(item)
                version = self.statements.restore(replace(item, from_version=None))  # of what stood in its way
                return replace(done, proof=self._proof(item, before), version_after=version, moved_to=moved)
            case "recreate_view":
                moved = self.statements.recreate_view(item, before)
                proof, differing = verify_view(tables, before)
                return replace(done, proof=proof, moved_to=moved, differences=(*done.differences, *differing))
            case "drop":
                self.statements.drop(item, before)
                return replace(done, proof="dropped")
        if item.kind_now == "view":
            try:
                tables.read_one(item.relation)
            except SqlFailed as exc:
                if any(tried.action == "recreate_view" for tried in self.tried.get(item.name, ())):
                    raise  # an attempt that was killed, or that has failed, made it
                broken = f"does not answer: {exc.what}"
                return replace(done, proof=item.reason, differences=(*done.differences, broken))
            return replace(done, proof=f"{item.reason}; it answers")
        self.statements.keep_properties(item)
        if item.fingerprint is not None:  # an attempt that was killed restored it, and did not get to the proof
            return replace(done, proof=self._proof(item, before), version_after=item.from_version)
        return replace(done, proof=item.reason, version_after=item.from_version)

    def _look_again(self, item: PlanItem, written: RestoredRelation) -> RestoredRelation:
        """Prove again what an earlier attempt has changed, proved and written down: that may be long ago."""
        before = self.before[item.name]
        match written.action:
            case "restore" | "undrop" if item.fingerprint is not None:
                proof, differing = verify_again(self.cd.tables, item, before.detail if self.at_point else None)
                written = replace(written, version_after=item.from_version)
            case "recreate_view":
                proof, differing = verify_view(self.cd.tables, before)
            case _:
                return written  # what was dropped is not there now: else it would not be as planned
        differences = tuple(dict.fromkeys([*written.differences, *differing]))
        return replace(written, proof=proof, differences=differences)

    def _moved_before(self, item: PlanItem) -> str | None:
        """The new name of what an attempt that was killed has moved out of the way, where that can be seen."""
        tried = self.tried.get(item.name, ())
        is_moved = any(i.action in _NOT_MOVED and i.kind_now not in _NOT_MOVED[i.action] for i in tried)
        return self.statements.moved_before(item.relation) if is_moved else None

    def _proof(self, item: PlanItem, before: RelationState) -> str:
        return verify_table(self.cd.tables, item, before.detail if self.at_point else None)
