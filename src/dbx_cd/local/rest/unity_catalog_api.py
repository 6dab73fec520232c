"""Unity Catalog as `grants` and the objects' own calls of the SDK ask it: who owns something, and who has which right.

Only to look: what is granted and made here is granted and made in SQL.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from flask import Blueprint, g, request

from dbx_cd.local.rest.api_error import does_not_exist, invalid_parameter, permission_denied

if TYPE_CHECKING:
    from dbx_cd.local.rest.identity import User

Json = dict[str, Any]

_KINDS = {"catalog": "CATALOG", "schema": "SCHEMA", "table": "TABLE", "volume": "VOLUME", "function": "FUNCTION"}
_PLURALS = {f"{kind}s": kind for kind in _KINDS}


class NotSeen(Exception):
    """There is no such object, or this user is told of none."""


class NotAllowed(Exception):
    """This user may not see the rights of others on it."""


class Securables(Protocol):
    """What knows objects, owners and rights."""

    def owner(self, user: User, kind: str, name: Sequence[str]) -> str | None:
        """Who owns an object, as far as a user is told of it; raises `NotSeen`."""

    def grants(self, user: User, kind: str, name: Sequence[str], *, principal: str | None) -> list[tuple[str, ...]]:
        """Principal, privilege, kind and name of each grant on an object and on what it lies in.

        Raises `NotSeen` or `NotAllowed`.
        """


def unity_catalog_api(securables: Securables) -> Blueprint:
    """Endpoints below ``/api/2.1/unity-catalog``, those that only look."""
    api = Blueprint("unity catalog", __name__, url_prefix="/api/2.1/unity-catalog")

    @api.get("/effective-permissions/<kind>/<name>")
    def effective(kind: str, name: str) -> Json:
        return {"privilege_assignments": _assignments(_rows(kind, name), kind, name)}

    @api.get("/permissions/<kind>/<name>")
    def direct(kind: str, name: str) -> Json:
        own = [row for row in _rows(kind, name) if (row[2], row[3].lower()) == (_KINDS[kind.lower()], name.lower())]
        owned: dict[str, list[str]] = {}
        for principal, privilege, *_ in own:
            owned.setdefault(principal, []).append(_of_the_api(privilege))
        return {"privilege_assignments": [{"principal": who, "privileges": all_} for who, all_ in owned.items()]}

    @api.get("/<any(catalogs, schemas, tables, volumes):plural>/<name>")
    def get(plural: str, name: str) -> Json:
        kind = _PLURALS[plural]
        parts = name.split(".")
        try:
            owner = securables.owner(g.user, _KINDS[kind], parts)
        except NotSeen as exc:
            raise does_not_exist(f"{kind.capitalize()} '{name}' does not exist.") from exc
        return {"name": parts[-1], "full_name": name, "owner": owner or "System user"}

    def _rows(kind: str, name: str) -> list[tuple[str, ...]]:
        known = _KINDS.get(kind.lower())
        if known is None:
            raise invalid_parameter(f"'{kind}' is no type of a securable; there are {', '.join(_KINDS)}")
        try:
            return securables.grants(g.user, known, name.split("."), principal=request.args.get("principal") or None)
        except NotSeen as exc:
            raise does_not_exist(f"{kind.capitalize()} '{name}' does not exist.") from exc
        except NotAllowed as exc:
            raise permission_denied(str(exc)) from exc

    return api


def _assignments(rows: list[tuple[str, ...]], kind: str, name: str) -> list[Json]:
    """Each principal's privileges, each with where it comes from, as the reference of the API has it."""
    owned: dict[str, list[Json]] = {}
    for principal, privilege, on_kind, on_name in rows:
        entry: Json = {"privilege": _of_the_api(privilege)}
        if (on_kind, on_name.lower()) != (_KINDS[kind.lower()], name.lower()):
            entry |= {"inherited_from_type": on_kind, "inherited_from_name": on_name}
        owned.setdefault(principal, []).append(entry)
    return [{"principal": who, "privileges": privileges} for who, privileges in owned.items()]


def _of_the_api(privilege: str) -> str:
    return privilege.upper().replace(" ", "_")
