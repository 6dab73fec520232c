"""What `latest` of a gated target names after a data rollback, on a log and a store in memory."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dbx_cd import (
    ArtifactNotFound,
    ArtifactStore,
    DbtFailed,
    NoBaseline,
    Release,
    RestoreResult,
    auto_rollback,
    baseline_for,
    build_release,
    plan_restore,
    prune_artifacts,
    request_approval,
    restore,
    rollback_readiness,
)
from dbx_cd.release.events import Deploying
from dbx_cd.rollback.journal import RestoredRelation
from memory.log_table import MemoryLogTable
from memory.releases import Releases, relation, smoke_of

TWO_TARGETS = "targets: {stg: {}, prod: {defer_to: stg, gate: approval}, eu: {defer_to: stg, gate: approval}}"


class Killed(BaseException):
    """The process ends here."""


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    return Releases(tmp_path)


def deployed(releases: Releases, number: int, text: str = "") -> Release:
    releases.model("orders", text or f"select {number} as id")
    return releases.deployed(str(number), commit=str(number) * 40)


def undone(releases: Releases, release: Release, **how: object) -> RestoreResult:
    plan = plan_restore(releases.cd(), release, **how)  # type: ignore[arg-type]
    return restore(releases.cd(), plan, seal=plan.seal)


def latest(releases: Releases, target: str = "prod") -> str | None:
    """The release whose build `latest` serves; None where it serves none."""
    try:
        return releases.cd().store.latest(target).release_id
    except ArtifactNotFound:
        return None


def named_by_path(releases: Releases, target: str = "prod") -> str | None:
    """The release of the copy that readers of raw paths find; None where there is none."""
    record = releases.root / target / "latest" / "artifacts.json"
    return str(json.loads(record.read_text())["release_id"]) if record.exists() else None


def test_after_a_whole_rollback_latest_is_the_build_before_again(releases: Releases) -> None:
    before, bad = deployed(releases, 1), deployed(releases, 2)
    assert latest(releases) == bad.id
    result = undone(releases, bad)
    assert latest(releases) == named_by_path(releases) == before.id
    version = releases.cd().store.latest("prod")
    assert result.latest == (f"latest of prod is {version} again",)
    assert result.latest[0] in result.text
    assert f"latest of prod is {version}" in result.to_html()
    assert releases.cd().log.last(bad, RestoreResult) == result


def test_builds_of_releases_that_were_rolled_back_before_are_passed_over(releases: Releases) -> None:
    first, second, third = (deployed(releases, n) for n in (1, 2, 3))
    undone(releases, third)
    assert latest(releases) == second.id
    undone(releases, second)
    assert latest(releases) == first.id


def test_a_build_that_failed_is_passed_over(releases: Releases) -> None:
    before = deployed(releases, 1)
    with pytest.raises(DbtFailed):
        deployed(releases, 2, "fails in prod")
    undone(releases, deployed(releases, 3))
    assert latest(releases) == before.id


def test_all_builds_of_the_release_are_left_behind(releases: Releases) -> None:
    before, bad = deployed(releases, 1), deployed(releases, 2)
    build_release(releases.cd(), bad, target="prod")  # a repair
    undone(releases, bad)
    assert latest(releases) == before.id


def test_after_the_rollback_of_the_only_release_latest_names_nothing(releases: Releases) -> None:
    only = deployed(releases, 1)
    result = undone(releases, only)
    assert (latest(releases), named_by_path(releases)) == (None, None)
    assert result.latest == ("latest of prod names no build: none is in place",)
    assert not (releases.root / "prod" / "latest").exists(), "readers of raw paths find nothing either"
    assert releases.cd().store.find("prod", only.id).ok, "what it built stays for audit"


def test_a_rollback_of_some_relations_leaves_latest(releases: Releases) -> None:
    releases.model("payments")
    deployed(releases, 1)
    bad = deployed(releases, 2)
    for how in ({"only": ["orders"]}, {"skip": ["orders"]}):
        assert undone(releases, bad, **how).latest == ()
        assert latest(releases) == bad.id


def test_a_rollback_to_a_time_leaves_latest(releases: Releases) -> None:
    deployed(releases, 1)
    now = datetime.now(UTC)
    bad = deployed(releases, 2)
    assert undone(releases, bad, to=now).latest == ()
    assert latest(releases) == bad.id


def test_the_rollback_of_an_older_release_leaves_latest_at_the_newer_one(releases: Releases) -> None:
    deployed(releases, 1)
    older, newer = deployed(releases, 2), deployed(releases, 3)
    plan = plan_restore(releases.cd(), older)
    result = restore(releases.cd(), plan, seal=plan.seal, discard_later_writes=True)
    assert (result.complete, result.latest, latest(releases)) == (True, (), newer.id)


def test_a_rollback_of_a_deploy_that_failed_leaves_latest(releases: Releases) -> None:
    before = deployed(releases, 1)
    with pytest.raises(DbtFailed):
        deployed(releases, 2, "fails in prod")
    bad = releases.cd().log.history().rows[0][0]
    assert undone(releases, bad).latest == ()
    assert latest(releases) == before.id


def test_latest_goes_back_in_each_target_in_which_the_release_is_undone(releases: Releases) -> None:
    releases.settings = TWO_TARGETS

    def both(number: int) -> Release:
        release = deployed(releases, number)
        releases.approve(request_approval(releases.cd(), release, target="eu"))
        build_release(releases.cd(), release, target="eu")
        return release

    before, bad = both(1), both(2)
    staged = latest(releases, "stg")
    undone(releases, bad, target="eu")
    assert [latest(releases, target) for target in ("prod", "eu")] == [bad.id, before.id]
    undone(releases, bad, target="prod")
    assert [latest(releases, target) for target in ("prod", "eu")] == [before.id, before.id]
    assert latest(releases, "stg") == staged, "staging holds what was built there last"


def test_an_automatic_rollback_takes_latest_back_as_well(releases: Releases) -> None:
    releases.settings = "policies: {auto_rollback: any}"
    before, bad = deployed(releases, 1), deployed(releases, 2)
    releases.cd().log.append(bad, smoke_of(bad, ok=False, target="prod"))
    auto_rollback(releases.cd(), bad, target="prod")
    assert latest(releases) == before.id


def test_the_next_deploy_moves_latest_forward(releases: Releases) -> None:
    only = deployed(releases, 1)
    undone(releases, only)
    second = deployed(releases, 2)
    assert latest(releases) == named_by_path(releases) == second.id


def test_prune_keeps_what_latest_went_back_to(releases: Releases) -> None:
    releases.settings = "keep: {versions: 1, days: 1}"
    before = deployed(releases, 1)
    undone(releases, deployed(releases, 2))
    undone(releases, deployed(releases, 3))
    cd = releases.cd()
    object.__setattr__(cd, "store", ArtifactStore(releases.root, clock=lambda: datetime.now(UTC) + timedelta(days=365)))
    removed = prune_artifacts(cd, dry_run=False)["prod"].removed
    assert len(removed) == 1, "the newest version and the one that latest names stay"
    assert latest(releases) == before.id


def test_a_pointer_that_is_lost_later_does_not_bring_a_rolled_back_build_to_latest(releases: Releases) -> None:
    before = deployed(releases, 1)
    undone(releases, deployed(releases, 2))
    (releases.root / "prod" / "latest.json").write_bytes(b"")
    assert latest(releases) == before.id


# Killed and called again


def killed_at(releases: Releases, kind: type, when: str) -> Callable[[], None]:
    """Kill the process before or after it writes an event; returns what ends that."""
    table: MemoryLogTable = releases.log_table

    def at(rows: object) -> None:
        if any(row.kind == kind.KIND for row in rows):  # type: ignore[attr-defined]
            raise Killed

    setattr(table, f"{when}_append", at)
    return lambda: setattr(table, f"{when}_append", lambda _rows: None)


@pytest.mark.parametrize(
    ("kind", "when"), [(RestoredRelation, "after"), (RestoreResult, "before"), (RestoreResult, "after")]
)
def test_a_restore_that_was_killed_and_is_called_again_takes_latest_back(
    releases: Releases, kind: type, when: str
) -> None:
    before, bad = deployed(releases, 1), deployed(releases, 2)
    revive = killed_at(releases, kind, when)
    with pytest.raises(Killed):
        undone(releases, bad)
    revive()
    assert undone(releases, bad).complete
    assert latest(releases) == before.id


# A store that fails


def cannot_write(releases: Releases, bad: Release, monkeypatch: pytest.MonkeyPatch) -> RestoreResult:
    """The rollback of a release by somebody who may not write the store."""

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as denied:
        denied.setattr("dbx_cd.artifacts.store.withdraw", refuse)
        result = undone(releases, bad)
    assert latest(releases) == bad.id
    return result


def test_a_store_that_fails_does_not_make_the_data_count_as_not_restored(
    releases: Releases, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    before, bad = deployed(releases, 1), deployed(releases, 2)
    result = cannot_write(releases, bad, monkeypatch)
    assert (result.ok, result.complete) == (True, True)
    assert releases.tables.rows(relation("prod", "orders")) == ["select 1 as id"]
    assert releases.cd().log.state(bad).phase == "rolled_back"
    (said,) = result.latest
    assert said.startswith("latest of prod does not serve what is in place: [Errno 13] Permission denied. The next")
    assert said in caplog.text
    events = len(releases.cd().log.events(bad.id))
    again = undone(releases, bad)
    assert latest(releases) == before.id
    assert again.latest == (f"latest of prod is {releases.cd().store.latest('prod')} again",)
    assert len(releases.cd().log.events(bad.id)) == events, "nothing else is done"


def test_the_next_staging_build_takes_latest_back_where_the_rollback_could_not(
    releases: Releases, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, bad = deployed(releases, 1), deployed(releases, 2)
    cannot_write(releases, bad, monkeypatch)
    releases.build(releases.open("3"))
    assert latest(releases) == before.id


def test_a_staging_build_leaves_latest_to_a_deploy_that_is_under_way(
    releases: Releases, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed(releases, 1)
    bad = deployed(releases, 2)
    cannot_write(releases, bad, monkeypatch)
    releases.cd().log.append(releases.open("3"), Deploying("prod"))
    releases.build(releases.open("4"))
    assert latest(releases) == bad.id


def test_a_damaged_build_before_is_named_and_said_and_never_hides_behind_the_one_that_was_rolled_back(
    releases: Releases,
) -> None:
    deployed(releases, 1)
    bad = deployed(releases, 2)
    (releases.cd().store.list("prod")[0].path / "manifest.json").write_text("{}")
    (said,) = undone(releases, bad).latest
    assert "manifest.json is not what was published" in said
    assert [v.is_latest for v in releases.cd().store.list("prod")] == [True, False]


# Who reads `latest`


def test_staging_is_compared_with_the_build_that_is_in_place(releases: Releases) -> None:
    before = deployed(releases, 1)
    undone(releases, deployed(releases, 2))
    baseline = baseline_for(releases.cd(), releases.open("3"), target="stg")
    assert getattr(baseline, "release_id", None) == before.id


def test_where_none_is_in_place_staging_is_compared_with_nothing(releases: Releases) -> None:
    undone(releases, deployed(releases, 1))
    assert baseline_for(releases.cd(), releases.open("2"), target="stg") == NoBaseline("prod has not been built yet")


def test_the_next_approval_and_readiness_are_about_the_build_in_place(releases: Releases) -> None:
    deployed(releases, 1)
    releases.model("payments")
    undone(releases, deployed(releases, 2))
    third = releases.staged("3", commit="3" * 40)  # what was rolled back, once more
    assert releases.ask(third).changes == "1 added, 0 removed, 1 modified"
    served = releases.cd().store.latest("prod")
    assert f"prod/{served.timestamp}" in rollback_readiness(releases.cd(), third, target="prod").note
