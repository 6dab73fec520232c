"""Where on this machine lies what has a path below `/Volumes`: in a folder of the workspace's state folder."""

from __future__ import annotations

from pathlib import Path

VOLUMES = "Volumes"
"""The folder of the state directory that stands for `/Volumes`."""


def volume_path(state_dir: Path, path: str) -> Path:
    """Where a path lies on this machine.

    The names of catalog, schema and volume are in lower case, as everywhere in Unity Catalog; what is inside of a
    volume keeps its case. A path that is not below `/Volumes` lies below the state folder as it is.

    Args:
        state_dir: the state folder of the workspace.
        path: the path, such as `/Volumes/ops/dbt_meta/artifacts`.
    """
    root, *parts = path.strip("/").split("/")
    names = 3 if root == VOLUMES else 0  # catalog, schema, volume
    return state_dir.joinpath(root, *(part.lower() for part in parts[:names]), *parts[names:])
