"""dbt is the judge: what it says of each data test on real tables, the smoke test says when it runs the test itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from smoke_builds import Build
from verdict_project import write_project

from dbx_cd.local.workspace import EmbeddedWorkspace
from dbx_cd.smoke.contracts import contracts_from_manifest
from dbx_cd.smoke.plan import BY_DBT
from dbx_cd.smoke.report import SmokeReport
from dbx_cd.smoke.run import run_smoke
from dbx_cd.sql_endpoint.profile import connection_block, with_connection

# dbt ends a test with an error that is broken here.
CASE = Path(__file__).resolve().parents[2] / "fixtures" / "cases" / "07-test-thresholds" / "base" / "models"

STATUS = {"pass": "pass", "warn": "warn", "fail": "fail", "error": "broken"}
# Why a data test that dbt has not compiled cannot be executed here.
REASONS = ("is a template", "has no translation", "singular test", "of the project's own")


def dbt_build(workspace: EmbeddedWorkspace, project: Path) -> Build:
    """What one `dbt build` of a project leaves, whatever came of its tests."""
    profiles = with_connection(
        project, connection_block(workspace.endpoint), out_dir=project.parent / "profiles"
    ).parent
    target = project.parent / "target"
    command = [sys.executable, "-m", "dbt.cli.main", "--quiet", "build", "--profiles-dir", str(profiles)]
    command += ["--target-path", str(target), "--log-path", str(target)]
    environment = {
        **os.environ,
        **workspace.endpoint.client_environment(),
        "DBT_ENGINE_SEND_ANONYMOUS_USAGE_STATS": "false",
    }
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return Build(target, "stg")


@dataclass
class Judged:
    """The same data tests, by dbt and here."""

    workspace: EmbeddedWorkspace
    build: Build

    @property
    def by_dbt(self) -> dict[str, str]:
        names = {n.unique_id: n.name for n in self.build.manifest().nodes.values() if n.resource_type == "test"}
        results = {r.unique_id: r for r in self.build.run_results().results}
        return {name: STATUS[results[unique_id].status] for unique_id, name in names.items()}

    def here(self, names: Collection[str]) -> SmokeReport:
        """Of those tests, with what dbt has compiled."""
        return self._run(self.build, names)

    @cached_property
    def not_run_by_dbt(self) -> SmokeReport:
        """Of the same build, had dbt left out its tests: then it has not compiled them either."""
        folder = self.build.path.parent / "not-run"
        folder.mkdir(exist_ok=True)
        manifest, results = (
            json.loads((self.build.path / name).read_text()) for name in ("manifest.json", "run_results.json")
        )
        for node in manifest["nodes"].values():
            if node["resource_type"] == "test":
                node.pop("compiled_code", None)
        results["results"] = [r for r in results["results"] if not r["unique_id"].startswith("test.")]
        for name, document in (("manifest.json", manifest), ("run_results.json", results)):
            (folder / name).write_text(json.dumps(document), encoding="utf-8")
        return self._run(Build(folder, "stg"), self.by_dbt)

    def _run(self, build: Build, names: Collection[str]) -> SmokeReport:
        suite = contracts_from_manifest(build.manifest())
        suites = [replace(suite, checks=tuple(check for check in suite if check.name in names))]
        return run_smoke(suites, spark=self.workspace.spark, artifacts=build, recheck=True, check=False)


def judged(workspace: EmbeddedWorkspace, folder: Path, *, seed: int, count: int) -> Judged:
    write_project(folder / "project", seed=seed, count=count, schema=f"verdicts_{seed}", beside=CASE)
    return Judged(workspace, dbt_build(workspace, folder / "project"))


def differences(report: SmokeReport, expected: dict[str, str]) -> dict[str, Any]:
    """The checks whose status is another than dbt's."""
    found = {c.name: (c.status, c.reason) for c in report.checks}
    assert set(found) == set(expected)
    return {name: (expected[name], *found[name]) for name in expected if found[name][0] != expected[name]}


@pytest.fixture(scope="module")
def few(workspace: EmbeddedWorkspace, tmp_path_factory: pytest.TempPathFactory) -> Judged:
    """The case and those that no seed may leave out."""
    return judged(workspace, tmp_path_factory.mktemp("few"), seed=0, count=0)


def agree(found: Judged) -> None:
    """Every status is dbt's, and nearly every test was executed here, without what dbt compiled or else with it."""
    assert set(Counter(found.by_dbt.values())) == {"pass", "warn", "fail", "broken"}
    alone = found.not_run_by_dbt
    skipped = {c.name: str(c.reason) for c in alone.checks if c.status == "skipped"}
    assert {name: kept for name, kept in differences(alone, found.by_dbt).items() if name not in skipped} == {}
    assert [reason for reason in skipped.values() if not any(known in reason for known in REASONS)] == []
    assert len(skipped) < max(5, len(found.by_dbt) / 10), skipped
    compiled = found.here(skipped)
    assert differences(compiled, {name: found.by_dbt[name] for name in skipped}) == {}
    assert [c.name for c in compiled.checks if c.reason and c.reason.startswith(BY_DBT)] == []


THRESHOLDS = {
    "t1_error_if_3": "fail",
    "t2_error_if_4": "warn",
    "t3_warn_severity_error_if": "warn",
    "t4_warn_if_10": "pass",
    "t5_where": "pass",
    "t6_where_template": "pass",
    "t7_limit": "warn",
    "t8_between": "warn",
    "t9_fail_calc": "pass",
    "ta_stored": "pass",
}


def test_thresholds_of_the_case_have_the_status_that_dbt_s_documentation_says(few: Judged) -> None:
    found = {c.name: (c.status, c.reason) for c in few.not_run_by_dbt.checks if c.model == "forms"}
    assert found == {name: (status, None) for name, status in THRESHOLDS.items()}


def test_data_tests_have_the_status_that_dbt_gives_them(few: Judged) -> None:
    agree(few)


# The sixty are by a seed whose tests hold each kind by which the three hundred once differed from dbt.
@pytest.mark.deep
@pytest.mark.parametrize(("seed", "count"), [(516, 60), (2, 300)])
def test_configurations_at_random_have_the_status_that_dbt_gives_them(
    workspace: EmbeddedWorkspace, tmp_path: Path, seed: int, count: int
) -> None:
    agree(judged(workspace, tmp_path, seed=seed, count=count))
