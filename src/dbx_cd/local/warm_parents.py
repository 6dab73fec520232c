"""The warm parents of an embedded workspace: one for notebooks, and one for dbt in each environment that dbt runs in.

Each imports with its first task, or when a release is about to begin, so a workspace that runs none pays two bare
interpreters. An environment of dbt's own gets its parent when the first task asks for one: which environment that is
the commit says, not the workspace.
"""

from __future__ import annotations

import contextlib
import json
import logging
import shutil
import socket
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from dbx_cd.config import WARM_DBT
from dbx_cd.dbt.environment import DbtEnvironment
from dbx_cd.dbt.warm_parent import WARM_ENVIRONMENTS, new_parent
from dbx_cd.errors import DbxCdError
from dbx_cd.local.notebooks.volume_mount import HOST_VARIABLE
from dbx_cd.local.rest.task_process import DBT_TOKEN, child_environment
from dbx_cd.shell_environment import as_in_the_shell
from dbx_cd.warm.parent import WarmParent

_IDENTITY = ("DATABRICKS_HOST", "DATABRICKS_TOKEN", DBT_TOKEN, HOST_VARIABLE)
_ANSWER_SECONDS = 10.0

_log = logging.getLogger(__name__)


class WarmParents:
    """All of them, for as long as the workspace runs.

    Args:
        environment: the variables that every task is given, but for its identity.
        volumes: the folder that tasks see as the mount of Volumes.
        log_dir: where they write what went wrong.
    """

    def __init__(self, *, environment: Mapping[str, str], volumes: Path, log_dir: Path) -> None:
        inherited = child_environment(host="", token="", volumes=volumes, extra=environment)
        variables = {name: value for name, value in inherited.items() if name not in _IDENTITY}
        shell = as_in_the_shell(variables)
        log = log_dir / "warm_dbt.log"
        self._dbt = new_parent(DbtEnvironment.own(), variables=shell, log=log)
        self._notebooks = WarmParent(
            "dbx_cd.local.notebooks.warm", environment=variables, log=log_dir / "warm_notebooks.log"
        )
        self._others = _OtherEnvironments(variables=shell, log=log)

    def start(self) -> Self:
        """Start those that every workspace has."""
        with contextlib.ExitStack() as undo:
            for one in (self._dbt, self._notebooks, self._others):
                one.start()
                undo.callback(one.stop)
            undo.pop_all()
        return self

    def warm_up(self) -> None:
        """Have them import now, side by side: a release is about to begin."""
        self._notebooks.warm_up()
        self._dbt.warm_up()
        self._others.warm_up()

    def stop(self) -> None:
        """End all, and what they have forked."""
        with contextlib.ExitStack() as ends:
            for one in (self._dbt, self._notebooks, self._others):
                ends.callback(one.stop)

    @property
    def notebooks(self) -> Path:
        """Where tasks are forked."""
        return self._notebooks.address

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which tasks find the parents for dbt."""
        return {WARM_DBT: str(self._dbt.address), WARM_ENVIRONMENTS: str(self._others.address)}


class _OtherEnvironments:
    """Starts a warm parent in each environment that a task names, and tells its address; see `given_parent`.

    Args:
        variables: those of a task in the user's shell.
        log: where the parents write what went wrong.
    """

    def __init__(self, *, variables: Mapping[str, str], log: Path) -> None:
        self._variables = variables
        self._log = log
        self._parents: dict[Path, WarmParent] = {}

    def start(self) -> None:
        """Listen, in a folder that only this user may enter."""
        self._folder = Path(tempfile.mkdtemp(prefix="dbx_cd-"))
        self.address = self._folder / "socket"
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(self.address))
        self._listener.listen(64)
        self._thread = threading.Thread(target=self._serve, name="warm-environments", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Listen no more, and end the parents."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # on Linux this ends a thread that waits in `accept`
        self._listener.close()
        self._thread.join(_ANSWER_SECONDS)
        shutil.rmtree(self._folder, ignore_errors=True)
        for parent in self._parents.values():
            parent.stop()

    def warm_up(self) -> None:
        """Have those import that were asked for before."""
        for parent in list(self._parents.values()):
            parent.warm_up()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError, ValueError):
                connection.settimeout(_ANSWER_SECONDS)
                folder = Path(json.loads(connection.makefile("rb").readline()))
                connection.sendall(json.dumps(self._parent_in(folder)).encode() + b"\n")

    def _parent_in(self, folder: Path) -> str | None:
        """The address of the parent in an environment; None where none can be started."""
        try:
            if folder not in self._parents:
                place = DbtEnvironment(DbtEnvironment.own().record, folder)
                self._parents[folder] = new_parent(place, variables=self._variables, log=self._log).start()
            return str(self._parents[folder].address)
        except (OSError, DbxCdError) as exc:
            _log.warning("no warm parent in %s: %s", folder, exc)
            return None
