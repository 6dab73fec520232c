"""What a plan and a restore point look at: long histories, damaged tables, retention that cannot be read."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from dbx_cd import RestoreRefused, plan_restore, restore
from dbx_cd.delta.history import History
from dbx_cd.delta.retention import FILES_KEPT, LOG_KEPT
from dbx_cd.delta.tables import TableDetail
from dbx_cd.errors import SqlFailed
from dbx_cd.relations import RelationName
from dbx_cd.rollback.capture import capture_restore_point, record_versions_after
from dbx_cd.rollback.readiness import extend
from memory.releases import Releases, relation
from memory.tables import MemoryTables

A, B = relation("prod", "a"), relation("prod", "b")


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    return Releases(tmp_path)


def test_a_time_of_more_than_a_thousand_commits_ago_is_found(releases: Releases) -> None:
    tables = releases.tables
    tables.create(A, 0)
    for row in range(1, 1100):
        tables.insert(A, row)
    release = releases.changed(["a"], lambda: tables.insert(A, -1))
    for version in (0, 50, 500):
        plan = plan_restore(releases.cd(), release, to=tables.table(A).commits[version].at)
        assert [(i.action, i.to_version) for i in plan.items] == [("restore", version)]
    before_all = tables.table(A).commits[0].at - timedelta(seconds=1)
    (item,) = plan_restore(releases.cd(), release, to=before_all).items
    assert (item.action, "does not reach back" in item.reason) == ("impossible", True)


def test_retention_is_made_longer_and_never_shorter(releases: Releases) -> None:
    tables = releases.tables
    tables.create(A, 1)
    extend(tables, A, days=31)
    longer = {FILES_KEPT: "interval 31 days", LOG_KEPT: "interval 31 days"}
    assert tables.properties(A) == longer
    extend(tables, A, days=20)
    assert tables.properties(A) == longer
    kept = {FILES_KEPT: "interval +400 days", LOG_KEPT: "interval 401 days -24 hours"}
    tables.set_properties(A, kept)
    extend(tables, A, days=60)
    assert tables.properties(A) == kept


@pytest.mark.parametrize("name", [FILES_KEPT, LOG_KEPT])
def test_retention_that_cannot_be_read_is_not_overwritten(releases: Releases, name: str) -> None:
    tables = releases.tables
    tables.create(A, 1)
    tables.set_properties(A, {name: "four hundred days"})
    with pytest.raises(RestoreRefused, match=f"{name} is 'four hundred days', which cannot be read") as refused:
        extend(tables, A, days=30)
    assert refused.value.where == str(A)
    assert tables.properties(A) == {name: "four hundred days"}


def test_where_retention_cannot_be_read_a_plan_says_so_and_names_no_date(releases: Releases) -> None:
    tables = releases.tables
    tables.create(A, 1)
    tables.set_properties(A, {FILES_KEPT: "four hundred days"})
    release = releases.changed(["a"], lambda: tables.insert(A, 2))
    (item,) = plan_restore(releases.cd(), release).items
    assert item.action == "rebuild"
    assert f"{FILES_KEPT} is 'four hundred days', which cannot be read" in item.reason
    assert "set it to 'interval 2 days' or longer" in item.reason
    assert "until" not in item.reason
    assert "extend_retention" not in item.reason


class OneDamaged(MemoryTables):
    """Delta cannot read the log of one table."""

    damaged = RelationName("", "", "")

    def detail(self, table: RelationName) -> TableDetail:
        self._refuse(table)
        return super().detail(table)

    def history(self, table: RelationName, *, limit: int | None = None) -> History:
        self._refuse(table)
        return super().history(table, limit=limit)

    def _refuse(self, table: RelationName) -> None:
        if table == self.damaged:
            raise SqlFailed("[DELTA_STATE_RECOVER_ERROR] no metadata", condition="DELTA_STATE_RECOVER_ERROR")


def test_a_damaged_table_is_named_and_can_be_left_out_of_a_plan(tmp_path: Path) -> None:
    tables = OneDamaged()
    releases = Releases(tmp_path, tables=tables)
    tables.create(A, 1)
    tables.create(B, 1)
    release = releases.changed(["a", "b"], lambda: [tables.insert(A, 2), tables.insert(B, 2)])
    tables.damaged = B
    with pytest.raises(SqlFailed) as failure:
        plan_restore(releases.cd(), release)
    assert str(failure.value) == (
        "[DELTA_STATE_RECOVER_ERROR] no metadata (prod.shop.b). Next: repair it, or leave it out with "
        "skip=['prod.shop.b'], and plan again"
    )
    assert failure.value.condition == "DELTA_STATE_RECOVER_ERROR"
    plan = plan_restore(releases.cd(), release, skip=["prod.shop.b"])
    assert restore(releases.cd(), plan, seal=plan.seal).ok
    assert tables.rows(A) == [1]


def test_a_table_that_is_damaged_when_its_old_version_is_proved_is_named(tmp_path: Path) -> None:
    class NoSchema(MemoryTables):
        def schema_json(self, table: RelationName, version: int | None = None) -> str:
            raise SqlFailed("[DELTA_STATE_RECOVER_ERROR] no metadata", condition="DELTA_STATE_RECOVER_ERROR")

    releases = Releases(tmp_path, tables=NoSchema())
    releases.tables.create(A, 1)
    release = releases.changed(["a"], lambda: releases.tables.insert(A, 2))
    with pytest.raises(SqlFailed, match=r"no metadata \(prod.shop.a\)\. Next: repair it, or leave it out with skip="):
        plan_restore(releases.cd(), release)


def test_a_damaged_table_is_named_by_what_looks_at_it_before_and_after_a_build(tmp_path: Path) -> None:
    tables = OneDamaged()
    releases = Releases(tmp_path, tables=tables)
    tables.create(A, 1)
    tables.create(B, 1)
    cd, release = releases.cd(), releases.open()
    point = capture_restore_point(cd, release, [A, B])
    tables.damaged = B
    with pytest.raises(SqlFailed, match=r"no metadata \(prod.shop.b\)\. Next: repair it, or drop it"):
        capture_restore_point(cd, release, [A, B])
    with pytest.raises(SqlFailed, match=r"no metadata \(prod.shop.b\)"):
        record_versions_after(cd, release, point)
