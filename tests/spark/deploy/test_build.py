"""`build_release` when something fails: real dbt on a small project, and what is left afterwards."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from dbx_cd import (
    ArtifactStore,
    Cd,
    CdConfig,
    DbtFailed,
    Release,
    ReleaseLog,
    RestorePoint,
    SmokeReport,
    approve,
    build_release,
    plan_restore,
    request_approval,
    restore,
)
from dbx_cd.config import WARM_DBT
from dbx_cd.local.workspace import OWNER, RELEASE_BOT, EmbeddedWorkspace
from dbx_cd.release.events import Built
from dbx_cd.smoke.report import CheckResult
from dbx_cd.warm.parent import WarmParent

TOKEN = "DBT_ENV_SECRET_SMALL_TOKEN"
PROJECT = {"name": "small", "version": "1.0", "profile": "small", "models": {"small": {"+tags": ["deploy"]}}}
GOOD = "{{ config(materialized='table') }} select 1 as id"
CLUSTERED = "{{ config(materialized='table', liquid_clustered_by='id') }} select 1 as id"
PARTITIONED = "{{ config(materialized='table', partition_by='id') }} select 2 as id, 2 as day"
FAILS_IN_PROD = (
    "{% set day = \"cast(raise_error('no such day') as int)\" if target.name == 'prod' else 1 %}"
    "{{ config(materialized='table') }} select id, {{ day }} as day from {{ ref('first') }}"
)


@dataclass
class Small:
    """A project of two models, its store and its log, in schemas of its own."""

    workspace: EmbeddedWorkspace
    folder: Path
    schema: str

    @classmethod
    def create(cls, workspace: EmbeddedWorkspace, folder: Path) -> Small:
        small = cls(workspace, folder, f"small_{uuid.uuid4().hex[:8]}")
        (small.project / "models").mkdir(parents=True)
        (small.project / "dbt_project.yml").write_text(yaml.safe_dump(PROJECT))
        small.connect(workspace.profile_connection)
        return small

    @property
    def project(self) -> Path:
        return self.folder / "project"

    def connect(self, connection: dict[str, Any]) -> None:
        """Write `profiles.yml` with a connection."""
        given = {**connection, "token": f"{{{{ env_var('{TOKEN}') }}}}"}
        outputs = {
            target: {"type": "databricks", "catalog": target, "schema": self.schema, "threads": 1, **given}
            for target in ("stg", "prod")
        }
        (self.project / "profiles.yml").write_text(yaml.safe_dump({"small": {"target": "stg", "outputs": outputs}}))

    def models(self, **texts: str) -> None:
        for name, text in texts.items():
            (self.project / "models" / f"{name}.sql").write_text(text)

    def cd(self, user: str = RELEASE_BOT) -> Cd:
        store = ArtifactStore(self.folder / "artifacts")
        log = ReleaseLog(self.workspace.spark, f"ops.{self.schema}.log", actor=user)
        config = CdConfig.load(self.project, overrides={"artifacts_root": str(self.folder / "artifacts")})
        return Cd(self.workspace.spark, config, store, log, self.workspace.client(user))

    def open(self, run_id: str) -> Release:
        return self.cd().log.open(run_id * 40, run_id=run_id, requester="ci")

    def staged(self, run_id: str) -> Release:
        """A release that was built to staging, smoke-tested and approved."""
        cd, release = self.cd(), self.open(run_id)
        built = build_release(cd, release, target="stg", select="tag:deploy", project_dir=self.project).artifacts
        check = CheckResult(
            name="rows", kind="metric", status="pass", domain="tiny", where="tiny.yml:3", guardrail=True
        )
        passed = SmokeReport(
            target="stg", artifacts=built.timestamp, commit=release.commit, release_id=release.id, tiny=False,
            seconds=0.0, checks=(check,),
        )  # fmt: skip
        cd.log.append(release, passed)
        request = request_approval(cd, release, target="prod")
        if request.seal:
            approve(self.cd(OWNER), request, seal=request.seal)
        return release

    def rows(self, target: str, model: str) -> list[tuple[object, ...]]:
        return [tuple(row) for row in self.workspace.spark.table(f"{target}.{self.schema}.{model}").collect()]

    def layout(self, target: str, model: str) -> tuple[list[str], list[str]]:
        """By what a table is partitioned, and by what it is clustered."""
        detail = self.workspace.spark.sql(f"DESCRIBE DETAIL {target}.{self.schema}.{model}").collect()[0]
        return detail.partitionColumns, detail.clusteringColumns


@pytest.fixture(scope="module")
def small(workspace: EmbeddedWorkspace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Small]:
    before = dict(os.environ)
    os.environ.update(workspace.endpoint.client_environment())
    # A release is built under one name, dbt's included. Before the warm parent, which serves no process that has other
    # DBT_ variables than it has.
    os.environ[TOKEN] = str(workspace.client(RELEASE_BOT).config.token)
    with WarmParent("dbx_cd.dbt.warm") as parent:
        os.environ[WARM_DBT] = str(parent.address)
        yield Small.create(workspace, tmp_path_factory.mktemp("small"))
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="module")
def deployed(small: Small) -> Release:
    """A release of a good project, in production."""
    small.models(first=GOOD)
    release = small.staged("a")
    build_release(small.cd(), release, target="prod")
    return release


@pytest.fixture(scope="module")
def failed(small: Small, deployed: Release) -> Release:
    """A release whose second model fails in production, after the first was built there."""
    small.models(first=GOOD.replace("1 as id", "2 as id"), second=FAILS_IN_PROD)
    release = small.staged("b")
    with pytest.raises(DbtFailed, match="no such day"):
        build_release(small.cd(), release, target="prod")
    return release


def test_a_good_release_is_deployed_and_served_as_latest(small: Small, deployed: Release) -> None:
    cd = small.cd()
    assert small.rows("prod", "first") == [(1,)]
    assert "prod" in cd.log.state(deployed).deployed_to
    assert cd.store.find("prod", deployed.id).ok


def test_a_build_that_fails_halfway_is_published_and_latest_stays(
    small: Small, deployed: Release, failed: Release
) -> None:
    cd = small.cd()
    assert cd.store.latest("prod").release_id == deployed.id
    (left,) = [version for version in cd.store.list("prod") if version.release_id == failed.id]
    assert not left.ok
    assert {result.status for result in left.run_results().results} == {"success", "error"}
    state = cd.log.state(failed)
    assert (state.phase, state.deployed_to) == ("failed", ())


def test_a_build_that_fails_halfway_can_be_taken_back(small: Small, failed: Release) -> None:
    cd = small.cd()
    assert small.rows("prod", "first") == [(2,)]
    assert cd.log.last(failed, RestorePoint) is not None
    plan = plan_restore(cd, failed)
    assert not plan.later_writes, "the versions after the failed build are recorded as well"
    assert restore(cd, plan, seal=plan.seal).ok
    assert small.rows("prod", "first") == [(1,)]


def test_a_compile_error_is_published_for_audit_and_latest_stays(small: Small, failed: Release) -> None:
    cd, release = small.cd(), small.open("f")
    before = cd.store.latest("stg").timestamp
    small.models(second="select * from {{ ref('nowhere') }}")
    with pytest.raises(DbtFailed, match="depends on a node named 'nowhere'"):
        build_release(cd, release, target="stg", select="tag:deploy", project_dir=small.project)
    assert cd.store.latest("stg").timestamp == before
    assert [v.ok for v in cd.store.list("stg") if v.release_id == release.id] == [False]
    assert cd.log.state(release).phase == "failed"


def test_a_selection_that_matches_nothing_fails_and_latest_stays(small: Small, failed: Release) -> None:
    cd, release = small.cd(), small.open("0")
    before = cd.store.latest("stg").timestamp
    small.models(second=GOOD)
    with pytest.raises(DbtFailed, match="the selection matched no node"):
        build_release(cd, release, target="stg", select="tag:dploy", project_dir=small.project)
    assert cd.store.latest("stg").timestamp == before


def test_a_dead_sql_endpoint_fails_the_build_with_the_reason(small: Small, failed: Release) -> None:
    cd, release = small.cd(), small.open("2")
    small.models(second=GOOD)
    small.connect(_to_a_dead_endpoint(small.workspace.profile_connection))
    try:
        with pytest.raises(DbtFailed, match=r"(?i)connect") as failure:
            build_release(cd, release, target="stg", select="tag:deploy", project_dir=small.project)
    finally:
        small.connect(small.workspace.profile_connection)
    assert failure.value.result.failed or failure.value.result.errors
    assert cd.log.state(release).phase == "failed"


@pytest.mark.deep
def test_a_layout_that_cannot_be_changed_in_place_is_replaced_in_staging_and_never_in_production(small: Small) -> None:
    small.models(first=GOOD, second=CLUSTERED)
    build_release(small.cd(), small.staged("3"), target="prod")
    small.models(second=PARTITIONED)
    release = small.staged("4")  # a code rollback would come by this way
    built = small.cd().log.last(release, Built)
    assert built is not None
    assert f"dropped stg.{small.schema}.second to replace it" in built.outcome
    assert (small.rows("stg", "second"), small.layout("stg", "second")) == ([(2, 2)], (["id"], []))
    with pytest.raises(DbtFailed, match="Replacing a clustered Delta table with a partitioned table") as failure:
        build_release(small.cd(), release, target="prod")
    assert str(failure.value.next_step).startswith("nothing was dropped in prod")
    assert (small.rows("prod", "second"), small.layout("prod", "second")) == ([(1,)], ([], ["id"]))
    table = f"prod.{small.schema}.second"
    small.workspace.spark.sql(f"ALTER TABLE {table} RENAME TO {table}_before")
    assert build_release(small.cd(), release, target="prod").ok, "the way out that the failure names"
    assert (small.rows("prod", "second"), small.rows("prod", "second_before")) == ([(2, 2)], [(1,)])


def test_restore_brings_a_layout_back_and_not_the_leave_to_replace_it(small: Small) -> None:
    """Why a failure in production does not say that a data rollback lets the earlier commit be built."""
    spark, table = small.workspace.spark, f"prod.{small.schema}.laid_out"
    as_partitioned = f"CREATE OR REPLACE TABLE {table} USING delta PARTITIONED BY (id) AS SELECT 1 AS id, 1 AS day"
    spark.sql(as_partitioned)
    spark.sql(f"CREATE OR REPLACE TABLE {table} USING delta CLUSTER BY (id) AS SELECT 2 AS id")
    spark.sql(f"RESTORE TABLE {table} TO VERSION AS OF 0")
    assert (small.rows("prod", "laid_out"), small.layout("prod", "laid_out")) == ([(1, 1)], (["id"], []))
    with pytest.raises(Exception, match="DELTA_CLUSTERING_REPLACE_TABLE_WITH_PARTITIONED_TABLE"):
        spark.sql(as_partitioned)


def _to_a_dead_endpoint(connection: dict[str, Any]) -> dict[str, Any]:
    """The workspace answers, and nothing listens where statements go (the port of "discard")."""
    parameters = connection["connection_parameters"] | {
        "_connection_uri": "http://127.0.0.1:9/sql/1.0/warehouses/local",
        "_retry_stop_after_attempts_count": 1,
    }
    return connection | {"connection_parameters": parameters, "connect_retries": 0}
