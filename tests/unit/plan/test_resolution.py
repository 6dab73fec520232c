"""Where refs resolve that leave a selection: every combination, held against what dbt does by the derived state.

`as_dbt` is written from dbt-core 1.11 alone: `create_relation` and `RuntimeFunctionResolver.resolve` in
`context/providers.py`, `merge_from_artifact` in `contracts/graph/manifest.py`, and for foreign keys
`_compile_relation_for_foreign_key_constraint_to` in `compilation.py`.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import pytest

from dbx_cd.dbt.artifacts import Manifest
from dbx_cd.plan.derived_state import derived_state
from dbx_cd.plan.resolution import Presence, Refs, Resolution, resolutions
from dbx_cd.policies import UntaggedChanges

PARENT, READER = "model.shop.parent", "model.shop.reader"
OWN, OTHERS = "prod.main.parent", "stg.main.parent"
RULES: tuple[UntaggedChanges, ...] = get_args(UntaggedChanges)
LISTED = ("table", "view", "incremental", "seed", "snapshot", "materialized_view", "streaming_table", "function")


def node(unique_id: str, *reads: str, catalog: str = "prod", **raw: Any) -> dict[str, Any]:
    """A node as `manifest.json` has it."""
    kind, package, name = unique_id.split(".", 2)
    config = {"materialized": kind if kind in ("seed", "snapshot") else "table", **raw.pop("config", {})}
    made = kind in ("model", "seed", "snapshot", "function") and config["materialized"] != "ephemeral"
    alias = raw.pop("alias", name.replace(".", "_"))
    return {
        "unique_id": unique_id, "resource_type": kind, "name": name.split(".")[0], "package_name": package,
        "database": catalog, "schema": "main", "alias": alias,
        "relation_name": f"`{catalog}`.`main`.`{alias}`" if made and kind != "function" else None,
        "depends_on": {"nodes": list(reads)}, "config": config, "raw_code": "select 1", **raw,
    }  # fmt: skip


def document(*nodes: Mapping[str, Any]) -> dict[str, Any]:
    """A manifest as dbt writes it, in the parts that matter here."""
    parts: dict[str, Any] = {part: {} for part in ("nodes", "functions", "exposures", "unit_tests", "sources")}
    groups = {"function": "functions", "exposure": "exposures", "unit_test": "unit_tests", "source": "sources"}
    for one in nodes:
        parts[groups.get(one["resource_type"], "nodes")][one["unique_id"]] = one
    return {"metadata": {"project_name": "shop"}, **parts}


@dataclass(frozen=True)
class AsDbt:
    """dbt with `--defer --favor-state` and a state."""

    target: Mapping[str, Any]
    state: Mapping[str, Any]
    selected: Collection[str]
    cached: Collection[str]

    def reads(self, unique_id: str, *, by_key: bool = False) -> str:
        """The relation that a ref to a node means while dbt builds."""
        is_function = unique_id.startswith("function.")
        part = "functions" if is_function else "nodes"
        current, other = self.target[part][unique_id], self.state[part].get(unique_id)
        deferred = other is not None and (is_function or other["config"]["materialized"] != "ephemeral")
        is_selected = unique_id in self.selected
        # The cache of relations knows no functions.
        is_there = not is_function and _name(current).lower() in self.cached
        if other is not None and deferred and (by_key or not is_selected or not is_there):
            return _name(other)
        return _name(current)


def _name(raw: Mapping[str, Any]) -> str:
    return f"{raw['database']}.{raw['schema']}.{raw['alias']}"


def resolved(
    target: Mapping[str, Any],
    state: Mapping[str, Any],
    *,
    selected: Collection[str] = (READER,),
    there: Collection[str] = (),
    rule: UntaggedChanges = "read_staging",
    changed: Collection[str] = (),
) -> dict[str, Resolution]:
    """Where refs resolve, by the parent."""
    refs = Refs(Manifest.from_json(target), selected, changed)
    keys = {name.lower() for name in there}
    found = resolutions(refs, Presence(keys, Manifest.from_json(state), keys), rule=rule)
    return {r.parent: r for r in found}


def by_derived_state(state: Mapping[str, Any], found: Mapping[str, Resolution], folder: Path) -> dict[str, Any]:
    """The state that a build gets, read back."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pinned.json").write_text(json.dumps(state))
    derived_state(folder / "pinned.json", {r.parent for r in found.values() if r.place == "state"}, into=folder)
    reduced: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    return reduced


