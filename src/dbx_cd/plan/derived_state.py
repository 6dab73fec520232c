"""The state that dbt defers by: of the pinned manifest only the nodes that must resolve to staging.

With `--favor-state` dbt takes every unselected parent that the state has from there, and what the state does not have
from the target; a foreign key likewise, selected or not. So with this state both resolve exactly as planned.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from dbx_cd.dbt.json_files import read_json
from dbx_cd.digest import digest

_NAME = "manifest.json"
_DEFERRED = ("nodes", "functions")
# Every other part stays, and is emptied: dbt-core 1.11 refuses a manifest without its fields (`WritableManifest` in
# artifacts/schemas/manifest/v12), and reads nothing from them to defer.
_KEPT = ("metadata",)


def derived_state(pinned: Path, keep: Collection[str], *, into: Path) -> str:
    """Write the state that holds nothing but some nodes.

    Args:
        pinned: the `manifest.json` of the artifacts that the target defers to.
        keep: the unique ids that must resolve there.
        into: the folder of the new state, on local disk.

    Returns:
        A digest of what deferral reads of it.

    Raises:
        ArtifactError: the manifest cannot be read.
    """
    document = read_json(pinned)
    reduced: dict[str, Any] = {
        name: part if name in _KEPT else _emptied(part, keep if name in _DEFERRED else ())
        for name, part in document.items()
    }
    into.mkdir(parents=True, exist_ok=True)
    (into / _NAME).write_text(json.dumps(reduced), encoding="utf-8")
    deferred = {i: _place(raw) for name in _DEFERRED for i, raw in reduced.get(name, {}).items()}
    return digest(deferred)


def _emptied(part: Any, keep: Collection[str]) -> Any:
    if isinstance(part, dict):
        return {unique_id: raw for unique_id, raw in part.items() if unique_id in keep}
    return part if part is None else type(part)()


def _place(raw: dict[str, Any]) -> list[Any]:
    return [raw.get(name) for name in ("database", "schema", "alias", "relation_name")]
