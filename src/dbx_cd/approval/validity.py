"""Whether what the log holds of an approval can be relied on.

Whoever may write where the log lives can append a request and a decision. Neither counts for what it says of itself:
the request must be of the Workflow, and ask what the Workflow would ask now; who decided must be somebody who might.
"""

from __future__ import annotations

from collections.abc import Iterator

from dbx_cd.approval.approver import require_decider
from dbx_cd.approval.request import ApprovalRequest, Decision, decision_on
from dbx_cd.errors import ApprovalNotAllowed, ApprovalRequired, ApprovalStale
from dbx_cd.people import same_person
from dbx_cd.release.authorship import written_by_others
from dbx_cd.release.context import Cd
from dbx_cd.release.events import Built, Deployed, Release
from dbx_cd.release.reading import LogReading
from dbx_cd.smoke.report import SmokeReport

_OF_THE_WORKFLOW = (Release.KIND, Built.KIND, ApprovalRequest.KIND)


def require_own_events(cd: Cd, log: LogReading, *, staging: str) -> None:
    """Refuse a release whose own events somebody else than the Workflow has written, in their own name.

    Args:
        cd: the context of the Workflow.
        log: a reading of the release.
        staging: the target whose smoke report is relied on; that of a rolled back production may be a person's.

    Raises:
        ApprovalRequired: with the events.
    """
    assert log.release is not None
    events = log.of(log.release.id)
    tested = [e for e in events if e.kind == SmokeReport.KIND and e.payload.get("target") == staging]
    foreign = written_by_others(
        [*(e for e in events if e.kind in _OF_THE_WORKFLOW), *tested],
        identity=cd.user,
        kinds=(*_OF_THE_WORKFLOW, SmokeReport.KIND),
    )
    if foreign:
        whose = "; ".join(f"{e.kind} by {e.actor or 'nobody'} (version {e.version})" for e in foreign)
        raise ApprovalRequired(
            f"not everything about {log.release} was written by the Workflow, {cd.user}: {whose}",
            where=cd.log.table,
            next_step="trigger the Workflow for a new release; and find out who writes into the log",
        )


def require_own_request(cd: Cd, request: ApprovalRequest) -> None:
    """Refuse a request that does not ask what this Workflow would ask.

    Raises:
        ApprovalStale: somebody else asked, or another group than the one that counts by now.
    """
    differing = {
        "job identity": not same_person(request.job_identity, cd.user),
        "approvers": request.approvers != cd.config.approvers,
    }
    changed = tuple(name for name, differs in differing.items() if differs)
    if changed:
        raise ApprovalStale(
            f"{request.release} was asked about by {request.job_identity}, to be decided by {request.approvers}; "
            f"this is {cd.user}, and {cd.config.approvers} decide",
            changed=changed,
            where=request.target,
            next_step="run approval_gate again as the Workflow, so that the release is asked for as it is now",
        )


def invalidity(cd: Cd, log: LogReading, request: ApprovalRequest, decision: Decision) -> str | None:
    """Why an approval does not count, in one line; None where it does.

    Args:
        cd: the context of the Workflow.
        log: a reading of the release.
        request: what was asked.
        decision: the first decision on it.
    """
    if decision.outcome != "approved":
        return None  # a rejection stops the release, whoever it is of
    writer = _writer_of(log, request)
    if not same_person(writer, decision.actor):
        return f"written by {writer or 'nobody'}: {decision}"
    if decision.reuses is not None:
        is_own = same_person(decision.actor, cd.user)
        lends = is_own and any(r.id == decision.reuses for r in approvals_to_reuse(cd, log, request))
        return None if lends else f"nothing lends it any more: {decision}, reusing that of {decision.reuses}"
    try:
        require_decider(
            cd, decision.actor, group=request.approvers, involved=involved_in(request), where=request.release
        )
    except ApprovalNotAllowed as exc:
        return f"{exc.what}: {decision}"
    return None


def ignored_decisions(cd: Cd, log: LogReading, request: ApprovalRequest) -> tuple[str, ...]:
    """The approvals of a question that do not count, those before the last request among them.

    Args:
        cd: the context of the Workflow.
        log: a reading of the release.
        request: what was asked last.
    """
    decision = decision_on(log, request)
    wrong = invalidity(cd, log, request, decision) if decision is not None else None
    return request.ignored if wrong is None else (*request.ignored, wrong)


def approvals_to_reuse(cd: Cd, log: LogReading, request: ApprovalRequest) -> Iterator[Release]:
    """The releases that are deployed from the very same project archive, built in the very same way, newest first.

    The same archive with another selection or other flags makes other relations: nobody has agreed to that. What
    somebody else than the Workflow has written of such a release lends nothing.

    Args:
        cd: the context of the Workflow.
        log: a reading of the release that is asked about.
        request: what is asked.
    """
    if request.selection.full_refresh:
        return
    same = Deployed(request.target, request.sealed["project archive"])
    for release, state in log.history:
        if release.id == request.release.id or not state.of(request.target).is_in_place:
            continue
        events = log.of(release.id, kinds=(Deployed.KIND,))
        here = [e for e in events if e.payload.get("target") == request.target]
        if not here or written_by_others(here, identity=request.job_identity, kinds=(Deployed.KIND,)):
            continue
        if Deployed.read(dict(here[-1].payload)) == same and _was_approved(cd, release, request):
            yield release


def _was_approved(cd: Cd, release: Release, request: ApprovalRequest) -> bool:
    """Whether somebody who might has approved a release for the target, to be built as it is asked now."""
    there = cd.log.examined(release)[0]
    foreign = written_by_others(there.of(release.id), identity=request.job_identity, kinds=(ApprovalRequest.KIND,))
    own = there.without(foreign)
    decided = [(a, d) for a in own.all(ApprovalRequest) if (d := decision_on(own, a)) is not None]
    approved = [(a, d) for a, d in decided if a.target == request.target and d.outcome == "approved"]
    if not approved or approved[-1][0].deploy != request.deploy:
        return False
    asked, decision = approved[-1]
    if not same_person(_writer_of(own, asked), decision.actor):
        return False
    if decision.reuses is not None:
        return same_person(decision.actor, request.job_identity)
    try:
        require_decider(cd, decision.actor, group=asked.approvers, involved=involved_in(asked), where=release)
    except ApprovalNotAllowed:
        return False
    return True


def _writer_of(log: LogReading, request: ApprovalRequest) -> str | None:
    """As whom the first decision on a request was written into the log."""
    decided = log.of(request.release.id, kinds=Decision.KINDS)
    return next((e.actor for e in decided if e.payload.get("seal") == request.seal), None)


def involved_in(request: ApprovalRequest) -> dict[str, str]:
    """Who may not decide on a request, each with why."""
    return {
        request.job_identity: "is the job's own identity",
        request.release.requester: "asked for this release",
    }
