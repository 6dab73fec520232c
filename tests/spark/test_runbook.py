"""Every command of docs/runbook.md, run in its order on a workspace where the shop has two releases in production."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from runbook_blocks import IN_ORDER, Block
from shop_story import Observed, mart_rows

from dbx_cd import open_cd
from dbx_cd.local.run import results_of
from dbx_cd.local.workspace import CI, OWNER, RELEASE_BOT, EmbeddedWorkspace


@dataclass
class Shift:
    """An SRE's session: one namespace that the blocks share."""

    workspace: EmbeddedWorkspace
    story: Observed
    names: dict[str, Any] = field(default_factory=dict)
    seal: str = ""

    def run(self, block: Block) -> str:
        """Run a block; returns what it printed."""
        if block.language == "python":
            return block.run(self.names)
        python = Path(sys.executable).parent
        environment = {
            **os.environ,
            "PATH": f"{python}{os.pathsep}{os.environ['PATH']}",
            "DATABRICKS_HOST": self.workspace.connection.host,
            "DATABRICKS_TOKEN": self.workspace.connection.tokens[CI],
            "COMMIT": self.story.commits["first"],
            "RELEASE": self.story.releases["good"].id,
            "SEAL": self.seal,
            "ARTIFACTS": str(self.story.workflow.artifacts_root),
        }
        done = subprocess.run(
            ["bash", "-euc", block.text], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def shift(workspace: EmbeddedWorkspace, story: Observed) -> Iterator[Shift]:
    cd = open_cd(
        workspace.spark,
        project_dir=story.workflow.project.repository,
        workspace=workspace.client(CI),
        overrides={
            "artifacts_root": str(story.workflow.artifacts_root),
            # The last commit of the story takes the gate away: no checkout that an SRE would work in.
            "targets": {"stg": {}, "prod": {"gate": "approval", "defer_to": "stg"}},
        },
    )
    yield Shift(workspace, story, {"spark": workspace.spark, "cd": cd})
    workspace.client(CI).jobs.cancel_all_runs(job_id=story.workflow.job_id)


def test_every_block_is_looked_at() -> None:
    assert [block.name for block in IN_ORDER] == list(CHECKS)


@pytest.mark.parametrize("block", IN_ORDER, ids=lambda block: block.name)
def test_block_does_what_the_page_says(shift: Shift, block: Block) -> None:
    printed = shift.run(block)
    CHECKS[block.name](shift, printed)


def _the_targets_are_named(_shift: Shift, printed: str) -> None:
    assert printed == "targets: stg prod\n"


def _every_release_is_listed_and_who_did_what_in_the_newest(shift: Shift, printed: str) -> None:
    *lines, page = printed.splitlines()
    expected = [("good", "deployed"), ("buggy", "failed"), ("first", "deployed")]
    releases = [(shift.story.releases[label], phase) for label, phase in expected]
    assert [line.split()[:3] for line in lines[:3]] == [[r.id, r.commit[:12], phase] for r, phase in releases]
    done = [line.split()[3:5] for line in lines[3:]]
    assert [kind for kind, _ in done] == [
        *("opened", "built", "smoked", "deploy_planned", "approval_requested", "approved"),
        *("deploying", "restore_point", "built_versions", "built", "deployed", "smoked", "docs_published"),
    ]
    assert {kind: actor for kind, actor in done if actor != RELEASE_BOT} == {"approved": OWNER}
    assert page.endswith(f"/runs/{shift.story.releases['good'].run_id}")


def _staging_and_production_are_compared(shift: Shift, printed: str) -> None:
    store = shift.story.workflow.cd.store
    names = [f"{version.target}/{version.timestamp}" for version in (store.latest("prod"), store.latest("stg"))]
    first, second = printed.splitlines()[:2]
    assert first == f"from {names[0]} to {names[1]}"
    assert second == str(store.diff(store.latest("prod"), store.latest("stg")))


def _nothing_is_printed(_shift: Shift, printed: str) -> None:
    assert printed == ""


def _the_newest_staging_build_is_named_and_no_node_of_it(shift: Shift, printed: str) -> None:
    version = shift.story.workflow.cd.store.find("stg", shift.story.releases["good"].id)
    assert printed == f"{version} {version.path}\n"


def _both_smoke_reports_are_printed_and_no_failed_check(_shift: Shift, printed: str) -> None:
    staging, production = printed.splitlines()
    assert staging.startswith("smoke of stg ok: ")
    assert production.startswith("tiny smoke of prod ok: ")


def _events_and_every_node_of_production_are_printed(shift: Shift, printed: str) -> None:
    lines = printed.splitlines()
    assert [line.split()[0] for line in lines[:4]] == ["built", "restore_point", "built", "deployed"]
    version = shift.story.workflow.cd.store.find("prod", shift.story.releases["good"].id)
    assert lines[4] == f"{version} {version.path}"
    ran = version.run_results().results
    assert [line.split() for line in lines[5:]] == [[node.unique_id, node.status] for node in ran]
    assert ["model.shop.daily_revenue", "success"] in [line.split() for line in lines[5:]]


def _the_plan_of_the_newest_release_is_printed_with_its_seal(shift: Shift, printed: str) -> None:
    first, *lines, seal = printed.splitlines()
    assert first.startswith(f"restore plan of release {shift.story.releases['good'].id}: ")
    assert seal == f"seal: {shift.names['plan'].seal}"
    actions = {words[1].rstrip(",:"): words[0] for words in map(str.split, lines)}
    assert actions["prod.shop.orders"] == "restore"
    assert actions["prod.shop.daily_revenue"] == "none", "it is back already"


def _the_release_before_the_one_that_was_taken_back_is_named(shift: Shift, printed: str) -> None:
    first = shift.story.releases["first"]
    assert printed == f"{first}\n{first.commit}\n"


def _nothing_is_damaged_and_latest_is_what_is_in_place(shift: Shift, printed: str) -> None:
    store = shift.story.workflow.cd.store
    before = store.find("prod", shift.story.releases["first"].id)
    assert printed.splitlines() == [f"latest: {store.list('stg')[-1]}", f"latest: {before}"]


def _nothing_is_set_aside(shift: Shift, printed: str) -> None:
    assert printed == ""
    assert all((shift.story.workflow.cd.store.root / target / "latest.json").is_file() for target in ("stg", "prod"))


def _the_log_is_said_not_to_be_altered(_shift: Shift, printed: str) -> None:
    lines = printed.splitlines()
    assert lines[0] == "no alteration to look at"
    assert "|CREATE TABLE" in printed
    assert "|WRITE" not in printed


def _all_rows_are_those_before(shift: Shift, _printed: str) -> None:
    release = shift.story.releases["good"]
    assert shift.names["result"].ok
    assert mart_rows(shift.workspace) == shift.story.production["first"]
    assert shift.story.workflow.cd.log.state(release).phase == "rolled_back"


def _only_that_table_is_back(shift: Shift, _printed: str) -> None:
    assert mart_rows(shift.workspace) == shift.story.production["first"]
    assert shift.story.workflow.cd.log.state(shift.story.releases["good"]).phase == "deployed"


def _a_plan_was_printed_and_nothing_changed(shift: Shift, printed: str) -> None:
    assert "daily_revenue, version" in printed
    (shift.seal,) = re.findall(r"^seal: ([0-9a-f]{64})$", printed, re.M)
    assert mart_rows(shift.workspace) != shift.story.production["first"]


def _only_that_table_is_back_and_it_is_said(shift: Shift, printed: str) -> None:
    _only_that_table_is_back(shift, printed)
    assert "1 relations restored" in printed
    assert "(revenue is wrong since last night)" in printed
    assert "tiny smoke of prod (select model.shop.daily_revenue) ok" in printed


def _the_smoke_suite_of_the_earlier_build_ran(shift: Shift, _printed: str) -> None:
    report = shift.names["report"]
    assert report.ok, report
    assert report.commit == shift.story.commits["first"]
    assert any(check.executed for check in report.checks)


def _retention_is_longer(shift: Shift, _printed: str) -> None:
    rows = shift.workspace.spark.sql("SHOW TBLPROPERTIES prod.shop.daily_revenue").collect()
    assert {r.key: r.value for r in rows}["delta.deletedFileRetentionDuration"] == "interval 30 days"


def _a_run_was_started(shift: Shift, printed: str, *, reason: str = "roll the code back") -> None:
    (run_id,) = re.findall(r"run (\d+) of job", printed)
    jobs = shift.workspace.client(CI).jobs
    parameters = {p.name: p.value for p in jobs.get_run(int(run_id)).job_parameters or []}
    assert (parameters["commit"], parameters["reason"]) == (shift.story.commits["first"], reason)
    jobs.cancel_run_and_wait(int(run_id))


CHECKS = {
    "targets": _the_targets_are_named,
    "first-look": _every_release_is_listed_and_who_did_what_in_the_newest,
    "diff": _staging_and_production_are_compared,
    "waiting": _nothing_is_printed,
    "staging-build": _the_newest_staging_build_is_named_and_no_node_of_it,
    "staging-smoke": _both_smoke_reports_are_printed_and_no_failed_check,
    "prod-build": _events_and_every_node_of_production_are_printed,
    "data-rollback-terminal-plan": _a_plan_was_printed_and_nothing_changed,
    "data-rollback-terminal": _only_that_table_is_back_and_it_is_said,
    "data-rollback-plan": _the_plan_of_the_newest_release_is_printed_with_its_seal,
    "data-rollback-some": _only_that_table_is_back,
    "data-rollback": _all_rows_are_those_before,
    "data-rollback-smoke": _the_smoke_suite_of_the_earlier_build_ran,
    "code-rollback-commit": _the_release_before_the_one_that_was_taken_back_is_named,
    "code-rollback": _a_run_was_started,
    "code-rollback-terminal": _a_run_was_started,
    "rebuild-terminal": partial(_a_run_was_started, reason="rebuild"),
    "extend-retention": _retention_is_longer,
    "deploying": _nothing_is_printed,
    "check-artifacts": _nothing_is_damaged_and_latest_is_what_is_in_place,
    "set-damaged-aside": _nothing_is_set_aside,
    "log-history": _the_log_is_said_not_to_be_altered,
}


@pytest.mark.deep
def test_the_run_of_a_code_rollback_needs_no_second_approval(workspace: EmbeddedWorkspace, story: Observed) -> None:
    workflow = story.workflow
    run = workflow.release(story.commits["first"], reason="roll the code back")
    results = results_of(workflow.wait(run))
    assert (results["approval_gate"], results["docs_refresh"]) == ("SUCCESS", "SUCCESS")
    assert mart_rows(workspace) == story.production["first"]
