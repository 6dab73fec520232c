"""Restore, on tables in memory: consent, selection, later writers, attempts that were killed, who excludes whom."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dbx_cd import (
    Release,
    ReleaseError,
    RestoreFailed,
    RestorePlan,
    RestoreRefused,
    RestoreResult,
    build_release,
    plan_restore,
    restore,
)
from dbx_cd.delta.history import History
from dbx_cd.delta.log_table import LogRow
from dbx_cd.delta.tables import NOTHING_KNOWN, CatalogEntry, Column, Kind
from dbx_cd.delta.view_reading import UNKNOWN_READING, ViewReading
from dbx_cd.deploy.claim import claim
from dbx_cd.errors import SqlFailed
from dbx_cd.relations import RelationName
from dbx_cd.release.events import Deployed, Deploying, Failed
from dbx_cd.rollback.capture import capture_restore_point, record_versions_after
from dbx_cd.rollback.differences import STAYING
from dbx_cd.rollback.journal import RestoredRelation, unfinished
from dbx_cd.rollback.point import RestorePoint, VersionsAfter
from dbx_cd.rollback.present import is_untouched
from memory.releases import Releases, relation
from memory.tables import Content, MemoryTables

A, B, V, NEW = (relation("prod", name) for name in ("a", "b", "v", "new"))
LONGER = {"delta.logRetentionDuration": "interval 60 days"}


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    return Releases(tmp_path)


def written(releases: Releases, *names: str, run_id: str = "1") -> Release:
    """A release that has written to tables, which are made first where they are missing."""
    tables, relations = releases.tables, [relation("prod", name) for name in names]
    for name in relations:
        if name.key not in tables.relations:
            tables.create(name, 1)
    return releases.changed(names, lambda: [tables.insert(name, 9) for name in relations], run_id=run_id)


def restores(releases: Releases, name: RelationName) -> int:
    return sum(c.operation == "RESTORE" for c in releases.tables.table(name).commits)


def just_before(releases: Releases, kind: str, act: Callable[[], object]) -> None:
    """Let something happen right before the first event of a kind is in the log."""
    todo = [act]

    def watch(rows: Sequence[LogRow]) -> None:
        if todo and rows[0].kind == kind:
            todo.pop()()

    releases.log_table.before_append = watch


# Plan, seal, consent


def test_a_plan_writes_nothing_and_a_restore_writes_down_all_of_it(releases: Releases) -> None:
    tables = releases.tables
    tables.create(A, 1)
    release = releases.changed(["a", "new"], lambda: [tables.insert(A, 9), tables.create(NEW, 1)])
    cd = releases.cd("somebody")
    events = len(cd.log.events())
    plan = plan_restore(cd, release)
    assert len(cd.log.events()) == events
    seen: list[RestoredRelation] = []
    result = restore(cd, plan, seal=plan.seal, reason="wrong numbers", on_progress=seen.append)
    assert sorted(r.name for r in seen) == sorted(i.name for i in plan.items)
    assert [(e.kind, e.actor) for e in cd.log.events()[events:]] == [
        ("restore_planned", "somebody"),
        ("restored_relation", "somebody"),
        ("restored_relation", "somebody"),
        ("rolled_back", "somebody"),
    ]
    assert cd.log.last(release, RestorePlan) == replace(plan, reason="wrong numbers")
    assert cd.log.last(release, RestoreResult) == result
    assert (cd.log.state(release).phase, cd.log.state(release).reason) == ("rolled_back", "wrong numbers")
    assert [c.user_metadata for c in tables.table(A).commits] == [None, None, f"dbx_cd restore {release.id}"]


def test_a_seal_that_is_not_the_plan_s_changes_nothing(releases: Releases) -> None:
    release = written(releases, "a")
    plan = plan_restore(releases.cd(), release)
    with pytest.raises(RestoreRefused, match="the seal is not this plan's"):
        restore(releases.cd(), plan, seal="0" * 64)
    assert releases.tables.rows(A) == [1, 9]
    assert releases.cd().log.last(release, RestorePlan) is None


def test_a_release_without_a_restore_point_cannot_be_undone(releases: Releases) -> None:
    with pytest.raises(RestoreRefused, match="has no restore point"):
        plan_restore(releases.cd(), releases.open())


def test_write_between_plan_and_restore_is_refused_and_kept(releases: Releases) -> None:
    release, cd = written(releases, "a"), releases.cd()
    plan = plan_restore(cd, release)
    releases.tables.insert(A, 5)
    with pytest.raises(RestoreRefused, match="changed since the plan"):
        restore(cd, plan, seal=plan.seal, discard_later_writes=True)
    plan = plan_restore(cd, release)
    with pytest.raises(RestoreRefused, match="others wrote after the release"):
        restore(cd, plan, seal=plan.seal)
    assert releases.tables.rows(A) == [1, 5, 9]
    assert restore(cd, plan, seal=plan.seal, discard_later_writes=True).discarded_later_writes
    assert releases.tables.rows(A) == [1]


def test_maintenance_between_plan_and_restore_is_no_reason_to_refuse(releases: Releases) -> None:
    release, cd = written(releases, "a"), releases.cd()
    plan = plan_restore(cd, release)
    releases.tables.optimize(A)
    assert plan_restore(cd, release).seal == plan.seal
    assert restore(cd, plan, seal=plan.seal).ok
    assert releases.tables.rows(A) == [1]


def test_a_plan_for_a_table_that_was_made_anew_is_refused(releases: Releases) -> None:
    release, cd = written(releases, "a"), releases.cd()
    plan = plan_restore(cd, release)
    releases.tables.drop(A, kind="table")
    releases.tables.create(A, 5)
    releases.tables.insert(A, 6)
    with pytest.raises(RestoreRefused, match="changed since the plan"):
        restore(cd, plan, seal=plan.seal, discard_later_writes=True)
    assert releases.tables.rows(A) == [5, 6]


class Undated(MemoryTables):
    """The catalog does not say when a table was created."""

    def entries(self, relations: Sequence[RelationName]) -> dict[str, CatalogEntry]:
        return {k: replace(e, created=None) for k, e in super().entries(relations).items()}


@pytest.mark.parametrize("tables", [MemoryTables, Undated], ids=["dated", "undated"])
def test_a_table_made_anew_with_the_version_of_a_fresh_plan_is_not_restored_as_planned(
    tmp_path: Path, tables: type[MemoryTables]
) -> None:
    releases = Releases(tmp_path, tables=tables())
    release, cd = written(releases, "a"), releases.cd()
    plan = plan_restore(cd, release)
    assert [(i.action, i.from_version) for i in plan.items] == [("restore", 1)]
    releases.tables.drop(A, kind="table")
    releases.tables.create(A, 5)
    releases.tables.insert(A, 6)
    assert releases.tables.is_newest(A, 1)
    with pytest.raises(RestoreRefused, match="changed since the plan"):
        restore(cd, plan, seal=plan.seal)
    assert (releases.tables.rows(A), restores(releases, A)) == ([5, 6], 0)


def test_vacuumed_files_block_the_plan_before_anything_is_changed(releases: Releases) -> None:
    tables = releases.tables
    tables.create(A, 1)
    release = written(releases, "b", run_id="0")
    release = releases.changed(["a", "b"], lambda: [tables.create(A, 2), tables.insert(B, 8)])
    tables.vacuum(A)
    plan = plan_restore(releases.cd(), release)
    assert [(i.name, i.action) for i in plan.blocked] == [(str(A), "rebuild")]
    with pytest.raises(RestoreRefused, match=r"cannot be brought back: prod\.shop\.a \(version 0 cannot be read"):
        restore(releases.cd(), plan, seal=plan.seal)
    assert restores(releases, B) == 0
    plan = plan_restore(releases.cd(), release, skip=["a"])
    assert restore(releases.cd(), plan, seal=plan.seal).ok
    assert (tables.rows(A), tables.rows(B)) == ([2], [1, 9])


# Selection


def test_selection_restores_only_what_is_named_and_leaves_the_release_open(releases: Releases) -> None:
    release, cd = written(releases, "orders", "lines"), releases.cd()
    with pytest.raises(RestoreRefused, match="name one of: orders"):
        plan_restore(cd, release, only=["ordres"])
    with pytest.raises(RestoreRefused, match="is not among the relations to bring back"):
        plan_restore(cd, release, skip=["elsewhere.lines"])
    plan = plan_restore(cd, release, only=["`shop`.Orders"])
    assert plan.seal != plan_restore(cd, release).seal
    result = restore(cd, plan, seal=plan.seal)
    assert not result.complete
    assert cd.log.state(release).phase != "rolled_back"
    assert releases.tables.rows(relation("prod", "orders")) == [1]
    assert releases.tables.rows(relation("prod", "lines")) == [1, 9]
    rest = plan_restore(cd, release, skip=["orders"])
    assert [i.name for i in rest.items] == ["prod.shop.lines"]


@pytest.mark.parametrize(("new_tables", "action", "is_there"), [("keep", "keep", True), ("drop", "drop", False)])
def test_what_the_release_created_is_kept_or_dropped_as_asked(
    releases: Releases, new_tables: str, action: str, is_there: bool
) -> None:
    tables = releases.tables
    release = releases.changed(["new", "v"], lambda: [tables.create(NEW, 1), tables.view(V, NEW)])
    plan = plan_restore(releases.cd(), release, new_tables=new_tables)  # type: ignore[arg-type]
    order = [V, NEW] if action == "drop" else [NEW, V]
    assert [(i.name, i.action) for i in plan.items] == [(str(name), action) for name in order]
    result = restore(releases.cd(), plan, seal=plan.seal)
    assert result.complete
    assert [NEW.key in tables.relations, V.key in tables.relations] == [is_there, is_there]


def test_views_are_made_again_after_the_views_they_read(releases: Releases) -> None:
    tables, top = releases.tables, relation("prod", "a_top")
    tables.create(A, 1, columns=("id", "more"))
    tables.view(V, A)
    tables.view(top, V)

    def change() -> None:
        tables.view(V, A, column="more")
        tables.view(top, V, column="more")

    release = releases.changed(["a_top", "v", "a"], change)
    plan = plan_restore(releases.cd(), release)
    assert [i.name for i in plan.items] == [str(A), str(V), str(top)]
    result = restore(releases.cd(), plan, seal=plan.seal)
    assert [r.proof for r in result.relations[1:]] == [
        "text, how it is read, columns, comment and properties are the recorded ones, and it answers"
    ] * 2
    tables.read_one(top)


def view_read_in(tables: MemoryTables, *, namespace: Sequence[str], column: str = "id") -> None:
    """CREATE OR REPLACE VIEW in a session whose schema this is."""
    text, columns = f"SELECT {column} FROM {A.quoted}", (Column(column, "bigint"),)
    tables.create_view(
        V, text=text, columns=columns, comment=None, properties={}, reading=ViewReading(tuple(namespace))
    )


def test_a_view_of_the_same_text_that_is_read_in_another_schema_is_made_again(releases: Releases) -> None:
    tables, cd = releases.tables, releases.cd()
    tables.create(A, 1)
    view_read_in(tables, namespace=("prod", "shop"))
    release = releases.changed(["v"], lambda: view_read_in(tables, namespace=("prod", "other")))
    plan = plan_restore(cd, release)
    assert [i.action for i in plan.items] == ["recreate_view"]
    restore(cd, plan, seal=plan.seal)
    assert tables.view_reading(V).namespace == ("prod", "shop")


class ReadInTheSession(MemoryTables):
    """The view that a restore makes is read in the session's schema, whatever schema is asked for."""

    def signed(self, user_metadata: str) -> MemoryTables:
        class Signed(MemoryTables):
            def create_view(self, view: RelationName, **made: object) -> None:  # type: ignore[override]
                super().create_view(view, **{**made, "reading": UNKNOWN_READING})  # type: ignore[arg-type]

        signed = Signed()
        signed.relations = self.relations
        return signed


