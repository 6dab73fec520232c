"""`policies.changed_only` for an open target: what is built there, by what it holds."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace

from dbx_cd.dbt.artifacts import Manifest
from dbx_cd.dbt.run import DbtRun
from dbx_cd.dbt.selection import Selection
from dbx_cd.deploy.partial_build import nothing_to_do, record_inputs
from dbx_cd.plan.changed_nodes import ChangedNodes
from dbx_cd.plan.existing import existing_functions, existing_relations
from dbx_cd.plan.in_production import InProduction
from dbx_cd.plan.in_staging import in_staging
from dbx_cd.plan.must_build import Standing
from dbx_cd.plan.narrowing import Narrowed, narrowed
from dbx_cd.plan.project_dbt import ProjectDbt
from dbx_cd.plan.unchanged import Unchanged, other_build
from dbx_cd.relations import RelationName

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StagingChanges:
    """What an open target's build builds."""

    selection: Selection
    """What dbt is asked to build."""
    narrowed: Narrowed
    """What that is of what was asked for."""
    unchanged: Unchanged
    """What is proved, for the record."""

    @property
    def builds_nothing(self) -> bool:
        """Whether there is nothing to be done, not even a test."""
        return bool(self.narrowed.kept) and not self.narrowed.changed.selected


def staging_changes(dbt: ProjectDbt, asked: Selection, resolving: tuple[ProjectDbt, Selection]) -> StagingChanges:
    """Narrow what is asked of an open target to what it does not hold yet.

    Args:
        dbt: dbt on the target's project.
        asked: what was asked for.
        resolving: dbt and the selection with what is left out read from where it is, see `with_parents_there`.

    Raises:
        DbtFailed: dbt cannot say what would be built.
        ArtifactError, SqlFailed: what the target holds cannot be told.
    """
    cd, target = dbt.cd, dbt.target
    run_by, selection = resolving
    before = in_staging(cd, target)
    found = ChangedNodes.find(dbt, asked, before)
    found = replace(found, selection=selection)
    manifest = found.manifest
    there = {*existing_relations(cd.tables, manifest), *existing_functions(cd.tables, manifest)}
    standing = Standing(manifest, found.selected, found.changes, there, _everything(dbt, found, before))
    places = _borrowed(run_by)
    unchanged = Unchanged.look(cd.tables, standing, before, places=places, policies=cd.config.policies)
    made = [node.unique_id for node in standing.made]
    narrow = narrowed(run_by, found, made, unchanged.reasons())
    for line in narrow.mind:
        _log.warning("%s: %s", target, line)
    _log.info("%s: %d of %d relations must be built", target, len(made) - len(narrow.kept), len(made))
    return StagingChanges(narrow.changed.selection, narrow, unchanged)


def completed(changes: StagingChanges | None, run: DbtRun) -> tuple[DbtRun, tuple[str, ...]]:
    """Write beside what dbt left from what the target is built now.

    Returns:
        The run, a good one where there was nothing to be done; and the unique ids of what stands unchanged.
    """
    if changes is None:
        return run, ()
    kept = tuple(sorted(changes.narrowed.kept))
    run = nothing_to_do(run, expected=changes.builds_nothing)
    record_inputs(changes.unchanged, run, kept=kept)
    return run, kept


def _everything(dbt: ProjectDbt, found: ChangedNodes, before: InProduction) -> str:
    if dbt.defer:
        return "the task itself says where refs resolve"
    return "a full refresh was asked for" if found.selection.full_refresh else other_build(found, before)


def _borrowed(dbt: ProjectDbt) -> Mapping[str, RelationName]:
    """Where the refs resolve that mean the gated target's relations."""
    if dbt.defer_state is None:
        return {}
    nodes = Manifest.load(dbt.defer_state / "manifest.json").nodes.values()
    return {n.unique_id: n.relation for n in nodes if n.relation is not None}
