"""The story that several tests look at: three releases of the example shop through the whole Workflow.

The real notebooks by the real job definition, through the real SDK, dbt and Delta. It takes minutes, so it is told once
a test run; each test then asserts one thing that was seen.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from databricks.sdk.service.jobs import GitProvider, GitSource, JobSettings
from shop_repository import Repository

from dbx_cd import DbxCdError, Release, ReleaseRun, approve, open_cd, pending_approvals
from dbx_cd.local.run import LocalProject, LocalWorkflow, follow, results_of, submit_notebook
from dbx_cd.local.workspace import CI, DEVELOPER, OWNER, RELEASE_BOT, EmbeddedWorkspace

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
    docs: dict[str, str] = field(default_factory=dict)


def tell(workspace: EmbeddedWorkspace, folder: Path) -> Observed:
    """Three releases: promoted in spite of a checkout that moved; stopped by its smoke test; promoted."""
    repository = Repository(folder / "repository")
    commits = {"first": repository.commit("the shop")}
    repository.apply("buggy_release")
    commits["buggy"] = repository.commit("a bug that dbt's tests do not see")
    repository.apply("buggy_release", reverse=True)
    repository.apply("good_release")
    commits["good"] = repository.commit("average order amount")
    workflow = LocalWorkflow(workspace, LocalProject.find(repository.folder))
    seen = Observed(workflow, commits)

    first = workflow.release(commits["first"], reason="first release")
    seen.results["waiting"] = results_of(workflow.wait(first))
    seen.releases["first"] = workflow.cd.log.for_run(str(first.run_id))
    _repair_prod_build_alone(seen, first)
    _run_the_build_past_the_gate(seen, first)
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
    seen.results["good"] = results_of(follow(workflow, third, approve_as=OWNER, say=print))
    seen.releases["good"] = workflow.cd.log.for_run(str(third.run_id))
    seen.columns["good"] = workspace.spark.table(MART).columns
    seen.latest_release = workflow.cd.store.latest("prod").release_id
    seen.docs = json.loads((workflow.artifacts_root / "prod" / "docs.json").read_text())
    return seen


def mart_rows(workspace: EmbeddedWorkspace) -> list[tuple[object, ...]]:
    """Every row of the mart that the releases change, in order."""
    return [tuple(row) for row in workspace.spark.sql(f"SELECT * FROM {MART} ORDER BY ALL").collect()]


def _repair_prod_build_alone(seen: Observed, run: ReleaseRun) -> None:
    ci = seen.workflow.workspace.client(CI)
    ci.jobs.repair_run(run.run_id, rerun_tasks=["prod_build"], job_parameters=_job_parameters(seen, run))
    seen.results["prod_build alone"] = results_of(seen.workflow.wait(run))


def _run_the_build_past_the_gate(seen: Observed, run: ReleaseRun) -> None:
    """The notebook of `prod_build`, for the same release, as the job's own identity but outside of the job."""
    parameters = _job_parameters(seen, run) | {
        "project_dir": str(seen.workflow.project.repository),
        "run_id": str(run.run_id),
        "target": "prod",
        "select": "tag:deploy",
        "defer": "true",
    }
    with pytest.raises(DbxCdError) as refused:
        submit_notebook(seen.workflow.workspace.client(RELEASE_BOT), "run_dbt", parameters)
    seen.refusals["past the gate"] = refused.value


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


def _move_the_checkout(seen: Observed, *, to: str) -> None:
    source = GitSource(seen.workflow.project.repository.as_uri(), GitProvider.GIT_HUB, git_commit=to)
    seen.workflow.workspace.client(CI).jobs.update(seen.workflow.job_id, new_settings=JobSettings(git_source=source))
