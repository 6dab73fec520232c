"""Which volumes there are and what a user may do with their files: what the Files API and the tasks go by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from dbx_cd.local.rest.api_error import not_found, permission_denied
from dbx_cd.local.rest.identity import User

READ, WRITE = "READ VOLUME", "WRITE VOLUME"


@dataclass(frozen=True)
class VolumeName:
    """The three parts of a volume's name, in lower case as everywhere in Unity Catalog."""

    catalog: str
    """The catalog."""
    schema: str
    """The schema."""
    volume: str
    """The volume's own name."""

    @classmethod
    def of(cls, parts: Sequence[str]) -> VolumeName:
        """Of the parts of a path behind `/Volumes`, or of a dotted name."""
        catalog, schema, volume = (part.lower() for part in parts[:3])
        return cls(catalog, schema, volume)

    def __str__(self) -> str:
        return f"{self.catalog}.{self.schema}.{self.volume}"


class VolumeAccess(Protocol):
    """What is asked about volumes."""

    def exists(self, name: VolumeName) -> bool:
        """Whether it was created."""

    def denial(self, user: User, privilege: str, name: VolumeName) -> str | None:
        """What is missing for a user to read or write files, in the platform's words; None where nothing is."""


class FixedVolumes:
    """The volumes of a workspace without Spark, which has no SQL to create one.

    Args:
        names: their names.
        denied: privileges that users do not have, by the user's name.
    """

    def __init__(self, names: Sequence[str] = (), denied: Mapping[str, Sequence[str]] | None = None) -> None:
        self._names = {VolumeName.of(name.split(".")) for name in names}
        self._denied = dict(denied or {})

    def exists(self, name: VolumeName) -> bool:
        """Whether it is one of the names."""
        return name in self._names

    def denial(self, user: User, privilege: str, name: VolumeName) -> str | None:
        """That the user is denied it; None where they are not."""
        if privilege in self._denied.get(user.user_name, ()):
            return f"User does not have {privilege} on Volume '{name}'."
        return None


def require_volume(volumes: VolumeAccess, user: User, privilege: str, name: VolumeName) -> None:
    """Refuse a request about the files of a volume that is not there, or that the user may not use so.

    Raises:
        ApiError: 404 where it was never created, 403 naming the privilege and the volume.
    """
    if not volumes.exists(name):
        raise not_found(f"Volume '{name}' does not exist.")
    denial = volumes.denial(user, privilege, name)
    if denial is not None:
        raise permission_denied(denial)
