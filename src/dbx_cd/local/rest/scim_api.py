"""SCIM: who am I, users, service principals and groups (read only)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from flask import Blueprint, g, request

from dbx_cd.local.rest.api_error import does_not_exist, not_implemented
from dbx_cd.local.rest.identity import Directory, User

_FILTER = re.compile(r'(\w+)\s+eq\s+"?([^"]*)"?', re.IGNORECASE)
_SCHEMA = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
Resource = dict[str, Any]


def scim_api(directory: Directory) -> Blueprint:
    """The SCIM endpoints below ``/api/2.0/preview/scim/v2`` over a directory of users."""
    api = Blueprint("scim", __name__, url_prefix="/api/2.0/preview/scim/v2")
    people = [user for user in directory.users if not user.service_principal]
    principals = [user for user in directory.users if user.service_principal]

    def as_user(user: User) -> Resource:
        return _user(user, directory)

    def as_group(name: str) -> Resource:
        return _group(name, directory)

    @api.get("/Me")
    def me() -> Resource:
        return as_user(g.user)

    _serve(api, "Users", lambda: map(as_user, people))
    _serve(api, "ServicePrincipals", lambda: map(as_user, principals))
    _serve(api, "Groups", lambda: map(as_group, directory.groups))
    return api


def _serve(api: Blueprint, kind: str, resources: Callable[[], Iterable[Resource]]) -> None:
    """Routes to list and to get resources of one kind."""

    @api.get(f"/{kind}", endpoint=f"list_{kind}")
    def list_them() -> Resource:
        found = _filtered(list(resources()), request.args.get("filter"))
        start = max(1, request.args.get("startIndex", 1, int))
        page = found[start - 1 :][: request.args.get("count", 100, int)]
        return {
            "schemas": [_SCHEMA],
            "totalResults": len(found),
            "startIndex": start,
            "itemsPerPage": len(page),
            "Resources": page,
        }

    @api.get(f"/{kind}/<resource_id>", endpoint=f"get_{kind}")
    def get_one(resource_id: str) -> Resource:
        for resource in resources():
            if resource["id"] == resource_id:
                return resource
        raise does_not_exist(f"no resource of type {kind} with id {resource_id}")


def _filtered(resources: list[Resource], condition: str | None) -> list[Resource]:
    if not condition:
        return resources
    match = _FILTER.fullmatch(condition.strip())
    if match is None or match.group(1) not in ("displayName", "userName", "id", "applicationId"):
        raise not_implemented(f'the SCIM filter {condition!r}; use: displayName eq "..." or userName eq "..."')
    attribute, value = match.groups()
    return [resource for resource in resources if str(resource.get(attribute, "")).lower() == value.lower()]


def _user(user: User, directory: Directory) -> Resource:
    resource: Resource = {
        "id": directory.id_of(user),
        "userName": user.user_name,
        "displayName": user.user_name,
        "active": True,
        "groups": [{"display": name, "value": directory.group_id(name)} for name in user.groups],
    }
    if user.service_principal:
        resource["applicationId"] = user.user_name
    else:
        resource["emails"] = [{"value": user.user_name, "type": "work", "primary": True}]
    return resource


def _group(name: str, directory: Directory) -> Resource:
    members = [user for user in directory.users if name in user.groups]
    return {
        "id": directory.group_id(name),
        "displayName": name,
        "members": [{"display": user.user_name, "value": directory.id_of(user)} for user in members],
    }
