"""Who has which privilege on an object of Unity Catalog, as the platform says: inherited ones and owners included.

The REST API is called by its paths: what the SDK's own calls take has changed between the versions that runtimes have.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote as in_url

from dbx_cd.errors import WorkflowError
from dbx_cd.patience import Patience, passing_answer
from dbx_cd.workspace_calls import calling

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient

_API = "/api/2.1/unity-catalog"
_PLURAL = {"CATALOG": "catalogs", "SCHEMA": "schemas", "TABLE": "tables", "VOLUME": "volumes"}
# As the paths of the API have them (reference of "Get effective permissions").
_TYPES = {"CATALOG": "catalog", "SCHEMA": "schema", "TABLE": "table", "VOLUME": "volume"}
# What has another one in it (documentation of Unity Catalog privileges).
_ALL = "ALL PRIVILEGES"
_PAGES = 20


@dataclass(frozen=True)
class Rights:
    """What is known of the rights on one object."""

    kind: str
    """`CATALOG`, `SCHEMA`, `TABLE` or `VOLUME`."""
    name: str
    """Its full name."""
    owner: str | None
    """Who owns it; None where that is not said."""
    granted: dict[str, frozenset[str]]
    """The privileges, as SQL writes them, by principal."""
    of_all: bool
    """Whether it is those of everybody, and not only those of who was asked for."""

    def has(self, principals: Collection[str], privilege: str) -> bool:
        """Whether any of these principals has a privilege, or owns the object."""
        owned = {p for name in principals for p in self.granted.get(name, ())}
        return bool({privilege, _ALL} & owned) or self.owner in principals


def rights_on(workspace: WorkspaceClient, kind: str, name: str, *, principals: Iterable[str]) -> Rights:
    """Ask for the rights on an object: everybody's, or where that may not be seen, those of one identity.

    Args:
        workspace: the workspace.
        kind, name: the object.
        principals: the identity, and the groups that it is in: what a group has is not said of its members.

    Raises:
        WorkflowError: there is no such object, or neither may be seen.
    """
    owner = _owner(workspace, kind, name)
    try:
        return Rights(kind, name, owner, _granted(workspace, kind, name, None), of_all=True)
    except WorkflowError as exc:
        refused = exc
    granted: dict[str, frozenset[str]] | None = None
    for principal in principals:
        with suppress(WorkflowError):  # of a group that is not one of Unity Catalog, or that may not be asked for
            granted = {**(granted or {}), **_granted(workspace, kind, name, principal)}
    if granted is None:
        raise refused
    return Rights(kind, name, owner, granted, of_all=False)


def is_there(workspace: WorkspaceClient, kind: str, name: str) -> bool:
    """Whether an object is there; what may not be seen counts as not there."""
    try:
        _owner(workspace, kind, name)
    except WorkflowError:
        return False
    return True


def _owner(workspace: WorkspaceClient, kind: str, name: str) -> str | None:
    owner = _get(workspace, f"{_API}/{_PLURAL[kind]}/{in_url(name, safe='')}", {}, where=name).get("owner")
    return None if owner is None else str(owner)


def _granted(workspace: WorkspaceClient, kind: str, name: str, principal: str | None) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    query: dict[str, Any] = {"max_results": 0} | ({"principal": principal} if principal else {})
    for _ in range(_PAGES):
        path = f"{_API}/effective-permissions/{_TYPES[kind]}/{in_url(name, safe='')}"
        answer = _get(workspace, path, query, where=name)
        for line in answer.get("privilege_assignments") or ():
            owned = found.setdefault(str(line.get("principal")), set())
            owned |= {str(p.get("privilege")).replace("_", " ") for p in line.get("privileges") or ()}
        if not answer.get("next_page_token"):
            break
        query = {**query, "page_token": answer["next_page_token"]}
    return {who: frozenset(owned) for who, owned in found.items()}


def _get(workspace: WorkspaceClient, path: str, query: dict[str, Any], *, where: str) -> dict[str, Any]:
    with calling("its rights cannot be seen", right="BROWSE on it, or MANAGE for the rights of others", where=where):
        answer = Patience().repeat(lambda: workspace.api_client.do("GET", path, query=query), passing=passing_answer)
    return answer if isinstance(answer, dict) else {}
