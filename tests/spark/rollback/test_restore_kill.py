"""A restore of twelve tables, killed with SIGKILL at every journal step and called again each time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import restore_killed
from pyspark.sql import SparkSession
from release_scene import Scene

from dbx_cd.delta.spark_tables import SparkTables
from dbx_cd.rollback.journal import RestoredRelation
from dbx_cd.rollback.plan import plan_restore
from dbx_cd.rollback.restore import restore

pytestmark = pytest.mark.deep

TABLES = [f"t{n:02}" for n in range(12)]


def test_restore_killed_at_every_journal_step_restores_every_table_exactly_once(
    spark: SparkSession, tmp_path: Path
) -> None:
    scene = Scene.create(spark, "restore_killed")
    for n, name in enumerate(TABLES):
        scene.sql(f"CREATE TABLE @@ AS SELECT {n} id", this=name)
    release, _ = scene.deploy(TABLES, lambda: [scene.sql("INSERT INTO @@ VALUES (99)", this=name) for name in TABLES])
    plan = plan_restore(scene.cd, release)
    saved = tmp_path / "plan.json"
    saved.write_text(json.dumps(plan.to_dict(), default=str))

    # What is done within two seconds is journaled together, so the number of steps depends on the machine.
    gateway = spark.sparkContext._gateway.gateway_parameters  # type: ignore[union-attr]
    steps = 0
    while len(journal := {r.name for r in scene.log.all(release, RestoredRelation)}) < len(TABLES):
        order = {
            "port": gateway.port,
            "secret": gateway.auth_token,
            "log_table": str(scene.log.table),
            "plan": str(saved),
            "at": next(item.name for item in plan.changes if item.name not in journal),
            "after": steps % 2 == 1,
        }
        ended = subprocess.run(
            [sys.executable, restore_killed.__file__, json.dumps(order)], capture_output=True, text=True, check=False,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )  # fmt: skip
        assert ended.returncode == -signal.SIGKILL, ended.stderr
        steps += 1
    assert steps >= 2, "killed before and after an entry at least"

    result = restore(scene.cd, plan, seal=plan.seal)
    assert result.ok
    assert result.complete
    for n, name in enumerate(TABLES):
        operations = [c.operation for c in SparkTables.of(spark).history(scene.name(name)).commits.values()]
        assert operations.count("RESTORE") == 1, name
        assert [r.id for r in scene.sql("SELECT id FROM @@", this=name)] == [n]
    journal = [r.name for r in scene.log.all(release, RestoredRelation)]
    assert sorted(journal) == sorted(scene.full(name) for name in TABLES)
    assert scene.log.state(release).phase == "rolled_back"
