"""What Delta and the catalog answer: the facts the restore stands on."""

from __future__ import annotations

import pytest
from pyspark.sql import SparkSession
from release_scene import Scene

from dbx_cd.delta.spark_tables import SparkTables
from dbx_cd.delta.tables import Column
from dbx_cd.errors import SqlFailed
from dbx_cd.relations import RelationName
from spark_kind import PROD

CHECK = "spark.databricks.delta.retentionDurationCheck.enabled"


@pytest.fixture(scope="module")
def scene(spark: SparkSession) -> Scene:
    return Scene.create(spark, "delta_facts")


def test_catalog_entries_say_kind_columns_and_text(scene: Scene) -> None:
    scene.sql(
        "CREATE TABLE @Mixed (id INT NOT NULL COMMENT 'the id') COMMENT 'it\\'s a table'",
        "CREATE VIEW @seen (x COMMENT 'renamed') AS SELECT id FROM @mixed",
    )
    nowhere = RelationName(PROD, "no_such_schema", "t")
    names = [scene.name("MIXED"), scene.name("seen"), scene.name("absent"), nowhere]
    table, view, *missing = [SparkTables.of(scene.spark).entries(names)[n.key] for n in names]
    assert (table.kind, table.comment, table.columns) == (
        "table", "it's a table", (Column("id", "int", nullable=False, comment="the id"),),
    )  # fmt: skip
    assert (view.kind, view.view_text) == ("view", f"SELECT id FROM {PROD}.{scene.schema}.mixed")
    assert [c.comment for c in view.columns] == ["renamed"]
    assert [m.kind for m in missing] == ["missing"] * 2


def test_create_or_replace_changes_the_id_and_keeps_the_history(scene: Scene) -> None:
    scene.sql("CREATE TABLE @@ AS SELECT 1 id", this="made")
    name = scene.name("made")
    before = SparkTables.of(scene.spark).detail(name)
    scene.sql("CREATE OR REPLACE TABLE @@ AS SELECT 2 id", this="made")
    assert SparkTables.of(scene.spark).detail(name).table_id != before.table_id
    assert sorted(SparkTables.of(scene.spark).history(name).commits) == [0, 1]


def test_fingerprint_fails_when_files_are_gone_and_a_count_does_not(scene: Scene) -> None:
    scene.sql("CREATE TABLE @@ AS SELECT 1 id", "INSERT OVERWRITE @@ VALUES (2)", this="swept")
    name = scene.name("swept")
    assert SparkTables.of(scene.spark).fingerprint(name, 0).rows == 1
    scene.spark.conf.set(CHECK, "false")
    try:
        scene.sql("VACUUM @@ RETAIN 0 HOURS", this="swept")
    finally:
        scene.spark.conf.unset(CHECK)
    assert scene.sql("SELECT count(*) n FROM @@ VERSION AS OF 0", this="swept")[0].n == 1
    with pytest.raises(SqlFailed, match=r"FILE_NOT_EXIST|^File \S+ does not exist"):
        SparkTables.of(scene.spark).fingerprint(name, 0)


@pytest.mark.deep
def test_fingerprint_tells_deletion_vectors_over_the_same_file_apart(scene: Scene) -> None:
    scene.sql(
        "CREATE TABLE @@ (id BIGINT) TBLPROPERTIES ('delta.enableDeletionVectors' = 'true')",
        "INSERT INTO @@ SELECT /*+ REPARTITION(1) */ id FROM range(20)",
        "DELETE FROM @@ WHERE id = 3",
        "RESTORE TABLE @@ TO VERSION AS OF 1",
        "DELETE FROM @@ WHERE id = 4",
        this="vectors",
    )
    name = scene.name("vectors")
    three, four = SparkTables.of(scene.spark).fingerprint(name, 2), SparkTables.of(scene.spark).fingerprint(name, 4)
    assert (three.files, three.rows) == (four.files, four.rows) == (1, 19)
    assert three != four
    assert SparkTables.of(scene.spark).fingerprint(name, 1) == SparkTables.of(scene.spark).fingerprint(name, 3)


def test_platform_without_undrop_says_so(scene: Scene) -> None:
    assert SparkTables.of(scene.spark).dropped(catalog=PROD, schema=scene.schema) is None
