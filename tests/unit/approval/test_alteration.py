"""An approver's word on alterations of the log, and what it opens."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dbx_cd import (
    ApprovalNotAllowed,
    ApprovalRequired,
    ApprovalStale,
    DbxCdError,
    Release,
    ReleaseError,
    acknowledge_alteration,
    build_release,
    require_approval,
)
from dbx_cd.release.events import Deploying
from memory.releases import APPROVERS, BOT, DEVELOPER, GROUPS, OTHER_OWNER, OWNER, Releases


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    return Releases(tmp_path / "releases")


@pytest.fixture
def shut(releases: Releases) -> Release:
    """An approved release, whose log somebody has altered since."""
    release = releases.approved()
    releases.log_table.alter("DELETE", predicate="kind = 'rejected'")
    return release


def refusal(releases: Releases, release: Release) -> str:
    """What the gate says."""
    with pytest.raises(ApprovalRequired, match="the release log was altered") as refused:
        require_approval(releases.cd(), release, target="prod")
    return str(refused.value)


def seal(releases: Releases) -> str:
    return releases.cd().log.tampering().seal


def test_the_gate_names_what_was_done_who_has_to_act_and_by_what_call(releases: Releases, shut: Release) -> None:
    releases.log_table.user = DEVELOPER
    releases.log_table.alter("UPDATE")
    said = refusal(releases, shut)
    assert all(text in said for text in ("DELETE", f"UPDATE by {DEVELOPER}", APPROVERS))
    (call,) = re.findall(r"acknowledge_alteration\(cd, seal='(\w{64})', reason='\.\.\.'\)", said)
    releases.log_table.user = None
    acknowledge_alteration(releases.cd(OWNER), seal=call, reason="a test ran against the wrong table")
    require_approval(releases.cd(), shut, target="prod")


def test_what_was_acknowledged_lets_the_approved_release_be_built(releases: Releases, shut: Release) -> None:
    with pytest.raises(ApprovalRequired, match="the release log was altered"):
        build_release(releases.cd(), shut, target="prod")
    record = acknowledge_alteration(releases.cd(OWNER), seal=seal(releases), reason="known")
    assert (record.actor, record.reason) == (OWNER, "known")
    build_release(releases.cd(), shut, target="prod")
    assert releases.cd().log.state(shut).deployed_to == ("prod",)


def test_a_newer_alteration_shuts_the_gate_again(releases: Releases, shut: Release) -> None:
    acknowledge_alteration(releases.cd(OWNER), seal=seal(releases), reason="known")
    releases.log_table.alter("SET TBLPROPERTIES", properties='{"delta.appendOnly":"false"}')
    said = refusal(releases, shut)
    assert "SET TBLPROPERTIES" in said
    assert "DELETE" not in said


@pytest.mark.parametrize("who", [DEVELOPER, BOT])
def test_only_an_approver_may_acknowledge(releases: Releases, shut: Release, who: str) -> None:
    with pytest.raises(ApprovalNotAllowed):
        acknowledge_alteration(releases.cd(who), seal=seal(releases), reason="known")
    refusal(releases, shut)


def test_the_job_s_own_identity_may_not_though_it_is_an_approver(
    releases: Releases, shut: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(GROUPS, BOT, (APPROVERS,))
    with pytest.raises(ApprovalNotAllowed, match="the job's own identity"):
        acknowledge_alteration(releases.cd(BOT), seal=seal(releases), reason="known")
    refusal(releases, shut)


def test_whoever_altered_the_log_may_not_acknowledge_it(releases: Releases, shut: Release) -> None:
    releases.log_table.user = OWNER
    releases.log_table.alter("UPDATE")
    with pytest.raises(ApprovalNotAllowed, match="altered the log"):
        acknowledge_alteration(releases.cd(OWNER), seal=seal(releases), reason="known")
    releases.log_table.user = OTHER_OWNER
    acknowledge_alteration(releases.cd(OTHER_OWNER), seal=seal(releases), reason="known")
    require_approval(releases.cd(), shut, target="prod")


def test_an_alteration_between_reading_and_acknowledging_is_not_acknowledged(releases: Releases, shut: Release) -> None:
    read = seal(releases)
    releases.log_table.alter("UPDATE")
    with pytest.raises(ApprovalStale) as stale:
        acknowledge_alteration(releases.cd(OWNER), seal=read, reason="known")
    assert stale.value.changed == ("alterations",)
    refusal(releases, shut)


def test_an_alteration_while_the_acknowledgement_is_written_shuts_the_gate_again(
    releases: Releases, shut: Release
) -> None:
    table = releases.log_table
    table.before_append = lambda _rows: table.alter("UPDATE")
    acknowledge_alteration(releases.cd(OWNER), seal=seal(releases), reason="known")
    table.before_append = lambda _rows: None
    said = refusal(releases, shut)
    assert "UPDATE" in said
    assert "DELETE" not in said


def test_what_somebody_else_s_session_has_written_is_told_not_to_count(releases: Releases, shut: Release) -> None:
    releases.log_table.user = DEVELOPER
    with pytest.raises(ReleaseError, match="somebody else wrote that"):
        acknowledge_alteration(releases.cd(OWNER), seal=seal(releases), reason="known")
    refusal(releases, shut)


def test_an_acknowledgement_needs_a_reason(releases: Releases, shut: Release) -> None:
    with pytest.raises(DbxCdError, match="needs a reason"):
        acknowledge_alteration(releases.cd(OWNER), seal=seal(releases), reason=" ")
    refusal(releases, shut)


def test_of_a_log_that_nobody_altered_there_is_nothing_to_acknowledge(releases: Releases) -> None:
    releases.approved()
    events = len(releases.cd().log.events())
    with pytest.raises(ReleaseError, match="nothing is left to acknowledge"):
        acknowledge_alteration(releases.cd(OWNER), seal=seal(releases), reason="known")
    assert len(releases.cd().log.events()) == events


def test_the_next_request_says_what_was_acknowledged_and_by_whom(releases: Releases, shut: Release) -> None:
    assert "log was altered" not in releases.ask(shut).to_html()
    acknowledge_alteration(releases.cd(OWNER), seal=seal(releases), reason="wrong <table>")
    request = releases.ask(releases.staged("2", commit="b" * 40))
    (line,) = request.altered
    assert all(text in line for text in ("DELETE", OWNER, "wrong <table>"))
    assert "wrong &lt;table&gt;" in request.to_html()
    assert releases.ask(request.release) == request


def test_an_acknowledgement_changes_nothing_for_releases(releases: Releases, shut: Release) -> None:
    cd = releases.cd()
    before = cd.log.read().history
    acknowledge_alteration(releases.cd(OWNER), seal=seal(releases), reason="known")
    assert cd.log.read().history == before
    newer = releases.staged("2", commit="b" * 40)
    cd.log.append(newer, Deploying("prod"))
    assert cd.log.newest_in("prod") == newer
