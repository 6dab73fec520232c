"""Versions of today on real Delta: what the two commits do to a table; and file times in whole seconds."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aged_logs import age, folder_of
from pyspark.sql import SparkSession
from release_scene import Observed, Scene

from dbx_cd.delta.spark_tables import SparkTables
from dbx_cd.delta.tables import Fingerprint, TableDetail
from dbx_cd.rollback.plan import plan_restore
from dbx_cd.rollback.refresh import refresh
from dbx_cd.rollback.restore import restore

TABLES = {
    "plain": ("CREATE TABLE @@ (id INT, v STRING)",),
    "append_only": ("CREATE TABLE @@ (id INT, v STRING) TBLPROPERTIES ('delta.appendOnly' = 'true')",),
    "check": (
        "CREATE TABLE @@ (id INT NOT NULL, v STRING) COMMENT 'a table'",
        "ALTER TABLE @@ ADD CONSTRAINT positive CHECK (id > 0)",
    ),
    "column_mapping": (
        "CREATE TABLE @@ (id INT, w STRING) TBLPROPERTIES ('delta.columnMapping.mode' = 'name')",
        "ALTER TABLE @@ RENAME COLUMN w TO v",
    ),
    "deletion_vectors": ("CREATE TABLE @@ (id INT, v STRING) TBLPROPERTIES ('delta.enableDeletionVectors' = 'true')",),
    "in_commit_timestamps": (
        "CREATE TABLE @@ (id INT, v STRING) TBLPROPERTIES ('delta.enableInCommitTimestamps' = 'true')",
    ),
    "clustered": ("CREATE TABLE @@ (id INT, v STRING) CLUSTER BY (id)",),
    "row_tracking": ("CREATE TABLE @@ (id INT, v STRING) TBLPROPERTIES ('delta.enableRowTracking' = 'true')",),
    "change_data_feed": ("CREATE TABLE @@ (id INT, v STRING) TBLPROPERTIES ('delta.enableChangeDataFeed' = 'true')",),
    "own_interval": ("CREATE TABLE @@ (id INT, v STRING) TBLPROPERTIES ('delta.checkpointInterval' = '20')",),
}
ROWS = "INSERT INTO @@ SELECT /*+ REPARTITION(1) */ CAST(id AS INT), 'a' FROM range(1, 9)"

Look = tuple[Observed, TableDetail, Fingerprint]


@pytest.fixture
def scene(spark: SparkSession, request: pytest.FixtureRequest) -> Scene:
    return Scene.create(spark, request.node.name.removeprefix("test_")[:60])


def each(names: list[str], do: Callable[[str], object]) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(do, names))


@pytest.mark.deep
def test_a_version_of_today_leaves_every_kind_of_table_as_it_was_and_can_be_rebuilt_alone(scene: Scene) -> None:
    tables, names = SparkTables.of(scene.spark), list(TABLES)
    versions: dict[str, int] = {}

    def make(name: str) -> None:
        scene.sql(*TABLES[name], ROWS, this=name)
        if name == "deletion_vectors":
            scene.sql("DELETE FROM @@ WHERE id = 3", this=name)
        versions[name] = tables.history(scene.name(name), limit=1).version

    def looks() -> dict[str, Look]:
        seen = scene.observe(*names)
        return {n: (seen[n], tables.detail(scene.name(n)), tables.fingerprint(scene.name(n))) for n in names}

    each(names, make)
    before = looks()
    each(names, lambda name: refresh(tables, scene.name(name)))
    after = looks()
    for name in names:
        (was, detail, files), (now, detail_now, files_now) = before[name], after[name]
        ended = "SET TBLPROPERTIES" if name == "own_interval" else "UNSET TBLPROPERTIES"
        made = now.operations[: len(now.operations) - len(was.operations)]
        assert (name, made[-1], ended in made) == (name, "SET TBLPROPERTIES", True)
        assert (now.rows, now.schema, now.comment, now.properties) == (
            was.rows,
            was.schema,
            was.comment,
            was.properties,
        )
        assert (name, detail_now, files_now) == (name, detail, files)
        history = tables.history(scene.name(name))
        assert history.changes_since(versions[name]) == ()
        # From the checkpoint of the first commit on, older entries are not needed any more.
        log = folder_of(scene.spark, scene.name(name)) / "_delta_log"
        assert (log / f"{versions[name] + 1:020}.checkpoint.parquet").exists(), name
        assert not (log / f"{versions[name] + 2:020}.checkpoint.parquet").exists(), name


@pytest.mark.not_on("connect", reason="a stream's batches are counted in the server's process")
def test_readers_of_changes_and_streams_see_nothing_of_a_version_of_today(scene: Scene, tmp_path: Path) -> None:
    tables, name = SparkTables.of(scene.spark), scene.name("a")
    scene.sql(*TABLES["change_data_feed"], ROWS, this="a")
    version = tables.history(name, limit=1).version

    def streamed(what: str, **options: str) -> int:
        """How many rows a stream that goes on where it was delivers."""
        rows: list[int] = []
        stream = scene.spark.readStream.format("delta").options(**options).table(name.quoted).writeStream
        stream = stream.option("checkpointLocation", str(tmp_path / what)).trigger(availableNow=True)
        stream.foreachBatch(lambda batch, _: rows.append(batch.count())).start().awaitTermination()
        return sum(rows)

    assert (streamed("rows"), streamed("changes", readChangeFeed="true")) == (8, 8)
    refresh(tables, name)
    assert tables.history(name, limit=1).version == version + 2
    assert (streamed("rows"), streamed("changes", readChangeFeed="true")) == (0, 0)
    feed = scene.spark.read.option("readChangeFeed", "true").option("startingVersion", version + 1)
    assert feed.table(name.quoted).count() == 0
    scene.sql("INSERT INTO @@ VALUES (9, 'b')", this="a")
    assert (streamed("rows"), streamed("changes", readChangeFeed="true")) == (1, 1)


@pytest.mark.deep
def test_tables_whose_log_files_share_one_time_are_restorable_and_restored(scene: Scene) -> None:
    """Delta moves equal times on within what it reads: the newest commit's differs between a few commits and all.

    How many a restore point reads depends on the checkpoint interval: here fewer than there are.
    """
    more = [f"ALTER TABLE @@ SET TBLPROPERTIES ('n' = '{n}')" for n in range(12)]
    names = ["a", "b", "c", "d"]
    shared = datetime.now(UTC) - timedelta(minutes=5)

    def make(name: str) -> None:
        scene.sql("CREATE TABLE @@ (id INT, v STRING)", ROWS, *more, this=name)
        age(scene.spark, scene.name(name), timedelta(), shared=shared)

    each(names, make)
    before = scene.observe(*names)
    tables = SparkTables.of(scene.spark)
    alone, among = (tables.history(scene.name("a"), limit=limit).commits[13].at for limit in (1, None))
    assert among - alone == timedelta(milliseconds=13)
    assert tables.history(scene.name("a")).commits[0].at == shared.replace(microsecond=0)

    build = "CREATE OR REPLACE TABLE @@ AS SELECT 1 AS other"
    release, point = scene.deploy(names, lambda: each(names, lambda name: scene.sql(build, this=name)))
    assert [s.committed_at for s in point.relations] != [among] * 4
    assert [(s.version, s.refreshed_from) for s in point.relations] == [(13, None)] * 4
    assert [r.status for r in point.readiness] == ["restorable"] * 4
    plan = plan_restore(scene.cd, release)
    assert [(i.action, i.later_writes) for i in plan.items] == [("restore", ())] * 4
    restore(scene.cd, plan, seal=plan.seal)
    after = scene.observe(*names)
    for name in names:
        assert (after[name].rows, after[name].schema) == (before[name].rows, before[name].schema)
        assert after[name].properties == before[name].properties
