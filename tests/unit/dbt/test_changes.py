"""What a change is, where no dbt is needed to tell; `tests/processes/dbt/test_changes.py` compares with dbt's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from artifact_folders import node

from dbx_cd import Manifest
from dbx_cd.dbt.changes import MODIFIED, NodeChange, change_queries, changes_between, renamed
from dbx_cd.dbt.code_read import variables_in
from dbx_cd.dbt.project_state import ProjectState

ORDERS = "model.shop.orders"


def macro(unique_id: str, sql: str, *calls: str) -> dict[str, Any]:
    _, package, name = unique_id.split(".")
    return {"name": name, "package_name": package, "macro_sql": sql, "depends_on": {"macros": list(calls)}}


def project(*nodes: dict[str, Any], dbt: str = "1.11.16", **macros: dict[str, Any]) -> Manifest:
    metadata = {"project_name": "shop", "dbt_version": dbt, "adapter_type": "databricks"}
    named = {f"macro.{name.replace('__', '.', 1)}": made for name, made in macros.items()}
    return Manifest.from_json({"metadata": metadata, "nodes": {n["unique_id"]: n for n in nodes}, "macros": named})


def orders(*calls: str, **more: Any) -> dict[str, Any]:
    given = {"relation": "prod.shop.orders", "raw_code": "select 1", "package_name": "shop"}
    return node(ORDERS, **{**given, **more}) | {"depends_on": {"macros": list(calls), "nodes": []}}


def change(old: ProjectState | Manifest, new: ProjectState | Manifest, *, modified: bool | None = True) -> NodeChange:
    """What happened to `orders`; `modified` is what dbt says of it, None where it refused."""
    states = (state if isinstance(state, ProjectState) else ProjectState(state) for state in (old, new))
    return changes_between(*states, {} if modified is None else {MODIFIED: [ORDERS] if modified else []})[ORDERS]


@pytest.mark.parametrize(
    ("package", "reason"),
    [("dbt", "macros of dbt 1.10.2 -> 1.11.16"), ("dbt_spark", "macros of dbt_spark 1.10.0 -> 1.12.7")],
)
def test_other_macros_of_dbt_s_own_packages_are_an_upgrade(package: str, reason: str) -> None:
    outer = macro("macro.dbt.day", "{{ inner() }}", f"macro.{package}.inner")
    old, new = (
        ProjectState(
            project(
                orders("macro.dbt.day"),
                dbt=version,
                dbt__day=outer,
                **{f"{package}__inner": macro("macro.x.inner", sql)},
            ),
            adapter_version=adapter,
        )
        for version, adapter, sql in (("1.10.2", "1.10.0", "1"), ("1.11.16", "1.12.7", "2"))
    )
    found = change(old, new)
    assert (found.change, found.reasons, found.must_build) == ("environment", (reason,), False)


@pytest.mark.parametrize("package", ["dbt", "shop"])
def test_what_a_build_says_that_it_called_while_it_ran_is_no_change(package: str) -> None:
    """The manifest of what is deployed is a build's, and that of the plan a parse's."""
    called = f"macro.{package}.get_limit"
    same = {f"{package}__get_limit": macro(called, "limit 1")}
    found = change(project(orders(called), **same), project(orders(), **same), modified=False)
    assert (found.change, found.reasons) == ("unchanged", ())


def test_other_macros_of_another_package_are_a_change_of_the_project() -> None:
    old, new = (
        project(orders("macro.dbt_utils.day"), dbt_utils__day=macro("macro.dbt_utils.day", sql)) for sql in "12"
    )
    found = change(old, new, modified=False)
    assert (found.change, found.reasons) == ("modified", ("macro dbt_utils.day",))


def test_upgrade_beside_a_change_is_a_change() -> None:
    old, new = (
        project(orders("macro.dbt.day", raw_code=code), dbt__day=macro("macro.dbt.day", code)) for code in ("1", "2")
    )
    assert change(old, new).change == "modified"


def configured(value: str, written: str) -> Manifest:
    return project(orders(config={"meta": value}, unrendered_config={"meta": written}))


def test_config_that_is_written_alike_has_its_value_from_an_environment() -> None:
    written = "{{ env_var('X') }}"
    found = change(configured("a", written), configured("b", written), modified=False)
    assert (found.change, found.reasons) == ("environment", ("config meta",))


def test_config_that_is_written_otherwise_is_a_change_where_no_files_are_there() -> None:
    assert change(configured("a", "a"), configured("b", "b")).change == "modified"


def test_config_that_reads_a_variable_of_another_value_is_a_change() -> None:
    written = "{{ var('day') }}"
    old, new = (ProjectState(configured(day, written), vars={"day": day}) for day in ("a", "b"))
    found = change(old, new, modified=False)
    assert (found.change, found.reasons) == ("modified", ("var day", "config meta"))


def test_relation_elsewhere_has_to_be_built_whatever_made_it_so() -> None:
    found = change(project(orders()), project(orders(relation="prod.other.orders")), modified=False)
    assert (found.change, found.must_build) == ("environment", True)
    assert found.reasons == ("relation `prod`.`shop`.`orders` -> `prod`.`other`.`orders`",)


def test_relation_that_a_macro_of_the_project_names_otherwise_is_a_change() -> None:
    named = [{"shop__generate_schema_name": macro("macro.shop.generate_schema_name", sql)} for sql in "12"]
    old, new = project(orders(), **named[0]), project(orders(relation="prod.other.orders"), **named[1])
    assert change(old, new, modified=False).change == "modified"


@pytest.mark.parametrize("name", ["databricks__create_table_as", "get_merge_sql"])
def test_macro_of_the_project_in_the_place_of_one_of_dbt_is_behind_all_it_builds(name: str) -> None:
    of_dbt = {f"dbt__{name}": macro(f"macro.dbt.{name}", "0")}
    old, new = (project(orders(), **of_dbt, **{f"shop__{name}": macro(f"macro.shop.{name}", sql)}) for sql in "12")
    found = change(old, new, modified=False)
    assert (found.change, found.reasons) == ("modified", (f"macro shop.{name}",))
    assert change(project(orders(), **of_dbt), new, modified=False).change == "modified"


def test_what_dbt_calls_modified_is_so_also_where_nothing_is_found() -> None:
    found = change(project(orders()), project(orders()))
    assert (found.change, found.reasons) == ("modified", ("state:modified",))


def test_what_dbt_does_not_call_modified_is_not_compared_again() -> None:
    old, new = project(orders()), project(orders(raw_code="select 2"))
    assert change(old, new, modified=False).change == "unchanged"
    assert change(old, new, modified=None).change == "modified"


def test_one_query_is_asked_and_dbt_may_refuse_it(tmp_path: Path) -> None:
    (query,) = change_queries(tmp_path).values()
    assert (query.selection.select, query.state_path, query.only_matched, query.may_fail) == (
        "state:modified", tmp_path, True, True,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("select var from t", set()),
        ("{{ var('a') }} {{ var(\"b\", 1) }} {% if var.has_var('c') %}", {"a", "b", "c"}),
        ("{{ var( 'a' , var('b') ) }}", {"a", "b"}),
        ("{{ variable('a') }} {{ my_var('b') }}", set()),
        ("{{ var('a' ~ x) }}", None),
        ("{{ var(name) }}", None),
        ("{% set v = var %}", None),
        ("{{ var('a') }} {% set v = var %}", None),
    ],
)
def test_names_of_variables_are_read_or_may_be_any(text: str, names: set[str] | None) -> None:
    assert variables_in(text) == names


def test_variables_are_those_of_the_project_then_of_the_package_and_first_what_dbt_is_given(tmp_path: Path) -> None:
    package = tmp_path / "dbt_packages" / "parcels"
    package.mkdir(parents=True)
    (tmp_path / "dbt_project.yml").write_text("name: shop\nvars: {a: 1, b: 1, c: 1, parcels: {b: 2, c: 2}}\n")
    (package / "dbt_project.yml").write_text("name: parcels\nvars: {a: 3, d: 3, parcels: {d: 4}}\n")
    found = ProjectState(project(), tmp_path, {"c": 5}).variables("parcels")
    assert {name: found[name] for name in "abcd"} == {"a": "1", "b": "2", "c": "5", "d": "4"}


def test_variables_may_be_in_a_file_of_their_own(tmp_path: Path) -> None:
    """dbt-core 1.12."""
    (tmp_path / "dbt_project.yml").write_text("name: shop\n")
    (tmp_path / "vars.yml").write_text("vars: {a: 1}\n")
    assert ProjectState(project(), tmp_path).variables("shop") == {"a": "1"}


def content(name: str, *, of: str, relation: str | None = None) -> dict[str, Any]:
    checksum = {"name": "sha256", "checksum": of}
    return node(f"model.shop.{name}", relation=relation or f"prod.shop.{name}", raw_code=of, checksum=checksum)


def test_node_goes_on_under_another_id_by_its_relation_or_its_content() -> None:
    old = project(content("a", of="x"), content("b", of="y"), content("stays", of="z"))
    new = project(content("c", of="x"), content("d", of="w", relation="prod.shop.b"), content("stays", of="z"))
    assert renamed(old, new) == (("model.shop.a", "model.shop.c"), ("model.shop.b", "model.shop.d"))


def test_no_node_goes_on_where_more_than_one_may_be_meant() -> None:
    old, new = project(content("a", of="x"), content("b", of="x")), project(content("c", of="x"))
    assert renamed(old, new) == ()
    assert renamed(new, old) == ()


def test_empty_files_are_not_of_one_content() -> None:
    assert renamed(project(content("a", of="")), project(content("c", of=""))) == ()
