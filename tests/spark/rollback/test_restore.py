"""Restore: consent, selection, later writers, repaired builds, concurrent use, what stays in the log."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from pyspark.sql import SparkSession
from release_scene import Scene

from dbx_cd.delta.spark_tables import SparkTables
from dbx_cd.errors import RestoreFailed, RestoreRefused
from dbx_cd.records import Record
from dbx_cd.release.context import Cd
from dbx_cd.release.events import Deploying, Failed, Release
from dbx_cd.release.log import ReleaseLog
from dbx_cd.release.state import Event
from dbx_cd.rollback.journal import RestoredRelation, RestoreResult, unfinished
from dbx_cd.rollback.plan import RestorePlan, plan_restore
from dbx_cd.rollback.point import RestorePoint, VersionsAfter, capture_restore_point
from dbx_cd.rollback.readiness import extend_retention
from dbx_cd.rollback.restore import restore

TABLE = "CREATE OR REPLACE TABLE @@ AS SELECT 1 id"
WRITE = "INSERT INTO @@ VALUES (9)"


@pytest.fixture
def scene(spark: SparkSession, request: pytest.FixtureRequest) -> Scene:
    return Scene.create(spark, request.node.name.removeprefix("test_")[:60])


def ids(scene: Scene, name: str) -> list[int]:
    return sorted(r.id for r in scene.sql("SELECT id FROM @@", this=name))


def restores(scene: Scene, name: str) -> int:
    commits = SparkTables.of(scene.spark).history(scene.name(name)).commits.values()
    return sum(c.operation == "RESTORE" for c in commits)


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
    assert newest.user_metadata == f"dbx_cd restore {release.id}"
    scene.sql(WRITE, this="a")
    newest = next(iter(SparkTables.of(scene.spark).history(scene.name("a")).commits.values()))
    assert newest.user_metadata is None, "the signature is not left on the session"


@pytest.mark.deep
def test_restoring_again_changes_nothing(scene: Scene) -> None:
    scene.sql(TABLE, this="a")
    release, _ = scene.deploy(["a"], lambda: scene.sql(WRITE, this="a"))
    first = plan_restore(scene.cd, release)
    restore(scene.cd, first, seal=first.seal)
    events = len(scene.log.events(release.id))
    assert restore(scene.cd, first, seal=first.seal).ok
    again = plan_restore(scene.cd, release)
    assert [i.action for i in again.items] == ["none"]
    assert restore(scene.cd, again, seal=again.seal).ok
    assert restores(scene, "a") == 1
    assert len(scene.log.events(release.id)) == events, "two restores of one release are one"


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


def test_write_between_plan_and_restore_is_refused_and_kept(scene: Scene) -> None:
    scene.sql(TABLE, this="a")
    release, _ = scene.deploy(["a"], lambda: scene.sql(WRITE, this="a"))
    plan = plan_restore(scene.cd, release)
    scene.sql("INSERT INTO @@ VALUES (5)", this="a")
    with pytest.raises(RestoreRefused, match="changed since the plan"):
        restore(scene.cd, plan, seal=plan.seal, discard_later_writes=True)
    plan = plan_restore(scene.cd, release)
    with pytest.raises(RestoreRefused, match="others wrote after the release"):
        restore(scene.cd, plan, seal=plan.seal)
    assert ids(scene, "a") == [1, 5, 9]


@pytest.mark.deep
def test_maintenance_between_plan_and_restore_is_no_reason_to_refuse(scene: Scene) -> None:
    scene.sql(TABLE, this="a")
    release, _ = scene.deploy(["a"], lambda: scene.sql(WRITE, this="a"))
    plan = plan_restore(scene.cd, release)
    scene.sql("OPTIMIZE @@", this="a")
    restore(scene.cd, plan, seal=plan.seal)
    assert ids(scene, "a") == [1]


def test_selection_restores_only_what_is_named_and_leaves_the_release_open(scene: Scene) -> None:
    for name in ("orders", "lines"):
        scene.sql(TABLE, this=name)
    release, _ = scene.deploy(["orders", "lines"], lambda: [scene.sql(WRITE, this=n) for n in ("orders", "lines")])
    with pytest.raises(RestoreRefused, match="name one of: orders"):
        plan_restore(scene.cd, release, only=["ordres"])
    plan = plan_restore(scene.cd, release, only=["orders"])
    result = restore(scene.cd, plan, seal=plan.seal)
    assert not result.complete
    assert scene.log.state(release).phase != "rolled_back"
    assert (ids(scene, "orders"), ids(scene, "lines")) == ([1], [1, 9])


@pytest.mark.deep
def test_point_in_time_brings_tables_to_that_time(scene: Scene) -> None:
    scene.sql(TABLE, WRITE, this="a")
    moment = datetime.now(UTC)
    scene.sql("INSERT INTO @@ VALUES (10)", this="a")
    release, _ = scene.deploy(["a"], lambda: scene.sql("INSERT INTO @@ VALUES (11)", this="a"))
    plan = plan_restore(scene.cd, release, to=moment)
    assert (plan.items[0].to_version, len(plan.items[0].later_writes)) == (1, 1)
    restore(scene.cd, plan, seal=plan.seal, discard_later_writes=True)
    assert ids(scene, "a") == [1, 9]


@pytest.mark.deep
def test_repaired_build_is_undone_to_before_its_first_attempt(scene: Scene) -> None:
    scene.sql(TABLE, this="a")
    scene.deploy(["a"], lambda: scene.sql(WRITE, this="a"))
    release, _ = scene.deploy(["a"], lambda: scene.sql(WRITE, this="a"))
    plan = plan_restore(scene.cd, release)
    assert not plan.later_writes, "both attempts are the release's own"
    restore(scene.cd, plan, seal=plan.seal)
    assert ids(scene, "a") == [1]


@pytest.mark.deep
def test_write_between_two_attempts_is_not_the_releases_own(scene: Scene) -> None:
    scene.sql(TABLE, this="a")
    scene.deploy(["a"], lambda: scene.sql(WRITE, this="a"))
    scene.sql("INSERT INTO @@ VALUES (5)", this="a")
    release, _ = scene.deploy(["a"], lambda: scene.sql(WRITE, this="a"))
    assert [len(i.later_writes) for i in plan_restore(scene.cd, release).items] == [1]


@pytest.mark.deep
def test_after_a_killed_build_a_person_has_to_say_whose_writes_they_are(scene: Scene) -> None:
    scene.sql(TABLE, this="a")
    release = scene.open()
    scene.log.append(release, Deploying("prod"))
    capture_restore_point(scene.cd, release, [scene.name("a")])
    scene.sql(WRITE, this="a")
    plan = plan_restore(scene.cd, release)
    assert "not recorded" in plan.items[0].later_writes[0]
    with pytest.raises(RestoreRefused, match="still deploying to prod, or its run was killed"):
        restore(scene.cd, plan, seal=plan.seal)
    assert scene.log.last(release, VersionsAfter) is None
    restore(scene.cd, plan, seal=plan.seal, discard_later_writes=True)
    assert ids(scene, "a") == [1]


def test_restore_is_refused_while_another_release_deploys(scene: Scene) -> None:
    scene.sql(TABLE, this="a")
    release, _ = scene.deploy(["a"], lambda: scene.sql(WRITE, this="a"))
    plan = plan_restore(scene.cd, release)
    other = scene.open("other")
    scene.log.append(other, Deploying("prod"))
    with pytest.raises(RestoreRefused, match="is deploying to prod"):
        restore(scene.cd, plan, seal=plan.seal)
    scene.log.append(other, Failed("prod", "stopped"))
    assert restore(scene.cd, plan, seal=plan.seal).ok


class RacingLog(ReleaseLog):
    """A log that lets something happen just before a restore says that it begins, when it has looked at all."""

    race: Callable[[], object]

    def append(self, release: Release, record: Record) -> Event:
        if isinstance(record, RestorePlan):
            self.race()
        return super().append(release, record)


def racing(scene: Scene, race: Callable[[], object]) -> Cd:
    log = RacingLog(scene.spark, str(scene.log.table), actor="tester@example.org")
    log.race = race
    return replace(scene.cd, log=log)


def test_write_while_a_restore_begins_is_not_lost(scene: Scene) -> None:
    scene.sql(TABLE, this="a")
    release, _ = scene.deploy(["a"], lambda: scene.sql(WRITE, this="a"))
    plan = plan_restore(scene.cd, release)
    cd = racing(scene, lambda: scene.sql("INSERT INTO @@ VALUES (5)", this="a"))
    with pytest.raises(RestoreFailed, match="somebody wrote to it just now: version 2"):
        restore(cd, plan, seal=plan.seal, discard_later_writes=True)
    assert ids(scene, "a") == [1, 5, 9]


def test_restore_and_deploy_that_begin_at_the_same_time_do_not_both_go_on(scene: Scene) -> None:
    scene.sql(TABLE, this="a")
    release, _ = scene.deploy(["a"], lambda: scene.sql(WRITE, this="a"))
    plan = plan_restore(scene.cd, release)
    other = scene.open("other")
    cd = racing(scene, lambda: scene.log.append(other, Deploying("prod")))
    with pytest.raises(RestoreRefused, match="is deploying to prod"):
        restore(cd, plan, seal=plan.seal)
    assert restores(scene, "a") == 0
    assert unfinished(scene.log.events()) == [], "it has stepped back, and holds up nobody"
    withdrawn = scene.log.last(release, RestoreResult)
    assert withdrawn is not None
    assert not withdrawn.complete


@pytest.mark.deep
def test_restore_that_was_killed_comes_before_the_restore_of_another_release(scene: Scene) -> None:
    scene.sql(TABLE, this="a")
    older, _ = scene.deploy(["a"], lambda: scene.sql(WRITE, this="a"), label="older")
    newer, _ = scene.deploy(["a"], lambda: scene.sql(WRITE, this="a"), label="newer")
    begun = plan_restore(scene.cd, newer)
    scene.log.append(newer, begun)  # all that a restore killed at its first step leaves
    assert unfinished(scene.log.events()) == [newer.id]
    plan = plan_restore(scene.cd, older)
    with pytest.raises(RestoreRefused, match="is being restored, or its restore was killed"):
        restore(scene.cd, plan, seal=plan.seal, discard_later_writes=True)
    restore(scene.cd, begun, seal=begun.seal)
    plan = plan_restore(scene.cd, older)
    assert not plan.later_writes, "the newer release is undone, so its writes are gone"
    restore(scene.cd, plan, seal=plan.seal)
    assert ids(scene, "a") == [1]


def test_release_without_restore_point_cannot_be_undone(scene: Scene) -> None:
    with pytest.raises(RestoreRefused, match="has no restore point"):
        plan_restore(scene.cd, scene.open())


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