EXPECTED = {
    # in production, in staging: where it is read with `read_staging`, and with each of the others
    (False, False): ("nowhere", "nowhere"),
    (True, False): ("target", "target"),
    (False, True): ("state", "state"),
    (True, True): ("state", "target"),
}


@pytest.mark.parametrize("kind", [*LISTED, "custom"])
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(("in_target", "in_state"), EXPECTED)
def test_what_is_planned_is_what_dbt_does_by_the_derived_state(
    kind: str, rule: UntaggedChanges, in_target: bool, in_state: bool, tmp_path: Path
) -> None:
    """`own` is selected as well, and a key refers to both: dbt defers a key's parent, selected or not."""
    resource = kind if kind in ("seed", "snapshot", "function") else "model"
    parent = f"{resource}.shop.parent"
    config = {"materialized": kind} if resource == "model" else {}
    nodes = [(parent, ()), ("model.shop.own", ()), (READER, (parent, "model.shop.own"))]
    target, state = (
        document(*(node(i, *reads, catalog=c, config=config if i == parent else {}) for i, reads in nodes))
        for c in ("prod", "stg")
    )
    there = {name for name, is_there in ((OWN, in_target), (OTHERS, in_state)) if is_there}
    there |= {"stg.main.own", "stg.main.reader"}
    selected = (READER, "model.shop.own")
    found = resolved(target, state, selected=selected, there=there, rule=rule)
    assert set(found) == {parent}
    place = EXPECTED[in_target, in_state][rule != "read_staging"]
    if kind == "custom" and place == "nowhere":
        place = "state"  # what makes it may show it nowhere
    assert found[parent].place == place
    assert found[parent].readers == (READER,)
    for own_is_there in (True, False):
        cached = {*there, *(("prod.main.own",) if own_is_there else ())}
        dbt = AsDbt(target, by_derived_state(state, found, tmp_path), selected, cached)
        for by_key in (False, True):
            assert dbt.reads("model.shop.own", by_key=by_key) == "prod.main.own"
            if place != "nowhere":
                assert dbt.reads(parent, by_key=by_key) == found[parent].relation


def test_the_whole_pinned_state_would_not_do() -> None:
    """Why there is a derived state: the oracle tells the two apart."""
    nodes = [(PARENT, ()), (READER, (PARENT,))]
    target, state = (document(*(node(i, *reads, catalog=c) for i, reads in nodes)) for c in ("prod", "stg"))
    dbt = AsDbt(target, state, (READER,), {OWN})
    assert dbt.reads(PARENT) == OTHERS, "though production has it, and staging may not"
    assert dbt.reads(READER, by_key=True) == "stg.main.reader", "though it is selected"


