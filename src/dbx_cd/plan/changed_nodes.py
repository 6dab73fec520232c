"""What a selection means, and how its nodes differ from what the target has: one dbt process, and sometimes another."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from dbx_cd.artifacts import archive
from dbx_cd.artifacts.version import ArtifactVersion
from dbx_cd.dbt.artifacts import Manifest, Node
from dbx_cd.dbt.changes import NodeChange, change_queries, changes_between, removed, renamed
from dbx_cd.dbt.exact_terms import exactly
from dbx_cd.dbt.finished import NOTHING_SELECTED
from dbx_cd.dbt.functions import function_name, object_name
from dbx_cd.dbt.listing import Listed, ListQuery
from dbx_cd.dbt.project_state import ProjectState, changed_settings
from dbx_cd.dbt.runnable import built_by
from dbx_cd.dbt.selection import Selection
from dbx_cd.dbt.state_mismatch import state_mismatch
from dbx_cd.errors import ArtifactError
from dbx_cd.plan.in_production import InProduction
from dbx_cd.plan.project_dbt import ProjectDbt
from dbx_cd.plan.resolution import Refs

_log = logging.getLogger(__name__)

_SELECTED, _BEFORE = "selected", "before"
_TOUCHED = "a later release has touched it"


@dataclass(frozen=True)
class ChangedNodes:
    """The nodes of a build, and what of the project is not what the target has."""

    selection: Selection
    """What dbt is asked to build."""
    selected: frozenset[str]
    """The unique ids that this means."""
    manifest: Manifest
    """The manifest of the target."""
    changes: Mapping[str, NodeChange]
    """How every node of the project differs, by unique id."""
    removed: tuple[str, ...] = ()
    """The unique ids that only the target's last build has."""
    renamed: Mapping[str, str] = field(default_factory=dict)
    """New unique ids by those that they take the place of."""
    mind: tuple[str, ...] = ()
    """What could not be compared, in words."""
    anywhere: tuple[str, ...] = ()
    """Why any node may be built otherwise from the same code, in words."""
    adapter_version: str = ""
    """The version of dbt-databricks that would build them; "" where there is none."""

    @classmethod
    def find(cls, dbt: ProjectDbt, selection: Selection, before: InProduction) -> ChangedNodes:
        """Ask dbt what a selection means and what is modified.

        Args:
            dbt: dbt on the release's archive and the gated target.
            selection: what is asked for.
            before: what the target has.

        Raises:
            DbtFailed: dbt cannot say, or the selection matches nothing.
            ArtifactError: the manifest that dbt has written cannot be read.
        """
        with ThreadPoolExecutor(1, thread_name_prefix="dbx_cd-unpack") as pool:
            # While dbt parses.
            unpacking = pool.submit(_unpacked, before.version, dbt.work / _BEFORE)
            answered = _ask(dbt, selection, before)
        manifest = Manifest.load(answered.run.files_dir / "manifest.json")
        selected = built_by(manifest, answered.nodes[_SELECTED], selection.cmd)
        changes = {unique_id: NodeChange(unique_id, "new") for unique_id in manifest.nodes}
        adapter = dbt.environment.record.dbt_databricks
        all_new = cls(replace(selection, favor_state=True), selected, manifest, changes, adapter_version=adapter)
        if before.version is None or before.manifest is None:
            return all_new
        old = ProjectState(before.manifest, unpacking.result(), selection.vars, before.version.adapter_version or None)
        new = ProjectState(manifest, Path(dbt.project_dir), selection.vars, adapter)
        try:
            mind = state_mismatch(old, new)
        except ArtifactError as exc:
            # Renamed, or two projects in one root: a release can still be made, and whoever approves it is told.
            return replace(all_new, mind=(exc.what,))
        gone = () if old.folder else (f"the project of {before.version} is gone: variables are not compared",)
        compared = changes_between(old, new, answered.nodes)
        return replace(
            all_new,
            changes={i: _touched(manifest.nodes[i], change, before) for i, change in compared.items()},
            removed=removed(old.manifest, manifest),
            renamed=dict(renamed(old.manifest, manifest)),
            mind=(*mind, *_not_compared(answered), *gone),
            anywhere=gone or tuple(f"dbt_project.yml: other {key}" for key in changed_settings(old, new)),
        )

    @property
    def changed(self) -> frozenset[str]:
        """The unique ids that are new or modified."""
        return frozenset(i for i, change in self.changes.items() if change.change in ("new", "modified"))

    @property
    def nodes(self) -> tuple[NodeChange, ...]:
        """The nodes that are built, sorted."""
        return tuple(self.changes.get(i, NodeChange(i, "new", ())) for i in sorted(self.selected))

    def building_ancestors(self, dbt: ProjectDbt, there: Collection[str]) -> ChangedNodes:
        """These, and the ancestors built too that the target does not have, or not as this project says.

        Args:
            dbt: dbt on the release's archive and the gated target.
            there: the relations and functions that the target has, by key.

        Raises:
            DbtFailed: dbt cannot say what the wider selection means.
        """
        refs = Refs(self.manifest, self.selected, self.changed)
        above = [n for n in self.manifest.select(refs.ancestors()) if n.builds_relation or function_name(n)]
        stale = refs.with_changed_ancestors()
        missing = {n.unique_id for n in above if (name := object_name(n)) is not None and name.key not in there}
        meant = [n for n in above if n.unique_id in stale or n.unique_id in missing]
        if not meant or not self.selection.select:
            return self
        wider = replace(self.selection, select=" ".join([self.selection.select, *map(exactly, meant)]))
        selected = built_by(self.manifest, dbt.list(wider, check=True).listed, wider.cmd)
        left = [n.unique_id for n in meant if n.unique_id not in selected]
        mind = [f"policies.untagged_changes: build_in_prod would build {i}, which the selection excludes" for i in left]
        return replace(self, selection=wider, selected=selected, mind=(*self.mind, *mind))


def _ask(dbt: ProjectDbt, selection: Selection, before: InProduction) -> Listed:
    """What dbt lists for the selection, and as modified since the build before."""
    queries = {_SELECTED: ListQuery(selection, dbt.state if selection.may_read_state else None)}
    if before.version is not None:
        queries |= change_queries(before.version.path)
    answered = dbt.list_all(queries, vars=selection.vars)
    if answered.run.ok and not answered.nodes[_SELECTED]:
        answered = replace(answered, run=replace(answered.run, ok=False, errors=(NOTHING_SELECTED,)))
    answered.run.raise_if_failed(next_step=f"see what `dbt ls --target {dbt.target}` says in the project's folder")
    return answered


def _not_compared(answered: Listed) -> Iterator[str]:
    """What dbt has refused to compare, in words."""
    return (f"dbt does not compare it with what is deployed: {why}" for why in answered.refused.values())


def _touched(node: Node, change: NodeChange, before: InProduction) -> NodeChange:
    is_sure = node.relation is None or node.relation.key not in before.uncertain
    if is_sure or not node.builds_relation or change.change in ("new", "modified"):
        return change
    return NodeChange(node.unique_id, "modified", (_TOUCHED,))


def _unpacked(version: ArtifactVersion | None, folder: Path) -> Path | None:
    """The project that a build was made from; None where it is not with its artifacts, as of 0.1.0, or damaged."""
    try:
        return None if version is None else archive.unpack(version, folder)
    except ArtifactError as exc:
        _log.warning("the project that %s was made from cannot be read: %s", version, exc)
        return None
