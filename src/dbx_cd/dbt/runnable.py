"""Which nodes a command of dbt runs, of those that its selection means.

As `RUNNER_MAP` in task/build.py of dbt-core 1.11, where saved queries and exposures do nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

from dbx_cd.dbt.artifacts import BUILT_TYPES, Manifest, Node

MADE_TYPES = (*BUILT_TYPES, "function")
"""What makes something in the target, and can be read there."""
TEST_TYPES = ("test", "unit_test")
_RUN_TYPES = (*MADE_TYPES, *TEST_TYPES)


def is_selected_by(node: Node, command: str) -> bool:
    """Whether a command takes a node for selected that dbt lists: `run` takes models alone."""
    return command != "run" or node.resource_type == "model"


def _is_built_by(node: Node, command: str) -> bool:
    """Whether a command builds or tests a node that dbt lists; an ephemeral model in what reads it.

    What only describes, such as an exposure, is listed and runs no query; an empty file neither (`Node.is_blank`).
    """
    return is_selected_by(node, command) and node.resource_type in _RUN_TYPES and not node.is_blank


def is_run(node: Node) -> bool:
    """Whether `dbt build` runs something for a selected node by itself."""
    return _is_built_by(node, "build") and not node.is_ephemeral


def built_by(manifest: Manifest, listed: Iterable[str], command: str) -> frozenset[str]:
    """The unique ids of what a command builds or tests, of those that dbt lists for its selection."""
    return frozenset(node.unique_id for node in manifest.select(listed) if _is_built_by(node, command))
