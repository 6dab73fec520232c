"""The guard: what of production refers to staging, on tables in memory."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dbx_cd.dbt.artifacts import Manifest
from dbx_cd.delta.tables import CatalogSettings, Constraint
from dbx_cd.delta.view_reading import ViewReading
from dbx_cd.errors import SqlFailed
from dbx_cd.plan.leaks import Leak, StagingNames, find_leaks
from dbx_cd.relations import RelationName
from memory.tables import MemoryTables

STAGING = StagingNames(
    relations=frozenset(["shared.shop.x"]), schemas=frozenset(["stg.shop"]), functions=frozenset(["shared.shop.masked"])
)
X = "stg.shop.x"
NO_SETTINGS = CatalogSettings(keys=(), row_filter="", column_masks={})


def name(text: str) -> RelationName:
    return RelationName.parse(text)


def prod(identifier: str) -> RelationName:
    return RelationName("prod", "shop", identifier)


@pytest.fixture
def tables() -> MemoryTables:
    tables = MemoryTables()
    tables.create(name(X), 1)
    tables.create(prod("t"), 1)
    return tables


def view(tables: MemoryTables, identifier: str, text: str, **reading: object) -> None:
    tables.create_view(
        prod(identifier), text=text, columns=(), comment=None, properties={}, reading=ViewReading(**reading)  # type: ignore[arg-type]
    )  # fmt: skip


def settings(tables: MemoryTables, identifier: str, **changed: object) -> None:
    tables.catalog_settings[prod(identifier).key] = replace(NO_SETTINGS, **changed)  # type: ignore[arg-type]


def found(tables: MemoryTables, *identifiers: str, functions: tuple[str, ...] = ()) -> list[str]:
    leaks = find_leaks(tables, [prod(i) for i in identifiers], staging=STAGING, functions=[prod(f) for f in functions])
    return [str(leak) for leak in leaks]


def manifest(target: str) -> Manifest:
    """A model of the target's own, and one that is the same relation in every target."""
    models = (("own", target, "Shop"), ("same", "lake", "shop"), ("apart", "lake", target))
    nodes = {
        f"model.shop.{identifier}": {
            "unique_id": f"model.shop.{identifier}", "name": identifier, "resource_type": "model", "database": catalog,
            "schema": schema, "relation_name": "x", "config": {"materialized": "table"},
        }
        for identifier, catalog, schema in models
    }  # fmt: skip
    function = {
        "unique_id": "function.shop.f", "name": "f", "resource_type": "function", "database": target, "schema": "udf",
    }  # fmt: skip
    return Manifest.from_json({"metadata": {}, "nodes": nodes, "functions": {"function.shop.f": function}})


def test_what_both_environments_build_is_not_staging_s() -> None:
    names = StagingNames.of(manifest("stg"), manifest("prod"))
    assert names == StagingNames(
        relations=frozenset(["stg.shop.own", "lake.stg.apart"]),
        schemas=frozenset(["stg.shop", "lake.stg", "stg.udf"]),
        functions=frozenset(["stg.udf.f"]),
    )
    assert names.catalogs == {"stg", "lake"}
    assert [names.has(name(n)) for n in ("STG.shop.own", "stg.shop.other", "lake.shop.same", "prod.shop.own")] == [
        True, True, False, False,
    ]  # fmt: skip


def test_what_refers_to_production_alone_leaks_nothing(tables: MemoryTables) -> None:
    view(tables, "v", "SELECT 'stg.shop.x' AS a FROM prod.shop.t -- JOIN stg.shop.x")
    assert found(tables, "v", "t", "not_there") == []


def test_a_view_over_staging_leaks(tables: MemoryTables) -> None:
    view(tables, "v", "SELECT * FROM prod.shop.t JOIN `STG`.`shop`.`x`")
    (leak,) = find_leaks(tables, [prod("v")], staging=STAGING)
    assert leak == Leak("prod.shop.v", "view", "view text", (), X)
    assert leak.is_certain
    assert str(leak) == "prod.shop.v reads stg.shop.x (view text)"


def test_a_leak_is_found_through_any_number_of_views(tables: MemoryTables) -> None:
    view(tables, "v0", "SELECT * FROM stg.shop.x")
    for n in range(1, 9):
        view(tables, f"v{n}", f"SELECT * FROM prod.shop.v{n - 1} JOIN prod.shop.v{n // 2}")
    assert found(tables, "v8") == [
        "prod.shop.v8 reads stg.shop.x through prod.shop.v4, prod.shop.v2, prod.shop.v1, prod.shop.v0 (view text)"
    ]


def test_a_relation_named_in_a_schema_of_staging_is_staging_s_whatever_made_the_name(tables: MemoryTables) -> None:
    view(tables, "v", "SELECT * FROM stg.shop.nobody_knows_me JOIN shared.shop.x JOIN shared.shop.other")
    assert found(tables, "v") == [
        "prod.shop.v reads shared.shop.x (view text)",
        "prod.shop.v reads stg.shop.nobody_knows_me (view text)",
    ]


