"""The libraries of a task: nothing is installed here, but their files are asked for as who the task runs as.

A cluster reads a library on a volume as the identity that it is for, which needs READ VOLUME (Databricks documentation,
"Install libraries from a volume"). A volume that this workspace does not have is passed over: the wheel is in the
tasks' own Python already.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from dbx_cd.errors import DbxCdError
from dbx_cd.local.rest.identity import Directory
from dbx_cd.local.rest.volume_access import READ, VolumeAccess, VolumeName
from dbx_cd.sql_messages import step_to_rights

_FILES = ("whl", "requirements", "jar", "egg")


class LibraryRefused(DbxCdError):
    """A library of a task lies where the identity that the task runs as may not read."""


class Libraries:
    """What is asked before a task starts.

    Args:
        directory: the users.
        volumes: which volumes there are, and who may use them.
    """

    def __init__(self, directory: Directory, volumes: VolumeAccess) -> None:
        self._directory = directory
        self._volumes = volumes

    def require(self, libraries: Iterable[Mapping[str, Any]], *, run_as: str) -> None:
        """Refuse a task whose libraries its identity may not read.

        Raises:
            LibraryRefused: one of them; the message names the privilege and the volume.
        """
        user = self._directory.user(run_as)
        for path in _paths(libraries):
            name = VolumeName.of(path.split("/")[2:5])
            denial = self._volumes.denial(user, READ, name) if self._volumes.exists(name) else None
            if denial is not None:
                raise LibraryRefused(
                    f"Library installation failed: {denial}", where=path, next_step=step_to_rights(denial, who=run_as)
                )


def _paths(libraries: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """The files on volumes."""
    for library in libraries:
        for kind in _FILES:
            path = str(library.get(kind) or "")
            if path.startswith("/Volumes/") and path.count("/") >= 5:
                yield path
