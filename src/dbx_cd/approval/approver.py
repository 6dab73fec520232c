"""Who may decide: one rule, asked when somebody decides and again when their decision is relied on."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from dbx_cd.errors import ApprovalNotAllowed, WorkflowError
from dbx_cd.patience import Patience, passing_answer
from dbx_cd.people import same_person
from dbx_cd.release.context import Cd
from dbx_cd.workspace_calls import calling, whoami

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
        WorkflowError: the workspace does not say who it is.
    """
    me = whoami(cd.workspace)
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
    if not may_be_member(cd, person, group=group):
        raise _not_a_member(person, group, where)


def may_be_member(cd: Cd, person: str, *, group: str) -> bool:
    """Whether somebody is in a group, or that cannot be asked here, which is logged.

    Looking up others is a right of its own on some workspaces; what one may see without it is not documented.
    """
    known = is_member(cd.workspace, person, group=group)
    if known is None:
        _log.warning("whether %s, who has decided, is in the group %s cannot be asked here", person, group)
    return known is not False


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


def is_member(workspace: WorkspaceClient, person: str, *, group: str) -> bool | None:
    """Whether a user or service principal is in a group; None where the platform does not say."""
    try:
        with calling("groups cannot be looked up", right="the right to look up users and groups", where=group):
            return Patience().repeat(lambda: _is_member(workspace, person, group), passing=passing_answer)
    except WorkflowError as exc:
        _log.info("%s", exc)
        return None


def _is_member(workspace: WorkspaceClient, person: str, group: str) -> bool | None:
    found = [u for u in workspace.users.list(filter=_equals("userName", person)) if same_person(u.user_name, person)]
    if not found:
        principals = workspace.service_principals.list(filter=_equals("applicationId", person))
        found = [p for p in principals if same_person(p.application_id, person)]  # type: ignore[misc]
    groups = {str(member.display) for one in found for member in one.groups or ()}
    if groups or not found:
        return group in groups
    # Told of no group at all, which need not mean that there is none: the group itself may say more.
    listed = [g for g in workspace.groups.list(filter=_equals("displayName", group)) if g.display_name == group]
    members = {member.value for one in listed for member in one.members or ()}
    return bool(members & {one.id for one in found}) if members else None


def _equals(attribute: str, value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'{attribute} eq "{escaped}"'


def _not_a_member(person: str, group: str, where: object) -> ApprovalNotAllowed:
    return ApprovalNotAllowed(
        f"{person} is not in the group {group}",
        where=where,
        next_step="ask a member of the group, or an administrator to be added",
    )
