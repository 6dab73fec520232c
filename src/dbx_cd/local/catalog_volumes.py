"""The volumes of the embedded workspace, as its catalogs know them: who created what by SQL, and who may use it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dbx_cd.local import rights
from dbx_cd.local.emulation.catalog_bridge import CatalogBridge
from dbx_cd.relations import RelationName

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from dbx_cd.local.rest.identity import User
    from dbx_cd.local.rest.volume_access import VolumeName


_IN_SQL = re.compile(r"^\[INSUFFICIENT_PERMISSIONS\] Insufficient privileges:\s+| SQLSTATE: \w{5}$")


class CatalogVolumes:
    """What `VolumeAccess` asks, answered by the catalogs.

    Args:
        spark: a session of the embedded workspace.
    """

    def __init__(self, spark: SparkSession) -> None:
        self._spark = spark
        self._bridge = CatalogBridge(spark, of="VolumeStatements")

    def exists(self, name: VolumeName) -> bool:
        """Whether it was created."""
        return bool(self._bridge.call("exists", [name.catalog, name.schema, name.volume]))

    def denial(self, user: User, privilege: str, name: VolumeName) -> str | None:
        """What is missing for a user to read or write files, on the way to the volume too."""
        volume = RelationName(name.catalog, name.schema, name.volume).quoted
        try:
            rights.require(self._spark, user.user_name, privilege, f"VOLUME {volume}")
        except rights.InsufficientPermissions as exc:
            return _IN_SQL.sub("", str(exc))
        return None
