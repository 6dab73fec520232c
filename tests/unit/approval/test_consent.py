"""Consent to losses: by name, by whoever decides, once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dbx_cd import (
    ApprovalStale,
    ConsentMissing,
    DbtFailed,
    Decision,
    Release,
    approve,
    build_release,
    request_approval,
    require_approval,
)
from dbx_cd.approval.request import ApprovalRequest
from dbx_cd.approval.seal import seal_of
from dbx_cd.delta.tables import Column
from memory.releases import OWNER, Releases, relation

LOSS = "prod.shop.becomes_other: table"


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    made = Releases(tmp_path)
    made.model("becomes_other")
    made.deployed("1")
    return made


def losing(releases: Releases, run_id: str = "2", *, commit: str = "b") -> tuple[Release, ApprovalRequest]:
    """A release after which a table of production is a view."""
    releases.model("becomes_other", "select id from {{ ref('orders') }} -- a view")
    release = releases.staged(run_id, commit=commit * 40)
    return release, request_approval(releases.cd(), release, target="prod")


def test_a_request_names_what_would_be_lost_and_its_page_too(releases: Releases) -> None:
    _, request = losing(releases)
    assert request.consent == (LOSS,)
    assert "needs consent by name" in request.to_html()
    assert LOSS in request.to_html()


@pytest.mark.parametrize("given", [(), ("",), (" ",)])
def test_an_approval_without_consent_is_refused_and_decides_nothing(releases: Releases, given: tuple[str, ...]) -> None:
    release, request = losing(releases)
    with pytest.raises(ConsentMissing, match=f"nobody has agreed to: {LOSS}"):
        approve(releases.cd(OWNER), request, seal=request.seal, consent=given)
    assert releases.cd().log.last(release, Decision) is None


def test_a_name_that_nobody_asked_about_is_refused_with_the_nearest(releases: Releases) -> None:
    _, request = losing(releases)
    with pytest.raises(ConsentMissing, match=f"did you mean '{LOSS}'"):
        approve(releases.cd(OWNER), request, seal=request.seal, consent=["prod.shop.becomes_other: tabel"])


def test_consent_is_a_part_of_the_decision_and_the_build_goes_on(releases: Releases) -> None:
    release, request = losing(releases)
    decision = approve(releases.cd(OWNER), request, seal=request.seal, consent=[f" {LOSS} "])
    assert decision.consent == (LOSS,)
    assert require_approval(releases.cd(), release, target="prod").consent == (LOSS,)
    assert build_release(releases.cd(), release, target="prod").ok
    assert releases.tables.entries([relation("prod", "becomes_other")])["prod.shop.becomes_other"].kind == "view"


def test_a_decision_in_the_log_that_does_not_consent_builds_nothing(releases: Releases) -> None:
    release, request = losing(releases)
    written = Decision("approved", release.id, request.seal, OWNER)
    releases.cd(OWNER).log.append(release, written)
    with pytest.raises(ConsentMissing, match=LOSS):
        build_release(releases.cd(), release, target="prod")
    assert releases.tables.entries([relation("prod", "becomes_other")])["prod.shop.becomes_other"].kind == "table"


def test_where_the_policy_warns_losses_are_told_and_nobody_is_asked(releases: Releases) -> None:
    releases.settings = "policies: {destructive_changes: warn}"
    release, request = losing(releases)
    assert request.consent == ()
    assert any(line.startswith(LOSS) for line in request.losses)
    approve(releases.cd(OWNER), request, seal=request.seal)
    assert build_release(releases.cd(), release, target="prod").ok


def test_a_build_that_was_killed_after_a_loss_needs_no_second_consent(releases: Releases) -> None:
    release, request = losing(releases)
    approve(releases.cd(OWNER), request, seal=request.seal, consent=request.consent)
    releases.dbt.killed_after = relation("prod", "becomes_other")
    with pytest.raises(Exception, match="dbt"):
        build_release(releases.cd(), release, target="prod")
    releases.dbt.killed_after = None
    assert request_approval(releases.cd(), release, target="prod") == request
    assert build_release(releases.cd(), release, target="prod").ok


@pytest.mark.parametrize("attempt", ["repaired", "followed by another release"])
def test_what_a_build_that_was_killed_has_made_is_nobody_else_s(releases: Releases, attempt: str) -> None:
    releases.model("made_first")
    releases.model("made_last")
    release = releases.approved("2", commit="b" * 40)
    releases.dbt.killed_after = relation("prod", "made_first")
    with pytest.raises(DbtFailed):
        build_release(releases.cd(), release, target="prod")
    assert relation("prod", "made_first").key in releases.tables.relations
    releases.dbt.killed_after = None
    if attempt != "repaired":
        release = releases.staged("3", commit="c" * 40)
        assert releases.ask(release).losses == ()
        approve(releases.cd(OWNER), request := releases.ask(release), seal=request.seal)
    assert build_release(releases.cd(), release, target="prod").ok


def test_a_model_that_comes_back_takes_over_its_own_relation(releases: Releases) -> None:
    (releases.project / "models" / "becomes_other.sql").unlink()
    releases.deployed("2", commit="b" * 40)
    releases.model("becomes_other")
    assert releases.ask(releases.staged("3", commit="c" * 40)).consent == ()


def test_a_relation_that_was_there_before_a_release_failed_is_taken_over_by_consent(releases: Releases) -> None:
    releases.tables.create(relation("prod", "by_hand"), "by hand")
    releases.model("by_hand", "select 1 as id -- fails in prod")
    with pytest.raises(DbtFailed):
        build_release(releases.cd(), releases.approved("2", commit="b" * 40), target="prod")
    releases.model("by_hand")
    asked = releases.ask(releases.staged("3", commit="c" * 40))
    assert asked.consent == ("prod.shop.by_hand: relation that no release made",)


def test_an_approval_of_before_there_were_plans_agrees_to_no_loss(releases: Releases) -> None:
    release, asked = losing(releases)
    parts = {name: part for name, part in asked.sealed.items() if name != "deploy plan"}
    old = replace(asked, sealed=parts, seal=seal_of(parts), plan="", losses=(), consent=())
    releases.cd().log.append(release, old)
    approve(releases.cd(OWNER), old, seal=old.seal)
    with pytest.raises(ApprovalStale, match=f"loss: {LOSS}"):
        build_release(releases.cd(), release, target="prod")
    releases.approve(releases.ask(release))
    assert build_release(releases.cd(), release, target="prod").ok


def test_who_agrees_that_a_column_is_narrowed_has_not_agreed_that_it_goes(releases: Releases) -> None:
    def columns(target: str, *types: str) -> None:
        at = relation(target, "becomes_other")
        releases.tables.drop(at, kind="table")
        releases.tables.create(at, columns=("id",))
        content = releases.tables.table(at).contents
        more = tuple(Column(f"c{place}", type_) for place, type_ in enumerate(types))
        content[-1] = replace(content[-1], columns=(*content[-1].columns, *more))

    release = releases.staged("2", commit="b" * 40)
    columns("prod", "bigint")
    columns("stg", "int")
    releases.approve(request := releases.ask(release))
    assert request.consent == ("prod.shop.becomes_other: column c0",)
    columns("stg")
    with pytest.raises(ApprovalStale, match=r"column c0: the column \(bigint\) is dropped"):
        build_release(releases.cd(), release, target="prod")
    assert releases.ask(release).seal != request.seal


def test_an_approval_is_lent_with_the_loss_that_it_names(releases: Releases) -> None:
    """A table is there again that was made a view; whoever approved that archive has agreed to lose it."""
    as_view, request = losing(releases)
    releases.approve(request)
    build_release(releases.cd(), as_view, target="prod")
    releases.smoke(as_view, target="prod")
    releases.tables.drop(relation("prod", "becomes_other"), kind="view")
    releases.tables.create(relation("prod", "becomes_other"), "by hand")
    again = releases.staged("3", commit="b" * 40)
    assert releases.ask(again).consent == (LOSS,)
    decision = releases.cd().log.last(again, Decision)
    assert decision is not None
    assert (decision.reuses, decision.consent) == (as_view.id, (LOSS,))


def test_an_approval_is_not_lent_to_a_loss_that_it_does_not_name(releases: Releases) -> None:
    """Code goes back to where a table of today was a new view, at which nothing was lost."""
    becomes_table = relation("prod", "summary")
    releases.model("summary", "select id from {{ ref('orders') }} -- a view")
    releases.deployed("2", commit="b" * 40)
    releases.model("summary", "select 1 as id")
    releases.deployed("3", commit="c" * 40)
    assert releases.tables.entries([becomes_table])[becomes_table.key].kind == "table"
    releases.model("summary", "select id from {{ ref('orders') }} -- a view")
    back = releases.staged("4", commit="b" * 40)
    assert releases.ask(back).consent == ("prod.shop.summary: table",)
    assert releases.cd().log.last(back, Decision) is None


def test_consent_given_as_one_text_is_one_name(releases: Releases) -> None:
    _, request = losing(releases)
    decision = approve(releases.cd(OWNER), replace(request), seal=request.seal, consent=LOSS)
    assert decision.consent == (LOSS,)
