"""Automatic rollback: when it acts, when it does not, and what it leaves to a person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import pytest
from pyspark.sql import SparkSession
from release_scene import Scene

from dbx_cd.config import CdConfig, Policies
from dbx_cd.deploy.auto_rollback import NotRolledBack, auto_rollback
from dbx_cd.errors import RestoreRefused
from dbx_cd.records import Record
from dbx_cd.release.context import Cd
from dbx_cd.release.events import Built, Deployed, Deploying, Failed, Release
from dbx_cd.rollback.journal import RestoreResult
from dbx_cd.rollback.point import capture_restore_point
from dbx_cd.smoke.report import CheckResult, SmokeReport

Policy = Literal["never", "contracts", "any"]


@pytest.fixture
def scene(spark: SparkSession, request: pytest.FixtureRequest) -> Scene:
    return Scene.create(spark, request.node.name.removeprefix("test_").replace("[", "_").replace("]", "")[:60])


def under(policy: Policy, scene: Scene) -> Cd:
    return replace(scene.cd, config=CdConfig(policies=Policies(auto_rollback=policy)))


def smoke(kind: str | None) -> SmokeReport:
    """A smoke test of production in which a check of this kind failed, or none."""
    checks = (
        ()
        if kind is None
        else (CheckResult(name="c", kind=kind, status="fail", domain="d", where="d.yml:1", model="a"),)
    )
    return SmokeReport("prod", "", "a" * 40, None, tiny=True, seconds=0.0, checks=checks)


STAGING_FAILED = Built("stg", gated=False, ok=False, outcome="1 failed", timestamp="", project_digest="")


def logged(scene: Scene, *records: Record) -> Release:
    """A release with a restore point that holds nothing, and with these events."""
    release = scene.open()
    capture_restore_point(scene.cd, release, [])
    for record in records:
        scene.log.append(release, record)
    return release


def deployed_with_a_bad_row(scene: Scene, *after: Record) -> Release:
    scene.sql("CREATE TABLE @a AS SELECT 1 id")
    release, _ = scene.deploy(
        ["a", "new"],
        lambda: [
            scene.log.append(scene.open(), Deploying("prod")),
            scene.sql("INSERT INTO @a VALUES (-1)", "CREATE TABLE @new AS SELECT 1 id"),
        ],
    )
    for record in after:
        scene.log.append(release, record)
    return release


def ids(scene: Scene) -> list[int]:
    return sorted(r.id for r in scene.sql("SELECT id FROM @a"))


def test_failed_build_is_undone_and_what_it_created_is_kept(scene: Scene) -> None:
    release = deployed_with_a_bad_row(scene, Failed("prod", "1 of 2 nodes failed"))
    outcome = auto_rollback(under("contracts", scene), release, target="prod")
    assert isinstance(outcome, RestoreResult)
    assert outcome.reason == "policies.auto_rollback is contracts: 1 of 2 nodes failed"
    assert ids(scene) == [1]
    assert [r.n for r in scene.sql("SELECT count(*) n FROM @new")] == [1]
    assert scene.log.state(release).phase == "rolled_back"
    again = auto_rollback(under("contracts", scene), release, target="prod")
    assert str(again) == f"not rolled back: {release} is rolled back"


def test_what_others_wrote_since_is_left_to_a_person_who_is_told_what_to_decide(scene: Scene) -> None:
    release = deployed_with_a_bad_row(scene, Deployed("prod", ""), smoke("contract"))
    scene.sql("INSERT INTO @a VALUES (5)")
    with pytest.raises(RestoreRefused, match="need a decision before") as refused:
        auto_rollback(under("any", scene), release, target="prod")
    assert f"{scene.full('a')} (others wrote: version 2" in str(refused.value)
    assert ids(scene) == [-1, 1, 5]
    assert scene.log.last(release, RestoreResult) is None


def test_what_cannot_be_restored_is_left_to_a_person(scene: Scene) -> None:
    release = deployed_with_a_bad_row(scene, Failed("prod", "failed"))
    scene.sql("DROP TABLE @a")
    with pytest.raises(RestoreRefused, match="1 relations need a decision before") as refused:
        auto_rollback(under("any", scene), release, target="prod")
    assert "the table is gone" in str(refused.value)


@pytest.mark.parametrize(
    ("policy", "failed", "acts"),
    [("contracts", "contract", True), ("contracts", "metric", False), ("any", "metric", True)],
    ids=["contract", "metric", "any"],
)
def test_after_a_failed_smoke_test_the_policy_decides(scene: Scene, policy: Policy, failed: str, acts: bool) -> None:
    release = logged(scene, Deploying("prod"), Deployed("prod", ""), smoke(failed))
    outcome = auto_rollback(under(policy, scene), release, target="prod")
    assert isinstance(outcome, RestoreResult) == acts
    if isinstance(outcome, NotRolledBack):
        assert outcome.reason == "policies.auto_rollback is contracts, and no contract failed"


NOTHING: list[tuple[str, Policy, Sequence[Record], str]] = [
    ("never", "never", (Deploying("prod"), Failed("prod", "x")), "policies.auto_rollback is never"),
    ("deployed", "any", (Deploying("prod"), Deployed("prod", ""), smoke(None)), "is deployed"),
    ("built", "any", (replace(STAGING_FAILED, ok=True),), "is built"),
    ("staging", "any", (Deploying("prod"), Deployed("prod", ""), STAGING_FAILED), "is not the deploy to prod"),
    ("elsewhere", "any", (Deploying("other"), Failed("other", "x")), "is not the deploy to prod"),
]


@pytest.mark.parametrize(("policy", "events", "because"), [n[1:] for n in NOTHING], ids=[n[0] for n in NOTHING])
def test_nothing_is_done_where(scene: Scene, policy: Policy, events: Sequence[Record], because: str) -> None:
    release = logged(scene, *events)
    outcome = auto_rollback(under(policy, scene), release, target="prod")
    assert isinstance(outcome, NotRolledBack)
    assert because in outcome.reason
    assert scene.log.last(release, RestoreResult) is None


def test_nothing_is_done_while_an_approval_is_waited_for(scene: Scene) -> None:
    release = scene.open()
    scene.log.append(release, replace(STAGING_FAILED, ok=True))
    outcome = auto_rollback(under("any", scene), release, target="prod")
    assert str(outcome) == f"not rolled back: {release} has changed nothing in prod"


def test_after_a_killed_build_a_person_has_to_say_whose_writes_they_are(scene: Scene) -> None:
    scene.sql("CREATE TABLE @a AS SELECT 1 id")
    release = scene.open()
    scene.log.append(release, Deploying("prod"))
    capture_restore_point(scene.cd, release, [scene.name("a")])
    scene.sql("INSERT INTO @a VALUES (-1)")
    with pytest.raises(RestoreRefused, match="may be the release's own"):
        auto_rollback(under("any", scene), release, target="prod")
    assert ids(scene) == [-1, 1]