def test_a_view_that_was_made_again_in_another_schema_is_found(tmp_path: Path) -> None:
    tables = ReadInTheSession()
    releases = Releases(tmp_path, tables=tables)
    tables.create(A, 1, columns=("id", "more"))
    view_read_in(tables, namespace=("prod", "shop"))
    release = releases.changed(["v"], lambda: view_read_in(tables, namespace=("prod", "shop"), column="more"))
    plan = plan_restore(releases.cd(), release)
    with pytest.raises(RestoreFailed, match="the view's definition is not the recorded one"):
        restore(releases.cd(), plan, seal=plan.seal)


def test_tables_go_back_to_a_time_and_views_do_not(releases: Releases) -> None:
    tables = releases.tables
    tables.create(A, 1, columns=("id", "more"))
    tables.view(V, A)
    tables.insert(A, 9)
    moment = tables.table(A).commits[1].at
    tables.insert(A, 10)
    release = releases.changed(["a", "v"], lambda: [tables.insert(A, 11), tables.view(V, A, column="more")])
    cd = releases.cd()
    plan = plan_restore(cd, release, to=moment.replace(tzinfo=None))
    assert plan.to == moment, "a time without a zone is UTC"
    table, view = plan.items
    assert (table.to_version, len(table.later_writes)) == (1, 1)
    assert (view.action, view.reason) == (
        "keep",
        "a view has no history: only a release's restore point holds its text",
    )
    result = restore(cd, plan, seal=plan.seal, discard_later_writes=True)
    assert not result.complete
    assert tables.rows(A) == [1, 9]
    (blocked,) = plan_restore(cd, release, to=datetime(2000, 1, 1, tzinfo=UTC)).blocked
    assert "does not reach back" in blocked.reason


# Repaired and killed builds


def test_repaired_build_is_undone_to_before_its_first_attempt(releases: Releases) -> None:
    written(releases, "a")
    release = written(releases, "a")
    plan = plan_restore(releases.cd(), release)
    assert not plan.later_writes, "both attempts are the release's own"
    restore(releases.cd(), plan, seal=plan.seal)
    assert releases.tables.rows(A) == [1]


def test_write_between_two_attempts_is_not_the_release_s_own(releases: Releases) -> None:
    written(releases, "a")
    releases.tables.insert(A, 5)
    release = written(releases, "a")
    assert [len(i.later_writes) for i in plan_restore(releases.cd(), release).items] == [1]


def test_after_a_killed_build_a_person_has_to_say_whose_writes_they_are(releases: Releases) -> None:
    releases.tables.create(A, 1)
    release, cd = releases.open(), releases.cd()
    cd.log.append(release, Deploying("prod"))
    capture_restore_point(cd, release, [A])
    releases.tables.insert(A, 9)
    plan = plan_restore(cd, release)
    assert "not recorded" in plan.items[0].later_writes[0]
    with pytest.raises(RestoreRefused, match="still deploying to prod, or its run was killed"):
        restore(cd, plan, seal=plan.seal)
    assert cd.log.last(release, VersionsAfter) is None
    assert restore(cd, plan, seal=plan.seal, discard_later_writes=True).ok
    assert releases.tables.rows(A) == [1]


# Who excludes whom


def test_restore_is_refused_while_another_release_deploys(releases: Releases) -> None:
    release, cd = written(releases, "a"), releases.cd()
    plan = plan_restore(cd, release)
    other = releases.open("other")
    cd.log.append(other, Deploying("prod"))
    with pytest.raises(RestoreRefused, match="is deploying to prod"):
        restore(cd, plan, seal=plan.seal, discard_later_writes=True)
    cd.log.append(other, Failed("prod", "stopped"))
    assert restore(cd, plan, seal=plan.seal).ok


def test_restore_and_deploy_that_begin_at_the_same_time_do_not_both_go_on(releases: Releases) -> None:
    release, cd = written(releases, "a"), releases.cd()
    plan = plan_restore(cd, release)
    other = releases.open("other")
    just_before(releases, RestorePlan.KIND, lambda: cd.log.append(other, Deploying("prod")))
    with pytest.raises(RestoreRefused, match="is deploying to prod"):
        restore(cd, plan, seal=plan.seal)
    assert restores(releases, A) == 0
    assert unfinished(cd.log.events()) == {}, "it has stepped back, and holds up nobody"
    withdrawn = cd.log.last(release, RestoreResult)
    assert withdrawn is not None
    assert (withdrawn.withdrawn, withdrawn.complete) == (True, False)
    assert cd.log.state(release).deployed_to == ("prod",)


def test_a_deploy_that_begins_while_a_restore_runs_steps_back_and_a_second_restore_does_not(releases: Releases) -> None:
    release, cd = written(releases, "a", "b"), releases.cd()
    cd.log.append(release, plan_restore(cd, release))  # runs, in another process
    other, second = releases.open("other"), plan_restore(cd, release, only=["a"])
    just_before(releases, RestorePlan.KIND, lambda: cd.log.append(other, Deploying("prod")))  # and was killed
    restore(cd, second, seal=second.seal)
    assert list(unfinished(cd.log.events())) == [release.id]
    cd.log.append(other, Failed("prod", "stopped"))
    with pytest.raises(ReleaseError, match=f"release {release.id} is being rolled back"):
        claim(cd, other, target="prod")


