"""An event is in the log once, whatever becomes of the answers to its statement; a read is done again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

import pytest
from failing_api import PassingTime

from dbx_cd.delta.log_table import DeltaLogTable, LogRow
from dbx_cd.delta.sql import Sql
from dbx_cd.errors import SqlFailed
from dbx_cd.patience import Patience
from dbx_cd.relations import RelationName

NAME = RelationName("ops", "dbt_meta", "release_log")
# As Delta 4.4 and PySpark 4.2 raise them; no condition, only its name in the message.
CHANGED = SqlFailed(
    "[DELTA_METADATA_CHANGED] MetadataChangedException: The metadata of the Delta table has been changed"
)
TWICE = SqlFailed("[DELTA_CONCURRENT_TRANSACTION] ConcurrentTransactionException: This error occurs when multiple")
CONFLICT = SqlFailed("files were added", condition="DELTA_CONCURRENT_APPEND.WITH_PARTITION_HINT")
LOST = SqlFailed("UNAVAILABLE: connection reset by peer")
DENIED = SqlFailed("no MODIFY", condition="INSUFFICIENT_PERMISSIONS")
HOOK = SqlFailed("committing version 3 succeeded, but not the hook", condition="DELTA_POST_COMMIT_HOOK_FAILED")


class Table(Sql):
    """The port, over a table that takes rows and whose statements end as a test says.

    Args:
        before: what attempts fail with before anything is written, in turn.
        after: what attempts fail with when their rows are written, in turn; None for those that do not.
        looks: what the questions for an event fail with, in turn.
    """

    def __init__(
        self,
        *,
        before: Iterable[SqlFailed] = (),
        after: Iterable[SqlFailed] = (),
        looks: Iterable[SqlFailed] = (),
    ) -> None:
        self.before, self.after, self.looks = list(before), list(after), list(looks)
        self.names: set[str] = set()
        self.rows: list[str] = []
        self.attempts = 0

    def exists(self, table: RelationName) -> bool:
        return True

    def append(self, table: RelationName, query: str, *, user_metadata: str, once_as: str, **given: str) -> None:
        self.attempts += 1
        if self.before:
            raise self.before.pop(0)
        if once_as not in self.names:  # as Delta does (tests/spark/release/test_log.py)
            self.names.add(once_as)
            self.rows += [row["event_id"] for row in json.loads(given["rows"])]
        if self.after:
            raise self.after.pop(0)

    def query(self, statement: str, **parameters: str) -> list[Any]:
        if self.looks:
            raise self.looks.pop(0)
        return [row for row in self.rows if f"'{row}'" in statement]


def append(table: Table, clock: PassingTime, event_id: str = "e1") -> Table:
    row = LogRow(event_id, "r", "approved", datetime(2026, 1, 1, tzinfo=UTC), "me", 1, "{}")
    DeltaLogTable(table, NAME, patience=Patience(clock=clock)).append([row])
    return table


@pytest.fixture
def clock() -> PassingTime:
    return PassingTime()


@pytest.mark.parametrize("failure", [CHANGED, TWICE, CONFLICT, LOST], ids=["changed", "twice", "conflict", "lost"])
def test_an_append_that_failed_before_it_wrote_is_done_again(clock: PassingTime, failure: SqlFailed) -> None:
    table = append(Table(before=[failure, failure]), clock)
    assert (table.rows, table.attempts) == (["e1"], 3)
    assert len(clock.slept) == 2


@pytest.mark.parametrize("failure", [LOST, HOOK, DENIED], ids=["lost", "hook", "denied"])
def test_an_append_that_wrote_and_failed_has_written(clock: PassingTime, failure: SqlFailed) -> None:
    table = append(Table(after=[failure]), clock)
    assert (table.rows, table.attempts) == (["e1"], 1)


def test_where_nobody_can_see_whether_it_wrote_it_writes_no_second_time(clock: PassingTime) -> None:
    table = append(Table(after=[LOST], looks=[LOST]), clock)
    assert (table.rows, table.attempts) == (["e1"], 2)


@pytest.mark.parametrize(
    "words",
    [
        "io.delta.exceptions.ConcurrentAppendException: Files were",
        "Read timed out",
        "('Connection aborted.', ConnectionResetError(104, 'Connection reset by peer'))",
        "Timeout waiting for connection from pool",
    ],
)
def test_what_has_no_condition_and_passes_is_known_by_its_words(clock: PassingTime, words: str) -> None:
    assert append(Table(before=[SqlFailed(words)]), clock).attempts == 2


@pytest.mark.parametrize(
    "refusal",
    [
        DENIED,
        SqlFailed("[TABLE_OR_VIEW_NOT_FOUND] no MODIFY, timed out"),
        SqlFailed("no MODIFY: the column `unavailable` cannot be resolved"),
        SqlFailed("no MODIFY: the query timed out because of statement_timeout"),
    ],
)
def test_a_refusal_is_not_tried_again(clock: PassingTime, refusal: SqlFailed) -> None:
    table = Table(before=[refusal])
    with pytest.raises(SqlFailed, match="no MODIFY"):
        append(table, clock)
    assert (table.attempts, clock.slept) == (1, [])


def test_what_does_not_pass_is_given_up_within_two_minutes_and_in_its_own_words(clock: PassingTime) -> None:
    began = clock.now
    with pytest.raises(SqlFailed, match="connection reset by peer"):
        append(Table(before=[LOST] * 1000), clock)
    assert 60 < clock.now - began < 120


def test_an_event_that_may_be_there_is_said_to_be(clock: PassingTime) -> None:
    with pytest.raises(SqlFailed, match=r"no MODIFY.*whether the event e1 is in .* cannot be seen: no SELECT"):
        append(Table(before=[DENIED], looks=[SqlFailed("no SELECT")]), clock)


def test_two_events_are_two_rows(clock: PassingTime) -> None:
    table = append(append(Table(), clock), clock, "e2")
    assert table.rows == ["e1", "e2"]


READS: dict[str, Callable[[DeltaLogTable], object]] = {
    "rows": lambda log: log.rows(),
    "newest": lambda log: log.newest("approved", where={}, but_release=None, limit=1),
    "commits": lambda log: log.commits(),
    "table_id": lambda log: log.table_id(),
}


class Answering(Table):
    """A table that is there, and answers with nothing but its details; what questions fail with is given.

    Args:
        exists: what the question whether there is a table fails with, in turn.
        looks: what all other questions fail with, in turn.
    """

    def __init__(self, *, exists: Iterable[SqlFailed] = (), looks: Iterable[SqlFailed] = ()) -> None:
        super().__init__(looks=looks)
        self.unseen = list(exists)

    def exists(self, table: RelationName) -> bool:
        if self.unseen:
            raise self.unseen.pop(0)
        return True

    def query(self, statement: str, **parameters: str) -> list[Any]:
        super().query(statement)
        return [{"id": "t1"}] if statement.startswith("DESCRIBE DETAIL") else []


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("question", ["exists", "looks"])
def test_a_read_whose_connection_breaks_is_done_again(clock: PassingTime, read: str, question: str) -> None:
    asked = Answering(**{question: [LOST, LOST]})
    found = READS[read](DeltaLogTable(asked, NAME, patience=Patience(clock=clock)))
    assert found == ("t1" if read == "table_id" else [])
    assert len(clock.slept) == 2


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("question", ["exists", "looks"])
def test_a_read_that_is_refused_is_not_done_again(clock: PassingTime, read: str, question: str) -> None:
    asked = Answering(**{question: [DENIED]})
    with pytest.raises(SqlFailed, match="no MODIFY"):
        READS[read](DeltaLogTable(asked, NAME, patience=Patience(clock=clock)))
    assert clock.slept == []
