"""The SQL that an administrator runs once: the objects of a project, and what each role is granted.

Printed, or run one by one: what is there already is looked at and left alone, so that a second run changes nothing and
needs no right to make anything (`CREATE ... IF NOT EXISTS` needs it also where the object is there: reported for
schemas in dbt-databricks issue 464).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from dbx_cd.delta.log_table import create_log
from dbx_cd.errors import ConfigError, SqlFailed
from dbx_cd.relations import RelationName, quote
from dbx_cd.setup.grants import APPROVERS, JOB, PRODUCTION, READERS, SRE, Grant, Places

Query = Callable[[str], Sequence[Sequence[Any]]]
"""Runs a statement and answers with its rows; raises `SqlFailed`."""

_HEAD = (
    "-- Run it in a SQL editor as somebody who may make and grant these things, or let",
    "-- `python -m dbx_cd setup --run` do it. What is there already is left alone.",
)
_OF = {
    JOB: "the job's identity. It owns what it makes",
    PRODUCTION: "production's identity. It owns what it makes in targets with a gate",
    APPROVERS: "who approves",
    SRE: "who rolls data back",
    READERS: "who looks at what was built. No step of the Workflow needs them",
}
_OPTIONS = {JOB: "--job-identity", APPROVERS: "--approvers", SRE: "--sre", READERS: "--readers"}


@dataclass(frozen=True)
class Step:
    """One statement."""

    section: str
    """What it belongs to, a line for people."""
    sql: str
    """The statement."""
    look: str
    """A query that tells whether it is done already: it succeeds, and of a grant has the privileges."""
    privileges: tuple[str, ...] = ()
    """What a grant gives; none where an object is made."""
    principal: str = ""
    """To whom."""
    next_step: str = ""
    """What to do where it fails."""


@dataclass(frozen=True)
class Done:
    """What became of one statement."""

    step: Step
    """The statement."""
    outcome: Literal["ok", "already", "failed"]
    """`already`: there was nothing to do."""
    problem: SqlFailed | None = None
    """Why it failed."""

    def __str__(self) -> str:
        text = f"{self.outcome:<8}{self.step.sql}"
        if self.problem is None:
            return text
        return f"{text}\n        {self.problem.what}\n        Next: {self.problem.next_step or self.step.next_step}"


def steps_for(places: Places, principals: Mapping[str, str]) -> tuple[Step, ...]:
    """Every statement, in the order in which they have to be run.

    Args:
        places: the project's places.
        principals: who has each role; of a role that nobody has nothing is granted.

    Raises:
        ConfigError: a name has characters in it that no name can have.
    """
    found = [*_objects(places), *_grants(places.grants(), principals)]
    for step in found:
        if any(ord(character) < 32 or ord(character) == 127 for character in step.sql):
            raise ConfigError(
                f"a name has control characters: {step.sql!r}", next_step="correct it where it is written"
            )
    return tuple(found)


def script(steps: Iterable[Step], principals: Mapping[str, str], *, ci: str | None = None) -> str:
    """The statements as a file for the SQL editor, with comments, and what is to be done besides.

    Args:
        steps: the statements.
        principals: who has each role, the job's identity and who approves among them.
        ci: who starts the Workflow.
    """
    lines = list(_HEAD)
    section = None
    for step in steps:
        if step.section != section:
            section = step.section
            lines += ["", f"-- {section}."]
        lines.append(f"{step.sql};")
    for role, option in _OPTIONS.items():
        if role not in principals:
            lines += ["", f"-- {role}: {_OF[role]}. Nobody is named, so nothing is granted: {option} NAME."]
    return "\n".join([*lines, "", *_besides(principals, ci=ci)]) + "\n"


def _besides(principals: Mapping[str, str], *, ci: str | None) -> list[str]:
    """What no statement does."""
    approvers, starts = _plain(principals[APPROVERS]), _plain(ci or "CI's identity")
    job = " and ".join(_plain(principals[role]) for role in (JOB, PRODUCTION) if role in principals)
    return [
        "-- Not SQL (docs/deploy.md, 'Identities and rights' and 'CI'):",
        f"-- * in the account: the service principal {job}, the group {approvers} and its members;",
        f"-- * {starts}: the role Service Principal User on {job}, and a federation policy for the repository;",
        f"-- * {job}: CAN USE on the SQL warehouse;",
        "-- * rights on the job itself come with the bundle: `permissions` in resources/dbx_cd.job.yml.",
    ]


def _plain(name: str) -> str:
    """A name in a comment, which ends with its line."""
    return " ".join(name.split())


def run_steps(steps: Iterable[Step], query: Query) -> Iterator[Done]:
    """Run the statements, those after one that fails as well; each is told when it is done."""
    for step in steps:
        if _is_done(step, query):
            yield Done(step, "already")
            continue
        try:
            query(step.sql)
        except SqlFailed as exc:
            yield Done(step, "failed", exc)
        else:
            yield Done(step, "ok")


def _objects(places: Places) -> Iterator[Step]:
    log = RelationName(*places.log)
    schemas = dict.fromkeys([places.log_schema, *(volume[:2] for volume in places.volumes)])
    section = "Where the release log and the artifacts are"
    for catalog in dict.fromkeys(schema[0] for schema in schemas):
        yield _made(section, "CATALOG", [catalog], next_step="make the catalog in Catalog Explorer, or as a metastore "
                    "admin; where the metastore has no storage of its own, with MANAGED LOCATION")  # fmt: skip
    for schema in schemas:
        yield _made(section, "SCHEMA", schema)
    for volume in places.volumes:
        yield _made(section, "VOLUME", volume)
    if places.is_log_made:
        yield Step(section, create_log(log), f"DESCRIBE TABLE {log.quoted}", next_step=_by_owner("schema"))
    for schema in places.made_schemas:
        yield _made("The schemas that dbt builds in, so that the job needs no CREATE SCHEMA", "SCHEMA", schema)


def _made(section: str, kind: str, parts: Sequence[str], *, next_step: str = "") -> Step:
    name = ".".join(map(quote, parts))
    above = {"CATALOG": "metastore", "SCHEMA": "catalog", "VOLUME": "schema"}[kind]
    create, look = f"CREATE {kind} IF NOT EXISTS {name}", f"DESCRIBE {kind} {name}"
    return Step(section, create, look, next_step=next_step or _by_owner(above))


def _grants(grants: Iterable[Grant], principals: Mapping[str, str]) -> Iterator[Step]:
    for grant in grants:
        principal = principals.get(grant.who)
        if principal is not None:
            yield Step(
                f"{grant.who}: {_OF[grant.who]}",
                grant.sql(principal),
                f"SHOW GRANTS {quote(principal)} ON {grant.on}",
                grant.privileges,
                principal,
                f"let the owner of {grant.on}, or who has MANAGE on it, run this; users are named by their e-mail "
                "address, groups by their name, service principals by their application id",
            )


def _by_owner(above: str) -> str:
    return f"let the owner of its {above} run this, or who may make it there"


def _is_done(step: Step, query: Query) -> bool:
    """Whether there is nothing to do; what cannot be seen is done once more, which does no harm."""
    try:
        rows = query(step.look)
    except SqlFailed:
        return False
    # Principal, privilege, kind and name of the object (SHOW GRANTS); grants on what the object lies in are among them.
    granted = {
        str(row[1]).replace("_", " ").upper() for row in rows if step.privileges and str(row[0]) == step.principal
    }
    return not step.privileges or "ALL PRIVILEGES" in granted or set(step.privileges) <= granted
