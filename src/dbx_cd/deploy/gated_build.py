"""The build of a gated target: what was approved, and nothing else, between a restore point and the versions after."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from dbx_cd import volume
from dbx_cd.approval.decision import approved_request
from dbx_cd.approval.request import ApprovalRequest, Decision, plan_of
from dbx_cd.artifacts import archive
from dbx_cd.artifacts.installed import require_packages
from dbx_cd.artifacts.version import ArtifactVersion
from dbx_cd.dbt.effects import BuildEffects, affected_relations
from dbx_cd.dbt.functions import functions_of
from dbx_cd.dbt.project import COPY
from dbx_cd.dbt.run import DbtRun
from dbx_cd.dbt.selection import Selection
from dbx_cd.deploy.build_result import BuildResult, publish_build
from dbx_cd.deploy.claim import claim
from dbx_cd.deploy.connection import connected, refuse_on_cluster
from dbx_cd.deploy.dbt_versions import refuse_other_dbt
from dbx_cd.deploy.leak_guard import guarded
from dbx_cd.deploy.orphan_drop import agreed_orphans, drop_orphans
from dbx_cd.deploy.partial_build import nothing_to_do, record_inputs
from dbx_cd.enumeration import listed
from dbx_cd.errors import ApprovalStale, DbxCdError, what_failed
from dbx_cd.plan.agreed_plan import SEALED_AS
from dbx_cd.plan.deploy_plan import DeployPlan
from dbx_cd.plan.leaks import Leak
from dbx_cd.plan.planning import Planned, planned
from dbx_cd.plan.project_dbt import ProjectDbt, warm_for
from dbx_cd.plan.rollback_readiness import require_readiness
from dbx_cd.relations import RelationName
from dbx_cd.release.context import Cd
from dbx_cd.release.events import Deployed, Failed, Release
from dbx_cd.rollback.capture import capture_restore_point, record_versions_after
from dbx_cd.rollback.of_target import points_of
from dbx_cd.rollback.plan import plan_restore
from dbx_cd.rollback.point import RestorePoint

_log = logging.getLogger(__name__)

_SHOWN = 20


def build_gated(
    cd: Cd, release: Release, asked: Selection, *, target: str, work: Path, profiles_dir: str | Path | None
) -> BuildResult:
    """Build a gated target from what was approved.

    Args:
        cd: the context.
        release: the release.
        asked: what the task's parameters ask for; it must be what was approved.
        target: the gated target.
        work: a folder on local disk.
        profiles_dir: folder with `profiles.yml`; None for the one that dbt takes when started in the archived
            project's folder.

    Raises:
        ApprovalRequired: there is no valid approval.
        ReleaseError, ReleaseSuperseded: it is not this release's turn.
        ArtifactError: the archive has not all packages of the project.
        SetupError: another dbt is installed than the one that staging was built with; or `compute: cluster` cannot be.
        DbtFailed: dbt cannot say what it would build. A build that fails is in the result.
    """
    request, decision = approved_request(cd, release, target=target)
    _refuse_other_parameters(asked, request)
    # The very version that was approved: staging may have been built again since this was asked.
    staged = cd.store.get(request.state_target, request.state_timestamp)
    project = archive.unpack(staged, work / COPY)
    require_packages(project, of=staged, target=target)
    with connected(cd) as connection, warm_for(cd, project, connection) as parent:
        dbt = ProjectDbt(
            cd, target, work, project, profiles_dir, staged.path, defer=True, warm_parent=parent, connection=connection
        )
        return _deploy(cd, release, request, decision, staged, dbt)


def _deploy(
    cd: Cd, release: Release, request: ApprovalRequest, decision: Decision, staged: ArtifactVersion, dbt: ProjectDbt
) -> BuildResult:
    target = request.target
    agreed = plan_of(cd.log.read(release), request)
    made = planned(dbt, staged, request.selection, agreed=agreed)
    refuse_other_dbt(staged, made.manifest, at_work=dbt.environment.record)
    refuse_on_cluster(cd, made.manifest, (node.unique_id for node in made.plan.nodes))
    _refuse_other_plan(cd, release, agreed, made.plan, decision)
    plan = made.plan
    _log.info("%s: refs resolve by the state %s: %s", release, plan.derived_state, plan)
    claim(cd, release, target=target, seal=request.seal)
    try:
        orphans = agreed_orphans(plan.losses, decision)
        point = _restore_point(cd, release, made, orphans)
        built, leaks = _built_between(cd, release, replace(dbt, defer_state=made.defer_state), made, point, orphans)
        record_inputs(made.unchanged, built, kept=plan.kept)
        volume.copy(staged.file(archive.ARCHIVE_NAME), built.files_dir / archive.ARCHIVE_NAME)
        # What a later gate is asked to build, by default, is what was asked for here: what changed there is its own.
        asked = request.selection if plan.kept else plan.selection
        result = publish_build(cd, release, asked, built, target=target, gated=True, restore_point=point)
        result = replace(result, leaks=leaks, kept=plan.kept)
    except BaseException as exc:
        _write_failure(cd, release, Failed(target, what_failed(exc)))
        raise
    if built.ok:
        cd.log.append(release, Deployed(target, archive.archive_digest(staged)))
    else:
        _write_failure(cd, release, Failed(target, str(built)))
    return result


def _restore_point(cd: Cd, release: Release, made: Planned, orphans: Sequence[RelationName]) -> RestorePoint:
    """What the target is before the first statement: all that the build, and what follows it, may touch."""
    plan, manifest = made.plan, made.manifest
    selected = [node.unique_id for node in plan.nodes]
    effects = BuildEffects.of(manifest, selected, full_refresh=plan.selection.full_refresh).dropping(orphans)
    affected = [*affected_relations(manifest, selected), *orphans]
    writers = cd.config.target(plan.target).writers
    return capture_restore_point(cd, release, affected, target=plan.target, effects=effects, writers=writers)


def _built_between(
    cd: Cd, release: Release, dbt: ProjectDbt, made: Planned, point: RestorePoint, orphans: Sequence[RelationName]
) -> tuple[DbtRun, tuple[Leak, ...]]:
    """The build, the look at what it has left, and what is dropped after it, up to the record of versions after."""
    selected = [node.unique_id for node in made.plan.nodes]
    touched: Sequence[RelationName] | None = ()
    try:
        _require_readiness(cd, release, point)
        touched = None  # a dbt that is killed does not say
        built = nothing_to_do(dbt.run(made.plan.selection), expected=not selected)
        touched = built.touched if selected else ()
        built, leaks = guarded(
            cd,
            built,
            [state.relation for state in point.relations],
            staging=made.staging,
            functions=functions_of(made.manifest.select(selected)),
        )
        if built.ok and orphans:
            touched = None if touched is None else (*touched, *orphans)
            # An attempt before this one may have changed what they are.
            drop_orphans(cd, orphans, before=points_of(cd.log.read(release), point.target)[0])
    finally:
        # Before anything else can fail, and also when the task is cancelled: without it a rollback cannot tell the
        # release's own commits from later ones.
        _record_versions_after(cd, release, point, touched)
    return built, leaks


def _refuse_other_plan(
    cd: Cd, release: Release, agreed: DeployPlan | None, plan: DeployPlan, decision: Decision
) -> None:
    """What is done is what was agreed to, or less: the catalog may be another than when the plan was made."""
    if agreed is None:  # asked by a wheel that made no plan
        plan.raise_if_refused()
        beyond = tuple(f"loss: {name}" for name in plan.consent if name not in decision.consent)
        if not beyond:
            cd.log.append(release, plan)
            return
    else:
        beyond = plan.beyond(agreed)
    if beyond:
        raise ApprovalStale(
            f"the deploy would not be what was approved: {listed(beyond, most=_SHOWN, separator='; ')}",
            changed=(SEALED_AS,),
            where=release,
            next_step="run approval_gate again, so that the release is asked for as it is now",
        )


def _write_failure(cd: Cd, release: Release, failed: Failed) -> None:
    """What failed is raised in any case; where the log cannot have it, the release stays `deploying`."""
    try:
        cd.log.append(release, failed)
    except DbxCdError as exc:
        _log.warning("%s: that it failed is not in the log: %s", release, what_failed(exc))


def _require_readiness(cd: Cd, release: Release, point: RestorePoint) -> None:
    """Judge the restore point by the policy; that of a repaired build by what a rollback would go back to, as well."""
    blocked = []
    if len(points_of(cd.log.read(release), point.target)) > 1:
        plan = plan_restore(cd, release, target=point.target)
        blocked = [item for item in plan.blocked if item.kind_before == "table"]
    require_readiness(point, blocked=blocked, policy=cd.config.policies.require_rollback_ready)


def _record_versions_after(
    cd: Cd, release: Release, point: RestorePoint, touched: Sequence[RelationName] | None
) -> None:
    """Where the build left its relations; a rollback asks more where that cannot be said, and the deploy goes on."""
    try:
        record_versions_after(cd, release, point, built=touched)
    except DbxCdError as exc:
        _log.warning("%s: where the build left its relations is not recorded: %s", release, exc)


def _refuse_other_parameters(asked: Selection, request: ApprovalRequest) -> None:
    """The selection comes from the approved request; job parameters that say otherwise are not just ignored."""
    differing = request.selection.differing(asked)
    if differing:
        raise ApprovalStale(
            f"the task's parameters are not those that were approved: {', '.join(differing)}",
            changed=differing,
            where=request.release,
            next_step="give approval_gate and the build task the same parameters, and run from approval_gate on",
        )
