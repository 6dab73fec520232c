"""Who may decide: one rule, asked when somebody decides and again when their decision is relied on."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from dbx_cd.errors import ApprovalNotAllowed
from dbx_cd.people import same_person
from dbx_cd.release.context import Cd

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient

_log = logging.getLogger(__name__)


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
    refuse_involved(person, involved=involved, where=where)
    if group not in {member.display for member in me.groups or ()}:
        raise _not_a_member(person, group, where)
    return person


def require_decider(cd: Cd, person: str, *, group: str, involved: Mapping[str, str], where: object) -> None:
    """Make sure that somebody whose decision is in the log might decide: whoever may write there can name anybody.

    Args:
        cd: the context of the Workflow.
        person: who has decided.
        group: the group whose members may.
        involved: who may not even then, each with why.
        where: what was decided about.

    Raises:
        ApprovalNotAllowed: they might not.
    """
    refuse_involved(person, involved=involved, where=where)
    groups = _groups_of(cd.workspace, person)
    if groups is None:
        _log.warning("whether %s, who has decided, is in the group %s cannot be asked here", person, group)
    elif group not in groups:
        raise _not_a_member(person, group, where)


def refuse_involved(person: str, *, involved: Mapping[str, str], where: object) -> None:
    """Refuse whoever would decide about what they did themselves.

    Raises:
        ApprovalNotAllowed: the person is one of them.
    """
    for name, why in involved.items():
        if same_person(person, name):
            raise ApprovalNotAllowed(
                f"{person} {why} and may not decide about it", where=where, next_step="ask another approver"
            )


def _groups_of(workspace: WorkspaceClient, person: str) -> set[str] | None:
    """The groups of a user, as that user would be told them; None where the platform does not say.

    Looking up others is a right of its own on some workspaces; what one may see without it is not documented.
    """
    from databricks.sdk.errors.base import DatabricksError

    quoted = person.replace("\\", "\\\\").replace('"', '\\"')
    try:
        found = list(workspace.users.list(filter=f'userName eq "{quoted}"'))
    except DatabricksError as exc:
        _log.info("users cannot be looked up: %s", exc)
        return None
    users = [user for user in found if same_person(user.user_name, person)]
    if found and all(user.groups is None for user in users):
        return None
    return {str(member.display) for user in users for member in user.groups or ()}


def _not_a_member(person: str, group: str, where: object) -> ApprovalNotAllowed:
    return ApprovalNotAllowed(
        f"{person} is not in the group {group}",
        where=where,
        next_step="ask a member of the group, or an administrator to be added",
    )
