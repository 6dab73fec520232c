"""Whether an open target's build keeps apart from what gated targets hold: asked before dbt's first statement.

Nothing but a macro and a profile decides where dbt builds: a `generate_schema_name` that forgets the target, or another
target's catalog in the profile, and staging's build is production's, approved by nobody. So names are compared: those
that the commit gives the nodes to be built, with those that gated targets have had.

Only what dbt says beforehand can be compared. A model or a macro may run statements of its own while dbt builds; the
wall against those is a login of staging's that may not write to production.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from dbx_cd.dbt.artifacts import Manifest, Node
from dbx_cd.dbt.runnable import MADE_TYPES, is_selected_by
from dbx_cd.enumeration import listed
from dbx_cd.errors import ArtifactError, ConfigError, DbxCdError
from dbx_cd.rollback.point import RestorePoint
from dbx_cd.volume import Unreachable

if TYPE_CHECKING:
    from dbx_cd.artifacts.version import ArtifactVersion
    from dbx_cd.release.context import Cd

_log = logging.getLogger(__name__)

_POINTS = 10  # restore points, of as many releases: they name what the newest artifacts no longer do
_SHOWN = 20
_WITH_RELATION = (*MADE_TYPES, "test")  # a test has one where it stores its failures
_PART = r"(?:`[^`]+`|\"[^\"]+\"|\w+)"
_DOTTED = re.compile(rf"{_PART}(?:\s*\.\s*{_PART})+")
_HOOKS = ("pre-hook", "post-hook")
_COMMENTS = re.compile(r"--[^\n]*|/\*.*?\*/|\{#.*?#\}", re.S)
_WRITES = re.compile(
    r"\b(insert|merge|update|delete|truncate|create|replace|alter|drop|undrop|restore|grant|revoke|copy|refresh|optimize"
    r"|vacuum|comment|call|execute|msck|analyze|set|unset)\b",
    re.I,
)


@dataclass(frozen=True)
class Taken:
    """What gated targets hold, each with the words for who holds it; by `RelationName.key`, and by `catalog.schema`."""

    nodes: Mapping[str, str] = field(default_factory=dict)
    """The relations that their nodes have."""
    sources: Mapping[str, str] = field(default_factory=dict)
    """The relations that they read as sources."""
    changed: Mapping[str, str] = field(default_factory=dict)
    """The relations that their releases were about to change, by the restore points."""
    schemas: Mapping[str, str] = field(default_factory=dict)
    """The schemas that their nodes live in."""

    @property
    def relations(self) -> Mapping[str, str]:
        """Every relation."""
        return {**self.changed, **self.sources, **self.nodes}

    def __or__(self, other: Taken) -> Taken:
        return Taken(
            {**self.nodes, **other.nodes},
            {**self.sources, **other.sources},
            {**self.changed, **other.changed},
            {**self.schemas, **other.schemas},
        )

    def with_names(self, manifest: Manifest, target: str, *, schemas: bool = True) -> Taken:
        """Together with the names that a manifest gives a target's nodes and sources."""
        nodes = [n for n in manifest.nodes.values() if n.resource_type in _WITH_RELATION and not n.is_ephemeral]
        sources = [n for n in manifest.nodes.values() if n.resource_type == "source"]
        named = Taken(
            {n.relation.key: f"{target}'s {n.resource_type} {n.name}" for n in nodes if n.relation},
            {n.relation.key: f"{target}'s source {n.name}" for n in sources if n.relation},
            {},
            {_schema(n.relation.key): target for n in nodes if n.relation} if schemas else {},
        )
        return self | named


def taken_by_gated(cd: Cd, *, names_in: Callable[[str], Manifest] | None = None) -> Taken:
    """What gated targets hold, as their newest artifacts, those in place and the newest restore points name it.

    Args:
        cd: the context.
        names_in: the manifest of the files at hand for a target; asked only about a gated target whose artifacts name
            nothing, or of which some are damaged. Without it, damaged ones are an error.

    Raises:
        ArtifactError: a gated target's artifacts cannot be read now; or they are damaged, and there is nothing else to
            ask.
        ConfigError: no artifacts of a gated target can be read, and dbt does not say what it calls things there.
    """
    taken, incomplete = Taken(), False
    for gate in cd.config.gates:
        found, damaged = _by_artifacts(cd, gate)
        if damaged and names_in is None:
            raise damaged[0]
        for error in damaged:
            incomplete = True
            _log.warning("not all that %s holds is known by its artifacts: %s", gate, error)
        if names_in is not None and (damaged or not found.nodes):
            named = _named(cd, gate, names_in, known=bool(found.nodes))
            # Of names alone: teams that keep targets apart by alias have one schema for all.
            found = found.with_names(named, gate, schemas=False) if named is not None else found
        taken |= found
    return taken | _by_restore_points(cd) if taken.schemas or incomplete else taken


