"""Whose a view's definition is: a release that somebody else's change came between, or in, or after."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dbx_cd import Release, RestoreRefused, auto_rollback, plan_restore, restore
from dbx_cd.delta.tables import CatalogEntry, Kind
from dbx_cd.delta.view_reading import ViewReading
from dbx_cd.release.events import Deployed, Deploying, Failed
from dbx_cd.rollback.capture import capture_restore_point, record_versions_after
from dbx_cd.rollback.own_build import OwnBuild
from dbx_cd.rollback.plan_item import PlanItem
from dbx_cd.rollback.point import VersionAfter
from dbx_cd.rollback.relation_state import Present, RelationState, view_definition
from dbx_cd.rollback.view_writers import changes_by_others
from memory.releases import Releases, relation
from memory.tables import MemoryTables, MemoryView

A, V = relation("prod", "a"), relation("prod", "v")
BETWEEN = "between two attempts"
NOTHING: Callable[[], object] = lambda: None  # noqa: E731


class Played:
    """A release's attempts at a view, and what somebody else makes of it; a view is called by its one column."""

    def __init__(self, folder: Path, *, settings: str = "") -> None:
        self.releases = Releases(folder, settings)
        self.tables.create(A, 1, columns=("id", "x", "y"))
        self.release: Release = self.releases.open()

    @property
    def tables(self) -> MemoryTables:
        return self.releases.tables

    def view(self, column: str) -> None:
        self.tables.view(V, A, column=column)

    def attempt(self, change: Callable[[], object] = NOTHING, *, built: bool | None, dies: bool = False) -> None:
        """A build that says that it has built the view, or not, or cannot say; or that dies before it could."""
        cd = self.releases.cd()
        cd.log.append(self.release, Deploying("prod"))
        point = capture_restore_point(cd, self.release, [A, V])
        change()
        if not dies:
            record_versions_after(cd, self.release, point, built=None if built is None else [V] if built else [])
            cd.log.append(self.release, Failed("prod", "out of luck"))

    def done(self) -> None:
        self.releases.cd().log.append(self.release, Deployed("prod", ""))

    def planned(self) -> PlanItem:
        (item,) = plan_restore(self.releases.cd(), self.release, only=["v"], new_tables="drop").items
        return item

    def refused(self) -> None:
        """A restore without consent leaves the view as it is."""
        left = self.tables.relations[V.key]
        plan = plan_restore(self.releases.cd(), self.release, new_tables="drop")
        with pytest.raises(RestoreRefused, match="others wrote after the release"):
            restore(self.releases.cd(), plan, seal=plan.seal)
        assert self.tables.relations[V.key] is left


@pytest.fixture
def played(tmp_path: Path) -> Played:
    played = Played(tmp_path)
    played.view("id")
    return played


@pytest.mark.parametrize("rebuilt", [False, True], ids=["left alone", "built again"])
def test_a_view_that_somebody_changed_between_two_attempts_is_not_made_again_without_consent(
    played: Played, rebuilt: bool
) -> None:
    played.attempt(lambda: played.view("x"), built=True)
    played.view("y")
    played.attempt((lambda: played.view("x")) if rebuilt else NOTHING, built=rebuilt)
    played.done()
    (change,) = played.planned().later_writes
    assert change.startswith("the view was changed before the restore point of")
    assert change.endswith(BETWEEN)
    played.refused()


def test_what_a_build_left_that_did_not_build_the_view_is_not_the_release_s(played: Played) -> None:
    """Somebody else changes it after the first attempt, during the second, and after it: each is named."""
    played.attempt(lambda: played.view("x"), built=True)
    played.view("y")
    played.attempt(lambda: played.view("x"), built=False)
    played.done()
    played.view("y")
    between, during, since = played.planned().later_writes
    assert between.endswith(BETWEEN)
    assert during.endswith("which did not build it")
    assert since == "the view was changed after the release"
    played.refused()


def test_a_view_that_somebody_put_back_to_what_an_earlier_attempt_left_is_asked_about(played: Played) -> None:
    played.attempt(lambda: played.view("x"), built=True)
    played.view("y")
    played.attempt(built=False)
    played.done()
    played.view("x")
    assert len(played.planned().later_writes) == 2
    played.refused()


def test_where_dbt_could_not_say_what_it_had_built_that_is_what_the_plan_says(played: Played) -> None:
    played.attempt(lambda: played.view("x"), built=None)
    played.done()
    (change,) = played.planned().later_writes
    assert "(not verified: dbt could not say what it had built; this may be the release's own)" in change
    played.refused()


@pytest.mark.parametrize("is_repaired", [False, True])
def test_after_a_build_that_was_killed_a_changed_view_is_not_verified(played: Played, is_repaired: bool) -> None:
    played.attempt(lambda: played.view("x"), built=True, dies=True)
    if is_repaired:
        played.attempt(built=False)
        played.done()
    (change,) = played.planned().later_writes
    assert "(not verified: where the build before left it was not recorded" in change
    assert (BETWEEN in change) == is_repaired


def test_an_automatic_rollback_after_a_killed_build_asks_about_a_view_that_was_changed(tmp_path: Path) -> None:
    played = Played(tmp_path, settings="policies: {auto_rollback: any}\n")
    played.view("id")
    played.attempt(lambda: [played.tables.insert(A, 2), played.view("y")], built=None, dies=True)
    with pytest.raises(RestoreRefused, match=r"the view was changed during the build .*not verified"):
        auto_rollback(played.releases.cd(), played.release, target="prod")
    view = played.tables.relations[V.key]
    assert isinstance(view, MemoryView)
    assert (view.columns[0].name, played.tables.rows(A)) == ("y", [1, 2])


