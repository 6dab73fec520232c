"""With `changed_only` a release of one changed model builds that model and what is below it, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from benchmarks.generated_project import Model, Project
from benchmarks.release_in_memory import Staged

from dbx_cd.plan.planning import plan_deploy

FEW, MANY = 40, 1000


def test_it_plans_the_model_and_its_descendants(tmp_path: Path) -> None:
    _assert_only_descendants(tmp_path, models=FEW)


@pytest.mark.deep
def test_it_plans_the_same_of_a_thousand_models(tmp_path: Path) -> None:
    _assert_only_descendants(tmp_path, models=MANY)


def _assert_only_descendants(folder: Path, *, models: int) -> None:
    before, after = (Project.generated(models=models) for _ in range(2))
    changed = _read_by_others(after)
    changed.factor += 1
    staged = Staged.between(before.write(folder / "old"), after.write(folder / "new"), folder=folder)
    plan = plan_deploy(staged.with_policies(changed_only=True).cd, staged.release, target="prod")
    nodes = json.loads((folder / "after" / "manifest.json").read_text())["nodes"]
    expected = set(_below(nodes, f"model.generated.{changed.name}"))
    planned = {node.unique_id for node in plan.nodes if not node.unique_id.startswith("test.")}
    # The clock is in it: it is another table each time.
    assert planned == expected | {"model.generated.stamped"}
    assert 2 < len(expected) < len(plan.kept)
    made = {i for i, node in nodes.items() if _is_made(node)}
    assert set(plan.kept) == made - planned
    tested = {node.unique_id for node in plan.nodes if node.unique_id.startswith("test.")}
    assert tested == {i for i, node in nodes.items() if node["resource_type"] == "test" and planned & _parents(node)}


def _read_by_others(project: Project) -> Model:
    """A tagged table in the middle: much is below it, and much is not."""
    tables = [m for m in project.models.values() if m.layer == "marts" and m.materialized == "table" and m.tags]
    return next(m for m in tables if sum(f"ref('{m.name}')" in other.parents for other in project.models.values()) > 1)


def _below(nodes: dict[str, Any], start: str) -> Iterator[str]:
    """What is built of a model and of what reads it, through whatever is between."""
    seen, waiting = {start}, [start]
    while waiting:
        at = waiting.pop()
        if _is_made(nodes[at]):
            yield at
        below = {i for i, node in nodes.items() if node["resource_type"] != "test" and at in _parents(node)} - seen
        seen |= below
        waiting += below


def _parents(node: dict[str, Any]) -> set[str]:
    return set(node["depends_on"].get("nodes", ()))  # a seed has none


def _is_made(node: dict[str, Any]) -> bool:
    is_made = node["resource_type"] in ("model", "seed", "snapshot") and node["config"]["materialized"] != "ephemeral"
    return is_made and "deploy" in node["tags"]
