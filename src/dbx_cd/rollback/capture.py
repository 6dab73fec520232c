"""Take a restore point: what relations are now, durable in the release log before the first statement runs."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dbx_cd.dbt.effects import BuildEffects
from dbx_cd.delta.history import History
from dbx_cd.delta.sql import THREADS, in_parallel
from dbx_cd.delta.tables import CatalogEntry, Tables
from dbx_cd.errors import SqlFailed, asking_about
from dbx_cd.relations import RelationName
from dbx_cd.rollback.point import RestorePoint, VersionAfter, VersionsAfter
from dbx_cd.rollback.proof import prove_readable
from dbx_cd.rollback.refresh import commits_needed, is_refresh_due, refresh
from dbx_cd.rollback.relation_state import RelationState, hides_files, written

if TYPE_CHECKING:
    from dbx_cd.release.context import Cd
    from dbx_cd.release.events import Release

_TRIES = 3
"""How often a table that is written to at the same moment is looked at again."""

_log = logging.getLogger(__name__)


def capture_restore_point(
    cd: Cd,
    release: Release,
    relations: Sequence[RelationName],
    *,
    target: str = "",
    effects: BuildEffects | None = None,
    writers: Sequence[str] = (),
) -> RestorePoint:
    """Record what each relation is now. When this returns, the record is in the release log.

    Every table's active files are looked at (names and row positions, no columns): a version whose files are gone
    could not be brought back, and it is better to know before the deploy. A table that was last written long ago gets a
    version of today by commits of the release's own, for Delta would not go back to the old one; see `refresh`.

    Args:
        cd: the context.
        release: the release about to change the relations.
        relations: every relation its build may touch, and views over them.
        target: the gated target that they are in; by default the one that the release has claimed.
        effects: what is known of the build: which tables it drops, what it makes of others, and who reads what.
        writers: whose commits are the release's own besides those of whoever runs this: as whom dbt logs in.

    Raises:
        SqlFailed: the catalog cannot be asked; then production must not be built.
    """
    signed = cd.tables.signed(f"dbx_cd restore point {release.id}")
    point = look_at(cd.tables, release, relations, effects=effects or BuildEffects(), refreshing=signed)
    point = replace(point, target=target, writers=tuple(dict.fromkeys([cd.user, *writers])))
    cd.log.append(release, point)
    return point


def look_at(
    tables: Tables,
    release: Release,
    relations: Sequence[RelationName],
    *,
    effects: BuildEffects,
    refreshing: Tables | None = None,
) -> RestorePoint:
    """The restore point as it would be taken now; nothing is written, but for versions of today by `refreshing`."""
    taken = datetime.now(UTC)
    unique = list({r.key: r for r in relations}.values())
    entries, settings = tables.entries(unique), tables.settings(unique)
    dropped = [r for r in unique if entries[r.key].kind == "table" and effects.replaced.get(r.key)]
    schemas = {(r.catalog, r.schema) for r in dropped}
    undrop = {(c, n): _has_undrop(tables, catalog=c, schema=n) for c, n in schemas}

    def look(relation: RelationName) -> RelationState:
        with asking_about(written(relation), next_step="repair it, or drop it: else nothing could bring it back"):
            return seen(relation)

    def seen(relation: RelationName) -> RelationState:
        entry, key = entries[relation.key], relation.key
        state = _without_version(tables, relation, entry)
        state = replace(state, settings=settings[key], readers=effects.readers.get(key, ()))
        if entry.kind != "table":
            return state
        state = replace(
            state,
            replaced_by=effects.replaced.get(key, ""),
            can_undrop=key in effects.replaced and undrop[relation.catalog, relation.schema],
        )
        state, history = _with_detail(tables, state)
        state = replace(state, properties_after=effects.properties_after(key, state.properties))
        if is_refresh_due(state, history, taken_at=taken):
            state = replace(state, refresh_due=True)
            state = state if refreshing is None else _refreshed(refreshing, state)
        for _ in range(_TRIES):
            state = _proved(tables, state)
            if state.unreadable is None or tables.is_newest(relation, state.version or 0):
                break
            state, _history = _with_detail(tables, state)  # a commit came between, such as the platform's OPTIMIZE
        return state

    return RestorePoint(release.id, taken, tuple(in_parallel(look, unique, threads=THREADS)))


def record_versions_after(
    cd: Cd, release: Release, point: RestorePoint, *, built: Sequence[RelationName] | None = None
) -> VersionsAfter:
    """Record where a build, also a failed one, left the relations of its restore point.

    Args:
        cd: the context.
        release: the release.
        point: its restore point.
        built: the relations that dbt says it has built; None where it could not say.
    """
    states = observe(cd.tables, [s.relation for s in point.relations])
    keys = None if built is None else {relation.key for relation in built}
    relations = (
        VersionAfter(
            s.name, s.kind, s.version, s.committed_at, s.commit_mark, s.definition,
            is_built=None if keys is None else s.relation.key in keys,
        )
        for s in states
    )  # fmt: skip
    after = VersionsAfter(release.id, datetime.now(UTC), tuple(relations), target=point.target)
    cd.log.append(release, after)
    return after


def observe(tables: Tables, relations: Sequence[RelationName]) -> tuple[RelationState, ...]:
    """What the relations are now, without details and proof, in the order given and each once: one query a table."""
    unique = list({r.key: r for r in relations}.values())
    entries = tables.entries(unique)

    def look(relation: RelationName) -> RelationState:
        with asking_about(written(relation)):
            state = _without_version(tables, relation, entries[relation.key])
            return _at_newest(state, tables.history(relation, limit=1)) if state.kind == "table" else state

    return tuple(in_parallel(look, unique, threads=THREADS))


def _has_undrop(tables: Tables, *, catalog: str, schema: str) -> bool:
    """Whether the platform has UNDROP: also where this user may not list what it can bring back."""
    try:
        return tables.dropped(catalog=catalog, schema=schema) is not None
    except SqlFailed as exc:
        _log.warning("%s.%s: whether UNDROP can be used is not known: %s", catalog, schema, exc)
        return True


def _without_version(tables: Tables, relation: RelationName, entry: CatalogEntry) -> RelationState:
    is_view = entry.kind == "view"
    return RelationState(
        name=written(relation),
        kind=entry.kind,
        table_type=entry.table_type,
        columns=entry.columns,
        comment=entry.comment,
        view_text=entry.view_text,
        view_reading=tables.view_reading(relation) if is_view else None,
        view_properties=tables.properties(relation) if is_view else {},
    )


def _at_newest(state: RelationState, history: History) -> RelationState:
    newest = history.commits[history.version]
    return replace(state, version=newest.version, committed_at=newest.at, commit_mark=newest.mark)


def _with_detail(tables: Tables, state: RelationState) -> tuple[RelationState, History]:
    """The state at the newest version, and the commits that say how old that is.

    Detail and version belong together, unless somebody writes all the time: then the detail may be newer.
    """
    for _ in range(_TRIES):
        wanted = commits_needed(state)
        newest = tables.history(state.relation, limit=wanted)
        state = replace(state, detail=tables.detail(state.relation))
        if commits_needed(state) <= wanted and tables.is_newest(state.relation, newest.version):
            break
    return _at_newest(state, newest), newest


def _refreshed(tables: Tables, state: RelationState) -> RelationState:
    """The state with a version of today, or with why none could be made."""
    error = None
    for _ in range(2):  # once more: somebody may have changed the table at the same moment, or it was done by half
        try:
            refresh(tables, state.relation)
        except SqlFailed as exc:
            error = exc.what
        else:
            error = None
            break
    if error is not None:
        _log.warning("%s: no version of today could be made: %s", state.name, error)
    now, _ = _with_detail(tables, state)
    if now.version == state.version:
        return replace(state, refresh_error=error)
    return replace(now, refresh_due=False, refreshed_from=state.version, refresh_error=error)


def _proved(tables: Tables, state: RelationState) -> RelationState:
    assert state.version is not None
    assert state.detail is not None
    if hides_files(state.columns):
        return replace(state, unreadable="its column _metadata hides which files it has: nothing can be proved of them")
    positions = state.detail.may_have_deletion_vectors
    proof, unreadable = prove_readable(tables, state.relation, state.version, positions=positions)
    return replace(state, fingerprint=proof, unreadable=unreadable)
