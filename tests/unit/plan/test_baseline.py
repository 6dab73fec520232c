"""What a build is compared with, on tables and artifacts in memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from dbx_cd import Release, baseline_for, volume
from dbx_cd.artifacts.version import ArtifactVersion
from dbx_cd.smoke.baseline import NoBaseline, TimeTravelBaseline
from dbx_cd.volume import Unreachable
from memory.releases import Releases, relation

ORDERS, VIEW, NEW = relation("prod", "orders"), relation("prod", "a_view"), relation("prod", "new")


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    return Releases(tmp_path)


def of_production(releases: Releases, release: Release) -> TimeTravelBaseline:
    found = baseline_for(releases.cd(), release, "prod")
    assert isinstance(found, TimeTravelBaseline)
    return found


def test_production_is_compared_with_itself_before_the_release(releases: Releases) -> None:
    tables = releases.tables
    tables.create(ORDERS, 1)
    tables.insert(ORDERS, 2)
    release = releases.changed(["orders"], lambda: tables.create(ORDERS, 3))
    assert of_production(releases, release).source("orders", ORDERS) == "`prod`.`shop`.`orders` VERSION AS OF 1"


def test_a_repaired_build_is_compared_with_what_was_before_its_first_attempt(releases: Releases) -> None:
    releases.tables.create(ORDERS, 1)
    releases.changed(["orders"], lambda: releases.tables.insert(ORDERS, 2))
    release = releases.changed(["orders"], lambda: releases.tables.insert(ORDERS, 3))
    assert of_production(releases, release).source("orders", ORDERS) == "`prod`.`shop`.`orders` VERSION AS OF 0"


def test_views_and_what_was_not_there_have_nothing_to_be_compared_with(releases: Releases) -> None:
    tables = releases.tables
    tables.create(ORDERS, 1)
    tables.view(VIEW, ORDERS)
    release = releases.changed(["a_view", "new"], lambda: tables.create(NEW, 1))
    found = of_production(releases, release)
    assert found.source("a_view", VIEW) == NoBaseline("a view has no earlier versions")
    assert found.source("new", NEW) == NoBaseline("prod.shop.new did not exist before this release")
    assert found.source("orders", ORDERS) == NoBaseline("the restore point does not hold prod.shop.orders")


@pytest.mark.parametrize("commits", [1, 3], ids=["fewer commits than before", "more commits than before"])
def test_a_table_that_was_dropped_and_made_again_is_not_compared_with_another_table(
    releases: Releases, commits: int
) -> None:
    tables = releases.tables
    tables.create(ORDERS, 1)
    tables.insert(ORDERS, 2)

    def change() -> None:
        tables.drop(ORDERS, kind="table")
        for _ in range(commits):
            tables.create(ORDERS, 3)

    release = releases.changed(["orders"], change)
    expected = NoBaseline("no comparison with prod.shop.orders as it was: it was dropped and made again since")
    assert of_production(releases, release).source("orders", ORDERS) == expected


def test_a_table_in_whose_place_a_view_is_now_is_not_asked_for_its_history(releases: Releases) -> None:
    tables = releases.tables
    for name in (ORDERS, NEW):
        tables.create(name, 1)
    release = releases.changed(["orders"], lambda: [tables.drop(ORDERS, kind="table"), tables.view(ORDERS, NEW)])
    assert isinstance(of_production(releases, release).source("orders", ORDERS), NoBaseline)


def test_without_a_restore_point_there_is_nothing_to_compare_with(releases: Releases) -> None:
    release = releases.open()
    assert baseline_for(releases.cd(), release, "prod") == NoBaseline(f"release {release.id} has no restore point")


def test_staging_is_compared_with_the_newest_build_of_what_defers_to_it(releases: Releases) -> None:
    first = baseline_for(releases.cd(), releases.open(), "stg")
    assert first == NoBaseline("prod has not been built yet")
    releases.deployed("2")
    found = baseline_for(releases.cd(), releases.open("3"), "stg")
    assert isinstance(found, ArtifactVersion)
    assert found.path == releases.cd().store.latest("prod").path


def test_a_target_that_nothing_defers_to_has_nothing_to_be_compared_with(releases: Releases) -> None:
    releases.settings = "targets: {stg: {}, dev: {}, prod: {gate: approval, defer_to: stg}}"
    assert baseline_for(releases.cd(), releases.open(), "dev") == NoBaseline("no target defers to dev")


def test_damaged_artifacts_of_production_are_a_reason_and_no_error(releases: Releases) -> None:
    releases.deployed("1")
    (releases.cd().store.latest("prod").path / "manifest.json").write_text("{")
    found = baseline_for(releases.cd(), releases.open("2"), "stg")
    assert isinstance(found, NoBaseline)
    assert found.reason != "prod has not been built yet"
    assert "manifest.json" in found.reason


def test_a_build_is_not_left_uncompared_since_production_s_artifacts_cannot_be_read_now(
    releases: Releases, monkeypatch: pytest.MonkeyPatch
) -> None:
    releases.deployed("1")

    def away(path: Path) -> bytes:
        raise Unreachable(f"{path.name} cannot be read: Input/output error")

    monkeypatch.setattr(volume, "read", away)
    with pytest.raises(Unreachable):
        baseline_for(releases.cd(), releases.open("2"), "stg")


def test_a_version_that_could_not_be_read_at_the_restore_point_is_not_compared_with(releases: Releases) -> None:
    tables = releases.tables
    tables.create(ORDERS, 1)
    table = tables.table(ORDERS)
    table.lost |= set(table.now.files)
    release = releases.changed(["orders"], lambda: tables.create(ORDERS, 3))
    found = of_production(releases, release).source("orders", ORDERS)
    assert isinstance(found, NoBaseline)
    assert "FILE_NOT_EXIST" in found.reason
