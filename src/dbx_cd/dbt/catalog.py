"""`catalog.json` of `dbt docs generate`: the columns that relations really have."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from dbx_cd.dbt.json_files import read_json, reading

Catalog = Mapping[str, Mapping[str, str]]
"""The types of columns, by unique id and name, in their order."""


def load_catalog(path: str | Path) -> Catalog:
    """Read a catalog file.

    Raises:
        ArtifactError: the file is missing or is not a catalog.
    """
    document = read_json(path)
    with reading("a dbt catalog", path):
        found = {**document["nodes"], **(document.get("sources") or {})}
        return {
            unique_id: {
                str(column["name"]): str(column["type"])
                for column in sorted(entry["columns"].values(), key=lambda column: int(column["index"]))
            }
            for unique_id, entry in found.items()
        }
