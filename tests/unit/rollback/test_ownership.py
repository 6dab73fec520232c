"""Whose commit it is, and whether a table is still the same one."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from dbx_cd.delta.history import Commit, History
from dbx_cd.delta.tables import CatalogEntry
from dbx_cd.errors import RestoreRefused
from dbx_cd.relations import RelationName
from dbx_cd.rollback.own_build import is_same_table
from dbx_cd.rollback.ownership import OwnCommits, is_restored, mark
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


def point(number: int, *writers: str) -> RestorePoint:
    state = RelationState(str(ORDERS), "table", version=number, committed_at=commit(number).at)
    return RestorePoint("r", commit(number).at, (state,), writers)


def after(number: int) -> VersionsAfter:
    return VersionsAfter(
        "r", commit(number).at, (VersionAfter(str(ORDERS), "table", number, committed_at=commit(number).at),)
    )


def present(found: History) -> Present:
    return Present(CatalogEntry("table"), history=found)


def test_a_version_of_a_dropped_table_is_none_of_the_table_that_has_its_name_now() -> None:
    anew = History.of([commit(0, since=RECREATED), commit(1, since=RECREATED)])
    (state,) = point(1).relations
    assert is_same_table(history("WRITE", "WRITE"), state)
    assert not is_same_table(anew, state)
    assert not is_same_table(history("WRITE", "WRITE"), replace(state, version=None))


def test_a_table_made_anew_has_another_mark_and_maintenance_leaves_it() -> None:
    before = mark(present(history("WRITE", "WRITE")))
    assert mark(present(history("WRITE", "WRITE", "OPTIMIZE"))) == before
    assert mark(present(history("WRITE", "WRITE", "WRITE"))) != before
    metrics = {"numOutputRows": "7"}
    assert mark(present(History.of([commit(0), replace(commit(1), metrics=metrics)]))) != before


def test_commits_of_every_attempt_are_the_release_s_own_and_those_in_between_are_not() -> None:
    found = history("CREATE TABLE", "WRITE", "MERGE", "WRITE", "DELETE")
    own = OwnCommits.of(ORDERS, [point(0), point(2)], [after(1), after(3)])
    assert [own.writer_of(found.commits[n], found) for n in range(5)] == [
        "others", "release", "others", "release", "others",
    ]  # fmt: skip
    assert [text.split(",")[0] for text in own.writes_by_others(present(found), since=0)] == ["version 4", "version 2"]


def test_a_build_that_was_killed_leaves_it_open_whose_the_commits_are() -> None:
    found = history("CREATE TABLE", "WRITE")
    killed = OwnCommits.of(ORDERS, [point(0)], [])
    assert killed.may_be_among(found.changes_since(0), found)
    (described,) = killed.writes_by_others(present(found), since=0)
    assert described.endswith("(the versions after the build were not recorded: this may be the release's own)")


def by(number: int, user: str | None) -> Commit:
    return replace(commit(number), user=user)


def test_during_the_build_a_commit_of_another_name_or_of_nobody_is_asked_about() -> None:
    found = history("CREATE TABLE", by(1, "bot"), by(2, "ann"), by(3, None), by(4, "dbt"))
    own = OwnCommits.of(ORDERS, [point(0, "bot", "dbt")], [after(4)])
    assert [own.writer_of(found.commits[n], found) for n in range(1, 5)] == ["release", "unknown", "unknown", "release"]
    nobody, ann = own.writes_by_others(present(found), since=0)
    assert nobody.endswith("(not verified: the table's history names nobody; this may be the release's own)")
    assert "WRITE by ann (during the build, but not by bot or dbt; if dbt writes" in ann


def test_a_table_that_only_somebody_else_wrote_to_during_the_build_may_be_the_release_s() -> None:
    """dbt may log in under that name: nothing would be brought back otherwise."""
    found = history("CREATE TABLE", by(1, "ann"), by(2, "ann"))
    own = OwnCommits.of(ORDERS, [point(0, "bot")], [after(1)])
    assert own.may_be_among([found.commits[1]], found)
    assert not own.may_be_among([found.commits[2]], found)


def test_records_of_before_writers_were_kept_go_by_time_alone() -> None:
    found = history("CREATE TABLE", by(1, "ann"))
    assert OwnCommits.of(ORDERS, [point(0)], [after(1)]).writer_of(found.commits[1], found) == "release"


def test_after_a_killed_build_every_commit_is_asked_about() -> None:
    found = history("CREATE TABLE", by(1, "ann"), by(2, "bot"))
    killed = OwnCommits.of(ORDERS, [point(0, "bot")], [])
    assert [killed.writer_of(found.commits[n], found) for n in (1, 2)] == ["unknown", "unknown"]
    bot, ann = killed.writes_by_others(present(found), since=0)
    assert "the versions after the build were not recorded" in bot
    assert "not by bot" in ann


def test_what_others_did_to_the_layout_needs_nobody_s_consent() -> None:
    found = history("CREATE TABLE", by(1, "bot"), replace(commit(2, "CLUSTER BY"), user="platform"))
    own = OwnCommits.of(ORDERS, [point(0, "bot")], [after(1)])
    assert own.writes_by_others(present(found), since=0) == ()


def test_commits_of_the_release_s_own_name_during_a_build_that_left_the_table_alone_are_somebody_else_s() -> None:
    """Another job of the same identity wrote while dbt skipped the model."""
    found = history("CREATE TABLE", by(1, "bot"), by(2, "bot"))
    (left,) = after(2).relations
    own = OwnCommits.of(ORDERS, [point(0, "bot")], [replace(after(2), relations=(replace(left, is_built=False),))])
    assert {own.writer_of(found.commits[n], found) for n in (1, 2)} == {"others"}
    assert not own.may_be_among(found.changes_since(0), found)


def test_what_a_repair_that_left_the_table_alone_found_is_of_the_build_before_it() -> None:
    found = history("CREATE TABLE", by(1, "bot"), by(2, "bot"), by(3, "bot"))
    (left,) = after(3).relations
    repaired = replace(after(3), relations=(replace(left, is_built=False),))
    own = OwnCommits.of(ORDERS, [point(0, "bot"), point(2, "bot")], [after(1), repaired])
    assert [own.writer_of(found.commits[n], found) for n in (1, 2, 3)] == ["release", "others", "others"]
    assert [text.split(",")[0] for text in own.writes_by_others(present(found), since=0)] == ["version 3", "version 2"]


def test_a_table_older_than_the_restore_point_that_calls_it_missing_was_not_created_by_the_release() -> None:
    missing = RestorePoint("r", RECREATED, (RelationState(str(ORDERS), "missing"),), ("bot",))
    own = OwnCommits.of(ORDERS, [missing], [after(1)])
    old = present(history(by(0, "bot"), by(1, "bot")))
    new = present(History.of([commit(0, since=RECREATED), commit(1, since=RECREATED)]))
    assert (own.existed(old), own.created(old)) == (True, False)
    assert (own.existed(new), own.created(new)) == (False, True)
    assert own.existed(present(History.of([commit(4, since=RECREATED)])))


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


def test_a_commit_counted_by_a_listed_name_is_named_where_the_release_has_another() -> None:
    found = history("CREATE TABLE", by(1, "bot"), by(2, "dev"))
    own = OwnCommits.of(ORDERS, [point(0, "bot", "dev")], [after(2)])
    (counted,) = own.counted_by_name(found.changes_since(0), found)
    assert counted.startswith("counted as the release's own, by targets.<target>.writers: version 2")
    alone = history("CREATE TABLE", by(1, "dev"))
    assert OwnCommits.of(ORDERS, [point(0, "bot", "dev")], [after(1)]).counted_by_name([by(1, "dev")], alone) == ()


def test_what_a_killed_build_committed_until_its_repair_is_the_release_s_by_name() -> None:
    found = history("CREATE TABLE", by(1, "bot"), by(2, "bot"))
    own = OwnCommits.of(ORDERS, [point(0, "bot"), point(1, "bot")], [after(2)])
    assert [own.writer_of(found.commits[n], found) for n in (1, 2)] == ["release", "release"]
