"""Where the notebook that is running lies on this machine's disk.

From runtime 14.0 on a notebook begins in its own folder (Databricks documentation, "What is the default current
working directory?"); on serverless compute nothing promises that, and any cell may go elsewhere. The notebook's context
says its path in any case.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any


def notebook_folder(dbutils: Any = None) -> Path | None:
    """The folder of the notebook that is running.

    Args:
        dbutils: the notebook's `dbutils`; None for the one that IPython knows, in which notebooks run.

    Returns:
        The folder; None where no notebook runs, or nothing says where it lies.
    """
    for handle in (dbutils, _known_to_ipython()):
        path = _path_by(handle)
        if path is not None:
            # In the workspace a path has no `/Workspace` in front, on a driver's disk it has.
            for place in (Path(f"/Workspace{path}"), Path(path)):
                if place.parent.is_dir():
                    return place.parent
    return None


def _path_by(dbutils: Any) -> str | None:
    if dbutils is None:
        return None
    try:
        path = dbutils.notebook.entry_point.getDbutils().notebook().getContext().notebookPath().get()
    except Exception:  # whatever a handle raises that has no context: a Java error, or an attribute that is missing
        return None
    return path if isinstance(path, str) and path.startswith("/") else None


def _known_to_ipython() -> Any:
    found = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return getattr(found, "user_ns", {}).get("dbutils")
