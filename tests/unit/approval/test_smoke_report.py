"""Which smoke report lets a release be asked for: the whole one, of the very artifacts that are asked for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dbx_cd import ApprovalRequired, DbtFailed, Release, SmokeReport, build_release, request_approval, require_approval
from memory.releases import Releases


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    return Releases(tmp_path / "releases")


@pytest.fixture
def rebuilt(releases: Releases) -> tuple[Release, str, str]:
    """A release whose staging was built while its first build was being tested; both builds' timestamps."""
    release = releases.open()
    releases.build(release)
    first = releases.cd().store.find("stg", release.id).timestamp
    releases.model("orders", "select 2 as id")
    releases.build(release)
    second = releases.cd().store.find("stg", release.id).timestamp
    releases.smoke(release, artifacts=first)
    return release, first, second


def refused(releases: Releases, release: Release) -> str:
    """Why nobody is asked."""
    with pytest.raises(ApprovalRequired) as why:
        request_approval(releases.cd(), release, target="prod")
    assert releases.cd().log.state(release).waiting_for == ()
    return str(why.value)


def test_a_report_of_an_older_build_is_refused_and_both_builds_are_named(
    releases: Releases, rebuilt: tuple[Release, str, str]
) -> None:
    release, first, second = rebuilt
    message = refused(releases, release)
    assert first in message
    assert second in message
    assert releases.cd().log.state(release).of("stg").phase == "built"


def test_a_report_of_an_older_build_that_comes_late_does_not_hide_the_one_that_counts(
    releases: Releases, rebuilt: tuple[Release, str, str]
) -> None:
    release, first, second = rebuilt
    right = releases.smoke(release)
    request = releases.ask(release)
    assert (request.state_timestamp, right.artifacts) == (second, second)
    releases.approve(request)
    releases.smoke(release, artifacts=first, ok=False)
    assert require_approval(releases.cd(), release, target="prod").outcome == "approved"
    assert releases.cd().log.state(release).of("stg").phase == "smoked"


def test_a_report_of_no_known_build_is_refused(releases: Releases) -> None:
    release = releases.open()
    releases.build(release)
    releases.smoke(release, artifacts="")
    assert "is of no known build" in refused(releases, release)


def test_the_tiny_suite_does_not_pass_the_gate(releases: Releases) -> None:
    release = releases.open()
    releases.build(release)
    releases.smoke(release, tiny=True)
    assert "only guardrails were run" in refused(releases, release)
    releases.smoke(release)
    releases.ask(release)


def test_a_part_of_the_checks_does_not_pass_the_gate(releases: Releases) -> None:
    release = releases.open()
    releases.build(release)
    releases.smoke(release, narrowed="domains sales")
    assert "only a part was run, domains sales" in refused(releases, release)


@pytest.mark.parametrize(
    "report",
    [{"checks": ()}, {"untested": "prod had no build before"}, {"checks": (), "untested": "nothing"}],
    ids=["no checks", "untested", "neither"],
)
def test_a_report_in_which_nothing_was_tested_does_not_pass_the_gate(
    releases: Releases, report: dict[str, object]
) -> None:
    release = releases.open()
    releases.build(release)
    releases.smoke(release, **report)
    assert "did not pass its smoke tests" in refused(releases, release)


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ({"guardrail": False}, True),
        ({"guardrail": True}, False),
        ({"guardrail": False, "domain": "contracts"}, False),
        ({"guardrail": True, "domain": "contracts", "of_the_build": False}, True),
    ],
    ids=["neither", "guardrail", "contract", "contract of a source"],
)
def test_the_request_says_where_the_tiny_suite_will_have_nothing_to_run(
    releases: Releases, what: dict[str, Any], said: bool
) -> None:
    release = releases.staged()
    (check,) = releases.smoke(release).checks
    releases.smoke(release, checks=(replace(check, guardrail=False, domain="sales"), replace(check, **what)))
    request = releases.ask(release)
    assert [
        line.endswith("the tiny suite after the deploy has nothing to run, and fails") for line in request.mind
    ] == [True] * said
    assert ("MIND: no check is marked" in str(request)) is said


def test_a_guardrail_that_has_no_baseline_yet_is_nothing_that_the_tiny_suite_can_run(releases: Releases) -> None:
    release = releases.staged()
    (check,) = releases.smoke(release).checks
    measured = replace(check, kind="metric", status="skipped", guardrail=True, observed=3, due=False)
    releases.smoke(release, checks=(replace(check, guardrail=False), measured))
    assert "nothing to run, and fails" in str(releases.ask(release))


def test_metrics_alone_that_have_no_baseline_yet_do_not_pass_the_gate(releases: Releases) -> None:
    release = releases.staged()
    (check,) = releases.smoke(release).checks
    measured = replace(check, kind="metric", status="skipped", observed=0, due=False)
    releases.smoke(release, checks=(measured,))
    assert "did not pass its smoke tests" in refused(releases, release)


@pytest.mark.parametrize(
    "other", [{"release_id": "20260101T000000Z-bbbbbbb"}, {"commit": "b" * 40}], ids=lambda o: next(iter(o))
)
def test_a_report_of_another_release_does_not_pass_the_gate(releases: Releases, other: dict[str, str]) -> None:
    release = releases.open()
    releases.build(release)
    releases.smoke(release, **other)
    assert next(iter(other.values()))[:12] in refused(releases, release)


def test_an_approved_release_is_not_built_once_its_tested_build_has_failed_a_test(releases: Releases) -> None:
    release = releases.approved()
    releases.smoke(release, ok=False)
    with pytest.raises(ApprovalRequired, match="did not pass its smoke tests"):
        build_release(releases.cd(), release, target="prod")


def test_a_build_of_staging_that_failed_since_the_test_shuts_the_gate(releases: Releases) -> None:
    release = releases.staged()
    releases.model("orders", "fails in stg")
    with pytest.raises(DbtFailed):
        releases.build(release)
    assert "was built again since it was smoke-tested" in refused(releases, release)


def test_a_report_says_what_it_was_narrowed_to_and_older_ones_were_whole(releases: Releases) -> None:
    release = releases.open()
    releases.build(release)
    report = releases.smoke(release, narrowed="select orders")
    assert "(select orders)" in str(report)
    older = {name: value for name, value in report.to_dict().items() if name != "narrowed"}
    assert SmokeReport.read(older).narrowed == ""
