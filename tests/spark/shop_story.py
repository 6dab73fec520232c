"""The story that several tests look at: three releases of the example shop through the whole Workflow.

The real notebooks by the real job definition, through the real SDK, dbt and Delta. It takes minutes, so it is told once
a test run; each test then asserts one thing that was seen.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import pytest
from databricks.sdk.service.jobs import GitProvider, GitSource, JobSettings, RunIf
from shop_repository import Repository

from dbx_cd import DbxCdError, Release, ReleaseRun, approve, open_cd, pending_approvals
from dbx_cd.local.project import LocalProject
from dbx_cd.local.run import LocalWorkflow, follow, results_of
from dbx_cd.local.workspace import CI, DEVELOPER, OWNER, EmbeddedWorkspace

MART = "prod.shop.daily_revenue"


@dataclass
class Observed:
    """What was seen while the story went on; each test looks at one thing."""

    workflow: LocalWorkflow
    commits: dict[str, str] = field(default_factory=dict)
    releases: dict[str, Release] = field(default_factory=dict)
    results: dict[str, dict[str, str]] = field(default_factory=dict)
    refusals: dict[str, DbxCdError] = field(default_factory=dict)
    production: dict[str, list[tuple[object, ...]]] = field(default_factory=dict)
    columns: dict[str, list[str]] = field(default_factory=dict)
    latest_release: str = ""
    said_by_prod_build_alone: str = ""
    built_by_prod_build_alone: bool = False
    docs: dict[str, str] = field(default_factory=dict)
    overriding: str = ""
    told: list[str] = field(default_factory=list)
    built_when_told: bool = False
    typed: subprocess.CompletedProcess[str] | None = None


def tell(workspace: EmbeddedWorkspace, folder: Path) -> Observed:
    """Three releases: promoted in spite of a checkout that moved; stopped by its smoke test; promoted."""
    repository = Repository(folder / "repository")
    commits = {"first": repository.commit("the shop")}
    repository.apply("buggy_release")
    commits["buggy"] = repository.commit("a bug that dbt's tests do not see")
    repository.apply("buggy_release", reverse=True)
    repository.apply("good_release")
    project = LocalProject.find(repository.folder)  # the job is deployed by what this says
    repository.set(
        **{
            "release_log": "ops.mine.release_log",
            "approvers": "everybody",
            "targets": "{stg: {}, prod: {}}",
        }
    )
    commits["good"] = repository.commit("average order amount, and no gate")
    workflow = LocalWorkflow(workspace, project)
    seen = Observed(workflow, commits)

    seen.overriding = _run_with(seen, artifacts_root="/tmp/mine")
    first = workflow.release(commits["first"], reason="first release")
    seen.results["waiting"] = results_of(workflow.wait(first))
    seen.releases["first"] = workflow.cd.log.for_run(str(first.run_id))
    _repair_prod_build_alone(seen, first)
    _try_to_approve_without_the_right(seen)
    _move_the_checkout(seen, to=commits["buggy"])
    request = workflow.pending(first)
    assert request is not None
    workflow.approve(request, as_user=OWNER)
    seen.results["first"] = results_of(workflow.wait(first))
    seen.columns["first"] = workspace.spark.table(MART).columns
    seen.production["first"] = mart_rows(workspace)

    second = workflow.release(commits["buggy"], reason="a bug")
    seen.results["buggy"] = results_of(workflow.wait(second))
    seen.releases["buggy"] = workflow.cd.log.for_run(str(second.run_id))
    seen.production["buggy"] = mart_rows(workspace)

    third = workflow.release(commits["good"], reason="a new column")
    seen.results["good"] = results_of(follow(workflow, third, approve_as=None, say=partial(_do_as_told, seen)))
    seen.releases["good"] = workflow.cd.log.for_run(str(third.run_id))
    seen.columns["good"] = workspace.spark.table(MART).columns
    seen.latest_release = workflow.cd.store.latest("prod").release_id
    seen.docs = json.loads((workflow.artifacts_root / "prod" / "docs.json").read_text())
    return seen


def mart_rows(workspace: EmbeddedWorkspace) -> list[tuple[object, ...]]:
    """Every row of the mart that the releases change, in order."""
    return [tuple(row) for row in workspace.spark.sql(f"SELECT * FROM {MART} ORDER BY ALL").collect()]


def _run_with(seen: Observed, **parameters: str) -> str:
    """What the first task says in a run that overrides parameters of the job."""
    workflow = seen.workflow
    workflow.workspace.warm_up()
    jobs = workflow.workspace.client(CI).jobs
    started = jobs.run_now(workflow.job_id, job_parameters={"commit": seen.commits["first"], **parameters})
    ended = workflow.wait(ReleaseRun(workflow.job_id, int(started.response.run_id or 0), seen.commits["first"]))
    (first,) = (task.run_id for task in ended.tasks or () if task.task_key == "stg_build")
    assert first is not None
    return str(jobs.get_run_output(first).error)


def _repair_prod_build_alone(seen: Observed, run: ReleaseRun) -> None:
    """Past the gate: the job is changed so that `prod_build` runs in spite of what failed before it."""
    jobs, job_id = seen.workflow.workspace.client(CI).jobs, seen.workflow.job_id
    settings = jobs.get(job_id).settings
    assert settings is not None
    (build,) = (task for task in settings.tasks or () if task.task_key == "prod_build")
    jobs.update(job_id, new_settings=JobSettings(tasks=[replace(build, run_if=RunIf.ALL_DONE)]))
    jobs.repair_run(run.run_id, rerun_tasks=["prod_build"], job_parameters=_job_parameters(seen, run))
    repaired = seen.workflow.wait(run)
    jobs.reset(job_id, settings)
    seen.results["prod_build alone"] = results_of(repaired)
    attempt = [task.run_id for task in repaired.tasks or () if task.task_key == "prod_build"][-1]
    assert attempt is not None
    seen.said_by_prod_build_alone = str(jobs.get_run_output(attempt).error)
    seen.built_by_prod_build_alone = seen.workflow.workspace.spark.catalog.tableExists(MART)


def _job_parameters(seen: Observed, run: ReleaseRun) -> dict[str, str]:
    parameters = seen.workflow.workspace.client(CI).jobs.get_run(run.run_id).job_parameters or []
    return {p.name: p.value or p.default or "" for p in parameters if p.name}


def _try_to_approve_without_the_right(seen: Observed) -> None:
    workflow = seen.workflow
    for user, seal in ((DEVELOPER, None), (CI, None), (OWNER, "0" * 64)):
        cd = open_cd(
            workflow.workspace.spark,
            project_dir=workflow.project.repository,
            workspace=workflow.workspace.client(user),
            overrides={"artifacts_root": str(workflow.artifacts_root)},
        )
        (request,) = pending_approvals(cd)
        with pytest.raises(DbxCdError) as refused:
            approve(cd, request, seal=seal or request.seal)
        seen.refusals[user if seal is None else "another seal"] = refused.value


def _do_as_told(seen: Observed, text: str) -> None:
    """Another terminal, somewhere else: the command that ends the text is typed there as it is."""
    seen.told.append(text)
    seen.built_when_told = "average_order_amount" in seen.workflow.workspace.spark.table(MART).columns
    command = text.splitlines()[-1]
    seen.typed = subprocess.run(["sh", "-c", command], cwd="/", capture_output=True, text=True, check=False)
    assert seen.typed.returncode == 0, seen.typed.stderr  # else the release would be waited for without end


def _move_the_checkout(seen: Observed, *, to: str) -> None:
    source = GitSource(seen.workflow.project.repository.as_uri(), GitProvider.GIT_HUB, git_commit=to)
    seen.workflow.workspace.client(CI).jobs.update(seen.workflow.job_id, new_settings=JobSettings(git_source=source))
