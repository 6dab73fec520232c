"""What the users of the embedded workspace may do with data: exactly what docs/deploy.md has an administrator grant.

The statements there and this table are compared by a test. Volumes and SQL ask for these rights.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dbx_cd.local import rights
from dbx_cd.relations import quote

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from dbx_cd.local.rest.identity import User

JOB, APPROVERS, SRE, READERS = "job", "approvers", "sre", "readers"
"""Who needs something: the job's identity, those who approve, who rolls data back, who looks at data."""


@dataclass(frozen=True)
class StandardGrant:
    """One statement of docs/deploy.md; in `on`, `{artifacts}` and the like stand for a project's own."""

    who: str
    """One of the roles above."""
    privileges: tuple[str, ...]
    """The privileges."""
    on: str
    """Kind and name of the object.

    `{target}` is the catalog of each target, `{gated}` that of each with a gate, `{source_catalog}` and
    `{source_schema}` what each source is in.
    """


STANDARD_GRANTS: tuple[StandardGrant, ...] = (
    StandardGrant(JOB, ("USE CATALOG",), "CATALOG {log_catalog}"),
    StandardGrant(JOB, ("USE SCHEMA", "CREATE TABLE"), "SCHEMA {log_schema}"),
    StandardGrant(JOB, ("READ VOLUME", "WRITE VOLUME"), "VOLUME {artifacts}"),
    # It owns what it makes: schemas, tables and views of both targets. `CREATE SCHEMA IF NOT EXISTS`, which dbt runs
    # for each schema, takes CREATE SCHEMA also where the schema is there.
    StandardGrant(JOB, ("USE CATALOG", "CREATE SCHEMA"), "CATALOG {target}"),
    StandardGrant(JOB, ("USE CATALOG",), "CATALOG {source_catalog}"),
    StandardGrant(JOB, ("USE SCHEMA", "SELECT"), "SCHEMA {source_schema}"),
    # On the schema, and not on the table: that is made by the first run.
    StandardGrant(APPROVERS, ("USE CATALOG",), "CATALOG {log_catalog}"),
    StandardGrant(APPROVERS, ("USE SCHEMA", "SELECT", "MODIFY"), "SCHEMA {log_schema}"),
    StandardGrant(APPROVERS, ("READ VOLUME",), "VOLUME {artifacts}"),
    StandardGrant(SRE, ("USE CATALOG",), "CATALOG {log_catalog}"),
    StandardGrant(SRE, ("USE SCHEMA", "SELECT", "MODIFY"), "SCHEMA {log_schema}"),
    StandardGrant(SRE, ("READ VOLUME",), "VOLUME {artifacts}"),
    StandardGrant(SRE, ("USE CATALOG", "USE SCHEMA", "SELECT", "MODIFY"), "CATALOG {gated}"),
    StandardGrant(READERS, ("USE CATALOG", "USE SCHEMA", "SELECT", "EXECUTE"), "CATALOG {target}"),
)


@dataclass(frozen=True)
class Places:
    """Where a project keeps things, by name."""

    log_schema: tuple[str, str]
    """Catalog and schema of the release log."""
    artifacts: tuple[str, str, str] | None
    """The volume of the artifacts; None where they are not on one."""
    targets: tuple[str, ...]
    """The catalogs of the targets."""
    gated: tuple[str, ...]
    """The catalogs of those with a gate."""
    sources: tuple[tuple[str, str], ...] = ()
    """Catalog and schema of the tables that the project reads and does not build."""

    def objects(self, grant: StandardGrant) -> list[str]:
        """What a statement grants on, for these places."""
        if "{artifacts}" in grant.on and self.artifacts is None:
            return []
        for place, names in self._several().items():
            if place in grant.on:
                return [grant.on.replace(place, name) for name in dict.fromkeys(names)]
        return [
            grant.on.format(
                log_catalog=quote(self.log_schema[0]),
                log_schema=_dotted(self.log_schema),
                artifacts=_dotted(self.artifacts or ()),
            )
        ]

    def _several(self) -> dict[str, list[str]]:
        """The objects of which there may be several, by the text that stands for each."""
        return {
            "{target}": [quote(catalog) for catalog in self.targets],
            "{gated}": [quote(catalog) for catalog in self.gated],
            "{source_catalog}": [quote(catalog) for catalog, _schema in self.sources],
            "{source_schema}": [_dotted(source) for source in self.sources],
        }


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
    for grant in STANDARD_GRANTS:
        for principal in principals.get(grant.who, ()):
            for on in places.objects(grant):
                for privilege in grant.privileges:
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


def _dotted(parts: Iterable[str]) -> str:
    return ".".join(quote(part) for part in parts)
