"""The whole Workflow, as `shop_story` tells it: what was seen at each step."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from shop_story import Observed

from dbx_cd import (
    ApprovalNotAllowed,
    ApprovalRequest,
    ApprovalStale,
    Decision,
    RestorePoint,
    SmokeReport,
)
from dbx_cd.delta.spark_tables import SparkTables
from dbx_cd.local.workspace import CI, DEVELOPER, OWNER, EmbeddedWorkspace
from dbx_cd.plan.comparison import Comparison
from dbx_cd.plan.losses import losses_of
from dbx_cd.release.anchor import read_anchor
from dbx_cd.release.events import Built

ORDER = ["stg_build", "stg_smoke", "approval_gate", "prod_build", "prod_smoke", "docs_refresh", "auto_rollback"]


def test_tasks_run_in_the_order_of_the_mission_up_to_the_gate(story: Observed) -> None:
    assert list(story.results["waiting"]) == ORDER
    assert story.results["waiting"]["stg_smoke"] == "SUCCESS"
    assert story.results["waiting"]["approval_gate"] == "FAILED"


def test_auto_rollback_does_nothing_while_an_approval_is_waited_for(story: Observed) -> None:
    assert story.results["waiting"]["auto_rollback"] == "SUCCESS"


def test_prod_build_repaired_alone_runs_and_refuses_without_an_approval(story: Observed) -> None:
    assert story.results["prod_build alone"]["prod_build"] == "FAILED"
    assert "waiting for approval" in story.said_by_prod_build_alone
    assert not story.built_by_prod_build_alone


@pytest.mark.parametrize("who", [DEVELOPER, CI])
def test_only_an_approver_who_did_not_ask_may_approve(story: Observed, who: str) -> None:
    assert isinstance(story.refusals[who], ApprovalNotAllowed)


def test_another_seal_than_the_request_s_is_refused(story: Observed) -> None:
    assert isinstance(story.refusals["another seal"], ApprovalStale)


def test_production_gets_the_approved_archive_although_the_checkout_moved(story: Observed) -> None:
    results = story.results["first"]
    assert results.pop("auto_rollback") == "EXCLUDED"
    assert set(results.values()) == {"SUCCESS"}
    archive = story.workflow.cd.store.find("prod", story.releases["first"].id).file("project.tar.gz")
    assert archive.read_bytes() == (
        story.workflow.cd.store.find("stg", story.releases["first"].id).file("project.tar.gz").read_bytes()
    )
    revenue = story.columns["first"].index("revenue")
    assert min(row[revenue] for row in story.production["first"]) >= 0


def test_the_decision_names_the_person_the_platform_knows(story: Observed) -> None:
    decision = story.workflow.cd.log.last(story.releases["first"], Decision)
    assert decision is not None
    assert (decision.outcome, decision.actor) == ("approved", OWNER)


def test_a_run_that_overrides_what_its_job_has_settled_builds_nothing(story: Observed) -> None:
    assert "this run overrides the parameter artifacts_root: '/tmp/mine' in place of" in story.overriding
    assert len(story.workflow.cd.log.history().rows) == len(story.releases)


def test_a_commit_that_takes_the_gate_away_waits_at_it_and_is_told(story: Observed, spark: SparkSession) -> None:
    request = story.workflow.cd.log.last(story.releases["good"], ApprovalRequest)
    assert request is not None
    assert request.approvers == "dbx_cd_approvers"
    mind = "\n".join(request.mind)
    assert "release_log is ops.mine.release_log in dbx_cd.yml; ops.dbt_meta.release_log counts" in mind
    assert "prod has no gate in dbx_cd.yml; it is gated, by the job's definition" in mind
    assert "dbx_cd.yml: approvers was dbx_cd_approvers, and is everybody" in mind
    assert not spark.catalog.tableExists("ops.mine.release_log")


def test_the_volume_remembers_which_table_is_the_log(story: Observed) -> None:
    anchor = read_anchor(story.workflow.artifacts_root)
    assert anchor is not None
    assert (anchor.table, anchor.table_id) == (str(story.workflow.cd.log.table), story.workflow.cd.log.table_id)
    assert not story.workflow.cd.log.tampering()


def test_a_release_that_nobody_approves_waits_and_says_once_what_to_type(story: Observed) -> None:
    request = story.workflow.cd.log.last(story.releases["good"], ApprovalRequest)
    assert request is not None
    (told,) = story.told
    assert f"waits for approval. From another terminal:\n  {sys.executable} -m dbx_cd.local approve" in told
    assert f"{request.release.id} --seal {request.seal}" in told
    assert not story.built_when_told


def test_what_it_says_approves_the_release_from_another_process(story: Observed) -> None:
    release = story.releases["good"]
    assert story.typed is not None
    assert (story.typed.returncode, story.typed.stdout) == (0, f"{release.id}: approved by {OWNER}\n"), story.typed
    decision = story.workflow.cd.log.last(release, Decision)
    assert decision is not None
    assert (decision.outcome, decision.actor) == ("approved", OWNER)


def test_a_release_that_was_waited_for_is_followed_to_its_end(story: Observed) -> None:
    assert {result for task, result in story.results["good"].items() if task != "auto_rollback"} == {"SUCCESS"}


def test_production_defers_to_the_pinned_staging_artifacts_of_the_release(story: Observed) -> None:
    cd, release = story.workflow.cd, story.releases["first"]
    nodes = cd.store.find("prod", release.id).manifest().nodes.values()
    compiled = {node.name: str(node.raw.get("compiled_code")) for node in nodes}
    assert "`stg`.`staging`.`stg_orders`" in compiled["orders"]
    assert "`prod`.`shop`.`orders`" in compiled["daily_revenue"]
    request = cd.log.last(release, ApprovalRequest)
    assert request is not None
    assert request.state_timestamp == cd.store.find("stg", release.id).timestamp


def test_the_heavy_leaf_is_built_in_production_only(story: Observed, workspace: EmbeddedWorkspace) -> None:
    assert workspace.spark.catalog.tableExists("prod.shop.customer_sessions")
    assert not workspace.spark.catalog.tableExists("stg.shop.customer_sessions")


def test_the_restore_point_is_in_the_log_before_production_changes(story: Observed) -> None:
    kinds = [event.kind for event in story.workflow.cd.log.events(story.releases["first"].id)]
    assert kinds.index("restore_point") < len(kinds) - 1 - kinds[::-1].index("built")
    point = story.workflow.cd.log.last(story.releases["first"], RestorePoint)
    assert point is not None
    assert "prod.shop.orders" in {state.name for state in point.relations}


def test_the_gate_shows_what_a_rollback_could_bring_back(story: Observed) -> None:
    pages = {
        label: (story.workflow.artifacts_root / "releases" / story.releases[label].id / "rollback-readiness-prod.html")
        for label in ("first", "good")
    }
    assert "prod has no build yet" in pages["first"].read_text()
    assert "prod.shop.orders" in pages["good"].read_text()
    assert "restorable" in pages["good"].read_text()


def test_each_build_has_a_page_of_when_its_nodes_ran(story: Observed) -> None:
    folder = story.workflow.artifacts_root / "releases" / story.releases["good"].id
    for target in ("stg", "prod"):
        page = (folder / f"timeline-{target}.html").read_text(encoding="utf-8")
        assert "daily_revenue" in page
        assert "s the time before" in page


def test_docs_and_manifest_are_published(story: Observed) -> None:
    assert story.docs["release_id"] == story.releases["good"].id
    site = Path(story.docs["path"])
    assert {"index.html", "static_index.html", "manifest.json", "catalog.json"} <= {p.name for p in site.iterdir()}
    assert "daily_revenue" in (site / "catalog.json").read_text()
    lineage = story.workflow.artifacts_root / "prod" / "lineage"
    assert {p.name for p in lineage.iterdir()} == {"manifest.json", "catalog.json", "run_results.json"}
    assert "daily_revenue" in (lineage / "catalog.json").read_text()


def test_latest_holds_copies_of_the_newest_build(story: Observed) -> None:
    assert story.latest_release == story.releases["good"].id
    version = story.workflow.cd.store.latest("prod")
    assert (story.workflow.artifacts_root / "prod" / "latest" / "manifest.json").read_bytes() == version.file(
        "manifest.json"
    ).read_bytes()


def test_a_bug_that_dbt_s_tests_do_not_see_is_stopped_by_the_staging_smoke_test(story: Observed) -> None:
    results = story.results["buggy"]
    assert (results["stg_build"], results["stg_smoke"]) == ("SUCCESS", "FAILED")
    assert results["prod_build"] not in ("SUCCESS", "FAILED")
    report = story.workflow.cd.log.last(story.releases["buggy"], SmokeReport)
    assert report is not None
    assert {("daily_revenue", "expect_column_values_to_be_between")} <= {
        (c.model, _expectation(c.name)) for c in report.failed
    }


def _expectation(name: str) -> str:
    return name.split("(")[0].strip()


def test_a_stopped_release_leaves_production_as_it_was_to_the_row(story: Observed) -> None:
    assert story.production["buggy"] == story.production["first"]


def test_a_good_change_goes_to_production(story: Observed) -> None:
    assert story.results["good"]["docs_refresh"] == "SUCCESS"
    assert "average_order_amount" not in story.columns["first"]
    assert "average_order_amount" in story.columns["good"]


def test_a_stopped_release_has_its_artifacts_kept(story: Observed) -> None:
    assert story.workflow.cd.store.find("stg", story.releases["buggy"].id).ok


def test_every_build_event_names_its_artifacts(story: Observed) -> None:
    cd = story.workflow.cd
    for built in cd.log.all(story.releases["first"], Built):
        assert cd.store.get(built.target, built.timestamp).release_id == story.releases["first"].id


def test_the_last_release_once_more_would_take_nothing_from_production(story: Observed, spark: SparkSession) -> None:
    store, release = story.workflow.cd.store, story.releases["good"].id
    manifest, staged_manifest = (store.find(target, release).manifest() for target in ("prod", "stg"))
    tables = SparkTables.of(spark)
    there, staged = (
        [node.relation for node in manifest.relations.values() if node.relation]
        for manifest in (manifest, staged_manifest)
    )
    selected = [result.unique_id for result in store.find("prod", release).run_results().results]
    entries, settings = tables.entries(there), tables.settings(there)
    assert len([entry for entry in entries.values() if entry.kind != "missing"]) > 3
    compared = Comparison(
        manifest, selected, entries, settings,
        before=manifest, staged_manifest=staged_manifest, staged=tables.entries(staged),
    )  # fmt: skip
    assert losses_of(compared) == ()
