"""Which manifests are read, and which states can be compared."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from artifact_folders import manifest, write

from dbx_cd import ArtifactError, Manifest
from dbx_cd.dbt.changes import changes_between
from dbx_cd.dbt.effects import affected_relations, known_readers
from dbx_cd.dbt.project_state import ProjectState
from dbx_cd.dbt.state_mismatch import state_mismatch
from recorded_dbt import RECORDED

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"
OF_1_10 = FIXTURES / "dbt_1_10" / "manifest.json"
OF_1_11 = RECORDED / "ls" / "manifest.json"
SCHEMA = "https://schemas.getdbt.com/dbt/manifest/v{}.json"


def metadata(**more: Any) -> dict[str, Any]:
    return {"metadata": {"project_name": "shop", "adapter_type": "databricks", **more}, "nodes": {}}


def read(folder: Path, **more: Any) -> Manifest:
    return Manifest.load(write(folder / "manifest.json", metadata(**more)))


def test_manifests_of_dbt_1_10_and_1_11_say_the_same_of_a_project() -> None:
    old, new = Manifest.load(OF_1_10), Manifest.load(OF_1_11)
    assert (old.metadata["dbt_version"], new.metadata["dbt_version"][:4]) == ("1.10.19", "1.11")
    assert old.nodes == new.nodes
    assert affected_relations(old, old.nodes) == affected_relations(new, new.nodes)
    assert known_readers(old) == known_readers(new)
    changes = changes_between(ProjectState(old), ProjectState(new), {})
    assert {change.change for change in changes.values()} == {"unchanged"}


def of_1_12(document: dict[str, Any]) -> dict[str, Any]:
    """What the classes of dbt-core 1.12.6's `dbt/artifacts` add to a manifest of 1.11, with their defaults."""
    document["metadata"]["dbt_version"] = "1.12.6"
    for node in document["nodes"].values():
        if node["resource_type"] == "model":
            node["config"] |= {"on_error": None, "latest_version_pointer": {"enabled": None, "alias": None}}
        if node["resource_type"] == "test":
            node["config"] |= {"sql_header": None}
        for column in node["columns"].values():
            column |= {"dimension": None, "entity": None}
    half = {
        "unique_id": "function.plain.half", "resource_type": "function", "name": "half", "alias": "half",
        "package_name": "plain", "database": "stg", "schema": "recorded", "relation_name": "`stg`.`recorded`.`half`",
        "config": {"enabled": True, "snowflake": {"quote_args": True}}, "raw_code": "x / 2",
        "overloads": [{"defined_in": "half_int", "arguments": [], "returns": None, "raw_body": "x"}],
    }  # fmt: skip
    document["functions"] = {half["unique_id"]: half}
    return document


def test_what_dbt_1_12_adds_to_a_manifest_changes_nothing() -> None:
    old = Manifest.load(OF_1_11)
    new = Manifest.from_json(of_1_12(json.loads(OF_1_11.read_text(encoding="utf-8"))))
    assert {i: n for i, n in new.nodes.items() if n.resource_type != "function"} == old.nodes
    changes = changes_between(ProjectState(old), ProjectState(new), {})
    assert {i: c.change for i, c in changes.items() if c.change != "unchanged"} == {"function.plain.half": "new"}


def test_overloads_of_a_function_are_compared() -> None:
    old = of_1_12(json.loads(OF_1_11.read_text(encoding="utf-8")))
    new = json.loads(json.dumps(old))
    new["functions"]["function.plain.half"]["overloads"][0]["raw_body"] = "x / 4"
    states = (ProjectState(Manifest.from_json(document)) for document in (old, new))
    found = changes_between(*states, {})["function.plain.half"]
    assert (found.change, found.reasons) == ("modified", ("overloads",))


@pytest.mark.parametrize(
    ("version", "dbt", "next_step"),
    [(20, "2.0.0", "build with dbt 1.10, 1.11 or 1.12, or install a dbx_cd that reads it"),
     (11, "1.7.19", "build the target once with dbt 1.10 or later")],
)  # fmt: skip
def test_manifest_of_another_schema_is_refused_by_name(tmp_path: Path, version: int, dbt: str, next_step: str) -> None:
    with pytest.raises(ArtifactError, match=f"schema v{version}, by dbt {dbt}") as caught:
        read(tmp_path, dbt_schema_version=SCHEMA.format(version), dbt_version=dbt)
    assert caught.value.next_step == next_step
    assert str(tmp_path / "manifest.json") in str(caught.value)


def test_another_document_of_dbt_is_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"not a dbt manifest: its schema is .*run-results"):
        read(tmp_path, dbt_schema_version="https://schemas.getdbt.com/dbt/run-results/v6.json")


def test_manifest_that_names_no_schema_is_read(tmp_path: Path) -> None:
    assert Manifest.load(write(tmp_path / "manifest.json", manifest())).project_name == "shop"


def state(*, adapter_version: str | None = None, **more: Any) -> ProjectState:
    return ProjectState(Manifest.from_json(metadata(**more)), adapter_version=adapter_version)


@pytest.mark.parametrize(
    ("of_old", "message"),
    [({"project_name": "other"}, "of the project 'other', and this one of 'shop'"),
     ({"adapter_type": "spark"}, "of the adapter 'spark', and this one of 'databricks'")],
)  # fmt: skip
def test_state_of_another_project_or_adapter_is_refused(of_old: dict[str, Any], message: str) -> None:
    with pytest.raises(ArtifactError, match=message):
        state_mismatch(state(**of_old), state())


def test_another_minor_of_dbt_and_another_adapter_version_are_told() -> None:
    old, new = (
        state(dbt_version="1.10.19", adapter_version="1.10.2"),
        state(dbt_version="1.11.16", adapter_version="1.12.7"),
    )
    assert state_mismatch(old, new) == (
        "dbt 1.10.19 -> 1.11.16: what only the upgrade changes is told apart",
        "dbt-databricks 1.10.2 -> 1.12.7: what only the upgrade changes is told apart",
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [(state(dbt_version="1.11.2"), state(dbt_version="1.11.16")), (state(), state(dbt_version="1.11.16")),
     (state(adapter_version="1.12.7"), state()), (state(project_name=None), state())],
)  # fmt: skip
def test_what_is_alike_or_not_known_is_not_told(old: ProjectState, new: ProjectState) -> None:
    assert state_mismatch(old, new) == ()
