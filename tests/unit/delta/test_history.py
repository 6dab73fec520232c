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


def slow(*operations: str, restored_to: str) -> History:
    """A commit every three days, and then a RESTORE TO TIMESTAMP."""
    commits = [Commit(n, START + timedelta(days=3 * n), operation) for n, operation in enumerate(operations)]
    at = START + timedelta(days=3 * len(commits))
    return History.of([*commits, Commit(len(commits), at, "RESTORE", parameters={"timestamp": restored_to})])


def test_restore_by_timestamp_is_resolved_where_it_is_the_same_version_in_every_time_zone() -> None:
    done = slow("CREATE TABLE", "WRITE", "WRITE", restored_to="2026-01-05 14:00:00.0")
    assert done.content_version() == 1
    assert slow("CREATE TABLE", "WRITE", "WRITE", restored_to="2026-01-05 14:00:00+00:00").content_version() == 1


@pytest.mark.parametrize("moment", ["2026-01-10 00:00:00.0", "2026-01-10 13:00:00.0"])
def test_restore_by_timestamp_of_a_jvm_east_of_utc_goes_back_to_something_before_it(moment: str) -> None:
    """Delta writes the JVM's local time without its zone: read as UTC it is later than the RESTORE itself."""
    done = slow("CREATE TABLE", "WRITE", "WRITE", restored_to=moment)
    assert (done.content_version(), done.changes_since(2)) == (2, ())


def test_restore_by_timestamp_counts_as_content_of_its_own_where_time_zones_disagree() -> None:
    done = slow("CREATE TABLE", "WRITE", "WRITE", restored_to="2026-01-07 01:00:00.0")
    assert (done.content_version(), versions(done.changes_since(2))) == (3, [3])


def test_a_restore_that_names_itself_ends() -> None:
    assert history("CREATE TABLE", commit(1, "RESTORE", version="1")).content_version() == 1
    assert history("CREATE TABLE", commit(1, "RESTORE", version="2"), "WRITE").content_version(1) == 1


def test_a_commit_is_known_again_although_a_longer_history_moves_its_time_on() -> None:
    """Whole-second file times: Delta adds a millisecond for each entry with the same time in the range it reads."""
    commits = [Commit(n, START + timedelta(milliseconds=n), "WRITE") for n in range(4)]
    alone = Commit(3, START, "WRITE")
    assert History.of(commits).has(3, at=alone.at, mark=alone.mark)
    assert History.of([alone]).has(3, at=commits[3].at, mark=commits[3].mark)
    assert not History.of(commits).has(3, at=START + timedelta(seconds=1), mark=alone.mark)


def test_a_commit_of_another_table_at_the_same_time_is_another_one() -> None:
    made = Commit(0, START, "CREATE TABLE AS SELECT", metrics={"numOutputRows": "3"})
    anew = Commit(0, START, "CREATE TABLE AS SELECT", metrics={"numOutputRows": "4"})
    assert not History.of([anew]).has(0, at=made.at, mark=made.mark)


@pytest.mark.parametrize(("then", "now"), [("true", None), (None, "true"), ("TRUE", "false")])
def test_where_in_commit_timestamps_were_turned_on_or_off_commits_are_known_by_their_marks_and_times_that_are_near(
    then: str | None, now: str | None
) -> None:
    def properties(value: str | None) -> dict[str, str]:
        return {} if value is None else {"delta.enableInCommitTimestamps": value}

    def read_at(at: datetime) -> History:
        return History.of([Commit(1, at, "WRITE", metrics={"numFiles": "1"})])

    made = Commit(1, START, "WRITE", metrics={"numFiles": "1"})
    near = read_at(START + timedelta(seconds=5))
    assert not near.has(1, at=made.at, mark=made.mark)
    other = near.with_times_of(properties(now), recorded=properties(then))
    assert other.has(1, at=made.at, mark=made.mark)
    assert not other.has(1, at=made.at, mark="other")
    assert not other.has(1, at=made.at, mark=None)
    assert not near.with_times_of(properties(then), recorded=properties(then)).has(1, at=made.at, mark=made.mark)
    for minutes in (-2, 2):
        anew = read_at(START + timedelta(minutes=minutes)).with_times_of(properties(now), recorded=properties(then))
        assert not anew.has(1, at=made.at, mark=made.mark), "another table of the same shape, made in its place"


