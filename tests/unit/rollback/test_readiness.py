"""What a restore point says of a relation before the deploy, and what the policy makes of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dbx_cd import RestorePoint, RestoreRefused
from dbx_cd.dbt.effects import BuildEffects
from dbx_cd.delta.tables import CatalogSettings, TableDetail
from dbx_cd.errors import SqlFailed
from dbx_cd.plan.rollback_readiness import require_readiness
from dbx_cd.rollback.capture import look_at
from dbx_cd.rollback.readiness import readiness_of
from dbx_cd.rollback.relation_state import RelationState
from memory.releases import Releases, relation
from memory.tables import MemoryTables

NOW = datetime(2026, 6, 1, tzinfo=UTC)
HIDDEN = CatalogSettings(row_filter="prod.shop.own_rows", column_masks={"email": "prod.shop.hide"})
ORDERS = RelationState("prod.shop.orders", "table", version=3, committed_at=NOW)


def test_a_row_filter_and_a_mask_are_named_before_the_deploy() -> None:
    ready = readiness_of(replace(ORDERS, settings=HIDDEN), NOW)
    assert ready.status == "restorable"
    assert "row filter prod.shop.own_rows, column mask prod.shop.hide on email" in ready.reason
    assert "no time travel on dedicated compute" in ready.reason


def test_where_they_refuse_time_travel_already_the_policy_refuses_the_deploy() -> None:
    refused = "version 3 cannot be read: [FGAC_TIME_TRAVEL_NOT_SUPPORTED]"
    state = replace(ORDERS, settings=HIDDEN, unreadable=refused)
    ready = readiness_of(state, NOW)
    assert (ready.status, ready.is_lost) == ("rebuild", True)
    assert refused in ready.reason
    assert "row filter prod.shop.own_rows" in ready.reason
    with pytest.raises(RestoreRefused, match="row filter"):
        require_readiness(RestorePoint("r", NOW, (state,)), policy="error")
    require_readiness(RestorePoint("r", NOW, (state,)), policy="warn")


def test_a_table_without_them_says_nothing_of_them() -> None:
    nothing = CatalogSettings(row_filter="", column_masks={})
    assert "dedicated" not in readiness_of(replace(ORDERS, settings=nothing), NOW).reason


@pytest.mark.parametrize("when", ["now", "after the build"])
def test_retention_that_cannot_be_read_is_not_called_zero_days(when: str) -> None:
    odd = {"delta.logRetentionDuration": "four hundred days"}
    detail = TableDetail("id", odd if when == "now" else {}, (), ())
    state = replace(ORDERS, detail=detail, properties_after=None if when == "now" else odd)
    ready = readiness_of(state, NOW)
    assert (ready.status, ready.is_lost) == ("rebuild", True)
    assert "delta.logRetentionDuration is 'four hundred days', which cannot be read" in ready.reason
    assert "0 days" not in ready.reason.replace("'four hundred days'", "")


@pytest.mark.parametrize(
    ("minutes", "status"), [(9, "rebuild"), (10, "rebuild"), (11, "restorable")], ids=["9 min", "10 min", "11 min"]
)
def test_a_table_that_can_be_brought_back_for_ten_minutes_more_is_called_lost(minutes: int, status: str) -> None:
    """A build takes longer: nothing could be brought back once it has ended."""
    committed = NOW - timedelta(days=7) + timedelta(minutes=minutes)
    ready = readiness_of(replace(ORDERS, committed_at=committed), NOW)
    assert (ready.status, ready.is_lost) == (status, status == "rebuild")


BY_ID = TableDetail("t", {"delta.columnMapping.mode": "id"})


@pytest.mark.parametrize("refresh_due", [False, True], ids=["written today", "written long ago"])
def test_a_table_whose_mode_of_column_mapping_the_build_changes_for_good_is_named_before_the_deploy(
    refresh_due: bool,
) -> None:
    state = replace(ORDERS, detail=BY_ID, properties_after={}, refresh_due=refresh_due)
    state = replace(state, committed_at=NOW - timedelta(days=9)) if refresh_due else state
    ready = readiness_of(state, NOW)
    assert (ready.status, ready.is_lost) == ("rebuild", False)
    assert (
        "the build changes delta.columnMapping.mode from id to none, and RESTORE does not change it back"
        in ready.reason
    )
    assert "CREATE OR REPLACE TABLE `prod`.`shop`.`orders` (id INT)" in ready.reason
    require_readiness(RestorePoint("r", NOW, (state,)), policy="error")


@pytest.mark.parametrize("after", [None, BY_ID.properties, {"delta.columnMapping.mode": "ID"}])
def test_a_table_whose_mode_of_column_mapping_stays_is_restorable(after: dict[str, str] | None) -> None:
    assert readiness_of(replace(ORDERS, detail=BY_ID, properties_after=after), NOW).status == "restorable"


def test_a_table_that_is_lost_by_its_age_is_called_lost_whatever_its_mode_of_column_mapping() -> None:
    state = replace(ORDERS, detail=BY_ID, properties_after={}, committed_at=NOW - timedelta(days=9))
    assert readiness_of(state, NOW).is_lost


def test_where_undrop_may_not_be_asked_about_the_platform_has_it_all_the_same(tmp_path: Path) -> None:
    class Refuses(MemoryTables):
        def dropped(self, *, catalog: str, schema: str) -> frozenset[str] | None:
            raise SqlFailed("USE SCHEMA is missing", condition="INSUFFICIENT_PERMISSIONS")

    table, tables = relation("prod", "orders"), Refuses()
    tables.create(table, 1)
    effects = BuildEffects(replaced={table.key: "a view"})
    (ready,) = look_at(tables, Releases(tmp_path).open(), [table], effects=effects).readiness
    assert (ready.status, ready.is_lost) == ("undrop", False)
