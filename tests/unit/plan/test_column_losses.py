"""Columns that a build drops, narrows, moves or does not fill, by what dbt does with the relation."""

from __future__ import annotations

import pytest
from lossy_project import AFTER, BEFORE, losses, named, table, view, with_config, with_raw

from dbx_cd.delta.tables import CatalogEntry, CatalogSettings
from dbx_cd.plan.comparison import UNKNOWN_RUNTIME

HAS = table("id int", "gone string", "amount bigint")
GIVES = table("id int", "amount int", "fresh string")
DROPPED, NARROWED = ("column gone", "column_dropped!"), ("column amount", "column_narrowed!")
UNFILLED, REFUSED = ("column gone", "column_unfilled"), ("column gone", "build_refused")
NOT_RETYPED = ("column amount", "build_refused")


def incremental(**config: str | bool) -> dict[str, str | bool]:
    return {"materialized": "incremental", **config}


CASES = [
    ({"materialized": "table"}, [DROPPED, NARROWED]),
    ({"materialized": "view"}, [DROPPED, NARROWED]),
    ({"materialized": "materialized_view"}, [DROPPED, NARROWED]),
    (incremental(), [REFUSED]),
    (incremental(incremental_strategy="merge", on_schema_change="ignore"), [REFUSED]),
    (incremental(incremental_strategy="merge", merge_with_schema_evolution=True), [UNFILLED]),
    (incremental(incremental_strategy="merge", on_schema_change="append_new_columns"), [UNFILLED]),
    (incremental(incremental_strategy="append"), [UNFILLED]),
    (incremental(incremental_strategy="append", on_schema_change="nonsense"), [UNFILLED]),
    (incremental(incremental_strategy="replace_where"), [UNFILLED, ("position of column amount", "column_moved")]),
    (incremental(incremental_strategy="delete+insert", on_schema_change="append_new_columns"), [REFUSED]),
    (incremental(on_schema_change="sync_all_columns"), [DROPPED, NOT_RETYPED]),
    (incremental(on_schema_change="fail"), [("schema change", "build_refused")]),
    (incremental(full_refresh=True), [("rows of earlier builds", "full_refresh!"), DROPPED, NARROWED]),
]


@pytest.mark.parametrize(("config", "expected"), CASES, ids=lambda value: str(value) if isinstance(value, dict) else "")
def test_columns_by_what_dbt_does_with_the_relation(config: dict[str, str], expected: list[tuple[str, str]]) -> None:
    found = losses("marked", HAS, GIVES, manifest=with_config(AFTER, "marked", **config))
    assert [one for one in named(found) if "table_replaced" not in one[1]] == expected


def test_a_snapshot_drops_no_column_and_its_own_columns_are_not_missing() -> None:
    has = table("id int", "gone string", "dbt_scd_id string", "dbt_valid_to timestamp")
    assert named(losses("kept", has, table("id int"))) == [UNFILLED]


def test_a_seed_is_made_anew_with_and_without_a_full_refresh() -> None:
    for full_refresh in (False, True):
        assert named(losses("sites", HAS, GIVES, full_refresh=full_refresh)) == [DROPPED, NARROWED]


def test_a_view_loses_columns_as_a_table_does_but_says_nothing_of_nulls() -> None:
    found = losses("seen", view("id int", "gone string"), view("id int not null"))
    assert named(found) == [DROPPED]


def test_delta_widens_a_type_in_place_where_the_project_lets_it() -> None:
    there, staged = table("id int", "amount int"), table("id int", "amount bigint")
    assert named(losses("enlarged", there, staged)) == [NOT_RETYPED]
    widening = with_config(AFTER, "enlarged", tblproperties={"delta.enableTypeWidening": True})
    assert losses("enlarged", there, staged, manifest=widening) == ()
    assert named(losses("enlarged", staged, there, manifest=widening)) == [NOT_RETYPED]
    assert losses("resized", there, there) == ()


def test_names_of_columns_are_compared_without_case_and_shown_as_they_are() -> None:
    assert losses("dropped", table("ID int", "Note string"), table("id int", "note STRING")) == ()
    (found,) = losses("dropped", table("Id int", "Gone string"), table("id int"))
    assert (found.name, found.column) == ("prod.recorded.dropped: column Gone", "gone")
    assert found.detail == "the column (string) is dropped"


