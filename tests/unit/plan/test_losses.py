"""What a build takes from production, as dbt's own manifests of two versions of a project and a catalog say it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from lossy_project import AFTER, BEFORE, STAGED, key, losses, named, node_id, other, table, view, with_config, with_raw

from dbx_cd.dbt.artifacts import Manifest
from dbx_cd.delta.tables import CatalogEntry, CatalogSettings
from dbx_cd.plan.comparison import Comparison
from dbx_cd.plan.loss import loss
from dbx_cd.plan.losses import losses_of
from dbx_cd.plan.orphans import orphans_of
from dbx_cd.plan.readers import Readers
from dbx_cd.relations import RelationName
from recorded_dbt import RECORDED

NOTE = table("id int", "note string")
OLD = {
    "flattened": NOTE,
    "stored": view("id int"),
    "reformatted": table("id int"),
    "dropped": table("id int", "discount int", "note string"),
    "narrowed": table("amount bigint", "price decimal(12,2)", "code int", "grade int"),
    "synced": table("id int", "gone string"),
    "appended": table("id int", "gone string"),
    "ignored": table("id int", "gone string"),
    "merged": table("id int", "gone string"),
    "strict": table("id int", "gone string"),
    "overwritten": table("a string", "b string", "day int"),
    "refreshed": table("id int"),
    "promised": table("id int", "note string"),
    "promised_less": table("id int", "note string"),
    "sites": table("id int", "region string", "gone string"),
    "kept": table("id int", "discount int", "note string", "dbt_scd_id string"),
    "summary": view("id int"),
    "seen": view("id int"),
    "marked": table("id int"),
    "parent": table("id int"),
}
NEW = OLD | {
    "flattened": view("id int", "note string"),
    "stored": table("id int"),
    "reformatted": other("MANAGED", "id int"),
    "dropped": table("id int", "note string"),
    "narrowed": table("amount int", "price decimal(12,1)", "code bigint", "grade string"),
    **dict.fromkeys(("synced", "appended", "ignored", "merged", "strict", "promised_less"), table("id int")),
    "overwritten": table("b string", "a string", "day int"),
    "sites": table("id int", "region string"),
    "kept": table("id int", "note string", "dbt_scd_id string"),
}


def compared(manifest: Manifest, made: dict[str, CatalogEntry], staged_manifest: Manifest) -> Comparison:
    return Comparison(
        manifest,
        [node.unique_id for node in manifest.nodes.values()],
        {key(name): entry for name, entry in OLD.items()},
        before=BEFORE,
        staged_manifest=staged_manifest,
        staged={key(name, "stg"): entry for name, entry in made.items()},
    )


def test_a_second_release_that_makes_everything_as_it_was_loses_nothing() -> None:
    assert losses_of(compared(BEFORE, OLD, STAGED)) == ()


def test_what_the_second_version_of_the_project_loses() -> None:
    found = losses_of(compared(AFTER, NEW, STAGED))
    assert [(loss.name.removeprefix("prod.recorded."), loss.kind, loss.destructive) for loss in found] == [
        ("appended: column gone", "column_unfilled", False),
        ("dropped: column discount", "column_dropped", True),
        ("flattened: table", "table_replaced", True),
        ("ignored: column gone", "column_unfilled", False),
        ("kept: column discount", "column_unfilled", False),
        ("merged: column gone", "build_refused", False),
        ("narrowed: column amount", "column_narrowed", True),
        ("narrowed: column price", "column_narrowed", True),
        ("narrowed: column grade", "column_retyped", False),
        ("overwritten: position of column a", "column_moved", False),
        ("overwritten: position of column b", "column_moved", False),
        ("promised: contract", "contract_removed", True),
        ("promised_less: column note", "column_dropped", True),
        ("promised_less: constraint check positive", "contract_narrowed", True),
        ("promised_less: constraint not null on id", "contract_narrowed", True),
        ("reformatted: format", "format_changed", True),
        ("refreshed: rows of earlier builds", "full_refresh", True),
        ("sites: column gone", "column_dropped", True),
        ("strict: schema change", "build_refused", False),
        ("synced: column gone", "column_dropped", True),
    ]


def test_every_loss_has_a_name_of_its_own_in_one_line_without_commas() -> None:
    names = [loss.name for loss in losses_of(compared(AFTER, NEW, STAGED))]
    assert len(set(names)) == len(names)
    odd = loss(RelationName("prod", "shop", "a,b"), "column_dropped", "column per cent %2C\nand a line", "two\nlines")
    assert odd.name == "prod.shop.a%2Cb: column per cent %252C%0Aand a line"
    assert odd.detail == "two lines"


def test_readers_of_a_loss_are_named_with_dashboards_and_their_owners() -> None:
    (found,) = losses("dropped", OLD["dropped"], NEW["dropped"])
    assert found.readers == ("model summary", "snapshot kept")
    assert found.exposures == ("dashboard weekly (owner Ada <ada@example.org>, https://bi.example.org/weekly)",)
    assert str(found) == (
        "prod.recorded.dropped: column discount: the column (int) is dropped; read by dashboard weekly (owner Ada "
        "<ada@example.org>, https://bi.example.org/weekly), model summary, snapshot kept"
    )


def test_what_does_not_exist_or_is_not_built_loses_nothing() -> None:
    assert losses("flattened", CatalogEntry("missing")) == ()
    there = {key("flattened"): NOTE}
    assert losses_of(Comparison(AFTER, [], there)) == ()
    assert losses_of(Comparison(AFTER, [node_id("flattened")], {})) == ()
    assert len(losses_of(Comparison(AFTER, [node_id("flattened")], there))) == 1, "without a staged build or another"
    emptied = with_raw(AFTER, "flattened", raw_code=" ")
    assert losses("flattened", NOTE, manifest=emptied) == (), "dbt lists it and does not build it"


CLONE, MV, STREAM = other("MANAGED_SHALLOW_CLONE"), other("MATERIALIZED_VIEW"), other("STREAMING_TABLE")
PARQUET = other("MANAGED")
WHOLE = [
    # what is there, what the node becomes, and what is lost of the whole
    ("table", table(), {"materialized": "table"}, []),
    ("table", table(), {"materialized": "incremental"}, []),
    ("table", table(), {"materialized": "view"}, [("table", "table_replaced!")]),
    ("table", table(), {"materialized": "materialized_view"}, [("table", "table_replaced!")]),
    ("table", table(), {"materialized": "streaming_table"}, [("table", "table_replaced!")]),
    ("table", table(), {"materialized": "table", "file_format": "parquet"}, [("format", "format_changed!")]),
    ("table", table(), {"materialized": "incremental", "file_format": "parquet"}, []),
    ("table", table(), {"materialized": "table", "table_format": "iceberg"}, []),
    ("view", view(), {"materialized": "table"}, []),
    ("view", view(), {"materialized": "view"}, []),
    ("view", view(), {"materialized": "incremental"}, []),
    ("materialized view", MV, {"materialized": "materialized_view"}, []),
    ("materialized view", MV, {"materialized": "table"}, [("materialized view", "table_replaced!")]),
    ("materialized view", MV, {"materialized": "view"}, [("materialized view", "table_replaced!")]),
    ("streaming table", STREAM, {"materialized": "streaming_table"}, []),
    ("streaming table", STREAM, {"materialized": "incremental"}, [("streaming table", "table_replaced!")]),
    ("shallow clone", CLONE, {"materialized": "table"}, [("managed shallow clone", "table_replaced!")]),
    ("shallow clone", CLONE, {"materialized": "incremental"}, []),
    ("parquet table", PARQUET, {"materialized": "table"}, [("format", "format_changed!")]),
    ("parquet table", PARQUET, {"materialized": "table", "file_format": "parquet"}, [("format", "format_changed!")]),
    ("parquet table", PARQUET, {"materialized": "view"}, [("managed", "table_replaced!")]),
    ("parquet table", PARQUET, {"materialized": "incremental", "file_format": "parquet"}, []),
]


@pytest.mark.parametrize(("what", "there", "config", "expected"), WHOLE)
def test_what_becomes_of_the_whole(
    what: str, there: CatalogEntry, config: dict[str, str], expected: list[tuple[str, str]]
) -> None:
    found = losses("marked", there, manifest=with_config(AFTER, "marked", **config))
    assert named(found) == expected, what


@pytest.mark.parametrize("there", [table("id int"), view("id int"), other("MANAGED", "id int")])
def test_a_custom_materialization_goes_on_with_what_it_has_made(there: CatalogEntry) -> None:
    before, after = (with_config(m, "marked", materialized="insert_by_period") for m in (BEFORE, AFTER))
    assert losses("marked", there, manifest=after, before=before) == ()


def test_a_custom_materialization_over_what_another_has_made_may_drop_it() -> None:
    after = with_config(AFTER, "marked", materialized="insert_by_period")
    assert named(losses("marked", table("id int"), manifest=after)) == [("table", "table_replaced!")]


def test_a_table_of_the_format_that_it_had_is_not_one_of_another() -> None:
    before = with_config(BEFORE, "marked", file_format="parquet")
    now = with_config(AFTER, "marked", file_format="parquet")
    assert losses("marked", PARQUET, manifest=now, before=before) == ()
    orc = with_config(AFTER, "marked", file_format="orc")
    assert named(losses("marked", PARQUET, manifest=orc, before=before)) == [("format", "format_changed!")]


@pytest.mark.parametrize("name", ["sites", "kept"])
@pytest.mark.parametrize("there", [view("id int"), MV, STREAM])
def test_dbt_refuses_to_make_a_seed_or_a_snapshot_of_what_is_a_view(name: str, there: CatalogEntry) -> None:
    has = replace(there, columns=table("id int", "gone int").columns)
    found = losses(name, has, table("id int"), settings=CatalogSettings(grants=("SELECT to ben",)), before=AFTER)
    assert named(found) == [("build", "build_refused")]


@pytest.mark.parametrize(
    ("before", "now", "is_refused"),
    [
        ({"liquid_clustered_by": "id"}, {"partition_by": "id"}, True),
        ({"auto_liquid_cluster": True}, {"partition_by": ["id"]}, True),
        ({"liquid_clustered_by": "id"}, {"liquid_clustered_by": "id"}, False),
        ({"partition_by": "id"}, {"liquid_clustered_by": "id"}, False),
        ({"liquid_clustered_by": "id"}, {"partition_by": "id", "materialized": "incremental"}, False),
        ({"liquid_clustered_by": "id"}, {"partition_by": "id", "file_format": "parquet"}, False),
    ],
)
def test_delta_replaces_no_clustered_table_by_a_partitioned_one(
    before: dict[str, object], now: dict[str, object], is_refused: bool
) -> None:
    was, manifest = with_config(BEFORE, "marked", **before), with_config(AFTER, "marked", **now)
    found = [
        one for one in named(losses("marked", table("id int"), manifest=manifest, before=was)) if "refused" in one[1]
    ]
    assert found == ([("layout", "build_refused")] if is_refused else [])


def test_a_full_refresh_loses_rows_where_it_was_not_the_rule_before() -> None:
    plain = with_config(AFTER, "refreshed", full_refresh=None)
    rows = "rows of earlier builds"
    assert named(losses("refreshed", table("id int"), manifest=plain)) == []
    assert named(losses("refreshed", table("id int"), manifest=plain, full_refresh=True)) == [(rows, "full_refresh!")]
    never = with_config(AFTER, "refreshed", full_refresh=False)
    assert named(losses("refreshed", table("id int"), manifest=never, full_refresh=True)) == []
    assert named(losses("refreshed", table("id int"), manifest=AFTER, before=AFTER)) == [(rows, "full_refresh")]
    assert named(losses("refreshed", view("id int"), full_refresh=True)) == []
    assert named(losses("dropped", OLD["dropped"], OLD["dropped"], full_refresh=True)) == []


def test_what_no_known_build_made_is_taken_over() -> None:
    for config, does in (("table", "replaces it"), ("incremental", "writes to it"), ("view", "drops it")):
        manifest = with_config(AFTER, "fresh", materialized=config)
        (found, *_) = losses("fresh", table("id int"), manifest=manifest)
        assert (found.name, found.kind, found.destructive) == (
            "prod.recorded.fresh: relation that no release made",
            "taken_over",
            True,
        )
        assert found.detail == f"it is there, no build of this target that is known made it, and model fresh {does}"
    assert losses("fresh", table("id int"), earlier=[AFTER]) == ()
    assert losses("fresh", table("id int"), touched={key("fresh")}) == ()
    assert losses("fresh", table("id int"), before=None) == ()


MADE = frozenset(BEFORE.relations)


def test_orphans_are_what_earlier_releases_made_and_this_one_does_not() -> None:
    there = {key(name): table() for name in ("abandoned", "dropped", "foreign")}
    (told,) = orphans_of(AFTER, earlier=[BEFORE], built=MADE, there=there, policy="tell")
    assert (told.name, told.kind, told.destructive) == ("prod.recorded.abandoned: orphan", "orphan", False)
    assert told.detail == "the table stays as it is: model abandoned made it, and nothing does any more"
    (dropped,) = orphans_of(AFTER, earlier=[AFTER, BEFORE], built=MADE, there=there, policy="drop")
    assert (dropped.name, dropped.kind, dropped.destructive) == (told.name, "orphan_dropped", True)
    assert orphans_of(AFTER, earlier=[BEFORE], built=MADE, there={}, policy="drop") == ()
    gone = {key("abandoned"): CatalogEntry("missing")}
    assert orphans_of(AFTER, earlier=[BEFORE], built=MADE, there=gone, policy="drop") == ()
    assert orphans_of(BEFORE, earlier=[BEFORE], built=MADE, there=there, policy="drop") == ()
    (doubtful,) = orphans_of(AFTER, earlier=[BEFORE], built=frozenset(), there=there, policy="drop")
    assert (doubtful.kind, doubtful.destructive) == ("orphan", False)
    assert "model abandoned had its name, no known build made it" in doubtful.detail


def test_a_relation_that_a_release_reads_as_a_source_is_no_orphan() -> None:
    abandoned = BEFORE.nodes[node_id("abandoned", BEFORE)]
    source = replace(abandoned, unique_id="source.lossy.own.abandoned", resource_type="source")
    reading = Manifest(AFTER.metadata, {**AFTER.nodes, source.unique_id: source})
    there = {key("abandoned"): table()}
    assert orphans_of(reading, earlier=[BEFORE], built=MADE, there=there, policy="drop") == ()


def test_an_orphan_tells_who_read_it_and_where_its_model_is_now() -> None:
    elsewhere = RelationName("prod", "recorded", "renamed")
    node = AFTER.nodes[node_id("dropped")]
    moved = Manifest(AFTER.metadata, {**AFTER.nodes, node.unique_id: replace(node, relation=elsewhere)})
    (found,) = orphans_of(moved, earlier=[BEFORE], built=MADE, there={key("dropped"): table()}, policy="tell")
    assert found.detail.endswith("nothing does any more; model dropped is prod.recorded.renamed now")
    assert found.readers == ("model summary", "snapshot kept")
    assert [exposure.split(" (")[0] for exposure in found.exposures] == ["dashboard weekly"]


def test_readers_are_followed_through_others_and_versions_are_named() -> None:
    versions = Manifest.load(RECORDED / "versions" / "manifest.json")
    assert Readers(versions).of("model.versions.customers.v2") == (("model regions",), ())
    regions = versions.nodes["model.versions.regions"]
    above = replace(versions.nodes["model.versions.customers.v3"], depends_on=(regions.unique_id,))
    below = replace(versions.nodes["model.versions.customers.v1"], depends_on=(above.unique_id, regions.unique_id))
    chain = Manifest(versions.metadata, {**versions.nodes, above.unique_id: above, below.unique_id: below})
    assert Readers(chain).of("model.versions.customers.v2")[0] == (
        "model customers.v1",
        "model customers.v3",
        "model regions",
    )


def test_a_model_whose_key_alone_refers_to_a_table_does_not_read_it() -> None:
    versions = Manifest.load(RECORDED / "versions" / "manifest.json")
    regions = versions.nodes["model.versions.regions"]
    (of_text,) = regions.raw["refs"]
    to = f"ref('{of_text['name']}', v={of_text['version']})"
    keyed = {**regions.raw, "constraints": [{"type": "foreign_key", "columns": ["id"], "to": to}]}
    alone = replace(regions, raw=keyed)
    both = replace(regions, raw={**keyed, "refs": [of_text, of_text]})
    for node, readers in ((alone, ()), (both, ("model regions",))):
        found = Readers(Manifest(versions.metadata, {**versions.nodes, node.unique_id: node}))
        assert found.of("model.versions.customers.v2") == (readers, ())


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ({"type": "dashboard", "label": "Sales, weekly", "url": "", "owner": {}}, "dashboard Sales, weekly"),
        ({"type": None, "owner": {"email": ["a@x", "b@x"]}, "url": None}, "exposure weekly (owner <a@x> <b@x>)"),
        ({"owner": None, "url": "https://x"}, "dashboard weekly (https://x)"),
    ],
)
def test_exposures_in_words(raw: dict[str, object], words: str) -> None:
    (weekly,) = [node for node in AFTER.nodes.values() if node.resource_type == "exposure"]
    said = replace(weekly, raw={**weekly.raw, **raw})
    assert Readers(Manifest(AFTER.metadata, {**AFTER.nodes, said.unique_id: said})).of(node_id("dropped"))[1] == (
        words,
    )
