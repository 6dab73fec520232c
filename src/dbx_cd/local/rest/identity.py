"""Who may call the workspace: users, service principals and their tokens."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dbx_cd.local.rest.api_error import invalid_parameter, permission_denied, unauthenticated

ADMINS = "admins"
EVERYBODY = "users"
"""The group that every user and service principal of a workspace is in (Databricks documentation on groups)."""
_FIRST_USER_ID = 1
_FIRST_GROUP_ID = 1_000_000


@dataclass(frozen=True)
class User:
    """A user or service principal of the workspace, identified by a token."""

    user_name: str
    token: str = field(repr=False)
    groups: tuple[str, ...] = ()
    service_principal: bool = False


class Directory:
    """All users of a workspace and the groups they name.

    Args:
        users: everybody, each with a token.
        service_principal_users: who has the role Service Principal User on a service principal, users or groups by the
            principal's name. Only such may run something as that principal.
    """

    def __init__(
        self, users: Sequence[User], *, service_principal_users: Mapping[str, Sequence[str]] | None = None
    ) -> None:
        self.users = tuple(users)
        self._service_principal_users = dict(service_principal_users or {})
        names = [user.user_name for user in users]
        if len(set(names)) != len(names) or len({user.token for user in users}) != len(users):
            raise ValueError("users of a workspace need distinct names and distinct tokens")
        self._issued: dict[str, User] = {}
        self.groups = tuple(sorted({ADMINS, *(group for user in users for group in user.groups)}))

    def authenticate(self, authorization: str | None) -> User:
        """The user whose token an ``Authorization`` header carries.

        Raises:
            ApiError: 401 without a bearer token, 403 with an unknown one.
        """
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise unauthenticated("Credential was not sent or was of an unsupported type for this API.")
        for known, user in (*((user.token, user) for user in self.users), *list(self._issued.items())):
            if hmac.compare_digest(known.encode(), token.strip().encode()):
                return user
        raise permission_denied("Invalid access token.")

    def issue(self, user_name: str) -> str:
        """One more token of a user, until `revoke`."""
        token = secrets.token_urlsafe(24)
        self._issued[token] = self.user(user_name)
        return token

    def revoke(self, token: str) -> None:
        """Take back a token that was issued; its requests are refused from now on."""
        self._issued.pop(token, None)

    def name_of(self, token: str) -> str | None:
        """Whose token this is; None for one that is nobody's."""
        known = {**{user.token: user for user in self.users}, **self._issued}
        return known[token].user_name if token in known else None

    def user(self, user_name: str) -> User:
        """The user of that name."""
        for user in self.users:
            if user.user_name == user_name:
                return user
        raise invalid_parameter(f"no user or service principal named '{user_name}' in this workspace")

    def is_service_principal(self, name: str) -> bool:
        """Whether a service principal has that name; false for one who is gone."""
        return any(user.user_name == name and user.service_principal for user in self.users)

    def has(self, name: str, *, group: bool = False, service_principal: bool = False) -> bool:
        """Whether there is a user, group or service principal of that name."""
        if group:
            return name in (*self.groups, EVERYBODY)
        return any(user.user_name == name and user.service_principal == service_principal for user in self.users)

    def require_run_as(self, user: User, name: str) -> None:
        """Refuse to let a user run something as somebody else without the right to.

        Oneself is always allowed. Administrators may take anybody, others a service principal on which they have the
        role Service Principal User (reference of the Jobs API, `run_as`).

        Raises:
            ApiError: 403 naming whom, and what is missing.
        """
        if name == user.user_name or ADMINS in user.groups:
            return
        if not self.is_service_principal(name):
            raise permission_denied(
                f"User {user.user_name} cannot set run_as to {name}: only administrators may name another user."
            )
        allowed = self._service_principal_users.get(name, ())
        if not {user.user_name, *user.groups, EVERYBODY} & set(allowed):
            raise permission_denied(
                f"User {user.user_name} cannot set run_as to the service principal {name}: the role Service Principal "
                f"User (servicePrincipal.user) on it is needed."
            )

    def run_as(self, setting: dict[str, Any] | None, default: str) -> str:
        """The name under which a run's tasks work: the ``run_as`` setting, else ``default``."""
        for key, service_principal in (("user_name", False), ("service_principal_name", True)):
            name = (setting or {}).get(key)
            if name:
                if self.user(name).service_principal != service_principal:
                    raise invalid_parameter(f"run_as.{key}: '{name}' is not of that kind")
                return str(name)
        if setting:
            raise invalid_parameter("run_as needs user_name or service_principal_name")
        return default

    def id_of(self, user: User) -> str:
        """The user's id in SCIM answers."""
        return str(_FIRST_USER_ID + self.users.index(user))

    def group_id(self, name: str) -> str:
        """The group's id in SCIM answers."""
        return str(_FIRST_GROUP_ID + self.groups.index(name))
