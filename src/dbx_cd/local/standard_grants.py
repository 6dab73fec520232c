"""What the users of the embedded workspace may do with data: what `setup/grants.py` lists, granted here.

Volumes and SQL ask for these rights.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from dbx_cd.local import rights
from dbx_cd.relations import quote
from dbx_cd.setup.grants import Places, privileges_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from dbx_cd.local.rest.identity import User


def introduce(spark: SparkSession, users: Iterable[User]) -> None:
    """Make the users of a workspace known, with their groups; nothing is granted to them.

    Args:
        spark: a session of the workspace itself.
        users: everybody.
    """
    for user in users:
        rights.put_user(spark, user.user_name, groups=user.groups)


def grant_standard(spark: SparkSession, places: Places, *, principals: Mapping[str, Iterable[str]]) -> None:
    """Grant what docs/deploy.md lists for a project.

    Args:
        spark: a session of the workspace itself.
        places: the project's places; its catalogs, schema of the log and volume exist.
        principals: users and groups by role.
    """
    for who, privilege, on in privileges_of(places.grants()):
        for principal in principals.get(who, ()):
            rights.grant(spark, principal, privilege, on)


def grant_everything(spark: SparkSession, principal: str, *, catalogs: Iterable[str]) -> None:
    """Let somebody do everything with some catalogs: for trying things, never for a release."""
    for catalog in catalogs:
        for privilege in ("ALL PRIVILEGES", "MANAGE"):
            rights.grant(spark, principal, privilege, f"CATALOG {quote(catalog)}")


def take_everything(spark: SparkSession, principal: str, *, catalogs: Iterable[str]) -> None:
    """Take back what `grant_everything` gave; what else was granted stays."""
    for catalog in catalogs:
        for privilege in ("ALL PRIVILEGES", "MANAGE"):
            rights.revoke(spark, principal, privilege, f"CATALOG {quote(catalog)}")
