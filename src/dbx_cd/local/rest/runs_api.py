"""The Jobs API (2.2, and 2.1 for the same calls): runs, their outputs, repair and cancellation."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, g, request

from dbx_cd.local.rest.access_list import CAN_MANAGE, CAN_MANAGE_RUN, CAN_VIEW, AccessList, access_lines
from dbx_cd.local.rest.api_error import does_not_exist, invalid_parameter, invalid_state, not_implemented
from dbx_cd.local.rest.identity import Directory
from dbx_cd.local.rest.job_rights import JobRights
from dbx_cd.local.rest.job_runner import JobRunner
from dbx_cd.local.rest.job_runs import JobRun, TaskRun, WorkspaceStore
from dbx_cd.local.rest.job_settings import check_submission
from dbx_cd.local.rest.jobs_api import body, find_job, paged, require_ownership_to_give, required_id
from dbx_cd.local.rest.new_run import is_queued, run_of, set_parameters
from dbx_cd.local.rest.run_view import Json, output_view, run_view, task_run_view
from dbx_cd.local.rest.task_graph import UNSUCCESSFUL, dependencies, downstream_of

_RUN_NOW_FIELDS = {"job_id", "job_parameters", "notebook_params", "idempotency_token", "queue"}
_REPAIR_FIELDS = {
    "run_id",
    "rerun_tasks",
    "rerun_all_failed_tasks",
    "rerun_dependent_tasks",
    "latest_repair_id",
    "job_parameters",
    "notebook_params",
}


def runs_api(store: WorkspaceStore, runner: JobRunner, directory: Directory, rights: JobRights) -> Blueprint:
    """Endpoints of runs."""
    api = Blueprint("runs", __name__)

    def allowed(level: str, given: Any) -> tuple[JobRun, TaskRun | None]:
        run, attempt = _find(store, required_id(given, "run_id"))
        rights.require_on_run(g.user, level, run)
        return run, attempt

    @api.post("/run-now")
    def run_now() -> Json:
        given = body()
        _only(given, _RUN_NOW_FIELDS, "run-now")
        with store.lock:
            job = find_job(store, required_id(given, "job_id"))
            rights.require(g.user, CAN_MANAGE_RUN, job)
            earlier = _same_token(store, job.job_id, given.get("idempotency_token"))
            if earlier is None:
                earlier = run_of(job, given, creator=g.user.user_name, store=store, directory=directory)
                runner.start(earlier, queue=is_queued(given, job.settings))
            return {"run_id": earlier.run_id, "number_in_job": earlier.number_in_job}

    @api.post("/runs/submit")
    def submit() -> Json:
        given = body()
        check_submission(given)
        submitter = g.user.user_name
        run_as = directory.run_as(given.get("run_as"), submitter)
        directory.require_run_as(g.user, run_as)
        access = AccessList.owned_by(submitter, directory, access_lines(given.get("access_control_list"), directory))
        require_ownership_to_give(g.user, access, owner=submitter)
        with store.lock:
            run = _same_token(store, None, given.get("idempotency_token"))
            if run is not None:
                rights.require_on_run(g.user, CAN_VIEW, run)
            if run is None:
                run = JobRun(
                    run_id=store.next_id(),
                    job_id=None,
                    number_in_job=1,
                    name=given.get("run_name", "Untitled"),
                    creator=submitter,
                    run_as=run_as,
                    settings=given,
                    idempotency_token=given.get("idempotency_token"),
                    access=access,
                )
                runner.start(run, queue=False)
            return {"run_id": run.run_id}

    @api.get("/runs/get")
    def get() -> Json:
        run, attempt = allowed(CAN_VIEW, request.args)
        with store.lock:
            if attempt is not None:
                return task_run_view(run, attempt, run_dir=store.run_dir(run.run_id))
            history = request.args.get("include_history") == "true"
            return run_view(run, run_dir=store.run_dir(run.run_id), history=history)

    @api.get("/runs/get-output")
    def get_output() -> Json:
        run, attempt = allowed(CAN_VIEW, request.args)
        if attempt is None:
            raise invalid_parameter(
                "Retrieving the output of runs with multiple tasks is not supported. "
                "Please retrieve the output of each individual task run instead."
            )
        with store.lock:
            return output_view(run, attempt, run_dir=store.run_dir(run.run_id))

    @api.get("/runs/list")
    def list_runs() -> Json:
        expand = request.args.get("expand_tasks") == "true"
        with store.lock:
            matching = [run for run in store.runs.values() if _matches(run)]
            found = sorted(rights.visible(g.user, matching, rights.of_run), key=lambda run: -run.run_id)
            views = [run_view(run, run_dir=store.run_dir(run.run_id), expand=expand) for run in found]
        return paged(views, "runs")

    @api.post("/runs/repair")
    def repair() -> Json:
        given = body()
        _only(given, _REPAIR_FIELDS, "runs/repair")
        with store.lock:
            run, _ = allowed(CAN_MANAGE_RUN, given)
            return {"repair_id": _repair(store, runner, run, given, directory)}

    @api.post("/runs/cancel")
    def cancel() -> Json:
        run, attempt = allowed(CAN_MANAGE_RUN, body())
        if attempt is not None:
            raise not_implemented("cancelling a single task run; cancel the run of the job")
        runner.cancel(run)
        return {}

    @api.post("/runs/cancel-all")
    def cancel_all() -> Json:
        given = body()
        job_id, queued = given.get("job_id"), given.get("all_queued_runs", False)
        if job_id:
            rights.require(g.user, CAN_MANAGE_RUN, find_job(store, required_id(given, "job_id")))
        for run in list(store.runs.values()):
            if not rights.of_run(run).allows(g.user, CAN_MANAGE_RUN):
                continue
            is_queued = run.state.life_cycle_state == "QUEUED"
            if not run.state.finished and (run.job_id == job_id if job_id else queued and is_queued):
                runner.cancel(run)
        return {}

    @api.post("/runs/delete")
    def delete() -> Json:
        run, _ = allowed(CAN_MANAGE, body())
        if not run.state.finished:
            raise invalid_state(f"Run {run.run_id} is still active; cancel it before deleting it.")
        store.delete_run(run.run_id)
        return {}

    return api


def _repair(store: WorkspaceStore, runner: JobRunner, run: JobRun, given: Json, directory: Directory) -> int:
    if run.job_id is None:
        raise not_implemented("the repair of a submitted run (not documented for the platform)")
    if not run.state.finished or run.state.life_cycle_state == "SKIPPED":
        raise invalid_state(f"Run {run.run_id} cannot be repaired: it is {run.state.life_cycle_state}.")
    if run.repairs and given.get("latest_repair_id") != run.repairs[-1].id:
        raise invalid_parameter("The latest repair ID needs to be provided in order to create a new repair.")
    job = find_job(store, run.job_id)
    settings = job.settings
    wanted = _tasks_to_repair(run, settings, given)
    queue = is_queued({}, settings)
    runner.require_room(run, queue=queue)
    # The job's current settings count, `run_as` among them: nobody's changed tasks run as who ran before.
    run_as = directory.run_as(settings.get("run_as"), job.creator)
    set_parameters(run, given, settings)  # refuses before it sets any: what is refused changes nothing
    run.run_as = run_as
    return runner.repair(run, settings=settings, task_keys=wanted, queue=queue)


def _tasks_to_repair(run: JobRun, settings: Json, given: Json) -> set[str]:
    """The tasks a repair runs again. Settings are the job's current ones, as on the platform."""
    named, all_failed = given.get("rerun_tasks") or [], given.get("rerun_all_failed_tasks", False)
    if bool(named) == bool(all_failed):
        raise invalid_parameter("give exactly one of rerun_tasks and rerun_all_failed_tasks")
    current = {task["task_key"]: task for task in settings.get("tasks") or []}
    latest = run.latest()
    failed = {key for key, attempt in latest.items() if attempt.state.result_state in UNSUCCESSFUL}
    wanted = set(named) or failed & set(current)
    unknown = sorted(wanted - set(current))
    if unknown:
        raise invalid_parameter(f"rerun_tasks: no task of this job is named {', '.join(unknown)}")
    if not wanted:
        raise invalid_parameter(f"Run {run.run_id} has no failed task to repair.")
    if given.get("rerun_dependent_tasks"):
        wanted |= downstream_of(current.values(), wanted)
    for key in sorted(wanted):
        for dependency in dependencies(current[key]):
            if dependency.task_key not in wanted and dependency.task_key not in latest:
                raise invalid_parameter(f"task '{key}' depends on '{dependency.task_key}', which has never run here")
    return wanted


