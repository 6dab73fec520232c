"""Which commits of a table changed its content: pure, from DESCRIBE HISTORY."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from dbx_cd.delta.history import Commit, History
from dbx_cd.delta.retention import parse_interval, retention

START = datetime(2026, 1, 1, tzinfo=UTC)


def commit(number: int, operation: str = "WRITE", **parameters: str) -> Commit:
    return Commit(number, START + timedelta(minutes=number), operation, parameters=parameters)


def history(*operations: str | Commit) -> History:
    return History.of(commit(n, o) if isinstance(o, str) else o for n, o in enumerate(operations))


def versions(commits: tuple[Commit, ...]) -> list[int]:
    return [c.version for c in commits]


def test_maintenance_leaves_the_content_version() -> None:
    done = history("CREATE TABLE", "WRITE", "OPTIMIZE", "VACUUM START", "VACUUM END")
    assert (done.version, done.content_version()) == (4, 1)
    assert done.changes_since(1) == ()


def test_restore_has_the_content_of_its_target() -> None:
    done = history("CREATE TABLE", "WRITE", "WRITE", commit(3, "RESTORE", version="1"), "OPTIMIZE")
    assert done.content_version() == 1
    assert done.changes_since(1) == ()


def test_restore_by_timestamp_is_resolved() -> None:
    done = history("CREATE TABLE", "WRITE", "WRITE", commit(3, "RESTORE", timestamp="2026-01-01 00:01:30"))
    assert done.content_version() == 1


def test_restore_of_a_restore_is_followed() -> None:
    done = history(
        "CREATE TABLE", "WRITE", "WRITE", commit(3, "RESTORE", version="1"), commit(4, "RESTORE", version="2")
    )
    assert done.content_version() == 2
    assert versions(done.changes_since(1)) == [2]


def test_commits_that_a_restore_has_undone_are_no_changes() -> None:
    done = history("CREATE TABLE", "WRITE", "WRITE", "DELETE", commit(4, "RESTORE", version="1"), "MERGE")
    assert versions(done.changes_since(1)) == [5]


def test_restore_to_something_older_than_known_is_a_change_of_its_own() -> None:
    done = history("CREATE TABLE", "WRITE", "WRITE", commit(3, "RESTORE", version="0"))
    assert versions(done.changes_since(1)) == [3]


def test_history_that_was_cleaned_ends_where_it_ends() -> None:
    done = History.of([commit(7, "OPTIMIZE"), commit(8, "VACUUM END")])
    assert done.content_version() == 6
    assert done.version_at(START) is None


@pytest.mark.parametrize(
    ("operation", "properties", "expected"),
    [
        ("SET TBLPROPERTIES", '{"delta.deletedFileRetentionDuration":"interval 9 days"}', True),
        ("SET TBLPROPERTIES", '{"delta.deletedFileRetentionDuration":"interval 9 days","a":"b"}', False),
        ("UNSET TBLPROPERTIES", '["delta.logRetentionDuration"]', True),
        ("SET TBLPROPERTIES", '{"delta.appendOnly":"true"}', False),
        ("SET TBLPROPERTIES", "not json", False),
        ("UPGRADE PROTOCOL", "", True),
        ("ADD CONSTRAINT", "", False),
    ],
)
def test_only_file_layout_and_retention_are_maintenance(operation: str, properties: str, expected: bool) -> None:
    assert commit(1, operation, properties=properties).is_maintenance is expected


@pytest.mark.parametrize(
    ("text", "days"),
    [("interval 7 days", 7), ("INTERVAL 1 WEEK 2 days", 9), ("48 hours", 2), ("interval 1 month", None), ("", None)],
)
def test_retention_intervals_are_read(text: str, days: int | None) -> None:
    assert parse_interval(text) == (None if days is None else timedelta(days=days))


def test_unset_retention_is_deltas_default() -> None:
    assert retention({}, "delta.deletedFileRetentionDuration") == timedelta(days=7)
    assert retention({}, "delta.logRetentionDuration") == timedelta(days=30)


def test_rows_written_are_those_the_metrics_say() -> None:
    merged = Commit(
        1, START, "MERGE", metrics={"numTargetRowsInserted": "2", "numTargetRowsUpdated": "3", "numOutputRows": "9"}
    )
    assert merged.rows_written == 5
    assert Commit(1, START, "DELETE", metrics={"numDeletedRows": "4"}).rows_written == 4
