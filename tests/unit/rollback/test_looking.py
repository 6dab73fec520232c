"""What a plan and a restore point look at: long histories, damaged tables, retention that cannot be read."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from dbx_cd import plan_restore
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
