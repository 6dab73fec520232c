"""Rows that anybody with MODIFY can write into the log, and what they can not do."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dbx_cd import ApprovalRequired, Release, acknowledge_alteration, require_approval
from dbx_cd.delta.log_table import LogRow
from dbx_cd.release.events import Deployed, Deploying
from dbx_cd.rollback.point import RestorePoint, VersionsAfter
from memory.releases import BOT, DEVELOPER, OTHER_OWNER, OWNER, Releases, smoke_of

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    made = Releases(tmp_path / "releases")
    made.log_table.names_users = True
    return made


def row(releases: Releases, kind: str, payload: str, *, release_id: str = "r") -> None:
    releases.log_table.append([LogRow("e", release_id, kind, NOW, DEVELOPER, 1, payload)])


@pytest.mark.parametrize(
    ("kind", "payload"),
    [("opened", "{}"), ("opened", "not JSON"), ("deployed", "not JSON"), ("built", "[1]")],
    ids=["no release", "no JSON that opens", "no JSON", "no object"],
)
def test_a_row_that_nobody_can_read_stops_no_release_but_shuts_the_gate(
    releases: Releases, kind: str, payload: str
) -> None:
    approved = releases.approved("1")
    row(releases, kind, payload)
    assert releases.staged("2", commit="b" * 40) in [release for release, _ in releases.cd().log.history()]
    if kind == "opened":  # of others only their fields are read, as far as there are any
        with pytest.raises(ApprovalRequired, match=f"a row that cannot be read by {DEVELOPER}"):
            require_approval(releases.cd(), approved, target="prod")


def test_an_approver_may_go_on_past_a_row_that_nobody_can_read(releases: Releases) -> None:
    release = releases.approved()
    row(releases, "opened", "{}")
    acknowledge_alteration(releases.cd(OTHER_OWNER), seal=releases.cd().log.tampering().seal, reason="a joke")
    assert require_approval(releases.cd(), release, target="prod").actor == OWNER


@pytest.mark.parametrize("record", [Deploying("prod"), Deployed("prod", "")])
def test_what_somebody_else_wrote_moves_no_release(releases: Releases, record: Deploying | Deployed) -> None:
    release = releases.approved()
    before = releases.cd().log.state(release)
    releases.cd(DEVELOPER).log.append(release, record)
    assert releases.cd().log.state(release) == before
    assert dict(releases.cd().log.history()) == {release: before}


def test_a_restore_point_and_versions_of_somebody_else_are_not_the_release_s(releases: Releases) -> None:
    release = releases.deployed()
    forged = releases.cd(DEVELOPER).log
    forged.append(release, RestorePoint(release.id, NOW, ()))
    forged.append(release, VersionsAfter(release.id, NOW, ()))
    log = releases.cd().log
    assert NOW not in [point.taken_at for point in log.all(release, RestorePoint)]
    assert NOW not in [after.taken_at for after in log.read(release).all(VersionsAfter)]


def test_a_failed_smoke_test_that_somebody_else_wrote_makes_no_good_release_bad(releases: Releases) -> None:
    release = releases.deployed()
    releases.cd(DEVELOPER).log.append(release, smoke_of(release, ok=False, target="prod"))
    assert releases.cd().log.state(release).of("prod").is_in_place


def test_a_row_with_the_id_of_another_takes_that_one_not_away(releases: Releases) -> None:
    release = releases.approved()
    genuine = next(e for e in releases.cd().log.events(release.id) if e.kind == "approved")
    releases.log_table.user = DEVELOPER
    releases.log_table.append([LogRow(genuine.event_id, release.id, "deployed", NOW, BOT, 1, '{"target": "prod"}')])
    releases.log_table.user = None
    log, altered = releases.cd().log.examined(release)
    assert len(altered.commits) == 1
    assert [e.event_id for e in log.of(release.id, kinds=("approved",))] == [genuine.event_id]


def test_a_release_that_somebody_else_has_opened_goes_nowhere(releases: Releases) -> None:
    opened = Release("20260101T000000Z-aaaaaaa", "a" * 40, "7", "ci", NOW)
    releases.cd(DEVELOPER).log.append(opened, opened)
    mine = replace(opened, requester="ci")
    assert releases.open("7") == mine
    with pytest.raises(ApprovalRequired, match=f"does not count: built by {BOT}|has no successful build"):
        releases.ask(releases.staged("7"))
