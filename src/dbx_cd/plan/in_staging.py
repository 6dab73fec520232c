"""What an open target holds: its newest successful build, whatever became of the release, and what came after."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING

from dbx_cd.artifacts.built_inputs import INPUTS_NAME, BuiltInputs
from dbx_cd.errors import ArtifactError
from dbx_cd.plan.in_production import InProduction
from dbx_cd.release.events import BuildBegun, Built
from dbx_cd.volume import Unreachable

if TYPE_CHECKING:
    from dbx_cd.artifacts.version import ArtifactVersion
    from dbx_cd.dbt.artifacts import Manifest
    from dbx_cd.release.context import Cd
    from dbx_cd.release.state import Event

_log = logging.getLogger(__name__)

_EVENTS = 100  # builds: where more have failed since the last good one, all counts as changed
_CHANGE_NOTHING = ("ls", "deps")
NOTHING_KNOWN = InProduction(None, None)


def in_staging(cd: Cd, target: str) -> InProduction:
    """The newest successful build of an open target, and what later ones may have left otherwise.

    Raises:
        Unreachable: its artifacts cannot be read now.
        SqlFailed: the log cannot be read.
    """
    version = newest_build(cd, target)
    if version is None:
        return NOTHING_KNOWN
    try:
        manifest = version.manifest()
    except Unreachable:
        raise
    except ArtifactError as exc:
        _log.warning("%s", exc)
        return NOTHING_KNOWN
    touched = _touched_since(cd, target, version)
    return InProduction(version, manifest, _all(manifest) if touched is None else touched)


def newest_build(cd: Cd, target: str) -> ArtifactVersion | None:
    """The newest successful build of a target; None where there is none.

    Raises:
        ArtifactError: the artifacts cannot be read now.
    """
    return max((v for v in cd.store.list(target) if v.is_deployable), key=lambda v: v.timestamp, default=None)


def counts_changes(cd: Cd, target: str) -> bool:
    """Whether a build of an open target has to say that it begins: what it is compared with later, or may be.

    Also where the policy was turned off, so long as the last good build was one under it.
    """
    if cd.config.policies.changed_only:
        return True
    newest = newest_build(cd, target)
    return newest is not None and INPUTS_NAME in newest.files


def _all(manifest: Manifest) -> frozenset[str]:
    return frozenset(manifest.relations)


def _touched_since(cd: Cd, target: str, version: ArtifactVersion) -> frozenset[str] | None:
    """What builds after that one may have changed, by key; None where that is not known."""
    built = cd.log.newest(Built.KIND, where={"target": target}, but=None, limit=_EVENTS)
    begun = cd.log.newest(BuildBegun.KIND, where={"target": target}, but=None, limit=_EVENTS)
    own = next((e.version for e in built if e.payload.get("timestamp") == version.timestamp), None)
    if own is None:
        return None
    later = sorted({e.release_id for e in (*built, *begun) if e.version > own})
    return _touched_in([e for i in later for e in _of_builds(cd, target, i) if e.version > own], cd, target)


def _of_builds(cd: Cd, target: str, release_id: str) -> list[Event]:
    """All beginnings and ends of one release's builds of a target, in order: of repairs there are several."""
    events = cd.log.events(release_id, kinds=(BuildBegun.KIND, Built.KIND))
    return sorted((e for e in events if e.payload.get("target") == target), key=lambda e: e.version)


def _touched_in(events: Sequence[Event], cd: Cd, target: str) -> frozenset[str] | None:
    """What the builds behind these events may have changed, by key; None where that is not known."""
    touched: set[str] = set()
    for event, following in zip_longest(events, events[1:]):
        if event.kind == BuildBegun.KIND:
            # One that was killed has no end of its own.
            if following is None or (following.release_id, following.kind) != (event.release_id, Built.KIND):
                return None
            continue
        found = _touched_by(cd, target, str(event.payload.get("timestamp") or ""))
        if found is None:
            return None
        touched |= found
    return frozenset(touched)


def _touched_by(cd: Cd, target: str, timestamp: str) -> frozenset[str] | None:
    """What one later build has touched: it failed, or was no build that `latest` may serve."""
    try:
        version = cd.store.get(target, timestamp)
    except Unreachable:
        raise
    except ArtifactError:
        return None
    if not version.ok and version.command in _CHANGE_NOTHING:
        return frozenset()
    inputs = BuiltInputs.of(version)
    return None if inputs is None or inputs.touched is None else frozenset(inputs.touched)
