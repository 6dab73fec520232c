from __future__ import annotations

import json
from pathlib import Path

import pytest
from artifact_folders import manifest, node, run_results, write

from dbx_cd import ArtifactError, Manifest, RelationName
from dbx_cd.dbt.artifacts import NodeResult, RunResults
from dbx_cd.dbt.diff import diff_manifests
from dbx_cd.dbt.freshness import load_freshness

CUSTOMERS = node(
    "model.shop.stg_customers", relation="stg.shop.stg_customers", config={"materialized": "view"}, tags=["deploy"]
)
COUNTRIES = node("seed.shop.countries", relation="stg.raw.countries", config={"materialized": "seed"})
HISTORY = node("snapshot.shop.history", relation="stg.shop.history", config={"materialized": "snapshot"})
EPHEMERAL = node("model.shop.shortcut", config={"materialized": "ephemeral"})
ORDERS = node(
    "model.shop.orders",
    relation="Stg.Shop.order_facts",
    config={"materialized": "incremental"},
    depends_on=["model.shop.stg_customers"],
    columns={"id": {"name": "id"}},
    original_file_path="models/orders.sql",
)
UNIQUE = node(
    "test.shop.unique_orders_id",
    depends_on=["model.shop.orders"],
    test_metadata={"name": "unique", "kwargs": {"column_name": "id"}},
)
# dbt 1.11 gives sources an identifier, and no alias.
EVENTS = {
    "unique_id": "source.shop.web.events",
    "resource_type": "source",
    "name": "events",
    "relation_name": "`land`.`web`.`events_v2`",
    "database": "land",
    "schema": "web",
    "identifier": "events_v2",
}
PROJECT = manifest(CUSTOMERS, COUNTRIES, HISTORY, EPHEMERAL, ORDERS, UNIQUE, sources=[EVENTS])


@pytest.fixture
def project(tmp_path: Path) -> Manifest:
    return Manifest.load(write(tmp_path / "manifest.json", PROJECT))


def test_relations_are_those_of_models_seeds_and_snapshots_by_lower_case_name(project: Manifest) -> None:
    assert {key: n.unique_id for key, n in project.relations.items()} == {
        "stg.shop.stg_customers": "model.shop.stg_customers",
        "stg.raw.countries": "seed.shop.countries",
        "stg.shop.history": "snapshot.shop.history",
        "stg.shop.order_facts": "model.shop.orders",
    }


def test_relation_of_a_model_is_named_by_its_alias(project: Manifest) -> None:
    assert project.nodes["model.shop.orders"].relation == RelationName("Stg", "Shop", "order_facts")


def test_relation_of_a_source_is_named_by_its_identifier(project: Manifest) -> None:
    assert project.nodes["source.shop.web.events"].relation == RelationName("land", "web", "events_v2")


def test_ephemeral_model_builds_no_relation(project: Manifest) -> None:
    shortcut = project.nodes["model.shop.shortcut"]
    assert (shortcut.is_ephemeral, shortcut.builds_relation, shortcut.relation) == (True, False, None)


def test_what_the_project_says_of_a_node_is_read(project: Manifest) -> None:
    orders, customers = project.nodes["model.shop.orders"], project.nodes["model.shop.stg_customers"]
    assert (orders.materialized, orders.path, list(orders.columns)) == ("incremental", "models/orders.sql", ["id"])
    assert orders.depends_on == ("model.shop.stg_customers",)
    assert customers.tags == ("deploy",)


def test_arguments_of_a_generic_test_are_read(project: Manifest) -> None:
    test = project.nodes["test.shop.unique_orders_id"].test
    assert test is not None
    assert (test["name"], test["kwargs"]["column_name"]) == ("unique", "id")
    assert project.nodes["model.shop.orders"].test is None


def test_selecting_ids_keeps_their_order_and_drops_unknown_ones(project: Manifest) -> None:
    wanted = ["seed.shop.countries", "model.other.gone", "model.shop.orders"]
    assert [n.name for n in project.select(wanted)] == ["countries", "orders"]


def test_manifest_with_the_fewest_fields_is_read() -> None:
    found = Manifest.from_json({"metadata": {}, "nodes": {"model.a.b": node("model.a.b")}})
    only = found.nodes["model.a.b"]
    assert (only.tags, only.depends_on, only.columns, only.materialized, only.path) == ((), (), {}, "", "")
    assert found.project_name == ""


@pytest.mark.parametrize("field", ["config", "columns", "tags", "depends_on"])
def test_field_that_is_null_counts_as_empty(field: str) -> None:
    only = Manifest.from_json(manifest({**node("model.a.b"), field: None})).nodes["model.a.b"]
    assert not getattr(only, field)


def results(tmp_path: Path, **statuses: str) -> RunResults:
    return RunResults.load(write(tmp_path / "run_results.json", run_results(**statuses)))


@pytest.mark.parametrize("status", ["success", "pass", "warn", "no-op", "reused"])
def test_results_are_ok_with(tmp_path: Path, status: str) -> None:
    assert results(tmp_path, a="success", b=status).ok