def _find(store: WorkspaceStore, run_id: int) -> tuple[JobRun, TaskRun | None]:
    """A run by its id, or by the id of one of its task attempts."""
    run = store.runs.get(run_id)
    if run is not None:
        return run, None
    for other in list(store.runs.values()):
        for attempt in other.attempts:
            if attempt.run_id == run_id:
                return other, attempt
    raise does_not_exist(f"Run {run_id} does not exist.")


def _same_token(store: WorkspaceStore, job_id: int | None, token: str | None) -> JobRun | None:
    """The run that an earlier request with this idempotency token started."""
    if not token:
        return None
    same = (run for run in store.runs.values() if run.idempotency_token == token and run.job_id == job_id)
    return next(same, None)


def _matches(run: JobRun) -> bool:
    args = request.args
    if args.get("job_id") and run.job_id != required_id(args, "job_id"):
        return False
    if args.get("run_type") and args["run_type"] != ("SUBMIT_RUN" if run.job_id is None else "JOB_RUN"):
        return False
    if args.get("active_only") == "true" and run.state.finished:
        return False
    if args.get("completed_only") == "true" and not run.state.finished:
        return False
    earliest, latest = args.get("start_time_from", 0, int), args.get("start_time_to", 0, int)
    return run.state.start_time >= earliest and not (latest and run.state.start_time > latest)


def _only(given: Json, supported: set[str], endpoint: str) -> None:
    for name in given:
        if name not in supported:
            raise not_implemented(f"the field '{name}' of {endpoint}")
