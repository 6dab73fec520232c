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
from shop_story import Observed, mart_rows

from dbx_cd import open_cd
from dbx_cd.local.run import results_of
from dbx_cd.local.workspace import CI, EmbeddedWorkspace

RUNBOOK = Path(__file__).resolve().parents[2] / "docs" / "runbook.md"
BLOCK = re.compile(r"<!-- run: ([\w-]+)(?:; when: ([^>]*?))? -->\n```(python|sh)\n(.*?)```", re.S)


@dataclass(frozen=True)
class Block:
    """An executable block of the runbook."""

    name: str
    when: str
    language: str
    text: str


BLOCKS = [Block(*match) for match in BLOCK.findall(RUNBOOK.read_text(encoding="utf-8"))]
# Those that need a situation of their own are run by the tests of that situation (test_restore*, test_repairs).
IN_ORDER = [block for block in BLOCKS if not block.when]


@dataclass
class Shift:
    """An SRE's session: one namespace that the blocks share."""

    workspace: EmbeddedWorkspace
    story: Observed
    names: dict[str, Any] = field(default_factory=dict)

    def run(self, block: Block) -> str:
        """Run a block; returns what it printed."""
        if block.language == "python":
            exec(compile(block.text, f"runbook: {block.name}", "exec"), self.names)
            return ""
        python = Path(sys.executable).parent
        environment = {
            **os.environ,
            "PATH": f"{python}{os.pathsep}{os.environ['PATH']}",
            "DATABRICKS_HOST": self.workspace.connection.host,
            "DATABRICKS_TOKEN": self.workspace.connection.tokens[CI],
            "COMMIT": self.story.commits["first"],
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
    "data-rollback-some": _only_that_table_is_back,
    "data-rollback": _all_rows_are_those_before,
    "code-rollback": _the_earlier_commit_is_in_production,
    "code-rollback-terminal": _a_run_was_started,
    "rebuild-terminal": _a_run_was_started,
}