def test_names_of_one_part_are_read_where_the_view_is(tables: MemoryTables) -> None:
    view(tables, "v", "SELECT * FROM x", namespace=("stg", "shop"))
    view(tables, "w", "SELECT * FROM x JOIN shop.x", namespace=("prod", "shop"))
    assert found(tables, "v", "w") == ["prod.shop.v reads stg.shop.x (view text)"]


def test_views_that_read_each_other_end(tables: MemoryTables) -> None:
    view(tables, "v", "SELECT * FROM prod.shop.w")
    view(tables, "w", "SELECT * FROM prod.shop.v JOIN stg.shop.x")
    assert found(tables, "v") == ["prod.shop.v reads stg.shop.x through prod.shop.w (view text)"]


def test_a_text_that_cannot_be_parsed_says_so(tables: MemoryTables) -> None:
    view(tables, "v", "TABLE stg.shop.x")
    assert found(tables, "v") == [
        "prod.shop.v reads stg.shop.x (view text): the text could not be parsed, so every name in it counts"
    ]


def test_a_function_s_body_leaks_and_so_does_a_view_that_calls_it(tables: MemoryTables) -> None:
    tables.function(prod("f"), "(SELECT max(id) FROM stg.shop.x)")
    tables.function(prod("g"), "f(1) + prod.shop.f(2)")
    tables.function(prod("python"), "spark.table('stg.shop.x')", language="PYTHON")
    view(tables, "v", "SELECT prod.shop.g(), prod.shop.python() FROM prod.shop.t")
    view(tables, "w", "SELECT f(id), count(*) FROM prod.shop.t", namespace=("prod", "shop"))
    view(tables, "elsewhere", "SELECT f(id) FROM prod.shop.t", namespace=("prod", "other"))
    assert found(tables, "v", "w", "elsewhere", functions=("f",)) == [
        "prod.shop.v reads stg.shop.x through prod.shop.g, prod.shop.f (function)",
        "prod.shop.w reads stg.shop.x through prod.shop.f (function)",
        "prod.shop.f reads stg.shop.x (function)",
    ]


def test_staging_s_functions_are_staging_s(tables: MemoryTables) -> None:
    view(tables, "v", "SELECT stg.shop.f(id), shared.shop.masked(id) FROM prod.shop.t")
    assert found(tables, "v") == [
        "prod.shop.v reads shared.shop.masked (function)",
        "prod.shop.v reads stg.shop.f (function)",
    ]


def test_a_foreign_key_leaks_and_whoever_reads_its_table_does_not(tables: MemoryTables) -> None:
    keys = (
        Constraint("t_pk", "PRIMARY KEY", ("id",)),
        Constraint("t_x", "FOREIGN KEY", ("id",), "stg.shop.x_pk", parent=X),
        Constraint("t_u", "FOREIGN KEY", ("id",), "prod.shop.u_pk", parent="prod.shop.u"),
    )
    settings(tables, "t", keys=keys)
    view(tables, "u", "SELECT * FROM prod.shop.t")
    assert found(tables, "t", "u") == ["prod.shop.t refers to stg.shop.x (foreign key)"]


def test_a_foreign_key_says_nothing_of_what_its_parent_refers_to(tables: MemoryTables) -> None:
    tables.clone(prod("c"), name(X))
    key = Constraint("t_c", "FOREIGN KEY", ("id",), "prod.shop.c_pk", parent="prod.shop.c")
    settings(tables, "t", keys=(key,))
    assert found(tables, "t", "c") == ["prod.shop.c has files of stg.shop.x (clone)"]


def test_a_foreign_key_whose_table_is_hidden_is_known_by_the_schema_of_its_key(tables: MemoryTables) -> None:
    keys = [
        Constraint("t_x", "FOREIGN KEY", ("id",), "stg.shop.x_pk"),
        Constraint("t_y", "FOREIGN KEY", ("id",), "raw.shop.y_pk"),
    ]
    settings(tables, "t", keys=tuple(keys))
    view(tables, "u", "SELECT * FROM prod.shop.t")
    assert found(tables, "t", "u") == [
        "prod.shop.t refers to stg.shop.x_pk (foreign key): this is the name of the key; its table is not shown to "
        "this user",
        "prod.shop.t may refer to staging, for the table of the key raw.shop.y_pk cannot be read: it is not shown to "
        "this user",
    ]


def test_a_shallow_clone_has_files_of_what_it_was_cloned_from_last(tables: MemoryTables) -> None:
    tables.clone(prod("c"), prod("t"))
    assert found(tables, "c") == []
    content = tables.table(prod("c")).now
    tables.table(prod("c")).commit("CLONE", content, source=X)
    tables.table(prod("c")).commit("WRITE", content, mode="Append")
    view(tables, "v", "SELECT * FROM prod.shop.c")
    assert found(tables, "c", "v") == [
        "prod.shop.c has files of stg.shop.x (clone)",
        "prod.shop.v reads stg.shop.x through prod.shop.c (view text)",
    ]