def test_two_restores_that_are_killed_as_they_begin_do_not_block_each_other(releases: Releases) -> None:
    older, newer = written(releases, "a"), written(releases, "b", run_id="2")
    cd = releases.cd()
    first, second = plan_restore(cd, older), plan_restore(cd, newer)
    cd.log.append(older, first)
    cd.log.append(newer, second)
    with pytest.raises(RestoreRefused, match=f"release {older.id} is being restored"):
        restore(cd, second, seal=second.seal)
    assert restore(cd, first, seal=first.seal).complete
    assert restore(cd, second, seal=second.seal).complete


def test_a_restore_goes_on_although_a_later_claim_was_killed_as_it_began(releases: Releases) -> None:
    release, cd = written(releases, "a"), releases.cd()
    plan, other = plan_restore(cd, release), releases.open("other")
    cd.log.append(release, plan)
    cd.log.append(other, Deploying("prod"))
    assert restore(cd, plan, seal=plan.seal).complete
    nothing = plan_restore(cd, other)
    assert restore(cd, nothing, seal=nothing.seal, discard_later_writes=True).complete
    assert cd.log.read(other).state.deploying_to is None


def test_a_deploy_goes_on_although_a_later_restore_was_killed_as_it_began(releases: Releases) -> None:
    release, cd = written(releases, "a"), releases.cd()
    other, plan = releases.open("other"), plan_restore(cd, release)
    cd.log.append(other, Deploying("prod"))
    cd.log.append(release, plan)
    claim(cd, other, target="prod")
    own = plan_restore(cd, other)
    cd.log.append(other, own)
    with pytest.raises(ReleaseError, match=f"release {other.id} is being rolled back"):
        claim(cd, other, target="prod")


def test_a_killed_deploy_claims_again_before_a_later_claim_that_was_killed_as_it_began(releases: Releases) -> None:
    first, cd = releases.open("1"), releases.cd()
    cd.log.append(first, Deploying("prod"))
    second = releases.open("2")
    cd.log.append(second, Deploying("prod"))
    claim(cd, first, target="prod")
    with pytest.raises(ReleaseError, match=f"{first.id}.* is deploying to prod"):
        claim(cd, second, target="prod")


def test_a_restore_of_one_table_that_ends_does_not_let_a_deploy_in_while_that_of_another_runs(
    releases: Releases,
) -> None:
    release, cd = written(releases, "a", "b"), releases.cd()
    running = plan_restore(cd, release, only=["a"])
    cd.log.append(release, running)  # in another process
    second = plan_restore(cd, release, only=["b"])
    restore(cd, second, seal=second.seal)
    assert unfinished(cd.log.events()) == {release.id: [running.seal]}
    with pytest.raises(ReleaseError, match=f"release {release.id} is being rolled back"):
        claim(cd, releases.open("other"), target="prod")
    restore(cd, running, seal=running.seal)
    assert unfinished(cd.log.events()) == {}
    assert len(cd.log.all(release, RestorePlan)) == 2, "it went on, and began no new one"


def test_a_killed_restore_ends_by_one_without_what_cannot_be_brought_back(releases: Releases) -> None:
    release, cd = written(releases, "a", "b"), releases.cd()
    cd.log.append(release, plan_restore(cd, release))  # killed at once
    releases.tables.optimize(A)
    releases.tables.vacuum(A)
    whole = plan_restore(cd, release)
    with pytest.raises(RestoreRefused, match="leave them out with skip="):
        restore(cd, whole, seal=whole.seal)
    rest = plan_restore(cd, release, skip=[i.name for i in whole.blocked])
    assert f"; left out: {A}; seal" in str(rest)
    assert not restore(cd, rest, seal=rest.seal).complete
    assert unfinished(cd.log.events()) == {}
    assert cd.log.state(release).of("prod").is_partly_rolled_back
    claim(cd, releases.open("other"), target="prod")


def test_a_killed_restore_of_one_table_that_is_lost_ends_by_leaving_it_out(releases: Releases) -> None:
    release, cd = written(releases, "a", "b"), releases.cd()
    cd.log.append(release, plan_restore(cd, release, only=["a"]))
    releases.tables.optimize(A)
    releases.tables.vacuum(A)
    assert plan_restore(cd, release, only=["a"]).blocked
    nothing = plan_restore(cd, release, only=["a"], skip=["a"])
    assert (nothing.items, nothing.only, nothing.skip) == ((), (str(A),), (str(A),))
    result = restore(cd, nothing, seal=nothing.seal)
    assert (result.complete, result.relations, unfinished(cd.log.events())) == (False, (), {})
    assert cd.log.state(release).phase != "rolled_back"


def test_a_killed_deploy_of_which_one_table_is_lost_is_over_when_the_rest_is_back(releases: Releases) -> None:
    releases.tables.create(A, 1)
    releases.tables.create(B, 1)
    release, cd = releases.open(), releases.cd()
    cd.log.append(release, Deploying("prod"))
    capture_restore_point(cd, release, [A, B])
    for name in (A, B):
        releases.tables.insert(name, 9)  # and killed
    releases.tables.optimize(A)
    releases.tables.vacuum(A)

    some = plan_restore(cd, release, only=["b"])
    restore(cd, some, seal=some.seal, discard_later_writes=True)
    assert cd.log.state(release).phase == "deploying", "nobody has said anything of the other table"
    rest = plan_restore(cd, release, skip=["a"])
    restore(cd, rest, seal=rest.seal, reason="a is lost", discard_later_writes=True)
    state = cd.log.state(release).of("prod")
    assert (state.phase, state.reason, state.is_partly_rolled_back) == ("failed", "a is lost", True)
    claim(cd, releases.open("other"), target="prod")


def test_a_restore_that_brings_nothing_back_leaves_the_release_as_good_as_it_was(releases: Releases) -> None:
    releases.tables.create(A, 1)
    releases.tables.create(B, 1)
    release, cd = releases.changed(["a", "b"], lambda: releases.tables.insert(B, 9)), releases.cd()
    plan = plan_restore(cd, release, only=["a"])
    assert not restore(cd, plan, seal=plan.seal).brought_back
    assert cd.log.last_good("prod") == release
    assert str(cd.log.history()).endswith(" ci")
    plan = plan_restore(cd, release, only=["b"])
    restore(cd, plan, seal=plan.seal)
    assert str(cd.log.history()).endswith(" ci  rolled back in part: prod")
    assert "rolled back in part: prod" in cd.log.history().to_html()
    with pytest.raises(ReleaseError, match="no release is deployed"):
        cd.log.last_good("prod")


def test_a_release_whose_restore_was_killed_after_a_table_is_not_good(releases: Releases) -> None:
    release, cd = written(releases, "a", "b"), releases.cd()
    plan = plan_restore(cd, release)
    killed(releases, plan, 1, after=True)
    with pytest.raises(ReleaseError, match="no release is deployed"):
        cd.log.last_good("prod")


@pytest.mark.parametrize("again", ["same plan", "new plan"])
def test_what_a_killed_restore_did_and_could_not_say_counts(releases: Releases, again: str) -> None:
    release, cd = written(releases, "a", "b"), releases.cd()
    plan = plan_restore(cd, release, only=["a"])
    killed(releases, plan, 1, after=False)
    plan = plan if again == "same plan" else plan_restore(cd, release, only=["a"])
    restore(cd, plan, seal=plan.seal)
    with pytest.raises(ReleaseError, match="no release is deployed"):
        cd.log.last_good("prod")


def test_a_newer_release_whose_writes_a_killed_restore_erased_is_not_good(releases: Releases) -> None:
    older, newer = written(releases, "a"), written(releases, "a", run_id="2")
    cd = releases.cd()
    plan = plan_restore(cd, older)
    killed(releases, plan, 1, after=False, discard=True)
    plan = plan_restore(cd, older)
    assert not plan.later_writes, "nothing is left of them"
    restore(cd, plan, seal=plan.seal)
    assert cd.log.state(newer).of("prod").is_partly_rolled_back


def test_a_newer_release_whose_writes_a_killed_restore_erased_is_not_good_although_they_are_left_out_then(
    releases: Releases,
) -> None:
    older, newer = written(releases, "a", "b"), written(releases, "a", run_id="2")
    unrelated, cd = written(releases, "c", run_id="3"), releases.cd()
    plan = plan_restore(cd, older)
    killed(releases, plan, 1, after=False, discard=True)
    rest = plan_restore(cd, older, skip=["a"])
    restore(cd, rest, seal=rest.seal)
    assert releases.tables.rows(A) == [1]
    assert cd.log.state(newer).of("prod").is_partly_rolled_back
    assert not cd.log.state(unrelated).of("prod").is_partly_rolled_back


