"""Tables and a log in memory, as `contract.World` wants them."""

from __future__ import annotations

from collections.abc import Sequence

from dbx_cd.relations import RelationName
from memory.log_table import MemoryLogTable
from memory.tables import MemoryTables


class MemoryWorld:
    """A world without Spark."""

    def __init__(self) -> None:
        self.tables = MemoryTables()
        self.log = MemoryLogTable()
        self.user = "bot"

    def name(self, identifier: str) -> RelationName:
        return RelationName("prod", "memory", identifier)

    def create(self, name: RelationName, *ids: int, columns: Sequence[str] = ("id",)) -> None:
        self.tables.create(name, *ids, columns=columns)

    def insert(self, name: RelationName, *ids: int) -> None:
        self.tables.insert(name, *ids)

    def optimize(self, name: RelationName) -> None:
        self.tables.optimize(name)

    def vacuum(self, name: RelationName) -> None:
        self.tables.vacuum(name)

    def age(self, name: RelationName, *, days: float) -> None:
        self.tables.age(name, days=days)

    def rows(self, name: RelationName) -> list[int]:
        return [int(str(row)) for row in self.tables.rows(name)]

    def clone(self, name: RelationName, source: RelationName) -> None:
        self.tables.clone(name, source)

    def function(self, name: RelationName, over: RelationName) -> None:
        self.tables.function(name, f"(SELECT max(id) FROM {over.quoted})")