@pytest.mark.parametrize("status", ["error", "fail", "runtime error", "partial success"])
def test_results_are_not_ok_with(tmp_path: Path, status: str) -> None:
    found = results(tmp_path, a="success", b=status)
    assert not found.ok
    assert [r.name for r in found.failed] == ["b"]


def test_node_skipped_because_of_another_did_not_fail_but_the_results_are_not_ok(tmp_path: Path) -> None:
    found = results(tmp_path, a="success", b="skipped")
    assert (found.ok, found.failed) == (False, ())


def test_result_has_name_type_and_message(tmp_path: Path) -> None:
    document = run_results(orders="error")
    document["results"][0] |= {"message": "Database Error", "execution_time": 1.5, "relation_name": "`a`.`b`.`c`"}
    only = RunResults.load(write(tmp_path / "run_results.json", document)).results[0]
    assert (only.name, only.resource_type, only.message, only.seconds) == ("orders", "model", "Database Error", 1.5)
    assert only.relation_name == "`a`.`b`.`c`"


def test_result_of_a_versioned_model_is_named_with_its_version() -> None:
    names = {
        "model.shop.people.v2": "people.v2",
        "model.shop.people": "people",
        "test.shop.unique_people_id.1360ecc70e": "unique_people_id",
    }
    assert {i: NodeResult(i, "error", 0.0).name for i in names} == names


def test_results_with_the_fewest_fields_are_read(tmp_path: Path) -> None:
    document = {"results": [{"unique_id": "operation", "status": "success"}]}
    found = RunResults.load(write(tmp_path / "run_results.json", document))
    assert (found.command, found.ok, found.results[0].name, found.results[0].seconds) == ("", True, "operation", 0.0)


def changed(**more: object):
    """What differs between a project and one whose only model has these fields."""
    old = node("model.shop.orders", relation="stg.shop.orders", checksum={"checksum": "1"}, config={"tags": []})
    return diff_manifests(Manifest.from_json(manifest(old)), Manifest.from_json(manifest({**old, **more})))


def test_diff_names_added_removed_and_modified_nodes() -> None:
    old = manifest(node("model.shop.a"), node("model.shop.b"), node("model.shop.c", checksum={"checksum": "1"}))
    new = manifest(node("model.shop.b"), node("model.shop.c", checksum={"checksum": "2"}), node("model.shop.d"))
    found = diff_manifests(Manifest.from_json(old), Manifest.from_json(new))
    assert (found.added, found.removed) == (("model.shop.d",), ("model.shop.a",))
    assert found.modified == ("model.shop.c",)
    assert str(found) == "1 added, 1 removed, 1 modified"


@pytest.mark.parametrize(
    "more",
    [{"checksum": {"checksum": "2"}}, {"config": {"tags": ["deploy"]}}, {"columns": {"id": {"description": "new"}}}],
)
def test_change_of_code_config_or_columns_is_a_modification(more: dict[str, object]) -> None:
    assert changed(**more).modified == ("model.shop.orders",)


@pytest.mark.parametrize(
    "more", [{"database": "prod"}, {"config": {"tags": [], "database": "prod"}}, {"created_at": 1}]
)
def test_same_project_in_another_catalog_is_not_modified(more: dict[str, object]) -> None:
    assert changed(**more).modified == ()


LOADERS = {"manifest": Manifest.load, "run results": RunResults.load, "sources": load_freshness}


@pytest.mark.parametrize("loader", LOADERS)
def test_missing_file_is_named(tmp_path: Path, loader: str) -> None:
    with pytest.raises(ArtifactError, match="the file is missing") as raised:
        LOADERS[loader](tmp_path / "it.json")
    assert raised.value.where == str(tmp_path / "it.json")


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize("content", ["", "{", "[]", "null", "{}", '{"results": 3, "nodes": 3, "metadata": {}}'])
def test_malformed_file_is_named(tmp_path: Path, loader: str, content: str) -> None:
    (tmp_path / "it.json").write_text(content)
    with pytest.raises(ArtifactError) as raised:
        LOADERS[loader](tmp_path / "it.json")
    assert raised.value.where == str(tmp_path / "it.json")


@pytest.mark.parametrize("loader", LOADERS)
def test_entry_without_its_id_is_a_malformed_file(tmp_path: Path, loader: str) -> None:
    document = {"metadata": {}, "nodes": {"x": {"name": "x"}}, "results": [{"status": "success"}]}
    (tmp_path / "it.json").write_text(json.dumps(document))
    with pytest.raises(ArtifactError, match="unique_id"):
        LOADERS[loader](tmp_path / "it.json")


def test_diff_takes_the_bare_checksum_of_a_unit_test() -> None:
    def with_unit_test(checksum: str) -> Manifest:
        document = manifest(node("model.shop.orders"))
        unit_test = node("unit_test.shop.orders") | {"checksum": checksum}
        return Manifest.from_json(document | {"unit_tests": {unit_test["unique_id"]: unit_test}})

    assert diff_manifests(with_unit_test("a"), with_unit_test("b")).modified == ("unit_test.shop.orders",)
    assert diff_manifests(with_unit_test("a"), with_unit_test("a")).modified == ()