def test_a_restore_that_is_killed_at_its_end_has_said_what_it_erased(releases: Releases) -> None:
    older, newer = written(releases, "a"), written(releases, "a", run_id="2")
    cd = releases.cd()
    plan = plan_restore(cd, older)
    killed(releases, plan, 3, after=False, discard=True)
    assert cd.log.state(newer).of("prod").is_partly_rolled_back


def test_a_restore_of_one_table_says_nothing_of_a_killed_one_of_another(releases: Releases) -> None:
    releases.tables.create(A, 1)
    releases.tables.create(B, 1)
    release, cd = releases.changed(["a", "b"], lambda: releases.tables.insert(B, 9)), releases.cd()
    cd.log.append(release, plan_restore(cd, release, only=["b"]))  # and killed
    plan = plan_restore(cd, release, only=["a"])
    assert not restore(cd, plan, seal=plan.seal).brought_back


def test_a_killed_restore_of_an_earlier_wheel_counts_whatever_its_seal_was_of(releases: Releases) -> None:
    release, cd = written(releases, "a", "b"), releases.cd()
    plan = plan_restore(cd, release, only=["a"])

    def sealed_otherwise(rows: Sequence[LogRow]) -> None:
        payload = json.loads(rows[0].payload or "{}") | {"seal": "0" * 64}
        releases.log_table.before_append = lambda _rows: None
        releases.log_table.append([replace(rows[0], payload=json.dumps(payload))])
        raise Killed

    releases.log_table.before_append = sealed_otherwise
    with pytest.raises(Killed):
        cd.log.append(release, plan)
    releases.tables.restore(A, 0)  # and killed
    again = plan_restore(cd, release, only=["a"])
    assert restore(cd, again, seal=again.seal).brought_back


def test_a_failed_restore_of_a_killed_deploy_does_not_give_the_target_back(releases: Releases) -> None:
    tables, cd = releases.tables, releases.cd()
    tables.create(A, 1)
    tables.create(B, 1)
    tables.view(V, B)
    release = releases.open()
    cd.log.append(release, Deploying("prod"))
    capture_restore_point(cd, release, [A, V])
    tables.insert(A, 9)
    tables.view(V, B, column="more")
    tables.drop(B, kind="table")  # and killed
    plan = plan_restore(cd, release)
    with pytest.raises(RestoreFailed):
        restore(cd, plan, seal=plan.seal, discard_later_writes=True)
    assert cd.log.state(release).phase == "deploying"


def test_a_deploy_that_was_killed_before_its_restore_point_is_given_back_whatever_time_is_named(
    releases: Releases,
) -> None:
    release, cd = releases.open(), releases.cd()
    cd.log.append(release, Deploying("prod"))
    plan = plan_restore(cd, release, to=datetime.now(UTC))
    with pytest.raises(RestoreRefused, match="there is nothing to bring back"):
        plan_restore(cd, release, only=["a"])
    restore(cd, plan, seal=plan.seal, discard_later_writes=True)
    assert cd.log.state(release).phase == "failed"
    claim(cd, releases.open("other"), target="prod")


def _ends_when(releases: Releases, plan: RestorePlan, moment: str) -> None:
    """A restore in another process ends right after the next claim, or after the next look at the log then."""
    cd, table = releases.cd(), releases.log_table

    def end() -> None:
        lives(releases)
        table.after_read = lambda: None
        restore(cd, plan, seal=plan.seal, discard_later_writes=True)

    def claimed(rows: Sequence[LogRow]) -> None:
        if rows[0].kind == "deploying" and moment == "claim":
            end()
        elif rows[0].kind == "deploying":
            table.after_read = end

    table.after_append = claimed


def test_a_deploy_does_not_go_on_when_a_restore_ends_between_its_claim_and_its_look(releases: Releases) -> None:
    releases.model("customers")
    release, cd = releases.deployed(), releases.cd()
    plan = plan_restore(cd, release, skip=["customers"], new_tables="drop")
    cd.log.append(release, plan)
    _ends_when(releases, plan, "claim")
    with pytest.raises(ReleaseError, match="was brought back in part while it claimed prod"):
        build_release(cd, release, target="prod")
    assert relation("prod", "orders").key not in releases.tables.relations


def test_a_claim_that_steps_back_for_a_restore_leaves_what_that_brought_back(releases: Releases) -> None:
    release, cd = releases.deployed(), releases.cd()
    plan = plan_restore(cd, release, only=["orders"], new_tables="drop")
    cd.log.append(release, plan)
    _ends_when(releases, plan, "look")
    with pytest.raises(ReleaseError, match="is being rolled back"):
        build_release(cd, release, target="prod")
    assert cd.log.state(release).partly_rolled_back == ("prod",)
    with pytest.raises(ReleaseError, match="no release is deployed"):
        cd.log.last_good("prod")


def test_the_reason_of_a_killed_restore_is_its_own(releases: Releases) -> None:
    release, cd = written(releases, "a", "b"), releases.cd()
    first, second = plan_restore(cd, release, only=["a"]), plan_restore(cd, release, only=["b"])
    cd.log.append(release, replace(first, reason="a is wrong"))  # and killed
    cd.log.append(release, replace(second, reason="b is wrong"))  # and killed
    assert restore(cd, first, seal=first.seal).reason == "a is wrong"


def test_what_is_left_out_is_of_what_the_plan_is_about_and_stays_out(releases: Releases) -> None:
    release, cd = written(releases, "a", "b", "c"), releases.cd()
    with pytest.raises(RestoreRefused, match="`skip` names 'c', which is not among the relations to bring back"):
        plan_restore(cd, release, only=["a", "b"], skip=["c"])
    plan = plan_restore(cd, release, only=["a", "b"], skip=["b"])
    restore(cd, plan, seal=plan.seal)
    assert [releases.tables.rows(relation("prod", name)) for name in "abc"] == [[1], [1, 9], [1, 9]]


def test_a_second_restore_that_was_killed_at_its_end_is_finished_by_the_next(releases: Releases) -> None:
    release, cd = written(releases, "a"), releases.cd()
    plan = plan_restore(cd, release)
    restore(cd, plan, seal=plan.seal)
    again = plan_restore(cd, release)
    cd.log.append(release, again)  # and killed after its last relation
    restore(cd, again, seal=again.seal)
    assert unfinished(cd.log.events()) == {}


def test_a_plan_of_before_a_deploy_went_on_is_refused(releases: Releases) -> None:
    releases.tables.create(A, 1)
    release, cd = releases.open(), releases.cd()
    cd.log.append(release, Deploying("prod"))
    nothing = plan_restore(cd, release)  # it has changed nothing yet
    point = capture_restore_point(cd, release, [A])
    releases.tables.insert(A, 9)
    record_versions_after(cd, release, point)
    with pytest.raises(RestoreRefused, match=f"changed since the plan: {A}"):
        restore(cd, nothing, seal=nothing.seal, discard_later_writes=True)
    assert cd.log.state(release).phase == "deploying"


def test_plans_that_are_about_other_relations_have_other_seals(releases: Releases) -> None:
    release, cd = written(releases, "a", "b"), releases.cd()
    plans = [plan_restore(cd, release, only=only, skip=skip) for only, skip in ((None, ["b"]), (["a"], []), (None, []))]
    plans.append(plan_restore(cd, release, only=["a", "b"]))
    assert len({plan.seal for plan in plans}) == 4


def test_two_restores_that_begin_at_the_same_time_do_not_both_go_on(releases: Releases) -> None:
    older, newer = written(releases, "a"), written(releases, "b", run_id="2")
    cd = releases.cd()
    plan, other = plan_restore(cd, older), plan_restore(cd, newer)
    just_before(releases, RestorePlan.KIND, lambda: cd.log.append(newer, other))
    with pytest.raises(RestoreRefused, match=f"release {newer.id} is being restored"):
        restore(cd, plan, seal=plan.seal)
    assert restores(releases, A) == 0
    assert list(unfinished(cd.log.events())) == [newer.id]


