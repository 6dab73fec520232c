"""What a release may do with data, and who: exactly what an administrator grants, in one list.

`python -m dbx_cd setup` prints it, docs/deploy.md shows it (compared by a test), and the embedded workspace grants and
enforces it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from dbx_cd.relations import quote

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


def _dotted(parts: Iterable[str]) -> str:
    return ".".join(quote(part) for part in parts)
