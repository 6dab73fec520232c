"""The Jobs API (2.2, and 2.1 for the same calls): saved jobs. Runs are in ``runs_api``, rights in ``job_rights``."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flask import Blueprint, g, request

from dbx_cd.local.rest.access_list import CAN_MANAGE, CAN_VIEW, IS_OWNER, AccessList, access_lines
from dbx_cd.local.rest.api_error import does_not_exist, invalid_parameter, not_implemented, permission_denied
from dbx_cd.local.rest.identity import ADMINS, Directory, User
from dbx_cd.local.rest.job_rights import JobRights
from dbx_cd.local.rest.job_runs import Job, WorkspaceStore, now_ms
from dbx_cd.local.rest.job_settings import check_job_settings
from dbx_cd.local.rest.run_view import Json, job_view

_PAGE = 20
_DEFAULTS = {"format": "MULTI_TASK", "max_concurrent_runs": 1}
_KEYED_LISTS = {"tasks": "task_key", "job_clusters": "job_cluster_key", "environments": "environment_key"}


def jobs_api(store: WorkspaceStore, directory: Directory, rights: JobRights) -> Blueprint:
    """Endpoints of saved jobs."""
    api = Blueprint("jobs", __name__)

    def view(job: Job) -> Json:
        return job_view(job, run_as=directory.run_as(job.settings.get("run_as"), job.creator))

    def checked(settings: Json, creator: str, before: Job | None = None) -> Json:
        settings = {**_DEFAULTS, **settings}
        check_job_settings(settings)
        rights.require_run_as(g.user, before=before, settings=settings, creator=creator)
        return settings

    def changeable(given: Json) -> Job:
        job = find_job(store, required_id(given, "job_id"))
        rights.require(g.user, CAN_MANAGE, job)
        return job

    @api.post("/create")
    def create() -> Json:
        settings = body()
        creator = g.user.user_name
        access = AccessList.owned_by(
            creator, directory, access_lines(settings.pop("access_control_list", None), directory)
        )
        require_ownership_to_give(g.user, access, owner=creator)
        job = Job(store.next_id(), creator, now_ms(), checked(settings, creator), access)
        store.save_job(job)
        return {"job_id": job.job_id}

    @api.get("/get")
    def get() -> Json:
        job = find_job(store, required_id(request.args, "job_id"))
        rights.require(g.user, CAN_VIEW, job)
        return view(job)

    @api.get("/list")
    def list_jobs() -> Json:
        name, expand = request.args.get("name"), request.args.get("expand_tasks") == "true"
        jobs = rights.visible(g.user, list(store.jobs.values()), rights.of_job)
        if name:
            jobs = [job for job in jobs if job.settings.get("name", "").lower() == name.lower()]
        views = [view(job) for job in reversed(jobs)]
        if not expand:
            for each in views:
                each["settings"] = {key: value for key, value in each["settings"].items() if key not in _KEYED_LISTS}
        return paged(views, "jobs")

    @api.post("/reset")
    def reset() -> Json:
        given = body()
        with store.lock:
            job = changeable(given)
            store.save_job(replace(job, settings=checked(given.get("new_settings") or {}, job.creator, job)))
        return {}

    @api.post("/update")
    def update() -> Json:
        given = body()
        with store.lock:
            job = changeable(given)
            store.save_job(replace(job, settings=checked(_updated(job.settings, given), job.creator, job)))
        return {}

    @api.post("/delete")
    def delete() -> Json:
        store.delete_job(changeable(body()).job_id)
        return {}

    return api


def require_ownership_to_give(user: User, access: AccessList, *, owner: str) -> None:
    """Refuse to make somebody else the owner: only administrators may (documentation on access control of jobs).

    Raises:
        ApiError: 403.
    """
    if access.owner.name != owner and ADMINS not in user.groups:
        raise permission_denied(
            f"User {user.user_name} cannot make {access.owner.name} the owner: {IS_OWNER} is given by administrators."
        )


def _updated(settings: Json, given: Json) -> Json:
    """Top-level fields replace; entries of keyed lists are added or replaced by key (documented)."""
    result = dict(settings)
    for name, value in (given.get("new_settings") or {}).items():
        key = _KEYED_LISTS.get(name)
        if key is None:
            result[name] = value
        else:
            merged = {entry.get(key): entry for entry in result.get(name) or []}
            merged.update({entry.get(key): entry for entry in value})
            result[name] = list(merged.values())
    for path in given.get("fields_to_remove") or []:
        name, _, entry = path.partition("/")
        if name not in result:
            continue
        if not entry:
            del result[name]
        elif name in _KEYED_LISTS:
            result[name] = [each for each in result[name] if each.get(_KEYED_LISTS[name]) != entry]
        else:
            raise not_implemented(f"'{path}' in fields_to_remove")
    return result


def find_job(store: WorkspaceStore, job_id: int) -> Job:
    """The job of that id, or 404."""
    job = store.jobs.get(job_id)
    if job is None:
        raise does_not_exist(f"Job {job_id} does not exist.")
    return job


def body() -> Json:
    """The request's JSON object."""
    content = request.get_json(silent=True)
    if not isinstance(content, dict):
        raise invalid_parameter("the request body must be a JSON object")
    return content


def required_id(given: Any, name: str) -> int:
    """An integer id from a body or a query."""
    try:
        return int(given.get(name))
    except (TypeError, ValueError):
        raise invalid_parameter(f"{name} is required and must be an integer") from None


def paged(items: list[Json], name: str) -> Json:
    """One page of a list; the page token is the offset of the next page."""
    given = request.args.get("page_token") or request.args.get("offset") or "0"
    if not given.isdecimal():
        raise invalid_parameter(f"{given} is not a valid page token or offset")
    start = int(given)
    limit = request.args.get("limit", _PAGE, int)
    view: Json = {name: items[start : start + limit], "has_more": start + limit < len(items)}
    if view["has_more"]:
        view["next_page_token"] = str(start + limit)
    return view
