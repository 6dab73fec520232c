"""The schema of the log is for somebody else to create: where it is there, no right on its catalog is needed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from dbx_cd import SqlFailed
from dbx_cd.delta.log_table import DeltaLogTable, LogRow
from dbx_cd.relations import RelationName

ROW = LogRow("e", "r1", "opened", datetime(2026, 1, 1, tzinfo=UTC), "bot", 1, "{}")


class Port:
    """A session in which statements that begin with one of these words fail, once."""

    def __init__(self, **failing: str) -> None:
        self.statements: list[str] = []
        self._failing = failing

    def execute(self, statement: str) -> None:
        first, second = statement.split()[:2]
        self.statements.append(f"{first} {second}")
        condition = self._failing.pop(f"{first}_{second}", None)
        if condition:
            raise SqlFailed(f"[{condition}]", condition=condition)

    def exists(self, table: RelationName) -> bool:
        return False

    def append(self, *arguments: Any, **options: Any) -> None:
        self.statements.append("append")


def appended(port: Port) -> list[str]:
    DeltaLogTable(port, RelationName("ops", "dbt_meta", "release_log")).append([ROW])  # type: ignore[arg-type]
    return port.statements


def test_a_schema_that_is_there_is_not_created() -> None:
    assert appended(Port()) == ["CREATE TABLE", "append"]


def test_a_schema_that_is_not_there_is_created() -> None:
    assert appended(Port(CREATE_TABLE="SCHEMA_NOT_FOUND")) == [
        "CREATE TABLE", "CREATE SCHEMA", "CREATE TABLE", "append",
    ]  # fmt: skip


def test_a_right_that_is_missing_is_no_reason_to_create_a_schema() -> None:
    port = Port(CREATE_TABLE="INSUFFICIENT_PERMISSIONS")
    with pytest.raises(SqlFailed, match="INSUFFICIENT_PERMISSIONS"):
        appended(port)
    assert port.statements == ["CREATE TABLE"]
