"""Checks of what the identities may do with data: asked, never tried. What cannot be seen is not known to be right."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from dbx_cd.delta.information_schema import is_not_found
from dbx_cd.enumeration import listed
from dbx_cd.errors import SqlFailed, WorkflowError
from dbx_cd.people import same_person
from dbx_cd.relations import quote
from dbx_cd.setup.check.effective_rights import Rights, is_there, rights_on
from dbx_cd.setup.check.needed_grants import NeededGrant, needed_grants
from dbx_cd.setup.check.report import CheckLine, fail, ok, skipped
from dbx_cd.setup.check.scene import Scene
from dbx_cd.setup.check.workspace_people import EVERYBODY, groups_of

_SHOWN = 5


def catalog(scene: Scene, target: str) -> Iterator[CheckLine]:
    """The catalog of a target is there and may be used; its schemas are there, or are made by the first build."""
    output = scene.output(target)
    name = output.catalog
    try:
        there = {str(row[0]).lower() for row in scene.sql.query(f"SHOW SCHEMAS IN {quote(name)}")}
    except SqlFailed as exc:
        missing = is_not_found(exc)
        yield fail(
            f"{target}: {name}",
            "there is no such catalog, or it may not be seen" if missing else exc.what,
            next_step=f"CREATE CATALOG {quote(name)}, or GRANT USE CATALOG ON CATALOG {quote(name)} to {scene.me}",
        )
        return
    wanted = _schemas(scene, target, name)
    new = sorted(schema for schema in wanted if schema.lower() not in there)
    made = f"; {listed(new, most=_SHOWN)} will be made by its first build" if new else ""
    yield ok(f"{target}: {name}", f"{len(wanted) - len(new)} of {len(wanted)} schemas are there{made}")


def _schemas(scene: Scene, target: str, catalog: str) -> set[str]:
    try:
        nodes = scene.lists(target).relations
    except Exception:
        return {scene.output(target).schema}
    return {
        n.relation.schema for n in nodes if n.relation is not None and n.relation.catalog.lower() == catalog.lower()
    }


@dataclass(frozen=True)
class _Holder:
    """Whose rights are looked at."""

    name: str
    names: frozenset[str]
    """It, and every group that it is in."""


def rights(scene: Scene) -> Iterator[CheckLine]:
    """Each identity has what the Workflow needs of it."""
    if scene.second_identity:
        yield skipped(
            scene.second_identity,
            "the Workflow works as two identities, whose rights are not looked at",
            next_step="compare them with docs/deploy.md",
        )
        return
    grants = list(needed_grants(scene))
    for name in dict.fromkeys(grant.principal for grant in grants):
        own = [grant for grant in grants if grant.principal == name]
        holder = _holder(scene, name, is_group=own[0].is_group)
        yield from _of_one(scene, holder, own)
    for role, who in {"sre": "who rolls data back", "readers": "who looks at data"}.items():
        yield skipped(role, f"{who} is named in no file, so their rights are not looked at")


def _of_one(scene: Scene, holder: _Holder, grants: list[NeededGrant]) -> Iterator[CheckLine]:
    present = 0
    for grant in grants:
        found = _asked(scene, grant, holder)
        if isinstance(found, WorkflowError):
            yield skipped(
                holder.name,
                f"{', '.join(grant.grant.privileges)} on {grant.grant.on}: cannot be seen: {found.what}",
                next_step=f"have somebody check who may see it, or grant it: {grant.statement}",
            )
            continue
        missing = [p for p in grant.grant.privileges if not found.has(holder.names, p)]
        missing = [p for p in missing if not _is_made(scene, p, grant)]
        present += len(grant.grant.privileges) - len(missing)
        if missing and not _is_told(scene, holder, found):
            yield skipped(holder.name, f"{', '.join(missing)} on {grant.grant.on}: cannot be seen by {scene.me}")
        elif missing:
            yield fail(holder.name, f"lacks {', '.join(missing)} on {grant.grant.on}", next_step=grant.statement)
    if present:
        yield ok(holder.name, f"has {present} of the privileges that the Workflow needs")


def _asked(scene: Scene, grant: NeededGrant, holder: _Holder) -> Rights | WorkflowError:
    """What is known of the rights on an object, for one identity: what may be seen may be of that one alone."""
    try:
        return scene.once(
            ("rights", grant.kind, grant.name, grant.principal),
            lambda: rights_on(scene.client, grant.kind, grant.name, principals=sorted(holder.names)),
        )
    except WorkflowError as exc:
        return exc


def _is_made(scene: Scene, privilege: str, grant: NeededGrant) -> bool:
    """Whether a right to make something is not needed any more: an administrator has made it (`setup --make-...`)."""
    if privilege == "CREATE SCHEMA":
        targets = [t for t in scene.looked_at if scene.output(t).catalog.lower() == grant.name.lower()]
        names = {("SCHEMA", f"{grant.name}.{schema}") for t in targets for schema in _schemas(scene, t, grant.name)}
    elif privilege == "CREATE TABLE":
        names = {("TABLE", scene.config.release_log)}
    else:
        return False
    return bool(names) and all(is_there(scene.client, kind, name) for kind, name in names)


def _is_told(scene: Scene, holder: _Holder, found: Rights) -> bool:
    """Whether an answer without a privilege means that it is not there: one's own rights, or an answer about all."""
    is_own = any(same_person(scene.me, name) for name in holder.names)
    return is_own or (found.of_all and bool(found.granted or found.owner))


def _holder(scene: Scene, name: str, *, is_group: bool) -> _Holder:
    groups: frozenset[str] | None = EVERYBODY
    if not is_group:
        try:
            groups = groups_of(scene.client, name)
        except WorkflowError:
            groups = None
    return _Holder(name, frozenset({name}) | (groups or EVERYBODY))