def test_restore_that_was_killed_comes_before_the_restore_of_another_release(releases: Releases) -> None:
    older, newer = written(releases, "a"), written(releases, "a", run_id="2")
    cd = releases.cd()
    begun = plan_restore(cd, newer)
    cd.log.append(newer, begun)  # all that a restore killed at its first step leaves
    plan = plan_restore(cd, older)
    with pytest.raises(RestoreRefused, match="is being restored, or its restore was killed"):
        restore(cd, plan, seal=plan.seal, discard_later_writes=True)
    restore(cd, begun, seal=begun.seal)
    plan = plan_restore(cd, older)
    assert not plan.later_writes, "the newer release is undone, so its writes are gone"
    restore(cd, plan, seal=plan.seal)
    assert releases.tables.rows(A) == [1]


def test_write_while_a_restore_begins_is_not_lost(releases: Releases) -> None:
    release, cd = written(releases, "a"), releases.cd()
    plan = plan_restore(cd, release)
    just_before(releases, RestorePlan.KIND, lambda: releases.tables.insert(A, 5))
    with pytest.raises(RestoreFailed, match="somebody wrote to it just now: version 2"):
        restore(cd, plan, seal=plan.seal, discard_later_writes=True)
    assert releases.tables.rows(A) == [1, 5, 9]


# Going on where it was


def test_restoring_again_changes_nothing(releases: Releases) -> None:
    release, cd = written(releases, "a"), releases.cd()
    first = plan_restore(cd, release)
    result = restore(cd, first, seal=first.seal)
    events = len(cd.log.events())
    assert restore(cd, first, seal=first.seal) == result
    again = plan_restore(cd, release)
    assert [i.action for i in again.items] == ["none"]
    assert restore(cd, again, seal=again.seal) == result
    assert (restores(releases, A), len(cd.log.events())) == (1, events)


class Killed(BaseException):
    """Stands for SIGKILL: nothing in the library may catch it."""


def dies_at(releases: Releases, step: int, *, after: bool) -> None:
    """Kill whoever appends the step-th event from now, before or after that event is in the log."""
    seen = 0

    def watch(rows: Sequence[LogRow]) -> None:
        nonlocal seen
        seen += len(rows)
        if seen > step:
            raise Killed

    setattr(releases.log_table, "after_append" if after else "before_append", watch)


def lives(releases: Releases) -> None:
    for hook in ("before_append", "after_append"):
        setattr(releases.log_table, hook, lambda _rows: None)


def killed(releases: Releases, plan: RestorePlan, step: int, *, after: bool, discard: bool = False) -> None:
    """A restore that is killed at one of its events."""
    dies_at(releases, step, after=after)
    with pytest.raises(Killed):
        restore(releases.cd(), plan, seal=plan.seal, discard_later_writes=discard, threads=1)
    lives(releases)


