"""What a release may do with data, and who: exactly what an administrator grants, in one list.

`python -m dbx_cd setup` prints it, docs/deploy.md shows it (compared by a test), and the embedded workspace grants and
enforces it. A grant that no step needs would be one too many; a test takes each one away.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from dbx_cd.relations import quote

JOB, PRODUCTION, APPROVERS, SRE, READERS = "job", "production", "approvers", "sre", "readers"
"""Who needs something: the job's identity, those who approve, who rolls data back, who looks at data.

Where the Workflow has two identities, the job's is staging's, and what has a gate is built by production's.
"""

Schema = tuple[str, str]
"""Catalog and schema."""
Volume = tuple[str, str, str]
"""Catalog, schema and volume."""


@dataclass(frozen=True)
class StandardGrant:
    """One line of the list; in `on`, `{artifacts}` and the like stand for objects of a project: several, or none."""

    who: str
    """One of the roles above."""
    privileges: tuple[str, ...]
    """The privileges."""
    on: str
    """Kind and name of the object; what stands for which objects is said by `Places.named`."""


STANDARD_GRANTS: tuple[StandardGrant, ...] = (
    StandardGrant(JOB, ("USE CATALOG",), "{log_catalog}"),
    StandardGrant(JOB, ("USE SCHEMA",), "{log_schema}"),
    # Whoever makes a table owns it, and may do everything with it.
    StandardGrant(JOB, ("CREATE TABLE",), "{schema_of_new_log}"),
    StandardGrant(JOB, ("SELECT", "MODIFY"), "{made_log}"),
    StandardGrant(JOB, ("USE CATALOG",), "{volume_catalog}"),
    StandardGrant(JOB, ("USE SCHEMA",), "{volume_schema}"),
    StandardGrant(JOB, ("READ VOLUME", "WRITE VOLUME"), "{artifacts}"),
    # Libraries of a task are read from a volume as who the task runs as (Databricks documentation, "Install libraries
    # from a volume").
    StandardGrant(JOB, ("READ VOLUME",), "{packages}"),
    # It owns what it makes: schemas, tables, views and functions of all targets, or of those without a gate.
    StandardGrant(JOB, ("USE CATALOG",), "{built}"),
    StandardGrant(JOB, ("CREATE SCHEMA",), "{built_with_new_schemas}"),
    StandardGrant(JOB, ("USE SCHEMA", "CREATE TABLE"), "{made_schema}"),
    StandardGrant(JOB, ("CREATE FUNCTION",), "{made_schema_of_functions}"),
    # With two identities staging's compares with production, and writes nothing there.
    StandardGrant(JOB, ("USE CATALOG", "USE SCHEMA", "SELECT"), "{compared_with}"),
    StandardGrant(JOB, ("USE CATALOG",), "{source_catalog}"),
    StandardGrant(JOB, ("USE SCHEMA", "SELECT"), "{source_schema}"),
    StandardGrant(PRODUCTION, ("USE CATALOG",), "{log_catalog}"),
    StandardGrant(PRODUCTION, ("USE SCHEMA",), "{log_schema}"),
    StandardGrant(PRODUCTION, ("SELECT", "MODIFY"), "{log}"),
    StandardGrant(PRODUCTION, ("USE CATALOG",), "{volume_catalog}"),
    StandardGrant(PRODUCTION, ("USE SCHEMA",), "{volume_schema}"),
    StandardGrant(PRODUCTION, ("READ VOLUME", "WRITE VOLUME"), "{artifacts}"),
    StandardGrant(PRODUCTION, ("READ VOLUME",), "{packages}"),
    # It defers to staging, and plans by it.
    StandardGrant(PRODUCTION, ("USE CATALOG", "USE SCHEMA", "SELECT"), "{open}"),
    StandardGrant(PRODUCTION, ("USE CATALOG",), "{gated}"),
    StandardGrant(PRODUCTION, ("CREATE SCHEMA",), "{gated_with_new_schemas}"),
    StandardGrant(PRODUCTION, ("USE SCHEMA", "CREATE TABLE"), "{made_schema_gated}"),
    StandardGrant(PRODUCTION, ("CREATE FUNCTION",), "{made_schema_gated_of_functions}"),
    StandardGrant(PRODUCTION, ("USE CATALOG",), "{source_catalog}"),
    StandardGrant(PRODUCTION, ("USE SCHEMA", "SELECT"), "{source_schema}"),
    # Where the first run makes the table of the log, on the schema: a grant on a table needs the table.
    StandardGrant(APPROVERS, ("USE CATALOG",), "{log_catalog}"),
    StandardGrant(APPROVERS, ("USE SCHEMA",), "{log_schema}"),
    StandardGrant(APPROVERS, ("SELECT", "MODIFY"), "{log}"),
    StandardGrant(APPROVERS, ("USE CATALOG",), "{artifacts_catalog}"),
    StandardGrant(APPROVERS, ("USE SCHEMA",), "{artifacts_schema}"),
    StandardGrant(APPROVERS, ("READ VOLUME",), "{artifacts}"),
    StandardGrant(SRE, ("USE CATALOG",), "{log_catalog}"),
    StandardGrant(SRE, ("USE SCHEMA",), "{log_schema}"),
    StandardGrant(SRE, ("SELECT", "MODIFY"), "{log}"),
    StandardGrant(SRE, ("USE CATALOG",), "{artifacts_catalog}"),
    StandardGrant(SRE, ("USE SCHEMA",), "{artifacts_schema}"),
    StandardGrant(SRE, ("READ VOLUME",), "{artifacts}"),
    StandardGrant(SRE, ("USE CATALOG", "USE SCHEMA", "SELECT", "MODIFY"), "{gated}"),
    StandardGrant(READERS, ("USE CATALOG", "USE SCHEMA", "SELECT", "EXECUTE"), "{target}"),
)


@dataclass(frozen=True)
class Grant:
    """What one role needs on one object."""

    who: str
    """The role."""
    privileges: tuple[str, ...]
    """The privileges."""
    on: str
    """Kind and name of the object, as SQL writes them."""

    def sql(self, principal: str) -> str:
        """The statement that gives it to somebody."""
        return f"GRANT {', '.join(self.privileges)} ON {self.on} TO {quote(principal)}"


@dataclass(frozen=True)
class Places:
    """Where a project keeps things, by name."""

    log: tuple[str, str, str]
    """The table of the release log."""
    artifacts: Volume | None
    """The volume of the artifacts; None where they are not on one."""
    targets: tuple[str, ...]
    """The catalogs of the targets."""
    gated: tuple[str, ...]
    """The catalogs of those with a gate."""
    sources: tuple[Schema, ...] = ()
    """Catalog and schema of the tables that the project reads and does not build."""
    packages: tuple[Volume, ...] = ()
    """Volumes of what is installed, such as the wheel."""
    is_log_made: bool = False
    """Whether the administrator makes the table of the log; else the first run does."""
    made_schemas: tuple[Schema, ...] = ()
    """The schemas of the targets, where the administrator makes them; else dbt does."""
    made_for_functions: tuple[Schema, ...] = ()
    """Those of them in which the project has functions."""
    made_gated: tuple[Schema, ...] = ()
    """Those of them that are of targets with a gate."""
    open: tuple[str, ...] = ()
    """The catalogs of the targets without a gate; asked for with two identities alone."""
    has_two_identities: bool = False
    """Whether what has a gate is built by an identity of its own."""

    @property
    def log_schema(self) -> Schema:
        """Catalog and schema of the release log."""
        return self.log[:2]

    @property
    def volumes(self) -> tuple[Volume, ...]:
        """Every volume, each once."""
        return tuple(dict.fromkeys([*([self.artifacts] if self.artifacts else []), *self.packages]))

    def grants(self) -> tuple[Grant, ...]:
        """What each role needs here, in the order of the list; one grant for each role and object."""
        found: dict[tuple[str, str], list[str]] = {}
        for line in STANDARD_GRANTS:
            for on in self.objects(line) if line.who != PRODUCTION or self.has_two_identities else ():
                found.setdefault((line.who, on), []).extend(line.privileges)
        return tuple(Grant(who, tuple(dict.fromkeys(names)), on) for (who, on), names in found.items())

    def objects(self, line: StandardGrant) -> list[str]:
        """The objects that one line of the list is about."""
        return list(dict.fromkeys(self.named[line.on.strip("{}")]))

    @property
    def named(self) -> dict[str, list[str]]:
        """What the names in the list stand for."""
        log, volumes = self.log_schema, self.volumes
        # USE CATALOG and USE SCHEMA are needed once, and on the log's they are.
        own = [self.artifacts] if self.artifacts else []
        two, by_dbt = self.has_two_identities, not self.made_schemas
        built = self.open if two else self.targets
        made = [one for one in self.made_schemas if not two or one not in self.made_gated]
        return {
            "log_catalog": ["CATALOG " + quote(log[0])],
            "log_schema": [_on("SCHEMA", log)],
            "log": [_on("TABLE", self.log) if self.is_log_made else _on("SCHEMA", log)],
            "made_log": [_on("TABLE", self.log)] if self.is_log_made else [],
            "schema_of_new_log": [] if self.is_log_made else [_on("SCHEMA", log)],
            "artifacts": [_on("VOLUME", one) for one in own],
            "packages": [_on("VOLUME", one) for one in self.packages if one != self.artifacts],
            **_ways("volume", volumes, known=log),
            **_ways("artifacts", own, known=log),
            "target": [_on("CATALOG", [one]) for one in self.targets],
            "built": [_on("CATALOG", [one]) for one in built],
            "built_with_new_schemas": [_on("CATALOG", [one]) for one in built if by_dbt],
            "made_schema": [_on("SCHEMA", one) for one in made],
            "made_schema_of_functions": [_on("SCHEMA", one) for one in made if one in self.made_for_functions],
            "compared_with": [_on("CATALOG", [one]) for one in self.gated if two],
            "open": [_on("CATALOG", [one]) for one in self.open],
            "gated": [_on("CATALOG", [one]) for one in self.gated],
            "gated_with_new_schemas": [_on("CATALOG", [one]) for one in self.gated if by_dbt],
            "made_schema_gated": [_on("SCHEMA", one) for one in self.made_gated],
            "made_schema_gated_of_functions": [
                _on("SCHEMA", one) for one in self.made_gated if one in self.made_for_functions
            ],
            "source_catalog": [_on("CATALOG", one[:1]) for one in self.sources],
            "source_schema": [_on("SCHEMA", one) for one in self.sources],
        }


def privileges_of(grants: Iterable[Grant]) -> Iterator[tuple[str, str, str]]:
    """Role, privilege and object of each, one privilege at a time."""
    return ((grant.who, privilege, grant.on) for grant in grants for privilege in grant.privileges)


def _ways(name: str, volumes: Iterable[Volume], *, known: Schema) -> dict[str, list[str]]:
    """The catalogs and schemas on the way to volumes, but for those that are granted already."""
    schemas = [one[:2] for one in volumes if one[:2] != known]
    return {
        f"{name}_catalog": [_on("CATALOG", one[:1]) for one in schemas if one[0] != known[0]],
        f"{name}_schema": [_on("SCHEMA", one) for one in schemas],
    }


def _on(kind: str, parts: Iterable[str]) -> str:
    return f"{kind} {'.'.join(map(quote, parts))}"
