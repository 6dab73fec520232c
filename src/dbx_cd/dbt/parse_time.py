"""Whether a parse could have come out otherwise in another invocation of the same project.

While dbt parses it renders models, macros and properties. Most of what they can read there is part of the project, the
profile or the variables, and dbt compares the environment variables that were read (dbt-core 1.11's
`parser/partial.py`). The time, the command, its flags and the invocation's id it does not compare:
`config(enabled=flags.WHICH == 'run')` would keep its first answer in every later invocation.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dbx_cd.dbt.given_macros import JINJA, is_of_dbt, names_relations

_UNTRACKED = re.compile(
    r"\b(?:run_started_at|invocation_id|invocation_args_dict|dbt_metadata_envs|thread_id"
    r"|modules|flags)\b"
)
_GROUPS = ("nodes", "sources", "exposures", "unit_tests", "metrics", "saved_queries", "semantic_models")


def depends_on_the_invocation(project_dir: Path, *, manifest: Path) -> bool:
    """Whether anything that is rendered for a node's parse mentions what dbt does not compare.

    A model that mentions it in the text of its query alone is counted too: that cannot be told apart. Macros of hooks
    are not, because hooks are rendered again when they run.

    Args:
        project_dir: the project that was parsed, with its packages.
        manifest: the `manifest.json` of the invocation that parsed it.

    Returns:
        True also where the manifest cannot be read.
    """
    try:
        texts = (path.read_text(encoding="utf-8") for path in _yaml_files(project_dir))
        # In YAML `flags` is also a key of dbt_project.yml: only what is rendered counts.
        properties = (rendered for text in texts for rendered in JINJA.findall(text))
        document = json.loads(manifest.read_bytes())
        return any(map(_UNTRACKED.search, itertools.chain(properties, _rendered(document))))
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return True


def _yaml_files(folder: Path) -> Iterator[Path]:
    """Configuration and properties, whose values are rendered while they are read."""
    return (path for path in folder.rglob("*.y*ml") if path.suffix in (".yml", ".yaml"))


def _rendered(document: Mapping[str, Any]) -> Iterator[str]:
    """The code of all nodes but hooks, also of those that are disabled, and of the macros they may have called."""
    macros = document["macros"]
    called: set[str] = {i for i, macro in macros.items() if names_relations(macro)}
    nodes = [node for group in _GROUPS for node in (document.get(group) or {}).values()]
    disabled = [node for same_id in (document.get("disabled") or {}).values() for node in same_id]
    for node in (*nodes, *disabled):
        if node["resource_type"] != "operation":
            yield node.get("raw_code") or ""
            called.update((node.get("depends_on") or {}).get("macros") or ())
    reached: set[str] = set()
    while called:
        unique_id = called.pop()
        macro = macros.get(unique_id)
        if macro is None or unique_id in reached or is_of_dbt(unique_id):
            continue
        reached.add(unique_id)
        called.update((macro.get("depends_on") or {}).get("macros") or ())
        yield macro["macro_sql"]
