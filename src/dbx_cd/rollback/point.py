"""What production was before a release: taken, and durable in the release log, before the first statement runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property, partial
from typing import TYPE_CHECKING, ClassVar

from dbx_cd import html
from dbx_cd.dbt.effects import BuildEffects
from dbx_cd.delta.sql import in_parallel
from dbx_cd.delta.tables import CatalogEntry, Constraint, Kind, Tables
from dbx_cd.records import Record
from dbx_cd.relations import RelationName
from dbx_cd.rollback.proof import prove_readable
from dbx_cd.rollback.readiness import Readiness, readiness_of
from dbx_cd.rollback.relation_state import RelationState, written

if TYPE_CHECKING:
    from dbx_cd.release.context import Cd
    from dbx_cd.release.events import Release

THREADS = 8


@dataclass(frozen=True)
class RestorePoint(Record):
    """Every relation a build may touch, as it was before."""

    KIND: ClassVar[str] = "restore_point"

    release_id: str
    """The release about to change them."""
    taken_at: datetime
    """When, UTC."""
    relations: tuple[RelationState, ...]
    """Each relation as it was."""

    @cached_property
    def readiness(self) -> tuple[Readiness, ...]:
        """Whether and until when each relation can be brought back."""
        return tuple(readiness_of(state, self.taken_at) for state in self.relations)

    @property
    def ok(self) -> bool:
        """Whether every relation can be brought back by the restore itself."""
        return all(r.status == "restorable" for r in self.readiness)

    def state(self, relation: RelationName) -> RelationState | None:
        """The state of one relation, or None when it is not in the restore point."""
        return next((s for s in self.relations if s.relation.key == relation.key), None)

    def __str__(self) -> str:
        blocked = [r for r in self.readiness if r.status != "restorable"]
        ends = [r.until for r in self.readiness if r.until]
        until = f", until {min(ends):%Y-%m-%d %H:%M} UTC (longer: extend_retention)" if ends else ""
        lost = "".join(f"; {r.status}: {r.name} ({r.reason})" for r in blocked)
        restorable = len(self.relations) - len(blocked)
        return f"restore point of {len(self.relations)} relations: {restorable} restorable{until}{lost}"

    def to_html(self) -> str:
        """The relations with what would bring each one back."""
        rows = [
            (s.name, s.table_type or s.kind, s.version, s.fingerprint.rows if s.fingerprint else None,
             html.badge(r.status), f"{r.until:%Y-%m-%d %H:%M} UTC" if r.until else None, r.reason)
            for s, r in zip(self.relations, self.readiness, strict=True)
        ]  # fmt: skip
        headers = ("relation", "kind", "version", "rows", "rollback", "until", "why")
        return str(html.section("Restore point", html.paragraph(str(self)), html.table(headers, rows)))


@dataclass(frozen=True)
class VersionAfter:
    """Where the release's own build left one relation."""

    name: str
    """The relation, with catalog and schema."""
    kind: Kind
    """What it was then."""
    version: int | None = None
    """A table's version."""
    committed_at: datetime | None = None
    """When that version was committed, UTC."""
    definition: str | None = None
    """A digest of what a view was."""


@dataclass(frozen=True)
class VersionsAfter(Record):
    """The relations of a restore point after the build: later commits are not the release's own."""

    KIND: ClassVar[str] = "built_versions"

    release_id: str
    """The release."""
    taken_at: datetime
    """When, UTC."""
    relations: tuple[VersionAfter, ...]
    """Each relation as the build left it."""

    def of(self, relation: RelationName) -> VersionAfter | None:
        """One relation, or None when it is not among them."""
        return next((v for v in self.relations if RelationName.parse(v.name).key == relation.key), None)

    def __str__(self) -> str:
        return f"versions of {len(self.relations)} relations after the build"


