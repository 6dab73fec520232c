"""An approver's word on alterations of the release log: without it the gate would stay shut for as long as the log
keeps its history.
"""

from __future__ import annotations

from dbx_cd.approval.approver import may_be_member, require_approver
from dbx_cd.approval.request import ApprovalRequest
from dbx_cd.errors import ApprovalStale, DbxCdError, ReleaseError
from dbx_cd.release.alteration import AlterationAcknowledged
from dbx_cd.release.context import Cd


def acknowledge_alteration(cd: Cd, *, seal: str, reason: str) -> AlterationAcknowledged:
    """Go on with a log that was altered, knowing how. Exactly the commits that the seal covers are acknowledged.

    It says that an approver has looked at them, not that the log is whole: what a DELETE took away stays away. Whatever
    alters the log later shuts the gate again, and every request from now on shows what was acknowledged.

    Args:
        cd: the context of the person who decides.
        seal: the seal of `cd.log.tampering()` as the person has read it.
        reason: what happened; for the log, and for those who approve later.

    Raises:
        ApprovalNotAllowed: the person is not in the group of approvers, is the job itself, or has altered the log.
        ApprovalStale: the seal is not that of the alterations there are now.
        ReleaseError: there is nothing to acknowledge; or what was written does not count.
    """
    if not reason.strip():
        raise DbxCdError("an acknowledgement needs a reason", where=cd.log.table, next_step="say what happened")
    group = cd.config.approvers

    def may_acknowledge(person: str) -> bool:
        return may_be_member(cd, person, group=group)

    altered = cd.log.tampering(may_acknowledge=may_acknowledge)
    if not altered:
        raise ReleaseError(
            "nothing is left to acknowledge",
            where=cd.log.table,
            next_step="go on: the gate is open",
        )
    newest = cd.log.events(kinds=(ApprovalRequest.KIND,))[-1:]
    involved = {str(request.payload.get("job_identity")): "is the job's own identity" for request in newest}
    involved |= {commit.user: "altered the log" for commit in altered if commit.user}
    person = require_approver(cd, group=group, involved=involved, where=cd.log.table)
    if seal != altered.seal:
        raise ApprovalStale(
            "the seal is not that of the alterations there are now",
            changed=("alterations",),
            where=cd.log.table,
            next_step="read cd.log.tampering() again",
        )
    record = altered.acknowledge(actor=person, reason=reason)
    cd.log.append_acknowledgement(record)
    if {commit.version for commit in cd.log.tampering(may_acknowledge=may_acknowledge)} & {
        commit.version for commit in altered
    }:
        raise ReleaseError(
            f"{person} acknowledged, but somebody else wrote that into the log, as the platform says",
            where=cd.log.table,
            next_step="acknowledge in a notebook of your own",
        )
    return record
