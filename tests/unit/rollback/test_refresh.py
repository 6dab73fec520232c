"""Tables that nobody has written to for long: what a restore point says of them, and makes of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dbx_cd import Release, RestorePoint, RestoreRefused, plan_restore, restore
from dbx_cd.dbt.effects import BuildEffects
from dbx_cd.delta.history import Commit, History
from dbx_cd.delta.retention import CHECKPOINT_INTERVAL, CHECKPOINT_INTERVAL_BEFORE, FILES_KEPT, LOG_KEPT
from dbx_cd.delta.tables import TableDetail
from dbx_cd.errors import SqlFailed
from dbx_cd.plan.baseline import before_release
from dbx_cd.relations import RelationName
from dbx_cd.rollback.capture import capture_restore_point, look_at
from dbx_cd.rollback.refresh import is_refresh_due, refresh
from dbx_cd.rollback.relation_state import RelationState
from dbx_cd.smoke.baseline import NoBaseline
from memory.releases import Releases, relation
from memory.tables import TOO_OLD, MemoryTables

A = relation("prod", "a")
WEEK, NOW = timedelta(days=7), datetime(2026, 6, 1, tzinfo=UTC)


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    return Releases(tmp_path)


def old(releases: Releases, *, days: float) -> None:
    """A table of two commits that are so old."""
    releases.tables.create(A, 1)
    releases.tables.insert(A, 2)
    releases.tables.age(A, days=days)


def replaced(releases: Releases) -> Release:
    return releases.changed(["a"], lambda: releases.tables.create(A, 3))


def point_of(releases: Releases, release: Release) -> RestorePoint:
    point = releases.cd().log.last(release, RestorePoint)
    assert point is not None
    return point


@pytest.mark.parametrize("days", [0.5, 1.5, 6, 8, 29, 31, 400])
def test_a_table_is_restorable_for_a_whole_retention_however_old_its_last_commit_is(
    releases: Releases, days: float
) -> None:
    old(releases, days=days)
    release = replaced(releases)
    (ready,) = point_of(releases, release).readiness
    assert ready.status == "restorable"
    assert ready.until is not None
    assert ready.until - datetime.now(UTC) > WEEK * 6 / 7 - timedelta(minutes=1)
    plan = plan_restore(releases.cd(), release)
    assert [(i.action, i.later_writes) for i in plan.items] == [("restore", ())]
    restore(releases.cd(), plan, seal=plan.seal)
    assert releases.tables.rows(A) == [1, 2]
    assert releases.tables.properties(A) == {}


def test_a_young_table_gets_no_commit_of_the_release(releases: Releases) -> None:
    old(releases, days=0.9)
    replaced(releases)
    operations = [c.operation for c in releases.tables.table(A).commits]
    assert operations == ["CREATE TABLE AS SELECT", "WRITE", "CREATE OR REPLACE TABLE AS SELECT"]


def test_before_anybody_approves_nothing_is_written_and_the_page_says_what_will_be(releases: Releases) -> None:
    old(releases, days=8)
    point = look_at(releases.tables, releases.open(), [A], effects=BuildEffects())
    (ready,) = point.readiness
    assert ready.status == "restorable"
    assert "the restore point makes one of today of it" in ready.reason
    assert len(releases.tables.table(A).commits) == 2


def test_without_the_right_to_alter_a_table_a_version_past_its_retention_is_said_to_be_lost(
    releases: Releases,
) -> None:
    old(releases, days=8)
    releases.tables.refuses_properties_of = {A.key}
    release = replaced(releases)
    (ready,) = point_of(releases, release).readiness
    assert (ready.status, ready.is_lost, ready.until) == ("rebuild", True, None)
    assert "Delta does not go back to it once the build has written" in ready.reason
    assert "INSUFFICIENT_PERMISSIONS" in ready.reason
    (item,) = plan_restore(releases.cd(), release).items
    assert item.action == "rebuild"
    assert 'extend_retention(spark, RelationName.parse("prod.shop.a"), days=10)' in item.reason
    with pytest.raises(SqlFailed, match=TOO_OLD):
        releases.tables.restore(A, 1)


def test_without_that_right_a_version_that_is_not_past_it_is_restorable_for_what_is_left(releases: Releases) -> None:
    old(releases, days=6)
    releases.tables.refuses_properties_of = {A.key}
    (ready,) = point_of(releases, replaced(releases)).readiness
    assert ready.status == "restorable"
    assert ready.until is not None
    assert abs(ready.until - datetime.now(UTC) - timedelta(days=1)) < timedelta(minutes=1)


def test_retention_made_longer_afterwards_makes_an_old_version_readable_again(releases: Releases) -> None:
    old(releases, days=8)
    releases.tables.refuses_properties_of = {A.key}
    release = replaced(releases)
    releases.tables.refuses_properties_of.clear()
    longer = {FILES_KEPT: "interval 20 days"}
    releases.tables.set_properties(A, longer)
    plan = plan_restore(releases.cd(), release)
    assert [(i.action, i.keep_properties) for i in plan.items] == [("restore", longer)]
    restore(releases.cd(), plan, seal=plan.seal)
    assert releases.tables.rows(A) == [1, 2]


def test_a_plan_that_is_carried_out_too_late_is_refused(releases: Releases) -> None:
    releases.tables.create(A, 1)
    release = replaced(releases)
    plan = plan_restore(releases.cd(), release)
    assert [i.action for i in plan.items] == ["restore"]
    releases.tables.age(A, days=8)
    releases.log_table.move_back({str(A): timedelta(days=8)})
    (item,) = plan_restore(releases.cd(), release).items
    assert item.action == "rebuild"
    assert "Delta went back to that version until" in item.reason
    with pytest.raises(RestoreRefused, match="changed since the plan"):
        restore(releases.cd(), plan, seal=plan.seal)


def test_the_properties_that_the_build_sets_decide_how_long_a_version_is_kept(releases: Releases) -> None:
    """CREATE OR REPLACE resets retention that somebody has set by hand."""
    releases.tables.create(A, 1)
    month = {FILES_KEPT: "interval 30 days", LOG_KEPT: "interval 60 days"}
    releases.tables.set_properties(A, month)

    def left(properties: Mapping[str, str] | None) -> timedelta:
        known = BuildEffects(properties={} if properties is None else {A.key: properties})
        (ready,) = look_at(releases.tables, releases.open(), [A], effects=known).readiness
        assert ready.until is not None
        return timedelta(days=round((ready.until - datetime.now(UTC)) / timedelta(days=1)))

    assert left(None) == timedelta(days=30)
    assert left({}) == WEEK
    assert left({FILES_KEPT: "interval 20 days"}) == timedelta(days=20)


def test_a_comparison_with_a_version_past_its_retention_is_skipped_and_says_so(releases: Releases) -> None:
    old(releases, days=8)
    releases.tables.refuses_properties_of = {A.key}
    found = before_release(releases.tables, point_of(releases, replaced(releases)).relations).source("a", A)
    assert isinstance(found, NoBaseline)
    assert "Delta went back to version 1 until" in found.reason


class Cleaned(MemoryTables):
    """Tables whose logs hold the newest entry alone."""

    def history(self, table: RelationName, *, limit: int | None = None) -> History:
        return super().history(table, limit=1)


def test_a_comparison_with_a_version_that_the_log_has_lost_is_skipped_and_says_so(releases: Releases) -> None:
    releases.tables.create(A, 1)
    point = point_of(releases, replaced(releases))
    cleaned = Cleaned()
    cleaned.relations = releases.tables.relations
    found = before_release(cleaned, point.relations).source("a", A)
    assert isinstance(found, NoBaseline)
    assert "the table's log does not reach back to version 0" in found.reason


def test_killed_between_its_two_commits_the_next_restore_point_completes_it(releases: Releases) -> None:
    tables = releases.tables
    old(releases, days=8)
    tables.set_properties(A, {CHECKPOINT_INTERVAL: "1", CHECKPOINT_INTERVAL_BEFORE: "20"})
    capture_restore_point(releases.cd(), releases.open(), [A])
    assert tables.properties(A) == {CHECKPOINT_INTERVAL: "20"}


def test_a_checkpoint_interval_of_the_table_s_own_is_there_again(releases: Releases) -> None:
    releases.tables.create(A, 1)
    releases.tables.set_properties(A, {CHECKPOINT_INTERVAL: "20"})
    refresh(releases.tables, A)
    assert releases.tables.properties(A) == {CHECKPOINT_INTERVAL: "20"}
    assert releases.tables.history(A).content_version() == 0


def test_what_a_release_does_for_this_is_nobody_s_write_and_leaves_an_older_release_s_rollback(
    releases: Releases,
) -> None:
    releases.tables.create(A, 1)
    first = releases.changed(["a"], lambda: releases.tables.insert(A, 2))
    soon = BuildEffects(properties={A.key: {FILES_KEPT: "interval 0 seconds"}})
    capture_restore_point(releases.cd(), releases.open("2"), [A], effects=soon)
    assert len(releases.tables.table(A).commits) == 4
    (item,) = plan_restore(releases.cd(), first).items
    assert (item.action, item.to_version, item.later_writes) == ("restore", 0, ())


def test_a_repaired_build_goes_back_to_before_its_first_attempt(releases: Releases) -> None:
    old(releases, days=8)

    def killed() -> None:
        releases.tables.insert(A, 9)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        releases.changed(["a"], killed)
    release = replaced(releases)
    (item,) = plan_restore(releases.cd(), release).items
    assert (item.action, item.to_version) == ("restore", 3)
    plan = plan_restore(releases.cd(), release)
    restore(releases.cd(), plan, seal=plan.seal, discard_later_writes=True)
    assert releases.tables.rows(A) == [1, 2]


def due(*ages: float, version: int | None = None, operation: str = "WRITE", **state: object) -> bool:
    """Whether a table whose commits are so many days old gets a version of today."""
    first = 0 if version is None else version - len(ages) + 1
    commits = [Commit(first + n, NOW - timedelta(days=days), operation) for n, days in enumerate(ages)]
    newest = commits[-1]
    table = RelationState("prod.shop.a", "table", version=newest.version, committed_at=newest.at, **state)  # type: ignore[arg-type]
    return is_refresh_due(table, History.of(commits), taken_at=NOW)


def test_a_version_is_made_anew_once_a_seventh_of_its_retention_is_spent() -> None:
    assert (due(1.1), due(0.9)) == (True, False)
    assert due(0.9, properties_after={FILES_KEPT: "interval 2 hours"})


def test_a_version_that_needs_old_log_entries_is_made_anew_however_young_it_is() -> None:
    """The last checkpoint may be ten versions back: entries since then are cleaned by their own age."""
    assert due(24, 0.5)
    assert not due(22, 0.5)
    assert not due(*[24] * 9, 24, 0.5, version=20)
    assert due(24, *[0.5] * 9, version=19)


def test_a_version_whose_last_checkpoint_is_not_in_the_history_is_made_anew() -> None:
    assert due(0.5, 0.5, version=15)
    assert not due(0.5, 0.5, version=11)


def test_a_table_that_the_build_drops_is_left_alone() -> None:
    assert not due(8, replaced_by="a view")


def test_the_checkpoint_that_a_restore_point_made_counts() -> None:
    parameters = {"properties": f'{{"{CHECKPOINT_INTERVAL_BEFORE}": ""}}'}
    refreshed = Commit(1, NOW - timedelta(hours=1), "SET TBLPROPERTIES", parameters=parameters)
    commits = [Commit(0, NOW - timedelta(days=40), "WRITE"), refreshed, Commit(2, NOW, "UNSET TBLPROPERTIES")]
    state = RelationState("prod.shop.a", "table", version=2, committed_at=NOW)
    assert not is_refresh_due(state, History.of(commits), taken_at=NOW)


class FailingOnce(MemoryTables):
    """The second commit of a version of today fails, once or always."""

    def __init__(self, *, always: bool) -> None:
        super().__init__()
        self.left = 100 if always else 1

    def unset_properties(self, table: RelationName, names: Sequence[str]) -> None:
        if self.left:
            self.left -= 1
            raise SqlFailed("[DELTA_METADATA_CHANGED] somebody else", condition="DELTA_METADATA_CHANGED")
        super().unset_properties(table, names)

    def signed(self, user_metadata: str) -> MemoryTables:
        return self


@pytest.mark.parametrize("always", [False, True], ids=["once", "always"])
def test_a_version_of_today_that_was_made_by_half_is_completed_or_serves_all_the_same(
    tmp_path: Path, *, always: bool
) -> None:
    releases = Releases(tmp_path, tables=FailingOnce(always=always))
    old(releases, days=8)
    release = replaced(releases)
    (state,), (ready,) = point_of(releases, release).relations, point_of(releases, release).readiness
    assert (ready.status, ready.is_lost, state.refreshed_from) == ("restorable", False, 1)
    assert ("DELTA_METADATA_CHANGED" in ready.reason) == always
    plan = plan_restore(releases.cd(), release)
    restore(releases.cd(), plan, seal=plan.seal)
    assert releases.tables.rows(A) == [1, 2]
    assert (CHECKPOINT_INTERVAL in releases.tables.properties(A)) == always


def test_properties_that_the_build_sets_on_an_incremental_table_decide_as_well(releases: Releases) -> None:
    releases.tables.create(A, 1)
    effects = BuildEffects(altered={A.key: {FILES_KEPT: "interval 2 days"}})
    (ready,) = look_at(releases.tables, releases.open(), [A], effects=effects).readiness
    assert ready.until is not None
    assert abs(ready.until - datetime.now(UTC) - timedelta(days=2)) < timedelta(minutes=1)


def test_a_table_that_is_written_to_all_the_time_is_recorded_all_the_same(tmp_path: Path) -> None:
    class Busy(MemoryTables):
        def is_newest(self, table: RelationName, version: int) -> bool:
            return False

    releases = Releases(tmp_path, tables=Busy())
    releases.tables.create(A, 1)
    point = capture_restore_point(releases.cd(), releases.open(), [A])
    assert [(s.version, s.fingerprint is not None) for s in point.relations] == [(0, True)]


def test_detail_and_version_of_a_restore_point_belong_together(tmp_path: Path) -> None:
    class WrittenInBetween(MemoryTables):
        def detail(self, table: RelationName) -> TableDetail:
            if len(self.table(table).commits) == 1:
                self.set_properties(table, {"since": "yes"})
            return super().detail(table)

    releases = Releases(tmp_path, tables=WrittenInBetween())
    releases.tables.create(A, 1)
    (state,) = capture_restore_point(releases.cd(), releases.open(), [A]).relations
    assert (state.version, dict(state.properties)) == (1, {"since": "yes"})
