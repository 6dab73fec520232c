"""Restore on real Delta: what tables in memory cannot show. What a restore decides is in tests/unit/rollback."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from pyspark.sql import SparkSession
from release_scene import Scene

from dbx_cd.delta.spark_tables import SparkTables
from dbx_cd.errors import RestoreFailed
from dbx_cd.rollback.journal import RestoredRelation, RestoreResult
from dbx_cd.rollback.plan import RestorePlan, plan_restore
from dbx_cd.rollback.point import RestorePoint
from dbx_cd.rollback.readiness import extend_retention
from dbx_cd.rollback.restore import restore
from spark_kind import KIND, PROD

TABLE = "CREATE OR REPLACE TABLE @@ AS SELECT 1 id"
WRITE = "INSERT INTO @@ VALUES (9)"
CHECK = "spark.databricks.delta.retentionDurationCheck.enabled"


@pytest.fixture
def scene(spark: SparkSession, request: pytest.FixtureRequest) -> Scene:
    return Scene.create(spark, request.node.name.removeprefix("test_")[:60])


def ids(scene: Scene, name: str) -> list[int]:
    return sorted(r[0] for r in scene.sql("SELECT * FROM @@", this=name))


def restores(scene: Scene, name: str) -> int:
    commits = SparkTables.of(scene.spark).history(scene.name(name)).commits.values()
    return sum(c.operation == "RESTORE" for c in commits)


def vacuum(scene: Scene, name: str) -> None:
    scene.spark.conf.set(CHECK, "false")
    try:
        scene.sql("VACUUM @@ RETAIN 0 HOURS", this=name)
    finally:
        scene.spark.conf.unset(CHECK)


def test_log_holds_the_whole_story_and_commits_carry_the_release(scene: Scene) -> None:
    scene.sql(TABLE, this="a")
    release, point = scene.deploy(["a", "new"], lambda: [scene.sql(WRITE, this="a"), scene.sql(TABLE, this="new")])
    plan = plan_restore(scene.cd, release)
    assert scene.log.last(release, RestorePlan) is None, "a plan writes nothing"
    seen: list[RestoredRelation] = []
    result = restore(scene.cd, plan, seal=plan.seal, reason="wrong numbers", on_progress=seen.append)
    assert sorted(r.name for r in seen) == sorted(i.name for i in plan.items)
    assert [i.action for i in plan.items] == ["restore", "keep"]
    assert ids(scene, "new") == [1], "new_tables is keep"
    assert scene.log.all(release, RestorePoint) == [point]
    assert scene.log.last(release, RestorePlan) == replace(plan, reason="wrong numbers")
    assert scene.log.last(release, RestoreResult) == result
    assert result.reason == "wrong numbers"
    assert [e.kind for e in scene.log.events(release.id)][-4:] == [
        "restore_planned",
        "restored_relation",
        "restored_relation",
        "rolled_back",
    ]
    newest = next(iter(SparkTables.of(scene.spark).history(scene.name("a")).commits.values()))
    # Spark Connect has no session of its own to sign in; there the release log alone tells whose the commit is.
    assert newest.user_metadata == (None if KIND == "connect" else f"dbx_cd restore {release.id}")
    scene.sql(WRITE, this="a")
    newest = next(iter(SparkTables.of(scene.spark).history(scene.name("a")).commits.values()))
    assert newest.user_metadata is None, "the signature is not left on the session"


@pytest.mark.deep
def test_a_view_over_a_name_of_one_part_reads_the_same_table_again_wherever_it_is_restored_from(scene: Scene) -> None:
    other = f"{scene.schema}_other"
    scene.spark.sql(f"CREATE SCHEMA {PROD}.{other}")
    scene.sql("CREATE TABLE @rates AS SELECT 1 rate")
    scene.spark.sql(f"CREATE TABLE {PROD}.{other}.rates AS SELECT 2 rate")
    scene.sql(f"USE {PROD}.{scene.schema}", "CREATE VIEW @v AS SELECT rate FROM rates", f"USE {PROD}.{other}")
    release, point = scene.deploy(["v"], lambda: scene.sql("CREATE OR REPLACE VIEW @v AS SELECT 3 rate"))
    assert point.relations[0].view_namespace == (PROD, scene.schema)
    plan = plan_restore(scene.cd, release)
    result = restore(scene.cd, plan, seal=plan.seal)
    assert [r.rate for r in scene.sql("SELECT * FROM @v")] == [1]
    assert "how it is read" in result.relations[0].proof
    assert scene.spark.sql("SELECT current_schema()").collect()[0][0] == other
    scene.sql("CREATE OR REPLACE VIEW @v AS SELECT rate FROM rates")  # the same text, and another table
    assert [r.rate for r in scene.sql("SELECT * FROM @v")] == [2]
    assert [i.action for i in plan_restore(scene.cd, release).items] == ["recreate_view"]


READ_UNDER = {
    "zoned": {"spark.sql.session.timeZone": "America/New_York"},
    "lenient": {"spark.sql.ansi.enabled": "false"},
    "written": {"spark.sql.variable.substitute": "false"},
}
"""The settings under which each of these views was made."""

VIEWS = {
    "zoned": "CREATE OR REPLACE VIEW @zoned AS SELECT to_date(at) d, count(*) n FROM @events GROUP BY 1 ORDER BY 1",
    "lenient": "CREATE OR REPLACE VIEW @lenient AS SELECT sum(cast(amount AS INT)) total FROM @events",
    "written": "CREATE OR REPLACE VIEW @written AS SELECT '${spark.app.name}' what",
    "collated": "CREATE OR REPLACE VIEW @collated DEFAULT COLLATION UTF8_LCASE AS SELECT 'A' s, 'A' = 'a' same",
    "evolving": "CREATE OR REPLACE VIEW @evolving WITH SCHEMA EVOLUTION AS SELECT * FROM @events",
    "bound": "CREATE OR REPLACE VIEW @bound WITH SCHEMA BINDING AS SELECT * FROM @events",
}


def make(scene: Scene, name: str) -> None:
    with SparkTables.of(scene.spark).sql.settings(READ_UNDER.get(name, {})):
        scene.sql(VIEWS[name])


@pytest.mark.not_on("spark35", reason="Spark 3.5 tells nobody the settings of a view, and has no schema modes")
@pytest.mark.deep
def test_views_are_read_as_they_were_whatever_the_session_s_settings_are(scene: Scene) -> None:
    """ANSI mode, time zone, default collation, schema mode, and text that looks like a variable."""
    tables = SparkTables.of(scene.spark)
    scene.sql(
        "CREATE TABLE @events AS SELECT TIMESTAMP '2026-01-01T02:00:00Z' at, '10' amount",
        "INSERT INTO @events VALUES (TIMESTAMP '2026-01-01T12:00:00Z', 'n/a')",
    )

    def answers() -> dict[str, object]:
        return {name: scene.sql(f"SELECT * FROM @{name}") for name in VIEWS} | {
            f"{name} is read": tables.view_reading(scene.name(name)) for name in VIEWS
        }

    for name in VIEWS:
        make(scene, name)
    before = answers()
    assert [row.n for row in before["zoned"]] == [1, 1]  # type: ignore[attr-defined]
    settings = tables.view_reading(scene.name("lenient")).settings
    assert settings is not None
    assert settings["spark.sql.ansi.enabled"] == "false"

    def change() -> None:
        scene.sql(*(VIEWS[name] for name in ("zoned", "lenient")))  # the same text, under this session's settings
        scene.sql(*(f"CREATE OR REPLACE VIEW @{name} AS SELECT 1 one" for name in list(VIEWS)[2:]))

    release, _ = scene.deploy(list(VIEWS), change)
    plan = plan_restore(scene.cd, release)
    assert {i.action for i in plan.items} == {"recreate_view"}
    result = restore(scene.cd, plan, seal=plan.seal)
    assert answers() == before
    assert [r.differences for r in result.relations] == [()] * len(VIEWS)


@pytest.mark.deep
def test_what_only_delta_has_comes_back_and_a_vacuumed_table_does_not(scene: Scene) -> None:
    names = ["deleted", "mapped", "vacuumed", "v"]
    scene.sql(
        "CREATE TABLE @deleted (id BIGINT) TBLPROPERTIES ('delta.enableDeletionVectors' = 'true')",
        "INSERT INTO @deleted SELECT /*+ REPARTITION(1) */ id FROM range(20)",
        "DELETE FROM @deleted WHERE id = 3",
        "CREATE TABLE @mapped (id INT, v STRING) TBLPROPERTIES ('delta.columnMapping.mode' = 'name')",
        "INSERT INTO @mapped VALUES (1, 'it\\'s a')",
        "CREATE TABLE @vacuumed AS SELECT 1 id",
        "CREATE VIEW @v (id, v COMMENT 'it\\'s v') COMMENT 'it\\'s one' TBLPROPERTIES ('k' = 'v') "
        "AS SELECT id, v FROM @mapped",
    )
    before = scene.observe(*names)
    release, _ = scene.deploy(
        names,
        lambda: scene.sql(
            "DELETE FROM @deleted WHERE id = 4",
            "ALTER TABLE @mapped RENAME COLUMN v TO w",
            "INSERT OVERWRITE @vacuumed VALUES (7)",
            "CREATE OR REPLACE VIEW @v AS SELECT w FROM @mapped",
        ),
    )
    vacuum(scene, "vacuumed")
    (blocked,) = plan_restore(scene.cd, release).blocked
    assert blocked.name == scene.full("vacuumed")
    assert blocked.reason.startswith("version 0 cannot be read")
    plan = plan_restore(scene.cd, release, skip=["vacuumed"])
    assert restore(scene.cd, plan, seal=plan.seal).ok
    after = scene.observe(*names)
    for name in ("deleted", "mapped", "v"):
        then, now = before[name], after[name]
        assert (now.rows, now.schema, now.comment, now.properties) == (
            then.rows, then.schema, then.comment, then.properties,
        )  # fmt: skip
        assert now.operations[len(now.operations) - len(then.operations) :] == then.operations
    assert restores(scene, "deleted") == restores(scene, "mapped") == 1
    assert ids(scene, "vacuumed") == [7]


@pytest.mark.deep
def test_where_restore_refuses_the_mode_of_column_mapping_the_way_around_that_the_plan_names_works(
    scene: Scene,
) -> None:
    modes = {"id_none": "id", "id_name": "id", "name_id": "name"}

    def mode(name: str) -> str:
        return "" if name == "none" else f"TBLPROPERTIES ('delta.columnMapping.mode' = '{name}')"

    for name, then in modes.items():
        scene.sql(f"CREATE TABLE @@ (id INT, v STRING) {mode(then)}", "INSERT INTO @@ VALUES (1, 'a')", this=name)
    before = scene.observe(*modes)
    release, _ = scene.deploy(
        list(modes),
        lambda: [
            scene.sql(f"CREATE OR REPLACE TABLE @@ {mode(name.split('_')[1])} AS SELECT 5 AS id", this=name)
            for name in modes
        ],
    )
    for item in plan_restore(scene.cd, release).items:
        assert item.action == "rebuild"
        with pytest.raises(Exception, match="DELTA_UNSUPPORTED_COLUMN_MAPPING_MODE_CHANGE"):
            scene.spark.sql(f"RESTORE TABLE {item.relation.quoted} TO VERSION AS OF {item.to_version}")
        found = re.search("CREATE OR REPLACE TABLE .*?\\)(?=, and plan again)", item.reason)
        assert found is not None
        scene.spark.sql(found[0])
    plan = plan_restore(scene.cd, release)
    assert restore(scene.cd, plan, seal=plan.seal, discard_later_writes=True).complete
    after = scene.observe(*modes)
    assert {n: (o.rows, o.schema) for n, o in after.items()} == {n: (o.rows, o.schema) for n, o in before.items()}


@pytest.mark.deep
def test_two_restores_at_the_same_time_are_one(scene: Scene) -> None:
    for name in ("a", "b"):
        scene.sql(TABLE, this=name)
    release, _ = scene.deploy(["a", "b"], lambda: [scene.sql(WRITE, this=name) for name in ("a", "b")])
    plan = plan_restore(scene.cd, release)
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda _: restore(scene.cd, plan, seal=plan.seal), range(2)))
    assert all(r.ok for r in results)
    assert (ids(scene, "a"), ids(scene, "b")) == ([1], [1])


@pytest.mark.deep
def test_relation_that_fails_is_named_and_the_others_are_done(scene: Scene) -> None:
    scene.sql("CREATE TABLE @a AS SELECT 1 id", "CREATE TABLE @b AS SELECT 1 id", "CREATE VIEW @v AS SELECT id FROM @b")
    release, _ = scene.deploy(
        ["a", "v"], lambda: scene.sql("INSERT INTO @a VALUES (9)", "CREATE OR REPLACE VIEW @v AS SELECT 'x' x")
    )
    scene.sql("DROP TABLE @b")  # not part of the release, so the plan cannot know
    plan = plan_restore(scene.cd, release)
    with pytest.raises(RestoreFailed, match="1 of 2 relations are not restored") as failure:
        restore(scene.cd, plan, seal=plan.seal)
    result = failure.value.result
    assert isinstance(result, RestoreResult)
    assert [r.name for r in result.failed] == [scene.full("v")]
    assert ids(scene, "a") == [1]
    scene.sql("CREATE TABLE @b AS SELECT 1 id")
    assert restore(scene.cd, plan, seal=plan.seal).complete
    assert [r.name for r in scene.log.all(release, RestoredRelation)] == [scene.full("a"), scene.full("v")]


@pytest.mark.deep
def test_retention_can_be_extended_so_that_a_rollback_stays_possible(scene: Scene) -> None:
    scene.sql(TABLE, this="a")
    extend_retention(scene.spark, scene.name("a"), days=60)
    extend_retention(scene.spark, scene.name("a"), days=30)
    release, point = scene.deploy(["a"], lambda: scene.sql(WRITE, this="a"))
    until = point.readiness[0].until
    assert until is not None
    assert (until - point.taken_at).days == 60
    plan = plan_restore(scene.cd, release)
    assert restore(scene.cd, plan, seal=plan.seal).ok
