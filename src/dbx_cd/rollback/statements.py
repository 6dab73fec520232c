"""The statements that change production in a restore, signed with the release's id where the platform lets them be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dbx_cd.delta import tables as delta_tables
from dbx_cd.delta.tables import Kind
from dbx_cd.errors import RestoreRefused
from dbx_cd.relations import RelationName
from dbx_cd.rollback.decision import PlanItem
from dbx_cd.rollback.relation_state import RelationState

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_SIGNATURE = "spark.databricks.delta.commitInfo.userMetadata"


@dataclass(frozen=True)
class RestoreStatements:
    """Runs RESTORE, UNDROP, CREATE VIEW and DROP; `is_signed` when commits carry the release's id."""

    spark: SparkSession
    release_id: str
    is_signed: bool

    @classmethod
    def signed(cls, spark: SparkSession, *, release_id: str) -> RestoreStatements:
        """Statements in a session of their own, so that nobody else's commits get the signature.

        The setting is for classic compute (Delta documentation); Spark Connect has no `newSession`, and a SQL warehouse
        refuses the setting. Commits are then told apart by the journal alone.
        """
        try:
            own = spark.newSession()
            own.conf.set(_SIGNATURE, f"dbx_cd restore {release_id}")
        except Exception:  # each platform has its own way to refuse
            return cls(spark, release_id, is_signed=False)
        return cls(own, release_id, is_signed=True)

    def restore(self, item: PlanItem) -> int:
        """RESTORE a table unless it holds its target version by now, and set again what that reverts.

        Returns:
            The table's version afterwards.

        Raises:
            RestoreRefused: somebody has written to the table since it was looked at last.
        """
        assert item.to_version is not None
        # The statement of a killed attempt can outlive its client and commit only now: without this look the table
        # would be restored twice. A commit after it makes Delta refuse ours, and the second look sees why.
        if not self._holds(item):
            try:
                self.spark.sql(f"RESTORE TABLE {item.relation.quoted} TO VERSION AS OF {item.to_version}").collect()
            except delta_tables.sql_errors():
                if not self._holds(item):
                    raise
        self.keep_properties(item)
        return delta_tables.history(self.spark, item.relation, limit=1).version

    def keep_properties(self, item: PlanItem) -> None:
        """Set the properties that the plan keeps, where they are not set."""
        if not item.keep_properties:
            return
        now = delta_tables.properties(self.spark, item.relation)
        missing = {k: v for k, v in item.keep_properties.items() if now.get(k) != v}
        if missing:
            self.spark.sql(
                f"ALTER TABLE {item.relation.quoted} SET TBLPROPERTIES ({delta_tables.property_list(missing)})"
            )

    def undrop(self, item: PlanItem) -> str | None:
        """UNDROP a table, after moving what has its name now. Databricks SQL, by its documentation; not verified.

        Returns:
            The new name of what stood in the way.
        """
        moved = self._move_away(item.relation, item.kind_now)
        try:
            self.spark.sql(f"UNDROP TABLE {item.relation.quoted}")
        except delta_tables.sql_errors():
            if moved:
                self._rename(RelationName.parse(moved), item.relation, item.kind_now)
            raise
        return moved

    def recreate_view(self, before: RelationState, *, kind_now: Kind) -> str | None:
        """CREATE OR REPLACE a view as it was recorded; a table in its place is renamed, never dropped.

        Returns:
            The new name of what stood in the way.
        """
        assert before.view_text is not None
        moved = None if kind_now == "view" else self._move_away(before.relation, kind_now)
        self.spark.sql(
            delta_tables.create_view_sql(
                before.relation,
                text=before.view_text,
                columns=before.columns,
                comment=before.comment,
                properties=before.view_properties,
            )
        )
        return moved

    def drop(self, item: PlanItem) -> None:
        """DROP what the release created."""
        self.spark.sql(f"DROP {'VIEW' if item.kind_now == 'view' else 'TABLE'} IF EXISTS {item.relation.quoted}")

    def _holds(self, item: PlanItem) -> bool:
        """Whether the table holds its target version by now.

        Raises:
            RestoreRefused: it holds something that somebody has written since it was looked at last.
        """
        if delta_tables.history(self.spark, item.relation, limit=1).version == item.from_version:
            return False
        history = delta_tables.history(self.spark, item.relation)
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

    def _move_away(self, relation: RelationName, kind: Kind) -> str | None:
        if kind == "missing":
            return None
        suffix = self.release_id.lower().replace("-", "_")
        aside = RelationName(relation.catalog, relation.schema, f"{relation.identifier}__rolled_back_{suffix}")
        self._rename(relation, aside, kind)
        return str(aside)

    def _rename(self, relation: RelationName, to: RelationName, kind: Kind) -> None:
        self.spark.sql(f"ALTER {'VIEW' if kind == 'view' else 'TABLE'} {relation.quoted} RENAME TO {to.quoted}")