def require_apart(
    cd: Cd,
    *,
    target: str,
    cmd: str,
    manifest: Manifest,
    selected: Collection[str],
    names_in: Callable[[str], Manifest],
) -> None:
    """Make sure that a build of an open target writes nothing that a gated one holds.

    Args:
        cd: the context.
        target: the open target.
        cmd: the dbt command, `build` or `run`.
        manifest: the manifest of this build, for that target.
        selected: the unique ids that it selects.
        names_in: the manifest of the same files for another target; asked only about a gated target whose artifacts
            name nothing, or of which some are damaged.

    Raises:
        ConfigError: it would; the message names each node, its relation, and who holds it. Or that cannot be told.
        ArtifactError: a gated target's artifacts cannot be read now.
    """
    taken = taken_by_gated(cd, names_in=names_in)
    if not taken.nodes:
        return
    own = _own(cd, target)
    chosen = [n for n in manifest.select(selected) if is_selected_by(n, cmd)]
    problems = [*_writes(chosen, taken, own), *_hooks(manifest, chosen, taken, own)]
    if problems:
        raise ConfigError(
            f"{target} would write what a gated target holds, so nothing was built: "
            + listed(problems, most=_SHOWN, separator="; "),
            where=f"target {target}",
            next_step=f"see what the macros generate_schema_name and generate_database_name make of {target}, and "
            f"which catalog and schema {target} has in profiles.yml; a hook should name {{{{ this }}}} or "
            "{{ target.schema }}",
        )


def _named(cd: Cd, gate: str, names_in: Callable[[str], Manifest], *, known: bool) -> Manifest | None:
    """What this commit calls things in a gated target; None where dbt cannot say it and other names are known.

    That is where some of its artifacts can be read, or where it is a target of earlier days.
    """
    try:
        return names_in(gate)
    except DbxCdError as exc:
        by_job = next((source.gates for source in cd.standing if source.is_in_order), cd.config.gates)
        if known or gate not in by_job:
            _log.warning("which names this commit has in %s is not known, and not compared: %s", gate, exc)
            return None
        raise ConfigError(
            f"{gate} has no build that can be read, and dbt cannot say what this commit calls things there, so it "
            f"cannot be told whether this build would write them: {exc.what}",
            where=f"target {gate}",
            next_step=f"let `dbt ls --target {gate}` work where staging is built: its output in profiles.yml, and the "
            "environment variables that it reads",
        ) from exc


def _by_artifacts(cd: Cd, gate: str) -> tuple[Taken, Sequence[ArtifactError]]:
    """What the newest build and the one in place name, each by itself; and what of it is damaged.

    A build that was killed may have left half a manifest. Where something is damaged, the newest build that is not
    counts as well. What is older than the build in place says nothing of what is there now.

    Raises:
        Unreachable: they cannot be read now.
    """
    there = cd.store.versions(gate)
    versions = [v for v in there.complete if "manifest.json" in v.files]
    in_place = max((v.timestamp for v in versions if v.is_latest), default="")
    damaged: list[ArtifactError] = [error for at, error in there.unreadable.items() if at > in_place]
    asked = {v.timestamp: v for v in (*versions[-1:], *(v for v in versions if v.is_latest))}
    taken = Taken()
    for version in asked.values():
        try:
            taken = taken.with_names(version.manifest(), gate)
        except Unreachable:
            raise
        except ArtifactError as exc:
            damaged.append(exc)
    for version in reversed([v for v in versions if v.timestamp not in asked] if damaged else []):
        try:
            return taken.with_names(version.manifest(), gate), damaged
        except Unreachable:
            raise
        except ArtifactError:
            continue
    return taken, damaged


