"""A build that failed and was repaired: which version its rollback goes back to, and what is promised of that."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from dbx_cd import Release, RestoreRefused, baseline_for, plan_restore, restore
from dbx_cd.delta.retention import CHECKPOINT_INTERVAL
from dbx_cd.plan.rollback_readiness import require_readiness
from dbx_cd.release.events import Deploying, Failed
from dbx_cd.rollback.capture import capture_restore_point, record_versions_after
from dbx_cd.rollback.point import RestorePoint
from dbx_cd.smoke.baseline import NoBaseline, TimeTravelBaseline
from memory.releases import BOT, Releases, relation

A = relation("prod", "a")


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    return Releases(tmp_path)


def attempt(releases: Releases, release: Release, change: Callable[[], object] = lambda: None) -> RestorePoint:
    """An attempt to deploy that fails after it has changed something, or nothing."""
    cd = releases.cd()
    cd.log.append(release, Deploying("prod"))
    point = capture_restore_point(cd, release, [A])
    change()
    record_versions_after(cd, release, point)
    cd.log.append(release, Failed("prod", "out of luck"))
    return point


def days_go_by(releases: Releases, days: float) -> None:
    releases.tables.age(A, days=days)
    releases.log_table.move_back({A.key: timedelta(days=days)})


def replaced(releases: Releases) -> Callable[[], object]:
    return lambda: releases.tables.create(A, 3)


def brought_back(releases: Releases, release: Release) -> list[object]:
    plan = plan_restore(releases.cd(), release)
    assert [(i.action, i.later_writes) for i in plan.items] == [("restore", ())], plan.text
    told = [w for i in plan.items for w in i.warnings if "taken back as well" in w]
    assert ["by somebody" in w for w in told] == [True] * len(told)
    restore(releases.cd(), plan, seal=plan.seal)
    return releases.tables.rows(A)


def compared(releases: Releases, release: Release) -> str | NoBaseline:
    found = baseline_for(releases.cd(), release, "prod")
    assert isinstance(found, TimeTravelBaseline)
    return found.source("a", A)


@pytest.mark.parametrize("interval", [{}, {CHECKPOINT_INTERVAL: "50"}], ids=["default", "own interval"])
def test_where_the_right_to_alter_is_granted_before_the_repair_it_goes_back_to_the_version_of_today(
    releases: Releases, interval: dict[str, str]
) -> None:
    releases.tables.create(A, 1)
    if interval:
        releases.tables.set_properties(A, interval)
    days_go_by(releases, 9)
    releases.tables.refuses_properties_of = {A.key}
    release = releases.open()
    (ready,) = attempt(releases, release).readiness
    assert ready.is_lost
    releases.tables.refuses_properties_of.clear()
    (ready,) = attempt(releases, release, replaced(releases)).readiness
    assert ready.status == "restorable"
    assert "VERSION AS OF" in str(compared(releases, release))
    assert brought_back(releases, release) == [1]
    assert releases.tables.properties(A) == interval


def test_what_the_first_attempt_did_not_get_to_goes_back_to_the_version_of_today_of_the_second(
    releases: Releases,
) -> None:
    releases.tables.create(A, 1)
    release = releases.open()
    attempt(releases, release)
    days_go_by(releases, 3)
    attempt(releases, release, replaced(releases))
    assert str(compared(releases, release)).endswith("VERSION AS OF 0")
    days_go_by(releases, 5)
    assert str(compared(releases, release)).endswith("VERSION AS OF 2")
    assert brought_back(releases, release) == [1]


def test_files_that_were_compacted_between_the_attempts_are_no_reason_not_to(releases: Releases) -> None:
    releases.tables.create(A, 1)
    release = releases.open()
    attempt(releases, release)
    days_go_by(releases, 3)
    releases.tables.optimize(A)
    attempt(releases, release, replaced(releases))
    days_go_by(releases, 5)
    assert brought_back(releases, release) == [1]


def test_what_somebody_set_between_the_attempts_is_not_taken_for_what_was_before(releases: Releases) -> None:
    releases.tables.create(A, 1)
    releases.tables.set_properties(A, {CHECKPOINT_INTERVAL: "20"})
    release = releases.open()
    attempt(releases, release)
    days_go_by(releases, 3)
    attempt(releases, release)  # three commits, which make a version of today
    releases.tables.user = "somebody"
    releases.tables.set_properties(A, {CHECKPOINT_INTERVAL: "50"})
    releases.tables.user = BOT
    attempt(releases, release, replaced(releases))
    assert [c.user for c in releases.tables.table(A).commits] == [BOT] * 5 + ["somebody", BOT]
    assert brought_back(releases, release) == [1]
    assert releases.tables.properties(A) == {CHECKPOINT_INTERVAL: "20"}


def test_a_repair_is_judged_by_what_a_rollback_of_the_first_attempt_could_bring_back(releases: Releases) -> None:
    releases.tables.create(A, 1)
    release = releases.open()
    attempt(releases, release, replaced(releases))
    days_go_by(releases, 9)
    point = attempt(releases, release)
    assert [r.status for r in point.readiness] == ["restorable"]
    blocked = plan_restore(releases.cd(), release).blocked
    with pytest.raises(RestoreRefused, match=r"prod\.shop\.a \(an earlier attempt .* Delta went back"):
        require_readiness(point, blocked=blocked, policy="error")
    require_readiness(point, blocked=blocked, policy="warn")
