"""A rollback tried on copies: what it proves, what it finds, and that production is only read."""

from __future__ import annotations

import pytest
from pyspark.sql import SparkSession
from release_scene import Scene

from dbx_cd.errors import RestoreFailed
from dbx_cd.rollback.plan import plan_restore
from dbx_cd.rollback.rehearsal import Rehearsal, rehearse
from dbx_cd.rollback.restore import restore
from spark_kind import PROD

TABLE = "CREATE TABLE @@ (id INT, v STRING) TBLPROPERTIES ({})"
FEATURES = {
    "plain": "'delta.appendOnly' = 'true', 'delta.enableDeletionVectors' = 'true'",
    "mapped": "'delta.columnMapping.mode' = 'name'",
}
BLANKS = (
    "CREATE TABLE @@ (`order id` INT NOT NULL COMMENT 'of the shop', `a.b` STRUCT<`c d`: INT>, "
    "day STRING DEFAULT 'mon') USING delta PARTITIONED BY (day) COMMENT 'orders' "
    "TBLPROPERTIES ('delta.columnMapping.mode' = 'name', 'delta.feature.allowColumnDefaults' = 'supported', "
    "'team' = 'shop')"
)

# As dbt builds a model with these properties: `delta.minReaderVersion` and the mapping come with the table.
PRICES = (
    "CREATE OR REPLACE TABLE @prices TBLPROPERTIES ('delta.columnMapping.mode' = 'name', "
    "'delta.minReaderVersion' = '2', 'delta.minWriterVersion' = '5') AS SELECT cast(id AS INT) AS `event.code`, "
    "cast(id * 2 AS DECIMAL(10, 2)) AS `unit price`, 'größe' AS `größe` FROM range({})"
)


@pytest.fixture
def scene(spark: SparkSession, request: pytest.FixtureRequest) -> Scene:
    return Scene.create(spark, request.node.name.removeprefix("test_")[:60])


def outcomes(scene: Scene, rehearsal: Rehearsal) -> dict[str, str]:
    return {r.name.removeprefix(f"{PROD}.{scene.schema}."): r.outcome for r in rehearsal.relations}


@pytest.mark.deep
def test_tables_and_views_come_back_on_copies_and_production_is_only_read(scene: Scene) -> None:
    for name, properties in FEATURES.items():
        scene.sql(TABLE.format(properties), "INSERT INTO @@ VALUES (1, 'a'), (2, 'b')", this=name)
    scene.sql("CREATE VIEW @total AS SELECT count(*) n FROM @plain", "CREATE VIEW @reader AS SELECT v FROM @mapped")

    def build() -> None:
        scene.sql(*(f"INSERT INTO @{name} VALUES (9, 'new')" for name in FEATURES))
        scene.sql("ALTER TABLE @mapped ADD COLUMN w INT")
        scene.sql("CREATE OR REPLACE VIEW @total AS SELECT 'none' AS n", "CREATE TABLE @created AS SELECT 1 id")

    names = [*FEATURES, "total", "reader", "created"]
    release, _ = scene.deploy(names, build)
    before = scene.observe(*names)
    plan = plan_restore(scene.cd, release, new_tables="drop")
    rehearsal = rehearse(scene.cd, release, plan=plan)
    assert rehearsal.ok, rehearsal.text
    assert outcomes(scene, rehearsal) == dict.fromkeys(names, "proved") | {"created": "skipped"}
    proofs = {r.name.rpartition(".")[2]: r.proof for r in rehearsal.relations}
    assert {n: proofs[n].split(" gave ")[0] for n in FEATURES} == {
        # Open-source Delta cannot clone a table with column mapping in this catalog, so its rows are copied.
        n: f"RESTORE of a {'copy' if n == 'mapped' else 'clone'}"
        for n in FEATURES
    }
    assert scene.observe(*names) == before
    assert plan_restore(scene.cd, release, new_tables="drop").seal == plan.seal
    assert scene.log.last(release, Rehearsal) == rehearsal
    catalog, schema = rehearsal.scratch.split(".")
    assert schema not in {r[0] for r in scene.spark.sql(f"SHOW SCHEMAS IN {catalog}").collect()}
    assert rehearsal.relations[0].name in rehearsal.to_html()