@pytest.mark.parametrize("again", ["same plan", "new plan"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", range(6))
def test_killed_between_any_two_events_a_restore_goes_on_where_it_was(
    releases: Releases, step: int, after: bool, again: str
) -> None:
    tables, cd = releases.tables, releases.cd()
    for name in (A, B):
        tables.create(name, 1)
    tables.view(V, A)

    def change() -> None:
        for name in (A, B):
            tables.create(name, 2, columns=("other",))
        tables.view(V, A, column="other")
        tables.create(NEW, 1)

    release = releases.changed(["a", "b", "v", "new"], change)
    tables.set_properties(A, LONGER)
    plan = plan_restore(cd, release, new_tables="drop")
    dies_at(releases, step, after=after)
    with pytest.raises(Killed):
        restore(cd, plan, seal=plan.seal, threads=1)
    begun, ended = step > 0 or after, step == 5 and after
    assert list(unfinished(cd.log.events())) == ([release.id] if begun and not ended else [])
    lives(releases)
    if again == "new plan":
        plan = plan_restore(cd, release, new_tables="drop")
    result = restore(cd, plan, seal=plan.seal)
    assert (result.ok, result.complete) == (True, True)
    assert (tables.rows(A), tables.rows(B), NEW.key in tables.relations) == ([1], [1], False)
    assert [restores(releases, name) for name in (A, B)] == [1, 1]
    assert tables.properties(A) == LONGER
    tables.read_one(V)
    assert cd.log.state(release).phase == "rolled_back"
    assert unfinished(cd.log.events()) == {}
    if again == "same plan":
        proofs = {r.name: r.proof for r in result.relations}
        assert ["those of version 0" in proofs[str(name)] for name in (A, B)] == [True, True]


def test_killed_when_it_had_moved_a_table_out_of_a_view_s_way_a_restore_goes_on(releases: Releases) -> None:
    tables, cd = releases.tables, releases.cd()
    tables.create(A, 1)
    tables.view(V, A)
    release = releases.changed(["v"], lambda: [tables.drop(V, kind="view"), tables.create(V, 2)])
    plan = plan_restore(cd, release)
    tables.rename(V, relation("prod", "aside"), kind="table")
    assert restore(cd, plan, seal=plan.seal).complete
    tables.read_one(V)
    assert tables.rows(relation("prod", "aside")) == [2]


def test_killed_between_restore_and_the_kept_property_it_is_set_by_the_next_attempt(releases: Releases) -> None:
    release, cd = written(releases, "a"), releases.cd()
    releases.tables.set_properties(A, LONGER)
    plan = plan_restore(cd, release)
    cd.log.append(release, plan)
    releases.tables.restore(A, 0)
    assert releases.tables.properties(A) == {}
    result = restore(cd, plan_restore(cd, release), seal=plan_restore(cd, release).seal)
    assert result.complete
    assert releases.tables.properties(A) == LONGER
    assert restores(releases, A) == 1


def test_a_statement_that_outlives_its_killed_client_is_not_run_twice(releases: Releases) -> None:
    release, cd = written(releases, "a"), releases.cd()
    plan = plan_restore(cd, release)
    just_before(releases, RestorePlan.KIND, lambda: releases.tables.restore(A, 0))
    assert restore(cd, plan, seal=plan.seal).ok
    assert restores(releases, A) == 1


def test_relation_that_fails_is_named_and_the_others_are_done(releases: Releases) -> None:
    tables, cd = releases.tables, releases.cd()
    for name in (A, B):
        tables.create(name, 1, columns=("id", "more"))
    tables.view(V, B)
    release = releases.changed(["a", "v"], lambda: [tables.insert(A, 9), tables.view(V, B, column="more")])
    tables.drop(B, kind="table")  # not part of the release, so the plan cannot know
    plan = plan_restore(cd, release)
    with pytest.raises(RestoreFailed, match="1 of 2 relations are not restored") as failure:
        restore(cd, plan, seal=plan.seal)
    result = failure.value.result
    assert isinstance(result, RestoreResult)
    assert [r.name for r in result.failed] == [str(V)]
    assert not result.complete
    assert tables.rows(A) == [1]
    tables.create(B, 1)
    assert restore(cd, plan, seal=plan.seal).complete
    assert [r.name for r in cd.log.all(release, RestoredRelation)] == [str(A), str(V)]
    assert restores(releases, A) == 1


def test_what_a_person_should_see_is_logged_as_a_warning(releases: Releases, caplog: pytest.LogCaptureFixture) -> None:
    tables, cd = releases.tables, releases.cd()
    tables.create(A, 1)
    tables.view(V, A)
    release = releases.changed(["a", "v"], lambda: [tables.drop(V, kind="view"), tables.create(V, 2)])
    tables.insert(V, 3)
    tables.drop(A, kind="table")
    plan = plan_restore(cd, release, skip=["a"])
    with caplog.at_level("INFO", logger="dbx_cd.rollback"), pytest.raises(RestoreFailed):
        restore(cd, plan, seal=plan.seal, discard_later_writes=True)
    warned = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    assert warned[0].startswith("prod.shop.v: erasing what others wrote: version 1")
    assert warned[1].startswith("the table in the place of prod.shop.v is prod.shop.v__rolled_back_")
    assert warned[2].startswith("prod.shop.v: recreate_view, FAILED: ")
    assert f"{release}: restoring 1 of 1 relations" in caplog.text


class OtherThanAsked(MemoryTables):
    """Tables whose RESTORE makes something else of them."""

    def __init__(self, **other: object) -> None:
        super().__init__()
        self.other = other

    def signed(self, user_metadata: str) -> MemoryTables:
        return self

    def restore(self, table: RelationName, version: int) -> None:
        super().restore(table, version)
        contents = self.table(table).contents
        contents[-1] = replace(contents[-1], **self.other)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("other", "what"),
    [
        ({"files": {-1: (1,)}}, "its files are not those of version 0"),
        ({"columns": (Column("other", "bigint"),)}, "its schema is not that of version 0"),
        ({"properties": {"a": "b"}}, "property a is 'b', was not there"),
        ({"partitioned_by": ("id",)}, "partitioned by id, was by nothing"),
        ({"clustered_by": ("id",)}, "clustered by id, was by nothing"),
        ({"comment": "other"}, "comment is 'other', was ''"),
    ],
    ids=["files", "schema", "properties", "partitions", "clustering", "comment"],
)
def test_a_restore_that_did_not_do_what_it_was_to_do_is_found(
    tmp_path: Path, other: dict[str, object], what: str
) -> None:
    assert set(other) <= set(Content.__dataclass_fields__)
    releases = Releases(tmp_path, tables=OtherThanAsked(**other))
    release = written(releases, "a")
    plan = plan_restore(releases.cd(), release)
    with pytest.raises(RestoreFailed, match=what):
        restore(releases.cd(), plan, seal=plan.seal)
    assert releases.cd().log.state(release).phase != "rolled_back"


class KeepsRowTracking(MemoryTables):
    """Tables whose RESTORE leaves the names that row tracking has chosen, as Delta's does."""

    def signed(self, user_metadata: str) -> MemoryTables:
        return self

    def restore(self, table: RelationName, version: int) -> None:
        staying = {k: v for k, v in self.properties(table).items() if k.startswith(STAYING)}
        super().restore(table, version)
        contents = self.table(table).contents
        contents[-1] = replace(contents[-1], properties={**contents[-1].properties, **staying})


def test_properties_that_restore_leaves_are_named_in_the_plan_and_fail_no_proof(tmp_path: Path) -> None:
    releases, name = Releases(tmp_path, tables=KeepsRowTracking()), "delta.rowTracking.materializedRowIdColumnName"
    releases.tables.create(A, 1)
    tracking = {"delta.enableRowTracking": "true", name: "_row-id-col"}
    release = releases.changed(["a"], lambda: releases.tables.set_properties(A, tracking))
    plan = plan_restore(releases.cd(), release)
    assert plan.items[0].differences == (f"property {name} is '_row-id-col', was not there",)
    assert restore(releases.cd(), plan, seal=plan.seal).ok
    assert releases.tables.properties(A) == {name: "_row-id-col"}


def test_what_is_done_at_the_same_time_is_journaled_together_and_before_what_reads_it(releases: Releases) -> None:
    tables, names = releases.tables, [f"t{n}" for n in range(20)]
    views = [relation("prod", f"v_{name}") for name in names]
    tops = [relation("prod", f"top_{name}") for name in names]
    for name, view, top in zip(names, views, tops, strict=True):
        tables.create(relation("prod", name), 1, columns=("id", "more"))
        tables.view(view, relation("prod", name))
        tables.view(top, view)

    def change() -> None:
        for name, view, top in zip(names, views, tops, strict=True):
            tables.insert(relation("prod", name), 2)
            tables.view(view, relation("prod", name), column="more")
            tables.view(top, view, column="more")

    release = releases.changed([*names, *(r.identifier for r in (*views, *tops))], change)
    plan = plan_restore(releases.cd(), release)
    sizes: list[tuple[str, int]] = []
    releases.log_table.after_append = lambda rows: sizes.append((rows[0].kind, len(rows)))
    assert restore(releases.cd(), plan, seal=plan.seal).complete
    assert sizes == [("restore_planned", 1), *[("restored_relation", 20)] * 3, ("rolled_back", 1)]


# UNDROP, where the platform has it


@pytest.fixture
def with_undrop(tmp_path: Path) -> Releases:
    return Releases(tmp_path, tables=MemoryTables(has_undrop=True))


def table_to_view(releases: Releases) -> Release:
    tables = releases.tables
    for name in (A, B):
        tables.create(name, 1)
    return releases.changed(["a"], lambda: [tables.insert(A, 9), tables.drop(A, kind="table"), tables.view(A, B)])


def test_a_table_that_the_release_dropped_is_undropped_restored_and_what_stood_there_renamed(
    with_undrop: Releases,
) -> None:
    release, cd = table_to_view(with_undrop), with_undrop.cd()
    plan = plan_restore(cd, release)
    assert [(i.action, i.later_writes) for i in plan.items] == [("undrop", ())]
    (done,) = restore(cd, plan, seal=plan.seal).relations
    assert with_undrop.tables.rows(A) == [1]
    assert done.moved_to is not None
    with_undrop.tables.read_one(RelationName.parse(done.moved_to))


def test_killed_after_undrop_a_restore_goes_on_with_the_same_plan(with_undrop: Releases) -> None:
    tables, cd = with_undrop.tables, with_undrop.cd()
    tables.create(B, 1)
    written(with_undrop, "a")  # the first attempt, which a repair follows
    release = with_undrop.changed(["a"], lambda: [tables.drop(A, kind="table"), tables.view(A, B)])
    plan = plan_restore(cd, release)
    assert [i.action for i in plan.items] == ["undrop"]
    tables.rename(A, relation("prod", "aside"), kind="view")
    tables.undrop(A)
    assert tables.rows(A) == [1, 9]
    assert restore(cd, plan, seal=plan.seal).complete
    assert (tables.rows(A), restores(with_undrop, A)) == ([1], 1)


def test_an_undrop_that_fails_leaves_everything_as_it_was(with_undrop: Releases) -> None:
    tables, cd = with_undrop.tables, with_undrop.cd()
    for name in (A, B):
        tables.create(name, 1)
    release = with_undrop.changed(
        ["a", "b"], lambda: [tables.drop(A, kind="table"), tables.view(A, B), tables.insert(B, 9)]
    )
    plan = plan_restore(cd, release)
    just_before(with_undrop, RestorePlan.KIND, lambda: tables.dropped_tables.clear())
    with pytest.raises(RestoreFailed, match=r"1 of 1 relations are not restored: prod\.shop\.a"):
        restore(cd, plan, seal=plan.seal)
    tables.read_one(A)
    assert (tables.rows(B), restores(with_undrop, B)) == ([1, 9], 0)


def test_a_table_that_undrop_does_not_list_has_to_be_built_again(with_undrop: Releases) -> None:
    release = table_to_view(with_undrop)
    with_undrop.tables.dropped_tables.clear()
    (blocked,) = plan_restore(with_undrop.cd(), release).blocked
    assert blocked.reason.endswith("UNDROP does not list it")


def test_a_restore_point_is_readable_for_as_long_as_retention_says(releases: Releases) -> None:
    releases.tables.create(A, 1)
    releases.tables.set_properties(A, {"delta.deletedFileRetentionDuration": "interval 60 days", **LONGER})
    release = written(releases, "a")
    point = releases.cd().log.last(release, RestorePoint)
    assert point is not None
    until = point.readiness[0].until
    assert until is not None
    assert abs(until - point.taken_at - timedelta(days=60)) < timedelta(minutes=1)
    assert releases.cd().log.last(release, Deployed) is not None


def test_leaving_everything_out_brings_nothing_back_and_says_so(releases: Releases) -> None:
    release, cd = written(releases, "a"), releases.cd()
    plan = plan_restore(cd, release, skip=["a"])
    result = restore(cd, plan, seal=plan.seal)
    assert not result.complete
    assert str(result) == f"release {release.id} in prod: NOTHING was brought back, left out on purpose: prod.shop.a"
    assert cd.log.state(release).phase == "deployed"
    assert cd.log.last_good("prod") == release


def test_a_rollback_to_a_time_before_an_older_release_takes_that_one_from_the_good_ones(releases: Releases) -> None:
    for name in (A, B):
        releases.tables.create(name, 5)
        releases.tables.age(name, days=0.5)
    first = written(releases, "a", run_id="1")
    moment = datetime.now(UTC)
    second = written(releases, "a", run_id="2")
    elsewhere = written(releases, "b", run_id="3")
    third = written(releases, "a", run_id="4")
    cd = releases.cd()
    plan = plan_restore(cd, third, to=moment)
    assert [i.action for i in plan.items] == ["restore"]
    restore(cd, plan, seal=plan.seal, discard_later_writes=True)
    assert releases.tables.rows(A) == [5, 9]
    assert cd.log.state(second).partly_rolled_back == ("prod",)
    assert cd.log.state(first).partly_rolled_back == (), "what it wrote is there"
    assert cd.log.state(elsewhere).partly_rolled_back == (), "it wrote another table"
    assert cd.log.last_good("prod") == elsewhere


class WrittenToAtThatMoment(MemoryTables):
    """Somebody's commit comes between the last look and RESTORE, which begins with the newest version."""

    def restore(self, table: RelationName, version: int) -> None:
        if all(c.operation != "RESTORE" for c in self.table(table).commits):
            self.user = "ann"
            self.insert(table, "theirs")
        super().restore(table, version)

    def signed(self, user_metadata: str) -> MemoryTables:
        return self


def test_what_restore_erased_unseen_is_said_and_the_next_attempt_finds_all_done(tmp_path: Path) -> None:
    releases = Releases(tmp_path, tables=WrittenToAtThatMoment())
    releases.tables.create(A, 1)
    release, cd = written(releases, "a"), releases.cd()
    plan = plan_restore(cd, release)
    with pytest.raises(RestoreFailed, match="in the moment before RESTORE, which erased that: version 2") as failed:
        restore(cd, plan, seal=plan.seal)
    assert "VERSION AS OF 2 is what they wrote" in str(failed.value)
    assert restore(cd, plan, seal=plan.seal).ok
    assert releases.tables.rows(A) == [1]


def test_a_plan_says_what_others_did_to_how_a_table_is_kept(releases: Releases) -> None:
    releases.tables.create(A, 1)
    release = written(releases, "a")
    releases.tables.set_properties(A, {"delta.checkpointPolicy": "v2"})
    releases.tables.table(A).commit("CLUSTER BY", releases.tables.table(A).now, user="ann")
    releases.tables.optimize(A)
    (item,) = plan_restore(releases.cd(), release).items
    assert item.later_writes == ()
    taken = [w for w in item.warnings if w.startswith("taken back as well")]
    assert ["CLUSTER BY by ann" in w for w in taken] == [True, False]
    assert "SET TBLPROPERTIES" in taken[1]


def test_a_view_that_somebody_else_changed_during_the_build_is_not_the_release_s(releases: Releases) -> None:
    tables, cd = releases.tables, releases.cd()
    tables.create(A, 1, columns=("id", "more"))
    tables.view(V, A)
    release = releases.open()
    cd.log.append(release, Deploying("prod"))
    point = capture_restore_point(cd, release, [A, V, NEW])
    tables.insert(A, 2)
    tables.view(V, A, column="more")
    tables.view(NEW, A)
    record_versions_after(cd, release, point, built=[A])
    cd.log.append(release, Deployed("prod", ""))
    actions = {i.relation.identifier: i.action for i in plan_restore(cd, release, new_tables="drop").items}
    assert actions == {"a": "restore", "v": "keep", "new": "keep"}


def test_a_table_that_another_job_of_the_same_identity_wrote_to_while_its_model_was_skipped_is_kept(
    releases: Releases,
) -> None:
    tables, cd = releases.tables, releases.cd()
    tables.create(A, 1)
    tables.create(B, 1)
    release = releases.open()
    cd.log.append(release, Deploying("prod"))
    point = capture_restore_point(cd, release, [A, B])
    tables.insert(A, 2)
    tables.insert(B, 2)
    record_versions_after(cd, release, point, built=[A])
    cd.log.append(release, Deployed("prod", ""))
    plan = plan_restore(cd, release)
    assert {i.relation.identifier: i.action for i in plan.items} == {"a": "restore", "b": "keep"}
    restore(cd, plan, seal=plan.seal)
    assert (tables.rows(A), tables.rows(B)) == ([1], [1, 2])


def test_an_older_release_that_was_building_at_that_time_is_not_good_any_more(releases: Releases) -> None:
    releases.tables.create(A, 1)
    moments: list[datetime] = []

    def build() -> None:
        moments.append(datetime.now(UTC))
        releases.tables.insert(A, 2)

    older = releases.changed(["a"], build, run_id="1")
    newer = written(releases, "a", run_id="2")
    cd = releases.cd()
    plan = plan_restore(cd, newer, to=moments[0])
    restore(cd, plan, seal=plan.seal, discard_later_writes=True)
    assert cd.log.state(older).partly_rolled_back == ("prod",)


class OfAnotherKind(MemoryTables):
    """The catalog's word for a relation is not a table's or a view's."""

    def entries(self, relations: Sequence[RelationName]) -> dict[str, CatalogEntry]:
        found = super().entries(relations)
        return {k: replace(e, kind="other", table_type="FOREIGN") if k == NEW.key else e for k, e in found.items()}


def test_what_is_of_another_kind_by_now_is_not_dropped(releases: Releases) -> None:
    release = releases.changed(["new"], lambda: releases.tables.create(NEW, 1))
    other = OfAnotherKind()
    other.relations = releases.tables.relations
    cd = replace(releases.cd(), tables=other)
    (item,) = plan_restore(cd, release, new_tables="drop").items
    assert (item.action, item.reason) == ("keep", "it is foreign by now, which no build of the release made")


@pytest.mark.parametrize("name", ["new", "v"])
def test_what_somebody_changes_while_tables_are_restored_is_not_dropped_or_overwritten(
    releases: Releases, name: str
) -> None:
    tables = releases.tables
    tables.create(A, 1, columns=("id", "more"))
    tables.view(V, A)
    release = releases.changed(
        ["a", "v", "new"], lambda: [tables.insert(A, 2), tables.view(V, A, column="more"), tables.create(NEW, 1)]
    )

    def meanwhile(done: RestoredRelation) -> None:
        if done.name == str(A):
            if name == "new":
                tables.insert(NEW, "theirs")
            else:
                tables.create_view(
                    V, text=f"SELECT 1 AS theirs FROM {A.quoted}", columns=(), comment="theirs", properties={}
                )

    plan = plan_restore(releases.cd(), release, new_tables="drop")
    with pytest.raises(RestoreFailed, match="somebody changed it just now"):
        restore(releases.cd(), plan, seal=plan.seal, on_progress=meanwhile)
    if name == "new":
        assert set(tables.rows(NEW)) == {1, "theirs"}
    else:
        assert tables.entries([V])[V.key].comment == "theirs"


def test_a_rollback_to_a_time_before_the_restore_point_takes_the_version_of_today(releases: Releases) -> None:
    releases.tables.create(A, 1)
    releases.tables.age(A, days=8)
    release = releases.changed(["a"], lambda: releases.tables.create(A, 2))
    cd = releases.cd()
    plan = plan_restore(cd, release, to=datetime.now(UTC) - timedelta(hours=1))
    assert [(i.action, i.to_version) for i in plan.items] == [("restore", 2)]
    restore(cd, plan, seal=plan.seal, discard_later_writes=True)
    assert releases.tables.rows(A) == [1]


def test_what_was_there_at_that_time_is_not_dropped(releases: Releases) -> None:
    release = releases.changed(["new"], lambda: releases.tables.create(NEW, 1))
    cd = releases.cd()
    (item,) = plan_restore(cd, release, new_tables="drop", to=datetime.now(UTC)).items
    assert item.action == "keep"
    (item,) = plan_restore(cd, release, new_tables="drop", to=datetime.now(UTC) - timedelta(hours=1)).items
    assert item.action == "drop"


def test_retention_that_somebody_took_away_again_is_not_set_by_a_later_restore(releases: Releases) -> None:
    releases.tables.create(A, 1)
    release, cd = written(releases, "a"), releases.cd()
    releases.tables.set_properties(A, LONGER)
    plan = plan_restore(cd, release)
    assert any("made longer since" in w for i in plan.items for w in i.differences)
    restore(cd, plan, seal=plan.seal)
    assert releases.tables.properties(A) == LONGER
    releases.tables.unset_properties(A, list(LONGER))
    releases.tables.insert(A, 5)
    plan = plan_restore(cd, release)
    restore(cd, plan, seal=plan.seal, discard_later_writes=True)
    assert releases.tables.properties(A) == {}


def test_a_view_whose_text_may_not_be_read_now_is_not_called_changed_by_others(releases: Releases) -> None:
    releases.tables.create(A, 1, columns=("id", "more"))
    releases.tables.view(V, A)
    release = releases.changed(["v"], lambda: releases.tables.view(V, A, column="more"))
    (item,) = plan_restore(replace(releases.cd(), tables=hidden_views(releases)), release).items
    assert (item.action, item.later_writes) == ("rebuild", ())
    assert "only its owner may read the view's text" in item.reason


class Counting(MemoryTables):
    """Counts the histories that are asked for."""

    asked = 0

    def history(self, table: RelationName, *, limit: int | None = None) -> History:
        self.asked += 1
        return super().history(table, limit=limit)

    def signed(self, user_metadata: str) -> MemoryTables:
        return self


def test_a_fresh_plan_of_tables_that_nobody_touched_is_carried_out_without_their_histories(tmp_path: Path) -> None:
    tables = Counting()
    releases = Releases(tmp_path, tables=tables)
    tables.create(A, 1)
    release, cd = written(releases, "a"), releases.cd()
    plan = plan_restore(cd, release)
    tables.asked = 0
    restore(cd, plan, seal=plan.seal)
    assert tables.asked == 0
    assert tables.rows(A) == [1]


def test_a_plan_that_is_not_fresh_is_looked_at_whole(tmp_path: Path) -> None:
    tables = Counting()
    releases = Releases(tmp_path, tables=tables)
    tables.create(A, 1)
    release, cd = written(releases, "a"), releases.cd()
    plan = replace(plan_restore(cd, release), planned_at=datetime.now(UTC) - timedelta(hours=1))
    tables.asked = 0
    restore(cd, plan, seal=plan.seal)
    assert tables.asked > 0


# What must not be undone, promised or hidden


def hidden_views(releases: Releases) -> MemoryTables:
    """The same relations, for somebody who owns none of the views."""

    class Hidden(MemoryTables):
        def entries(self, relations: Sequence[RelationName]) -> dict[str, CatalogEntry]:
            return {k: replace(e, view_text=None) for k, e in super().entries(relations).items()}

    hidden = Hidden()
    hidden.relations = releases.tables.relations
    return hidden


def test_a_view_that_the_release_did_not_change_keeps_nobody_from_rolling_back_who_may_not_read_it(
    releases: Releases,
) -> None:
    releases.tables.create(A, 1)
    releases.tables.view(V, A)
    release = releases.changed(["a", "v"], lambda: releases.tables.insert(A, 2))
    cd = replace(releases.cd(), tables=hidden_views(releases))
    plan = plan_restore(cd, release)
    assert [(i.relation.identifier, i.action) for i in plan.items] == [("a", "restore"), ("v", "keep")]
    assert "not verified" in plan.items[1].reason
    assert restore(cd, plan, seal=plan.seal).complete


class CannotCreateViews(MemoryTables):
    """Refuses CREATE VIEW, as where the schema is gone in which a view is read; renames as long as it may."""

    may_rename_back = True

    def signed(self, user_metadata: str) -> MemoryTables:
        return self

    def create_view(self, view: RelationName, **_: object) -> None:
        raise SqlFailed("no such schema", condition="SCHEMA_NOT_FOUND", next_step="make that schema again")

    def rename(self, relation: RelationName, to: RelationName, *, kind: Kind) -> None:
        if to == V and not self.may_rename_back:
            raise SqlFailed("no rights", condition="INSUFFICIENT_PERMISSIONS")
        super().rename(relation, to, kind=kind)


@pytest.mark.parametrize("may_rename_back", [True, False])
def test_what_stood_in_the_place_of_a_view_that_cannot_be_made_again_has_its_name_again_or_is_named(
    releases: Releases, may_rename_back: bool
) -> None:
    tables = releases.tables
    tables.create(A, 1)
    tables.view(V, A)
    release = releases.changed(["v"], lambda: [tables.drop(V, kind="view"), tables.create(V, 5)])
    refusing = CannotCreateViews()
    refusing.relations, refusing.may_rename_back = tables.relations, may_rename_back
    cd = replace(releases.cd(), tables=refusing)
    plan = plan_restore(cd, release)
    with pytest.raises(RestoreFailed) as failed:
        restore(cd, plan, seal=plan.seal)
    assert str(failed.value).count("Next:") == 1
    aside = [key for key in tables.relations if key not in (A.key, V.key)]
    if may_rename_back:
        assert (tables.rows(V), aside) == ([5], [])
        assert "make that schema again; when the cause is gone, plan and restore again" in str(failed.value)
    else:
        assert V.key not in tables.relations
        assert f"nothing has the name now: the table that had it is {aside[0]}" in str(failed.value)
    result = failed.value.result
    assert isinstance(result, RestoreResult)
    assert [(r.ok, r.differences) for r in result.relations] == [(False, ())]


def test_a_dropped_table_is_not_brought_back_to_a_time_that_nobody_can_look_up_yet(with_undrop: Releases) -> None:
    release = table_to_view(with_undrop)
    (blocked,) = plan_restore(with_undrop.cd(), release, to=datetime.now(UTC)).blocked
    assert "is known when UNDROP has brought it back" in blocked.reason


def test_where_nobody_can_say_what_undrop_would_bring_back_that_is_what_the_plan_says(releases: Releases) -> None:
    class Refuses(MemoryTables):
        def dropped(self, *, catalog: str, schema: str) -> frozenset[str] | None:
            raise SqlFailed("USE SCHEMA is missing", condition="INSUFFICIENT_PERMISSIONS")

    release, refusing = table_to_view(releases), Refuses()
    refusing.relations = releases.tables.relations
    (blocked,) = plan_restore(replace(releases.cd(), tables=refusing), release).blocked
    assert blocked.reason.endswith("whether UNDROP can bring it back is not known: USE SCHEMA is missing")


def test_a_version_that_has_become_too_old_since_a_fresh_plan_is_not_begun_with(releases: Releases) -> None:
    release = written(releases, "a")
    (item,) = plan_restore(releases.cd(), release).items
    entry = releases.tables.entries([A])[A.key]
    assert item.until is not None
    assert is_untouched(releases.tables, item, entry)
    assert not is_untouched(releases.tables, replace(item, until=datetime.now(UTC)), entry)


def test_a_materialized_view_of_the_release_is_the_release_s_and_the_plan_says_how_to_drop_it(
    releases: Releases,
) -> None:
    other = OfAnotherKind()
    other.relations = releases.tables.relations
    cd, release = replace(releases.cd(), tables=other), releases.open()
    cd.log.append(release, Deploying("prod"))
    point = capture_restore_point(replace(cd, tables=releases.tables), release, [NEW])
    other.create(NEW, 1)
    record_versions_after(cd, release, point, built=[NEW])
    cd.log.append(release, Deployed("prod", ""))
    (item,) = plan_restore(cd, release, new_tables="drop").items
    assert item.action == "keep"
    assert item.reason == "the release's foreign is not dropped for you: DROP FOREIGN `prod`.`shop`.`new`"


def test_after_a_rollback_to_a_time_retention_that_was_made_longer_since_stays(releases: Releases) -> None:
    releases.tables.create(A, 1)
    moment = datetime.now(UTC)
    releases.tables.set_properties(A, LONGER)  # before the release's restore point
    release, cd = written(releases, "a"), releases.cd()
    plan = plan_restore(cd, release, to=moment)
    result = restore(cd, plan, seal=plan.seal, discard_later_writes=True)
    assert (releases.tables.rows(A), releases.tables.properties(A)) == ([1], LONGER)
    assert [r.differences for r in result.relations] == [plan.items[0].differences]


def test_of_a_table_whose_own_column_hides_its_files_nothing_is_promised_and_the_statement_is_named(
    releases: Releases,
) -> None:
    releases.tables.create(A, 1, columns=("id", "_METADATA"))
    release = releases.changed(["a"], lambda: releases.tables.create(A, 2, columns=("id",)))
    point = releases.cd().log.last(release, RestorePoint)
    assert point is not None
    assert [(r.status, r.is_lost) for r in point.readiness] == [("rebuild", True)]
    (blocked,) = plan_restore(releases.cd(), release).blocked
    assert "RESTORE TABLE `prod`.`shop`.`a` TO VERSION AS OF 0 brings it back, unproved" in blocked.reason


def test_after_a_rollback_to_a_time_retention_that_was_longer_then_is_not_made_shorter(releases: Releases) -> None:
    longest = {"delta.logRetentionDuration": "interval 90 days"}
    releases.tables.create(A, 1)
    releases.tables.set_properties(A, longest)
    moment = releases.tables.table(A).commits[1].at
    releases.tables.set_properties(A, LONGER)
    release, cd = written(releases, "a"), releases.cd()
    plan = plan_restore(cd, release, to=moment)
    assert plan.items[0].keep_properties == LONGER
    restore(cd, plan, seal=plan.seal, discard_later_writes=True)
    assert releases.tables.properties(A) == longest


def test_what_the_catalog_keeps_is_not_compared_with_the_restore_point_after_a_rollback_to_a_time(
    releases: Releases,
) -> None:
    releases.tables.create(A, 1)
    releases.tables.catalog_settings[A.key] = replace(NOTHING_KNOWN, owner="ann")
    release, cd = written(releases, "a"), releases.cd()
    releases.tables.catalog_settings[A.key] = replace(NOTHING_KNOWN, owner="bob")
    plan = plan_restore(cd, release, to=releases.tables.table(A).commits[0].at)
    (done,) = restore(cd, plan, seal=plan.seal, discard_later_writes=True).relations
    assert done.differences == (
        "what the catalog keeps of it is recorded for the restore point, and not for another time",
    )
