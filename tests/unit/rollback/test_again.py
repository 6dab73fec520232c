"""A restore that is called again: after one that is over, and after one that was killed or has failed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from dbx_cd import Release, RestorePlan, RestoreResult, plan_restore, restore
from dbx_cd.delta.log_table import LogRow
from memory.releases import Releases, relation

A, B, V, NEW = (relation("prod", name) for name in ("a", "b", "v", "new"))


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    return Releases(tmp_path)


class Killed(BaseException):
    """Stands for SIGKILL: nothing in the library may catch it."""


def killed_before(releases: Releases, plan: RestorePlan, kind: str) -> None:
    """A restore that is killed right before the first event of a kind is in the log."""

    def watch(rows: Sequence[LogRow]) -> None:
        if rows[0].kind == kind:
            raise Killed

    releases.log_table.before_append = watch
    with pytest.raises(Killed):
        restore(releases.cd(), plan, seal=plan.seal)
    releases.log_table.before_append = lambda _rows: None


def rolled_back(releases: Releases, release: Release) -> RestoreResult:
    plan = plan_restore(releases.cd(), release)
    return restore(releases.cd(), plan, seal=plan.seal)


# After one that is over


def test_a_table_that_a_newer_release_changed_is_not_called_restored_by_the_older_one_s_rollback(
    releases: Releases,
) -> None:
    tables = releases.tables
    tables.create(A, 1)
    older = releases.changed(["a"], lambda: tables.insert(A, 2))
    first = rolled_back(releases, older)
    releases.changed(["a"], lambda: tables.create(A, 666), run_id="2")
    again = rolled_back(releases, older)
    assert [r.action for r in first.relations] == ["restore"]
    assert [(r.action, r.proof) for r in again.relations] == [
        ("keep", "1 commit since version 0, none of them the release's")
    ]
    assert again.complete
    assert releases.cd().log.last(older, RestoreResult) == again
    assert releases.cd().log.state(older).phase == "rolled_back"
    assert tables.rows(A) == [666]


def test_what_somebody_has_made_since_in_the_place_of_what_was_dropped_is_not_called_dropped(
    releases: Releases,
) -> None:
    tables = releases.tables
    release = releases.changed(["new"], lambda: tables.create(NEW, 1))
    plan = plan_restore(releases.cd(), release, new_tables="drop")
    assert [r.proof for r in restore(releases.cd(), plan, seal=plan.seal).relations] == ["dropped"]
    tables.user = "bob"
    tables.create(NEW, 2)
    again = rolled_back(releases, release)
    assert [r.action for r in again.relations] == ["keep"]


def test_a_second_rollback_of_what_is_as_the_first_left_it_is_the_first(releases: Releases) -> None:
    tables = releases.tables
    tables.create(A, 1)
    release = releases.changed(["a", "new"], lambda: [tables.insert(A, 2), tables.create(NEW, 1)])
    first = rolled_back(releases, release)
    events = len(releases.cd().log.events())
    assert rolled_back(releases, release) == first
    assert len(releases.cd().log.events()) == events
