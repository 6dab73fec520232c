"""Unity Catalog's rights of the embedded workspace, for its own Python: who there is, what is granted, who may do what.

REST asks here; emulated statements (`emulation/needs.py`) and plans (`PlanGuard.java`) ask the same ledger. A
securable is written as in SQL: `METASTORE`, `CATALOG ops`, `SCHEMA ops.dbt_meta`, `TABLE ops.dbt_meta.release_log` (a
view, too), `VOLUME ops.dbt_meta.artifacts`, `FUNCTION ops.dbt_meta.f`; unusual names stand in backquotes. A privilege
is written as in SQL (`USE SCHEMA`) or as in the REST API (`USE_SCHEMA`); `OWNERSHIP` means being the owner.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from py4j.protocol import Py4JJavaError

from dbx_cd.errors import DbxCdError
from dbx_cd.local.emulation.sql_text import NAME, split_name

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_SECURABLE = re.compile(rf"\s*(?P<kind>[A-Za-z]+)(?:\s+(?P<name>{NAME}))?\s*")
_KINDS = {"DATABASE": "SCHEMA", "VIEW": "TABLE"}


class InsufficientPermissions(DbxCdError):
    """The user lacks a privilege; the message names it and the object, as the platform's does."""


class UnknownRight(DbxCdError):
    """No such privilege, or none that can be had on that object; or no such object."""


_CONDITION = re.compile(r"\[([A-Z_]+)\]")
# The conditions of `java/dbxcd/local/Rights.java` and `SecurableNames.java`.
_REFUSALS: dict[str, type[DbxCdError]] = {
    "INSUFFICIENT_PERMISSIONS": InsufficientPermissions,
    "INVALID_PARAMETER_VALUE": UnknownRight,
    "CATALOG_NOT_FOUND": UnknownRight,
    "SCHEMA_NOT_FOUND": UnknownRight,
    "TABLE_OR_VIEW_NOT_FOUND": UnknownRight,
}


def put_user(spark: SparkSession, user: str, *, groups: Iterable[str] = ()) -> None:
    """Make a user known, with the groups that he is a member of: `admins` administers the metastore.

    As long as nobody is known, SQL may grant to every name.
    """
    _call(spark, "putUser", user, list(groups))


def grant(spark: SparkSession, principal: str, privilege: str, securable: str) -> None:
    """Grant a privilege as the workspace itself, which nobody has to allow.

    Args:
        spark: any session of the workspace.
        principal: a user or a group; `account users` is everybody.
        privilege: one privilege, such as `SELECT` or `ALL PRIVILEGES`.
        securable: the object; it need not exist yet.

    Raises:
        UnknownRight: no such privilege, or none for that kind of object.
    """
    _call(spark, "grantAsWorkspace", principal, privilege, *_parts(securable))


def revoke(spark: SparkSession, principal: str, privilege: str, securable: str) -> None:
    """Take a privilege back as the workspace itself; what was not granted is no error.

    Raises:
        UnknownRight: no such privilege, or none for that kind of object.
    """
    _call(spark, "revokeAsWorkspace", principal, privilege, *_parts(securable))


def set_owner(spark: SparkSession, owner: str, securable: str) -> None:
    """Give an object to a user or a group."""
    _call(spark, "setOwnerAsWorkspace", owner, *_parts(securable))


def owner_of(spark: SparkSession, securable: str) -> str | None:
    """Who owns an object; None for what the workspace itself has made."""
    owner = _call(spark, "ownerOf", *_parts(securable))
    return None if owner is None else str(owner)


def require(spark: SparkSession, user: str | None, privilege: str, securable: str) -> None:
    """Refuse a user who lacks a privilege on an object, or USE CATALOG and USE SCHEMA on the way to it.

    Args:
        spark: any session of the workspace.
        user: the user; None for the workspace itself, which may do everything.
        privilege: what is needed, or `OWNERSHIP`.
        securable: the object.

    Raises:
        InsufficientPermissions: something is missing; the first thing is named.
        UnknownRight: no such privilege or kind of object.
    """
    _call(spark, "requireOf", user, privilege, *_parts(securable))


def created(spark: SparkSession, securable: str) -> None:
    """Say that the user of this session has made an object, which then is his; the catalog does it for its own."""
    _call(spark, "created", *_parts(securable))


def dropped(spark: SparkSession, securable: str) -> None:
    """Say that an object is gone, and with it its owner and what was granted on it; the catalog does it for its own."""
    _call(spark, "dropped", *_parts(securable))


def _parts(securable: str) -> tuple[str, list[str]]:
    match = _SECURABLE.fullmatch(securable)
    if match is None:
        raise UnknownRight(f"{securable!r} names no object", next_step="write the kind and the name: SCHEMA a.b")
    kind = match["kind"].upper()
    return _KINDS.get(kind, kind), split_name(match["name"] or "")


def _call(spark: SparkSession, method: str, *arguments: Any) -> Any:
    jvm: Any = spark._jvm
    try:
        return getattr(jvm.dbxcd.local.Rights, method)(spark._jsparkSession, *arguments)
    except Exception as exc:
        refusal = _refusal(exc)
        if refusal is None:
            raise
        raise refusal from exc


def _refusal(exc: Exception) -> DbxCdError | None:
    """What the ledger refuses; None for whatever else goes wrong, such as a JVM that is gone."""
    # PySpark has its own class for what is one of Spark's analysis errors, and keeps Java's in it.
    java: Any = exc.java_exception if isinstance(exc, Py4JJavaError) else getattr(exc, "_origin", None)
    text = "" if java is None else str(java.getMessage())
    found = _CONDITION.match(text)
    refusal = None if found is None else _REFUSALS.get(found[1])
    return None if refusal is None else refusal(text)
