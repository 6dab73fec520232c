"""`plan_deploy`: what a release will do to a gated target, from artifacts, the catalog and one dbt process."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from dbx_cd.artifacts import archive
from dbx_cd.artifacts.installed import require_packages
from dbx_cd.artifacts.version import ArtifactVersion
from dbx_cd.dbt.artifacts import Manifest, RunResults
from dbx_cd.dbt.functions import functions_of
from dbx_cd.dbt.packages import project_settings
from dbx_cd.dbt.project import COPY
from dbx_cd.dbt.selection import Selection
from dbx_cd.delta.tables import CatalogEntry
from dbx_cd.errors import ArtifactError
from dbx_cd.plan.agreed_plan import agreed_plan
from dbx_cd.plan.asked_selection import asked_selection
from dbx_cd.plan.changed_columns import changed_columns, changed_exposures
from dbx_cd.plan.changed_nodes import ChangedNodes
from dbx_cd.plan.changed_only import ChangedOnly, changed_only
from dbx_cd.plan.comparison import Comparison
from dbx_cd.plan.connection import connection_to_list
from dbx_cd.plan.deploy_plan import DeployPlan
from dbx_cd.plan.derived_state import derived_state
from dbx_cd.plan.estimate import RUNS, estimate
from dbx_cd.plan.existing import existing_functions, existing_relations, relations_of
from dbx_cd.plan.in_production import InProduction, in_production
from dbx_cd.plan.leak_prediction import predicted_leaks
from dbx_cd.plan.leaks import Leak, StagingNames, find_leaks
from dbx_cd.plan.loss import Loss
from dbx_cd.plan.losses import losses_of, to_agree_to
from dbx_cd.plan.orphans import orphans_of
from dbx_cd.plan.project_dbt import ProjectDbt, warm_for
from dbx_cd.plan.refusals import refusals
from dbx_cd.plan.resolution import Presence, Refs, Resolution, resolutions
from dbx_cd.plan.staged_build import StagedBuild
from dbx_cd.plan.touched import edges_touched
from dbx_cd.plan.unchanged import Unchanged
from dbx_cd.policies import Orphans
from dbx_cd.release.context import Cd
from dbx_cd.release.events import Release

_DEFERRED = "deferred"


@dataclass(frozen=True)
class Planned:
    """A plan, and what the build that follows it needs."""

    plan: DeployPlan
    """The plan."""
    manifest: Manifest
    """The manifest of the target, as dbt has just parsed the project."""
    defer_state: Path
    """The folder of the state that refs resolve by."""
    staging: StagingNames
    """What counts as staging's, when it is looked for what refers to it."""
    unchanged: Unchanged | None = None
    """What is proved unchanged, with the inputs as they are before the build; None without `changed_only`."""


def plan_deploy(
    cd: Cd, release: Release, *, target: str, selection: Selection | None = None, profiles_dir: str | Path | None = None
) -> DeployPlan:
    """Say what the deploy of a release will do, and what it would be refused for. Nothing is changed anywhere.

    With `policies.changed_only` a plan that is approved already is made again as it was agreed to, so long as what must
    be built is in it: data that came since is for the next release.

    Args:
        cd: the context.
        release: a release with a successful staging build.
        target: the gated target.
        selection: what is to be built there; where it names no nodes, and by default, what staging was asked to build.
        profiles_dir: folder with `profiles.yml`; None for the one that dbt takes when started in the project's folder.

    Returns:
        The plan; `.raise_if_refused()` is for those who go on with it.

    Raises:
        ConfigError: no such target, or it defers to nothing; or another command, or a flag among the selection.
        ApprovalRequired: staging has no successful build.
        ArtifactError: artifacts of staging or of the target cannot be read, or have not all packages of the project.
        DbtFailed: dbt cannot say what it would build, or the selection matches nothing.
        SqlFailed: the catalog or the log cannot be asked.
    """
    log = cd.log.read(release)
    asked = asked_selection(cd, log, release, target=target, selection=selection or Selection())
    staged = cd.store.find(cd.config.staging_of(target), release.id)
    connection = connection_to_list(cd)
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="dbx_cd-", ignore_cleanup_errors=True))
        project = archive.unpack(staged, Path(folder) / COPY)
        require_packages(project, of=staged, target=target)
        parent = stack.enter_context(warm_for(cd, project, connection))
        dbt = ProjectDbt(
            cd, target, Path(folder), project, profiles_dir, staged.path, defer=True, warm_parent=parent,
            connection=connection,
        )  # fmt: skip
        agreed = agreed_plan(log, target) if cd.config.policies.changed_only else None
        if agreed is not None and (agreed.asked, agreed.state_timestamp) == (asked, staged.timestamp):
            own = replace(dbt, work=Path(folder) / "again")
            again = planned(own, staged, asked, agreed=agreed).plan
            if not again.beyond(agreed):
                return again
        return planned(dbt, staged, asked).plan


