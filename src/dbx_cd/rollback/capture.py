"""Take a restore point: what relations are now, durable in the release log before the first statement runs."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dbx_cd.dbt.effects import BuildEffects
from dbx_cd.delta.history import History
from dbx_cd.delta.sql import in_parallel
from dbx_cd.delta.tables import CatalogEntry, Tables
from dbx_cd.errors import SqlFailed
from dbx_cd.relations import RelationName
from dbx_cd.rollback.point import THREADS, RestorePoint, VersionAfter, VersionsAfter
from dbx_cd.rollback.proof import prove_readable
from dbx_cd.rollback.refresh import commits_needed, is_refresh_due, refresh
from dbx_cd.rollback.relation_state import RelationState, written

if TYPE_CHECKING:
    from dbx_cd.release.context import Cd
    from dbx_cd.release.events import Release

_log = logging.getLogger(__name__)


def capture_restore_point(
    cd: Cd,
    release: Release,
    relations: Sequence[RelationName],
    *,
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
        effects: what is known of the build: which tables it drops, what it makes of others, and who reads what.
        writers: whose commits are the release's own besides those of whoever runs this: as whom dbt logs in.

    Raises:
        SqlFailed: the catalog cannot be asked; then production must not be built.
    """
    signed = cd.tables.signed(f"dbx_cd restore point {release.id}")
    point = look_at(cd.tables, release, relations, effects=effects or BuildEffects(), refreshing=signed)
    point = replace(point, writers=tuple(dict.fromkeys([cd.user, *writers])))
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
    undrop = {(c, n): tables.dropped(catalog=c, schema=n) is not None for c, n in schemas}

    def look(relation: RelationName) -> RelationState:
        entry, key = entries[relation.key], relation.key
        state = _without_version(tables, relation, entry)
        state = replace(state, settings=settings[key], readers=effects.readers.get(key, ()))
        if entry.kind != "table":
            return state
        # The detail first: a commit in between makes the version too new, never too old, and it is seen as a change.
        state = replace(
            state,
            detail=tables.detail(relation),
            replaced_by=effects.replaced.get(key, ""),
            can_undrop=key in effects.replaced and undrop[relation.catalog, relation.schema],
            properties_after=effects.properties.get(key),
        )
        history = tables.history(relation, limit=commits_needed(state))
        state = _at_newest(state, history)
        if is_refresh_due(state, history, taken_at=taken):
            state = replace(state, refresh_due=True)
            state = state if refreshing is None else _refreshed(refreshing, state)
        return _proved(tables, state)

    return RestorePoint(release.id, taken, tuple(in_parallel(look, unique, threads=THREADS)))


def record_versions_after(cd: Cd, release: Release, point: RestorePoint) -> VersionsAfter:
    """Record where a build, also a failed one, left the relations of its restore point."""
    states = observe(cd.tables, [s.relation for s in point.relations])
    after = VersionsAfter(
        release.id,
        datetime.now(UTC),
        tuple(VersionAfter(s.name, s.kind, s.version, s.committed_at, s.commit_mark, s.definition) for s in states),
    )
    cd.log.append(release, after)
    return after


def observe(tables: Tables, relations: Sequence[RelationName]) -> tuple[RelationState, ...]:
    """What the relations are now, without details and proof, in the order given and each once: one query a table."""
    unique = list({r.key: r for r in relations}.values())
    entries = tables.entries(unique)

    def look(relation: RelationName) -> RelationState:
        state = _without_version(tables, relation, entries[relation.key])
        return _at_newest(state, tables.history(relation, limit=1)) if state.kind == "table" else state

    return tuple(in_parallel(look, unique, threads=THREADS))


def _without_version(tables: Tables, relation: RelationName, entry: CatalogEntry) -> RelationState:
    is_view = entry.kind == "view"
    return RelationState(
        name=written(relation),
        kind=entry.kind,
        table_type=entry.table_type,
        columns=entry.columns,
        comment=entry.comment,
        view_text=entry.view_text,
        view_namespace=tables.view_namespace(relation) if is_view else None,
        view_properties=tables.properties(relation) if is_view else {},
    )


def _at_newest(state: RelationState, history: History) -> RelationState:
    newest = history.commits[history.version]
    return replace(state, version=newest.version, committed_at=newest.at, commit_mark=newest.mark)


def _refreshed(tables: Tables, state: RelationState) -> RelationState:
    """The state with a version of today, or with why none could be made."""
    try:
        refresh(tables, state.relation)
    except SqlFailed as exc:
        _log.warning("%s: no version of today could be made: %s", state.name, exc)
        return replace(state, refresh_error=exc.what)
    now = replace(state, detail=tables.detail(state.relation), refresh_due=False, refreshed_from=state.version)
    return _at_newest(now, tables.history(state.relation, limit=1))


def _proved(tables: Tables, state: RelationState) -> RelationState:
    assert state.version is not None
    assert state.detail is not None
    positions = state.detail.may_have_deletion_vectors
    proof, unreadable = prove_readable(tables, state.relation, state.version, positions=positions)
    return replace(state, fingerprint=proof, unreadable=unreadable)
