"""Who may decide: one rule for all decisions."""

from __future__ import annotations

from collections.abc import Mapping

from dbx_cd.errors import ApprovalNotAllowed
from dbx_cd.release.context import Cd


def require_approver(cd: Cd, *, group: str, involved: Mapping[str, str], where: object) -> str:
    """Make sure that the person at work may decide, and say who it is: the client's user, never an argument.

    Args:
        cd: the context of the person.
        group: the group whose members may.
        involved: who may not even then, each with why: they would decide about what they did themselves.
        where: what is decided about.

    Raises:
        ApprovalNotAllowed: the person may not.
    """
    me = cd.workspace.current_user.me()
    person = str(me.user_name)
    if person in involved:
        raise ApprovalNotAllowed(
            f"{person} {involved[person]} and may not decide about it", where=where, next_step="ask another approver"
        )
    if group not in {member.display for member in me.groups or ()}:
        raise ApprovalNotAllowed(
            f"{person} is not in the group {group}",
            where=where,
            next_step="ask a member of the group, or an administrator to be added",
        )
    return person
