"""What a build does to existing tables, and what that means for bringing them back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dbx_cd.dbt.artifacts import Manifest
from dbx_cd.dbt.effects import (
    affected_relations,
    altered_properties,
    known_readers,
    replaced_properties,
    table_replacements,
)
from dbx_cd.errors import RestoreRefused
from dbx_cd.plan.rollback_readiness import require_readiness
from dbx_cd.rollback.point import RestorePoint
from dbx_cd.rollback.readiness import readiness_of
from dbx_cd.rollback.relation_state import RelationState

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def node(name: str, *, kind: str = "model", depends_on: tuple[str, ...] = (), **config: Any) -> dict[str, Any]:
    return {
        "unique_id": f"{kind}.shop.{name}", "name": name, "resource_type": kind, "database": "prod", "schema": "shop",
        "relation_name": f"`prod`.`shop`.`{name}`", "config": config,
        "depends_on": {"nodes": [f"model.shop.{d}" for d in depends_on]},
    }  # fmt: skip


def manifest(*nodes: dict[str, Any]) -> Manifest:
    return Manifest.from_json({"metadata": {}, "nodes": {n["unique_id"]: n for n in nodes}})


@pytest.mark.parametrize(
    ("built", "full_refresh", "replacement"),
    [
        (node("n", materialized="table"), False, None),
        (node("n", materialized="incremental"), True, None),
        (node("n", materialized="table", table_format="iceberg"), False, None),
        (node("n", kind="seed", materialized="seed"), False, None),
        (node("n", kind="snapshot", materialized="snapshot"), True, None),
        (node("n", materialized="ephemeral"), False, None),
        (node("n", materialized="incremental", file_format="parquet"), False, None),
        (node("n", materialized="incremental", file_format="parquet", full_refresh=True), False, "a parquet table"),
        (node("n", materialized="incremental", file_format="parquet", full_refresh=False), True, None),
        (node("n", materialized="view"), False, "a view"),
        (node("n", materialized="materialized_view"), False, "a materialized view"),
        (node("n", materialized="table", file_format="parquet"), False, "a parquet table"),
        (node("n", materialized="incremental", file_format="parquet"), True, "a parquet table"),
        (node("n", materialized="table", use_safer_relation_operations=True), False, "a table that takes its name"),
    ],
)
def test_what_takes_the_place_of_a_table(built: dict[str, Any], full_refresh: bool, replacement: str | None) -> None:
    found = table_replacements(manifest(built), [built["unique_id"]], full_refresh=full_refresh)
    assert (found.get("prod.shop.n") or "").partition(" (")[0] == (replacement or "")


def test_nodes_that_are_not_built_replace_nothing() -> None:
    assert table_replacements(manifest(node("n", materialized="view")), []) == {}


def test_views_over_what_is_built_are_affected_and_tables_over_it_are_not() -> None:
    project = manifest(
        node("orders", materialized="table"),
        node("recent", materialized="view", depends_on=("orders",)),
        node("newest", materialized="view", depends_on=("recent",)),
        node("revenue", materialized="table", depends_on=("orders",)),
    )
    affected = affected_relations(project, ["model.shop.orders"])
    assert [r.identifier for r in affected] == ["newest", "orders", "recent"]


def test_readers_of_a_relation_are_those_that_dbt_knows() -> None:
    project = manifest(
        node("orders", materialized="table"),
        node("revenue", materialized="table", depends_on=("orders",)),
        node("weekly", kind="exposure", depends_on=("orders",)),
        node("unique", kind="test", depends_on=("orders",)),
    )
    assert known_readers(project) == {"prod.shop.orders": ("exposure weekly", "model revenue")}


def table(**changes: Any) -> RelationState:
    return RelationState("prod.shop.n", "table", "MANAGED", version=3, **changes)


def test_table_that_the_build_drops_comes_back_by_undrop_where_the_platform_has_it() -> None:
    judged = readiness_of(table(replaced_by="a view", can_undrop=True), NOW)
    assert (judged.status, judged.until, judged.is_lost) == ("undrop", NOW + timedelta(days=7), False)


def test_table_that_the_build_drops_is_lost_where_there_is_no_undrop() -> None:
    judged = readiness_of(table(replaced_by="a view"), NOW)
    assert (judged.status, judged.is_lost) == ("rebuild", True)
    assert judged.reason == "the build drops it for a view, with its history; this platform has no UNDROP"


def test_table_that_stays_is_restorable() -> None:
    judged = readiness_of(table(), NOW)
    assert (judged.status, judged.is_lost, judged.until) == ("restorable", False, NOW + timedelta(days=7))


def test_restore_point_names_what_is_lost_and_how_to_keep_the_rest_longer() -> None:
    kept = RelationState("prod.shop.kept", "table", "MANAGED", version=3)
    text = str(RestorePoint("r1", NOW, (table(replaced_by="a view"), kept)))
    assert text.startswith("restore point of 2 relations: 1 restorable, until 2026-01-08 00:00 UTC")
    assert "extend_retention" in text
    assert "rebuild: prod.shop.n (the build drops it for a view" in text


def test_policy_error_refuses_a_deploy_that_would_lose_a_table_for_good_and_warn_does_not() -> None:
    point = RestorePoint("r1", NOW, (table(replaced_by="a view"),))
    with pytest.raises(RestoreRefused, match=r"prod\.shop\.n \(the build drops it for a view"):
        require_readiness(point, policy="error")
    require_readiness(point, policy="warn")
    kept = (table(), table(replaced_by="a view", can_undrop=True))
    require_readiness(RestorePoint("r1", NOW, kept), policy="error")


def test_table_of_which_some_files_are_gone_is_lost_since_no_restore_brings_the_others_back() -> None:
    judged = readiness_of(table(unreadable="version 3 cannot be read: [FAILED_READ_FILE.FILE_NOT_EXIST]"), NOW)
    assert (judged.status, judged.is_lost) == ("rebuild", True)


def test_older_restore_points_are_still_read() -> None:
    written = RestorePoint("r1", NOW, (table(),)).to_dict()
    for state in written["relations"]:
        del state["replaced_by"], state["can_undrop"]
    assert RestorePoint.from_dict(written).relations == (table(),)


def test_properties_of_tables_that_are_replaced_whole_and_of_those_that_go_on() -> None:
    config = {"tblproperties": {"delta.deletedFileRetentionDuration": "interval 2 days", "n": 1}}
    nodes = {
        name: node(name, materialized=materialized, **(config if name != "plain" else {}))
        for name, materialized in (("t", "table"), ("plain", "table"), ("i", "incremental"), ("v", "view"))
    }
    found = manifest(*nodes.values())
    given = {"delta.deletedFileRetentionDuration": "interval 2 days", "n": "1"}
    ids = list(found.nodes)
    whole, goes_on = replaced_properties(found, ids), altered_properties(found, ids)
    assert {key.split(".")[-1]: v for key, v in whole.items()} == {"t": given, "plain": {}}
    assert {key.split(".")[-1]: v for key, v in goes_on.items()} == {"i": given}
    assert set(replaced_properties(found, ids, full_refresh=True)) == {*whole, *goes_on}
    assert altered_properties(found, ids, full_refresh=True) == {}
