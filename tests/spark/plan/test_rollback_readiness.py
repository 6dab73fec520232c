"""What the gate says of bringing production back, on real Delta; tests/unit/plan has what it decides."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from release_context import Releases

from dbx_cd import Release, RollbackReadiness, rollback_readiness
from dbx_cd.rollback.point import RestorePoint
from spark_kind import KIND, PROD, STG

CATALOGS = {"stg": STG, "prod": PROD}
READY = f"{PROD}.ready_prod"


@pytest.fixture
def releases(spark: SparkSession, request: pytest.FixtureRequest, tmp_path: Path) -> Releases:
    workspace = request.getfixturevalue("workspace") if KIND == "embedded" else None
    return Releases(workspace, tmp_path / "releases", spark=spark)


def publish(releases: Releases, release: Release, target: str, folder: Path, **materialized: str) -> None:
    """A build of a target with these models, each by its materialization."""
    folder = folder / f"{target}-{release.id}"
    folder.mkdir()
    catalog, schema = CATALOGS[target], f"ready_{target}"
    nodes = {
        f"model.tiny.{name}": {
            "unique_id": f"model.tiny.{name}", "name": name, "resource_type": "model", "database": catalog,
            "schema": schema, "relation_name": f"`{catalog}`.`{schema}`.`{name}`", "config": {"materialized": how},
        }
        for name, how in materialized.items()
    }  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps({"metadata": {}, "nodes": nodes}))
    results = [{"unique_id": unique_id, "status": "success"} for unique_id in nodes]
    (folder / "run_results.json").write_text(
        json.dumps({"metadata": {}, "args": {"which": "build"}, "results": results})
    )
    releases.cd().store.publish(target, folder, commit=release.commit, release_id=release.id, latest=True)


def test_the_gate_says_what_the_deploy_would_lose_and_writes_nothing(
    releases: Releases, spark: SparkSession, tmp_path: Path
) -> None:
    spark.sql(f"CREATE SCHEMA {READY}")
    for name in ("stays", "becomes_view"):
        spark.sql(f"CREATE TABLE {READY}.{name} AS SELECT 1 id")
    cd = releases.cd()
    first = cd.log.open("a" * 40, run_id="1", requester="ci")
    publish(releases, first, "prod", tmp_path, stays="table", becomes_view="table")
    second = cd.log.open("b" * 40, run_id="2", requester="ci")
    publish(releases, second, "stg", tmp_path, stays="table", becomes_view="view", new="table")
    found = rollback_readiness(cd, second, target="prod")
    judged = {r.name: (r.status, r.is_lost) for r in found.point.readiness}
    assert judged == {
        f"{READY}.stays": ("restorable", False),
        f"{READY}.becomes_view": ("rebuild", True),
    }
    assert not found.ok
    assert "the build drops it for a view" in str(found)
    assert "extend_retention" in str(found)
    assert f"{READY}.stays" in found.to_html()
    assert RollbackReadiness.from_dict(found.to_dict()) == found
    assert cd.log.last(second, RestorePoint) is None
