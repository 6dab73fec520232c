"""What a build is compared with: production's newest artifacts, or the release's own restore point."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from dbx_cd.artifacts.version import ArtifactVersion
from dbx_cd.delta.retention import FILES_KEPT, retention
from dbx_cd.delta.sql import THREADS, in_parallel
from dbx_cd.delta.tables import Tables
from dbx_cd.errors import ArtifactError, ArtifactNotFound
from dbx_cd.release.context import Cd
from dbx_cd.release.events import Release
from dbx_cd.rollback.of_target import points_of
from dbx_cd.rollback.own_build import is_same_table
from dbx_cd.rollback.ownership import history_since
from dbx_cd.rollback.plan import states_before
from dbx_cd.rollback.relation_state import RelationState
from dbx_cd.smoke.baseline import Baseline, NoBaseline, TimeTravelBaseline
from dbx_cd.volume import Unreachable


def baseline_for(cd: Cd, release: Release, target: str) -> ArtifactVersion | Baseline | NoBaseline:
    """What a build of `target` is compared with.

    A gated target is compared with itself at this release's restore point there; any other with the newest artifacts of
    the target that defers to it, which is where this build will go next: of several gated ones, the first.

    Raises:
        ArtifactError: the artifacts to compare with cannot be read now, though they are there: the build must not go on
            uncompared.
        ConfigError: no such target.
        SqlFailed: the catalog cannot be asked about a gated target's tables.
    """
    cd.config.target(target)  # one that is not known is refused
    if target in cd.config.gates:
        points = points_of(cd.log.read(release), target)
        if not points:
            return NoBaseline(f"release {release.id} has no restore point")
        return before_release(cd.tables, states_before(points))
    ordered = (*cd.config.gates, *cd.config.targets)
    following = next((name for name in ordered if cd.config.target(name).defer_to == target), None)
    if following is None:
        return NoBaseline(f"no target defers to {target}")
    try:
        return cd.store.latest(following)
    except ArtifactNotFound:
        return NoBaseline(f"{following} has not been built yet")
    except Unreachable:
        raise
    except ArtifactError as exc:
        # Damaged artifacts of production must not keep the next release from replacing them.
        return NoBaseline(str(exc))


def before_release(tables: Tables, before: Sequence[RelationState]) -> TimeTravelBaseline:
    """The tables as they were before a release, each at the version that it had, if Delta still goes back to that."""
    states = [state for state in before if state.version is not None]
    entries = tables.entries([state.relation for state in states])
    versions = {state.relation.key: state.version for state in before}

    def unreachable(state: RelationState) -> str | None:
        if state.unreadable or state.version is None:
            return state.unreadable
        if entries[state.relation.key].kind != "table":
            return "it was dropped since"
        properties = tables.properties(state.relation)
        history = history_since(tables, state.relation, state.version)
        history = history.with_times_of(properties, recorded=state.properties)
        if not is_same_table(history, state):
            return "it was dropped and made again since"
        if state.version not in history.commits:
            return f"the table's log does not reach back to version {state.version} any more"
        version, until = history.way_back(state.version, kept=retention(properties, FILES_KEPT))
        versions[state.relation.key] = version
        if until is None or until > datetime.now(UTC):
            return None
        return f"Delta went back to version {version} until {until:%Y-%m-%d %H:%M} UTC ({FILES_KEPT})"

    reasons = zip(states, in_parallel(unreachable, states, threads=THREADS), strict=True)
    return TimeTravelBaseline(
        versions=versions,
        kinds={state.relation.key: str(state.kind) for state in before},
        unreachable={state.relation.key: reason for state, reason in reasons if reason is not None},
    )
