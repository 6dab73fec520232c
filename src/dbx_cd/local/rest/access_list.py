"""The access control list of a job or of a submitted run: who owns it, and what others may do with it.

Levels and what they allow are those of the public documentation on access control of jobs: CAN_VIEW sees settings, runs
and results; CAN_MANAGE_RUN also starts, repairs and cancels runs; CAN_MANAGE and IS_OWNER also change, delete and share
the job. Exactly one user or service principal owns it, and never a group. Members of `admins` have CAN_MANAGE on
everything, which no list takes away.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from mashumaro import DataClassDictMixin

from dbx_cd.local.rest.api_error import does_not_exist, invalid_parameter
from dbx_cd.local.rest.identity import ADMINS, EVERYBODY, Directory, User

CAN_VIEW, CAN_MANAGE_RUN, CAN_MANAGE, IS_OWNER = "CAN_VIEW", "CAN_MANAGE_RUN", "CAN_MANAGE", "IS_OWNER"
LEVELS = (CAN_VIEW, CAN_MANAGE_RUN, CAN_MANAGE, IS_OWNER)
"""From the least to the most."""

_USER, _GROUP, _PRINCIPAL = "user_name", "group_name", "service_principal_name"
_KINDS = {_USER: "UserName", _GROUP: "GroupName", _PRINCIPAL: "ServicePrincipalName"}

Json = dict[str, Any]


@dataclass(frozen=True)
class Access(DataClassDictMixin):
    """One line of a list: one level for one user, group or service principal."""

    kind: str
    """`user_name`, `group_name` or `service_principal_name`, as the API has it."""
    name: str
    """Who."""
    level: str
    """One of `LEVELS`."""

    @property
    def principal(self) -> tuple[str, str]:
        """Who, whatever the level."""
        return self.kind, self.name

    def is_of(self, user: User) -> bool:
        """Whether it gives its level to this user."""
        if self.kind == _GROUP:
            return self.name in (*user.groups, EVERYBODY)
        return self.name == user.user_name


@dataclass(frozen=True)
class AccessList(DataClassDictMixin):
    """All lines for one job, or one submitted run."""

    lines: tuple[Access, ...]
    """The owner's first."""

    @classmethod
    def owned_by(cls, name: str, directory: Directory, others: Iterable[Access] = ()) -> AccessList:
        """The list of what somebody has made: they own it, and others may have been given something.

        Args:
            name: who made it; the others' lines may name another owner.
            directory: knows who is a service principal.
            others: further lines.
        """
        others = tuple(others)
        if any(line.level == IS_OWNER for line in others):
            return cls(_owner_first(others))
        kind = _PRINCIPAL if directory.is_service_principal(name) else _USER
        return cls((Access(kind, name, IS_OWNER), *(line for line in others if line.principal != (kind, name))))

    @property
    def owner(self) -> Access:
        """The one line that says who owns it."""
        return next(line for line in self.lines if line.level == IS_OWNER)

    def allows(self, user: User, level: str) -> bool:
        """Whether a user has this level, or a higher one, by name, by a group or as an administrator."""
        has = [line.level for line in self.lines if line.is_of(user)]
        if ADMINS in user.groups:
            has.append(CAN_MANAGE)
        wanted = LEVELS.index(level)
        # An owner may do nothing that CAN_MANAGE may not.
        wanted = min(wanted, LEVELS.index(CAN_MANAGE))
        return any(LEVELS.index(each) >= wanted for each in has)

    def replaced(self, lines: Sequence[Access]) -> AccessList:
        """What PUT makes of it: these lines and no others.

        Raises:
            ApiError: 400, there is not exactly one owner.
        """
        if not lines:  # "deletes all direct permissions" (reference of the API); a job still has its owner
            return AccessList((self.owner,))
        _require_one_owner(lines)
        return AccessList(_owner_first(lines))

    def updated(self, lines: Sequence[Access]) -> AccessList:
        """What PATCH makes of it: these lines added, or in place of their principals' own.

        A former owner is left with CAN_MANAGE (documentation on transferring ownership).

        Raises:
            ApiError: 400, there would not be exactly one owner.
        """
        merged = {line.principal: line for line in self.lines}
        if any(line.level == IS_OWNER and line.principal != self.owner.principal for line in lines):
            former = self.owner
            merged[former.principal] = Access(former.kind, former.name, CAN_MANAGE)
        merged.update({line.principal: line for line in lines})
        _require_one_owner(merged.values())
        return AccessList(_owner_first(merged.values()))

    def view(self, object_id: str, *, object_type: str = "job") -> Json:
        """The list as the Permissions API shows it, with what administrators inherit."""
        shown: list[Json] = []
        for line in self.lines:
            display = {} if line.kind == _GROUP else {"display_name": line.name}
            granted = [{"permission_level": line.level, "inherited": False}]
            shown.append({line.kind: line.name, **display, "all_permissions": granted})
        inherited = {"permission_level": CAN_MANAGE, "inherited": True, "inherited_from_object": ["/jobs/"]}
        of_admins = next((each for each in shown if each.get(_GROUP) == ADMINS), None)
        if of_admins is None:
            shown.append({_GROUP: ADMINS, "all_permissions": [inherited]})
        else:
            of_admins["all_permissions"].append(inherited)
        return {"object_id": object_id, "object_type": object_type, "access_control_list": shown}


def access_lines(given: Any, directory: Directory) -> list[Access]:
    """The lines of an `access_control_list` in a request.

    Args:
        given: what the request has; None is no line.
        directory: whom the lines may name.

    Raises:
        ApiError: 400 for what is malformed, 404 for a principal that does not exist.
    """
    if not isinstance(given, list | None):
        raise invalid_parameter("access_control_list must be a list")
    lines = [_line(each, directory) for each in given or ()]
    if len({line.principal for line in lines}) != len(lines):
        raise invalid_parameter("access_control_list names a principal more than once")
    return lines


def _line(given: Any, directory: Directory) -> Access:
    if not isinstance(given, dict):
        raise invalid_parameter("each entry of access_control_list must be an object")
    named = [kind for kind in _KINDS if given.get(kind)]
    if len(named) != 1:
        raise invalid_parameter(f"Principal name not defined: give exactly one of {', '.join(_KINDS)}")
    unknown = sorted(set(given) - {*_KINDS, "permission_level"})
    if unknown:
        raise invalid_parameter(f"access_control_list: unknown field '{unknown[0]}'")
    kind, level = named[0], given.get("permission_level")
    if level not in LEVELS:
        raise invalid_parameter(f"access_control_list: '{level}' is none of the levels of a job: {', '.join(LEVELS)}")
    name = str(given[kind])
    if not directory.has(name, group=kind == _GROUP, service_principal=kind == _PRINCIPAL):
        raise does_not_exist(f"Principal: {_KINDS[kind]}({name}) does not exist")
    if kind == _GROUP and level == IS_OWNER:
        raise invalid_parameter(f"A group ({name}) cannot own a job.")
    return Access(kind, name, level)


def _require_one_owner(lines: Iterable[Access]) -> None:
    if sum(line.level == IS_OWNER for line in lines) != 1:
        raise invalid_parameter("The job must have exactly one owner.")


def _owner_first(lines: Iterable[Access]) -> tuple[Access, ...]:
    return tuple(sorted(lines, key=lambda line: line.level != IS_OWNER))
