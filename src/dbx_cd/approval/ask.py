"""Asking for the promotion of a release."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from dbx_cd.approval.commit_settings import changed_settings
from dbx_cd.approval.request import (
    ApprovalRequest,
    Decision,
    decision_on,
    deploy_of,
    expired,
    newest_request,
    passed_smoke,
    plan_of,
    smoke_record,
)
from dbx_cd.approval.seal import seal_of, sealed_parts
from dbx_cd.approval.validity import (
    approvals_to_reuse,
    examined,
    ignored_decisions,
    naming_what_does_not_count,
    refuse_overtaken,
)
from dbx_cd.artifacts.version import ArtifactVersion
from dbx_cd.dbt.selection import Selection
from dbx_cd.errors import ApprovalRequired, ArtifactError, ArtifactNotFound
from dbx_cd.plan.asked_selection import asked_selection
from dbx_cd.plan.deploy_plan import DeployPlan
from dbx_cd.plan.planning import plan_deploy
from dbx_cd.release.alteration import Alterations
from dbx_cd.release.context import Cd
from dbx_cd.release.events import Release
from dbx_cd.release.reading import LogReading
from dbx_cd.release.turn import require_promoted
from dbx_cd.smoke.contracts import DOMAIN as CONTRACTS
from dbx_cd.smoke.report import SmokeReport
from dbx_cd.volume import Unreachable


def request_approval(
    cd: Cd,
    release: Release,
    *,
    target: str,
    select: str | None = None,
    exclude: str | None = None,
    full_refresh: bool = False,
    cmd: str = "build",
    profiles_dir: str | Path | None = None,
    plan: DeployPlan | None = None,
) -> ApprovalRequest:
    """Ask for the promotion of a release. Idempotent: asking again for the same thing returns the same request.

    A release whose very project archive is deployed already, with the same selection and flags, by an approved release
    that was neither rolled back nor has failed, needs no second approval (code rollback); that is recorded as a
    decision that reuses the first. A full refresh always needs one.

    Args:
        cd: the context.
        release: a release with a successful staging build and passed staging smoke tests.
        target: the gated target.
        select: what to build; by default what staging was asked to build.
        exclude: what not to build.
        full_refresh: rebuild incremental models from nothing.
        cmd: "build" or "run".
        profiles_dir: folder with `profiles.yml`; None for the one that dbt takes when started in the project's folder.
        plan: what `plan_deploy` has said already. What to build is then what it was asked for, and `select`, `exclude`,
            `full_refresh` and `cmd` do not count. By default the plan is made.

    Raises:
        ConfigError: another command, or a flag among the selection, since nothing else may change a gated target; or
            the target defers to nothing.
        ApprovalRequired: there is nothing to approve yet: no build, no smoke report, or a failed one; or it is not in
            place in every gated target that comes first.
        ApprovalSuperseded: a newer release has overtaken this one.
        DeployRefused: what it would do must not be done; the plan, which is in the log, says why.
        DbtFailed: dbt cannot say what it would build.
        ArtifactError: the artifacts of staging, or of the build in place, cannot be read now.
        SqlFailed: the catalog or the log cannot be asked.
    """
    log, alterations = examined(cd, release)
    wanted = Selection(cmd, select or None, exclude or None, full_refresh=full_refresh) if plan is None else plan.asked
    with naming_what_does_not_count(log):
        refuse_overtaken(cd, log, target=target)
        staging = cd.config.staging_of(target)
        require_promoted(log, gates=cd.config.gates, target=target)
        selection = asked_selection(cd, log, release, target=target, selection=wanted)
        staged = cd.store.find(staging, release.id)
        smoke = passed_smoke(log, staged)
        asked = newest_request(log, target)
        if plan is None:
            plan = plan_deploy(cd, release, target=target, selection=selection, profiles_dir=profiles_dir)
        _require_current(plan, target=target, staged=staged)
        plan = _plan_to_seal(cd, log, release, plan, asked)
        plan.raise_if_refused()
        return _ask(cd, log, release, plan, smoke, alterations)


def _require_current(plan: DeployPlan, *, target: str, staged: ArtifactVersion) -> None:
    """Refuse a plan of another deploy: of another target, or made before staging was built again."""
    made_of = (plan.target, plan.state_target, plan.state_timestamp)
    if made_of != (target, staged.target, staged.timestamp):
        raise ApprovalRequired(
            f"the deploy plan is of {plan.target} by {plan.state_target}/{plan.state_timestamp}, and {target} would be "
            f"built by {staged.target}/{staged.timestamp}",
            next_step="make the plan anew with plan_deploy",
        )


def _plan_to_seal(
    cd: Cd, log: LogReading, release: Release, fresh: DeployPlan, asked: ApprovalRequest | None
) -> DeployPlan:
    """The plan as it is in the log: one that was agreed to and says all of it, else the new one, which is written."""
    agreed = plan_of(log, asked) if asked is not None and decision_on(log, asked) is not None else None
    if agreed is not None and fresh.asked == agreed.asked and not fresh.beyond(agreed):
        return agreed
    logged = next((p for p in reversed(log.all(DeployPlan)) if p.target == fresh.target), None)
    if logged is not None and (logged.asked, logged.digest, logged.refused) == (
        fresh.asked,
        fresh.digest,
        fresh.refused,
    ):
        return logged
    cd.log.append(release, fresh)
    return fresh


def _ask(
    cd: Cd, log: LogReading, release: Release, plan: DeployPlan, smoke: SmokeReport, alterations: Alterations
) -> ApprovalRequest:
    target, staging = plan.target, plan.state_target
    staged = cd.store.get(staging, plan.state_timestamp)
    asked = newest_request(log, target)
    ignored = ignored_decisions(cd, log, asked) if asked is not None else ()
    parts = sealed_parts(
        release,
        staged,
        smoke=smoke_record(log, staged),
        deploy=deploy_of(target, plan.asked),
        plan=plan.digest,
        ignored=ignored,
    )
    if asked is not None and _still_asks(cd, log, asked, seal=seal_of(parts)):
        return asked
    now = datetime.now(UTC)
    request = ApprovalRequest(
        release=release,
        target=target,
        state_target=staging,
        state_timestamp=staged.timestamp,
        selection=plan.asked,
        sealed=parts,
        seal=seal_of(parts),
        requested_at=now,
        expires_at=now + cd.config.approval_expires,
        job_identity=cd.user,
        approvers=cd.config.approvers,
        smoke=str(smoke),
        changes=_changes(cd, target, staged.timestamp, staging),
        altered=tuple(map(str, alterations.acknowledged)),
        mind=(*cd.config.overruled, *changed_settings(cd, target, staged), *_untested_after(smoke), *plan.mind),
        ignored=ignored,
        plan=str(plan),
        losses=tuple(map(str, plan.losses)),
        consent=plan.consent,
        staging_identity=cd.staging_identity,
        environment="" if staged.environment is None else str(staged.environment),
    )
    cd.log.append(release, request)
    _lend(cd, log, request)
    return request


def _still_asks(cd: Cd, log: LogReading, asked: ApprovalRequest, *, seal: str) -> bool:
    """Whether a request asks for the same by the same people, and was decided or can be."""
    if (asked.seal, asked.approvers) != (seal, cd.config.approvers):
        return False
    return decision_on(log, asked) is not None or not expired(asked)


def _lend(cd: Cd, log: LogReading, request: ApprovalRequest) -> None:
    """Write the decision where an earlier approval of the same project archive applies."""
    earlier = next(approvals_to_reuse(cd, log, request), None)
    if earlier is None or decision_on(log, request) is not None:
        return
    release = request.release
    reason = release.reason or "the same project archive is approved and deployed"
    decision = Decision("approved", release.id, request.seal, cd.user, reason, request.consent, reuses=earlier.id)
    cd.log.append(release, decision)


def _untested_after(smoke: SmokeReport) -> Iterator[str]:
    """A line where the tiny suite after the deploy will have nothing to run, and so will not pass."""
    # A guardrail that judged nothing here, such as a metric without a baseline, judges nothing there either.
    of_the_build = [check for check in smoke.checks if check.of_the_build]
    if not any((check.guardrail and check.executed) or check.domain == CONTRACTS for check in of_the_build):
        yield (
            "no check is marked `guardrail: true` and has judged something, and what is built has no tests or"
            " enforced contracts: the tiny suite after the deploy has nothing to run, and fails"
        )


def _changes(cd: Cd, target: str, timestamp: str, staging: str) -> str:
    try:
        before = cd.store.latest(target)
    except ArtifactNotFound:
        return f"first release to {target}"
    except Unreachable:
        raise
    except ArtifactError as exc:
        return f"not known, since the artifacts of the build in place are damaged: {' '.join(str(exc).split())}"
    return str(cd.store.diff(before, cd.store.get(staging, timestamp)))
