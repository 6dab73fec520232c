"""Whose commit it is, and whether a table is still the same one."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from dbx_cd.delta.history import Commit, History
from dbx_cd.delta.tables import CatalogEntry
from dbx_cd.errors import RestoreRefused
from dbx_cd.relations import RelationName
from dbx_cd.rollback.ownership import OwnCommits, is_in, is_restored, mark
from dbx_cd.rollback.plan_item import PlanItem
from dbx_cd.rollback.point import RestorePoint, VersionAfter, VersionsAfter
from dbx_cd.rollback.relation_state import Present, RelationState

START = datetime(2026, 1, 1, tzinfo=UTC)
ORDERS = RelationName("prod", "s", "orders")
RECREATED = START + timedelta(days=1)


def commit(number: int, operation: str = "WRITE", *, since: datetime = START, **parameters: str) -> Commit:
    return Commit(number, since + timedelta(minutes=number), operation, parameters=parameters)


def history(*operations: str | Commit) -> History:
    return History.of(commit(n, o) if isinstance(o, str) else o for n, o in enumerate(operations))


def point(number: int) -> RestorePoint:
    state = RelationState(str(ORDERS), "table", version=number, committed_at=commit(number).at)
    return RestorePoint("r", commit(number).at, (state,))


def after(number: int) -> VersionsAfter:
    return VersionsAfter(
        "r", commit(number).at, (VersionAfter(str(ORDERS), "table", number, committed_at=commit(number).at),)
    )


def present(found: History) -> Present:
    return Present(CatalogEntry("table"), history=found)


def test_a_version_of_a_dropped_table_is_none_of_the_table_that_has_its_name_now() -> None:
    anew = History.of([commit(0, since=RECREATED), commit(1, since=RECREATED)])
    assert is_in(history("WRITE", "WRITE"), 1, commit(1).at)
    assert not is_in(anew, 1, commit(1).at)
    assert not is_in(anew, 2, commit(2).at)
    assert not is_in(anew, None, None)


def test_a_version_whose_entry_was_cleaned_away_counts_as_the_table_s_own() -> None:
    assert is_in(History.of([commit(7), commit(8)]), 3, commit(3).at)


def test_a_table_made_anew_has_another_mark_and_maintenance_leaves_it() -> None:
    before = mark(present(history("WRITE", "WRITE")))
    assert mark(present(history("WRITE", "WRITE", "OPTIMIZE"))) == before
    assert mark(present(history("WRITE", "WRITE", "WRITE"))) != before
    assert mark(present(History.of([commit(0, since=RECREATED), commit(1, since=RECREATED)]))) != before


def test_commits_of_every_attempt_are_the_release_s_own_and_those_in_between_are_not() -> None:
    found = history("CREATE TABLE", "WRITE", "MERGE", "WRITE", "DELETE")
    own = OwnCommits.of(ORDERS, [point(0), point(2)], [after(1), after(3)])
    assert [own.has(found.commits[n], found) for n in range(5)] == [False, True, False, True, False]
    assert [text.split(",")[0] for text in own.writes_by_others(present(found), since=0)] == ["version 4", "version 2"]


def test_a_build_that_was_killed_leaves_it_open_whose_the_commits_are() -> None:
    found = history("CREATE TABLE", "WRITE")
    killed = OwnCommits.of(ORDERS, [point(0)], [])
    assert not killed.recorded
    assert killed.may_be_among(found.changes_since(0), found)
    (described,) = killed.writes_by_others(present(found), since=0)
    assert described.endswith("(the versions after the build were not recorded: this may be the release's own)")


def test_what_others_have_undone_is_nobody_s_write() -> None:
    found = history("CREATE TABLE", "WRITE", "DELETE", commit(3, "RESTORE", version="1"))
    own = OwnCommits.of(ORDERS, [point(0)], [after(1)])
    assert own.writes_by_others(present(found), since=0) == ()


def test_right_before_restore_a_table_is_done_as_it_was_or_somebody_else_s() -> None:
    item = PlanItem(str(ORDERS), "restore", "", "", "table", "table", from_version=1, to_version=0)
    done = commit(2, "RESTORE", version="0")
    assert is_restored(item, history("CREATE TABLE", "WRITE", done))
    assert not is_restored(item, history("CREATE TABLE", "WRITE", "OPTIMIZE"))
    with pytest.raises(RestoreRefused, match="somebody wrote to it just now: version 2"):
        is_restored(item, history("CREATE TABLE", "WRITE", "DELETE"))
    assert not is_restored(replace(item, from_version=None), history("CREATE TABLE", "WRITE", "DELETE"))
