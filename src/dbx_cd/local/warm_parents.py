"""The warm parents of an embedded workspace: one for notebooks, one for dbt.

Each imports with its first task, or when a release is about to begin, so a workspace that runs none pays two bare
interpreters.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Self

from dbx_cd.config import WARM_DBT
from dbx_cd.local.notebooks.volume_mount import HOST_VARIABLE
from dbx_cd.local.rest.task_process import DBT_TOKEN, child_environment
from dbx_cd.shell_environment import as_in_the_shell
from dbx_cd.warm.parent import WarmParent

_IDENTITY = ("DATABRICKS_HOST", "DATABRICKS_TOKEN", DBT_TOKEN, HOST_VARIABLE)


class WarmParents:
    """Both, for as long as the workspace runs.

    Args:
        environment: the variables that every task is given, but for its identity.
        volumes: the folder that tasks see as the mount of Volumes.
        log_dir: where they write what went wrong.
    """

    def __init__(self, *, environment: Mapping[str, str], volumes: Path, log_dir: Path) -> None:
        inherited = child_environment(host="", token="", volumes=volumes, extra=environment)
        variables = {name: value for name, value in inherited.items() if name not in _IDENTITY}
        shell = as_in_the_shell(variables)
        self._dbt = WarmParent("dbx_cd.dbt.warm", environment=shell, log=log_dir / "warm_dbt.log")
        self._notebooks = WarmParent(
            "dbx_cd.local.notebooks.warm", environment=variables, log=log_dir / "warm_notebooks.log"
        )

    def start(self) -> Self:
        """Start both."""
        self._dbt.start()
        try:
            self._notebooks.start()
        except BaseException:
            self._dbt.stop()
            raise
        return self

    def warm_up(self) -> None:
        """Have both import now, side by side: a release is about to begin."""
        self._notebooks.warm_up()
        self._dbt.warm_up()

    def stop(self) -> None:
        """End both, and what they have forked."""
        try:
            self._notebooks.stop()
        finally:
            self._dbt.stop()

    @property
    def notebooks(self) -> Path:
        """Where tasks are forked."""
        return self._notebooks.address

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which tasks find the parent for dbt."""
        return {WARM_DBT: str(self._dbt.address)}
