"""The whole Workflow: the real notebooks by the real job definition through the real SDK, dbt and Delta."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from databricks.sdk.service.jobs import GitProvider, GitSource, JobSettings
from shop_repository import Repository

from dbx_cd import (
    ApprovalNotAllowed,
    ApprovalRequest,
    ApprovalStale,
    DbxCdError,
    Decision,
    Release,
    ReleaseRun,
    RestorePoint,
    SmokeReport,
    approve,
    open_cd,
    pending_approvals,
    plan_restore,
)
from dbx_cd.local.run import LocalProject, LocalWorkflow, results_of, submit_notebook
from dbx_cd.local.workspace import CI, DEVELOPER, OWNER, EmbeddedWorkspace
from dbx_cd.release_events import Built

MART = "prod.shop.daily_revenue"
ORDER = ["stg_build", "stg_smoke", "approval_gate", "prod_build", "prod_smoke", "docs_refresh", "auto_rollback"]


@dataclass
class Observed:
    """What was seen while the story went on; each test looks at one thing."""

    workflow: LocalWorkflow
    commits: dict[str, str] = field(default_factory=dict)
    releases: dict[str, Release] = field(default_factory=dict)
    results: dict[str, dict[str, str]] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    refusals: dict[str, DbxCdError] = field(default_factory=dict)
    production: dict[str, list[tuple[object, ...]]] = field(default_factory=dict)
    columns: dict[str, list[str]] = field(default_factory=dict)


@pytest.fixture(scope="module")
def seen(workspace: EmbeddedWorkspace, tmp_path_factory: pytest.TempPathFactory) -> Observed:
    """Two releases: one promoted in spite of a checkout that moved, one stopped by its smoke test; then a rollback."""
    repository = Repository(tmp_path_factory.mktemp("shop") / "repository")
    commits = {"first": repository.commit("the shop")}
    repository.apply("buggy_release")
    commits["buggy"] = repository.commit("a bug that dbt's tests do not see")
    workflow = LocalWorkflow(workspace, LocalProject.find(repository.folder))
    seen = Observed(workflow, commits)

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
    seen.production["first"] = _rows(workspace)

    second = workflow.release(commits["buggy"], reason="a bug")
    seen.results["buggy"] = results_of(workflow.wait(second))
    seen.releases["buggy"] = workflow.cd.log.for_run(str(second.run_id))
    seen.production["buggy"] = _rows(workspace)
    return seen


def _rows(workspace: EmbeddedWorkspace) -> list[tuple[object, ...]]:
    return [tuple(row) for row in workspace.spark.sql(f"SELECT * FROM {MART} ORDER BY ALL").collect()]


def _repair_prod_build_alone(seen: Observed, run: ReleaseRun) -> None:
    ci = seen.workflow.workspace.client(CI)
    ci.jobs.repair_run(run.run_id, rerun_tasks=["prod_build"], job_parameters=_job_parameters(seen, run))
    ended = seen.workflow.wait(run)
    seen.results["prod_build alone"] = results_of(ended)
    attempt = [task for task in ended.tasks or [] if task.task_key == "prod_build"][-1]
    seen.errors["prod_build alone"] = str(ci.jobs.get_run_output(attempt.run_id or 0).error)


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


def test_tasks_run_in_the_order_of_the_mission_up_to_the_gate(seen: Observed) -> None:
    assert list(seen.results["waiting"]) == ORDER
    assert seen.results["waiting"]["stg_smoke"] == "SUCCESS"
    assert seen.results["waiting"]["approval_gate"] == "FAILED"


def test_auto_rollback_does_nothing_while_an_approval_is_waited_for(seen: Observed) -> None:
    assert seen.results["waiting"]["auto_rollback"] == "SUCCESS"


def test_repairing_prod_build_alone_is_refused_without_an_approval(seen: Observed) -> None:
    assert seen.results["prod_build alone"]["prod_build"] == "FAILED"
    assert "waiting for approval" in seen.errors["prod_build alone"]


@pytest.mark.parametrize("who", [DEVELOPER, CI])
def test_only_an_approver_who_did_not_ask_may_approve(seen: Observed, who: str) -> None:
    assert isinstance(seen.refusals[who], ApprovalNotAllowed)


def test_another_seal_than_the_request_s_is_refused(seen: Observed) -> None:
    assert isinstance(seen.refusals["another seal"], ApprovalStale)


def test_production_gets_the_approved_archive_although_the_checkout_moved(seen: Observed) -> None:
    results = seen.results["first"]
    assert results.pop("auto_rollback") == "EXCLUDED"
    assert set(results.values()) == {"SUCCESS"}
    archive = seen.workflow.cd.store.find("prod", seen.releases["first"].id).file("project.tar.gz")
    assert archive.read_bytes() == (
        seen.workflow.cd.store.find("stg", seen.releases["first"].id).file("project.tar.gz").read_bytes()
    )
    revenue = seen.columns["first"].index("revenue")
    assert min(row[revenue] for row in seen.production["first"]) >= 0


def test_the_decision_names_the_person_the_platform_knows(seen: Observed) -> None:
    decision = seen.workflow.cd.log.last(seen.releases["first"], Decision)
    assert decision is not None
    assert (decision.outcome, decision.actor) == ("approved", OWNER)


def test_production_defers_to_the_pinned_staging_artifacts_of_the_release(seen: Observed) -> None:
    cd, release = seen.workflow.cd, seen.releases["first"]
    nodes = cd.store.find("prod", release.id).manifest().nodes.values()
    compiled = {node.name: str(node.raw.get("compiled_code")) for node in nodes}
    assert "`stg`.`staging`.`stg_orders`" in compiled["orders"]
    assert "`prod`.`shop`.`orders`" in compiled["daily_revenue"]
    request = cd.log.last(release, ApprovalRequest)
    assert request is not None
    assert request.state_timestamp == cd.store.find("stg", release.id).timestamp


def test_the_heavy_leaf_is_built_in_production_only(seen: Observed, workspace: EmbeddedWorkspace) -> None:
    assert workspace.spark.catalog.tableExists("prod.shop.customer_sessions")
    assert not workspace.spark.catalog.tableExists("stg.shop.customer_sessions")


def test_the_restore_point_is_in_the_log_before_production_changes(seen: Observed) -> None:
    kinds = [event.kind for event in seen.workflow.cd.log.events(seen.releases["first"].id)]
    assert kinds.index("restore_point") < len(kinds) - 1 - kinds[::-1].index("built")
    point = seen.workflow.cd.log.last(seen.releases["first"], RestorePoint)
    assert point is not None
    assert "prod.shop.orders" in {state.name for state in point.relations}


def test_docs_and_manifest_are_published(seen: Observed) -> None:
    root = seen.workflow.artifacts_root / "prod"
    pointer = json.loads((root / "docs.json").read_text())
    site = Path(pointer["path"])
    assert {"index.html", "static_index.html", "manifest.json", "catalog.json"} <= {p.name for p in site.iterdir()}
    assert "daily_revenue" in (site / "catalog.json").read_text()


def test_latest_holds_copies_of_the_newest_build(seen: Observed) -> None:
    cd = seen.workflow.cd
    version = cd.store.latest("prod")
    assert version.release_id == seen.releases["first"].id
    assert (seen.workflow.artifacts_root / "prod" / "latest" / "manifest.json").read_bytes() == version.file(
        "manifest.json"
    ).read_bytes()


def test_a_bug_that_dbt_s_tests_do_not_see_is_stopped_by_the_staging_smoke_test(seen: Observed) -> None:
    results = seen.results["buggy"]
    assert (results["stg_build"], results["stg_smoke"]) == ("SUCCESS", "FAILED")
    assert results["prod_build"] not in ("SUCCESS", "FAILED")
    report = seen.workflow.cd.log.last(seen.releases["buggy"], SmokeReport)
    assert report is not None
    assert {("daily_revenue", "expect_column_values_to_be_between")} <= {
        (c.model, _expectation(c.name)) for c in report.failed
    }


def _expectation(name: str) -> str:
    return name.split("(")[0].strip()


def test_a_stopped_release_leaves_production_as_it_was_to_the_row(seen: Observed) -> None:
    assert seen.production["buggy"] == seen.production["first"]


def test_a_stopped_release_has_its_artifacts_kept(seen: Observed) -> None:
    assert seen.workflow.cd.store.find("stg", seen.releases["buggy"].id).ok


def test_every_build_event_names_its_artifacts(seen: Observed) -> None:
    cd = seen.workflow.cd
    for built in cd.log.all(seen.releases["first"], Built):
        assert cd.store.get(built.target, built.timestamp).release_id == seen.releases["first"].id


def test_the_rollback_notebook_removes_what_the_first_release_created(
    seen: Observed, workspace: EmbeddedWorkspace
) -> None:
    workflow, release = seen.workflow, seen.releases["first"]
    plan = plan_restore(workflow.cd, release, new_tables="drop")
    submit_notebook(
        workspace.client(OWNER),
        "rollback",
        workflow.notebook_parameters() | {"release_id": release.id, "seal": plan.seal, "new_tables": "drop"},
    )
    assert not workspace.spark.catalog.tableExists(MART)
    assert workflow.cd.log.state(release).phase == "rolled_back"