def planned(dbt: ProjectDbt, staged: ArtifactVersion, asked: Selection, *, agreed: DeployPlan | None = None) -> Planned:
    """Make the plan with a project that is unpacked already; the build can go on with the same parse.

    Args:
        dbt: dbt on the release's archive and the gated target, with the staging artifacts as its state.
        staged: those artifacts.
        asked: what is to be built.
        agreed: a plan that somebody has agreed to: with `changed_only` what it builds is built.

    Raises:
        DbtFailed, ArtifactError, SqlFailed: as `plan_deploy`.
    """
    around, whole = _look_around(dbt, staged, asked)
    choice = _choose(dbt, whole, around, agreed=agreed)
    deferred = dbt.work / _DEFERRED
    plan = _plan_of(
        dbt, staged, asked, around, choice, derived_state(staged.file("manifest.json"), choice.deferred, into=deferred)
    )
    plan = replace(plan, refused=(*refusals(plan, dbt.cd.config.policies), *choice.only.stale))
    return Planned(plan, choice.changed.manifest, deferred, around.staging, choice.only.unchanged)


@dataclass(frozen=True)
class _Around:
    """What there is, before it is decided what is built."""

    before: InProduction
    """What the target really has."""
    state: Manifest
    """The manifest of the staging build."""
    staging: StagingNames
    """What counts as staging's."""
    there: Mapping[str, CatalogEntry]
    """The target's relations, those of earlier builds too."""
    in_state: Mapping[str, CatalogEntry]
    """Staging's relations."""
    presence: Presence
    """What refs can resolve to."""
    runs: Sequence[RunResults]
    """The target's last builds, oldest first."""


@dataclass(frozen=True)
class _Choice:
    """What is built, and from what."""

    whole: ChangedNodes
    """All that was asked for."""
    only: ChangedOnly
    """What of it has to be built."""
    resolved: tuple[Resolution, ...]
    """Where the refs resolve that leave what is built."""

    @property
    def changed(self) -> ChangedNodes:
        """What is built."""
        return self.only.narrowed.changed

    @property
    def deferred(self) -> frozenset[str]:
        """The unique ids that must resolve to staging."""
        return frozenset(r.parent for r in self.resolved if r.place == "state")


def _look_around(dbt: ProjectDbt, staged: ArtifactVersion, asked: Selection) -> tuple[_Around, ChangedNodes]:
    cd = dbt.cd
    before = in_production(cd, dbt.target)
    with ThreadPoolExecutor(1, thread_name_prefix="dbx_cd-read") as pool:
        # While dbt parses, which takes longer than all else of a plan. A manifest keeps what is read once.
        read = pool.submit(lambda: (_runs(cd, dbt.target), before.earlier, before.built, staged.manifest()))
        whole = ChangedNodes.find(dbt, asked, before)
    runs, _, _, state = read.result()
    there = existing_relations(cd.tables, whole.manifest, before.manifest, *before.earlier, more=before.begun)
    in_state = existing_relations(cd.tables, state)
    presence = Presence(
        {*there, *existing_functions(cd.tables, whole.manifest)},
        state,
        {*in_state, *existing_functions(cd.tables, state)},
        (dbt.target, staged.target),
    )
    if cd.config.policies.untagged_changes == "build_in_prod":
        whole = whole.building_ancestors(dbt, presence.target)
    staging = StagingNames.of(state, whole.manifest)
    return _Around(before, state, staging, there, in_state, presence, runs), whole


def _choose(dbt: ProjectDbt, whole: ChangedNodes, around: _Around, *, agreed: DeployPlan | None) -> _Choice:
    rule = dbt.cd.config.policies.untagged_changes
    resolved = resolutions(Refs(whole.manifest, whole.selected, whole.changed), around.presence, rule=rule)
    only = changed_only(dbt, whole, around.before, resolved=resolved, there=around.presence.target, agreed=agreed)
    if only.narrowed.kept:
        narrow = Refs(whole.manifest, only.narrowed.changed.selected, whole.changed, only.narrowed.kept)
        resolved = resolutions(narrow, around.presence, rule=rule)
    return _Choice(whole, only, resolved)


