"""What is in the log of an approval, and is not relied on: whoever may write there can write anything."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest
from databricks.sdk.errors import PermissionDenied
from databricks.sdk.service.iam import Group

from dbx_cd import (
    ApprovalNotAllowed,
    ApprovalPending,
    ApprovalRequired,
    ApprovalStale,
    Decision,
    Release,
    ReleaseLog,
    acknowledge_alteration,
    approve,
    build_release,
    request_approval,
    require_approval,
)
from dbx_cd.approval.request import ApprovalRequest
from dbx_cd.records import Record
from dbx_cd.release.events import Deployed, Deploying
from memory.releases import (
    APPROVERS,
    BOT,
    DEVELOPER,
    GROUPS,
    OTHER_OWNER,
    OWNER,
    PRINCIPAL,
    Listing,
    Person,
    Releases,
    smoke_of,
    user,
)


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    """A platform that says who commits."""
    made = Releases(tmp_path / "releases")
    made.log_table.names_users = True
    return made


def write(releases: Releases, release: Release, *records: Record, as_actor: str, by: str | None = DEVELOPER) -> None:
    """Rows that somebody with MODIFY on the log's table appends by hand."""
    releases.log_table.user = by
    ReleaseLog.on(releases.log_table, actor=as_actor).append_all(release, records)
    releases.log_table.user = None


def decision(request: ApprovalRequest, actor: str, **more: str) -> Decision:
    return Decision("approved", request.release.id, request.seal, actor, **more)


def gate(releases: Releases, release: Release) -> Decision:
    return require_approval(releases.cd(), release, target="prod")


def test_an_approval_in_another_s_name_is_an_alteration_of_the_log(releases: Releases) -> None:
    release = releases.staged()
    write(releases, release, decision(releases.ask(release), OWNER), as_actor=OWNER)
    with pytest.raises(ApprovalRequired, match=f"in another's name: approved, as {OWNER} by {DEVELOPER}"):
        gate(releases, release)


def test_an_approval_in_another_s_name_counts_for_nothing_when_it_was_acknowledged(releases: Releases) -> None:
    release = releases.staged()
    request = releases.ask(release)
    write(releases, release, decision(request, OWNER), as_actor=OWNER)
    seal = releases.cd().log.tampering().seal
    acknowledge_alteration(releases.cd(OTHER_OWNER), seal=seal, reason="somebody has tried")
    with pytest.raises(ApprovalPending):
        gate(releases, release)


def test_whose_name_is_in_the_record_must_be_whose_name_is_on_the_row(releases: Releases) -> None:
    release = releases.staged()
    write(releases, release, decision(releases.ask(release), OWNER), as_actor=DEVELOPER)
    with pytest.raises(ApprovalStale, match=f"written by {DEVELOPER}"):
        gate(releases, release)


def test_an_approval_of_somebody_outside_the_group_does_not_count(releases: Releases) -> None:
    release = releases.staged()
    write(releases, release, decision(releases.ask(release), DEVELOPER), as_actor=DEVELOPER)
    with pytest.raises(ApprovalStale, match=f"{DEVELOPER} is not in the group {APPROVERS}"):
        gate(releases, release)


def test_a_decision_that_did_not_count_is_shown_when_it_is_asked_anew(releases: Releases) -> None:
    release = releases.staged()
    first = releases.ask(release)
    write(releases, release, decision(first, DEVELOPER), as_actor=DEVELOPER)
    again = releases.ask(release)
    assert again.seal != first.seal
    assert DEVELOPER in again.ignored[0]
    assert again.ignored[0] in again.to_html().replace("&#39;", "'")
    releases.approve(again)
    assert gate(releases, release).actor == OWNER