@pytest.mark.deep
def test_column_names_that_need_a_mapping_and_every_layout_are_rehearsed(scene: Scene) -> None:
    scene.sql(BLANKS, "INSERT INTO @@ VALUES (1, named_struct('c d', 2), 'tue')", this="blanks")
    scene.sql(PRICES.format(5))
    scene.sql("CREATE TABLE @clustered (id INT, v STRING) CLUSTER BY (id)", "INSERT INTO @clustered VALUES (1, 'a')")
    scene.sql("CREATE TABLE @parted (id INT, v STRING) PARTITIONED BY (v)", "INSERT INTO @parted VALUES (1, 'a')")

    def build() -> None:
        scene.sql("ALTER TABLE @blanks ALTER COLUMN `order id` DROP NOT NULL", "COMMENT ON TABLE @blanks IS 'other'")
        scene.sql("ALTER TABLE @blanks RENAME COLUMN `a.b` TO `a (b)`")
        scene.sql(PRICES.format(8))
        scene.sql("CREATE OR REPLACE TABLE @clustered (id INT, v STRING) CLUSTER BY (v) COMMENT 'new'")
        scene.sql("CREATE OR REPLACE TABLE @parted (id INT, w STRING) PARTITIONED BY (w)")

    names = ["blanks", "prices", "clustered", "parted"]
    release, _ = scene.deploy(names, build)
    plan = plan_restore(scene.cd, release)
    rehearsal = rehearse(scene.cd, release, plan=plan)
    assert outcomes(scene, rehearsal) == dict.fromkeys(names, "proved"), rehearsal.text
    assert all(r.proof.endswith("and the copy's layout, comments and properties") for r in rehearsal.relations)
    result = restore(scene.cd, plan, seal=plan.seal)
    assert all("schema, layout, comment and properties are those of version " in r.proof for r in result.relations)
    assert [r.price for r in scene.sql("SELECT sum(`unit price`) price FROM @prices")] == [20]
    tables = scene.cd.tables
    assert tables.detail(scene.name("clustered")).clustered_by == ("id",)
    assert tables.detail(scene.name("parted")).partitioned_by == ("v",)
    assert tables.detail(scene.name("blanks")).comment == "orders"


def test_what_would_not_come_back_is_found_and_production_stays_as_it_is(scene: Scene) -> None:
    scene.sql(*(f"CREATE TABLE @{name} AS SELECT 1 id" for name in ("a", "b", "gone")))
    scene.sql("CREATE VIEW @v AS SELECT id FROM @b")
    release, _ = scene.deploy(
        ["a", "v", "gone"], lambda: scene.sql("CREATE OR REPLACE VIEW @v AS SELECT 'x' x", "DROP TABLE @gone")
    )
    scene.sql("DROP TABLE @b")  # not part of the release, so the plan cannot know
    rehearsal = rehearse(scene.cd, release)
    assert outcomes(scene, rehearsal) == {"a": "skipped", "v": "failed", "gone": "failed"}
    assert "the table is gone" in {r.name: r.proof for r in rehearsal.failed}[scene.full("gone")]
    with pytest.raises(RestoreFailed, match="2 of 3 relations would not come back"):
        rehearsal.raise_if_failed()
    assert [r.x for r in scene.sql("SELECT * FROM @v")] == ["x"]


@pytest.mark.deep
def test_a_view_that_names_a_table_in_one_part_is_not_tried_on_production_s_table(scene: Scene) -> None:
    scene.sql(
        "CREATE TABLE @rates AS SELECT 1 rate", f"USE {PROD}.{scene.schema}", "CREATE VIEW @v AS SELECT * FROM rates"
    )
    release, _ = scene.deploy(["rates", "v"], lambda: scene.sql("INSERT INTO @rates VALUES (2)"))
    rehearsal = rehearse(scene.cd, release)
    assert outcomes(scene, rehearsal) == {"rates": "proved", "v": "skipped"}
    assert "in one or two parts" in {r.name: r.proof for r in rehearsal.relations}[scene.full("v")]
