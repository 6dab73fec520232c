"""The part of Unity Catalog's REST API that says what one may do with a volume; tasks ask it for their mount."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, g, request

from dbx_cd.local.rest.api_error import invalid_parameter, not_found, not_implemented, permission_denied
from dbx_cd.local.rest.identity import ADMINS, Directory
from dbx_cd.local.rest.volume_access import READ, WRITE, VolumeAccess, VolumeName

Json = dict[str, Any]


def volumes_api(volumes: VolumeAccess, directory: Directory) -> Blueprint:
    """The endpoint below ``/api/2.1/unity-catalog``."""
    api = Blueprint("unity-catalog", __name__, url_prefix="/api/2.1/unity-catalog")

    @api.get("/effective-permissions/<kind>/<name>")
    def effective(kind: str, name: str) -> Json:
        """What one principal may do in the end: privileges that cannot be used, for want of USE SCHEMA say, are not."""
        if kind.lower() != "volume":
            raise not_implemented(f"effective permissions of a {kind}; it has those of a volume")
        parts = name.split(".")
        if len(parts) != 3:
            raise invalid_parameter(f"'{name}' is not the full name of a volume")
        volume = VolumeName.of(parts)
        if not volumes.exists(volume):
            raise not_found(f"Volume '{volume}' does not exist.")
        principal = request.args.get("principal") or g.user.user_name
        if principal != g.user.user_name and ADMINS not in g.user.groups:
            raise permission_denied(f"User {g.user.user_name} may not see what {principal} may do with '{volume}'.")
        user = directory.user(principal)
        held = [{"privilege": p.replace(" ", "_")} for p in (READ, WRITE) if volumes.denial(user, p, volume) is None]
        return {"privilege_assignments": [{"principal": principal, "privileges": held}] if held else []}

    return api
