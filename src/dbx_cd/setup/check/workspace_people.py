"""Groups and their members, and whose groups somebody is in, as the workspace says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dbx_cd.patience import Patience, passing_answer
from dbx_cd.people import same_person
from dbx_cd.workspace_calls import calling

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient

EVERYBODY = frozenset({"users", "account users"})
"""The groups that everybody is in: of a workspace, and of an account (Databricks documentation on groups)."""


@dataclass(frozen=True)
class Member:
    """One member of a group."""

    name: str
    """How the workspace shows them."""
    is_group: bool = False
    """Whether it is a group itself, whose members are members too."""


def members_of(workspace: WorkspaceClient, group: str) -> tuple[Member, ...] | None:
    """The members of a group; None where this identity sees no such group.

    Raises:
        WorkflowError: groups cannot be looked up.
    """

    def asked() -> list[Any]:
        found = [g for g in workspace.groups.list(filter=f'displayName eq "{group}"') if g.display_name == group]
        return [workspace.groups.get(str(g.id)) for g in found]  # a list may leave members out

    with calling("groups cannot be looked up", right="the right to look up groups", where=group):
        groups = Patience().repeat(asked, passing=passing_answer)
    if not groups:
        return None
    return tuple(
        Member(str(member.display or member.value), "Groups/" in str(member.ref or ""))
        for one in groups
        for member in one.members or ()
    )


def groups_of(workspace: WorkspaceClient, name: str) -> frozenset[str] | None:
    """The groups that a user or service principal is in; None where the workspace does not say who that is.

    Raises:
        WorkflowError: they cannot be looked up.
    """

    def asked() -> list[Any]:
        users = [u for u in workspace.users.list(filter=f'userName eq "{name}"') if same_person(u.user_name, name)]
        principals = workspace.service_principals.list(filter=f'applicationId eq "{name}"')
        return users or [p for p in principals if same_person(p.application_id, name)]

    with calling("users cannot be looked up", right="the right to look up users and groups", where=name):
        found = Patience().repeat(asked, passing=passing_answer)
    if not found:
        return None
    return EVERYBODY | {str(group.display) for one in found for group in one.groups or ()}
