"""`compute: cluster`: real dbt through an endpoint that the library makes over the notebook's session, and no other."""

from __future__ import annotations

import json
import os
import socket
import threading
import uuid
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from pyspark.sql import SparkSession

from dbx_cd import ArtifactStore, Cd, CdConfig, ConfigError, DbtFailed, ReleaseLog, build_release
from dbx_cd.deploy.connection import connected
from dbx_cd.local.notebooks.emulated_sql import _Emulated
from dbx_cd.local.session_user import act_as
from dbx_cd.local.workspace import OWNER, RELEASE_BOT, EmbeddedWorkspace
from dbx_cd.sql_endpoint import SqlEndpoint

PROJECT = {"name": "own", "version": "1.0", "profile": "own", "models": {"+materialized": "table"}}
SETTINGS = "compute: cluster\nsecrets: {DBT_ENV_SECRET_MARK: scope/mark}\n"
SECRET = 's3cret\'with "quotes"'
# 0 where the adapter has read the runtime's version; of a warehouse it assumes one beyond any.
RUNTIME = "{{ config(materialized='table') }} select {{ adapter.compare_dbr_version(17, 3) }} as compared"
NAMES = "select name, length(name) as letters from {{ ref('names') }}"


@dataclass
class OnCluster:
    """A project whose profile does not say how to connect, in a schema of its own."""

    workspace: EmbeddedWorkspace
    folder: Path
    schema: str

    @property
    def project(self) -> Path:
        return self.folder / "project"

    def write(self, **files: str) -> None:
        for name, text in files.items():
            path = self.project / name.replace("__", "/", 1).replace("_sql", ".sql").replace("_csv", ".csv")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def cd(self) -> Cd:
        """As a task has it: the session of its user, and a way to read secrets."""
        config = CdConfig.load(self.project, overrides={"artifacts_root": str(self.folder / "artifacts")})
        spark = act_as(self.workspace.spark, RELEASE_BOT)
        log = ReleaseLog(spark, f"ops.{self.schema}.log", actor=RELEASE_BOT)
        store = ArtifactStore(config.artifacts_root)
        return Cd(spark, config, store, log, self.workspace.client(RELEASE_BOT), secrets=lambda scope, key: SECRET)

    def build(self, run_id: str, *, select: str = "*") -> Path:
        cd = self.cd()
        release = cd.log.open(run_id * 40, run_id=run_id, requester="ci")
        return build_release(cd, release, target="stg", select=select, project_dir=self.project).artifacts.path

    def rows(self, model: str) -> list[tuple[object, ...]]:
        return sorted(tuple(row) for row in self.workspace.spark.table(f"stg.{self.schema}.{model}").collect())


