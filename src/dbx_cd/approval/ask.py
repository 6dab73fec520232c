"""Asking for the promotion of a release."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from dbx_cd.approval.commit_settings import changed_settings
from dbx_cd.approval.request import (
    ApprovalRequest,
    Decision,
    decision_on,
    deploy_of,
    deployable,
    expired,
    newest_request,
    passed_smoke,
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
from dbx_cd.dbt.selection import Selection
from dbx_cd.errors import ApprovalRequired, ArtifactError, ArtifactNotFound
from dbx_cd.release.alteration import Alterations
from dbx_cd.release.context import Cd
from dbx_cd.release.events import Built, Release
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

    Raises:
        ConfigError: another command, or a flag among the selection, since nothing else may change a gated target; or
            the target defers to nothing.
        ApprovalRequired: there is nothing to approve yet: no build, no smoke report, or a failed one; or it is not in
            place in every gated target that comes first.
        ApprovalSuperseded: a newer release has overtaken this one.
        ArtifactError: the artifacts of staging, or of the build in place, cannot be read now.
    """
    log, alterations = examined(cd, release)
    with naming_what_does_not_count(log):
        return _ask(
            cd, log, release, target=target, select=select, exclude=exclude, full_refresh=full_refresh, cmd=cmd,
            alterations=alterations,
        )  # fmt: skip


def _ask(
    cd: Cd,
    log: LogReading,
    release: Release,
    *,
    target: str,
    select: str | None,
    exclude: str | None,
    full_refresh: bool,
    cmd: str,
    alterations: Alterations,
) -> ApprovalRequest:
    refuse_overtaken(cd, log, target=target)
    staging = cd.config.staging_of(target)
    require_promoted(log, gates=cd.config.gates, target=target)
    built = next((b for b in reversed(log.all(Built)) if b.target == staging and b.ok), None)
    if built is None:
        raise ApprovalRequired(
            f"{staging} has no successful build", where=release, next_step=f"run the task that builds {staging} again"
        )
    selection = Selection(
        cmd=deployable(cmd),
        select=select or built.selection.select,
        exclude=exclude or None,
        full_refresh=full_refresh,
        favor_state=cd.config.policies.untagged_changes == "read_staging",
    )
    selection.refuse_flags()
    staged = cd.store.find(staging, release.id)
    smoke = passed_smoke(log, staged)
    asked = newest_request(log, target)
    ignored = ignored_decisions(cd, log, asked) if asked is not None else ()
    deploy = deploy_of(target, selection)
    parts = sealed_parts(release, staged, smoke=smoke_record(log, staged), deploy=deploy, ignored=ignored)
    same = asked is not None and (asked.seal, asked.approvers) == (seal_of(parts), cd.config.approvers)
    if asked is not None and same and not (expired(asked) and decision_on(log, asked) is None):
        return asked
    now = datetime.now(UTC)
    request = ApprovalRequest(
        release=release,
        target=target,
        state_target=staging,
        state_timestamp=staged.timestamp,
        selection=selection,
        sealed=parts,
        seal=seal_of(parts),
        requested_at=now,
        expires_at=now + cd.config.approval_expires,
        job_identity=cd.user,
        approvers=cd.config.approvers,
        smoke=str(smoke),
        changes=_changes(cd, target, staged.timestamp, staging),
        altered=tuple(map(str, alterations.acknowledged)),
        mind=(*cd.config.overruled, *changed_settings(cd, target, staged), *_untested_after(smoke)),
        ignored=ignored,
    )
    cd.log.append(release, request)
    earlier = next(approvals_to_reuse(cd, log, request), None)
    if earlier is not None and decision_on(log, request) is None:
        reason = release.reason or "the same project archive is approved and deployed"
        cd.log.append(release, Decision("approved", release.id, request.seal, cd.user, reason, reuses=earlier.id))
    return request


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
