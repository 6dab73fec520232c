"""Decisions on approval requests, and the check before anything is built into a gated target.

Waiting costs nothing: the gate task fails with "waiting for approval", and a decision is followed by a repair of the
run. Databricks Jobs has no task type for human approval (none of the SDK's 21).
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from dataclasses import replace

from dbx_cd.approval.approver import require_approver
from dbx_cd.approval.consent import agreed_losses, require_consent
from dbx_cd.approval.request import (
    ApprovalRequest,
    Decision,
    decision_on,
    expired,
    expiry,
    newest_request,
    passed_smoke,
    plan_of,
    smoke_of,
    smoke_record,
)
from dbx_cd.approval.seal import changed_parts, sealed_parts
from dbx_cd.approval.validity import (
    examined,
    invalidity,
    involved_in,
    naming_what_does_not_count,
    refuse_overtaken,
    require_own_opening,
    require_own_request,
)
from dbx_cd.artifacts.target_folder import PAGES_NAME
from dbx_cd.errors import (
    ApprovalPending,
    ApprovalRejected,
    ApprovalRequired,
    ApprovalStale,
    DbxCdError,
    ReleaseError,
    SqlFailed,
)
from dbx_cd.release.context import Cd
from dbx_cd.release.events import Release
from dbx_cd.release.reading import LogReading
from dbx_cd.release.turn import may_be_decided, refuse_ended, require_promoted


def pending_approvals(cd: Cd) -> list[ApprovalRequest]:
    """The requests that wait for a decision, newest first; expired ones are left out, and what may not be decided now.

    That is a release that was overtaken, or that is no longer in place in a gated target that comes first.
    """
    pending = []
    log = cd.log.read()
    for release, state in log.history:
        here = replace(log, release=release)
        waiting = [t for t in state.waiting_for if may_be_decided(here, gates=cd.config.gates, target=t)]
        if waiting:
            asked = {request.target: request for request in cd.log.all(release, ApprovalRequest)}
            pending += [asked[target] for target in waiting if not expired(asked[target])]
    return pending


def approve(
    cd: Cd, request: ApprovalRequest, *, seal: str, comment: str | None = None, consent: Collection[str] = ()
) -> Decision:
    """Promote exactly what was sealed. The actor is the client's user, never an argument.

    Args:
        cd: the context of the person who decides.
        request: the request, as `pending_approvals` gives it.
        seal: the seal the person has read on the request's page.
        comment: a note for the log.
        consent: the names of the losses that the person agrees to: all that the request asks consent for.

    Raises:
        ConsentMissing: one of those is not named, or one is named that nobody asked about.
        ApprovalNotAllowed: the person is not in the group of approvers, asked for the release, or is the job itself.
        ApprovalStale: the seal is not the request's, or what it covers has changed.
        ApprovalExpired, ApprovalSuperseded, ReleaseError: too late, overtaken, or decided already.
    """
    log = cd.log.read(request.release)
    _may_decide(cd, log, request, seal)
    if expired(request):
        raise expiry(request)
    refuse_ended(log, target=request.target)
    require_promoted(log, gates=cd.config.gates, target=request.target)
    _refuse_stale(cd, log, request)
    agreed = agreed_losses(request, consent)
    return _decide(cd, log, Decision("approved", request.release.id, request.seal, cd.user, comment, agreed), request)


def reject(cd: Cd, request: ApprovalRequest, *, reason: str) -> Decision:
    """Refuse a release; nothing can be built from it any more.

    Raises:
        ApprovalNotAllowed: the person is not in the group of approvers, asked for the release, or is the job itself.
        ReleaseError: it is decided already.
    """
    if not reason.strip():
        raise DbxCdError("a rejection needs a reason", where=request.release, next_step="say what has to change")
    log = cd.log.read(request.release)
    _may_decide(cd, log, request, request.seal)
    return _decide(cd, log, Decision("rejected", request.release.id, request.seal, cd.user, reason), request)


def require_approval(cd: Cd, release: Release, *, target: str) -> Decision:
    """Make sure that a release is approved for a target, as it stands now.

    Raises:
        ApprovalPending, ApprovalRejected, ApprovalExpired, ApprovalSuperseded: by what the log says.
        ApprovalStale: something the approval was bound to has changed; `.changed` names the parts.
        ConsentMissing: the project's policy asks for consent, and the decision does not name every loss.
        ApprovalRequired: the log was altered, and nobody has acknowledged that.
    """
    return approved_request(cd, release, target=target)[1]


def approved_request(cd: Cd, release: Release, *, target: str) -> tuple[ApprovalRequest, Decision]:
    """`require_approval`, with the request that was approved."""
    log, altered = examined(cd, release)
    if altered:
        raise ApprovalRequired(
            f"the release log was altered: {'; '.join(map(str, altered))}",
            where=cd.log.table,
            next_step="find out who did it, and whether approvals in this log can still be relied on; then one of "
            f"{cd.config.approvers}, in a notebook: acknowledge_alteration(cd, seal='{altered.seal}', reason='...')",
        )
    with naming_what_does_not_count(log):
        return _approved_request(cd, log, release, target=target)


def _approved_request(cd: Cd, log: LogReading, release: Release, *, target: str) -> tuple[ApprovalRequest, Decision]:
    refuse_overtaken(cd, log, target=target)
    require_promoted(log, gates=cd.config.gates, target=target)
    require_own_opening(cd, log)
    request = newest_request(log, target)
    if request is None:
        raise ApprovalPending(
            f"nobody has been asked to approve {release} for {target}", next_step="run the task approval_gate"
        )
    require_own_request(cd, request)
    decision = decision_on(log, request)
    if decision is None:
        if expired(request):
            raise expiry(request)
        raise ApprovalPending(
            f"waiting for approval of {release} for {target}",
            where=f"sealed {request.seal[:12]}",
            next_step=f"somebody of {request.approvers} reads {_page(cd, request)}, opens the notebook approve and "
            "gives its seal; the run then goes on by itself",
        )
    if decision.outcome == "rejected":
        raise ApprovalRejected(
            f"{release} was rejected by {decision.actor}: {decision.reason}", next_step="fix it and merge again"
        )
    wrong = invalidity(cd, log, request, decision)
    if wrong is not None:
        raise ApprovalStale(
            f"the approval does not count: {wrong}",
            changed=("decision",),
            where=release,
            next_step="run approval_gate again, which asks anew",
        )
    _refuse_stale(cd, log, request)
    require_consent(request, decision)
    return request, decision


def _page(cd: Cd, request: ApprovalRequest) -> str:
    """Where the gate has left the request's page, for people."""
    page = cd.store.root / PAGES_NAME / request.release.id / f"approval-{request.target}.html"
    with suppress(OSError):  # it is for the message alone, and must not stand in its place
        if not page.is_file():
            return "the request"
    return str(page)


