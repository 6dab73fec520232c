"""Automatic rollback: when it acts, when it does not, and what it leaves to a person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Literal

import pytest

from dbx_cd import (
    Cd,
    DbtFailed,
    NotRolledBack,
    Release,
    RestoreRefused,
    RestoreResult,
    auto_rollback,
    build_release,
)
from dbx_cd.dbt.effects import BuildEffects
from dbx_cd.delta.log_table import LogRow
from dbx_cd.policies import Policies
from dbx_cd.records import Record
from dbx_cd.release.events import Built, Deployed, Deploying, Failed
from dbx_cd.rollback.capture import capture_restore_point, look_at
from dbx_cd.rollback.point import VersionsAfter
from dbx_cd.smoke.report import SmokeReport
from memory.releases import Releases, relation, smoke_of

Policy = Literal["never", "contracts", "any"]
ORDERS, NEW = relation("prod", "orders"), relation("prod", "new")


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    return Releases(tmp_path)


def under(policy: Policy, releases: Releases) -> Cd:
    cd = releases.cd()
    return replace(cd, config=replace(cd.config, policies=Policies(auto_rollback=policy)))


def smoke(releases: Releases, release: Release, kind: str | None) -> SmokeReport:
    """A smoke test of production in which a check of this kind failed, or none."""
    return smoke_of(release, ok=kind is None, target="prod", kind=kind or "metric")


STAGING_FAILED = Built("stg", gated=False, ok=False, outcome="1 failed", timestamp="", project_digest="")


def logged(releases: Releases, *records: Record) -> Release:
    """A release with a restore point that holds nothing, and with these events."""
    release = releases.open()
    capture_restore_point(releases.cd(), release, [])
    for record in records:
        releases.cd().log.append(release, record)
    return release


def broken(releases: Releases, *, fails: bool = True) -> Release:
    """A release that changes `orders`, creates `new`, and then fails, or does not."""
    releases.deployed("1")
    releases.model("orders", "select -1 as id")
    releases.model("new")
    releases.model("payments", "fails in prod" if fails else "select 1 as id")
    release = releases.approved("2", commit="b" * 40)
    if fails:
        with pytest.raises(DbtFailed):
            build_release(releases.cd(), release, target="prod")
    else:
        build_release(releases.cd(), release, target="prod")
    return release


def test_failed_build_is_undone_and_what_it_created_is_kept(releases: Releases) -> None:
    release = broken(releases)
    assert releases.tables.rows(ORDERS) == ["select -1 as id"]
    outcome = auto_rollback(under("contracts", releases), release, target="prod")
    assert isinstance(outcome, RestoreResult)
    assert str(outcome.reason).startswith("policies.auto_rollback is contracts: dbt build --target prod failed")
    assert releases.tables.rows(ORDERS) == ["select 1 as id"]
    assert releases.tables.rows(NEW) == ["select 1 as id"]
    assert releases.cd().log.state(release).phase == "rolled_back"
    again = auto_rollback(under("contracts", releases), release, target="prod")
    assert str(again) == f"not rolled back: {release} is rolled back in prod"


def test_what_others_wrote_since_is_left_to_a_person_who_is_told_what_to_decide(releases: Releases) -> None:
    release = broken(releases, fails=False)
    releases.cd().log.append(release, smoke(releases, release, "contract"))
    releases.tables.insert(ORDERS, "somebody else")
    with pytest.raises(RestoreRefused, match="need a decision before") as refused:
        auto_rollback(under("any", releases), release, target="prod")
    assert "prod.shop.orders (others wrote: version 2" in str(refused.value)
    assert releases.tables.rows(ORDERS) == ["select -1 as id", "somebody else"]
    assert releases.cd().log.last(release, RestoreResult) is None


def test_what_cannot_be_restored_is_left_to_a_person(releases: Releases) -> None:
    release = broken(releases)
    releases.tables.drop(ORDERS, kind="table")
    with pytest.raises(RestoreRefused, match="1 relations need a decision before") as refused:
        auto_rollback(under("any", releases), release, target="prod")
    assert "the table is gone" in str(refused.value)


@pytest.mark.parametrize(
    ("policy", "failed", "acts"),
    [("contracts", "contract", True), ("contracts", "metric", False), ("any", "metric", True)],
    ids=["contract", "metric", "any"],
)
def test_after_a_failed_smoke_test_the_policy_decides(
    releases: Releases, policy: Policy, failed: str, acts: bool
) -> None:
    release = broken(releases, fails=False)
    releases.cd().log.append(release, smoke(releases, release, failed))
    outcome = auto_rollback(under(policy, releases), release, target="prod")
    assert isinstance(outcome, RestoreResult) == acts
    if isinstance(outcome, NotRolledBack):
        assert outcome.reason == "policies.auto_rollback is contracts, and no contract failed"


NOTHING: list[tuple[str, Policy, Sequence[Record], str]] = [
    ("never", "never", (Deploying("prod"), Failed("prod", "x")), "policies.auto_rollback is never"),
    ("deployed", "any", (Deploying("prod"), Deployed("prod", "")), "is deployed in prod"),
    ("built", "any", (replace(STAGING_FAILED, ok=True),), "has changed nothing in prod"),
    ("staging", "any", (Deploying("prod"), Deployed("prod", ""), STAGING_FAILED), "is deployed in prod"),
    ("elsewhere", "any", (Deploying("other"), Failed("other", "x")), "has changed nothing in prod"),
]


@pytest.mark.parametrize(("policy", "events", "because"), [n[1:] for n in NOTHING], ids=[n[0] for n in NOTHING])
def test_nothing_is_done_where(releases: Releases, policy: Policy, events: Sequence[Record], because: str) -> None:
    release = logged(releases, *events)
    outcome = auto_rollback(under(policy, releases), release, target="prod")
    assert isinstance(outcome, NotRolledBack)
    assert because in outcome.reason
    assert releases.cd().log.last(release, RestoreResult) is None


def test_nothing_is_done_while_an_approval_is_waited_for(releases: Releases) -> None:
    release = releases.staged()
    releases.ask(release)
    outcome = auto_rollback(under("any", releases), release, target="prod")
    assert str(outcome) == f"not rolled back: {release} has changed nothing in prod"


def test_a_passing_smoke_test_after_a_partial_rollback_does_not_make_a_failed_release_good(releases: Releases) -> None:
    release = broken(releases)
    cd = releases.cd()
    cd.log.append(release, RestoreResult(release.id, "s", (), False, release.opened_at, 0.0))
    cd.log.append(release, smoke(releases, release, None))
    state = cd.log.state(release)
    assert (state.phase, state.deployed_to) == ("failed", ())


def killed(releases: Releases, *, user: str | None, ago: timedelta = timedelta(0)) -> Release:
    """A release whose build has written under a name, and was killed before it could say anything."""
    releases.deployed("1")
    release, cd = releases.open("2"), releases.cd()
    cd.log.append(release, Deploying("prod"))
    point = look_at(releases.tables, release, [ORDERS], effects=BuildEffects())
    cd.log.append(release, replace(point, taken_at=point.taken_at - ago, writers=(cd.user,)))
    releases.tables.user = user
    releases.tables.insert(ORDERS, "bad")
    return release


def test_what_a_killed_build_committed_under_its_own_name_is_undone(releases: Releases) -> None:
    release = killed(releases, user="bot")
    outcome = auto_rollback(under("any", releases), release, target="prod")
    assert isinstance(outcome, RestoreResult)
    assert "its task ended before it could say how" in str(outcome.reason)
    assert releases.tables.rows(ORDERS) == ["select 1 as id"]
    assert releases.cd().log.state(release).phase == "rolled_back"


@pytest.mark.parametrize(("hours", "acts"), [(23, True), (25, False)], ids=["23 h", "25 h"])
def test_a_build_s_writes_are_its_own_by_their_name_for_a_day(releases: Releases, hours: int, acts: bool) -> None:
    """A task that is repaired later finds a table in which others of that name may have written since."""
    release, cd = killed(releases, user="bot", ago=timedelta(hours=hours)), under("any", releases)
    if acts:
        assert isinstance(auto_rollback(cd, release, target="prod"), RestoreResult)
        assert releases.tables.rows(ORDERS) == ["select 1 as id"]
        return
    with pytest.raises(RestoreRefused, match="the versions after the build were not recorded"):
        auto_rollback(cd, release, target="prod")
    assert cd.log.last(release, VersionsAfter) is None
    assert releases.tables.rows(ORDERS) == ["bad", "select 1 as id"]


@pytest.mark.parametrize(
    ("user", "why"), [(None, "the table's history names nobody"), ("ann@example.org", "by ann@example.org")]
)
def test_after_a_killed_build_a_person_has_to_say_what_becomes_of_other_writes(
    releases: Releases, user: str | None, why: str
) -> None:
    release = killed(releases, user=user)
    with pytest.raises(RestoreRefused, match=why):
        auto_rollback(under("any", releases), release, target="prod")
    assert releases.tables.rows(ORDERS) == ["bad", "select 1 as id"]


def test_a_deploy_that_the_policy_refused_before_anything_was_built_stays_failed_and_can_be_repaired(
    releases: Releases,
) -> None:
    releases.deployed("1")
    releases.tables.age(ORDERS, days=9)
    releases.tables.refuses_properties_of = {ORDERS.key}
    releases.model("orders", "select 2 as id")
    release, cd = releases.approved("2", commit="b" * 40), under("any", releases)
    strict = replace(
        cd, config=replace(cd.config, policies=Policies(auto_rollback="any", require_rollback_ready="error"))
    )
    with pytest.raises(RestoreRefused, match="grant the job MODIFY"):
        build_release(strict, release, target="prod")
    outcome = auto_rollback(strict, release, target="prod")
    assert str(outcome).endswith("has changed nothing in prod that a rollback would bring back")
    assert cd.log.state(release).phase == "failed"
    releases.tables.refuses_properties_of.clear()
    build_release(strict, release, target="prod")
    assert releases.tables.rows(ORDERS) == ["select 2 as id"]


def test_where_a_killed_attempt_has_brought_everything_back_the_next_one_says_so(releases: Releases) -> None:
    release, cd = broken(releases), under("any", releases)

    def kill(rows: Sequence[LogRow]) -> None:
        if rows[0].kind == RestoreResult.KIND:
            raise KeyboardInterrupt

    releases.log_table.before_append = kill
    with pytest.raises(KeyboardInterrupt):
        auto_rollback(cd, release, target="prod")
    releases.log_table.before_append = lambda _rows: None
    assert isinstance(auto_rollback(cd, release, target="prod"), RestoreResult)
    assert cd.log.state(release).phase == "rolled_back"


def test_a_deploy_that_changed_no_relation_is_undone_all_the_same_when_its_smoke_test_failed(
    releases: Releases,
) -> None:
    """What `latest` names has moved by then, and the release is not to be the last good one."""
    release = logged(releases, Deploying("prod"), Deployed("prod", ""))
    releases.cd().log.append(release, smoke(releases, release, "contract"))
    assert isinstance(auto_rollback(under("any", releases), release, target="prod"), RestoreResult)
    assert releases.cd().log.state(release).phase == "rolled_back"
