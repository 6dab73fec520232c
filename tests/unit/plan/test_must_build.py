"""What must be built so that a target becomes what a build of everything would make."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from dbx_cd.dbt.artifacts import Manifest
from dbx_cd.dbt.changes import NodeChange
from dbx_cd.dbt.doubts import Doubts
from dbx_cd.plan.must_build import Standing, reads_outside, reasons_to_build
from dbx_cd.relations import RelationName

GRAPH: Mapping[str, tuple[str, ...]] = {
    "a": (), "cte": ("a",), "between": ("cte",), "b": ("between",), "c": ("b",), "alone": (),
}  # fmt: skip
"""What reads what; `cte` is ephemeral, and `between` is not selected."""
SELECTED = ("a", "b", "c", "alone")


def manifest() -> Manifest:
    nodes: dict[str, dict[str, Any]] = {}
    for name, read in GRAPH.items():
        unique_id = f"model.shop.{name}"
        nodes[unique_id] = {
            "unique_id": unique_id, "name": name, "resource_type": "model", "database": "prod", "schema": "shop",
            "alias": name, "relation_name": None if name == "cte" else f"`prod`.`shop`.`{name}`",
            "config": {"materialized": "ephemeral" if name == "cte" else "table"},
            "depends_on": {"nodes": [f"model.shop.{parent}" for parent in read]}, "raw_code": "select 1",
        }  # fmt: skip
    source = {"unique_id": "source.shop.raw", "name": "raw", "resource_type": "source", "database": "raw",
              "schema": "shop", "identifier": "raw", "relation_name": "`raw`.`shop`.`raw`"}  # fmt: skip
    nodes["model.shop.a"]["depends_on"]["nodes"].append("source.shop.raw")
    return Manifest.from_json({"metadata": {}, "nodes": nodes, "sources": {"source.shop.raw": source}})


def must(*changed: str, missing: Collection[str] = (), data: Collection[str] = (), **more: Any) -> dict[str, str]:
    """The first reason of each model that must be built."""
    known = manifest()
    changes = {i: NodeChange(i, "modified" if i.split(".")[2] in changed else "unchanged") for i in known.nodes}
    there = {f"prod.shop.{name}" for name in GRAPH if name not in missing}
    standing = Standing(known, [f"model.shop.{name}" for name in SELECTED], changes, there, **more)
    found = reasons_to_build(standing, lambda node: ["new data"] if node.name in data else [])
    return {unique_id.split(".")[2]: why[0] for unique_id, why in found.items()}


def test_nothing_must_be_built_where_nothing_changed() -> None:
    assert must() == {}


def test_what_is_below_is_reached_through_what_is_ephemeral_or_not_selected() -> None:
    assert set(must("a")) == {"a", "b", "c"}
    assert set(must("b")) == {"b", "c"}
    assert must("alone") == {"alone": "it is new"}


def test_an_ephemeral_model_that_changed_is_part_of_what_reads_it() -> None:
    assert set(must("cte")) == {"b", "c"}


def test_what_changed_and_does_not_ship_is_no_reason_by_itself() -> None:
    """Where its readers read it, the plan says so."""
    assert must("between") == {}
    assert set(must(moved={"model.shop.b": "other code"})) == {"b", "c"}


def test_what_is_not_there_or_has_new_data_is_built_with_what_is_below() -> None:
    assert must(missing=["b"]) == {"b": "there is no prod.shop.b yet", "c": "it reads model.shop.b, which is built"}
    assert set(must(data=["b"])) == {"b", "c"}
    assert set(must(everything="another dbt")) == set(SELECTED)


def test_what_is_read_outside_is_sources_and_what_is_not_selected_where_it_resolves() -> None:
    selected = [f"model.shop.{name}" for name in SELECTED]
    own = reads_outside(manifest(), selected, {})
    assert own["model.shop.a"] == (RelationName("raw", "shop", "raw"),)
    assert own["model.shop.b"] == (RelationName("prod", "shop", "between"),)
    assert own["model.shop.c"] == ()
    staged = reads_outside(manifest(), selected, {"model.shop.between": RelationName("stg", "shop", "between")})
    assert staged["model.shop.b"] == (RelationName("stg", "shop", "between"),)


def test_ephemeral_models_that_read_each_other_many_times_are_each_looked_at_once() -> None:
    layers = 40
    raw = {"resource_type": "model", "database": "prod", "schema": "shop", "raw_code": "select 1"}
    names = [[f"model.shop.{side}{n}" for side in "lr"] for n in range(layers)]
    nodes = {
        i: {**raw, "unique_id": i, "name": i, "relation_name": None, "config": {"materialized": "ephemeral"},
            "depends_on": {"nodes": names[n - 1] if n else ["model.shop.top"]}}
        for n, pair in enumerate(names) for i in pair
    }  # fmt: skip
    for name, reads in (("top", []), ("end", names[-1])):
        nodes[f"model.shop.{name}"] = {
            **raw, "unique_id": f"model.shop.{name}", "name": name, "alias": name, "depends_on": {"nodes": reads},
            "relation_name": f"`prod`.`shop`.`{name}`", "config": {"materialized": "table"},
        }  # fmt: skip
    known = Manifest.from_json({"metadata": {}, "nodes": nodes})
    assert reads_outside(known, ["model.shop.end"], {}) == {"model.shop.end": (RelationName("prod", "shop", "top"),)}
    assert Doubts(known).of(known.nodes["model.shop.end"]) == ()
