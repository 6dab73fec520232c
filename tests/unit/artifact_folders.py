"""Folders such as a dbt invocation leaves, small enough to read, for tests that need artifacts but no dbt."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Json = dict[str, Any]


def node(unique_id: str, *, relation: str | None = None, depends_on: Sequence[str] = (), **more: Any) -> Json:
    """A node of a manifest; `relation` is `catalog.schema.identifier`."""
    kind, _, name = unique_id.split(".")[:3]
    named: Json = {}
    if relation:
        catalog, schema, identifier = relation.split(".")
        named = {
            "relation_name": f"`{catalog}`.`{schema}`.`{identifier}`",
            "database": catalog,
            "schema": schema,
            "alias": identifier,
        }
    depends = {"depends_on": {"nodes": list(depends_on)}} if depends_on else {}
    return {"unique_id": unique_id, "resource_type": kind, "name": name, **named, **depends, **more}


def manifest(*nodes: Mapping[str, Any], sources: Sequence[Mapping[str, Any]] = ()) -> Json:
    """A manifest of these nodes."""
    return {
        "metadata": {"project_name": "shop", "dbt_version": "1.11.0"},
        "nodes": {n["unique_id"]: n for n in nodes},
        "sources": {s["unique_id"]: s for s in sources},
    }


def run_results(which: str = "build", **statuses: str) -> Json:
    """Run results of a command: the status of each model, by its name."""
    return {
        "metadata": {"dbt_version": "1.11.0"},
        "args": {"which": which},
        "results": [
            {"unique_id": f"model.shop.{name}", "status": status, "execution_time": 0.5, "message": None}
            for name, status in statuses.items()
        ],
    }


def artifacts(folder: Path, *, which: str = "build", status: str = "success", content: str = "a") -> Path:
    """A folder with a manifest and run results of one model, and a third file; `content` tells folders apart."""
    folder.mkdir(parents=True, exist_ok=True)
    orders = node("model.shop.orders", relation="stg.shop.orders", checksum={"checksum": content})
    write(folder / "manifest.json", manifest(orders))
    write(folder / "run_results.json", run_results(which, orders=status))
    (folder / "project.tar.gz").write_bytes(content.encode() * 100)
    return folder


def write(path: Path, document: object) -> Path:
    """Write a JSON file."""
    path.write_text(json.dumps(document), encoding="utf-8")
    return path
