"""The blocks of docs/runbook.md that need a situation of their own, each in a small scene that has it.

Tables and release log are real; runs are those of the embedded Jobs API, with notebooks of one line.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from local_rest import Workspace, latest, results, task
from pyspark.sql import SparkSession
from release_context import Releases
from release_scene import Scene
from runbook_blocks import BLOCKS, OF_A_SITUATION

from dbx_cd import Cd, approve, request_approval
from dbx_cd.local.workspace import OWNER, EmbeddedWorkspace
from dbx_cd.release.events import Deployed, Deploying, Failed, Release
from dbx_cd.rollback.journal import RestoreResult
from dbx_cd.rollback.rehearsal import Rehearsal

UNTIL_APPROVED = """
from pathlib import Path
if not Path("{flag}").exists():
    raise RuntimeError("{why}")
"""


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Workspace]:
    place = Workspace(tmp_path / "jobs")
    yield place
    place.server.stop()


@pytest.fixture
def releases(workspace: EmbeddedWorkspace, tmp_path: Path) -> Releases:
    return Releases(workspace, tmp_path / "releases")


@pytest.fixture
def scene(spark: SparkSession, request: pytest.FixtureRequest) -> Scene:
    return Scene.create(spark, request.node.name.removeprefix("test_")[:60])


def stopped_run(jobs: Workspace, flag: Path, *, at: str) -> str:
    """A run of a Workflow of three tasks that has stopped at one of them, until a file is there."""
    notebooks = dict.fromkeys(("stg_build", "approval_gate", "prod_build"), "pass")
    jobs.repository.commit(**notebooks | {at: UNTIL_APPROVED.format(flag=flag, why=f"stopped at {at}")})
    tasks = [task("stg_build"), task("approval_gate", "stg_build"), task("prod_build", "approval_gate")]
    run = jobs.run(jobs.job(*tasks, name="dbx_cd"))
    assert results(run)[at] == "FAILED"
    return str(run.run_id)


def on(jobs: Workspace, cd: Cd) -> dict[str, Any]:
    """What a block finds: `spark`, and `cd` with the jobs of this test."""
    return {"spark": cd.spark, "cd": replace(cd, workspace=jobs.owner)}


def approved(releases: Releases, run_id: str) -> Release:
    release = releases.staged(run_id)
    request = request_approval(releases.cd(), release, target="prod")
    approve(releases.cd(OWNER), request, seal=request.seal)
    return release


def test_every_situation_of_the_runbook_is_tested_here() -> None:
    tested = {"resume", "resume-failed", "rehearse", "restore-without-others", "restore-what-can-be", "rebuild"}
    assert {block.name for block in OF_A_SITUATION} == tested


def test_resume_lets_a_run_whose_release_is_approved_go_on(jobs: Workspace, releases: Releases, tmp_path: Path) -> None:
    flag = tmp_path / "approved"
    run_id = stopped_run(jobs, flag, at="approval_gate")
    approved(releases, run_id)
    flag.touch()
    BLOCKS["resume"].run(on(jobs, releases.cd()))
    run = jobs.finished(int(run_id))
    assert results(run) == dict.fromkeys(("stg_build", "approval_gate", "prod_build"), "SUCCESS")
    assert latest(run)["stg_build"].attempt_number == 0, "staging is not built again"


def test_resume_after_a_failed_build_builds_again_what_was_approved(
    jobs: Workspace, releases: Releases, tmp_path: Path
) -> None:
    flag = tmp_path / "warehouse is back"
    run_id = stopped_run(jobs, flag, at="prod_build")
    release = approved(releases, run_id)
    cd = releases.cd()
    cd.log.append(release, Deploying("prod"))
    cd.log.append(release, Failed("prod", "no warehouse"))
    flag.touch()
    BLOCKS["resume-failed"].run(on(jobs, cd))
    assert results(jobs.finished(int(run_id)))["prod_build"] == "SUCCESS"


def deployed(scene: Scene, label: str, *statements: str) -> Release:
    """A release that is deployed, and has changed the tables `a` and `b`."""
    release, _ = scene.deploy(["a", "b"], lambda: scene.sql(*statements), label=label)
    scene.log.append(release, Deploying("prod"))
    scene.log.append(release, Deployed("prod", ""))
    return release


def ids(scene: Scene, name: str) -> list[int]:
    return sorted(r.id for r in scene.sql("SELECT id FROM @@", this=name))


def test_what_others_wrote_is_kept_and_the_rest_is_restored(scene: Scene) -> None:
    scene.sql("CREATE TABLE @a AS SELECT 1 id", "CREATE TABLE @b AS SELECT 1 id")
    release = deployed(scene, "bad", "INSERT INTO @a VALUES (-1)", "INSERT INTO @b VALUES (-1)")
    scene.sql("INSERT INTO @b VALUES (5)")
    BLOCKS["restore-without-others"].run({"spark": scene.spark, "cd": scene.cd})
    assert (ids(scene, "a"), ids(scene, "b")) == ([1], [-1, 1, 5])
    result = scene.log.last(release, RestoreResult)
    assert result is not None
    assert result.reason == "wrong numbers; others' writes are kept"


def test_what_cannot_be_restored_is_left_out_rehearsed_and_then_built_again(scene: Scene, jobs: Workspace) -> None:
    jobs.repository.commit(stg_build="pass")
    declared = [{"name": name, "default": ""} for name in ("commit", "reason", "full_refresh")]
    job = jobs.job(task("stg_build"), name="dbx_cd", parameters=declared)
    scene.sql("CREATE TABLE @a AS SELECT 1 id", "CREATE TABLE @b AS SELECT 1 id")
    good = scene.log.open(jobs.repository.commit(stg_build="print(1)"), run_id="good", requester="ci")
    scene.log.append(good, Deploying("prod"))
    scene.log.append(good, Deployed("prod", ""))
    bad = deployed(scene, "bad", "INSERT INTO @a VALUES (-1)", "DROP TABLE @b", "CREATE VIEW @b AS SELECT 1 id")
    names = on(jobs, scene.cd)
    names["release"] = bad

    BLOCKS["rehearse"].run(names)
    rehearsal = scene.log.last(bad, Rehearsal)
    assert rehearsal is not None
    assert {r.name.rpartition(".")[2]: r.outcome for r in rehearsal.relations} == {"a": "proved", "b": "failed"}
    assert ids(scene, "a") == [-1, 1], "production was only read"

    BLOCKS["restore-what-can-be"].run(names)
    assert ids(scene, "a") == [1]

    BLOCKS["rebuild"].run(names)
    run = jobs.finished(names["run"].run_id)
    assert run.job_id == job
    given = {p.name: p.value for p in run.job_parameters or []}
    assert given == {"commit": good.commit, "full_refresh": "true", "reason": f"rebuild after {bad.id}"}