def _plan_of(
    dbt: ProjectDbt, staged: ArtifactVersion, asked: Selection, around: _Around, choice: _Choice, state: str
) -> DeployPlan:
    """The plan, but for what of it is refused."""
    cd, before, changed, resolved = dbt.cd, around.before, choice.changed, choice.resolved
    leaking = _read_leaks(cd, changed.manifest, resolved, around.there, staging=around.staging)
    of_staging = StagedBuild.look(cd, staged, around.in_state)
    comparison = _comparison(dbt, changed, around, of_staging)
    differing = changed.changed & changed.selected
    losses = _losses(comparison, before, orphans=cd.config.policies.orphans)
    above = Refs(choice.whole.manifest, choice.whole.selected).ancestors()
    return DeployPlan(
        target=dbt.target,
        state_target=staged.target,
        state_timestamp=staged.timestamp,
        release_id=staged.release_id or "",
        commit=staged.commit,
        baseline=before.version.timestamp if before.version else "",
        asked=asked,
        selection=changed.selection,
        nodes=changed.nodes,
        derived_state=state,
        resolutions=resolved,
        untagged=tuple(unique_id for unique_id in above if unique_id in changed.changed),
        removed=changed.removed,
        renamed=changed.renamed,
        columns=changed_columns(comparison, differing),
        exposures=changed_exposures(changed.manifest, differing),
        losses=losses,
        consent=to_agree_to(losses, cd.config.policies),
        leaks=predicted_leaks(changed.manifest, changed.selected, resolved, staging=around.staging, existing=leaking),
        edges=edges_touched(changed.manifest, differing, choice.deferred),
        mind=(*before.mind, *changed.mind, *choice.only.narrowed.mind, *of_staging.mind),
        estimate=estimate(changed.manifest, changed.selected, around.runs),
        kept=tuple(sorted(choice.only.narrowed.kept)),
        savings=choice.only.savings(choice.whole, around.runs, refresh=cd.config.policies.refresh),
    )


def _comparison(dbt: ProjectDbt, changed: ChangedNodes, around: _Around, of_staging: StagedBuild) -> Comparison:
    """What the target has, and what this release makes of it."""
    there, before = around.there, around.before
    return Comparison(
        manifest=changed.manifest,
        selected=changed.selected,
        there=there,
        settings=dbt.cd.tables.settings([r for r in relations_of(changed.manifest) if r.key in there]),
        before=before.manifest,
        earlier=before.earlier,
        touched=frozenset(relation.key for relation in before.begun),
        staged_manifest=around.state,
        staged=of_staging.made,
        full_refresh=changed.selection.full_refresh,
        materialization_v2=bool(
            (project_settings(Path(dbt.project_dir)).get("flags") or {}).get("use_materialization_v2")
        ),
    )


def _losses(comparison: Comparison, before: InProduction, *, orphans: Orphans) -> tuple[Loss, ...]:
    """What the target loses: by the build, and of what nothing makes any more."""
    earlier = [m for m in (before.manifest, *before.earlier) if m is not None]
    there = comparison.there
    left = orphans_of(
        comparison.manifest, earlier=earlier, built=before.built, there=there, policy=orphans, begun=before.begun
    )
    return (*losses_of(comparison), *left)


def _read_leaks(
    cd: Cd,
    manifest: Manifest,
    resolved: Sequence[Resolution],
    there: Mapping[str, CatalogEntry],
    *,
    staging: StagingNames,
) -> tuple[Leak, ...]:
    """What leaks of the target's own that is read and not built: what is built over it and stays leaks too."""
    parents = [*manifest.select(r.parent for r in resolved if r.place == "target")]
    relations = [n.relation for n in parents if n.relation is not None]
    queries = [r for r in relations if r.key in there and there[r.key].is_query]
    return find_leaks(cd.tables, queries, staging=staging, functions=functions_of(parents))


def _runs(cd: Cd, target: str) -> list[RunResults]:
    """What the last builds say of how long each node takes, oldest first; what cannot be read says nothing."""
    found = []
    for version in [v for v in cd.store.list(target) if v.is_deployable][-RUNS:]:
        try:
            found.append(version.run_results())
        except ArtifactError:
            continue
    return found
