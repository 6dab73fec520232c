"""dbt still leaves what was recorded of it: every scenario of `tests/recorded_dbt` is run again, and compared."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dbx_cd.local.workspace import EmbeddedWorkspace
from recorded_dbt import RECORDED
from recorded_dbt.make import Recorder
from recorded_dbt.scenarios import SCENARIOS

pytestmark = pytest.mark.deep


@pytest.fixture(scope="module")
def recorder(workspace: EmbeddedWorkspace) -> Iterator[Recorder]:
    with Recorder.on(workspace) as recorder:
        yield recorder


def shape(value: Any, *, keep: str = "") -> Any:
    """What a document consists of: keys, statuses and kinds of values; no values."""
    if isinstance(value, dict):
        return {key: shape(inner, keep=key) for key, inner in value.items()}
    if isinstance(value, list):
        return [shape(inner) for inner in value]
    return value if keep in ("status", "unique_id") else type(value).__name__


def left(folder: Path) -> dict[str, Any]:
    """What was recorded of one invocation, without what may differ."""
    events = []
    for line in (folder / "events.jsonl").read_text(encoding="utf-8").splitlines():
        if line.startswith("{"):
            event = json.loads(line)
            events.append((event["info"]["name"], event["info"]["level"], sorted(event["data"])))
    documents = {p.name: json.loads(p.read_text(encoding="utf-8")) for p in folder.glob("*.json")}
    for document in documents.values():
        # dbt gives what it did not run for a failure in no certain order.
        document.get("results", []).sort(key=lambda result: str(result.get("unique_id")))
    call = documents.pop("call.json")
    if manifest := documents.pop("manifest.json", None):
        documents["manifest.json"] = {"keys": sorted(manifest), "nodes": sorted(manifest["nodes"])}
    return {"exit code": call["exit_code"], "events": events, **{n: shape(d) for n, d in documents.items()}}


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_dbt_leaves_what_was_recorded(recorder: Recorder, tmp_path: Path, scenario: str) -> None:
    recorder.record(scenario, into=tmp_path)
    assert left(tmp_path / scenario) == left(RECORDED / scenario)
