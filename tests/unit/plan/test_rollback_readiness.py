"""What the gate says, before anybody approves, of bringing production back."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import pytest

from dbx_cd import ArtifactNotFound, Release, RestoreRefused, RollbackReadiness, build_release, rollback_readiness
from dbx_cd.plan.rollback_readiness import require_readiness
from dbx_cd.rollback.point import RestorePoint
from memory.releases import Releases
from memory.tables import MemoryTables


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    return Releases(tmp_path)


def turning_a_table_into_a_view(releases: Releases) -> Release:
    """A second release: `orders` stays, `becomes_view` becomes one, `new` is new."""
    releases.model("becomes_view")
    releases.deployed("1")
    releases.model("becomes_view", "view of ref('orders')")
    releases.model("new")
    return releases.staged("2", commit="b" * 40)


def judged(found: RollbackReadiness) -> dict[str, tuple[str, bool]]:
    return {r.name: (r.status, r.is_lost) for r in found.point.readiness}


def test_the_gate_says_what_the_deploy_would_lose_and_writes_nothing(releases: Releases) -> None:
    release, cd = turning_a_table_into_a_view(releases), releases.cd()
    events = len(cd.log.events())
    found = rollback_readiness(cd, release, target="prod")
    assert judged(found) == {
        "prod.shop.orders": ("restorable", False),
        "prod.shop.becomes_view": ("rebuild", True),
    }
    assert not found.ok
    assert "the build drops it for a view" in str(found)
    assert "extend_retention" in str(found)
    assert found.note.startswith(f"judged by stg/{cd.store.find('stg', release.id).timestamp} and prod/")
    assert found.note.endswith("; the build of prod looks again")
    assert "prod.shop.orders" in found.to_html()
    assert RollbackReadiness.from_dict(found.to_dict()) == found
    assert (len(cd.log.events()), cd.log.last(release, RestorePoint)) == (events, None)


def test_what_it_says_is_what_the_deploy_then_finds(releases: Releases) -> None:
    release = turning_a_table_into_a_view(releases)
    before = judged(rollback_readiness(releases.cd(), release, target="prod"))
    releases.approve(releases.ask(release))
    build_release(releases.cd(), release, target="prod")
    point = releases.cd().log.last(release, RestorePoint)
    assert point is not None
    found = {r.name: (r.status, r.is_lost) for r in point.readiness}
    assert found == before | {"prod.shop.new": ("restorable", False)}


def test_a_relation_that_only_the_newest_build_of_production_had_is_looked_at_as_well(releases: Releases) -> None:
    releases.model("left_behind")
    releases.deployed("1")
    (releases.project / "models" / "left_behind.sql").unlink()
    found = rollback_readiness(releases.cd(), releases.staged("2", commit="b" * 40), target="prod")
    assert judged(found) == dict.fromkeys(["prod.shop.left_behind", "prod.shop.orders"], ("restorable", False))


def test_where_the_platform_has_undrop_the_table_is_not_lost(tmp_path: Path) -> None:
    releases = Releases(tmp_path, tables=MemoryTables(has_undrop=True))
    release = turning_a_table_into_a_view(releases)
    found = rollback_readiness(releases.cd(), release, target="prod")
    assert judged(found)["prod.shop.becomes_view"] == ("undrop", False)
    assert not found.ok


def test_files_that_are_gone_by_now_are_found(releases: Releases) -> None:
    release = turning_a_table_into_a_view(releases)
    table = next(t for key, t in releases.tables.relations.items() if key == "prod.shop.orders")
    table.lost |= set(table.now.files)  # type: ignore[union-attr]
    found = rollback_readiness(releases.cd(), release, target="prod")
    assert judged(found)["prod.shop.orders"] == ("rebuild", True)


def test_before_the_first_deploy_no_name_is_known(releases: Releases) -> None:
    found = rollback_readiness(releases.cd(), releases.staged(), target="prod")
    assert (found.note, found.ok) == ("prod has no build yet, so its names are not known here", True)
    assert found.point.relations == ()


def test_damaged_artifacts_of_production_do_not_keep_a_release_from_its_gate(releases: Releases) -> None:
    release, cd = turning_a_table_into_a_view(releases), releases.cd()
    (cd.store.latest("prod").path / "manifest.json").write_text("{")
    assert rollback_readiness(cd, release, target="prod").note.startswith("not known: ")


def test_a_release_that_staging_never_built_cannot_be_judged(releases: Releases) -> None:
    with pytest.raises(ArtifactNotFound):
        rollback_readiness(releases.cd(), releases.open(), target="prod")


def test_the_policy_refuses_what_would_be_lost_for_good(releases: Releases) -> None:
    point = rollback_readiness(releases.cd(), turning_a_table_into_a_view(releases), target="prod").point
    require_readiness(point, policy="warn")
    with pytest.raises(RestoreRefused, match=r"1 relations could not .* prod\.shop\.becomes_view"):
        require_readiness(point, policy="error")


def test_the_policy_says_in_the_log_what_could_not_be_brought_back(
    releases: Releases, caplog: pytest.LogCaptureFixture
) -> None:
    point = rollback_readiness(releases.cd(), turning_a_table_into_a_view(releases), target="prod").point
    caplog.set_level(logging.INFO, logger="dbx_cd.plan")
    require_readiness(point, policy="ignore")
    assert caplog.records == []
    require_readiness(point, policy="warn")
    kept = tuple(state for state in point.relations if state.name != "prod.shop.becomes_view")
    require_readiness(replace(point, relations=kept), policy="warn")
    messages = [(record.levelname, "prod.shop.becomes_view" in record.message) for record in caplog.records]
    assert messages == [("WARNING", True), ("INFO", False)]
