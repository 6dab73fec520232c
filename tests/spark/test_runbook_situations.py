"""The blocks of docs/runbook.md that need a situation of their own, each in a small scene that has it.

Tables and release log are real; runs are those of the embedded Jobs API, with notebooks of one line.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from artifact_folders import artifacts, write
from local_rest import Workspace, latest, results, task
from pyspark.sql import SparkSession
from release_context import Releases
from release_scene import Scene
from runbook_blocks import BLOCKS, OF_A_SITUATION

from dbx_cd import ApprovalRequired, Cd, approve, request_approval, require_approval
from dbx_cd.local.workspace import DEVELOPER, OWNER, EmbeddedWorkspace
from dbx_cd.release.events import ClaimWithdrawn, Deployed, Deploying, Failed, Release
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


def opened(releases: Releases, run_id: str) -> tuple[Cd, Release]:
    """A release of which the log holds no more than that it was opened."""
    cd = releases.cd()
    return cd, cd.log.open("a" * 40, run_id=run_id, requester="ci")


def approved(releases: Releases, run_id: str) -> Release:
    release = releases.staged(run_id)
    request = request_approval(releases.cd(), release, target="prod")
    approve(releases.cd(OWNER), request, seal=request.seal)
    return release


def test_every_situation_of_the_runbook_is_tested_here() -> None:
    tested = {"resume", "resume-failed", "rehearse", "restore-without-others", "restore-what-can-be", "rebuild"}
    tested |= {"acknowledge"}
    assert {block.name for block in OF_A_SITUATION} == tested


# Blocks that fit any shift have little to say in a quiet one: here each has something to tell.


def test_a_release_that_waits_is_listed_with_its_seal(releases: Releases) -> None:
    request = request_approval(releases.cd(), releases.staged(), target="prod")
    printed = BLOCKS["waiting"].run({"cd": releases.cd(DEVELOPER)})
    assert printed == f"{request}\n{request.seal}\n"


@pytest.mark.parametrize(("block", "target"), [("staging-build", "stg"), ("prod-build", "prod")])
def test_the_nodes_of_a_failed_build_are_told_with_their_messages(
    releases: Releases, block: str, target: str, tmp_path: Path
) -> None:
    cd, release = opened(releases, "1")
    files = artifacts(tmp_path / "failed", status="error")
    results = json.loads((files / "run_results.json").read_text())
    results["results"][0]["message"] = "no such column: amuont"
    write(files / "run_results.json", results)
    version = cd.store.publish(target, files, commit=release.commit, release_id=release.id)
    lines = BLOCKS[block].run({"cd": cd}).splitlines()
    assert lines[-1] == "model.shop.orders error no such column: amuont"
    if block == "staging-build":
        assert lines[-2] == f"{version} {version.path}"


def test_a_failed_check_is_told_with_its_place(releases: Releases) -> None:
    releases.staged(ok=False)
    printed = BLOCKS["staging-smoke"].run({"cd": releases.cd()})
    assert printed == "smoke of stg failed: 1 fail\nfail: revenue sales.yml:3 None\n"


def test_a_release_that_deploys_is_told_with_its_run(jobs: Workspace, releases: Releases) -> None:
    jobs.repository.commit(stg_build="raise SystemExit('lost')")
    run = jobs.run(jobs.job(task("stg_build"), name="dbx_cd"))
    cd, release = opened(releases, str(run.run_id))
    cd.log.append(release, Deploying("prod"))
    printed = BLOCKS["deploying"].run(on(jobs, cd))
    assert printed.startswith(f"{release} since ")
    assert printed.split()[-2:] == ["TERMINATED", run.run_page_url]


def test_damaged_artifacts_are_listed_and_set_aside_and_what_is_whole_is_served(
    releases: Releases, tmp_path: Path
) -> None:
    cd = releases.cd()
    files = artifacts(tmp_path / "built")
    whole, *damaged = [cd.store.publish("stg", files, commit="a" * 40, latest=True) for _ in range(3)]
    for version in damaged:
        (version.path / "manifest.json").write_text("{}")
    names: dict[str, Any] = {"cd": cd}
    lines = BLOCKS["check-artifacts"].run(names).splitlines()
    assert [line.split(" ")[0] for line in lines] == ["DAMAGED", "DAMAGED", "latest:", "latest:"]
    assert all(str(version.path) in line for version, line in zip(damaged, lines, strict=False))
    assert BLOCKS["set-damaged-aside"].run(names) == f"stg serves {whole}\n"
    assert [version.timestamp for version in cd.store.list("stg")] == [whole.timestamp]


def test_an_altered_log_is_told_with_what_altered_it(releases: Releases) -> None:
    cd, _ = opened(releases, "1")
    cd.spark.sql(f"ALTER TABLE {cd.log.table.quoted} SET TBLPROPERTIES ('delta.appendOnly' = 'false')")
    cd.spark.sql(f"DELETE FROM {cd.log.table.quoted} WHERE kind = 'opened'")
    printed = BLOCKS["log-history"].run({"spark": cd.spark, "cd": cd})
    assert "DELETE" in printed.splitlines()[0]
    assert "|DELETE" in printed
    assert "= opened" in printed, "which rows"
    assert "|WRITE" not in printed


def test_what_an_approver_acknowledged_no_longer_shuts_the_gate(releases: Releases) -> None:
    release = approved(releases, "1")
    cd = releases.cd(OWNER)
    somebody = releases.cd(DEVELOPER)
    somebody.log.append(release, ClaimWithdrawn("prod", "of a test"))
    somebody.spark.sql(f"ALTER TABLE {cd.log.table.quoted} UNSET TBLPROPERTIES ('delta.appendOnly')")
    somebody.spark.sql(f"DELETE FROM {cd.log.table.quoted} WHERE kind = 'claim_withdrawn'")
    with pytest.raises(ApprovalRequired, match="altered"):
        require_approval(releases.cd(), release, target="prod")
    altered, *_, acknowledged = BLOCKS["acknowledge"].run({"cd": cd}).splitlines()
    assert "DELETE" in altered
    assert acknowledged.endswith(f"acknowledged by {OWNER}: rows of a test were deleted")
    require_approval(releases.cd(), release, target="prod")


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


@pytest.mark.deep
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