def test_tags_of_a_dropped_column_are_named_with_it() -> None:
    settings = CatalogSettings(column_tags={"GONE.pii": "yes", "gone.team": "", "id.pii": "yes", "gone2.x": ""})
    (found,) = losses("dropped", table("id int", "gone string"), table("id int"), settings=settings)
    assert found.detail == "the column (string) is dropped, with its tags pii, team"


def test_a_column_that_may_be_null_no_more_is_said_and_needs_no_consent() -> None:
    assert named(losses("dropped", table("id int"), table("id int not null"))) == [
        ("NULL in column id", "column_narrowed")
    ]
    assert losses("dropped", table("id int not null"), table("id int")) == ()
    found = losses("flattened", table("id int"), view("id int not null"))
    assert named(found) == [("table", "table_replaced!")], "a view's columns say what its query gives"
    assert losses("stored", view("id int"), table("id int not null")) == ()


def test_a_refused_schema_change_says_all_that_is_another() -> None:
    (found,) = losses("strict", HAS, GIVES)
    assert found.detail == (
        "dbt refuses to build it (on_schema_change: fail): gone is not in the query; fresh is new; "
        "amount is bigint and would be int"
    )
    assert losses("strict", HAS, HAS) == ()
    wider = table("id int", "gone string", "amount decimal(19,0)")
    assert named(losses("strict", HAS, wider)) == [("schema change", "build_refused")]


@pytest.mark.parametrize(("there", "staged"), [(table("a int", "b int"), table("b int", "a int"))])
@pytest.mark.parametrize("strategy", ["insert_overwrite", "replace_where", "microbatch", "append", "merge"])
def test_columns_that_move_get_values_of_others_where_the_runtime_inserts_by_position(
    there: CatalogEntry, staged: CatalogEntry, strategy: str
) -> None:
    manifest = with_config(AFTER, "overwritten", incremental_strategy=strategy)
    moves = strategy not in ("append", "merge")
    said = [("position of column a", "column_moved"), ("position of column b", "column_moved")]
    found = losses("overwritten", there, staged, manifest=manifest)
    assert named(found) == (said if moves else [])
    old = losses("overwritten", there, staged, manifest=manifest, runtime=UNKNOWN_RUNTIME)
    assert named(old) == ([(what, f"{kind}!") for what, kind in said] if moves else [])
    assert not moves or old[0].detail == (
        f"place 2 in the query, 1 in the table: {strategy} inserts by position here, so it gets the values of another "
        "column"
    )


@pytest.mark.parametrize(
    ("strategy", "since"), [("insert_overwrite", (12, 2)), ("replace_where", (18, 0)), ("microbatch", (18, 0))]
)
def test_from_which_runtime_on_a_cluster_inserts_by_name(strategy: str, since: tuple[int, int]) -> None:
    manifest = with_config(AFTER, "overwritten", incremental_strategy=strategy)
    before = (since[0] - 1, 9)
    for runtime, by_name in ((since, True), (before, False), (None, True)):
        found = losses(
            "overwritten", table("a int", "b int"), table("b int", "a int"), manifest=manifest, runtime=runtime
        )
        assert [one.destructive for one in found] == [not by_name, not by_name]


def test_a_node_that_staging_did_not_build_is_judged_by_its_contract_alone() -> None:
    has = table("id int", "note string")
    assert named(losses("promised_less", has, before=None)) == [("column note", "column_dropped!")]
    assert losses("dropped", has) == ()
    untyped = with_raw(AFTER, "promised_less", columns={"id": {"name": "id"}})
    assert losses("promised_less", has, manifest=untyped, before=None) == ()
    missing = losses("promised_less", has, CatalogEntry("missing"), before=None)
    assert named(missing) == [("column note", "column_dropped!")]
    assert losses("promised", table("id int"), staged_manifest=None, before=None) == ()


def test_the_same_columns_are_no_loss_however_the_node_is_built() -> None:
    for name in ("dropped", "synced", "appended", "strict", "overwritten", "sites"):
        assert losses(name, HAS, HAS, manifest=BEFORE) == (), name


def test_a_column_that_delta_may_refuse_to_drop_in_place_says_so() -> None:
    without = with_config(AFTER, "synced", tblproperties={})
    for manifest, refused in ((AFTER, False), (without, True)):
        (found,) = losses("synced", table("id int", "gone string"), table("id int"), manifest=manifest)
        assert (found.kind, found.destructive) == ("column_dropped", True)
        assert ("Delta refuses that unless the table has delta.columnMapping.mode" in found.detail) is refused
