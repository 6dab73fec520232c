"""What dbt's own manifest of a target tells of leaks to come, before anything is built."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import pytest
import yaml

from dbx_cd import run_dbt
from dbx_cd.config import WARM_DBT
from dbx_cd.dbt.artifacts import Manifest
from dbx_cd.dbt.functions import object_name
from dbx_cd.dbt.keys import constraints, key_parent
from dbx_cd.plan.existing import existing_functions
from dbx_cd.plan.leak_prediction import predicted_leaks
from dbx_cd.plan.leaks import Leak, StagingNames
from dbx_cd.plan.resolution import Place, Presence, Refs, Resolution, resolutions
from dbx_cd.relations import RelationName
from dbx_cd.warm.parent import WarmParent
from memory.tables import MemoryTables


def model(name: str, materialized: str, query: str) -> dict[str, str]:
    return {f"models/{name}.sql": f"{{{{ config(materialized='{materialized}') }}}}\n{query}"}


def keyed(name: str, key: dict[str, Any], *, enforced: bool = True, **config: Any) -> dict[str, Any]:
    """A model with a foreign key of its column."""
    column = {"name": "id", "data_type": "int", "constraints": [{"type": "foreign_key", **key}]}
    return {"name": name, "config": {"contract": {"enforced": enforced}, **config}, "columns": [column]}


MODELS = [
    keyed("to_heavy", {"to": "ref('heavy')", "to_columns": ["id"]}),
    keyed("to_orders", {"to": "ref('orders')", "to_columns": ["id"]}),
    keyed("to_v1", {"to": "ref('people', v=1)", "to_columns": ["id"]}),
    keyed("to_source", {"to": "source('mine', 'handmade')", "to_columns": ["id"]}),
    keyed("to_expression", {"expression": "REFERENCES `stg`.shop.handmade (id)"}),
    keyed("to_both", {"to": "ref('heavy')", "to_columns": ["id"], "expression": "REFERENCES prod.shop.orders (id)"}),
    keyed("keyed_view", {"to": "ref('heavy')", "to_columns": ["id"]}),
    keyed("keyed_reading_view", {"to": "ref('people', v=1)", "to_columns": ["id"]}),
    keyed("not_enforced", {"to": "ref('heavy')", "to_columns": ["id"]}, enforced=False),
    {"name": "masked", "config": {"row_filter": {"function": "prod.shop.fine", "columns": "id"}},
     "columns": [{"name": "id", "column_mask": {"function": "`stg`.`shop`.mask"}}]},
    {"name": "filtered", "config": {"row_filter": {"function": "stg.shop.filter", "columns": "id"}}},
    {"name": "people", "latest_version": 2, "versions": [{"v": 1}, {"v": 2}]},
]  # fmt: skip
FILES: dict[str, str] = {
    **model("orders", "table", "select 1 as id"),
    **model("heavy", "table", "select 1 as id"),
    **model("people_v1", "table", "select 1 as id"),
    **model("people_v2", "table", "select 1 as id"),
    **model("part", "ephemeral", "select * from {{ ref('heavy') }}"),
    **model("over_heavy", "view", "select * from {{ ref('heavy') }} join {{ ref('orders') }} using (id)"),
    **model("over_part", "materialized_view", "select * from {{ ref('part') }}"),
    **model("over_view", "view", "select * from {{ ref('over_heavy') }}"),
    **model("over_both", "view", "select * from {{ ref('over_view') }} join {{ ref('heavy') }} using (id)"),
    **model("copied", "table", "select * from {{ ref('over_heavy') }}"),
    **model("over_copied", "view", "select * from {{ ref('copied') }}"),
    **model("over_source", "view", "select * from {{ source('mine', 'handmade') }}"),
    **model("over_raw", "view", "select * from {{ source('theirs', 'raw') }}"),
    **model("over_masked", "view", "select * from {{ ref('masked') }}"),
    **model("calling", "view", "select {{ function('largest') }}() as n"),
    **model("calling_once", "table", "select {{ function('largest') }}() as n"),
    **model("masked", "table", "select 1 as id"),
    **model("filtered", "incremental", "select 1 as id"),
    **{key: text for m in MODELS if "contract" in m.get("config", {})
       for key, text in model(str(m["name"]), "table", "select 1 as id").items()},
    **model("keyed_view", "view", "select 1 as id"),
    **model("keyed_reading_view", "view", "select * from {{ ref('people', v=1) }}"),
    "functions/largest.sql": "(select max(id) from {{ ref('heavy') }})",
    "functions/functions.yml": yaml.safe_dump({"functions": [{"name": "largest", "returns": {"data_type": "int"}}]}),
    "models/models.yml": yaml.safe_dump({"models": MODELS, "sources": [
        {"name": "mine", "database": "stg", "schema": "shop", "tables": [{"name": "handmade"}]},
        {"name": "theirs", "database": "raw", "schema": "shop", "tables": [{"name": "raw"}]},
    ]}),
}  # fmt: skip


@pytest.fixture(scope="module")
def manifests(tmp_path_factory: pytest.TempPathFactory, warm_parent: WarmParent) -> Iterator[dict[str, Manifest]]:
    """The project as dbt parses it for each target."""
    folder, work = tmp_path_factory.mktemp("leaks"), tmp_path_factory.mktemp("work")
    written = {"host": "127.0.0.1", "http_path": "/", "token": "none", "schema": "shop", "type": "databricks"}
    outputs = {target: {**written, "catalog": target} for target in ("stg", "prod")}
    settings = {"name": "shop", "version": "1.0", "profile": "shop"}
    profiles = {"shop": {"target": "stg", "outputs": outputs}}
    files = {**FILES, "dbt_project.yml": yaml.safe_dump(settings), "profiles.yml": yaml.safe_dump(profiles)}
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(WARM_DBT, str(warm_parent.address))
        runs = {t: run_dbt("parse", target=t, project_dir=folder, work_dir=work / t) for t in outputs}
        yield {target: Manifest.load(run.files_dir / "manifest.json") for target, run in runs.items()}


def predicted(
    manifests: dict[str, Manifest],
    *selected: str,
    place: Place = "state",
    existing: Collection[Leak] = (),
) -> list[str]:
    """What will leak when these models are built and every other parent resolves to one place."""
    prod, stg = manifests["prod"], manifests["stg"]
    ids = {n.unique_id for n in prod.nodes.values() if n.name in selected and n.resource_type != "source"}
    # Those of the selection are among them, and change nothing.
    others = [n for n in prod.nodes.values() if n.resource_type in ("model", "function")]
    target = "stg" if place == "state" else "prod"
    resolutions = [
        Resolution(n.unique_id, place, str(object_name(manifests[target].nodes[n.unique_id])), (), "") for n in others
    ]
    found = predicted_leaks(prod, ids, resolutions, staging=StagingNames.of(stg, prod), existing=tuple(existing))
    return [str(leak).removeprefix("prod.shop.") for leak in found]


def test_a_table_reads_staging_once_and_leaks_nothing(manifests: dict[str, Manifest]) -> None:
    assert predicted(manifests, "orders", "copied", "people", "calling_once") == []
    assert predicted(manifests, "over_copied", "copied") == []


def test_a_view_leaks_what_its_refs_mean(manifests: dict[str, Manifest]) -> None:
    assert predicted(manifests, "over_heavy", "orders") == ["over_heavy reads stg.shop.heavy (view text)"]
    assert predicted(manifests, "over_heavy", "orders", "heavy") == []
    assert predicted(manifests, "over_heavy", place="target") == []


def test_an_ephemeral_model_is_a_part_of_the_view(manifests: dict[str, Manifest]) -> None:
    assert predicted(manifests, "over_part") == ["over_part reads stg.shop.heavy (view text)"]
    assert predicted(manifests, "over_part", "part") == ["over_part reads stg.shop.heavy (view text)"]
    assert predicted(manifests, "over_part", "heavy") == []


def test_a_view_over_a_view_that_is_built_leaks_with_it(manifests: dict[str, Manifest]) -> None:
    assert predicted(manifests, "over_view", "over_heavy", "orders") == [
        "over_heavy reads stg.shop.heavy (view text)",
        "over_view reads stg.shop.heavy through prod.shop.over_heavy (view text)",
    ]
    assert "over_both reads stg.shop.heavy (view text)" in predicted(manifests, "over_both", "over_view", "over_heavy")


def test_a_view_over_a_view_that_leaks_already_leaks(manifests: dict[str, Manifest]) -> None:
    old = Leak("prod.shop.over_heavy", "view", "view text", ("prod.shop.mine",), "stg.shop.old")
    key = Leak("prod.shop.over_heavy", "table", "foreign key", (), "stg.shop.old")
    assert predicted(manifests, "over_view", place="target", existing=[old, key]) == [
        "over_view reads stg.shop.old through prod.shop.over_heavy, prod.shop.mine (view text)"
    ]
    unknown = Leak("prod.shop.over_heavy", "view", "cannot be read", (), "raw.shop.v", "why")
    assert predicted(manifests, "over_view", place="target", existing=[unknown]) == [
        "over_view may refer to staging, for raw.shop.v cannot be read through prod.shop.over_heavy: why"
    ]


def test_a_source_in_staging_s_schema_leaks_and_another_does_not(manifests: dict[str, Manifest]) -> None:
    staging = StagingNames.of(manifests["stg"], manifests["prod"])
    assert staging.schemas == {"stg.shop"}
    assert staging.outside == {"stg.shop.handmade", "raw.shop.raw"}
    assert predicted(manifests, "over_source", "over_raw") == []


def test_a_source_that_staging_builds_leaks(manifests: dict[str, Manifest]) -> None:
    """As a source that names a model of staging by its relation."""
    prod, stg = manifests["prod"], manifests["stg"]
    (source,) = prod.select(["source.shop.mine.handmade"])
    heavy = stg.nodes["model.shop.heavy"]
    raw = {**source.raw, "identifier": "heavy", "relation_name": "`stg`.`shop`.`heavy`"}
    document = {"metadata": {}, "nodes": {n.unique_id: n.raw for n in prod.nodes.values() if n.name == "over_source"},
                "sources": {source.unique_id: raw}}  # fmt: skip
    changed = Manifest.from_json(document)
    assert heavy.relation is not None
    leaks = predicted_leaks(changed, ["model.shop.over_source"], [], staging=StagingNames.of(stg, prod))
    assert [str(leak) for leak in leaks] == ["prod.shop.over_source reads stg.shop.heavy (view text)"]


def test_a_foreign_key_leaks_only_where_its_parent_is_staging_s(manifests: dict[str, Manifest]) -> None:
    keys = ("to_heavy", "to_orders", "to_v1", "to_source", "to_both", "not_enforced")
    assert predicted(manifests, *keys, "orders", "people") == ["to_heavy refers to stg.shop.heavy (foreign key)"]
    assert predicted(manifests, *keys) == [
        "to_heavy refers to stg.shop.heavy (foreign key)",
        "to_orders refers to stg.shop.orders (foreign key)",
        "to_v1 refers to stg.shop.people_v1 (foreign key)",
    ]
    assert predicted(manifests, *keys, place="target") == []


def test_a_view_gets_no_keys_and_reads_nothing_by_them(manifests: dict[str, Manifest]) -> None:
    """Though dbt lists what a key refers to among what the view depends on."""
    view = manifests["prod"].nodes["model.shop.keyed_view"]
    assert view.depends_on == ("model.shop.heavy",)
    assert predicted(manifests, "keyed_view") == []
    assert predicted(manifests, "keyed_reading_view") == ["keyed_reading_view reads stg.shop.people_v1 (view text)"]


def test_a_foreign_key_s_expression_is_read(manifests: dict[str, Manifest]) -> None:
    """Its table is no source that both environments have, for the target has no such source."""
    prod, stg = manifests["prod"], manifests["stg"]
    staging = StagingNames(schemas=StagingNames.of(stg, prod).schemas)
    leaks = predicted_leaks(prod, ["model.shop.to_expression"], [], staging=staging)
    assert [str(leak) for leak in leaks] == ["prod.shop.to_expression refers to stg.shop.handmade (foreign key)"]


def test_masks_and_filters_leak_by_the_names_of_their_functions(manifests: dict[str, Manifest]) -> None:
    assert predicted(manifests, "masked", "filtered", "over_masked") == [
        "filtered reads stg.shop.filter (row filter)",
        "masked reads stg.shop.mask (column mask)",
        "over_masked reads stg.shop.mask through prod.shop.masked (view text)",
    ]


def test_a_function_leaks_and_so_does_a_view_that_calls_it(manifests: dict[str, Manifest]) -> None:
    assert predicted(manifests, "calling") == ["calling reads stg.shop.largest (function)"]
    assert predicted(manifests, "calling", "largest") == [
        "largest reads stg.shop.heavy (function)",
        "calling reads stg.shop.heavy through prod.shop.largest (function)",
    ]
    assert predicted(manifests, "calling", "largest", "heavy") == []


def test_a_function_that_is_not_built_resolves_where_it_is(manifests: dict[str, Manifest]) -> None:
    """dbt tells no `relation_name` of functions."""
    prod, stg = manifests["prod"], manifests["stg"]
    refs = Refs(prod, ["model.shop.calling"])
    tables = MemoryTables()
    tables.function(RelationName("stg", "shop", "largest"), "1")

    def resolved() -> tuple[str, str]:
        there = Presence(existing_functions(tables, prod), stg, existing_functions(tables, stg))
        (found,) = resolutions(refs, there, rule="read_existing")
        return found.place, found.relation

    assert resolved() == ("state", "stg.shop.largest")
    tables.function(RelationName("prod", "shop", "largest"), "1")
    assert resolved() == ("target", "prod.shop.largest")
    tables.known_functions.clear()
    assert resolved() == ("nowhere", "prod.shop.largest")


def test_what_a_key_refers_to_is_found_as_dbt_finds_it(manifests: dict[str, Manifest]) -> None:
    prod = manifests["prod"]
    parsed = [c["to"] for n in prod.nodes.values() for c in constraints(n) if c.get("to")]
    found = {to: node.unique_id for to in parsed if (node := key_parent(prod, to)) is not None}
    assert found == {
        "ref('heavy')": "model.shop.heavy",
        "ref('orders')": "model.shop.orders",
        "ref('people', v=1)": "model.shop.people.v1",
        "source('mine', 'handmade')": "source.shop.mine.handmade",
    }
    compiled = key_parent(prod, "`prod`.`shop`.`people_v2`")
    assert compiled is not None
    assert compiled.unique_id == "model.shop.people.v2"
    assert key_parent(prod, "`stg`.`shop`.`heavy`") is None
    assert key_parent(prod, "ref(nobody)") is None
