"""The notebook `rollback`, run from a terminal by `python -m dbx_cd rollback` on a real release log and real tables."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from databricks.sdk.service.jobs import (
    GitProvider,
    GitSource,
    JobParameterDefinition,
    NotebookTask,
    Source,
    Task,
)
from pyspark.sql import SparkSession
from release_scene import Scene

from dbx_cd.artifacts.archive import ARCHIVE_NAME, pack
from dbx_cd.artifacts.store import ArtifactStore
from dbx_cd.cli.main import main
from dbx_cd.local.workspace import CI, EmbeddedWorkspace
from dbx_cd.release.events import Deployed, Deploying, Release
from dbx_cd.rollback.journal import RestoreResult
from dbx_cd.rollback.plan import plan_restore
from dbx_cd.smoke.report import SmokeReport

SUITE = """
domain: sales
tables:
  - model: a
    expectations:
      - expect_column_values_to_be_between: {column: id, min_value: 0}
        guardrail: true
"""


@dataclass
class Shop:
    """One table, two builds of it in the log, and the Workflow's job."""

    scene: Scene
    release: Release
    job: str

    def command(self, *options: str) -> int:
        return main(["rollback", self.release.id, *options, "--job", self.job])

    def ids(self) -> list[int]:
        return sorted(r.id for r in self.scene.sql("SELECT id FROM @a"))


@pytest.fixture
def shop(
    workspace: EmbeddedWorkspace, spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Shop]:
    scene = Scene.create(spark, "rollback_notebook")
    project, root = tmp_path / "project", tmp_path / "artifacts"
    (project / "smoke").mkdir(parents=True)
    (project / "dbt_project.yml").write_text("name: tiny\nversion: '1.0'\nprofile: tiny\n")
    (project / "dbx_cd.yml").write_text(f"release_log: {scene.log.table}\n")
    (project / "smoke" / "sales.yml").write_text(SUITE)
    for command in ("init -q -b main", "add -A", "-c user.name=T -c user.email=t@example.org commit -q -m shop"):
        subprocess.run(["git", *command.split()], cwd=project, check=True)
    scene.sql("CREATE TABLE @a AS SELECT 1 id")
    publish(scene, ArtifactStore(root), project, tmp_path)
    release, _ = scene.deploy(["a"], lambda: scene.sql("INSERT INTO @a VALUES (-1)"), label="bad")
    for event in (Deploying("prod"), Deployed("prod", "")):
        scene.log.append(release, event)
    client = workspace.client(CI)
    notebook = NotebookTask("notebooks/run_dbt", source=Source.GIT)
    created = client.jobs.create(
        name="small",
        git_source=GitSource(project.as_uri(), GitProvider.GIT_HUB, git_branch="main"),
        tasks=[Task("stg_build", notebook_task=notebook)],
        parameters=[JobParameterDefinition(name="artifacts_root", default=str(root))],
    )
    monkeypatch.setenv("DATABRICKS_HOST", workspace.connection.host)
    monkeypatch.setenv("DATABRICKS_TOKEN", workspace.connection.tokens[CI])
    yield Shop(scene, release, str(created.job_id))
    client.jobs.delete(int(created.job_id or 0))


def publish(scene: Scene, store: ArtifactStore, project: Path, folder: Path) -> None:
    """What production was built from before."""
    files = folder / "build"
    files.mkdir()
    relation = {"database": "prod", "schema": scene.schema, "relation_name": f"`prod`.`{scene.schema}`.`a`"}
    node = {"unique_id": "model.tiny.a", "name": "a", "resource_type": "model", "config": {"materialized": "table"}}
    manifest = {"metadata": {}, "nodes": {"model.tiny.a": node | relation}}
    (files / "manifest.json").write_text(json.dumps(manifest))
    results = [{"unique_id": "model.tiny.a", "status": "success"}]
    (files / "run_results.json").write_text(
        json.dumps({"metadata": {}, "args": {"which": "build"}, "results": results})
    )
    pack(project, files / ARCHIVE_NAME)
    store.publish("prod", files, commit="a" * 40, release_id="earlier", latest=True)


@pytest.mark.deep
def test_from_seal_to_proof_and_smoke_test(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    """What a plan looks like in a terminal is tested with the runbook's blocks."""
    assert shop.command("--seal", "0" * 64) == 1
    assert "the seal is not this plan's" in capsys.readouterr().err
    assert shop.ids() == [-1, 1]

    seal = plan_restore(shop.scene.cd, shop.release).seal
    assert shop.command("--seal", seal, "--reason", "negative ids") == 0
    printed = capsys.readouterr().out
    assert f"{shop.scene.full('a')}, version 1 -> 0: 1 commit since version 0" in printed
    assert "1 relations restored, 0 left as they are (negative ids)" in printed
    assert "schema, layout, comment and properties are those of version 0" in printed
    assert "tiny smoke of prod ok: 1 pass" in printed
    assert shop.ids() == [1]
    log, release = shop.scene.log, shop.release
    result = log.last(release, RestoreResult)
    assert result is not None
    assert result.complete
    (smoked,) = log.events(release.id, kinds=(SmokeReport.KIND,))
    assert smoked.actor == CI
    assert [(c.model, c.status) for c in SmokeReport.read(smoked.record).checks] == [("a", "pass")]
    assert log.last(release, SmokeReport) is None, "whoever rolls back has not opened the release"
    assert (log.state(release).phase, log.state(release).reason) == ("rolled_back", "negative ids")
    assert {e.actor for e in log.events(release.id, kinds=("rolled_back",))} == {CI}
