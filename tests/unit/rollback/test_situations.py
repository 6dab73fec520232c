"""What was x what the release did x what happened since: what a restore plans for a relation, and makes of it.

The shape in which real Delta shows each operation is tested in tests/spark/rollback/test_restore_matrix.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from dbx_cd import RestoreRefused, plan_restore, restore
from dbx_cd.relations import RelationName
from memory.releases import Releases, relation
from memory.tables import MemoryTable, MemoryTables

Act = Callable[[MemoryTables, RelationName], object]
BASE = relation("prod", "base")
ITSELF = relation("prod", "itself")
LONGER = {"delta.deletedFileRetentionDuration": "interval 20 days"}


def table(tables: MemoryTables, name: RelationName) -> None:
    tables.create(name, 1, 2)


def replaced(tables: MemoryTables, name: RelationName) -> None:
    tables.create(name, 3, columns=("other",))


def view(tables: MemoryTables, name: RelationName) -> None:
    tables.view(name, BASE)


def other_view(tables: MemoryTables, name: RelationName) -> None:
    tables.view(name, BASE, column="more")


def third_view(tables: MemoryTables, name: RelationName) -> None:
    tables.create_view(name, text=f"SELECT id FROM {BASE.quoted}", columns=(), comment="by hand", properties={})


def write(tables: MemoryTables, name: RelationName) -> None:
    tables.insert(name, 9)


def optimize(tables: MemoryTables, name: RelationName) -> None:
    tables.optimize(name)


def vacuum(tables: MemoryTables, name: RelationName) -> None:
    tables.vacuum(name)


def drop_table(tables: MemoryTables, name: RelationName) -> None:
    tables.drop(name, kind="table")


def drop_view(tables: MemoryTables, name: RelationName) -> None:
    tables.drop(name, kind="view")


def rename(tables: MemoryTables, name: RelationName) -> None:
    tables.rename(name, relation("prod", "renamed"), kind="table")


def first_version(tables: MemoryTables, name: RelationName) -> None:
    tables.restore(name, 0)


def second_version(tables: MemoryTables, name: RelationName) -> None:
    tables.restore(name, 1)


def longer_retention(tables: MemoryTables, name: RelationName) -> None:
    tables.set_properties(name, LONGER)


def other_property(tables: MemoryTables, name: RelationName) -> None:
    tables.set_properties(name, {"a": "b"})


@dataclass(frozen=True)
class Situation:
    """`like`: what the relation must be after the restore: as `before` the release, as `now`, or `missing`."""

    name: str
    before: tuple[Act, ...] = ()
    release: tuple[Act, ...] = ()
    since: tuple[Act, ...] = ()
    action: str = "restore"
    later: int = 0
    like: str = "before"


def left(name: str, *phases: tuple[Act, ...], action: str = "keep", later: int = 0) -> Situation:
    return Situation(name, *phases, action=action, later=later, like="now")


SITUATIONS = [
    # what the release did to a table
    Situation("written", (table,), (write,)),
    Situation("replaced", (table,), (replaced,)),
    Situation("rewritten", (table, write), (optimize, replaced)),
    Situation("untouched", (table,), action="none"),
    # what happened since
    Situation("optimized_since", (table, write), (write,), (optimize,)),
    Situation("only_optimized", (table, write), (optimize,), (optimize,), action="none", like="now"),
    Situation("written_by_others", (table,), (write,), (write, optimize, replaced), later=2),
    Situation("property_set_by_others", (table,), (write,), (other_property,), later=1),
    Situation("restored_by_hand", (table,), (write,), (first_version,), action="none"),
    left("restored_too_far", (table, write), (write,), (first_version,)),
    Situation("restored_to_the_release", (table,), (write,), (write, second_version)),
    left("only_others_wrote", (table,), (), (write,)),
    left("gone", (table,), (write,), (drop_table,), action="rebuild"),
    left("renamed_away", (table,), (write,), (rename,), action="rebuild"),
    left("made_anew", (table,), (drop_table, table, write), action="rebuild"),
    left("vacuumed", (table,), (replaced,), (vacuum,), action="rebuild"),
    # kinds
    left("table_to_view", (table,), (drop_table, view), action="rebuild"),
    Situation("table_to_view_and_back_by_hand", (view,), (drop_view, table), (drop_table, view), action="none"),
    Situation("view_to_table", (view,), (drop_view, table), action="recreate_view"),
    Situation("view_to_table_written_since", (view,), (drop_view, table), (write,), action="recreate_view", later=1),
    Situation("view_changed", (view,), (other_view,), action="recreate_view"),
    Situation("view_dropped", (view,), (drop_view,), action="recreate_view"),
    Situation("view_untouched", (view,), action="none"),
    Situation("view_changed_by_both", (view,), (other_view,), (third_view,), action="recreate_view", later=1),
    left("view_changed_by_others_alone", (view,), (), (other_view,)),
    # what the release created
    Situation("new_table", (), (table,), action="drop", like="missing"),
    Situation("new_view", (), (view,), action="drop", like="missing"),
    Situation("new_table_written_since", (), (table,), (write,), action="drop", later=1, like="missing"),
    left("new_by_others", (), (), (table,)),
    left("never_there", action="none"),
]


def look(tables: MemoryTables) -> object:
    """What somebody sees of the relation, without the properties that a restore keeps."""
    found = tables.relations.get(ITSELF.key)
    if not isinstance(found, MemoryTable):
        return found
    return found.now.rows, found.now.columns, {k: v for k, v in found.now.properties.items() if k not in LONGER}


@dataclass(frozen=True)
class Play:
    """One situation, up to the moment at which somebody wants to roll back."""

    releases: Releases
    release: object
    before: object


@pytest.fixture
def play(tmp_path: Path) -> Callable[[Situation], Play]:
    def run(situation: Situation) -> Play:
        releases = Releases(tmp_path)
        tables = releases.tables
        tables.create(BASE, 1, columns=("id", "more"))

        def carry_out(acts: tuple[Act, ...]) -> None:
            for act in acts:
                act(tables, ITSELF)

        carry_out(situation.before)
        before = look(tables)
        release = releases.changed(["itself"], lambda: carry_out(situation.release))
        carry_out(situation.since)
        return Play(releases, release, before)

    return run


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda s: s.name)
def test_relation_is_classified_and_brought_back(play: Callable[[Situation], Play], situation: Situation) -> None:
    played = play(situation)
    cd, tables = played.releases.cd(), played.releases.tables
    now = look(tables)
    plan = plan_restore(cd, played.release, new_tables="drop")  # type: ignore[arg-type]
    (item,) = plan.items
    assert (item.action, len(item.later_writes)) == (situation.action, situation.later), item
    if plan.blocked:
        with pytest.raises(RestoreRefused, match="cannot be brought back"):
            restore(cd, plan, seal=plan.seal, discard_later_writes=True)
    else:
        if situation.later:
            with pytest.raises(RestoreRefused, match="others wrote after the release"):
                restore(cd, plan, seal=plan.seal)
            assert look(tables) == now
        result = restore(cd, plan, seal=plan.seal, discard_later_writes=bool(situation.later))
        assert all(r.proof for r in result.relations)
    assert look(tables) == {"before": played.before, "now": now, "missing": None}[situation.like]


@pytest.mark.parametrize("situation", [s for s in SITUATIONS if s.since == (write,)], ids=lambda s: s.name)
def test_after_a_build_that_never_said_where_it_ended_every_write_may_be_the_release_s_own(
    tmp_path: Path, situation: Situation
) -> None:
    releases = Releases(tmp_path)
    releases.tables.create(BASE, 1)
    for act in situation.before:
        act(releases.tables, ITSELF)

    def killed() -> None:
        for act in (*situation.release, *situation.since):
            act(releases.tables, ITSELF)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        releases.changed(["itself"], killed)
    (item,) = plan_restore(releases.cd(), releases.open(), new_tables="drop").items
    assert item.later_writes
    assert all("may be the release's own" in write for write in item.later_writes)


def test_a_table_in_the_place_of_a_view_is_renamed_and_not_dropped(play: Callable[[Situation], Play]) -> None:
    played = play(Situation("", (view,), (drop_view, table)))
    cd = played.releases.cd()
    plan = plan_restore(cd, played.release)  # type: ignore[arg-type]
    (done,) = restore(cd, plan, seal=plan.seal).relations
    assert done.moved_to is not None
    assert "__rolled_back_" in done.moved_to
    assert played.releases.tables.rows(RelationName.parse(done.moved_to)) == [1, 2]


def test_retention_made_longer_since_is_kept_and_no_reason_to_restore_again(play: Callable[[Situation], Play]) -> None:
    played = play(Situation("", (table,), (write,), (longer_retention,)))
    cd, tables = played.releases.cd(), played.releases.tables
    plan = plan_restore(cd, played.release)  # type: ignore[arg-type]
    assert (plan.items[0].later_writes, plan.items[0].keep_properties) == ((), LONGER)
    restore(cd, plan, seal=plan.seal)
    assert tables.properties(ITSELF) == LONGER
    assert tables.rows(ITSELF) == [1, 2]


def test_a_version_that_is_not_what_was_recorded_of_it_blocks_the_plan(play: Callable[[Situation], Play]) -> None:
    played = play(Situation("", (table,), (write,)))
    contents = played.releases.tables.table(ITSELF).contents
    contents[0] = contents[1]
    plan = plan_restore(played.releases.cd(), played.release)  # type: ignore[arg-type]
    assert [i.action for i in plan.blocked] == ["impossible"]
    assert "version 0 is not what was recorded of it" in plan.blocked[0].reason
