"""What a target really has: its last build that stands, and what later attempts may have left otherwise."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from dbx_cd.artifacts.built_inputs import kept_by
from dbx_cd.dbt.artifacts import Manifest
from dbx_cd.errors import ArtifactError, DbxCdError, what_failed
from dbx_cd.release.in_place import builds_of
from dbx_cd.rollback.point import RestorePoint
from dbx_cd.volume import Unreachable

if TYPE_CHECKING:
    from dbx_cd.artifacts.version import ArtifactVersion
    from dbx_cd.relations import RelationName
    from dbx_cd.release.context import Cd
    from dbx_cd.release.reading import LogReading
    from dbx_cd.rollback.relation_state import RelationState

_log = logging.getLogger(__name__)

_EARLIER = 4  # builds whose relations are looked for, besides the one in place


@dataclass(frozen=True)
class InProduction:
    """The build that says what a gated target has."""

    version: ArtifactVersion | None
    """Its artifacts; None where nothing is deployed."""
    manifest: Manifest | None
    """Its manifest."""
    uncertain: frozenset[str] = frozenset()
    """Relations, by key, that a later release has failed on or was killed at, or that were brought back since."""
    begun: tuple[RelationName, ...] = ()
    """Relations that were not there before a later release began to change the target: what is there of them now is
    what that one, or its repair, has left."""
    before: tuple[ArtifactVersion, ...] = ()
    """The artifacts of builds before that, newest first."""
    mind: tuple[str, ...] = ()
    """What of it cannot be read, in words."""

    @cached_property
    def earlier(self) -> tuple[Manifest, ...]:
        """The manifests of earlier builds: they know what was dbt's, and is perhaps nobody's any more."""
        return tuple(_manifests(self.before))

    @cached_property
    def built(self) -> frozenset[str]:
        """Relations, by key, that one of these builds says it has made: a manifest also names what was never built."""
        versions = self.before if self.version is None else (self.version, *self.before)
        return frozenset(key for version in versions for key in _made_by(version))


def in_production(cd: Cd, target: str) -> InProduction:
    """The last successful build of a gated target whose release was not rolled back there.

    Raises:
        Unreachable: its artifacts cannot be read now.
        SqlFailed: the log cannot be read.
    """
    log = cd.log.read()
    builds = builds_of(cd.store, log, target)
    version = builds.newest
    since = tuple(_changed_since(cd, log, target, version))
    uncertain = frozenset(state.relation.key for state in since)
    begun = tuple({state.relation.key: state.relation for state in since if state.kind == "missing"}.values())
    if version is None:
        return InProduction(None, None, uncertain, begun=begun)
    try:
        manifest = cd.store.get(target, version.timestamp).manifest()
        return InProduction(version, manifest, uncertain, begun, builds.in_place[-_EARLIER - 1 : -1][::-1])
    except Unreachable:
        raise
    except ArtifactError as exc:
        _log.warning("%s", exc)
        # A damaged build of production must not keep the next release from replacing it.
        mind = (f"what {target} has is not known: {what_failed(exc)}",)
        return InProduction(None, None, uncertain, begun=begun, mind=mind)


def _manifests(versions: Sequence[ArtifactVersion]) -> Iterator[Manifest]:
    """Those that can be read."""
    for version in versions:
        with contextlib.suppress(ArtifactError):
            yield version.manifest()


def _made_by(version: ArtifactVersion) -> Iterator[str]:
    """The relations, by key, that a build has made; none where it cannot be read."""
    with contextlib.suppress(ArtifactError):
        made = {result.unique_id for result in version.run_results().results if result.status == "success"}
        made |= kept_by(version)  # of `changed_only`: as it would have made it
        yield from (n.relation.key for n in version.manifest().select(made) if n.relation is not None)


def _changed_since(cd: Cd, log: LogReading, target: str, version: ArtifactVersion | None) -> Iterator[RelationState]:
    """What restore points name of releases that have begun to change the target since, and of that one's repairs."""
    for release, state in log.history:
        here = state.of(target)
        if here.deployment is None or (version is not None and release.id < (version.release_id or "")):
            continue
        if version is not None and release.id == version.release_id and here.is_in_place:
            continue
        for event in cd.log.events(release.id, kinds=(RestorePoint.KIND,)):
            try:
                point = RestorePoint.read(dict(event.payload))
            except DbxCdError as exc:
                _log.warning("a restore point of %s cannot be read, and does not count: %s", release.id, exc)
                continue
            if point.target in ("", target):
                yield from point.relations
