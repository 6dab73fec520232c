"""The statements that change production in a restore, signed with the release's id where the platform lets them be."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from dbx_cd.delta.history import History
from dbx_cd.delta.retention import retention
from dbx_cd.delta.tables import Kind, Tables
from dbx_cd.delta.view_reading import UNKNOWN_READING
from dbx_cd.errors import RestoreFailed, RestoreRefused, SqlFailed
from dbx_cd.relations import RelationName
from dbx_cd.rollback.ownership import history_since, is_restored, mark
from dbx_cd.rollback.plan_item import PlanItem
from dbx_cd.rollback.present import present_of
from dbx_cd.rollback.relation_state import RelationState, written

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RestoreStatements:
    """Runs RESTORE, UNDROP, CREATE VIEW and DROP."""

    tables: Tables
    """The tables to change; their commits carry the release's id where the platform lets them."""
    release_id: str
    """The release that is undone."""

    @classmethod
    def signed(cls, tables: Tables, *, release_id: str) -> RestoreStatements:
        """Statements whose commits say which release was undone; nobody else's commits do."""
        return cls(tables.signed(f"dbx_cd restore {release_id}"), release_id)

    def restore(self, item: PlanItem) -> int:
        """RESTORE a table unless it is what the plan makes of it by now, and set again what that reverts.

        Returns:
            The table's version afterwards.

        Raises:
            RestoreRefused: somebody has written to the table since it was looked at last.
            RestoreFailed: somebody wrote to it between that look and RESTORE, which erased it.
        """
        assert item.to_version is not None
        # The statement of a killed attempt can outlive its client and commit only now: without this look the table
        # would be restored twice. A commit after it makes Delta refuse ours, and the second look sees why.
        expected = item.from_version
        if self._is_restored(item):
            expected = None
        else:
            try:
                self.tables.restore(item.relation, item.to_version)
            except SqlFailed:
                if not self._is_restored(item):
                    raise
                expected = None
        commits = 1 + self.keep_properties(item)
        # Each statement makes one commit (measured); where something else came between, the history says what is now.
        if expected is not None and self.tables.is_newest(item.relation, expected + commits):
            return expected + commits
        history = history_since(self.tables, item.relation, item.from_version)
        self._refuse_to_be_silent(item, history)
        return history.version

    def _refuse_to_be_silent(self, item: PlanItem, history: History) -> None:
        """RESTORE begins with the newest version, whatever that is by then: what it erased unseen is said."""
        since = [c for v, c in history.commits.items() if item.from_version is not None and v > item.from_version]
        ours = max((c.version for c in since if c.operation == "RESTORE"), default=-1)
        erased = [c for c in since if c.version < ours and c.operation != "RESTORE" and not c.is_maintenance]
        if erased:
            raise RestoreFailed(
                f"somebody wrote to it in the moment before RESTORE, which erased that: {erased[0]}",
                where=item.name,
                next_step=f"SELECT * FROM {item.relation.quoted} VERSION AS OF {erased[0].version} is what they wrote; "
                "restore again, which finds the table as it is to be",
            )

    def keep_properties(self, item: PlanItem) -> int:
        """Set the retention that the plan keeps, where it is shorter now; returns how many commits that took."""
        if not item.keep_properties:
            return 0
        now = self.tables.properties(item.relation)
        missing = {k: v for k, v in item.keep_properties.items() if retention(now, k) < retention({k: v}, k)}
        if missing:
            self.tables.set_properties(item.relation, missing)
        return int(bool(missing))

    def undrop(self, item: PlanItem) -> str | None:
        """UNDROP a table, after moving what has its name now. Databricks SQL, by its documentation; not verified.

        Returns:
            The new name of what stood in the way.
        """
        moved = self._move_away(item.relation, item.kind_now)
        try:
            self.tables.undrop(item.relation)
        except SqlFailed:
            self._move_back(moved, item.relation, item.kind_now)
            raise
        return moved

    def recreate_view(self, item: PlanItem, before: RelationState) -> str | None:
        """CREATE OR REPLACE a view as it was recorded; a table in its place is renamed, never dropped.

        Returns:
            The new name of what stood in the way.

        Raises:
            RestoreRefused: somebody has changed it since it was looked at last.
            SqlFailed: it cannot be created; what stood in the way has its name again.
            RestoreFailed: neither could what stood in the way get its name back.
        """
        assert before.view_text is not None
        kind_now = item.kind_now
        self._refuse_changed(item, before)
        moved = None if kind_now == "view" else self._move_away(before.relation, kind_now)
        try:
            self.tables.create_view(
                before.relation,
                text=before.view_text,
                columns=before.columns,
                comment=before.comment,
                properties=before.view_properties,
                reading=before.view_reading or UNKNOWN_READING,
            )
        except SqlFailed:
            self._move_back(moved, before.relation, kind_now)
            raise
        return moved

    def drop(self, item: PlanItem, before: RelationState) -> None:
        """DROP what the release created.

        Raises:
            RestoreRefused: somebody has changed it since it was looked at last.
        """
        self._refuse_changed(item, before)
        self.tables.drop(item.relation, kind=item.kind_now)

    def _refuse_changed(self, item: PlanItem, before: RelationState) -> None:
        """The last look before a statement that leaves nothing of what is there: it comes long after the first."""
        entry = self.tables.entries([item.relation])[item.relation.key]
        if mark(present_of(self.tables, before, entry, details=False)) != item.now:
            raise RestoreRefused(
                "somebody changed it just now", where=item.name, next_step="plan again: the plan says what it is then"
            )

    def _is_restored(self, item: PlanItem) -> bool:
        """Whether the table is by now what the plan makes of it.

        Raises:
            RestoreRefused: somebody has written to it since it was looked at last.
        """
        if item.from_version is not None and self.tables.is_newest(item.relation, item.from_version):
            return False
        return is_restored(item, self.tables.history(item.relation))

    def _move_away(self, relation: RelationName, kind: Kind) -> str | None:
        if kind == "missing":
            return None
        asides = self._asides(relation)
        aside = next((a for a in asides if self.tables.entries([a])[a.key].kind == "missing"), asides[-1])
        self.tables.rename(relation, aside, kind=kind)
        _log.warning("the %s in the place of %s is %s now", kind, relation, aside)
        return written(aside)

    def moved_before(self, relation: RelationName) -> str | None:
        """The name that an attempt which was killed has given to what stood in a relation's way; None where unseen."""
        found = None
        try:
            for aside in self._asides(relation):
                if self.tables.entries([aside])[aside.key].kind == "missing":
                    break
                found = written(aside)
        except SqlFailed as exc:  # all is done but for the name
            _log.warning("what stood in the place of %s was not looked for: %s", relation, exc)
        return found

    def _asides(self, relation: RelationName) -> list[RelationName]:
        suffix = self.release_id.lower().replace("-", "_")
        names = (f"{relation.identifier}__rolled_back_{suffix}{f'_{n}' if n else ''}" for n in range(10))
        return [RelationName(relation.catalog, relation.schema, name) for name in names]

    def _move_back(self, moved: str | None, relation: RelationName, kind: Kind) -> None:
        """Give what stood in the way its name again, since nothing has come in its place.

        Raises:
            RestoreFailed: it cannot be renamed.
        """
        if moved is None:
            return
        try:
            self.tables.rename(RelationName.parse(moved), relation, kind=kind)
        except SqlFailed as exc:
            raise RestoreFailed(
                f"nothing has the name now: the {kind} that had it is {moved}",
                where=relation,
                next_step="rename that back, or restore again when the cause is gone",
            ) from exc
        _log.warning("the %s %s has its name again", kind, relation)