def test_a_commit_is_the_same_for_readers_who_are_told_more_or_less_of_it() -> None:
    """Another runtime may write parameters otherwise; a platform may hide users."""
    made = Commit(1, START, "WRITE", "ann", parameters={"mode": "Append"}, metrics={"numFiles": "1"})
    assert Commit(1, START, "WRITE", None, parameters={"mode": "append"}, metrics={"numFiles": "1"}).mark == made.mark


def test_a_record_without_mark_or_time_is_known_by_what_it_has() -> None:
    made = commit(1)
    assert history("CREATE TABLE", made).has(1, at=made.at, mark=None)
    assert history("CREATE TABLE", made).has(1, at=None, mark=made.mark)
    assert not history("CREATE TABLE", made).has(1, at=None, mark="other")
    assert not history("CREATE TABLE", made).has(2, at=None, mark=None)


def test_an_entry_that_was_cleaned_away_counts_as_the_table_s_own() -> None:
    assert History.of([commit(7), commit(8)]).has(3, at=commit(3).at, mark="x")


def test_delta_goes_back_to_a_version_by_the_age_of_its_commit_and_always_to_the_newest() -> None:
    week = timedelta(days=7)
    done = history("CREATE TABLE", "WRITE", "WRITE")
    assert done.reachable_until(1, kept=week) == START + timedelta(minutes=1) + week
    assert done.reachable_until(2, kept=week) is None
    assert done.reachable_until(9, kept=week) is None


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
    [("interval 7 days", 7), ("INTERVAL 1 WEEK 2 days", 9), ("48 hours", 2), ("interval 1 month", None), ("", None),
     ("interval 86400000 milliseconds", 1), ("interval 12 hours 43200000000 microseconds", 1), ("0.5 days", 0.5),
     ("interval 5000000 days", 36500), ("interval +20 days", 20), ("interval 8 days -24 hours", 7), ("+ 2 days", 2),
     ("interval - 1 day 10 days", 9), ("interval -1 days", None), ("interval 8 days - hours", None)],
)  # fmt: skip
def test_retention_intervals_are_read(text: str, days: float | None) -> None:
    assert parse_interval(text) == (None if days is None else timedelta(days=days))


def test_unset_retention_is_deltas_default() -> None:
    assert retention({}, "delta.deletedFileRetentionDuration") == timedelta(days=7)
    assert retention({}, "delta.logRetentionDuration") == timedelta(days=30)


def test_of_retention_that_cannot_be_read_nothing_is_promised() -> None:
    name = "delta.deletedFileRetentionDuration"
    assert retention({name: "interval 1 month"}, name) == retention({name: "interval 0 days"}, name) == timedelta(0)


def test_of_a_version_that_is_too_old_the_newest_of_its_content_is_gone_back_to() -> None:
    there = commit(2, "SET TBLPROPERTIES", properties='{"dbx_cd.checkpoint_interval": ""}')
    back = commit(3, "UNSET TBLPROPERTIES", properties='["delta.checkpointInterval", "dbx_cd.checkpoint_interval"]')

    def gone_back_to(*commits: str | Commit, kept: timedelta = timedelta(0)) -> list[int]:
        found = history(*commits)
        return [found.way_back(version, kept=kept)[0] for version in range(len(commits))]

    set_by_somebody = commit(2, "SET TBLPROPERTIES", properties='{"delta.checkpointInterval": "50"}')
    assert gone_back_to("CREATE TABLE", "WRITE", there, back, "WRITE") == [0, 3, 3, 3, 4]
    assert gone_back_to("CREATE TABLE", "WRITE", there, back, "WRITE", kept=timedelta(days=36500)) == [0, 1, 2, 3, 4]
    assert gone_back_to("CREATE TABLE", "OPTIMIZE", "VACUUM END", "WRITE") == [2, 2, 2, 3]
    assert gone_back_to("CREATE TABLE", "WRITE", set_by_somebody, "OPTIMIZE", "WRITE") == [0, 1, 3, 3, 4]


def test_rows_written_are_those_the_metrics_say() -> None:
    merged = Commit(
        1, START, "MERGE", metrics={"numTargetRowsInserted": "2", "numTargetRowsUpdated": "3", "numOutputRows": "9"}
    )
    assert merged.rows_written == 5
    assert Commit(1, START, "DELETE", metrics={"numDeletedRows": "4"}).rows_written == 4
