"""The Permissions API for jobs: who may do what, as ``permissions`` and ``jobs`` of the SDK ask and say it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flask import Blueprint, g

from dbx_cd.local.rest.access_list import CAN_MANAGE, CAN_MANAGE_RUN, CAN_VIEW, IS_OWNER, AccessList, access_lines
from dbx_cd.local.rest.api_error import invalid_parameter, not_implemented
from dbx_cd.local.rest.identity import Directory
from dbx_cd.local.rest.job_rights import JobRights
from dbx_cd.local.rest.job_runs import Job, WorkspaceStore
from dbx_cd.local.rest.jobs_api import body, find_job, require_ownership_to_give

Json = dict[str, Any]

_DESCRIPTIONS = {
    CAN_MANAGE: "Can view, run, edit, delete and share the job",
    CAN_MANAGE_RUN: "Can view the job, start, repair and cancel its runs",
    CAN_VIEW: "Can view the job, its runs and their results",
    IS_OWNER: "Is the owner of the job, with all that Can Manage allows",
}


def permissions_api(store: WorkspaceStore, directory: Directory, rights: JobRights) -> Blueprint:
    """Endpoints below ``/api/2.0/permissions``."""
    api = Blueprint("permissions", __name__, url_prefix="/api/2.0/permissions")

    def found(kind: str, object_id: str, level: str) -> Job:
        if kind != "jobs":
            raise not_implemented(f"permissions of {kind}; it has those of jobs")
        if not object_id.isdecimal():
            raise invalid_parameter(f"{object_id} is not a valid id of a job")
        job = find_job(store, int(object_id))
        rights.require(g.user, level, job)
        return job

    def saved(job: Job, access: AccessList) -> Json:
        require_ownership_to_give(g.user, access, owner=rights.of_job(job).owner.name)
        store.save_job(replace(job, access=access))
        return access.view(f"/jobs/{job.job_id}")

    @api.get("/<kind>/<object_id>")
    def get(kind: str, object_id: str) -> Json:
        job = found(kind, object_id, CAN_VIEW)
        return rights.of_job(job).view(f"/jobs/{job.job_id}")

    @api.put("/<kind>/<object_id>")
    def put(kind: str, object_id: str) -> Json:
        with store.lock:
            job = found(kind, object_id, CAN_MANAGE)
            lines = access_lines(body().get("access_control_list"), directory)
            return saved(job, rights.of_job(job).replaced(lines))

    @api.patch("/<kind>/<object_id>")
    def patch(kind: str, object_id: str) -> Json:
        with store.lock:
            job = found(kind, object_id, CAN_MANAGE)
            lines = access_lines(body().get("access_control_list"), directory)
            return saved(job, rights.of_job(job).updated(lines))

    @api.get("/<kind>/<object_id>/permissionLevels")
    def levels(kind: str, object_id: str) -> Json:
        found(kind, object_id, CAN_VIEW)
        return {
            "permission_levels": [
                {"permission_level": level, "description": text} for level, text in _DESCRIPTIONS.items()
            ]
        }

    return api
