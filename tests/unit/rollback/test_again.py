"""A restore that is called again: after one that is over, and after one that was killed or has failed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dbx_cd import Release, RestoreFailed, RestorePlan, RestoreResult, plan_restore, restore
from dbx_cd.delta.log_table import LogRow
from dbx_cd.relations import RelationName
from dbx_cd.release.events import Deployed, Deploying
from dbx_cd.rollback.capture import capture_restore_point, record_versions_after
from dbx_cd.rollback.journal import RestoredRelation
from memory.releases import Releases, relation
from memory.tables import MemoryTables

A, B, V, NEW = (relation("prod", name) for name in ("a", "b", "v", "new"))


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    return Releases(tmp_path)


class Killed(BaseException):
    """Stands for SIGKILL: nothing in the library may catch it."""


def killed_before(releases: Releases, plan: RestorePlan, kind: str) -> None:
    """A restore that is killed right before the first event of a kind is in the log."""

    def watch(rows: Sequence[LogRow]) -> None:
        if rows[0].kind == kind:
            raise Killed

    releases.log_table.before_append = watch
    with pytest.raises(Killed):
        restore(releases.cd(), plan, seal=plan.seal)
    releases.log_table.before_append = lambda _rows: None


def rolled_back(releases: Releases, release: Release) -> RestoreResult:
    plan = plan_restore(releases.cd(), release)
    return restore(releases.cd(), plan, seal=plan.seal)


# After one that is over


def test_a_table_that_a_newer_release_changed_is_not_called_restored_by_the_older_one_s_rollback(
    releases: Releases,
) -> None:
    tables = releases.tables
    tables.create(A, 1)
    older = releases.changed(["a"], lambda: tables.insert(A, 2))
    first = rolled_back(releases, older)
    releases.changed(["a"], lambda: tables.create(A, 666), run_id="2")
    again = rolled_back(releases, older)
    assert [r.action for r in first.relations] == ["restore"]
    assert [(r.action, r.proof) for r in again.relations] == [
        ("keep", "1 commit since version 0, none of them the release's")
    ]
    assert again.complete
    assert releases.cd().log.last(older, RestoreResult) == again
    assert releases.cd().log.state(older).phase == "rolled_back"
    assert tables.rows(A) == [666]


def test_what_somebody_has_made_since_in_the_place_of_what_was_dropped_is_not_called_dropped(
    releases: Releases,
) -> None:
    tables = releases.tables
    release = releases.changed(["new"], lambda: tables.create(NEW, 1))
    plan = plan_restore(releases.cd(), release, new_tables="drop")
    assert [r.proof for r in restore(releases.cd(), plan, seal=plan.seal).relations] == ["dropped"]
    tables.user = "bob"
    tables.create(NEW, 2)
    again = rolled_back(releases, release)
    assert [r.action for r in again.relations] == ["keep"]


def test_a_second_rollback_of_what_is_as_the_first_left_it_is_the_first(releases: Releases) -> None:
    tables = releases.tables
    tables.create(A, 1)
    release = releases.changed(["a", "new"], lambda: [tables.insert(A, 2), tables.create(NEW, 1)])
    first = rolled_back(releases, release)
    events = len(releases.cd().log.events())
    assert rolled_back(releases, release) == first
    assert len(releases.cd().log.events()) == events


# After one that was killed or has failed


def test_what_a_killed_attempt_wrote_down_is_proved_again(releases: Releases) -> None:
    tables = releases.tables
    tables.create(A, 1)
    tables.create(B, 1, columns=("id", "x"))
    tables.view(V, B, column="x")
    release = releases.changed(["a", "v"], lambda: [tables.insert(A, 2), tables.view(V, B)])
    plan = plan_restore(releases.cd(), release)
    killed_before(releases, plan, "rolled_back")
    tables.create(B, 1)  # not of the release, and without the column that the view reads
    tables.set_properties(A, {"delta.logRetentionDuration": "interval 1 day"})
    with pytest.raises(RestoreFailed) as failure:
        restore(releases.cd(), plan, seal=plan.seal)
    assert isinstance(failure.value.result, RestoreResult)
    table, view = (next(r for r in failure.value.result.relations if r.name == str(n)) for n in (A, V))
    assert (table.ok, table.action, table.from_version, table.version_after) == (True, "restore", 1, 3)
    assert table.proof == "the 1 files (1 rows) and the schema are those of version 0"
    assert table.differences == ("property delta.logRetentionDuration is 'interval 1 day', was not there",)
    assert (view.ok, view.action) == (False, "recreate_view")
    assert "UNRESOLVED_COLUMN" in str(view.error)


def test_what_is_still_as_a_killed_attempt_left_it_is_proved_and_not_written_down_twice(releases: Releases) -> None:
    tables = releases.tables
    tables.create(A, 1)
    tables.view(V, B)
    tables.create(B, 1)
    change = [lambda: tables.insert(A, 2), lambda: tables.view(V, A), lambda: tables.create(NEW, 1)]
    release = releases.changed(["a", "v", "new"], lambda: [act() for act in change])
    plan = plan_restore(releases.cd(), release, new_tables="drop")
    killed_before(releases, plan, "rolled_back")
    journal = releases.cd().log.all(release, RestoredRelation)
    result = restore(releases.cd(), plan, seal=plan.seal)
    again = sorted(result.relations, key=lambda r: [written.name for written in journal].index(r.name))
    assert [replace(r, seconds=0.0) for r in again] == [replace(r, seconds=0.0) for r in journal]
    assert releases.cd().log.all(release, RestoredRelation) == journal
    assert result.complete


def test_files_that_are_gone_since_a_killed_attempt_fail_the_next(releases: Releases) -> None:
    tables = releases.tables
    tables.create(A, 1)
    release = releases.changed(["a"], lambda: tables.insert(A, 2))
    plan = plan_restore(releases.cd(), release)
    killed_before(releases, plan, "rolled_back")
    tables.table(A).lost |= set(tables.table(A).now.files)
    with pytest.raises(RestoreFailed, match="FILE_NOT_EXIST"):
        restore(releases.cd(), plan, seal=plan.seal)


def test_a_view_that_is_left_alone_and_does_not_answer_fails_no_rollback(releases: Releases) -> None:
    """It read what was gone before the release, or what somebody has dropped since."""
    tables = releases.tables
    tables.create(A, 1)
    tables.create(B, 1)
    tables.view(V, B)
    tables.drop(B, kind="table")
    release = releases.changed(["a", "v"], lambda: tables.insert(A, 9))
    result = rolled_back(releases, release)
    view = next(r for r in result.relations if r.name == str(V))
    assert (view.ok, view.action, view.proof) == (True, "none", "the view is as it was")
    assert view.differences == (f"does not answer: [TABLE_OR_VIEW_NOT_FOUND] {B.quoted}",)
    assert result.complete
    assert f"not as it was: does not answer: [TABLE_OR_VIEW_NOT_FOUND] {B.quoted}" in result.text


def test_a_view_of_others_that_does_not_answer_fails_no_rollback(releases: Releases) -> None:
    tables, cd = releases.tables, releases.cd()
    tables.create(A, 1, columns=("id", "x"))
    tables.view(V, A)
    release = releases.open()
    cd.log.append(release, Deploying("prod"))
    point = capture_restore_point(cd, release, [A, V])
    tables.insert(A, 2)
    record_versions_after(cd, release, point, built=[A])
    cd.log.append(release, Deployed("prod", ""))
    tables.view(V, A, column="gone")
    result = rolled_back(releases, release)
    view = next(r for r in result.relations if r.name == str(V))
    assert (view.ok, view.action) == (True, "keep")
    assert [d for d in view.differences if d.startswith("does not answer: [UNRESOLVED_COLUMN]")]
    assert result.complete


@pytest.mark.parametrize("again", ["same plan", "new plan"])
def test_a_view_that_was_made_again_and_does_not_answer_fails_wherever_the_first_attempt_was_killed(
    releases: Releases, again: str
) -> None:
    tables = releases.tables
    tables.create(B, 1)
    tables.create(A, 1)
    tables.view(V, B)
    release = releases.changed(["v"], lambda: tables.view(V, A))
    plan = plan_restore(releases.cd(), release)
    killed_before(releases, plan, "restored_relation")
    tables.drop(B, kind="table")
    if again == "new plan":
        plan = plan_restore(releases.cd(), release)
        assert [i.action for i in plan.items] == ["none"]
    with pytest.raises(RestoreFailed, match="TABLE_OR_VIEW_NOT_FOUND"):
        restore(releases.cd(), plan, seal=plan.seal)


# What stood in the way


class DiesAtCreateView(MemoryTables):
    """Kills whoever makes a view, while it is told to."""

    dies = False

    def signed(self, user_metadata: str) -> MemoryTables:
        return self

    def create_view(self, view: RelationName, **what: Any) -> None:
        if self.dies:
            raise Killed
        super().create_view(view, **what)


def aside_of(release: Release) -> RelationName:
    return relation("prod", f"v__rolled_back_{release.id.lower().replace('-', '_')}")


def view_to_table(releases: Releases) -> Release:
    tables = releases.tables
    tables.create(A, 1)
    tables.view(V, A)
    return releases.changed(["v"], lambda: [tables.drop(V, kind="view"), tables.create(V, 2)])


def test_the_result_s_text_names_what_was_moved_out_of_a_view_s_way(releases: Releases) -> None:
    release = view_to_table(releases)
    result = rolled_back(releases, release)
    assert f"; what stood there is {aside_of(release)} now" in result.text
    assert releases.tables.rows(aside_of(release)) == [2]


@pytest.mark.parametrize("again", ["same plan", "new plan"])
@pytest.mark.parametrize("step", ["create view", "restored_relation", "rolled_back"])
def test_killed_when_it_had_moved_it_the_next_attempt_names_it(tmp_path: Path, step: str, again: str) -> None:
    tables = DiesAtCreateView()
    releases = Releases(tmp_path, tables=tables)
    release = view_to_table(releases)
    plan = plan_restore(releases.cd(), release)
    if step == "create view":
        tables.dies = True
        with pytest.raises(Killed):
            restore(releases.cd(), plan, seal=plan.seal)
        tables.dies = False
    else:
        killed_before(releases, plan, step)
    if again == "new plan":
        plan = plan_restore(releases.cd(), release)
    result = restore(releases.cd(), plan, seal=plan.seal)
    assert result.complete
    assert [r.moved_to for r in result.relations] == [str(aside_of(release))]
    assert f"; what stood there is {aside_of(release)} now" in result.text


@pytest.mark.parametrize("step", ["restored_relation", "rolled_back"])
def test_killed_after_undrop_the_next_attempt_names_what_stood_there(tmp_path: Path, step: str) -> None:
    releases = Releases(tmp_path, tables=MemoryTables(has_undrop=True))
    tables = releases.tables
    tables.create(B, 1)
    tables.create(A, 1)
    release = releases.changed(["a"], lambda: [tables.drop(A, kind="table"), tables.view(A, B)])
    plan = plan_restore(releases.cd(), release)
    assert [i.action for i in plan.items] == ["undrop"]
    killed_before(releases, plan, step)
    (done,) = restore(releases.cd(), plan, seal=plan.seal).relations
    assert done.moved_to == f"prod.shop.a__rolled_back_{release.id.lower().replace('-', '_')}"
    tables.read_one(RelationName.parse(done.moved_to))
    assert tables.rows(A) == [1]


def test_where_somebody_else_has_moved_it_nothing_is_named(releases: Releases) -> None:
    release = view_to_table(releases)
    plan = plan_restore(releases.cd(), release)
    releases.tables.rename(V, relation("prod", "elsewhere"), kind="table")
    result = restore(releases.cd(), plan, seal=plan.seal)
    assert [r.moved_to for r in result.relations] == [None]
    assert "what stood there" not in result.text
