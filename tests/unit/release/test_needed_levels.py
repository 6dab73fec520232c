"""Which level on the job each identity needs: with it its step works, with less the refusal names what is missing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.service.iam import AccessControlRequest, PermissionLevel
from local_rest import Workspace

from dbx_cd.errors import WorkflowError
from dbx_cd.release.jobs import Jobs
from dbx_cd.release.workflow import trigger

LEVELS = (None, "CAN_VIEW", "CAN_MANAGE_RUN", "CAN_MANAGE")
CONDITION = {"task_key": "gate", "condition_task": {"op": "EQUAL_TO", "left": "1", "right": "1"}}
DEPLOY = (Path(__file__).parents[3] / "docs" / "deploy.md").read_text(encoding="utf-8")

Step = Callable[[WorkspaceClient, int, int, str], object]


def repair(client: WorkspaceClient, job: int, run: int, commit: str) -> None:
    jobs = Jobs(client)
    jobs.repair(jobs.run(run, with_repairs=True), tasks=["gate"], parameters={})


NEEDS: dict[str, tuple[str, Step]] = {
    "the job's identity: each task reads its own run": ("CAN_VIEW", lambda c, job, run, sha: Jobs(c).run(run)),
    "the job's identity: and the job's definition": ("CAN_VIEW", lambda c, job, run, sha: Jobs(c).job(job)),
    "the job's identity: a later job repairs its run": ("CAN_MANAGE_RUN", repair),
    "approvers: the repair after a decision": ("CAN_MANAGE_RUN", repair),
    "CI's identity: a trigger": ("CAN_MANAGE", lambda c, job, run, sha: trigger(c, job, commit=sha)),
    "SREs: the job says where the log is": ("CAN_VIEW", lambda c, job, run, sha: Jobs(c).job(job)),
}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    workspace = Workspace(tmp_path_factory.mktemp("levels"))
    workspace.repository.commit(gate="1")
    yield workspace
    workspace.server.stop()


def give(workspace: Workspace, job: int, level: str | None) -> None:
    lines = [AccessControlRequest(user_name="owner@example.org", permission_level=PermissionLevel.IS_OWNER)]
    if level is not None:
        lines.append(AccessControlRequest(user_name="dev@example.org", permission_level=PermissionLevel(level)))
    workspace.owner.permissions.set("jobs", str(job), access_control_list=lines)


@pytest.mark.parametrize("who", NEEDS)
def test_a_step_works_with_its_level_and_is_refused_by_name_with_less(workspace: Workspace, who: str) -> None:
    needed, step = NEEDS[who]
    commit = "0" * 40
    job = workspace.job(CONDITION, max_concurrent_runs=9)
    run = workspace.run(job).run_id
    assert run is not None
    for level in LEVELS[: LEVELS.index(needed)]:
        give(workspace, job, level)
        with pytest.raises(WorkflowError) as refused:
            step(workspace.dev, job, run, commit)
        # A run, or the job, is read first, so that with nothing at all CAN VIEW is missed.
        named = "CAN VIEW" if level is None else needed.replace("_", " ")
        assert re.search(rf"User dev@example\.org does not have .* on job {job}", str(refused.value))
        assert f"needs {named} on the job; add it to `permissions` in the bundle's job file" in str(refused.value)
    give(workspace, job, needed)
    step(workspace.dev, job, run, commit)


@pytest.mark.parametrize(
    ("who", "level"),
    [
        ("the job's identity", "CAN MANAGE RUN"),
        ("CI's identity", "CAN MANAGE"),
        ("the approvers", "CAN MANAGE RUN"),
        ("SREs", "CAN VIEW"),
    ],
)
def test_the_documentation_has_the_level_of_each(who: str, level: str) -> None:
    rows = [line for line in DEPLOY.splitlines() if line.startswith(f"| {who} | {level} ")]
    assert len(rows) == 1
