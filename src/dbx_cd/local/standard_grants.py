"""What the seeded users of the embedded workspace may do with data, as real grants: they can be revoked and looked at.

The rights that a real workspace needs are listed in docs/deploy.md, "Identities and rights".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from dbx_cd.local import rights
from dbx_cd.relations import quote

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from dbx_cd.local.rest.identity import User

_EVERYTHING = ("ALL PRIVILEGES", "MANAGE")


def seed(spark: SparkSession, users: Iterable[User], *, catalogs: Iterable[str]) -> None:
    """Make the users known and give them what they need.

    Args:
        spark: a session of the workspace itself.
        users: the workspace's users, with their groups.
        catalogs: the catalogs that it offers.
    """
    for user in users:
        rights.put_user(spark, user.user_name, groups=user.groups)
        for catalog in catalogs:
            for privilege in _EVERYTHING:
                rights.grant(spark, user.user_name, privilege, f"CATALOG {quote(catalog)}")