def two(*nodes: tuple[str, tuple[str, ...]], **config: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The manifests of production and of staging."""
    target, state = (
        document(
            *(
                node(i, *reads, catalog=c, config=config.get(i.split(".", 2)[2].replace(".", "_"), {}))
                for i, reads in nodes
            )
        )
        for c in ("prod", "stg")
    )
    return target, state


def test_an_ephemeral_parent_is_part_of_its_reader_through_any_number() -> None:
    nodes = [(PARENT, ()), ("model.shop.one", (PARENT,)), ("model.shop.two", ("model.shop.one", PARENT))]
    ephemeral = {"materialized": "ephemeral"}
    target, state = two(*nodes, (READER, ("model.shop.two",)), one=ephemeral, two=ephemeral)
    found = resolved(target, state, there={OTHERS})
    assert {(r.parent, r.readers) for r in found.values()} == {(PARENT, (READER,))}
    assert resolved(target, state, selected=(READER, PARENT), there={OTHERS}) == {}


def test_a_parent_that_is_ephemeral_in_staging_alone_is_not_read_there(tmp_path: Path) -> None:
    target, _ = two((PARENT, ()), (READER, (PARENT,)))
    _, state = two((PARENT, ()), (READER, (PARENT,)), parent={"materialized": "ephemeral"})
    found = resolved(target, state, there={OWN, OTHERS})
    assert found[PARENT].place == "target"
    assert AsDbt(target, by_derived_state(state, found, tmp_path), (READER,), {OWN}).reads(PARENT) == OWN
    assert resolved(target, state, there={OTHERS})[PARENT].place == "nowhere"


def test_a_parent_that_staging_does_not_know_is_the_targets(tmp_path: Path) -> None:
    """It is disabled there."""
    target, _ = two((PARENT, ()), (READER, (PARENT,)))
    _, state = two((READER, ()))
    assert resolved(target, state, there={OWN, OTHERS})[PARENT].place == "target"
    missing = resolved(target, state)[PARENT]
    assert (missing.place, missing.relation) == ("nowhere", OWN)


def test_versions_of_one_model_resolve_each_by_itself() -> None:
    first, second = "model.shop.parent.v1", "model.shop.parent.v2"
    target, state = two((first, ()), (second, ()), (READER, (first, second)))
    found = resolved(target, state, there={f"{OTHERS}_v1", f"{OWN}_v2"})
    assert {r.parent: r.relation for r in found.values()} == {first: f"{OTHERS}_v1", second: f"{OWN}_v2"}


def test_names_are_compared_without_case_and_told_as_dbt_has_them() -> None:
    target, state = (document(node(PARENT, alias="Parent", catalog=c), node(READER, PARENT)) for c in ("prod", "stg"))
    found = resolved(target, state, there={"prod.main.parent"})
    assert (found[PARENT].place, found[PARENT].relation) == ("target", "prod.main.Parent")


@pytest.mark.parametrize("reader", ["test.shop.t", "operation.shop.hook", "snapshot.shop.s", "function.shop.f"])
def test_whatever_runs_a_query_is_a_reader(reader: str) -> None:
    target, state = two((PARENT, ()), (reader, (PARENT,)))
    selected = () if reader.startswith("operation.") else (reader,)
    assert resolved(target, state, selected=selected, there={OTHERS})[PARENT].readers == (reader,)


def test_a_unit_test_reads_what_its_model_reads_though_that_stands_unchanged(tmp_path: Path) -> None:
    """Its rows get their columns from the relations that they stand for (dbt-core 1.11, `get_fixture_sql`)."""
    unit = "unit_test.shop.reader.adds"
    target, state = two((PARENT, ()), (READER, (PARENT,)), (unit, (READER,)))
    refs = Refs(Manifest.from_json(target), {unit}, kept={READER})
    found = {r.parent: r for r in resolutions(refs, Presence(
        {"prod.main.reader"}, Manifest.from_json(state), {OTHERS}), rule="read_staging")}  # fmt: skip
    assert {i: (r.place, r.readers) for i, r in found.items()} == {
        PARENT: ("state", (unit,)),
        READER: ("target", (unit,)),
    }
    assert set(by_derived_state(state, found, tmp_path)["nodes"]) == {PARENT}


def test_what_has_changed_above_is_told_of_all_that_reads_it() -> None:
    top, middle, side = "model.shop.top", "model.shop.middle", "model.shop.side"
    target, state = two((top, ()), (middle, (top,)), (side, ()), (READER, (middle, side)))
    there = {"stg.main.middle", "stg.main.side"}
    found = resolved(target, state, there=there, changed={top})
    assert {r.parent: r.changed for r in found.values()} == {middle: True, side: False}
    selected_above = resolved(target, state, selected=(READER, top), there=there, changed={top})
    assert not selected_above[middle].changed, "what ships is not what it reads and is not built"


def test_ancestors_end_at_what_is_selected_and_at_sources() -> None:
    top, middle, source = "model.shop.top", "model.shop.middle", "source.shop.raw"
    target, _ = two((source, ()), (top, (source,)), (middle, (top,)), (READER, (middle,)))
    manifest = Manifest.from_json(target)
    assert Refs(manifest, {READER}).ancestors() == (middle, top)
    assert Refs(manifest, {READER, middle}).ancestors() == (top,)
    assert list(itertools.chain(*Refs(manifest, {READER, middle, top}).readers().values())) == []


def test_an_ephemeral_model_that_is_selected_reads_nothing_by_itself() -> None:
    nodes = [(PARENT, ()), ("model.shop.one", (PARENT,)), ("model.shop.two", ("model.shop.one",))]
    target, state = two(*nodes, (READER, ()), one={"materialized": "ephemeral"})
    assert resolved(target, state, selected=(READER, "model.shop.one")) == {}
    found = resolved(target, state, selected=("model.shop.two", "model.shop.one"))
    assert found[PARENT].readers == ("model.shop.two",)