def test_an_automatic_rollback_after_a_killed_build_goes_on_where_no_view_was_changed(tmp_path: Path) -> None:
    played = Played(tmp_path, settings="policies: {auto_rollback: any}\n")
    played.view("id")
    played.attempt(lambda: played.tables.insert(A, 2), built=None, dies=True)
    auto_rollback(played.releases.cd(), played.release, target="prod")
    assert played.tables.rows(A) == [1]


@pytest.mark.parametrize("made_by_release", [True, False])
def test_a_view_that_somebody_made_or_changed_between_two_attempts_is_not_dropped_without_consent(
    tmp_path: Path, made_by_release: bool
) -> None:
    played = Played(tmp_path)
    played.attempt((lambda: played.view("id")) if made_by_release else NOTHING, built=made_by_release)
    played.view("x")
    played.attempt(built=None)
    played.done()
    item = played.planned()
    assert item.action == "drop"
    (change,) = item.later_writes
    assert f"the view was {'changed' if made_by_release else 'created'} before the restore point" in change
    played.refused()


def test_what_the_release_built_last_needs_no_consent(played: Played) -> None:
    played.attempt(lambda: played.view("x"), built=True)
    played.attempt(lambda: played.view("y"), built=True)
    played.done()
    assert (played.planned().action, played.planned().later_writes) == ("recreate_view", ())


def test_a_view_of_the_release_s_own_needs_no_consent_to_be_dropped(tmp_path: Path) -> None:
    played = Played(tmp_path)
    played.attempt(lambda: played.view("x"), built=True)
    played.done()
    assert (played.planned().action, played.planned().later_writes) == ("drop", ())


def test_what_was_brought_back_between_two_attempts_is_nobody_s_change(played: Played) -> None:
    """A rollback of some relations leaves the release open: its repair goes on from what was before."""
    played.attempt(lambda: played.view("x"), built=True)
    played.view("y")
    plan = plan_restore(played.releases.cd(), played.release, only=["v"])
    restore(played.releases.cd(), plan, seal=plan.seal, discard_later_writes=True)
    played.attempt(lambda: played.view("x"), built=True)
    played.done()
    assert (played.planned().action, played.planned().later_writes) == ("recreate_view", ())


def state(text: str, *, namespace: tuple[str, ...] | None = ("prod", "shop"), kind: Kind = "view") -> RelationState:
    reading = None if namespace is None else ViewReading(namespace)
    return RelationState(str(V), kind, view_text=text, view_reading=reading)


def build(before: RelationState, left: str | None, *, hours: int = 0) -> OwnBuild:
    after = VersionAfter(str(V), "view", definition=left, is_built=True)
    return OwnBuild(before, after, datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=hours))


def changes(builds: Sequence[OwnBuild], now: RelationState) -> tuple[str, ...]:
    older = view_definition(now, {}, reading=None)
    whole = view_definition(now, {}, reading=now.view_reading)
    return changes_by_others(builds, Present(CatalogEntry("view"), definition=whole, definitions={older, whole}))  # type: ignore[arg-type]


def test_records_of_before_the_schema_was_kept_in_which_a_view_is_read_are_compared_without_it() -> None:
    before, made = state("1", namespace=None), state("2")
    older = build(before, state("2", namespace=None).definition)
    newer = build(made, made.definition, hours=1)
    assert changes([older], made) == changes([older, newer], made) == ()
    assert len(changes([older], state("3"))) == 1
    assert len(changes([older, build(state("3"), state("3").definition)], state("3"))) == 1


def test_records_of_before_writers_were_kept_go_by_time_alone() -> None:
    """They do not say either what dbt had built."""
    left = VersionAfter(str(V), "view", definition=state("2").definition)
    found = OwnBuild(state("1"), left, datetime(2026, 1, 1, tzinfo=UTC))
    assert changes([found], state("2")) == ()
    assert len(changes([found], state("3"))) == 1
    assert len(changes([replace(found, writers=("bot",))], state("2"))) == 1


def test_a_view_of_the_same_text_that_is_read_in_another_schema_by_now_is_another_one() -> None:
    made = build(state("1"), state("2").definition)
    assert changes([made], state("2")) == ()
    assert len(changes([made], state("2", namespace=("prod", "elsewhere")))) == 1
    killed = OwnBuild(state("1"), None, made.taken_at)
    assert (
        len(changes([killed, build(state("1", namespace=("prod", "elsewhere")), state("2").definition)], state("2")))
        == 1
    )


def test_a_table_that_somebody_put_in_a_view_s_place_between_two_attempts_is_named() -> None:
    builds = [build(state("1"), state("2").definition), build(state("", kind="table"), state("3").definition)]
    (change,) = changes(builds, state("3"))
    assert change.startswith("the view was replaced by a table before")
    assert change.endswith(BETWEEN)


def test_a_table_that_somebody_created_between_two_attempts_at_a_new_view_is_named() -> None:
    missing, table = state("", kind="missing"), state("", kind="table")
    failed = OwnBuild(missing, VersionAfter(str(V), "missing", is_built=True), datetime(2026, 1, 1, tzinfo=UTC))
    (change,) = changes([failed, build(table, state("3").definition)], state("3"))
    assert change.startswith("the table was created before")
