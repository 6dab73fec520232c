"""What a plan tells beforehand: what readers of a table meet, and what RESTORE would refuse."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from dbx_cd.delta.history import Commit, History
from dbx_cd.delta.tables import CatalogEntry, TableDetail
from dbx_cd.relations import RelationName
from dbx_cd.rollback.decision import decide
from dbx_cd.rollback.ownership import OwnCommits
from dbx_cd.rollback.plan_item import PlanItem
from dbx_cd.rollback.point import RestorePoint
from dbx_cd.rollback.relation_state import Present, RelationState

NOW = datetime.now(UTC)
ORDERS = RelationName("prod", "shop", "orders")


def planned(before: TableDetail, now: TableDetail, *, ago: timedelta = timedelta(hours=1)) -> PlanItem:
    """A table that was written to once since the restore point."""
    state = RelationState(str(ORDERS), "table", version=0, committed_at=NOW - ago, detail=before)
    point = RestorePoint("r", NOW, (state,))
    history = History.of([Commit(0, NOW - ago, "CREATE TABLE"), Commit(1, NOW, "WRITE")])
    return decide(
        state,
        Present(CatalogEntry("table"), now.properties, now, history=history),
        own=OwnCommits.of(ORDERS, [point], []),
        to=None,
        new_tables="keep",
        dropped=lambda _catalog, _schema: None,
    )


@pytest.mark.parametrize(
    ("before", "now", "warned"),
    [
        (TableDetail("t"), TableDetail("t", {"delta.enableChangeDataFeed": "true"}), "get the inverse rows"),
        (TableDetail("t", features=("identityColumns",)), TableDetail("t"), "numbers of its identity columns go on"),
        (
            TableDetail("t", partitioned_by=("day",)),
            TableDetail("t", clustered_by=("id",), features=("clustering",)),
            "Delta does not replace by a partitioned one",
        ),
    ],
    ids=["change data feed", "identity", "clustered since"],
)
def test_a_plan_warns_of_what_a_restore_means_for(before: TableDetail, now: TableDetail, warned: str) -> None:
    assert any(warned in warning for warning in planned(before, now).warnings)
    assert not any(warned in warning for warning in planned(TableDetail("t"), TableDetail("t")).warnings)


def mapped(mode: str | None) -> TableDetail:
    return TableDetail("t", {} if mode is None else {"delta.columnMapping.mode": mode})


@pytest.mark.parametrize(
    ("now", "then"), [("none", "id"), (None, "id"), ("name", "id"), ("id", "name"), ("ID", "name")]
)
def test_where_restore_refuses_the_mode_of_column_mapping_the_plan_says_so_and_names_the_way_around(
    now: str | None, then: str
) -> None:
    """Also of a version that is too old: replacing the table would take longer retention away again."""
    for days in (0, 8):
        item = planned(mapped(then), mapped(now), ago=timedelta(days=days))
        assert item.action == "rebuild"
        assert (
            f"RESTORE does not change delta.columnMapping.mode from {(now or 'none').lower()} to {then}" in item.reason
        )
        assert (
            "CREATE OR REPLACE TABLE `prod`.`shop`.`orders` (id INT) TBLPROPERTIES "
            f"('delta.columnMapping.mode' = '{then}'), and plan again"
        ) in item.reason


@pytest.mark.parametrize(
    ("now", "then"), [("none", "name"), ("name", "none"), ("id", "none"), ("id", None), ("id", "id"), (None, "none")]
)
def test_other_changes_of_that_mode_are_restored(now: str | None, then: str | None) -> None:
    assert planned(mapped(then), mapped(now)).action == "restore"
