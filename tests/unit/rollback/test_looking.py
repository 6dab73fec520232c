"""What a plan and a restore point look at: long histories, damaged tables, retention that cannot be read."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from dbx_cd import RestoreRefused, plan_restore
from dbx_cd.delta.retention import FILES_KEPT, LOG_KEPT
from dbx_cd.rollback.readiness import extend
from memory.releases import Releases, relation

A = relation("prod", "a")


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    return Releases(tmp_path)


def test_a_time_of_more_than_a_thousand_commits_ago_is_found(releases: Releases) -> None:
    tables = releases.tables
    tables.create(A, 0)
    for row in range(1, 1100):
        tables.insert(A, row)
    release = releases.changed(["a"], lambda: tables.insert(A, -1))
    for version in (0, 50, 500):
        plan = plan_restore(releases.cd(), release, to=tables.table(A).commits[version].at)
        assert [(i.action, i.to_version) for i in plan.items] == [("restore", version)]
    before_all = tables.table(A).commits[0].at - timedelta(seconds=1)
    (item,) = plan_restore(releases.cd(), release, to=before_all).items
    assert (item.action, "does not reach back" in item.reason) == ("impossible", True)


def test_retention_is_made_longer_and_never_shorter(releases: Releases) -> None:
    tables = releases.tables
    tables.create(A, 1)
    extend(tables, A, days=31)
    longer = {FILES_KEPT: "interval 31 days", LOG_KEPT: "interval 31 days"}
    assert tables.properties(A) == longer
    extend(tables, A, days=20)
    assert tables.properties(A) == longer
    kept = {FILES_KEPT: "interval +400 days", LOG_KEPT: "interval 401 days -24 hours"}
    tables.set_properties(A, kept)
    extend(tables, A, days=60)
    assert tables.properties(A) == kept


@pytest.mark.parametrize("name", [FILES_KEPT, LOG_KEPT])
def test_retention_that_cannot_be_read_is_not_overwritten(releases: Releases, name: str) -> None:
    tables = releases.tables
    tables.create(A, 1)
    tables.set_properties(A, {name: "four hundred days"})
    with pytest.raises(RestoreRefused, match=f"{name} is 'four hundred days', which cannot be read") as refused:
        extend(tables, A, days=30)
    assert refused.value.where == str(A)
    assert tables.properties(A) == {name: "four hundred days"}


def test_where_retention_cannot_be_read_a_plan_says_so_and_names_no_date(releases: Releases) -> None:
    tables = releases.tables
    tables.create(A, 1)
    tables.set_properties(A, {FILES_KEPT: "four hundred days"})
    release = releases.changed(["a"], lambda: tables.insert(A, 2))
    (item,) = plan_restore(releases.cd(), release).items
    assert item.action == "rebuild"
    assert f"{FILES_KEPT} is 'four hundred days', which cannot be read" in item.reason
    assert "set it to 'interval 2 days' or longer" in item.reason
    assert "until" not in item.reason
    assert "extend_retention" not in item.reason
