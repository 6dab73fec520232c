"""Staging's identity and production's: what each writes counts in its own name, and neither decides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from dbx_cd import ApprovalNotAllowed, ApprovalRequired, approve, build_release, request_approval, require_approval
from dbx_cd.approval.request import ApprovalRequest
from dbx_cd.release.events import Deployed, Deploying, Release
from memory.releases import BOT, DEVELOPER, GROUPS, OWNER, PRINCIPAL, Releases

PRODUCER = "producer"


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    releases = Releases(tmp_path)
    releases.remember_log(None, production=PRODUCER)
    return releases


def asked(releases: Releases, release: Release) -> ApprovalRequest:
    return request_approval(releases.cd(PRODUCER, staging_identity=BOT), release, target="prod")


def test_a_release_is_built_by_the_one_and_promoted_by_the_other(releases: Releases) -> None:
    release = releases.staged()
    request = asked(releases, release)
    assert (request.job_identity, request.staging_identity) == (PRODUCER, BOT)
    assert request.built_as == f"stg by {BOT}, prod by {PRODUCER}"
    approve(releases.cd(OWNER), request, seal=request.seal)
    build_release(releases.cd(PRODUCER, staging_identity=BOT), release, target="prod")
    assert releases.cd(OWNER).log.state(release).phase == "deployed"
    assert releases.cd(BOT).log.last_good("prod") == release


def test_one_identity_is_named_as_what_it_is(tmp_path: Path) -> None:
    releases = Releases(tmp_path)
    request = releases.ask(releases.staged())
    assert request.staging_identity is None
    assert f"one identity, {BOT}: a macro of any merged commit can write prod" in request.to_html()


def test_who_has_built_staging_may_not_decide(releases: Releases, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(GROUPS, BOT, GROUPS[OWNER])
    request = asked(releases, releases.staged())
    with pytest.raises(ApprovalNotAllowed, match=f"{BOT} has built staging"):
        approve(releases.cd(BOT), request, seal=request.seal)


FORGED: dict[str, Callable[[Releases, Release], object]] = {
    "a claim": lambda releases, release: releases.cd(BOT).log.append(release, Deploying("prod")),
    "a deploy": lambda releases, release: releases.cd(BOT).log.append(release, Deployed("prod", "digest")),
    "a smoke test": lambda releases, release: releases.smoke(release, target="prod"),
}


@pytest.mark.parametrize("what", FORGED)
def test_what_staging_s_identity_says_of_production_does_not_count_at_the_gate(releases: Releases, what: str) -> None:
    release = releases.staged()
    request = asked(releases, release)
    approve(releases.cd(OWNER), request, seal=request.seal)
    cd = releases.cd(PRODUCER, staging_identity=BOT)
    build_release(cd, release, target="prod")
    FORGED[what](releases, release)
    log, _ = cd.log.examined(release, workflow=cd.identities)
    assert [(event.kind, event.actor) for event in log.not_counted] == [
        ({"a claim": "deploying", "a deploy": "deployed", "a smoke test": "smoked"}[what], BOT)
    ]


def test_a_request_by_staging_s_identity_is_none(releases: Releases) -> None:
    release = releases.staged()
    request = request_approval(releases.cd(BOT), release, target="prod")
    approve(releases.cd(OWNER), request, seal=request.seal)
    with pytest.raises(ApprovalRequired, match=f"approval_requested by {BOT}"):
        require_approval(releases.cd(PRODUCER, staging_identity=BOT), release, target="prod")


def test_a_release_that_production_s_identity_has_opened_is_refused(releases: Releases) -> None:
    stranger = releases.cd(PRINCIPAL).log.open("a" * 40, run_id="9", requester="ci")
    with pytest.raises(ApprovalRequired, match=rf"opened by {PRINCIPAL}, and the Workflow is {BOT}"):
        require_approval(releases.cd(PRODUCER, staging_identity=BOT), stranger, target="prod")


def test_a_stranger_s_events_count_no_more_than_before(releases: Releases) -> None:
    release = releases.staged()
    releases.cd(DEVELOPER).log.append(release, Deployed("prod", "digest"))
    assert releases.cd(OWNER).log.state(release).phase == "smoked"


def test_staging_s_identity_sees_what_production_s_has_deployed(releases: Releases) -> None:
    release = releases.staged()
    request = asked(releases, release)
    approve(releases.cd(OWNER), request, seal=request.seal)
    releases.open("2", commit="b" * 40)
    state = releases.cd(OWNER).log.state(release)
    assert (state.phase, state.superseded_by) == ("approved", None), "an approved release is superseded by none"


def test_old_requests_can_be_read(releases: Releases) -> None:
    request = asked(releases, releases.staged())
    old = replace(request, staging_identity=None).to_dict()
    old.pop("staging_identity")
    assert ApprovalRequest.read(old).staging_identity is None
