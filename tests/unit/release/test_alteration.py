"""What counts as an alteration of the log, and which acknowledgements count: on a table in memory."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from dbx_cd import AlterationAcknowledged, Release, ReleaseLog
from dbx_cd.delta.log_table import LOG_PROPERTIES
from dbx_cd.delta.operations import CONTENT, LAYOUT, MAINTENANCE
from dbx_cd.release.events import Deployed
from memory.log_table import MemoryLogTable

OWNER, OTHER = "owner@example.org", "second@example.org"


@pytest.fixture
def table() -> MemoryLogTable:
    return MemoryLogTable()


@pytest.fixture
def log(table: MemoryLogTable) -> ReleaseLog:
    log = ReleaseLog.on(table, actor=OWNER)
    log.open("a" * 40, run_id="1", requester="ci")
    assert not log.tampering()
    return log


def altered(log: ReleaseLog) -> list[str]:
    return [commit.operation for commit in log.tampering()]


def acknowledge(log: ReleaseLog, *, actor: str = OWNER) -> AlterationAcknowledged:
    record = log.tampering().acknowledge(actor=actor, reason="it was us")
    log.append_acknowledgement(record)
    return record


@pytest.mark.parametrize("operation", sorted(CONTENT))
def test_whatever_may_change_content_is_an_alteration(table: MemoryLogTable, log: ReleaseLog, operation: str) -> None:
    table.alter(operation)
    assert altered(log) == [operation]


@pytest.mark.parametrize("operation", sorted(MAINTENANCE | LAYOUT))
def test_what_the_platform_does_by_itself_is_none(table: MemoryLogTable, log: ReleaseLog, operation: str) -> None:
    table.alter(operation)
    assert altered(log) == []


def test_an_overwrite_is_an_alteration(table: MemoryLogTable, log: ReleaseLog) -> None:
    table.alter("WRITE", mode="Overwrite")
    assert altered(log) == ["WRITE"]


def test_a_log_made_from_the_rows_of_a_query_is_altered() -> None:
    table = MemoryLogTable()
    table.alter("CREATE TABLE AS SELECT")
    assert altered(ReleaseLog.on(table)) == ["CREATE TABLE AS SELECT"]


@pytest.mark.parametrize(
    ("properties", "harmless"),
    [
        ({"delta.appendOnly": "false"}, False),
        ({"DELTA.APPENDONLY": "false"}, False),
        ({"delta.appendOnly": "true"}, True),
        ({"delta.enableRowTracking": "false"}, False),
        ({"delta.enableRowTracking": "TRUE"}, True),
        ({"delta.rowTrackingSuspended": "true"}, False),
        ({"delta.rowTrackingSuspended": "false"}, True),
        ({"delta.rowTracking.materializedRowIdColumnName": "event_id"}, False),
        ({"delta.logRetentionDuration": "interval 30 days"}, False),
        ({"delta.logRetentionDuration": "interval 1 month"}, False),
        ({"delta.logRetentionDuration": "interval 400 days"}, True),
        ({"delta.logRetentionDuration": "interval 60 weeks"}, True),
        ({"delta.deletedFileRetentionDuration": "interval 9 days"}, True),
        ({"delta.checkpointInterval": "100"}, True),
        ({"comment": "delta.appendOnly is on; do not touch"}, True),
        ({"owner": "sales", "delta.appendOnly": "false"}, False),
        ({}, False),
    ],
    ids=str,
)
def test_properties_that_are_set(
    table: MemoryLogTable, log: ReleaseLog, properties: Mapping[str, str], harmless: bool
) -> None:
    table.alter("SET TBLPROPERTIES", properties=json.dumps(properties))
    assert altered(log) == ([] if harmless else ["SET TBLPROPERTIES"])


@pytest.mark.parametrize("name", LOG_PROPERTIES)
def test_what_a_log_is_made_with_may_not_be_unset(table: MemoryLogTable, log: ReleaseLog, name: str) -> None:
    table.alter("UNSET TBLPROPERTIES", properties=json.dumps([name]))
    assert altered(log) == ["UNSET TBLPROPERTIES"]


def test_anything_else_may_be_unset(table: MemoryLogTable, log: ReleaseLog) -> None:
    table.alter("UNSET TBLPROPERTIES", properties='["comment", "delta.deletedFileRetentionDuration"]')
    assert altered(log) == []


def test_settings_that_cannot_be_read_are_an_alteration(table: MemoryLogTable, log: ReleaseLog) -> None:
    table.alter("SET TBLPROPERTIES", properties="[REDACTED]")
    table.alter("UNSET TBLPROPERTIES")
    assert altered(log) == ["UNSET TBLPROPERTIES", "SET TBLPROPERTIES"]


def test_an_alteration_is_told_with_version_time_operation_and_who(table: MemoryLogTable, log: ReleaseLog) -> None:
    table.user = OTHER
    table.alter("DELETE", predicate="<true>")
    told = log.tampering()
    (commit,) = told
    first, seal = str(told).splitlines()
    assert first == f"version 2, {commit.at:%Y-%m-%d %H:%M:%S} UTC: DELETE by {OTHER}"
    assert seal == f"seal: {told.seal}"
    assert all(text in told.to_html() for text in (OTHER, "&lt;true&gt;", told.seal))


def test_the_seal_is_of_exactly_these_commits(table: MemoryLogTable, log: ReleaseLog) -> None:
    def seal_after(table: MemoryLogTable, user: str | None, **parameters: str) -> str:
        table.user = user
        table.alter("DELETE", **parameters)
        return ReleaseLog.on(table).tampering().seal

    seals = [seal_after(MemoryLogTable(), user, predicate=p) for user in (OWNER, OTHER) for p in ("a", "b")]
    seals += [seal_after(table, OWNER, predicate="a"), seal_after(table, OWNER, predicate="a")]
    assert len(set(seals)) == 4  # whose they are, some readers are not told


def test_what_was_acknowledged_is_no_alteration_any_more_and_is_still_told(
    table: MemoryLogTable, log: ReleaseLog
) -> None:
    table.alter("DELETE")
    table.alter("RESTORE", version="1")
    record = acknowledge(log)
    told = log.tampering()
    assert not told
    assert told.acknowledged == (record,)
    assert "DELETE; version" not in str(told)
    assert all(text in str(told) for text in ("version 2", "DELETE", "version 3", "RESTORE", OWNER, "it was us"))


def test_a_later_alteration_stands_alone(table: MemoryLogTable, log: ReleaseLog) -> None:
    table.alter("DELETE")
    first = acknowledge(log)
    table.alter("UPDATE")
    assert altered(log) == ["UPDATE"]
    second = acknowledge(log)
    assert log.tampering().acknowledged == (first, second)
    assert [commit.version for commit in second.commits] == [4]


def test_an_acknowledgement_that_was_there_before_the_alteration_does_not_count(
    table: MemoryLogTable, log: ReleaseLog
) -> None:
    foreseen = MemoryLogTable()
    for _ in range(3):
        foreseen.alter("OPTIMIZE")
    foreseen.alter("DELETE")
    beforehand = ReleaseLog.on(foreseen).tampering().acknowledge(actor=OWNER, reason="I will")
    log.append_acknowledgement(beforehand)
    table.alter("DELETE")
    assert beforehand.seal == log.tampering().seal
    assert altered(log) == ["DELETE"]
    log.append_acknowledgement(beforehand)
    assert altered(log) == []


def test_an_acknowledgement_counts_only_where_the_platform_names_the_same_person(
    table: MemoryLogTable, log: ReleaseLog
) -> None:
    table.user = OTHER
    table.alter("DELETE")
    acknowledge(log, actor=OWNER)
    assert altered(log) == [
        f"WRITE of events in another's name: alteration_acknowledged, as {OWNER}", "DELETE"
    ]  # fmt: skip
    assert log.tampering().acknowledged == ()
    table.user = OWNER
    acknowledge(log, actor=OWNER)
    assert altered(log) == []


def test_an_acknowledgement_that_the_log_has_lost_counts_no_more(log: ReleaseLog, table: MemoryLogTable) -> None:
    table.alter("DELETE")
    acknowledge(log)
    table.forget("alteration_acknowledged")
    table.alter("RESTORE", version="2")
    assert altered(log) == ["RESTORE", "DELETE"]


def test_an_acknowledgement_belongs_to_no_release_and_moves_none(table: MemoryLogTable, log: ReleaseLog) -> None:
    release = log.for_run("1")
    log.append(release, Deployed("prod", "d"))
    before = log.state(release), [r for r, _ in log.history()], log.last_good("prod"), log.newest_in("prod")
    table.alter("DELETE")
    acknowledge(log)
    assert before == (log.state(release), [r for r, _ in log.history()], log.last_good("prod"), log.newest_in("prod"))
    assert log.read(release).history == log.read().history
    assert AlterationAcknowledged.KIND not in [event.kind for event in log.events(release.id)]
    newer: Release = log.open("b" * 40, run_id="2", requester="ci")
    assert [r for r, _ in log.history()] == [newer, release]
