"""How a task of the embedded workspace reaches its SQL warehouse: there is one, whatever id a job names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

VARIABLE = "DBX_CD_WAREHOUSE"
"""The environment variable by which the workspace tells its tasks, as JSON."""


def told_to_tasks(keys: Mapping[str, Any]) -> dict[str, str]:
    """The variable for the environment of tasks.

    Args:
        keys: the keys of a profile's output that say where it is; none of them says as whom to log in.
    """
    return {VARIABLE: json.dumps(dict(keys))}


def given_warehouse(environ: Mapping[str, str]) -> dict[str, Any] | None:
    """Those keys, in a task of the embedded workspace; None anywhere else."""
    given = environ.get(VARIABLE)
    return json.loads(given) if given else None
