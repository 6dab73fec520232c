"""Who may do what with jobs and runs over REST, each asked through the SDK under the caller's own token."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import BadRequest, NotFound, NotImplemented, PermissionDenied
from databricks.sdk.service.iam import AccessControlRequest, PermissionLevel
from databricks.sdk.service.jobs import JobAccessControlRequest, JobPermissionLevel, JobRunAs, JobSettings
from local_rest import Json, Workspace

OWNER, DEV, OTHER = "owner@example.org", "dev@example.org", "other@example.org"
VIEW, RUN, MANAGE, OWNS = "CAN_VIEW", "CAN_MANAGE_RUN", "CAN_MANAGE", "IS_OWNER"
LESS: dict[str, tuple[str | None, ...]] = {VIEW: (None,), RUN: (None, VIEW), MANAGE: (None, VIEW, RUN)}
DEVELOPERS = {"group_name": "developers"}
CONDITION = {"task_key": "a", "condition_task": {"op": "EQUAL_TO", "left": "1", "right": "1"}}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    workspace = Workspace(tmp_path_factory.mktemp("rights"))
    workspace.repository.commit(ok="1")
    yield workspace
    workspace.server.stop()


def grant(workspace: Workspace, job: int, level: str | None) -> None:
    """Give the group of developers one level on a job, and take what it had."""
    owner = AccessControlRequest(user_name=OWNER, permission_level=PermissionLevel.IS_OWNER)
    lines = [owner]
    if level is not None:
        lines.append(AccessControlRequest(group_name="developers", permission_level=PermissionLevel(level)))
    workspace.owner.permissions.set("jobs", str(job), access_control_list=lines)


def condition_job(workspace: Workspace, **settings: Any) -> int:
    """A job whose only task needs no process."""
    return workspace.post("create", {"name": "rights", "tasks": [CONDITION], **settings})["job_id"]


def ran(workspace: Workspace, job: int) -> int:
    run_id = workspace.owner.jobs.run_now(job).run_id
    assert workspace.server.wait(run_id, timeout_seconds=30)
    return run_id


Act = Callable[[WorkspaceClient, int, int, int], object]
NEEDS: dict[str, tuple[str, Act]] = {
    "see the job": (VIEW, lambda c, job, run, t: c.jobs.get(job)),
    "see its permissions": (VIEW, lambda c, job, run, t: c.jobs.get_permissions(str(job))),
    "see a run": (VIEW, lambda c, job, run, t: c.jobs.get_run(run)),
    "see the run of a task": (VIEW, lambda c, job, run, t: c.jobs.get_run(t)),
    "get its output": (VIEW, lambda c, job, run, t: c.jobs.get_run_output(t)),
    "run it": (RUN, lambda c, job, run, t: c.jobs.run_now(job)),
    "cancel a run": (RUN, lambda c, job, run, t: c.jobs.cancel_run(run)),
    "cancel all its runs": (RUN, lambda c, job, run, t: c.jobs.cancel_all_runs(job_id=job)),
    "change it": (MANAGE, lambda c, job, run, t: c.jobs.update(job, new_settings=JobSettings(description="x"))),
    "reset it": (MANAGE, lambda c, job, run, t: c.jobs.reset(job, c.jobs.get(job).settings)),
    "share it": (
        MANAGE,
        lambda c, job, run, t: c.jobs.update_permissions(
            str(job), access_control_list=[JobAccessControlRequest("users", JobPermissionLevel.CAN_VIEW)]
        ),
    ),
    "delete a run": (MANAGE, lambda c, job, run, t: c.jobs.delete_run(run)),
    "delete it": (MANAGE, lambda c, job, run, t: c.jobs.delete(job)),
}


@pytest.mark.parametrize("what", NEEDS)
def test_what_is_done_with_a_job_needs_its_level_and_no_more(workspace: Workspace, what: str) -> None:
    needed, act = NEEDS[what]
    job = condition_job(workspace)
    run = ran(workspace, job)
    task_run = workspace.owner.jobs.get_run(run).tasks[0].run_id
    for level in (
        None,
        *[each for each in (VIEW, RUN) if (VIEW, RUN, MANAGE).index(each) < (VIEW, RUN, MANAGE).index(needed)],
    ):
        grant(workspace, job, level)
        with pytest.raises(PermissionDenied, match=rf"User {DEV} does not have .* permissions on job {job}.*needed"):
            act(workspace.dev, job, run, task_run)
    grant(workspace, job, needed)
    act(workspace.dev, job, run, task_run)


@pytest.mark.parametrize(("level", "may"), [(VIEW, False), (RUN, True)])
def test_repair_needs_can_manage_run(workspace: Workspace, level: str, may: bool) -> None:
    job = condition_job(workspace, max_concurrent_runs=5)
    run = ran(workspace, job)
    grant(workspace, job, level)
    if may:
        workspace.dev.jobs.repair_run(run, rerun_tasks=["a"])
    else:
        with pytest.raises(PermissionDenied, match=rf"permissions on job {job} \(run {run}\)\. {RUN} is needed"):
            workspace.dev.jobs.repair_run(run, rerun_tasks=["a"])


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("permissions/jobs/²", {}),
        ("permissions/jobs/1x", {}),
        ("jobs/runs/list", {"job_id": "²"}),
        ("jobs/runs/list", {"page_token": "²"}),
        ("jobs/list", {"offset": "x"}),
    ],
)
def test_what_is_no_number_is_refused_as_a_wrong_parameter(workspace: Workspace, path: str, query: Json) -> None:
    ran(workspace, condition_job(workspace))  # lists are not empty
    version = "2.0" if path.startswith("permissions") else "2.2"
    with pytest.raises(BadRequest, match=r"not a valid|must be an integer"):
        workspace.owner.api_client.do("GET", f"/api/{version}/{path}", query=query)


def test_lists_leave_out_what_one_may_not_see(workspace: Workspace) -> None:
    hidden, seen = condition_job(workspace, name="listed"), condition_job(workspace, name="listed")
    grant(workspace, seen, VIEW)
    runs = ran(workspace, hidden), ran(workspace, seen)
    assert [job.job_id for job in workspace.dev.jobs.list(name="listed")] == [seen]
    listed = {run.run_id for run in workspace.dev.jobs.list_runs()}
    assert listed & set(runs) == {runs[1]}
    assert list(workspace.dev.jobs.list_runs(job_id=hidden)) == []
    assert {job.job_id for job in workspace.owner.jobs.list(name="listed")} == {hidden, seen}


def test_who_creates_a_job_owns_it_and_administrators_manage_it(workspace: Workspace) -> None:
    job = workspace.post("create", {"name": "of dev", "tasks": [CONDITION]}, client=workspace.dev)["job_id"]
    shown = workspace.dev.permissions.get("jobs", str(job))
    lines = {
        (line.user_name or line.group_name): [(p.permission_level, p.inherited) for p in line.all_permissions]
        for line in shown.access_control_list
    }
    assert lines == {DEV: [(PermissionLevel.IS_OWNER, False)], "admins": [(PermissionLevel.CAN_MANAGE, True)]}
    assert (shown.object_id, shown.object_type) == (f"/jobs/{job}", "job")
    workspace.owner.jobs.delete(job)
    with pytest.raises(NotFound):
        workspace.dev.jobs.get(job)


def test_set_replaces_and_update_adds(workspace: Workspace) -> None:
    job = condition_job(workspace, access_control_list=[{**DEVELOPERS, "permission_level": VIEW}])
    workspace.dev.jobs.get(job)
    principal = JobAccessControlRequest(
        service_principal_name="job-identity", permission_level=JobPermissionLevel.CAN_VIEW
    )
    workspace.owner.jobs.update_permissions(str(job), access_control_list=[principal])
    workspace.dev.jobs.get(job)
    owner = JobAccessControlRequest(user_name=OWNER, permission_level=JobPermissionLevel.IS_OWNER)
    workspace.owner.jobs.set_permissions(str(job), access_control_list=[owner])
    with pytest.raises(PermissionDenied):
        workspace.dev.jobs.get(job)


def test_list_of_create_and_of_set_survive_a_restart(tmp_path_factory: pytest.TempPathFactory) -> None:
    workspace = Workspace(tmp_path_factory.mktemp("restart"))
    try:
        first = condition_job(workspace, access_control_list=[{**DEVELOPERS, "permission_level": VIEW}])
        second, third = condition_job(workspace), condition_job(workspace)
        grant(workspace, second, VIEW)
        workspace.restart()
        assert {job.job_id for job in workspace.dev.jobs.list()} == {first, second}
        with pytest.raises(PermissionDenied):
            workspace.dev.jobs.get(third)
    finally:
        workspace.server.stop()


BAD_LISTS: dict[str, tuple[list[Json], type[Exception], str]] = {
    "a level that is none": ([{**DEVELOPERS, "permission_level": "CAN_RUN"}], BadRequest, "'CAN_RUN' is none of"),
    "nobody": ([{"permission_level": VIEW}], BadRequest, "Principal name not defined"),
    "two in one line": ([{**DEVELOPERS, "user_name": DEV, "permission_level": VIEW}], BadRequest, "exactly one of"),
    "a user who is not there": (
        [{"user_name": "x@example.org", "permission_level": VIEW}],
        NotFound,
        r"Principal: UserName\(x@example.org\) does not exist",
    ),
    "a group that is not there": ([{"group_name": "x", "permission_level": VIEW}], NotFound, r"GroupName\(x\)"),
    "a service principal as user": (
        [{"user_name": "job-identity", "permission_level": VIEW}], NotFound, r"UserName\(job-identity\)",
    ),
    "a group as owner": ([{**DEVELOPERS, "permission_level": OWNS}], BadRequest, "cannot own a job"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_LISTS)
def test_a_list_that_cannot_be_is_refused(workspace: Workspace, case: str) -> None:
    lines, error, reason = BAD_LISTS[case]
    job = condition_job(workspace)
    with pytest.raises(error, match=reason):
        condition_job(workspace, access_control_list=lines)
    with pytest.raises(error, match=reason):
        workspace.owner.api_client.do("PATCH", f"/api/2.0/permissions/jobs/{job}", body={"access_control_list": lines})


def test_a_job_has_exactly_one_owner(workspace: Workspace) -> None:
    job = condition_job(workspace)
    only = [AccessControlRequest(group_name="developers", permission_level=PermissionLevel.CAN_VIEW)]
    with pytest.raises(BadRequest, match=r"The job must have exactly one owner\."):
        workspace.owner.permissions.set("jobs", str(job), access_control_list=only)


def test_only_administrators_give_a_job_to_another_owner_who_keeps_can_manage(workspace: Workspace) -> None:
    job = workspace.post("create", {"name": "of dev", "tasks": [CONDITION]}, client=workspace.dev)["job_id"]
    to_owner = [AccessControlRequest(user_name=OWNER, permission_level=PermissionLevel.IS_OWNER)]
    with pytest.raises(PermissionDenied, match="given by administrators"):
        workspace.dev.permissions.update("jobs", str(job), access_control_list=to_owner)
    shown = workspace.owner.permissions.update("jobs", str(job), access_control_list=to_owner)
    levels = {line.user_name: line.all_permissions[0].permission_level for line in shown.access_control_list}
    assert (levels[OWNER], levels[DEV]) == (PermissionLevel.IS_OWNER, PermissionLevel.CAN_MANAGE)


def test_permissions_of_other_objects_are_refused_by_name(workspace: Workspace) -> None:
    with pytest.raises(NotImplemented, match="permissions of warehouses"):
        workspace.owner.permissions.get("warehouses", "1")


# ---------------------------------------------------------------- run_as

AS_OWNER, AS_DEV = {"user_name": OWNER}, {"user_name": DEV}
AS_JOB = {"service_principal_name": "job-identity"}
AS_FREE = {"service_principal_name": "lent-identity"}


@pytest.mark.parametrize("call", ["create", "runs/submit"])
@pytest.mark.parametrize(
    ("run_as", "reason"),
    [
        (AS_OWNER, f"{DEV} cannot set run_as to {OWNER}: only administrators"),
        (AS_JOB, f"{DEV} cannot set run_as to the service principal job-identity: the role Service Principal User"),
        (AS_FREE, None),
        (AS_DEV, None),
        (None, None),
    ],
)
def test_users_run_things_as_themselves_or_as_a_service_principal_that_they_may_use(
    workspace: Workspace, call: str, run_as: Json | None, reason: str | None
) -> None:
    """`lent-identity` is for the group of developers."""
    settings = {"tasks": [CONDITION], **({"run_as": run_as} if run_as else {})}
    if reason is not None:
        with pytest.raises(PermissionDenied, match=reason):
            workspace.post(call, settings, client=workspace.dev)
        return
    made = workspace.post(call, settings, client=workspace.dev)
    job_or_run = made["job_id"] if call == "create" else made["run_id"]
    shown = workspace.dev.jobs.get(job_or_run) if call == "create" else workspace.dev.jobs.get_run(job_or_run)
    name = next(iter(run_as.values())) if run_as else DEV
    as_name = shown.run_as_user_name if call == "create" else shown.as_dict().get("run_as_user_name", name)
    assert as_name == name


def test_administrators_run_things_as_anybody(workspace: Workspace) -> None:
    job = condition_job(workspace, run_as=AS_DEV)
    assert workspace.owner.jobs.get(job).run_as_user_name == DEV
    workspace.post("runs/submit", {"tasks": [CONDITION], "run_as": AS_JOB})


def test_a_job_that_runs_as_another_is_changed_only_by_who_could_set_that(workspace: Workspace) -> None:
    shared = {"access_control_list": [{**DEVELOPERS, "permission_level": MANAGE}]}
    closed = condition_job(workspace, run_as=AS_JOB, **shared)
    jobs = workspace.dev.jobs
    changes: tuple[Callable[[], object], ...] = (
        lambda: jobs.update(closed, new_settings=JobSettings(description="mine")),
        lambda: jobs.update(closed, new_settings=JobSettings(run_as=JobRunAs(user_name=DEV))),
        lambda: jobs.update(closed, fields_to_remove=["run_as"]),
        lambda: jobs.reset(closed, JobSettings(name="mine", run_as=JobRunAs(user_name=DEV))),
    )
    for change in changes:
        with pytest.raises(PermissionDenied, match="service principal job-identity"):
            change()
    lent = condition_job(workspace, run_as=AS_FREE, **shared)
    workspace.dev.jobs.update(lent, new_settings=JobSettings(description="ours"))
    with pytest.raises(PermissionDenied, match=f"cannot set run_as to {OWNER}"):
        workspace.dev.jobs.update(lent, fields_to_remove=["run_as"])  # it would run as its creator again


def test_run_as_gives_no_right_on_the_job_not_even_to_see_its_own_runs(workspace: Workspace) -> None:
    job = condition_job(workspace, run_as=AS_JOB)
    run = ran(workspace, job)
    identity = workspace.server.client("job-identity")
    with pytest.raises(PermissionDenied, match=rf"User job-identity does not have .* on job {job}"):
        identity.jobs.get_run(run)
    grant(workspace, job, VIEW)  # to the group, of which it is a member
    assert identity.jobs.get_run(run).run_id == run


def test_repaired_tasks_run_as_the_job_s_current_run_as(workspace: Workspace) -> None:
    job = condition_job(workspace, run_as=AS_JOB)
    run = ran(workspace, job)
    workspace.owner.jobs.update(job, new_settings=JobSettings(run_as=JobRunAs(user_name=DEV)))
    workspace.owner.jobs.repair_run(run, rerun_tasks=["a"])
    answer = workspace.owner.api_client.do("GET", "/api/2.2/jobs/runs/get", query={"run_id": run})
    assert answer["run_as_user_name"] == DEV


# ---------------------------------------------------------------- submitted runs


def test_submitted_runs_are_of_who_submitted_and_of_whom_they_let(workspace: Workspace) -> None:
    submission = {"tasks": [CONDITION]}
    own = workspace.post("runs/submit", submission)["run_id"]
    shared = workspace.post(
        "runs/submit", submission | {"access_control_list": [{**DEVELOPERS, "permission_level": VIEW}]}
    )["run_id"]
    of_dev = workspace.post("runs/submit", submission, client=workspace.dev)["run_id"]
    with pytest.raises(PermissionDenied, match=rf"{DEV} does not have .* permissions on run {own}"):
        workspace.dev.jobs.get_run(own)
    assert workspace.dev.jobs.get_run(shared).run_id == shared
    with pytest.raises(PermissionDenied, match=rf"permissions on run {shared}\. {RUN} is needed"):
        workspace.dev.jobs.cancel_run(shared)
    assert {run.run_id for run in workspace.dev.jobs.list_runs()} & {own, shared, of_dev} == {shared, of_dev}
    workspace.dev.jobs.cancel_run(of_dev)
    assert workspace.owner.jobs.get_run(of_dev).run_id == of_dev


def test_another_s_idempotency_token_is_no_way_to_their_run(workspace: Workspace) -> None:
    workspace.post("runs/submit", {"tasks": [CONDITION], "idempotency_token": "theirs"})
    with pytest.raises(PermissionDenied, match="permissions on run"):
        workspace.post("runs/submit", {"tasks": [CONDITION], "idempotency_token": "theirs"}, client=workspace.dev)