@pytest.fixture
def own(workspace: EmbeddedWorkspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OnCluster:
    made = OnCluster(workspace, tmp_path, f"own_{uuid.uuid4().hex[:8]}")
    names = {"type": "databricks", "schema": made.schema, "threads": 2}
    outputs = {target: {**names, "catalog": target} for target in ("stg", "prod")}
    made.write(
        **{
            "dbt_project.yml": yaml.safe_dump(PROJECT),
            "profiles.yml": yaml.safe_dump({"own": {"target": "stg", "outputs": outputs}}),
            "dbx_cd.yml": SETTINGS,
        }
    )
    # What a notebook's process has: every session of it knows what open-source Spark lacks.
    monkeypatch.setattr(SparkSession, "sql", _Emulated(SparkSession.sql))
    return made


def endpoint_threads() -> set[str]:
    return {thread.name for thread in threading.enumerate() if thread.name.startswith("sql-endpoint-http")}


def test_a_build_runs_on_the_session_of_the_notebook_and_its_endpoint_ends_with_it(
    own: OnCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    ports, before = [], endpoint_threads()
    start = SqlEndpoint.start

    def noting(endpoint: SqlEndpoint) -> SqlEndpoint:
        started = start(endpoint)
        ports.append(started.port)
        return started

    monkeypatch.setattr(SqlEndpoint, "start", noting)
    own.write(seeds__names_csv="name\nO'Hara\nÅsa\n", models__letters_sql=NAMES, models__runtime_sql=RUNTIME)
    artifacts = own.build("a")
    assert own.rows("letters") == [("O'Hara", 6), ("Åsa", 3)]
    assert own.rows("runtime") == [(0,)]
    history = own.workspace.spark.sql(f"DESCRIBE HISTORY stg.{own.schema}.letters").collect()
    assert {row.userName for row in history} == {RELEASE_BOT}
    (port,) = ports
    assert port != own.workspace.endpoint.port
    ran_with = json.loads((artifacts / "run_results.json").read_text())["args"]["profiles_dir"]
    assert Path(ran_with).name == "connection"
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
    assert endpoint_threads() == before
    assert not {"DBT_ENV_SECRET_MARK", "DBT_ENV_SECRET_DBX_CD_TOKEN"} & set(os.environ)
    assert not [file for file in artifacts.rglob("*") if file.is_file() and SECRET[:6].encode() in file.read_bytes()]


@pytest.mark.deep
def test_the_endpoint_ends_with_a_build_that_fails(own: OnCluster) -> None:
    before = endpoint_threads()
    own.write(models__broken_sql="select cast(raise_error('no such day') as int) as day")
    with pytest.raises(DbtFailed, match="no such day"):
        own.build("b")
    assert endpoint_threads() == before


@pytest.mark.deep
def test_what_only_a_warehouse_builds_is_refused_before_anything_is_built(own: OnCluster) -> None:
    own.write(
        models__letters_sql="select 1 as id", models__live_sql="{{ config(materialized='materialized_view') }} select 1"
    )
    with pytest.raises(ConfigError, match=r"the job's own cluster cannot build live \(materialized_view\)"):
        own.build("c")
    assert not own.workspace.spark.catalog.tableExists(f"stg.{own.schema}.letters")


def test_two_endpoints_have_tokens_of_their_own(own: OnCluster) -> None:
    with connected(own.cd()) as first, connected(own.cd()) as second:
        assert first is not None
        assert second is not None
        assert first.variables["DBT_ENV_SECRET_DBX_CD_TOKEN"] != second.variables["DBT_ENV_SECRET_DBX_CD_TOKEN"]
        assert first.variables["DBT_ENV_SECRET_DBX_CD_TOKEN"] not in f"{first}{dict(first.keys)}"


@pytest.mark.deep
def test_the_whole_workflow_without_a_warehouse_makes_the_same_rows(
    workspace: EmbeddedWorkspace, tmp_path: Path
) -> None:
    """The real notebooks: builds, plan, freshness, gate and docs, on the task's own session and then by profile."""
    from shop_repository import Repository

    from dbx_cd.local.project import LocalProject
    from dbx_cd.local.run import LocalWorkflow, results_of

    repository, schema = Repository(tmp_path / "repository"), f"own_{uuid.uuid4().hex[:8]}"
    profile = repository.folder / "profiles.yml"
    profile.write_text(profile.read_text().replace("schema: shop", f"schema: {schema}"))
    repository.set(release_log=f"ops.{schema}.log", compute="cluster", secrets="{DBT_ENV_SECRET_MARK: own/mark}")
    workspace.rest.secrets.lend("own", "mark", SECRET, to=RELEASE_BOT)
    commits = [repository.commit("on the cluster")]
    workflow = LocalWorkflow(workspace, LocalProject.find(repository.folder))
    repository.set(compute="warehouse")
    commits.append(repository.commit("by the profile"))

    seen, mind = [], []
    for commit in commits:
        run = workflow.release(commit)
        workflow.wait(run)
        request = workflow.pending(run)
        assert request is not None
        mind.append(request.mind)
        workflow.approve(request, as_user=OWNER)
        assert set(results_of(workflow.wait(run)).values()) <= {"SUCCESS", "EXCLUDED"}
        table = workspace.spark.table(f"prod.{schema}.daily_revenue")
        seen.append(sorted(map(str, table.collect())))
    assert seen[0] == seen[1]
    assert len(seen[0]) > 3
    assert any("compute was cluster, and is warehouse" in line for line in mind[1])
    left = [file for file in workflow.artifacts_root.rglob("*") if file.is_file()]
    assert not [file for file in left if SECRET[:6].encode() in file.read_bytes()]
