"""Keys, grants, tags, filters and masks: what a build takes off a relation, and what the project sets again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from lossy_project import (
    AFTER,
    BEFORE,
    key,
    losses,
    named,
    node_id,
    primary_key,
    table,
    view,
    with_config,
    with_raw,
)

from dbx_cd.dbt.artifacts import Manifest
from dbx_cd.delta.tables import CatalogEntry, CatalogSettings, Constraint
from dbx_cd.plan.comparison import Comparison
from dbx_cd.plan.losses import losses_of

TABLE, VIEW = table("id int"), view("id int")
BY_HAND = ("SELECT to anna@example.org", "SELECT to ben@example.org", "MODIFY to ben@example.org")
GRANTED = {"select": ["Anna@example.org"]}


def of_settings(name: str, there: CatalogEntry, settings: CatalogSettings, **config: Any) -> list[str]:
    found = losses(name, there, settings=settings, manifest=with_config(AFTER, name, **config))
    return [loss.detail for loss in found if loss.kind not in ("table_replaced", "format_changed", "full_refresh")]


REVOKED = ["MODIFY to ben@example.org, SELECT to ben@example.org: dbt revokes what the project's config `grants` does "]
ALL_BUT_OWN = ["MODIFY to ben@example.org, SELECT to ben@example.org: the "]
GRANTS = [
    # what is there, what the node becomes, what the project grants, and what is lost
    (TABLE, "table", None, []),
    (TABLE, "incremental", None, []),
    (
        TABLE,
        "view",
        None,
        ["MODIFY to ben@example.org, SELECT to anna@example.org, SELECT to ben@example.org: the rel"],
    ),
    (
        VIEW,
        "view",
        None,
        ["MODIFY to ben@example.org, SELECT to anna@example.org, SELECT to ben@example.org: the view"],
    ),
    (
        VIEW,
        "table",
        None,
        ["MODIFY to ben@example.org, SELECT to anna@example.org, SELECT to ben@example.org: the rel"],
    ),
    (TABLE, "table", GRANTED, REVOKED),
    (TABLE, "incremental", GRANTED, REVOKED),
    (TABLE, "view", GRANTED, ALL_BUT_OWN),
    (VIEW, "view", GRANTED, ALL_BUT_OWN),
    (
        TABLE,
        "table",
        {"select": "anna@example.org", "modify": ["ben@example.org"]},
        ["SELECT to ben@example.org: dbt "],
    ),
    (TABLE, "table", {"select": [], "modify": ["ben@example.org"]}, ["SELECT to anna@example.org, SELECT to ben@exam"]),
]


@pytest.mark.parametrize(("there", "materialized", "config", "begins"), GRANTS)
def test_grants(there: CatalogEntry, materialized: str, config: dict[str, Any] | None, begins: list[str]) -> None:
    found = of_settings(
        "marked", there, CatalogSettings(grants=BY_HAND), materialized=materialized, grants=config or {}
    )
    assert [detail[: len(begin)] for detail, begin in zip(found, begins, strict=True)] == begins


def test_grants_that_the_project_gives_again_are_not_lost() -> None:
    settings = CatalogSettings(grants=("SELECT to anna@example.org",))
    for there, materialized in ((VIEW, "view"), (TABLE, "view"), (TABLE, "table")):
        assert of_settings("granted", there, settings, materialized=materialized) == []


ANNA = "SELECT to anna@example.org"
HOOKS = [
    # what a hook of the view says, and whether the grant that is taken is told, and consent asked for it
    ("grant select on {{ this }} to `anna@example.org`", []),
    ("GRANT  SELECT, MODIFY ON VIEW {{this}}\nTO `anna@example.org`", []),
    ("grant select on {{ this }} to `anna@example.org.uk`", [True]),
    ("grant modify on {{ this }} to `anna@example.org`", [True]),
    ("optimize {{ this }}", [True]),
    ("{{ grant_all(this) }}", [False]),
    ("grant select on {{ this }} to `{{ var('readers') }}`", [False]),
]


@pytest.mark.parametrize(("text", "asked"), HOOKS)
@pytest.mark.parametrize("given", ["by the view", "at the end"])
def test_what_a_hook_grants_after_every_build_is_not_lost(text: str, asked: list[bool], given: str) -> None:
    config = {"post-hook": [{"sql": text, "transaction": True}]} if given == "by the view" else {}
    manifest = with_config(AFTER, "marked", materialized="view", grants={}, **config)
    if given == "at the end":
        node = manifest.nodes[node_id("marked")]
        raw = {"raw_code": text, "tags": ["on-run-end"]}
        hook = replace(node, unique_id="operation.lossy.end", resource_type="operation", relation=None, raw=raw)
        manifest = Manifest(manifest.metadata, {**manifest.nodes, hook.unique_id: hook})
    found = losses("marked", VIEW, settings=CatalogSettings(grants=(ANNA,)), manifest=manifest)
    assert [loss.destructive for loss in found if loss.kind == "grants_dropped"] == asked


def test_what_is_not_known_is_not_lost() -> None:
    for there, materialized in ((VIEW, "view"), (TABLE, "view"), (TABLE, "table"), (TABLE, "incremental")):
        assert of_settings("marked", there, CatalogSettings(), materialized=materialized) == []


TAGGED = CatalogSettings(tags={"Team": "other", "pii": "yes", "gold": ""}, column_tags={"id.col": "x", "id.own": "y"})


@pytest.mark.parametrize(
    ("there", "materialized", "is_lost"),
    [(TABLE, "table", 0), (TABLE, "incremental", 0), (TABLE, "view", 1), (VIEW, "view", 0), (VIEW, "table", 1)],
)
def test_tags_go_with_what_is_dropped_but_for_those_of_the_project(
    there: CatalogEntry, materialized: str, is_lost: bool
) -> None:
    columns = {"ID": {"name": "ID", "databricks_tags": {"own": "z"}}}
    manifest = with_raw(with_config(AFTER, "marked", materialized=materialized), "marked", columns=columns)
    found = [one for one in losses("marked", there, settings=TAGGED, manifest=manifest) if one.kind == "tags_dropped"]
    assert [one.detail for one in found] == (
        ["gold, pii = yes, column id.col = x: gone with what is dropped"] if is_lost else []
    )


def test_filters_and_masks_stay_on_a_table_that_is_replaced_and_go_with_one_that_is_dropped() -> None:
    settings = CatalogSettings(row_filter="prod.f.mine on (id)", column_masks={"id": "prod.f.hide", "b": "prod.f.b"})
    assert of_settings("marked", TABLE, settings) == []
    assert of_settings("marked", TABLE, settings, materialized="view") == [
        "row filter prod.f.mine on (id), column mask prod.f.b on b, column mask prod.f.hide on id: gone with what is "
        "dropped"
    ]
    filtered = {"function": "mine", "columns": ["id"]}
    config = {**AFTER.nodes[node_id("marked")].config, "row_filter": filtered, "file_format": "parquet"}
    again = with_raw(AFTER, "marked", columns={"b": {"name": "b", "column_mask": {"function": "b"}}}, config=config)
    found = [
        one for one in losses("marked", TABLE, settings=settings, manifest=again) if one.kind == "protection_dropped"
    ]
    assert [one.detail.partition(":")[0] for one in found] == ["column mask prod.f.hide on id"]


OWN, HAND = primary_key("parent_key", "ID"), primary_key("by_hand", "id")
KEYS = [
    ("parent", OWN, {}, False),  # its contract sets it again
    ("parent", primary_key("of_another_name", "id"), {}, False),
    ("parent", primary_key("parent_key", "id", "other"), {}, True),
    ("parent", OWN, {"contract": {"enforced": False}}, True),
    ("parent", OWN, {"contract": {"enforced": False}, "persist_constraints": True}, False),
    ("parent", OWN, {"materialized": "view"}, True),
    ("marked", HAND, {}, True),
    ("marked", HAND, {"materialized": "incremental"}, False),
    ("checked", HAND, {}, True),  # dbt makes an incremental table's keys those of its contract
    ("checked", HAND, {"incremental_apply_config_changes": False}, False),
    ("checked", HAND, {"contract": {"enforced": False}}, False),
    ("checked", HAND, {"full_refresh": True}, True),
    ("kept", HAND, {}, False),
    ("sites", HAND, {}, True),
]


@pytest.mark.parametrize(("name", "there", "config", "is_lost"), KEYS)
def test_keys(name: str, there: Constraint, config: dict[str, Any], is_lost: bool) -> None:
    found = losses(
        name, TABLE, settings=CatalogSettings(keys=(there,)), manifest=with_config(AFTER, name, **config), before=None
    )
    assert [one.detail for one in found if one.kind == "keys_dropped"] == (
        [f"{there}: dropped, and the project does not set them again"] if is_lost else []
    )


CHILD_KEY = Constraint("child_key", "FOREIGN KEY", ("id",), "prod.recorded.Parent_Key")


def foreign_key_losses(*built: str, manifest: Any = AFTER, reference: str | None = None) -> list[tuple[str, str]]:
    child = CHILD_KEY if reference is None else replace(CHILD_KEY, references=reference)
    of = {key("parent"): CatalogSettings(keys=(OWN,)), key("child"): CatalogSettings(keys=(child,))}
    there = {key("parent"): TABLE, key("child"): TABLE}
    found = losses_of(Comparison(manifest, [node_id(name) for name in built], there, of, before=BEFORE))
    return [(one.name, one.detail) for one in found if one.kind == "keys_dropped"]


def test_a_foreign_key_goes_with_the_primary_key_that_it_references_unless_its_table_is_built_as_well() -> None:
    gone = (
        "prod.recorded.child: keys",
        "foreign key child_key (id) references prod.recorded.Parent_Key: dropped with the primary key that they "
        "reference, whose table is made anew",
    )
    assert foreign_key_losses("parent") == [gone]
    assert foreign_key_losses("parent", "child") == []
    assert foreign_key_losses("child") == []
    assert foreign_key_losses("parent", reference="prod.other.parent_key") == []
    plain = with_config(AFTER, "child", contract={"enforced": False})
    assert foreign_key_losses("parent", "child", manifest=plain) == [gone]


def test_a_foreign_key_of_a_table_that_no_node_makes_is_named_by_its_table() -> None:
    of = {key("parent"): CatalogSettings(keys=(OWN,)), "prod.else.foreign": CatalogSettings(keys=(CHILD_KEY,))}
    found = losses_of(Comparison(AFTER, [node_id("parent")], {key("parent"): TABLE}, of, before=BEFORE))
    assert [one.name for one in found] == ["prod.else.foreign: keys"]


def test_contract_losses() -> None:
    id_and_note = {"id": {"name": "id", "data_type": "bigint"}, "note": {"name": "note", "data_type": "string"}}
    before = with_raw(BEFORE, "promised_less", columns=id_and_note, constraints=[])
    narrower = with_raw(AFTER, "promised_less", columns={"id": {"name": "id", "data_type": "int"}})
    found = losses("promised_less", view("x int"), manifest=narrower, before=before, staged_manifest=None)
    assert named(found)[-2:] == [
        ("contract column id", "contract_narrowed!"),
        ("contract column note", "contract_narrowed!"),
    ]
    assert named(losses("promised", table("id int"), before=None)) == []
    assert named(losses("promised", table("id int"))) == [("contract", "contract_removed!")]
    assert named(losses("promised", table("id int"), manifest=BEFORE)) == []


def test_a_constraint_of_a_column_that_is_dropped_is_told_with_the_column() -> None:
    not_null = {"name": "note", "data_type": "string", "constraints": [{"type": "not_null"}]}
    columns = {**BEFORE.nodes[node_id("promised_less", BEFORE)].columns, "note": not_null}
    before = with_raw(BEFORE, "promised_less", columns=columns, constraints=[])
    now = with_raw(AFTER, "promised_less", constraints=[])
    found = losses("promised_less", table("id int", "note string"), table("id int"), manifest=now, before=before)
    assert named(found) == [
        ("column note", "column_dropped!"),
        ("constraint not null on id", "contract_narrowed!"),
    ]


def test_keys_of_a_contract_are_told_once_by_the_catalog_where_it_knows_them() -> None:
    without = with_raw(AFTER, "parent", constraints=[])
    in_contract = [("constraint primary key on id", "contract_narrowed!")]
    assert named(losses("parent", TABLE, manifest=without)) == in_contract
    known = losses("parent", TABLE, manifest=without, settings=CatalogSettings(keys=(OWN,)))
    assert named(known) == [("keys", "keys_dropped!")]
    assert named(losses("parent", TABLE, manifest=without, settings=CatalogSettings(keys=()))) == []


def test_safer_relation_operations_and_altered_views_count_in_version_2_of_the_materializations_alone() -> None:
    assert losses("safer", TABLE) == ()
    swapped = losses("safer", TABLE, materialization_v2=True)
    assert [one.detail for one in swapped] == [
        "the table is dropped, with its history, for a table that takes its name (use_safer_relation_operations)"
    ]
    altered = with_config(AFTER, "seen", view_update_via_alter=True)
    settings = CatalogSettings(grants=BY_HAND)
    assert named(losses("seen", VIEW, settings=settings, manifest=altered)) == [("grants", "grants_dropped!")]
    assert losses("seen", VIEW, settings=settings, manifest=altered, materialization_v2=True) == ()
    swapped_view = with_config(AFTER, "seen", use_safer_relation_operations=True)
    assert losses("seen", VIEW, settings=CatalogSettings(tags={"a": ""}), manifest=swapped_view) == ()
    found = losses(
        "seen", VIEW, settings=CatalogSettings(tags={"a": ""}), manifest=swapped_view, materialization_v2=True
    )
    assert named(found) == [("tags", "tags_dropped!")]
