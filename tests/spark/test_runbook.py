"""Every command of docs/runbook.md, run in its order on a workspace where the shop has two releases in production."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from runbook_blocks import IN_ORDER, Block
from shop_story import Observed, mart_rows

from dbx_cd import open_cd
from dbx_cd.local.run import results_of
from dbx_cd.local.workspace import CI, EmbeddedWorkspace


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
            block.run(self.names)
            return ""
        python = Path(sys.executable).parent
        environment = {
            **os.environ,
            "PATH": f"{python}{os.pathsep}{os.environ['PATH']}",
            "DATABRICKS_HOST": self.workspace.connection.host,
            "DATABRICKS_TOKEN": self.workspace.connection.tokens[CI],
            "COMMIT": self.story.commits["first"],
            "RELEASE": self.story.releases["good"].id,
            "SEAL": self.seal,
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
        overrides={"artifacts_root": str(story.workflow.artifacts_root)},
    )
    yield Shift(workspace, story, {"spark": workspace.spark, "cd": cd})
    workspace.client(CI).jobs.cancel_all_runs(job_id=story.workflow.job_id)


def test_the_runbook_has_blocks_to_run() -> None:
    assert len(IN_ORDER) > 10


@pytest.mark.parametrize("block", IN_ORDER, ids=lambda block: block.name)
def test_block_does_what_the_page_says(shift: Shift, block: Block) -> None:
    printed = shift.run(block)
    CHECKS.get(block.name, lambda _shift, _printed: None)(shift, printed)


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
    assert "tiny smoke of prod ok" in printed


def _the_smoke_suite_of_the_earlier_build_ran(shift: Shift, _printed: str) -> None:
    report = shift.names["report"]
    assert report.ok, report
    assert report.commit == shift.story.commits["first"]
    assert any(check.executed for check in report.checks)


def _retention_is_longer(shift: Shift, _printed: str) -> None:
    rows = shift.workspace.spark.sql("SHOW TBLPROPERTIES prod.shop.daily_revenue").collect()
    assert {r.key: r.value for r in rows}["delta.deletedFileRetentionDuration"] == "interval 30 days"


def _the_earlier_commit_is_in_production(shift: Shift, _printed: str) -> None:
    workflow, run = shift.story.workflow, shift.names["run"]
    results = results_of(workflow.wait(run))
    assert (results["approval_gate"], results["docs_refresh"]) == ("SUCCESS", "SUCCESS")
    release = workflow.cd.log.for_run(str(run.run_id))
    assert (release.commit, release.reason) == (shift.story.commits["first"], "roll the code back")
    assert mart_rows(shift.workspace) == shift.story.production["first"]


def _a_run_was_started(shift: Shift, printed: str) -> None:
    (run_id,) = re.findall(r"run (\d+) of job", printed)
    jobs = shift.workspace.client(CI).jobs
    parameters = {p.name: p.value for p in jobs.get_run(int(run_id)).job_parameters or []}
    assert parameters["commit"] == shift.story.commits["first"]
    jobs.cancel_run(int(run_id))


CHECKS = {
    "data-rollback-terminal-plan": _a_plan_was_printed_and_nothing_changed,
    "data-rollback-terminal": _only_that_table_is_back_and_it_is_said,
    "data-rollback-smoke": _the_smoke_suite_of_the_earlier_build_ran,
    "extend-retention": _retention_is_longer,
    "data-rollback-some": _only_that_table_is_back,
    "data-rollback": _all_rows_are_those_before,
    "code-rollback": _the_earlier_commit_is_in_production,
    "code-rollback-terminal": _a_run_was_started,
    "rebuild-terminal": _a_run_was_started,
}
