"""A log and tables in memory that are what records of real ones say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from dbx_cd.delta.history import Commit
from dbx_cd.delta.log_table import LogRow
from dbx_cd.delta.tables import Fingerprint
from dbx_cd.relations import RelationName
from dbx_cd.rollback.point import RestorePoint
from dbx_cd.rollback.relation_state import RelationState
from memory.log_table import MemoryLogTable
from memory.tables import Content, MemoryTable, MemoryTables, MemoryView


def recorded_log(rows: Sequence[Mapping[str, Any]]) -> MemoryLogTable:
    """A log's table with these rows, each of their commits one commit."""
    table = MemoryLogTable(RelationName.parse("ops.dbt_meta.release_log"))
    for version, commit in groupby(rows, key=lambda row: row["version"]):
        values = [{k: v for k, v in row.items() if k != "version"} for row in commit]
        table.append([LogRow(**value | {"at": datetime.fromisoformat(value["at"])}) for value in values])
        assert table.commits()[0].version == version
    return table


class RecordedTables(MemoryTables):
    """Tables as 0.1.0's restore points say they were on real Delta, fingerprints included."""

    def __init__(self, *moments: RestorePoint) -> None:
        super().__init__()
        self.proofs: dict[tuple[int, ...], Fingerprint] = {}
        for point in moments:
            for state in point.relations:
                self._become(state)

    def _become(self, state: RelationState) -> None:
        if state.kind == "view":
            view = MemoryView(str(state.view_text), state.columns, state.comment, state.view_properties)
            self.relations[state.relation.key] = view
        if state.kind != "table":
            return
        table = self.relations.setdefault(state.relation.key, MemoryTable())
        assert isinstance(table, MemoryTable)
        assert state.version is not None
        assert state.committed_at is not None
        while len(table.commits) <= state.version:
            early = state.committed_at - timedelta(seconds=state.version - len(table.commits))
            table.commits.append(Commit(len(table.commits), early, "CREATE OR REPLACE TABLE AS SELECT"))
            file = sum(len(t.contents) for t in self.relations.values() if isinstance(t, MemoryTable))
            table.contents.append(Content({file: (1,)}, state.columns, state.properties))
        if state.fingerprint is not None:
            self.proofs[tuple(table.now.files)] = state.fingerprint

    def read_one(self, relation: RelationName) -> None:
        """Recorded views have queries that memory cannot run: they answer as long as they are there."""
        assert self.entries([relation])[relation.key].kind != "missing"

    def fingerprint(
        self, table: RelationName, version: int | None = None, *, positions: bool | None = None
    ) -> Fingerprint:
        found = super().fingerprint(table, version, positions=positions)
        return self.proofs.get(tuple(self._content(table, version).files), found)
