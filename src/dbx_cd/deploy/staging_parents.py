"""What an open target reads of what its build leaves out: its own, the gated target's by policy, or nothing.

A model that is excluded from staging (`tag:heavy`) is in staging's manifest all the same, so dbt would name a table
that is not there, and fail in the middle of the build.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import replace

from dbx_cd.dbt.artifacts import Manifest
from dbx_cd.dbt.functions import object_name
from dbx_cd.dbt.selection import Selection
from dbx_cd.enumeration import listed
from dbx_cd.errors import ConfigError
from dbx_cd.plan.derived_state import derived_state
from dbx_cd.plan.existing import existing_functions
from dbx_cd.plan.in_production import in_production
from dbx_cd.plan.project_dbt import ProjectDbt
from dbx_cd.plan.resolution import Refs, by_hooks, is_listed

_log = logging.getLogger(__name__)
_SHOWN = 10


def with_parents_there(
    dbt: ProjectDbt, selection: Selection, manifest: Manifest, selected: Collection[str]
) -> tuple[ProjectDbt, Selection]:
    """Let a build of an open target read what it leaves out from where it is.

    Args:
        dbt: dbt on the target's project.
        selection: what is built.
        manifest: the target's manifest.
        selected: the unique ids that are built.

    Returns:
        How dbt is to be run, and the selection: with what is excluded read from the gated target, by
        `policies.heavy_from: prod`.

    Raises:
        ConfigError: a parent is nowhere; nothing was built.
        ArtifactError, SqlFailed: where it is cannot be told.
    """
    if dbt.defer:  # the task says by itself what unselected parents resolve to
        return dbt, selection
    readers = {
        parent: read_by for parent, read_by in Refs(manifest, selected).readers().items() if not by_hooks(read_by)
    }
    borrowed = _borrowed(dbt, selection, readers) if selection.exclude else frozenset()
    parents = (n for n in manifest.select(readers) if n.unique_id not in borrowed and is_listed(n))
    own = {n.unique_id: name for n in parents if (name := object_name(n)) is not None}
    there = {*dbt.cd.tables.listed(list(own.values())), *existing_functions(dbt.cd.tables, manifest)}
    missing = {i: relation for i, relation in own.items() if relation.key not in there}
    if missing:
        raise ConfigError(
            f"{dbt.target} does not have what this build reads and leaves out, so nothing was built: "
            + listed([f"{i} ({r}), read by {', '.join(readers[i])}" for i, r in missing.items()], most=_SHOWN),
            where=f"target {dbt.target}",
            next_step="select it, or build it there once, in a first release without the tag that excludes it; or, "
            "where it is excluded and production has it, set policies.heavy_from to prod",
        )
    if not borrowed:
        return dbt, selection
    state = dbt.work / "heavy"
    return replace(dbt, state=dbt.state or state, defer_state=state, defer=True), replace(selection, favor_state=True)


def _borrowed(dbt: ProjectDbt, selection: Selection, parents: Collection[str]) -> frozenset[str]:
    """Those of the parents that are excluded and that the gated target has; the state that names them is written."""
    cd = dbt.cd
    gate = next((name for name in cd.config.gates if cd.config.target(name).defer_to == dbt.target), None)
    if cd.config.policies.heavy_from != "prod" or gate is None:
        return frozenset()
    before = in_production(cd, gate)
    if before.version is None or before.manifest is None:
        return frozenset()
    excluded = set(dbt.list(Selection(select=selection.exclude)).listed)
    nodes = before.manifest.select(sorted(excluded.intersection(parents)))
    names = {n.unique_id: name for n in nodes if not n.is_ephemeral and (name := object_name(n)) is not None}
    there = {*cd.tables.listed(list(names.values())), *existing_functions(cd.tables, before.manifest)}
    found = frozenset(unique_id for unique_id, relation in names.items() if relation.key in there)
    if found:
        derived_state(before.version.file("manifest.json"), found, into=dbt.work / "heavy")
        _log.info("%s reads from %s what it leaves out: %s", dbt.target, gate, ", ".join(sorted(found)))
    return found
