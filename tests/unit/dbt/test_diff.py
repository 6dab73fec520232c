"""What changed between manifests that dbt has written: `compared` in two environments, and before and after an edit."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import Any

import pytest
from artifact_folders import manifest, node

from dbx_cd import ArtifactDiff, ArtifactError, Manifest
from dbx_cd.dbt.catalog import load_catalog
from dbx_cd.dbt.diff import diff_manifests
from dbx_cd.dbt.node_diff import CodeDiff, ColumnChange, ConfigChange, NodeDiff
from recorded_dbt import RECORDED

CUSTOMERS, ORDERS, TOTALS = (f"model.compared.{name}" for name in ("customers", "orders", "totals"))


def recorded(name: str) -> Manifest:
    return Manifest.load(RECORDED / name / "manifest.json")


def compared(old: str, new: str, *, catalogs: bool = True) -> ArtifactDiff:
    of = {
        f"{side}_catalog": load_catalog(RECORDED / name / "catalog.json") if catalogs else None
        for side, name in (("old", old), ("new", new))
    }
    return diff_manifests(recorded(old), recorded(new), **of)


@pytest.fixture(scope="module")
def edited() -> ArtifactDiff:
    return compared("compared", "compared_after", catalogs=False)


def of(diff: ArtifactDiff, unique_id: str) -> NodeDiff:
    return next(found for found in diff.nodes if found.unique_id == unique_id)


def test_nodes_that_came_went_and_changed_are_named(edited: ArtifactDiff) -> None:
    def built(ids: tuple[str, ...]) -> list[str]:
        return [i for i in ids if not i.startswith("test.")]

    assert built(edited.added) == ["model.compared.new_report"]
    assert built(edited.removed) == ["model.compared.old_report"]
    assert built(edited.modified) == [
        *("exposure.compared.dashboard", CUSTOMERS, ORDERS),
        *("model.compared.sites_seen", TOTALS, "seed.compared.sites"),
    ]
    assert str(edited) == "4 added, 4 removed, 6 modified"


@pytest.mark.parametrize("catalogs", [False, True])
@pytest.mark.parametrize("pair", [("compared", "compared_in_prod"), ("versions_before", "versions_before_in_prod")])
def test_two_environments_of_a_project_are_the_same(pair: tuple[str, str], catalogs: bool) -> None:
    diff = compared(*pair, catalogs=catalogs and pair[0] == "compared")
    assert (str(diff), diff.nodes, diff.macros) == ("0 added, 0 removed, 0 modified", (), ())


def test_environments_differ_in_the_names_that_are_left_out() -> None:
    """Else the test above would prove nothing: other catalog, schema and compiled code, and another materialization."""
    sides = [recorded(name) for name in ("compared", "compared_in_prod")]
    names = [side.nodes["model.compared.latest_totals"] for side in sides]
    keys = [side.nodes["model.compared.visits"].raw["constraints"][0]["to"] for side in sides]
    assert keys == ["`stg`.`recorded`.`places`", "`prod`.`recorded_finance`.`places`"]
    for key in ("database", "schema", "compiled_code", "relation_name"):
        assert names[0].raw[key] != names[1].raw[key]
    assert [n.materialized for n in names] == ["view", "table"]


def test_config_that_an_environment_makes_of_the_same_words_is_said_and_is_no_modification() -> None:
    assert compared("compared", "compared_in_prod").by_environment == ("model.compared.latest_totals",)


def test_documented_columns_and_the_contract_of_a_model(edited: ArtifactDiff) -> None:
    customers = of(edited, CUSTOMERS)
    assert customers.columns == (ColumnChange("id", "bigint", "int"), ColumnChange("segment", None, "string"))
    assert customers.contract == "changed"
    assert of(edited, "model.compared.sites_seen").contract == "removed"
    assert of(compared("compared_after", "compared"), "model.compared.sites_seen").contract == "added"


def test_columns_come_from_the_catalogs_where_both_have_them(edited: ArtifactDiff) -> None:
    assert of(edited, ORDERS).columns == ()
    assert of(compared("compared", "compared_after"), ORDERS).columns == (
        ColumnChange("amount", "decimal(10,2)", "decimal(12,2)"),
    )


def test_type_of_a_column_that_one_catalog_alone_knows_is_not_compared_with_what_is_documented() -> None:
    old, new = recorded("compared"), recorded("compared")
    catalog = load_catalog(RECORDED / "compared" / "catalog.json")
    fewer = {key: value for key, value in catalog.items() if key != ORDERS}
    assert str(diff_manifests(old, new, old_catalog=catalog, new_catalog=fewer)) == "0 added, 0 removed, 0 modified"


def test_tests_are_told_with_what_they_are_about(edited: ArtifactDiff) -> None:
    assert of(edited, CUSTOMERS).tests == ("+ not_null(id)",)
    before, after = 'accepted_values(status, values=["open", "closed"])', '"late"])'
    assert of(edited, TOTALS).tests == ("- unique(site_id)", f"~ {before} → {before[:-2]}, {after}")
    assert not [diff for diff in edited.nodes if diff.unique_id.startswith("test.")]


def test_edges_and_config_of_a_model(edited: ArtifactDiff) -> None:
    totals = of(edited, TOTALS)
    assert (totals.parents_added, totals.parents_removed) == ((CUSTOMERS,), ())
    assert totals.config == (ConfigChange("materialized", '"table"', '"view"'),)
    back = of(compared("compared_after", "compared"), TOTALS)
    assert (back.parents_added, back.parents_removed) == ((), (CUSTOMERS,))


def test_macro_that_a_model_uses_through_another_is_seen(edited: ArtifactDiff) -> None:
    assert of(edited, ORDERS).macros == ("macro.compared.rounded",)
    (macro,) = edited.macros
    assert (macro.unique_id, macro.change, macro.nodes) == ("macro.compared.rounded", "modified", (ORDERS,))
    assert "+{% macro rounded(column) %}cast({{ column }} as decimal(12, 2)){% endmacro %}" in macro.sql.lines


def test_seed_whose_file_changed_is_modified(edited: ArtifactDiff) -> None:
    assert of(edited, "seed.compared.sites").others == ("its file",)


def test_exposure_that_reads_something_else_is_modified(edited: ArtifactDiff) -> None:
    assert of(edited, "exposure.compared.dashboard").parents_added == ("model.compared.new_report",)


def test_code_is_a_unified_diff(edited: ArtifactDiff) -> None:
    assert of(edited, CUSTOMERS).sql.lines == (
        "@@ -1 +1 @@",
        "-select id, concat('c', id) as name from range(5)",
        "+select cast(id as int) as id, concat('c', id) as name, 'new' as segment from range(5)",
    )


def test_alias_that_moves_from_one_version_of_a_model_to_another_is_a_change() -> None:
    diff = diff_manifests(recorded("versions_before"), recorded("versions"))
    assert diff.modified == tuple(f"model.versions.customers.v{n}" for n in (1, 2, 3))
    assert [c.key for c in of(diff, diff.modified[0]).config] == ["alias"]
    assert [of(diff, i).others for i in diff.modified] == [("its latest version",)] * 3


def test_model_whose_ref_means_another_version_now_is_shown_and_is_not_modified() -> None:
    diff = diff_manifests(recorded("versions_before"), recorded("versions"))
    regions = of(diff, "model.versions.regions")
    assert (regions.change, diff.by_environment) == ("unchanged", ("model.versions.regions",))
    assert regions.parents_added == ("model.versions.customers.v2",)
    assert regions.parents_removed == ("model.versions.customers.v1",)


def changed(old: dict[str, Any], new: dict[str, Any]) -> ArtifactDiff:
    """What is different between a model with the first fields and one with the others."""
    sides = [Manifest.from_json(manifest(node("model.shop.orders", relation="a.b.c", **more))) for more in (old, new)]
    return diff_manifests(sides[0], sides[1])


def test_alias_that_the_code_makes_of_the_target_is_no_change() -> None:
    """dbt has the values of a config call rendered, in `unrendered_config` too."""
    code = "{{ config(alias=target.name ~ '_orders') }} select 1"
    sides = [{"raw_code": code, "config": {"alias": a}, "unrendered_config": {"alias": a}} for a in ("stg_o", "prod_o")]
    assert changed(*sides).modified == ()


def test_config_that_the_code_makes_of_the_target_is_said_and_is_no_modification() -> None:
    code = "{{ config(materialized='table' if target.name == 'prod' else 'view') }} select 1"
    sides = [{"raw_code": code, "config": {"materialized": m}} for m in ("view", "table")]
    diff = changed(*sides)
    assert (diff.modified, diff.by_environment) == ((), ("model.shop.orders",))


@pytest.mark.parametrize("empty", [None, "", [], {}, {"meta": {}, "tags": []}])
def test_key_that_a_newer_dbt_writes_and_that_is_empty_is_no_change(empty: object) -> None:
    assert changed({"config": {}}, {"config": {"static": empty}}).modified == ()
    assert changed({"columns": {"id": {}}}, {"columns": {"id": {"config": empty}}}).modified == ()


def test_config_that_is_off_is_not_empty() -> None:
    assert changed({"config": {}}, {"config": {"enabled": False}}).modified == ("model.shop.orders",)


def test_long_code_is_shown_in_part_and_the_rest_counted() -> None:
    code = "\n".join(f"select {n}" for n in range(1000))
    (diff,) = changed({"raw_code": code}, {"raw_code": code.replace("select", "SELECT")}).nodes
    assert (len(diff.sql.lines), diff.sql.left_out) == (200, 1801)
    assert "(1801 more lines)" in changed({"raw_code": ""}, {"raw_code": "x\n" * 2000}).text()


def test_code_of_many_nodes_together_is_bounded() -> None:
    sides = [
        Manifest.from_json(manifest(*(node(f"model.shop.m{n}", raw_code=f"{word}\n" * 300) for n in range(100))))
        for word in ("old", "new")
    ]
    diff = diff_manifests(sides[0], sides[1])
    assert len(diff.nodes) == 100
    assert sum(len(found.sql.lines) for found in diff.nodes) == 2000
    assert all(len(found.sql.lines) + found.sql.left_out == 601 for found in diff.nodes)


def test_macros_of_dbt_itself_are_an_upgrade_and_change_no_node() -> None:
    def side(version: str, sql: str) -> Manifest:
        document = manifest(node("model.shop.orders", depends_on=()) | {"depends_on": {"macros": ["macro.dbt.ref"]}})
        document["metadata"]["dbt_version"] = version
        macros = {"macro.dbt.ref": {"unique_id": "macro.dbt.ref", "package_name": "dbt", "macro_sql": sql}}
        return Manifest.from_json(document | {"macros": macros})

    diff = diff_manifests(side("1.10.1", "a"), side("1.11.0", "b"))
    assert (diff.modified, diff.macros) == ((), ())
    assert diff.by_dbt == "dbt 1.10.1 → 1.11.0; macros of dbt and its adapter that differ: 1"
    assert diff_manifests(side("1.11.0", "a"), side("1.11.0", "a")).by_dbt == ""


def test_source_that_points_to_another_table_is_modified() -> None:
    def side(**more: str) -> Manifest:
        source = {"unique_id": "source.shop.web.events", "resource_type": "source", "name": "events", **more}
        return Manifest.from_json(manifest(sources=[source]))

    a = {"identifier": "events", "schema": "web", "database": "stg", "unrendered_schema": "web"}
    assert diff_manifests(side(**a), side(**a | {"database": "prod"})).modified == ()
    for other in ({"identifier": "events_v2"}, {"unrendered_schema": "web2"}):
        assert diff_manifests(side(**a), side(**a | other)).modified == ("source.shop.web.events",)


@pytest.mark.parametrize("to", ["ref('sites')", "`stg`.`shop`.`sites`", "prod.shop.sites"])
def test_foreign_key_is_compared_by_the_name_it_refers_to(to: str) -> None:
    def key(to: str) -> dict[str, Any]:
        return {"constraints": [{"type": "foreign_key", "name": None, "to": to, "to_columns": ["id"]}]}

    assert changed(key("`stg`.`shop`.`sites`"), key(to)).modified == ()
    (diff,) = changed(key("`stg`.`shop`.`places`"), key(to)).nodes
    assert diff.others == ("its constraints",)


def test_record_is_read_back_as_it_was_written(edited: ArtifactDiff) -> None:
    assert ArtifactDiff.from_dict(json.loads(json.dumps(edited.to_dict()))) == edited


def test_text_has_every_node_its_changes_and_its_code(edited: ArtifactDiff) -> None:
    lines = edited.text().splitlines()
    assert lines[0] == str(edited)
    assert {"+ model.compared.new_report", "- model.compared.old_report", f"~ {TOTALS}"} <= set(lines)
    assert "    + column segment string" in lines
    assert "    ~ column id: bigint → int" in lines
    assert "    -  site_id," in lines


class Spans(HTMLParser):
    """The text of every `span`, by its class."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.of: dict[str, list[str]] = {}
        self.folds = 0
        self._inside: list[str] = []
        self.feed(markup)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.folds += tag == "details"
        if tag == "span":
            self._inside.append(dict(attrs).get("class") or "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "span":
            self._inside.pop()

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.of.setdefault(self._inside[-1], []).append(data)


def test_page_marks_what_came_and_went_by_a_sign_and_not_by_colour_alone(edited: ArtifactDiff) -> None:
    seen = Spans(edited.to_html())
    assert seen.folds == len(edited.nodes) + len(edited.macros)
    assert "+select cast(id as int) as id, concat('c', id) as name, 'new' as segment from range(5)" in seen.of["plus"]
    assert all(text.startswith("+") for text in seen.of["plus"])
    assert all(text.startswith("-") for text in seen.of["minus"])
    assert all(text.startswith("~") for text in seen.of["changed"])
    assert {"+ model.compared.new_report", "+ test not_null(id)"} <= set(seen.of["plus"])


def test_hostile_code_stays_text() -> None:
    code = "<script>alert(1)</script>"
    page = changed({"raw_code": ""}, {"raw_code": code}).to_html()
    assert "<script" not in page
    assert f"+{code}" in Spans(page).of["plus"]


def test_file_of_which_the_line_endings_alone_changed_is_modified_and_has_no_lines_to_show() -> None:
    sides = [{"raw_code": code, "checksum": {"checksum": code}} for code in ("a\r\nb", "a\nb")]
    (diff,) = changed(*sides).nodes
    assert (diff.others, diff.sql) == (("its file",), CodeDiff())


@pytest.mark.parametrize("content", ["{}", '{"nodes": {"a": {}}}', '{"nodes": 3}'])
def test_malformed_catalog_is_named(tmp_path, content: str) -> None:
    (tmp_path / "catalog.json").write_text(content)
    with pytest.raises(ArtifactError, match="not a dbt catalog"):
        load_catalog(tmp_path / "catalog.json")