def capture_restore_point(
    cd: Cd, release: Release, relations: Sequence[RelationName], *, effects: BuildEffects | None = None
) -> RestorePoint:
    """Record what each relation is now. When this returns, the record is in the release log.

    Every table's active files are looked at (names and row positions, no columns): a version whose files are gone
    could not be brought back, and it is better to know before the deploy.

    Args:
        cd: the context.
        release: the release about to change the relations.
        relations: every relation its build may touch, and views over them.
        effects: what is known of the build: which tables it drops, and who reads what.

    Raises:
        SqlFailed: the catalog cannot be asked; then production must not be built.
    """
    point = look_at(cd.tables, release, relations, effects=effects or BuildEffects())
    cd.log.append(release, point)
    return point


def look_at(
    tables: Tables, release: Release, relations: Sequence[RelationName], *, effects: BuildEffects
) -> RestorePoint:
    """The restore point as it would be taken now; nothing is written."""
    taken = datetime.now(UTC)
    states = observe(tables, relations, prove=True)
    dropped = [s.relation for s in states if s.kind == "table" and effects.replaced.get(s.relation.key)]
    schemas = {(r.catalog, r.schema) for r in dropped}
    undrop = {(c, n): tables.dropped(catalog=c, schema=n) is not None for c, n in schemas}

    def with_effects(state: RelationState) -> RelationState:
        key, place = state.relation.key, (state.relation.catalog, state.relation.schema)
        replaced_by = effects.replaced.get(key, "") if state.kind == "table" else ""
        return replace(
            state,
            replaced_by=replaced_by,
            can_undrop=bool(replaced_by) and undrop[place],
            readers=effects.readers.get(key, ()),
        )

    return RestorePoint(release.id, taken, tuple(map(with_effects, states)))


def record_versions_after(cd: Cd, release: Release, point: RestorePoint) -> VersionsAfter:
    """Record where a build, also a failed one, left the relations of its restore point."""
    states = observe(cd.tables, [s.relation for s in point.relations], prove=False)
    after = VersionsAfter(
        release.id,
        datetime.now(UTC),
        tuple(VersionAfter(s.name, s.kind, s.version, s.committed_at, s.definition) for s in states),
    )
    cd.log.append(release, after)
    return after


def observe(tables: Tables, relations: Sequence[RelationName], *, prove: bool) -> tuple[RelationState, ...]:
    """The relations as they are now, in the order given and each once: two metadata queries a table.

    Args:
        tables: where they are.
        relations: what to look at.
        prove: also read the names of every table's active files, its keys, and every relation's tags.
    """
    unique = list({r.key: r for r in relations}.values())
    entries = tables.entries(unique)
    keys = tables.keys(unique) if prove else {}
    tags = tables.tags(unique) if prove else {}
    look = partial(_state, tables, entries=entries, keys=keys, tags=tags, prove=prove)
    return tuple(in_parallel(look, unique, threads=THREADS))


def _state(
    tables: Tables,
    relation: RelationName,
    *,
    entries: Mapping[str, CatalogEntry],
    keys: Mapping[str, tuple[Constraint, ...]],
    tags: Mapping[str, Mapping[str, str]],
    prove: bool,
) -> RelationState:
    entry = entries[relation.key]
    version = committed_at = detail = proof = unreadable = None
    if entry.kind == "table":
        # The detail first: a commit in between makes the version too new, never too old, and it is seen as a change.
        detail = tables.detail(relation)
        newest = tables.history(relation, limit=1)
        version, committed_at = newest.version, newest.commits[newest.version].at
        if prove:
            proof, unreadable = prove_readable(tables, relation, version, positions=detail.may_have_deletion_vectors)
    return RelationState(
        name=written(relation),
        kind=entry.kind,
        table_type=entry.table_type,
        version=version,
        committed_at=committed_at,
        detail=detail,
        fingerprint=proof,
        unreadable=unreadable,
        columns=entry.columns,
        comment=entry.comment,
        keys=keys.get(relation.key, ()),
        tags=tags.get(relation.key, {}),
        view_text=entry.view_text,
        view_properties=tables.properties(relation) if entry.kind == "view" else {},
    )