def _by_restore_points(cd: Cd) -> Taken:
    """What releases changed, also where no node has that name any more: a removed model's table may still be there."""
    events = cd.log.newest(RestorePoint.KIND, where={}, but=None, limit=_POINTS)
    points = []
    for event in events:
        try:
            points.append(RestorePoint.read(dict(event.payload)))
        except DbxCdError as exc:
            _log.warning("a restore point of %s cannot be read, and does not count: %s", event.release_id, exc)
    return Taken(
        changed={s.relation.key: f"in the restore point of {p.release_id}" for p in points for s in p.relations}
    )


def _own(cd: Cd, target: str) -> Taken:
    """What the open target itself has, and the schemas of all open ones: a new one has nothing yet.

    Where targets differ by alias alone they share a schema, and another open target in it shows that.
    """
    others = [name for name in cd.config.targets if name != target and name not in cd.config.gates]
    own = _by_newest_good(cd, target)
    shared = {schema: name for name in others for schema in _by_newest_good(cd, name).schemas}
    return replace(own, schemas={**shared, **own.schemas})


def _by_newest_good(cd: Cd, target: str) -> Taken:
    versions: Sequence[ArtifactVersion] = [v for v in cd.store.list(target) if v.ok and "manifest.json" in v.files]
    try:
        return Taken().with_names(versions[-1].manifest(), target) if versions else Taken()
    except ArtifactError as exc:
        _log.warning("what %s holds itself is not known: %s", target, exc)
        return Taken()


def _writes(chosen: Sequence[Node], taken: Taken, own: Taken) -> Iterator[str]:
    certain = {**taken.sources, **taken.nodes}
    for node in chosen:
        if node.relation is None or node.is_ephemeral or node.resource_type not in _WITH_RELATION:
            continue
        key, what = node.relation.key, f"{node.resource_type} {node.name} as {node.relation}"
        if key in certain:
            yield f"{what}, which is {certain[key]}"
        elif key in taken.changed and key not in own.nodes:
            yield f"{what}, which is {taken.changed[key]}"
        elif _schema(key) in taken.schemas and _schema(key) not in own.schemas:
            yield f"{what}, in a schema that {taken.schemas[_schema(key)]} lives in"


def _hooks(manifest: Manifest, chosen: Sequence[Node], taken: Taken, own: Taken) -> Iterator[str]:
    """Hooks that name what only gated targets hold; a model of that name, in this very commit, does not change that."""
    sources = {n.relation.key for n in manifest.nodes.values() if n.resource_type == "source" and n.relation}
    relations = {k: w for k, w in {**taken.changed, **taken.nodes}.items() if k not in own.nodes}
    relations |= {k: w for k, w in taken.sources.items() if k not in sources}
    schemas = {s: f"a schema that {gate} lives in" for s, gate in taken.schemas.items() if s not in own.schemas}
    # What a hook does in a gated target alone, in its own words, it does not do here.
    gates = "|".join(map(re.escape, sorted(set(taken.schemas.values())))) or "(?!)"
    only_there = (
        rf"\{{%-?\s*if\s+target(?:\.name)?\s*==\s*['\"](?:{gates})['\"]\s*-?%\}}.*?(?=\{{%-?\s*(?:else|elif|endif)\b)"
    )
    elsewhere = re.compile(only_there, re.S)
    for label, text in _texts(manifest, chosen):
        statements = elsewhere.sub(" ", _COMMENTS.sub(" ", text))
        if not _WRITES.search(statements):
            continue
        for name in _DOTTED.findall(statements):
            parts = [part.strip('`"').lower() for part in re.findall(_PART, name)]
            whole, schema = ".".join(parts[:3]), ".".join(parts[:2])
            found = relations.get(whole) or schemas.get(schema)
            if found:
                yield f"{label} names {whole if whole in relations else schema}, which is {found}"


def _texts(manifest: Manifest, chosen: Sequence[Node]) -> Iterator[tuple[str, str]]:
    for node in manifest.nodes.values():
        if node.resource_type == "operation":  # on-run-start and on-run-end: they run whatever is selected
            yield f"hook {node.name}", str(node.raw.get("raw_code") or "")
    for node in chosen:
        for kind in _HOOKS:
            for hook in node.config.get(kind) or ():
                yield f"{kind} of {node.name}", str(hook.get("sql") if isinstance(hook, Mapping) else hook)


def _schema(key: str) -> str:
    return key.rpartition(".")[0]
