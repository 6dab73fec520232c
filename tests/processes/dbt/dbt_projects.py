"""The example shop as a project that tests change, and manifests without what differs between any two invocations."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

SHOP = Path(__file__).resolve().parents[3] / "examples" / "shop"
VARIABLE = "SHOP_REGION"


def shop(folder: Path) -> Path:
    """A copy of the shop with a model that reads an environment variable, a variable, the target and a macro."""
    shutil.copytree(SHOP, folder, ignore=shutil.ignore_patterns("target", "logs"))
    (folder / "macros" / "region.sql").write_text("{% macro region() %}{{ return('north') }}{% endmacro %}\n")
    read = f"'variable': env_var('{VARIABLE}', 'none'), 'var': var('day', 'none'), 'target': target.name"
    (folder / "models" / "probe.sql").write_text(
        f"{{{{ config(materialized='view', meta={{{read}, 'macro': region()}}) }}}}\nselect 1 as id\n"
    )
    return folder


def manifest(path: Path, *, project: Path) -> Any:
    """A manifest without ids, times and the folder it was made in.

    Args:
        path: the `manifest.json`.
        project: the folder that dbt was given; where a parse was carried from another one, seeds still name that.
    """

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(inner) for key, inner in value.items() if key not in ("created_at", "root_path")}
        return [plain(inner) for inner in value] if isinstance(value, list) else value

    document = json.loads(path.read_text(encoding="utf-8").replace(str(project), "<project>"))
    for name in ("generated_at", "invocation_id", "invocation_started_at", "run_started_at"):
        document["metadata"].pop(name, None)
    # Its order is that of nodes, which varies with the interpreter's hash seed (measured with PYTHONHASHSEED 2 and 3).
    document["group_map"] = {group: sorted(nodes) for group, nodes in document["group_map"].items()}
    return plain(document)
