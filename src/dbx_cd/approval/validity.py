"""Whether what the log holds of an approval can be relied on.

Whoever may write where the log lives can append a request and a decision. Neither counts for what it says of itself:
the request must be of the Workflow, and ask what the Workflow would ask now; who decided must be somebody who might.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from dbx_cd.approval.approver import may_be_member, require_decider
from dbx_cd.approval.request import ApprovalRequest, Decision, decision_on
from dbx_cd.approval.seal import DBT_ENVIRONMENT
from dbx_cd.errors import ApprovalNotAllowed, ApprovalRequired, ApprovalStale, DbxCdError
from dbx_cd.people import same_person
from dbx_cd.release.alteration import Alterations
from dbx_cd.release.authorship import written_by_others
from dbx_cd.release.context import Cd
from dbx_cd.release.events import Deployed, Release
from dbx_cd.release.reading import LogReading
from dbx_cd.release.turn import refuse_ended
from dbx_cd.rollback.journal import RestoreResult


def examined(cd: Cd, release: Release) -> tuple[LogReading, Alterations]:
    """The log as the gate reads it: without what does not count, and with what was done to it.

    Args:
        cd: the context of the Workflow.
        release: the release whose records will be asked for.
    """
    group = cd.config.approvers

    def may_acknowledge(person: str) -> bool:
        return not same_person(person, cd.user) and may_be_member(cd, person, group=group)

    return cd.log.examined(release, workflow=cd.identities, may_acknowledge=may_acknowledge)


@contextmanager
def naming_what_does_not_count(log: LogReading) -> Iterator[None]:
    """Let a refusal say which events about the release do not count: they may be why another answer was expected."""
    assert log.release is not None
    events = [e for e in log.not_counted if e.release_id == log.release.id]
    try:
        yield
    except DbxCdError as refused:
        if events:
            whose = ", ".join(f"{e.kind} by {e.actor or 'nobody'} (version {e.version})" for e in events)
            refused.note(f"what the Workflow did not write does not count: {whose}")
        raise


def refuse_overtaken(cd: Cd, log: LogReading, *, target: str) -> None:
    """Refuse what `refuse_ended` does, and an older release after a rollback that neither Workflow nor decider made.

    An approval given before the newer release does not know of it. Whoever may append to the log could take the newer
    release out of the way by one row.

    Args:
        cd: the context of the Workflow.
        log: a reading of the release, without what does not count.
        target: the gated target.

    Raises:
        ApprovalRequired: the release is over, or was overtaken.
    """
    refuse_ended(log, target=target)
    assert log.release is not None
    newer = {release.id for release, _ in log.after(log.release)}
    by_others = written_by_others(log.events, workflow=cd.identities, kinds=(RestoreResult.KIND,))
    group = cd.config.approvers
    doubtful = [e for e in by_others if e.release_id in newer and not may_be_member(cd, e.actor, group=group)]
    if not doubtful:
        return
    try:
        refuse_ended(log.without(doubtful), target=target)
    except DbxCdError as refused:
        whose = ", ".join(sorted({f"{e.release_id} by {e.actor or 'nobody'}" for e in doubtful}))
        refused.note(f"a rollback by somebody outside {group} lets no older release in: {whose}")
        raise


def require_own_opening(cd: Cd, log: LogReading) -> None:
    """Refuse a release that somebody else than the Workflow has opened: they would choose who asked for it.

    Raises:
        ApprovalRequired: it was.
    """
    assert log.release is not None
    foreign = written_by_others(log.of(log.release.id), workflow=cd.identities, kinds=(Release.KIND,))
    if foreign:
        raise ApprovalRequired(
            f"{log.release} was opened by {foreign[0].actor or 'nobody'}, and the Workflow is {cd.identities.staging}",
            where=cd.log.table,
            next_step="trigger the Workflow for a new release",
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
            next_step="run approval_gate again, so that the release is asked for as it is now",
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
        log: a reading of the release that is asked about, without what does not count.
        request: what is asked.
    """
    if request.selection.full_refresh:
        return
    same = Deployed(request.target, request.sealed["project archive"])
    for release, state in log.history:
        if release.id == request.release.id or not state.of(request.target).is_in_place:
            continue
        deployed = [Deployed.read(dict(e.payload)) for e in log.of(release.id, kinds=(Deployed.KIND,))]
        here = [d for d in deployed if d.target == request.target]
        if here and here[-1] == same and _was_approved(cd, release.id, request):
            yield release


def _was_approved(cd: Cd, release_id: str, request: ApprovalRequest, *, seen: frozenset[str] = frozenset()) -> bool:
    """Whether somebody who might today has approved a release for the target, to be built as it is asked now.

    Args:
        cd: the context of the Workflow.
        release_id: the release, or one that lent it its approval.
        request: what is asked now.
        seen: the releases that were looked at on the way here.
    """
    log = examined(cd, cd.log.release(release_id))[0]
    decided = [(a, d) for a in log.all(ApprovalRequest) if (d := decision_on(log, a)) is not None]
    approved = [(a, d) for a, d in decided if a.target == request.target and d.outcome == "approved"]
    if not approved or approved[-1][0].deploy != request.deploy:
        return False
    if approved[-1][0].sealed.get(DBT_ENVIRONMENT) != request.sealed.get(DBT_ENVIRONMENT):
        return False  # another Python, or other files of the same versions: other SQL may come of it
    if not set(request.consent) <= set(approved[-1][1].consent):
        return False  # it would lose something that nobody has agreed to then
    asked, decision = approved[-1]
    if not same_person(_writer_of(log, asked), decision.actor):
        return False
    if decision.reuses is not None:
        lent = decision.reuses not in seen and same_person(decision.actor, request.job_identity)
        return lent and _was_approved(cd, decision.reuses, request, seen=seen | {release_id})
    try:
        require_decider(cd, decision.actor, group=request.approvers, involved=involved_in(asked), where=release_id)
    except ApprovalNotAllowed:
        return False
    return True


def _writer_of(log: LogReading, request: ApprovalRequest) -> str | None:
    """As whom the first decision on a request was written into the log."""
    decided = log.of(request.release.id, kinds=Decision.KINDS)
    return next((e.actor for e in decided if e.payload.get("seal") == request.seal), None)


def involved_in(request: ApprovalRequest) -> dict[str, str]:
    """Who may not decide on a request, each with why."""
    staging = {request.staging_identity: "has built staging"} if request.staging_identity else {}
    return staging | {
        request.job_identity: "is the job's own identity",
        request.release.requester: "asked for this release",
    }
