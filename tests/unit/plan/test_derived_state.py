"""The derived state: what is left of the pinned manifest, and what its digest covers."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest

from dbx_cd import ArtifactError
from dbx_cd.plan.derived_state import derived_state
from recorded_dbt import RECORDED

PINNED = RECORDED / "lossy_staged" / "manifest.json"
CONTENT: dict[str, Any] = json.loads(PINNED.read_text())
NODES = sorted(i for i, raw in CONTENT["nodes"].items() if raw["resource_type"] in ("model", "seed", "snapshot"))


def derived(folder: Path, keep: Collection[str], content: dict[str, Any] = CONTENT) -> tuple[dict[str, Any], str]:
    (folder / "pinned.json").write_text(json.dumps(content))
    made = derived_state(folder / "pinned.json", keep, into=folder / "derived")
    return json.loads((folder / "derived" / "manifest.json").read_text()), made


def test_only_what_is_kept_is_left_as_it_was(tmp_path: Path) -> None:
    reduced, _ = derived(tmp_path, NODES[:2])
    assert reduced["nodes"] == {i: CONTENT["nodes"][i] for i in NODES[:2]}
    assert reduced["metadata"] == CONTENT["metadata"]
    assert reduced.keys() == CONTENT.keys(), "dbt refuses a manifest that lacks a field"
    others = {name: part for name, part in reduced.items() if name not in ("nodes", "metadata")}
    assert not any(others.values())
    assert all(type(part) is type(CONTENT[name]) for name, part in others.items())


def test_functions_are_kept_like_nodes_and_what_is_unknown_is_not_made_up(tmp_path: Path) -> None:
    function = {"unique_id": "function.shop.f", "database": "stg", "schema": "s", "alias": "f", "relation_name": "`f`"}
    content = {**CONTENT, "functions": {"function.shop.f": function, "function.shop.g": function}}
    reduced, _ = derived(tmp_path, ["function.shop.f", "model.shop.nowhere"], content)
    assert (reduced["functions"], reduced["nodes"]) == ({"function.shop.f": function}, {})


def test_a_macro_or_a_group_of_a_kept_nodes_name_is_not_kept(tmp_path: Path) -> None:
    name = NODES[0]
    reduced, _ = derived(tmp_path, [name], {**CONTENT, "macros": {name: {}}, "parent_map": {name: []}})
    assert (reduced["macros"], reduced["parent_map"]) == ({}, {})


def test_the_digest_is_of_what_deferral_reads(tmp_path: Path) -> None:
    kept = NODES[0]

    def digest(keep: Collection[str] = (kept,), **changed: object) -> str:
        nodes = {**CONTENT["nodes"], kept: {**CONTENT["nodes"][kept], **changed}}
        return derived(tmp_path, keep, {**CONTENT, "nodes": nodes})[1]

    assert digest() == digest(compiled_code="select 2", created_at=0) == digest((kept, "model.shop.nowhere"))
    others = {digest(**{name: "another"}) for name in ("database", "schema", "alias", "relation_name")}
    assert len({digest(), digest(()), digest(NODES[:2]), *others}) == 7


@pytest.mark.parametrize("content", [None, "no JSON", "[]"])
def test_a_pinned_manifest_that_cannot_be_read_is_told(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "pinned.json").write_text(content)
    with pytest.raises(ArtifactError):
        derived_state(tmp_path / "pinned.json", (), into=tmp_path / "derived")
