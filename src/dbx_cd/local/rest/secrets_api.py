"""The Secrets API, as far as `dbutils.secrets` and whoever sets a scope up ask it.

Scopes, secrets and the access lists of scopes; who wants one gone deletes it by hand, in the file. Values are in clear,
in a file that only its owner reads: this is a workspace of one person's machine.
"""

from __future__ import annotations

import base64
import json
import threading
from pathlib import Path
from typing import Any

from flask import Blueprint, g, request

from dbx_cd.local.rest.api_error import ApiError, does_not_exist, invalid_parameter, permission_denied
from dbx_cd.local.rest.identity import ADMINS, EVERYBODY, User
from dbx_cd.local.rest.jobs_api import body

FILE_NAME = "secrets.json"
READ, WRITE, MANAGE = LEVELS = ("READ", "WRITE", "MANAGE")
Json = dict[str, Any]


class SecretScopes:
    """Scopes of secrets: those in the file, and those that are lent until the workspace ends.

    Args:
        state_dir: the folder of the file.
    """

    def __init__(self, state_dir: Path) -> None:
        self._file = state_dir / FILE_NAME
        self._lock = threading.Lock()
        self._lent: dict[str, Json] = {}

    def lend(self, scope: str, key: str, value: str, *, to: str) -> None:
        """Have a secret in no file; one whom it is lent to may read it."""
        with self._lock:
            lent = self._lent.setdefault(scope, {"acls": {}, "secrets": {}})
            lent["acls"][to] = READ
            lent["secrets"][key] = value

    def create(self, scope: str, *, manager: str) -> None:
        """Make a scope that one user, or all of a group, may manage."""
        with self._lock:
            kept = self._kept()
            if scope in kept:
                raise ApiError(400, "RESOURCE_ALREADY_EXISTS", f"Scope {scope} already exists!")
            self._keep({**kept, scope: {"acls": {manager: MANAGE}, "secrets": {}}})

    def put(self, scope: str, key: str, value: str, *, user: User) -> None:
        """Set a secret."""
        with self._lock:
            kept = self._kept()
            self._require(kept, scope, WRITE, user)
            kept[scope]["secrets"][key] = value
            self._keep(kept)

    def grant(self, scope: str, principal: str, level: str, *, user: User) -> None:
        """Let somebody do something in a scope."""
        if level not in LEVELS:
            raise invalid_parameter(f"{level!r} is not one of {', '.join(LEVELS)}")
        with self._lock:
            kept = self._kept()
            self._require(kept, scope, MANAGE, user)
            kept[scope]["acls"][principal] = level
            self._keep(kept)

    def get(self, scope: str, key: str, *, user: User) -> str:
        """A secret."""
        with self._lock:
            found = self._all()
        self._require(found, scope, READ, user)
        if key not in found[scope]["secrets"]:
            raise does_not_exist(f"Secret does not exist with scope: {scope} and key: {key}")
        return str(found[scope]["secrets"][key])

    def keys(self, scope: str, *, user: User) -> list[str]:
        """The keys of a scope."""
        with self._lock:
            found = self._all()
        self._require(found, scope, READ, user)
        return sorted(found[scope]["secrets"])

    def names(self) -> list[str]:
        """All scopes."""
        with self._lock:
            return sorted(self._all())

    def _require(self, found: dict[str, Json], scope: str, level: str, user: User) -> None:
        if scope not in found:
            raise does_not_exist(f"Scope {scope} does not exist!")
        theirs = {user.user_name, *user.groups, EVERYBODY}
        granted = [LEVELS.index(given) for name, given in found[scope]["acls"].items() if name in theirs]
        if ADMINS not in theirs and max(granted, default=-1) < LEVELS.index(level):
            raise permission_denied(f"User {user.user_name} does not have {level} permission on scope {scope}")

    def _all(self) -> dict[str, Json]:
        found = self._kept()
        for scope, lent in self._lent.items():
            kept = found.setdefault(scope, {"acls": {}, "secrets": {}})
            found[scope] = {part: {**kept[part], **lent[part]} for part in ("acls", "secrets")}
        return found

    def _kept(self) -> dict[str, Json]:
        try:
            kept: dict[str, Json] = json.loads(self._file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        return kept

    def _keep(self, scopes: dict[str, Json]) -> None:
        fresh = self._file.with_suffix(".part")
        fresh.unlink(missing_ok=True)
        fresh.touch(mode=0o600)
        fresh.write_text(json.dumps(scopes), encoding="utf-8")
        fresh.replace(self._file)


def secrets_api(scopes: SecretScopes) -> Blueprint:
    """Endpoints below ``/api/2.0/secrets``."""
    api = Blueprint("secrets", __name__, url_prefix="/api/2.0/secrets")

    @api.post("/scopes/create")
    def create() -> Json:
        asked = body()
        manager = EVERYBODY if asked.get("initial_manage_principal") == EVERYBODY else g.user.user_name
        scopes.create(_text(asked, "scope"), manager=manager)
        return {}

    @api.get("/scopes/list")
    def listed() -> Json:
        return {"scopes": [{"name": name, "backend_type": "DATABRICKS"} for name in scopes.names()]}

    @api.post("/put")
    def put() -> Json:
        asked = body()
        given = asked.get("string_value")
        value = base64.b64decode(asked.get("bytes_value") or "").decode() if given is None else str(given)
        scopes.put(_text(asked, "scope"), _text(asked, "key"), value, user=g.user)
        return {}

    @api.post("/acls/put")
    def grant() -> Json:
        asked = body()
        principal, level = _text(asked, "principal"), _text(asked, "permission")
        scopes.grant(_text(asked, "scope"), principal, level, user=g.user)
        return {}

    @api.get("/get")
    def get() -> Json:
        key = request.args.get("key", "")
        value = scopes.get(request.args.get("scope", ""), key, user=g.user)
        return {"key": key, "value": base64.b64encode(value.encode()).decode()}

    @api.get("/list")
    def keys() -> Json:
        return {"secrets": [{"key": key} for key in scopes.keys(request.args.get("scope", ""), user=g.user)]}

    return api


def _text(asked: Json, name: str) -> str:
    value = asked.get(name)
    if not isinstance(value, str) or not value:
        raise invalid_parameter(f"{name} is missing")
    return value
