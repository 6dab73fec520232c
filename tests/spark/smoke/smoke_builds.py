"""Builds under test, made by hand: a manifest and run results in dbt's published format, over real tables."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dbx_cd.dbt.artifacts import Manifest, RunResults

PROJECT = "shop"


@dataclass(frozen=True)
class Build:
    """Stands for an ArtifactVersion: the parts of it that smoke tests use."""

    path: Path
    target: str
    timestamp: str = "20261123T101500.000000Z"
    commit: str = "1a2b3c4"
    release_id: str | None = "20261123T101500Z-1a2b3c4"
    files: dict[str, Any] = field(default_factory=dict)

    def manifest(self) -> Manifest:
        return Manifest.load(self.path / "manifest.json")

    def run_results(self) -> RunResults:
        return RunResults.load(self.path / "run_results.json")


def model(name: str, relation: str, **more: Any) -> dict[str, Any]:
    """A model's node; `relation` is its dotted name."""
    catalog, schema, identifier = relation.split(".")
    config = {"materialized": "table", **more.pop("config", {})}
    return {
        "unique_id": f"model.{PROJECT}.{name}",
        "name": name,
        "resource_type": "model",
        "database": catalog,
        "schema": schema,
        "alias": identifier,
        "relation_name": f"`{catalog}`.`{schema}`.`{identifier}`",
        "original_file_path": f"models/{name}.sql",
        "config": config,
        "columns": {},
        "depends_on": {"nodes": []},
        **more,
    }


def source(name: str, relation: str) -> dict[str, Any]:
    """A source table `landing.<name>`."""
    node = model(name, relation)
    return node | {"unique_id": f"source.{PROJECT}.landing.{name}", "resource_type": "source", "source_name": "landing"}


def generic_test(
    test: str,
    target: Mapping[str, Any],
    *,
    parent: str | None = None,
    config: dict[str, Any] | None = None,
    **kwargs: Any,
) -> dict[str, Any]:
    """A generic test's node; `parent` is the unique id of the other side of `relationships`."""
    namespace, _, name = test.rpartition(".")
    label = f"{name}_{target['name']}_{kwargs.get('column_name', 'columns')}"
    return {
        "unique_id": f"test.{PROJECT}.{label}.0123456789",
        "name": label,
        "resource_type": "test",
        "schema": "tests",
        "original_file_path": f"models/{target['name']}.yml",
        "attached_node": target["unique_id"],
        "test_metadata": {"name": name, "namespace": namespace or None, "kwargs": kwargs},
        "config": config or {},
        "depends_on": {"nodes": [i for i in (parent, target["unique_id"]) if i]},
    }


@dataclass
class Builds:
    """Writes builds into a folder."""

    folder: Path
    written: int = field(default=0)

    def build(
        self,
        *nodes: Mapping[str, Any],
        target: str = "stg",
        results: Mapping[str, str | dict[str, Any]] | None = None,
        not_built: Iterable[str] = (),
        args: Mapping[str, Any] | None = None,
    ) -> Build:
        """A build of these nodes: every model succeeded unless named in `not_built`; tests ran only if in `results`."""
        self.written += 1
        path = self.folder / f"build-{self.written}"
        path.mkdir(parents=True)
        is_source = {n["unique_id"]: n["resource_type"] == "source" for n in nodes}
        manifest = {
            "metadata": {"project_name": PROJECT},
            "nodes": {n["unique_id"]: n for n in nodes if not is_source[n["unique_id"]]},
            "sources": {n["unique_id"]: n for n in nodes if is_source[n["unique_id"]]},
        }
        outcomes: dict[str, Any] = {
            n["unique_id"]: "success" for n in nodes if n["resource_type"] == "model" and n["name"] not in not_built
        } | dict(results or {})
        rows = [
            {"unique_id": i, "execution_time": 0.1, **({"status": o} if isinstance(o, str) else o)}
            for i, o in outcomes.items()
        ]
        run_results = {"metadata": {}, "args": {"which": "build", **(args or {})}, "results": rows}
        (path / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
        (path / "run_results.json").write_text(json.dumps(run_results), encoding="utf-8")
        return Build(path, target)