def test_an_approver_who_has_left_the_group_is_not_relied_on(
    releases: Releases, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = releases.approved()
    monkeypatch.setitem(GROUPS, OWNER, ())
    with pytest.raises(ApprovalStale, match=f"{OWNER} is not in the group"):
        build_release(releases.cd(), release, target="prod")


@pytest.mark.parametrize("requester", [OWNER, OWNER.upper()])
def test_the_requester_s_own_approval_does_not_count(releases: Releases, requester: str) -> None:
    release = releases.staged(requester=requester)
    write(releases, release, decision(releases.ask(release), OWNER), as_actor=OWNER, by=OWNER)
    with pytest.raises(ApprovalStale, match=f"{OWNER} asked for this release"):
        gate(releases, release)


def test_the_requester_may_not_approve_however_their_name_is_written(releases: Releases) -> None:
    release = releases.staged(requester=OWNER.upper())
    request = releases.ask(release)
    with pytest.raises(ApprovalNotAllowed, match="asked for this release"):
        approve(releases.cd(OWNER), request, seal=request.seal)


@pytest.mark.parametrize("named", [True, False], ids=["history names users", "history names nobody"])
def test_an_approval_said_to_be_reused_counts_only_where_one_lends_it(releases: Releases, named: bool) -> None:
    releases.log_table.names_users = named
    older = releases.deployed("1")
    releases.model("orders", "select 2 as id")
    release = releases.staged("2", commit="b" * 40)
    forged = decision(releases.ask(release), BOT, reuses=older.id)
    write(releases, release, forged, as_actor=BOT, by=BOT if named else None)
    with pytest.raises(ApprovalStale, match=f"nothing lends it any more.*{older.id}"):
        gate(releases, release)


def test_an_approval_is_not_lent_by_a_deploy_that_somebody_has_written_down(releases: Releases) -> None:
    older = releases.approved("1")
    digest = releases.cd().store.find("stg", older.id).files["project.tar.gz"].sha256
    write(releases, older, Deployed("prod", digest), as_actor=DEVELOPER)
    newer = releases.staged("2", commit="b" * 40)
    releases.ask(newer)
    with pytest.raises(ApprovalPending):
        gate(releases, newer)


def test_a_smoke_report_of_somebody_else_passes_no_gate(releases: Releases) -> None:
    release = releases.staged(ok=False)
    report = replace(smoke_of(release), artifacts=releases.cd().store.find("stg", release.id).timestamp)
    write(releases, release, report, as_actor=DEVELOPER)
    with pytest.raises(ApprovalRequired, match=f"did not pass.*does not count: smoked by {DEVELOPER}"):
        releases.ask(release)


def test_a_smoke_test_by_hand_does_not_hold_a_release_back(releases: Releases) -> None:
    release = releases.staged()
    report = replace(smoke_of(release, ok=False), artifacts=releases.cd().store.find("stg", release.id).timestamp)
    write(releases, release, report, as_actor=DEVELOPER)
    releases.approve(releases.ask(release))
    assert gate(releases, release).actor == OWNER


def test_a_request_of_somebody_else_is_no_request(releases: Releases) -> None:
    release = releases.staged()
    request = releases.ask(release)
    wide = replace(request, selection=replace(request.selection, select=None), approvers="everybody")
    write(releases, release, wide, as_actor=DEVELOPER)
    with pytest.raises(ApprovalPending, match=f"does not count: approval_requested by {DEVELOPER}"):
        gate(releases, release)


def test_a_request_to_another_group_is_stale(releases: Releases) -> None:
    release = releases.approved()
    releases.settings = "approvers: others\n"
    with pytest.raises(ApprovalStale, match="others decide") as stale:
        gate(releases, release)
    assert stale.value.changed == ("approvers",)


def test_who_is_asked_now_is_asked_anew(releases: Releases) -> None:
    release = releases.staged()
    first = releases.ask(release)
    releases.settings = "approvers: others\n"
    again = releases.ask(release)
    assert (first.approvers, again.approvers) == (APPROVERS, "others")


def test_a_request_in_which_another_identity_is_the_job_s_is_stale(releases: Releases) -> None:
    releases.log_table.names_users = False
    release = releases.staged()
    request = replace(releases.ask(release), job_identity=DEVELOPER)
    write(releases, release, request, decision(request, OWNER), as_actor=BOT, by=None)
    with pytest.raises(ApprovalStale, match=f"asked about by {DEVELOPER}") as stale:
        gate(releases, release)
    assert stale.value.changed == ("job identity",)


def test_a_release_that_another_identity_asked_about_is_stale(releases: Releases) -> None:
    release = releases.approved()
    with pytest.raises((ApprovalStale, ApprovalRequired), match=DEVELOPER):
        require_approval(releases.cd(DEVELOPER), release, target="prod")


class Silent(Person):
    """A directory that tells this user of no groups, or of nobody at all."""

    answers: ClassVar[bool] = True

    @property
    def users(self) -> Listing:
        if not self.answers:
            raise PermissionDenied("no")
        return Listing([user(OWNER, ())], "userName", "user_name")

    @property
    def groups(self) -> Listing:
        return Listing([Group.from_dict({"displayName": APPROVERS})], "displayName", "display_name")


@pytest.mark.parametrize("answers", [False, True], ids=["refused", "of no groups"])
def test_where_groups_cannot_be_asked_it_is_told_and_the_platform_s_name_counts(
    releases: Releases, answers: bool, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = releases.approved()
    monkeypatch.setattr(Silent, "answers", answers)
    cd = replace(releases.cd(), workspace=Silent(BOT))  # type: ignore[arg-type]
    require_approval(cd, release, target="prod")
    assert f"whether {OWNER}, who has decided, is in the group {APPROVERS} cannot be asked here" in caplog.text


def test_a_service_principal_may_approve_where_it_is_in_the_group(releases: Releases) -> None:
    release = releases.staged()
    write(releases, release, decision(releases.ask(release), PRINCIPAL), as_actor=PRINCIPAL, by=PRINCIPAL)
    assert gate(releases, release).actor == PRINCIPAL


def test_an_approval_of_a_group_that_does_not_decide_any_more_is_not_reused(
    releases: Releases, monkeypatch: pytest.MonkeyPatch
) -> None:
    releases.settings = "approvers: juniors\n"
    monkeypatch.setitem(GROUPS, OWNER, ("juniors",))
    releases.deployed("1")
    again = releases.staged("2")
    cd = releases.cd()
    by_job = replace(cd, config=replace(cd.config, approvers=APPROVERS))  # the very same project, as the job has it now
    request_approval(by_job, again, target="prod")
    with pytest.raises(ApprovalPending):
        require_approval(by_job, again, target="prod")


def test_a_gate_is_not_passed_by_rows_of_somebody_else(releases: Releases) -> None:
    gated = "{gate: approval, defer_to: stg}"
    releases.settings = f"targets: {{stg: {{}}, uat: {gated}, prod: {gated}}}\n"
    release = releases.staged()
    write(releases, release, Deploying("uat"), Deployed("uat", ""), as_actor=DEVELOPER)
    with pytest.raises(ApprovalRequired, match=f"uat comes before prod.*does not count: deploying by {DEVELOPER}"):
        releases.ask(release)


def test_only_an_approver_s_acknowledgement_opens_the_gate(releases: Releases) -> None:
    release = releases.approved()
    releases.log_table.user = "third@example.org"
    releases.log_table.alter("DELETE")
    altered = releases.cd().log.tampering()
    releases.log_table.user = DEVELOPER
    releases.cd(DEVELOPER).log.append_acknowledgement(altered.acknowledge(actor=DEVELOPER, reason="fine"))
    releases.log_table.user = None
    with pytest.raises(ApprovalRequired, match="was altered"):
        gate(releases, release)
    acknowledge_alteration(releases.cd(OWNER), seal=altered.seal, reason="known")
    gate(releases, release)


def test_nobody_of_that_name_is_no_approver(releases: Releases) -> None:
    release = releases.staged()
    write(releases, release, decision(releases.ask(release), "ghost"), as_actor="ghost", by="ghost")
    with pytest.raises(ApprovalStale, match="ghost is not in the group"):
        gate(releases, release)
