"""What a restore leaves different is named in the plan, in its result, and on the terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from dbx_cd import RestorePlan, plan_restore, restore
from dbx_cd.delta.tables import NOTHING_KNOWN, CatalogEntry, CatalogSettings, Column, Constraint, TableDetail
from dbx_cd.delta.view_reading import ViewReading
from dbx_cd.relations import RelationName
from dbx_cd.rollback.differences import left_by_recreation, left_by_restore, left_where_nothing_is_done
from dbx_cd.rollback.relation_state import Present, RelationState
from memory.releases import Releases, relation
from memory.tables import MemoryTables

A = relation("prod", "a")
SETTINGS = CatalogSettings(
    keys=(Constraint("pk", "PRIMARY KEY", ("id",)),),
    tags={"pii": "yes"},
    column_tags={"id.pii": "no"},
    grants=("SELECT to analysts",),
    owner="ann",
    row_filter="",
    column_masks={},
)
DETAIL = TableDetail("t", properties={"delta.appendOnly": "true"}, clustered_by=("id",), features=("appendOnly",))
BEFORE = RelationState("prod.shop.a", "table", detail=DETAIL, settings=SETTINGS, columns=(Column("id", "int"),))
ENTRY = CatalogEntry("table", columns=(Column("id", "int"),))
NOW = Present(ENTRY, detail=DETAIL, settings=SETTINGS)


def test_nothing_is_named_where_nothing_differs() -> None:
    assert left_by_restore(BEFORE, NOW) == left_where_nothing_is_done(BEFORE, NOW) == ()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"keys": ()}, ["primary key pk (id) is gone"]),
        (
            {"keys": (Constraint("pk", "PRIMARY KEY", ("other",)),)},
            ["primary key pk (id) is gone", "primary key pk (other) is new, and stays"],
        ),
        ({"tags": {}}, ["tag pii is not there, was 'yes'"]),
        ({"tags": {"pii": "yes", "new": ""}}, ["tag new is '', was not there"]),
        ({"column_tags": {"id.pii": "yes"}}, ["column tag id.pii is 'yes', was 'no'"]),
        ({"grants": ()}, ["grant of SELECT to analysts is gone, or not shown to this user"]),
        ({"grants": ("SELECT to all", "SELECT to analysts")}, ["grant of SELECT to all is new, and stays"]),
        ({"owner": "bob"}, ["owner is bob, was ann"]),
        ({"row_filter": "f"}, ["row filter is f, was none"]),
        ({"column_masks": {"id": "hide"}}, ["column mask on id is 'hide', was not there"]),
    ],
)
def test_what_the_catalog_keeps_is_named_whatever_is_done(change: dict[str, object], named: list[str]) -> None:
    now = replace(NOW, settings=replace(SETTINGS, **change))  # type: ignore[arg-type]
    assert list(left_by_restore(BEFORE, now)) == named
    assert list(left_where_nothing_is_done(BEFORE, now)) == named


def test_what_is_not_known_is_no_difference() -> None:
    assert left_by_restore(BEFORE, replace(NOW, settings=NOTHING_KNOWN, detail=None)) == ()
    assert left_by_restore(replace(BEFORE, settings=NOTHING_KNOWN, detail=None), NOW) == ()


def test_the_protocol_stays_upgraded_after_a_restore() -> None:
    now = replace(NOW, detail=replace(DETAIL, writer_version=7, features=("appendOnly", "deletionVectors")))
    assert left_by_restore(BEFORE, now) == (
        "protocol is reader 1 and writer 7, was reader 1 and writer 2",
        "table feature deletionVectors is new, and stays",
    )


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda d: replace(d, properties={}), "property delta.appendOnly is not there, was 'true'"),
        (lambda d: replace(d, clustered_by=("v",)), "clustered by v, was by id"),
        (lambda d: replace(d, partitioned_by=("v",)), "partitioned by v, was by nothing"),
    ],
)
def test_what_restore_would_bring_back_is_named_only_where_it_is_not_run(
    change: Callable[[TableDetail], TableDetail], named: str
) -> None:
    now = replace(NOW, detail=change(DETAIL))
    assert left_by_restore(BEFORE, now) == ()
    assert left_where_nothing_is_done(BEFORE, now) == (named,)


def test_comments_and_columns_are_named_where_restore_is_not_run() -> None:
    entry = replace(ENTRY, comment="other", columns=(Column("id", "int", comment="the id"), Column("v", "int")))
    assert left_where_nothing_is_done(BEFORE, replace(NOW, entry=entry)) == (
        "comment is 'other', was 'none'",
        "columns differ: id, v",
    )


def test_the_plan_its_page_and_the_result_name_what_will_not_be_as_it_was(tmp_path: Path) -> None:
    releases = Releases(tmp_path)
    releases.tables.create(A, 1)
    releases.tables.catalog_settings[A.key] = SETTINGS

    def change() -> None:
        releases.tables.insert(A, 2)
        releases.tables.catalog_settings[A.key] = replace(SETTINGS, tags={})

    release, cd = releases.changed(["a"], change), releases.cd()
    plan = plan_restore(cd, release)
    named = "tag pii is not there, was 'yes'"
    assert [i.differences for i in plan.items] == [(named,)]
    assert f"not as it was: {named}" in plan.text
    assert "tag pii is not there" in plan.to_html()
    assert RestorePlan.from_dict(plan.to_dict()) == plan
    releases.tables.catalog_settings[A.key] = replace(SETTINGS, tags={}, owner="bob")
    result = restore(cd, plan, seal=plan.seal)
    assert [r.differences for r in result.relations] == [(named, "owner is bob, was ann")], "it is looked at again"
    assert named in result.text
    assert "tag pii is not there" in result.to_html()


MAX_COLUMN = "delta.columnMapping.maxColumnId"


def left(then: dict[str, str], now: dict[str, str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    before = replace(BEFORE, detail=replace(DETAIL, properties=then))
    present = replace(NOW, detail=replace(DETAIL, properties=now))
    return left_by_restore(before, present), left_where_nothing_is_done(before, present)


def test_the_number_of_the_newest_column_stays_where_columns_stay_mapped() -> None:
    assert left({MAX_COLUMN: "2"}, {MAX_COLUMN: "3"})[0] == (f"property {MAX_COLUMN} is '3', was '2'",)
    assert left({}, {MAX_COLUMN: "3"})[0] == ()


def test_a_property_that_stays_is_named_once_and_others_only_where_nothing_is_done() -> None:
    name = "delta.rowTracking.materializedRowIdColumnName"
    named = f"property {name} is 'x', was not there"
    assert left({}, {name: "x"}) == ((named,), (named,))
    assert left({}, {"a": "b"}) == ((), ("property a is 'b', was not there",))


def test_in_commit_timestamps_that_are_turned_on_again_have_another_beginning() -> None:
    on, off = {"delta.enableInCommitTimestamps": "true"}, {"delta.enableInCommitTimestamps": "false"}
    before, now = replace(BEFORE, detail=replace(DETAIL, properties=on)), replace(NOW, properties=off)
    assert [d for d in left_by_restore(before, now) if "inCommitTimestampEnablement" in d] != []
    assert left_by_restore(before, replace(NOW, properties=on)) == ()


@pytest.mark.parametrize("reading", [None, ViewReading(("prod", "shop"))], ids=["older record", "hidden"])
def test_settings_under_which_a_view_was_read_are_named_where_nobody_knows_them(reading: ViewReading | None) -> None:
    view = RelationState("prod.shop.v", "view", "VIEW", view_reading=reading)
    assert [d.split(" are those of")[0] for d in left_by_recreation(view)] == [
        "SQL settings under which it is read (ANSI mode, time zone)"
    ]
    known = replace(view, view_reading=ViewReading(settings={"spark.sql.ansi.enabled": "true"}))
    assert left_by_recreation(known) == ()
    assert left_by_recreation(replace(view, kind="table")) == ()


def test_columns_of_a_view_that_have_other_types_when_it_is_made_again_are_named(tmp_path: Path) -> None:
    releases = Releases(tmp_path)
    tables, view = releases.tables, relation("prod", "v")
    tables.create(A, 1)
    make = {"text": f"SELECT id FROM {A.quoted}", "comment": None, "properties": {}}
    tables.create_view(view, columns=(Column("id", "string collate utf8_lcase"),), **make)  # type: ignore[arg-type]
    release, cd = releases.changed(["v"], lambda: tables.drop(view, kind="view")), releases.cd()
    plan = plan_restore(cd, release)

    class OfAnotherType(MemoryTables):
        def entries(self, relations: Sequence[RelationName]) -> dict[str, CatalogEntry]:
            found = super().entries(relations)
            return {
                k: replace(e, columns=tuple(replace(c, type="string") for c in e.columns)) for k, e in found.items()
            }

    retyping = OfAnotherType()
    retyping.relations = tables.relations
    (done,) = restore(replace(cd, tables=retyping), plan, seal=plan.seal).relations
    assert "column id is string, was string collate utf8_lcase" in done.differences


@pytest.mark.parametrize("side", ["whoever took the restore point", "whoever plans"])
def test_how_a_view_is_read_is_no_difference_where_only_one_of_two_users_is_told(tmp_path: Path, side: str) -> None:
    class Silent(MemoryTables):
        def view_reading(self, view: RelationName) -> ViewReading:
            return ViewReading(super().view_reading(view).namespace)

    releases = Releases(tmp_path)
    tables, view = releases.tables, relation("prod", "v")
    tables.create(A, 1)
    make = {"text": f"SELECT id FROM {A.quoted}", "columns": (Column("id", "bigint"),), "comment": None}
    ansi = ViewReading(schema_mode="BINDING", settings={"spark.sql.ansi.enabled": "true"})
    tables.create_view(view, reading=ansi, properties={}, **make)  # type: ignore[arg-type]
    silent = Silent()
    silent.relations = tables.relations
    told = {"point": tables, "plan": silent}
    if side == "whoever took the restore point":
        told = {"point": silent, "plan": tables}
    releases.tables = told["point"]
    release = releases.changed(["v"], lambda: tables.insert(A, 2))
    cd = replace(releases.cd(), tables=told["plan"])
    assert [i.reason for i in plan_restore(cd, release).items] == ["the view is as it was"]
    lenient = replace(ansi, schema_mode="EVOLUTION", namespace=("prod", "elsewhere"))
    tables.create_view(view, reading=lenient, properties={}, **make)  # type: ignore[arg-type]
    assert [i.reason for i in plan_restore(cd, release).items] != ["the view is as it was"]
