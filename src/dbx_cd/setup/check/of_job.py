"""Checks of the job in the workspace: it is the one that is written, and who needs to may see and run it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dbx_cd.enumeration import listed
from dbx_cd.errors import WorkflowError
from dbx_cd.patience import Patience, passing_answer
from dbx_cd.people import same_person
from dbx_cd.release.job import as_the_api_writes
from dbx_cd.release.jobs import Jobs
from dbx_cd.setup.check.job_differences import differences
from dbx_cd.setup.check.report import CheckLine, fail, ok, skipped, warn
from dbx_cd.setup.check.scene import DeployedJob, Scene
from dbx_cd.setup.check.written_job import WrittenJob, is_unknown
from dbx_cd.workspace_calls import calling

LEVELS = ("CAN_VIEW", "CAN_MANAGE_RUN", "CAN_MANAGE", "IS_OWNER")
"""Of a job, from the least to the most (Databricks documentation on access control)."""
_DEPLOY = "deploy the bundle again: databricks bundle deploy"
_SHOWN = 8
Who = tuple[str, str]


def deployed(scene: Scene) -> Iterator[CheckLine]:
    """The job is there, and is the one that the bundle's files have; with two identities, both of its halves."""
    if scene.written is None:
        name = str(scene.deployed.settings.get("name"))
        yield skipped(name, "there is no bundle that can be read, so nothing to compare it with")
        return
    yield from _compared(scene.written, scene.deployed)
    for other in scene.written.others:
        yield from _compared(other, scene.deployed_as(other.name))


def _compared(written: WrittenJob, job: DeployedJob) -> Iterator[CheckLine]:
    name = str(job.settings.get("name"))
    found = differences(as_the_api_writes(written.settings), job.settings)
    for difference in found[:_SHOWN]:
        step = _DEPLOY if difference.is_of_the_files else f"{_DEPLOY}, or write it"
        yield fail(name, str(difference), next_step=step)
    if len(found) > _SHOWN:
        yield fail(name, f"and {len(found) - _SHOWN} more differences", next_step=_DEPLOY)
    if not found:
        yield ok(name, f"job {job.job_id} is as {written.file.name} has it; it runs as {job.run_as}")
    if written.run_as and not is_unknown(written.run_as) and not same_person(written.run_as, job.run_as):
        yield fail(name, f"runs as {job.run_as}, and the bundle has {written.run_as}", next_step=_DEPLOY)


def permissions(scene: Scene) -> Iterator[CheckLine]:
    """Who needs to may see the job, repair its runs, and start it."""
    job = scene.deployed
    try:
        has = permissions_of(scene, "jobs", str(job.job_id))
    except WorkflowError as exc:
        yield skipped(f"job {job.job_id}", f"its permissions cannot be seen: {exc.what}", next_step=exc.next_step)
        return
    needed = _needed(scene)
    for (kind, name), level in needed.items():
        found = has.get((kind, name)) or has.get((kind, name.lower()))
        if _reaches(found, level):
            yield ok(name, f"has {found} on the job")
        else:
            yield fail(
                name,
                f"has {found or 'nothing'} on the job, and needs {level}",
                next_step=f"add `- {{{kind}: {name}, level: {level}}}` to `permissions` in the bundle, and deploy it",
            )
    if scene.written is not None:
        written = {who for who, _ in map(_who_and_level, scene.written.permissions)}
        added = [name for (kind, name), level in has.items() if (kind, name) not in written and level != "IS_OWNER"]
        added = [name for name in added if name != "admins"]
        if added:
            yield warn(
                listed(added, most=_SHOWN),
                "has a right on the job that the bundle does not give: the next deploy takes it",
                next_step="add it to the job's permissions in the bundle, or take it away",
            )


def runs(scene: Scene) -> Iterator[CheckLine]:
    """The job's identity can see its own runs: each task asks who has started its run."""
    job = scene.deployed
    if not same_person(scene.me, job.run_as):
        yield skipped(job.run_as, f"only {job.run_as} itself can try, in a notebook that runs as it")
        return
    found = Jobs(scene.client).newest_runs(job.job_id, limit=5)
    yield ok(job.run_as, f"sees its runs: {len(found)} of the newest" if found else "sees its runs; there is none yet")


def permissions_of(scene: Scene, kind: str, object_id: str) -> dict[Who, str]:
    """The highest level that each user, group and service principal has on an object.

    Raises:
        WorkflowError: they cannot be read.
    """
    with calling("they cannot be read", right="CAN VIEW on it", where=f"{kind} {object_id}"):
        answer = Patience().repeat(lambda: scene.client.permissions.get(kind, object_id), passing=passing_answer)
    found: dict[Who, str] = {}
    for line in (answer.as_dict().get("access_control_list")) or ():
        who = next(((k, line[k]) for k in ("user_name", "group_name", "service_principal_name") if line.get(k)), None)
        levels = [str(p.get("permission_level")) for p in line.get("all_permissions") or ()]
        if who is not None and levels:
            found[who] = max(levels, key=_rank)
    return found


def _needed(scene: Scene) -> dict[Who, str]:
    """What the bundle gives, and at least what the Workflow cannot do without."""
    needed = {("group_name", scene.config.approvers): "CAN_MANAGE_RUN"}
    if scene.run_as:
        kind = "user_name" if "@" in scene.run_as else "service_principal_name"
        needed[kind, scene.run_as] = "CAN_VIEW"
    for who, level in map(_who_and_level, scene.written.permissions if scene.written is not None else ()):
        if "${" not in who[1]:
            needed[who] = max(level, needed.get(who, level), key=_rank)
    return needed


def _who_and_level(line: Mapping[str, Any]) -> tuple[Who, str]:
    kind = next((k for k in ("user_name", "group_name", "service_principal_name") if line.get(k)), "user_name")
    return (kind, str(line.get(kind))), str(line.get("level"))


def _rank(level: str) -> int:
    return LEVELS.index(level) if level in LEVELS else -1


def _reaches(found: str | None, level: str) -> bool:
    return found is not None and _rank(found) >= _rank(level)
