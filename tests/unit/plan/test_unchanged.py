"""What is proved unchanged of functions, which no restore point holds and no failed build names."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dbx_cd.dbt.artifacts import Manifest
from dbx_cd.dbt.changes import NodeChange
from dbx_cd.plan.in_production import InProduction
from dbx_cd.plan.must_build import Standing
from dbx_cd.plan.unchanged import NOT_RECORDED, Unchanged
from dbx_cd.policies import Policies
from dbx_cd.relations import RelationName
from memory.tables import MemoryTables

HALF = RelationName("prod", "shop", "half")
FUNCTION = "function.shop.half"
RAW = {
    "unique_id": FUNCTION, "name": "half", "resource_type": "function", "database": HALF.catalog, "schema": HALF.schema,
    "raw_code": "x / 2", "depends_on": {"nodes": []},
}  # fmt: skip
MANIFEST = Manifest.from_json({"metadata": {"project_name": "shop"}, "nodes": {}, "functions": {FUNCTION: RAW}})
STANDING = Standing(MANIFEST, [FUNCTION], {FUNCTION: NodeChange(FUNCTION, "unchanged")}, {HALF.key})


def look(tables: MemoryTables, before: Unchanged | None = None, policies: Policies | None = None) -> Unchanged:
    """What is proved of the function now, after a build that saw `before`."""
    found = Unchanged.look(tables, STANDING, InProduction(None, None), places={}, policies=policies or Policies())
    return found if before is None else replace(found, recorded=before.record("prod", MANIFEST, ()).nodes)


@pytest.mark.parametrize("policies", [Policies(), replace(Policies(), refresh="code_only")])
def test_a_function_whose_body_is_another_by_now_is_built(policies: Policies) -> None:
    """As after a release that was rolled back, or a build that failed: neither takes a function back."""
    tables = MemoryTables()
    tables.function(HALF, "x / 2")
    first = look(tables, policies=policies)
    assert first.reasons() == {FUNCTION: (NOT_RECORDED,)}
    second = look(tables, first, policies)
    assert second.reasons() == {}
    tables.function(HALF, "x * 0.4")
    assert look(tables, policies=policies).functions != second.functions
    third = replace(look(tables, policies=policies), recorded=second.recorded)
    assert third.reasons() == {FUNCTION: ("something else has written to prod.shop.half",)}


def test_a_function_whose_body_is_not_shown_is_built_each_time() -> None:
    tables = MemoryTables()
    tables.function(HALF, None)
    why = look(tables, look(tables)).reasons()
    assert why == {FUNCTION: ("prod.shop.half has no version to tell by who has written to it",)}
