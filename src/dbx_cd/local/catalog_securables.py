"""Owners and rights for the REST side: what `SHOW GRANTS` answers the user who asks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pyspark.errors import PySparkException

from dbx_cd.local import rights
from dbx_cd.local.emulation.catalog_bridge import StatementFailed
from dbx_cd.local.emulation.dispatch import emulate
from dbx_cd.local.rest.identity import ADMINS
from dbx_cd.local.rest.unity_catalog_api import NotAllowed, NotSeen
from dbx_cd.local.session_user import act_as
from dbx_cd.relations import quote

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from dbx_cd.local.rest.identity import User

_EVERYBODY = "account users"


class CatalogSecurables:
    """`Securables` of a workspace.

    Args:
        spark: a session of the workspace itself.
    """

    def __init__(self, spark: SparkSession) -> None:
        self._spark = spark

    def owner(self, user: User, kind: str, name: Sequence[str]) -> str | None:
        """See `Securables`. Told of an object is whoever has a right on it or on what it lies in, or owns it."""
        rows = self._shown(self._spark, kind, name, None)
        owner = rights.owner_of(self._spark, _written(kind, name))
        own = {user.user_name, *user.groups, _EVERYBODY}
        if ADMINS not in user.groups and owner not in own and not own & {row[0] for row in rows}:
            raise NotSeen
        return owner

    def grants(self, user: User, kind: str, name: Sequence[str], *, principal: str | None) -> list[tuple[str, ...]]:
        """See `Securables`."""
        return self._shown(act_as(self._spark, user.user_name), kind, name, principal)

    def _shown(
        self, spark: SparkSession, kind: str, name: Sequence[str], principal: str | None
    ) -> list[tuple[str, ...]]:
        whose = f"{quote(principal)} " if principal else ""
        try:
            answer: Any = emulate(spark, f"SHOW GRANTS {whose}ON {_written(kind, name)}")
        except (PySparkException, StatementFailed) as exc:
            text = str(exc)
            if "INSUFFICIENT_PERMISSIONS" in text:
                raise NotAllowed(text.splitlines()[0]) from exc
            if "NOT_FOUND" in text:
                raise NotSeen from exc
            raise
        return [tuple(map(str, row.values())) for row in answer.to_pylist()]


def _written(kind: str, name: Sequence[str]) -> str:
    return f"{kind} {'.'.join(map(quote, name))}"