def _decide(cd: Cd, log: LogReading, decision: Decision, request: ApprovalRequest) -> Decision:
    first = decision_on(log, request)
    if first is None:
        cd.log.append(request.release, decision)
        try:
            first = decision_on(cd.log.read(request.release), request)
        except SqlFailed as exc:
            raise ReleaseError(
                f"{decision.kind}; that is written, but whether it was decided before cannot be seen now: {exc.what}",
                where=request.release,
                next_step="look at the log again: the first decision on a seal counts",
            ) from exc
    if first != decision:
        raise ReleaseError(f"already decided: {first}", where=request.release)
    return decision


def _may_decide(cd: Cd, log: LogReading, request: ApprovalRequest, seal: str) -> None:
    newest = newest_request(log, request.target)
    if newest != request or seal != request.seal:
        raise ApprovalStale(
            "the seal is not that of the newest request",
            changed=("request",),
            where=request.release,
            next_step="open the notebook approve again and read what is asked now",
        )
    require_approver(cd, group=request.approvers, involved=involved_in(request), where=request.release)


def _refuse_stale(cd: Cd, log: LogReading, request: ApprovalRequest) -> None:
    release = request.release
    staged = cd.store.find(request.state_target, release.id)
    smoke = smoke_of(log, staged)
    written = smoke_record(log, staged)
    plan = plan_of(log, request)
    parts = sealed_parts(
        release,
        staged,
        smoke=written,
        deploy=request.deploy,
        plan=plan.digest if plan is not None else None,
        ignored=request.ignored,
    )
    changed = changed_parts(request.sealed, parts)
    if not changed or (smoke is not None and not smoke.ok):
        passed_smoke(log, staged)
    if changed:
        raise ApprovalStale(
            f"what was sealed is no longer what would be built; changed: {', '.join(changed)}",
            changed=changed,
            where=release,
            next_step="run approval_gate again, so that the release is asked for as it is now",
        )