def test_a_clone_that_does_not_tell_its_source_cannot_be_read(tables: MemoryTables) -> None:
    tables.clone(prod("c"), prod("t"))
    table = tables.table(prod("c"))
    table.commits = [replace(c, parameters={"source": "delta.`/x`"}) for c in table.commits]
    (leak,) = find_leaks(tables, [prod("c")], staging=STAGING)
    assert (leak.through, leak.is_certain, leak.kind) == ("cannot be read", False, "table")
    assert leak.reason == "its history says delta./x of it"


def test_a_table_that_was_a_clone_and_is_none_leaks_nothing(tables: MemoryTables) -> None:
    tables.table(prod("t")).commit("CLONE", tables.table(prod("t")).now, source=X)
    assert found(tables, "t") == []


def test_masks_and_filters_leak_by_their_functions(tables: MemoryTables) -> None:
    tables.function(prod("mine"), "id IN (SELECT id FROM stg.shop.x)")
    settings(tables, "t", row_filter="prod.shop.mine on (id)", column_masks={"a": "stg.shop.mask using (b)", "b": "n"})
    tables.function(prod("n"), "1")
    view(tables, "v", "SELECT * FROM prod.shop.t")
    assert found(tables, "t", "v") == [
        "prod.shop.t reads stg.shop.mask (column mask)",
        "prod.shop.t reads stg.shop.x through prod.shop.mine (row filter)",
        "prod.shop.v reads stg.shop.mask through prod.shop.t (view text)",
        "prod.shop.v reads stg.shop.x through prod.shop.t, prod.shop.mine (view text)",
    ]


def test_a_default_leaks_by_what_it_calls(tables: MemoryTables) -> None:
    tables.function(prod("next"), "(SELECT max(id) + 1 FROM stg.shop.x)")
    tables.default(prod("t"), "id", "next() + abs(-1)")
    tables.default(prod("t"), "a", "stg.shop.f('prod.shop.t')")
    view(tables, "v", "SELECT * FROM prod.shop.t")
    assert found(tables, "t", "v") == [
        "prod.shop.t reads stg.shop.f (default)",
        "prod.shop.t reads stg.shop.x through prod.shop.next (default)",
    ]


def test_what_cannot_be_read_is_told(tables: MemoryTables) -> None:
    view(tables, "hidden_text", "SELECT 1")
    tables.hidden_texts.add("prod.shop.hidden_text")
    tables.hidden.add("raw.other.t")
    tables.function(prod("closed"), None)
    view(tables, "v", "SELECT prod.shop.closed(), prod.shop.unknown() FROM prod.shop.hidden_text JOIN raw.other.t")
    view(tables, "w", "SELECT * FROM delta.`/x/stg` JOIN identifier('stg.' || current_user())")
    view(tables, "fine", "SELECT * FROM stg.shop.x")
    leaks = find_leaks(tables, [prod("v"), prod("w"), prod("fine")], staging=STAGING)
    told = {leak.refers_to: (leak.relation, leak.path, leak.reason) for leak in leaks if not leak.is_certain}
    not_owner = "is not shown to this user, who does not own it"
    assert told == {
        "prod.shop.hidden_text": ("prod.shop.v", (), f"its text {not_owner}"),
        "raw.other.t": (
            "prod.shop.v", (), "raw.other.t exists, but information_schema does not show it to this user"
        ),
        "prod.shop.closed": ("prod.shop.v", (), f"its body {not_owner}"),
        "prod.shop.unknown": ("prod.shop.v", (), "the function is not shown to this user"),
        "delta./x/stg": ("prod.shop.w", (), "its files are read by their path"),
        "identifier(...)": ("prod.shop.w", (), "the text alone does not tell what it means"),
    }  # fmt: skip
    assert [str(leak) for leak in leaks if leak.is_certain] == ["prod.shop.fine reads stg.shop.x (view text)"]


def test_what_belongs_to_the_platform_is_not_asked_for(tables: MemoryTables) -> None:
    tables.hidden.add("system.access.audit")
    view(tables, "v", "SELECT * FROM system.access.audit JOIN prod.information_schema.tables")
    assert found(tables, "v") == []


def test_catalogs_that_refuse_to_name_functions_make_gaps_of_those_named(tables: MemoryTables) -> None:
    class Refusing(MemoryTables):
        def functions(self, catalog: str, names: object) -> dict[str, object]:  # type: ignore[override]
            raise SqlFailed("no")

    refusing = Refusing()
    view(refusing, "v", "SELECT raw.shop.f(1), count(*)")
    assert found(refusing, "v") == [
        "prod.shop.v may refer to staging, for raw.shop.f cannot be read: the function is not shown to this user"
    ]
