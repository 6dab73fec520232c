"""Approvals, on a log in memory and with real artifacts."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dbx_cd import (
    ApprovalExpired,
    ApprovalNotAllowed,
    ApprovalPending,
    ApprovalRejected,
    ApprovalRequest,
    ApprovalRequired,
    ApprovalStale,
    ApprovalSuperseded,
    Cd,
    DbxCdError,
    Decision,
    Release,
    ReleaseError,
    SqlFailed,
    approve,
    pending_approvals,
    reject,
    request_approval,
    require_approval,
    volume,
)
from dbx_cd.approval.request import deploy_of
from dbx_cd.dbt.selection import Selection
from dbx_cd.policies import Policies
from dbx_cd.release.events import Built, Deployed, Deploying
from dbx_cd.rollback.journal import RestoreResult
from dbx_cd.volume import Unreachable
from memory.releases import BOT, DEVELOPER, OWNER, Releases

MakeReleases = Callable[..., Releases]


@pytest.fixture
def make(tmp_path: Path) -> MakeReleases:
    return lambda settings="": Releases(tmp_path / "releases", settings)


@pytest.fixture
def releases(make: MakeReleases) -> Releases:
    return make()


def test_an_approved_release_may_be_built(releases: Releases) -> None:
    release = releases.staged()
    request = request_approval(releases.cd(), release, target="prod")
    decision = approve(releases.cd(OWNER), request, seal=request.seal, comment="fine")
    assert require_approval(releases.cd(), release, target="prod") == decision
    assert (decision.actor, decision.reason) == (OWNER, "fine")


def test_nothing_is_asked_before_staging_was_built_and_tested(releases: Releases) -> None:
    cd = releases.cd()
    release = cd.log.open("a" * 40, run_id="1", requester="ci")
    with pytest.raises(ApprovalRequired, match="no successful build"):
        request_approval(cd, release, target="prod")
    releases.build(release)
    with pytest.raises(ApprovalRequired, match="not smoke-tested"):
        request_approval(cd, release, target="prod")


def test_a_failed_smoke_test_cannot_be_approved(releases: Releases) -> None:
    release = releases.staged(ok=False)
    with pytest.raises(ApprovalRequired, match="did not pass"):
        request_approval(releases.cd(), release, target="prod")


def test_asking_twice_is_one_request(releases: Releases) -> None:
    release = releases.staged()
    first = request_approval(releases.cd(), release, target="prod")
    assert request_approval(releases.cd(), release, target="prod") == first
    assert pending_approvals(releases.cd()) == [first]


def test_whoever_waits_is_told_who_reads_what_and_where(releases: Releases) -> None:
    release = releases.staged()
    request_approval(releases.cd(), release, target="prod")
    page = releases.cd().store.attach(release.id, "approval-prod.html", "<p>")
    with pytest.raises(ApprovalPending) as raised:
        require_approval(releases.cd(), release, target="prod")
    shown = "\n".join(raised.value._render_traceback_())
    assert f"somebody of dbx_cd_approvers reads {page}, opens the notebook approve" in shown
    assert "decision.py" not in shown, "no stack"


@pytest.mark.parametrize("outcome", ["approved", "rejected"])
def test_a_decision_that_cannot_be_read_back_is_said_to_be_written(releases: Releases, outcome: str) -> None:
    request = request_approval(releases.cd(), releases.staged(), target="prod")

    def fail_to_read() -> None:
        if any(row.kind == outcome for _, row in releases.log_table._rows):
            raise SqlFailed("the cluster is gone")

    releases.log_table.after_read = fail_to_read
    decide: dict[str, Callable[[Cd], Decision]] = {
        "approved": lambda cd: approve(cd, request, seal=request.seal),
        "rejected": lambda cd: reject(cd, request, reason="no"),
    }
    what = f"{outcome}; that is written, but whether it was decided before cannot be seen now: the cluster is gone"
    with pytest.raises(ReleaseError, match=what):
        decide[outcome](releases.cd(OWNER))
    releases.log_table.after_read = lambda: None
    assert [d.outcome for d in releases.cd().log.all(request.release, Decision)] == [outcome]


def test_without_a_decision_the_release_waits(releases: Releases) -> None:
    release = releases.staged()
    request_approval(releases.cd(), release, target="prod")
    with pytest.raises(ApprovalPending, match="waiting for approval"):
        require_approval(releases.cd(), release, target="prod")


def test_a_release_waits_also_where_its_page_cannot_be_looked_at(
    releases: Releases, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = releases.staged()
    request_approval(releases.cd(), release, target="prod")
    stat = os.stat

    def refused(path: Any, *more: Any, **options: Any) -> os.stat_result:
        if str(path).endswith("approval-prod.html"):
            raise OSError(errno.EIO, "Input/output error")
        return stat(path, *more, **options)

    monkeypatch.setattr(os, "stat", refused)
    with pytest.raises(ApprovalPending, match=r"waiting for approval.* reads \S+/approval-prod\.html"):
        require_approval(releases.cd(), release, target="prod")


@pytest.mark.parametrize(
    ("who", "requester"),
    [(DEVELOPER, "ci"), (BOT, "ci"), (OWNER, OWNER)],
    ids=["not in the group", "the job's identity", "the one who asked"],
)
def test_who_may_not_decide(releases: Releases, who: str, requester: str) -> None:
    release = releases.staged(requester=requester)
    request = request_approval(releases.cd(), release, target="prod")
    for decide in (
        lambda: approve(releases.cd(who), request, seal=request.seal),
        lambda: reject(releases.cd(who), request, reason="no"),
    ):
        with pytest.raises(ApprovalNotAllowed):
            decide()


def test_a_rejected_release_is_over(releases: Releases) -> None:
    release = releases.staged()
    request = request_approval(releases.cd(), release, target="prod")
    reject(releases.cd(OWNER), request, reason="wrong numbers")
    for ask in (request_approval, require_approval):
        with pytest.raises(ApprovalRejected, match="wrong numbers"):
            ask(releases.cd(), release, target="prod")


def test_a_rejection_needs_a_reason(releases: Releases) -> None:
    request = request_approval(releases.cd(), releases.staged(), target="prod")
    with pytest.raises(DbxCdError, match="needs a reason"):
        reject(releases.cd(OWNER), request, reason=" ")


def test_the_first_decision_counts(releases: Releases) -> None:
    request = request_approval(releases.cd(), releases.staged(), target="prod")
    approve(releases.cd(OWNER), request, seal=request.seal)
    with pytest.raises((ReleaseError, ApprovalStale)):
        reject(releases.cd(OWNER), request, reason="changed my mind")
    assert require_approval(releases.cd(), request.release, target="prod").outcome == "approved"


def test_a_seal_that_was_not_read_is_refused(releases: Releases) -> None:
    request = request_approval(releases.cd(), releases.staged(), target="prod")
    with pytest.raises(ApprovalStale):
        approve(releases.cd(OWNER), request, seal="0" * 64)


def test_a_second_staging_build_makes_the_approval_stale_and_says_what_changed(releases: Releases) -> None:
    release = releases.staged()
    request = request_approval(releases.cd(), release, target="prod")
    approve(releases.cd(OWNER), request, seal=request.seal)
    releases.model("orders", "select 2 as id")
    releases.build(release)
    with pytest.raises(ApprovalStale) as stale:
        require_approval(releases.cd(), release, target="prod")
    assert stale.value.changed == ("artifacts", "project archive", "smoke report")


def test_artifacts_changed_behind_the_store_s_back_are_not_built(releases: Releases) -> None:
    release = releases.staged()
    request = request_approval(releases.cd(), release, target="prod")
    approve(releases.cd(OWNER), request, seal=request.seal)
    (releases.root / "stg" / request.state_timestamp / "project.tar.gz").write_bytes(b"something else")
    with pytest.raises(DbxCdError, match=r"project\.tar\.gz is not what was published"):
        require_approval(releases.cd(), release, target="prod")


def test_a_request_expires(make: MakeReleases) -> None:
    releases = make("approval_expires: 1m\n")
    release = releases.staged()
    cd = releases.cd()
    request = request_approval(cd, release, target="prod")
    assert request.expires_at - request.requested_at == timedelta(minutes=1)
    late = type(request).from_dict(request.to_dict() | {"expires_at": datetime.now(UTC).isoformat()})
    cd.log.append(release, late)
    with pytest.raises(ApprovalExpired):
        require_approval(cd, release, target="prod")
    with pytest.raises(ApprovalExpired):
        approve(releases.cd(OWNER), late, seal=late.seal)
    assert pending_approvals(cd) == []
    assert request_approval(cd, release, target="prod").expires_at > late.expires_at


def test_a_newer_release_supersedes_a_waiting_one(releases: Releases) -> None:
    older = releases.staged("1")
    request = request_approval(releases.cd(), older, target="prod")
    releases.staged("2", commit="b" * 40)
    with pytest.raises(ApprovalSuperseded):
        approve(releases.cd(OWNER), request, seal=request.seal)


def test_an_approved_release_is_overtaken_by_a_newer_one_that_was_deployed(releases: Releases) -> None:
    older = releases.staged("1")
    request = request_approval(releases.cd(), older, target="prod")
    approve(releases.cd(OWNER), request, seal=request.seal)
    newer = releases.staged("2", commit="b" * 40)
    require_approval(releases.cd(), older, target="prod")
    releases.cd().log.append(newer, Deploying("prod"))
    with pytest.raises(ApprovalSuperseded):
        require_approval(releases.cd(), older, target="prod")


def deployed(releases: Releases) -> Release:
    """A release that was approved, and built into production."""
    release = releases.staged("1")
    request = request_approval(releases.cd(), release, target="prod")
    approve(releases.cd(OWNER), request, seal=request.seal)
    releases.cd().log.append(release, Deployed("prod", request.sealed["project archive"]))
    return release


def test_what_is_deployed_already_needs_no_second_approval(releases: Releases) -> None:
    cd = releases.cd()
    first = deployed(releases)
    again = releases.staged("2")
    request_approval(cd, again, target="prod")
    decision = require_approval(cd, again, target="prod")
    assert decision.reuses == first.id
    assert cd.log.last(again, Decision) == decision


@pytest.mark.parametrize(
    "other", [{"select": "tag:more"}, {"exclude": "orders"}, {"full_refresh": True}], ids=["select", "exclude", "full"]
)
def test_the_same_project_built_in_another_way_needs_an_approval_of_its_own(
    releases: Releases, other: dict[str, Any]
) -> None:
    releases.model("payments")
    deployed(releases)
    again = releases.staged("2")
    request_approval(releases.cd(), again, target="prod", **other)
    with pytest.raises(ApprovalPending):
        require_approval(releases.cd(), again, target="prod")


def test_the_same_project_deferred_otherwise_needs_an_approval_of_its_own(releases: Releases) -> None:
    deployed(releases)
    cd = releases.cd()
    cd = replace(cd, config=replace(cd.config, policies=Policies(untagged_changes="read_existing")))
    again = releases.staged("2")
    request_approval(cd, again, target="prod")
    with pytest.raises(ApprovalPending):
        require_approval(cd, again, target="prod")


def test_what_nobody_approved_is_no_reason_to_skip_an_approval(releases: Releases) -> None:
    cd = releases.cd()
    first = releases.staged("1")
    cd.log.append(first, Deployed("prod", request_approval(cd, first, target="prod").sealed["project archive"]))
    again = releases.staged("2")
    request_approval(cd, again, target="prod")
    with pytest.raises(ApprovalPending):
        require_approval(cd, again, target="prod")


def test_another_project_archive_needs_an_approval_of_its_own(releases: Releases) -> None:
    cd = releases.cd()
    deployed(releases)
    (releases.project / "another_file.sql").write_text("select 1")
    second = releases.staged("2")
    request_approval(cd, second, target="prod")
    with pytest.raises(ApprovalPending):
        require_approval(cd, second, target="prod")


def test_an_upgrade_of_the_wheel_makes_no_approval_stale(releases: Releases, monkeypatch: pytest.MonkeyPatch) -> None:
    release = releases.approved()
    (request,) = releases.cd().log.all(release, ApprovalRequest)
    monkeypatch.setattr("dbx_cd.records.wheel_version", lambda: "9.9.9")
    assert require_approval(releases.cd(), release, target="prod").outcome == "approved"
    assert releases.ask(release) == request


def test_a_flag_that_a_newer_version_brings_changes_no_seal_until_it_is_used() -> None:
    @dataclass(frozen=True)
    class Newer(Selection):
        sample: str | None = None

    assert deploy_of("prod", Newer(select="tag:deploy")) == deploy_of("prod", Selection(select="tag:deploy"))
    assert deploy_of("prod", Newer(sample="1 day"))["sample"] == "1 day"


def test_an_altered_log_approves_nothing(releases: Releases) -> None:
    release = releases.staged()
    cd = releases.cd()
    request = request_approval(cd, release, target="prod")
    approve(releases.cd(OWNER), request, seal=request.seal)
    releases.log_table.alter("UPDATE")
    with pytest.raises(ApprovalRequired, match="was altered"):
        require_approval(cd, release, target="prod")


def test_the_request_s_page_says_what_is_asked(releases: Releases) -> None:
    request = request_approval(releases.cd(), releases.staged(), target="prod")
    page = request.to_html()
    assert request.seal in page
    assert "tag:deploy" in page
    assert "first release to prod" in page


def test_what_is_damaged_in_production_is_not_called_a_first_release(releases: Releases) -> None:
    releases.deployed("1")
    (releases.cd().store.latest("prod").path / "manifest.json").write_text("{")
    request = request_approval(releases.cd(), releases.staged("2", commit="b" * 40), target="prod")
    assert "the artifacts of the build in place are damaged: manifest.json" in request.changes
    assert "first release" not in request.changes


def test_nobody_is_asked_while_what_is_in_production_cannot_be_read(
    releases: Releases, monkeypatch: pytest.MonkeyPatch
) -> None:
    releases.deployed("1")
    release = releases.staged("2", commit="b" * 40)
    read = volume.read

    def away(path: Path, **more: Any) -> bytes:
        if path.name == "latest.json" and path.parent.name == "prod":
            raise Unreachable("latest.json cannot be read: Input/output error")
        return read(path, **more)

    monkeypatch.setattr(volume, "read", away)
    with pytest.raises(Unreachable):
        request_approval(releases.cd(), release, target="prod")
    assert releases.cd().log.state(release).phase == "smoked"


def test_a_release_of_which_a_part_was_rolled_back_lends_nobody_its_approval(releases: Releases) -> None:
    first = releases.deployed("1")
    releases.cd().log.append(first, RestoreResult(first.id, "s", (), False, first.opened_at, 0.0))
    again = releases.staged("2")
    request_approval(releases.cd(), again, target="prod")
    with pytest.raises(ApprovalPending):
        require_approval(releases.cd(), again, target="prod")


def test_an_approval_for_another_target_is_none_for_this_one(make: MakeReleases) -> None:
    gated = "{gate: approval, defer_to: stg}"
    releases = make(f"targets: {{stg: {{}}, prod: {gated}, prod_eu: {gated}}}\n")
    release = releases.deployed("1")
    with pytest.raises(ApprovalPending):
        require_approval(releases.cd(), release, target="prod_eu")
    request = request_approval(releases.cd(), release, target="prod_eu")
    assert {r.target for r in pending_approvals(releases.cd())} == {"prod_eu"}
    assert require_approval(releases.cd(), release, target="prod").outcome == "approved"
    approve(releases.cd(OWNER), request, seal=request.seal)
    assert require_approval(releases.cd(), release, target="prod_eu").seal == request.seal


def test_requests_and_builds_of_an_earlier_wheel_are_read() -> None:
    selection = {"select": "tag:deploy", "exclude": None, "full_refresh": True}
    built = Built.read({"format": 1, "target": "stg", "gated": False, "ok": True, "outcome": "ok", "timestamp": "t",
                        "project_digest": "d", "with_parents": "all", **selection})  # fmt: skip
    assert built.selection == Selection(select="tag:deploy", with_parents="all", full_refresh=True)
    release = {"id": "r", "commit": "c", "run_id": "1", "requester": "ci", "opened_at": "2026-01-01T00:00:00+00:00"}
    request = ApprovalRequest.read(
        {"format": 1, "release": release, "target": "prod", "state_target": "stg", "state_timestamp": "t",
         "favor_state": True, "sealed": {}, "seal": "s", "requested_at": "2026-01-01T00:00:00+00:00",
         "expires_at": "2026-01-02T00:00:00+00:00", "job_identity": "bot", "approvers": "a", "smoke": "", "changes": "",
         **selection}
    )  # fmt: skip
    assert request.selection == Selection(select="tag:deploy", full_refresh=True, favor_state=True)
