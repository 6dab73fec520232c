"""With which build's checks production is tested after a data rollback, on a log and a store in memory."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dbx_cd import (
    DbtFailed,
    Release,
    ReleaseError,
    RestoreResult,
    SmokeFailed,
    SmokeReport,
    build_release,
    plan_restore,
    request_approval,
    restore,
    smoke_after_restore,
)
from dbx_cd.artifacts.archive import ARCHIVE_NAME, pack_files, unpack
from dbx_cd.artifacts.version import RECORD_NAME
from dbx_cd.release.events import ClaimWithdrawn, Deploying
from memory.releases import Releases

# Reported as broken without asking any table
CHECKS = "tables: [{model: orders, compare: [{nonsense: 1}]}, {model: payments, compare: [{nonsense: 1}]}]"


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    return Releases(tmp_path)


def deployed(releases: Releases, number: int, text: str = "") -> Release:
    releases.model("orders", text or f"select {number} as id")
    return releases.deployed(str(number), commit=str(number) * 40)


def second_with_checks(releases: Releases) -> Release:
    """The second release of a project with two models and checks of both."""
    (releases.project / "smoke").mkdir()
    (releases.project / "smoke" / "sales.yml").write_text(CHECKS)
    releases.model("payments")
    deployed(releases, 1)
    return deployed(releases, 2)


def undone(
    releases: Releases, release: Release, *, only: list[str] | None = None, target: str | None = None
) -> RestoreResult:
    plan = plan_restore(releases.cd(), release, target=target, only=only)
    return restore(releases.cd(), plan, seal=plan.seal)


def to_eu(releases: Releases, release: Release) -> Release:
    """The release in a second gated target."""
    releases.approve(request_approval(releases.cd(), release, target="eu"))
    build_release(releases.cd(), release, target="eu")
    return release


def build_tested(releases: Releases, release: Release) -> str:
    """The release whose build was taken."""
    report = smoke_after_restore(releases.cd(), release, undone(releases, release))
    assert releases.cd().log.last(release, SmokeReport) == report
    return report.release_id


def test_production_is_tested_as_the_build_before_the_release_says(releases: Releases) -> None:
    deployed(releases, 1)
    before, bad = deployed(releases, 2), deployed(releases, 3)
    assert build_tested(releases, bad) == before.id


def test_where_there_was_no_build_before_nothing_is_tested_and_the_report_says_so(releases: Releases) -> None:
    first = deployed(releases, 1)
    report = smoke_after_restore(releases.cd(), first, undone(releases, first))
    (check,) = report.checks
    assert (report.target, report.release_id, check.status, check.due) == ("prod", first.id, "skipped", False)
    assert check.reason == f"prod had no build before {first}, so there are no checks for what is in it now"
    assert (report.untested, report.ok) == (check.reason, True)


def test_the_build_of_a_release_that_was_rolled_back_is_left_out(releases: Releases) -> None:
    before, undone_before = deployed(releases, 1), deployed(releases, 2)
    undone(releases, undone_before)
    bad = deployed(releases, 3)
    assert build_tested(releases, bad) == before.id


def test_a_build_that_failed_is_left_out(releases: Releases) -> None:
    before = deployed(releases, 1)
    with pytest.raises(DbtFailed):
        deployed(releases, 2, "fails in prod")
    assert build_tested(releases, deployed(releases, 3)) == before.id


def test_builds_after_the_release_are_left_out(releases: Releases) -> None:
    before, bad = deployed(releases, 1), deployed(releases, 2)
    deployed(releases, 3)
    plan = plan_restore(releases.cd(), bad)
    result = restore(releases.cd(), plan, seal=plan.seal, discard_later_writes=True)
    assert smoke_after_restore(releases.cd(), bad, result).release_id == before.id


@pytest.mark.parametrize(
    ("only", "models"), [(None, ["orders", "payments"]), (["payments"], ["payments"])], ids=["all", "some"]
)
def test_after_a_rollback_of_some_relations_only_their_checks_run(
    releases: Releases, only: list[str] | None, models: list[str]
) -> None:
    bad = second_with_checks(releases)
    report = smoke_after_restore(releases.cd(), bad, undone(releases, bad, only=only))
    assert sorted({c.model for c in report.checks if c.model is not None}) == models
    assert (report.untested, report.ok) == ("", False)


def test_where_no_check_is_about_what_was_restored_the_report_says_so_and_nothing_has_failed(
    releases: Releases,
) -> None:
    releases.model("payments")
    before, bad = deployed(releases, 1), deployed(releases, 2)
    report = smoke_after_restore(releases.cd(), bad, undone(releases, bad, only=["payments"]))
    assert (report.release_id, report.checks, report.ok) == (before.id, (), True)
    assert str(report) == "tiny smoke of prod (select model.tiny.payments) had nothing to test: nothing to check"
    assert "has no check that can judge what was restored" in report.untested


def test_suites_that_the_build_before_names_and_does_not_have_are_a_failure_after_a_rollback_too(
    releases: Releases,
) -> None:
    releases.settings = "smoke_dir: nowhere\n"
    deployed(releases, 1)
    bad = deployed(releases, 2)
    report = smoke_after_restore(releases.cd(), bad, undone(releases, bad))
    assert [c.status for c in report.checks] == ["broken"]
    assert not report.ok


def test_an_older_build_is_tested_whatever_its_settings_would_be_refused_for_now(
    releases: Releases, tmp_path: Path
) -> None:
    before, cd = deployed(releases, 1), releases.cd()
    built = cd.store.latest("prod")
    files = Path(shutil.copytree(built.path, tmp_path / "files", ignore=shutil.ignore_patterns(RECORD_NAME)))
    project = unpack(built, tmp_path / "unpacked")
    (project / "checks").mkdir()
    (project / "checks" / "sales.yml").write_text(CHECKS)
    settings = "smoke_dir: nowhere\nsmoke_dir: checks\ntargets: {prod: {gate: approval, defer_to: prod}}\n"
    (project / "dbx_cd.yml").write_text(settings)
    contents = {path.relative_to(project).as_posix(): path for path in project.rglob("*") if path.is_file()}
    pack_files(contents, files / ARCHIVE_NAME)
    cd.store.publish("prod", files, commit=before.commit, release_id=before.id, latest=True)
    bad = deployed(releases, 2)
    report = smoke_after_restore(cd, bad, undone(releases, bad))
    assert "sales" in {check.domain for check in report.checks}


def test_a_release_that_was_killed_before_it_changed_anything_has_nothing_to_test(releases: Releases) -> None:
    deployed(releases, 1)
    killed, cd = releases.approved("2", commit="2" * 40), releases.cd()
    cd.log.append(killed, Deploying("prod"))
    plan = plan_restore(cd, killed)
    result = restore(cd, plan, seal=plan.seal, discard_later_writes=True)
    report = smoke_after_restore(cd, killed, result)
    (check,) = report.checks
    assert (report.ok, check.status) == (True, "skipped")
    assert check.reason == f"{killed} was killed before it changed anything in prod"


def test_a_release_that_never_began_to_deploy_has_nothing_to_test(releases: Releases) -> None:
    bad = deployed(releases, 1)
    result = undone(releases, bad)
    with pytest.raises(ReleaseError, match="never changed prod"):
        smoke_after_restore(releases.cd(), releases.open("9"), result)


def test_the_target_is_one_that_the_release_changed_and_can_be_named(releases: Releases) -> None:
    deployed(releases, 1)
    bad = deployed(releases, 2)
    cd = releases.cd()
    cd.log.append_all(bad, [Deploying("elsewhere"), ClaimWithdrawn("elsewhere", "somebody was there before")])
    result = undone(releases, bad)
    assert smoke_after_restore(cd, bad, result).target == "prod", "the claim of the other one was withdrawn"
    assert smoke_after_restore(cd, bad, result, target="prod").target == "prod"
    with pytest.raises(ReleaseError, match="never changed elsewhere"):
        smoke_after_restore(cd, bad, result, target="elsewhere")


def test_of_two_targets_the_one_that_was_restored_is_tested_unless_one_is_named(releases: Releases) -> None:
    releases.settings = "targets: {stg: {}, prod: {defer_to: stg, gate: approval}, eu: {defer_to: stg, gate: approval}}"
    before = to_eu(releases, deployed(releases, 1))
    bad = to_eu(releases, deployed(releases, 2))
    cd, result = releases.cd(), undone(releases, bad, target="eu")
    undone(releases, bad, target="prod")
    reports = [smoke_after_restore(cd, bad, result, target=target) for target in (None, "eu", "prod")]
    assert [(report.target, report.release_id) for report in reports] == [
        ("eu", before.id),
        ("eu", before.id),
        ("prod", before.id),
    ]


def test_the_log_is_read_once(releases: Releases) -> None:
    deployed(releases, 1)
    bad = deployed(releases, 2)
    result = undone(releases, bad)
    reads: list[None] = []
    releases.log_table.after_read = lambda: reads.append(None)
    smoke_after_restore(releases.cd(), bad, result)
    assert len(reads) == 1


def test_a_smoke_test_that_cannot_be_run_does_not_hide_that_the_data_is_back(releases: Releases) -> None:
    before, bad = deployed(releases, 1), deployed(releases, 2)
    result = undone(releases, bad)
    archive = releases.cd().store.find("prod", before.id).path / ARCHIVE_NAME
    content = archive.read_bytes()
    archive.write_bytes(b"damaged")
    what = "the data in prod is back; its smoke test could not be run: .*plan and run the rollback once more"
    with pytest.raises(ReleaseError, match=what):
        smoke_after_restore(releases.cd(), bad, result)
    archive.write_bytes(content)
    again = undone(releases, bad)
    assert smoke_after_restore(releases.cd(), bad, again).release_id == before.id, "what the message says to do works"
    assert [r.version_after for r in again.relations] == [r.version_after for r in result.relations]


@pytest.mark.parametrize(
    ("only", "back"),
    [(None, "the data in prod is back, and"), (["payments"], "the data in prod is back, as far as it was to be, and")],
    ids=["all", "some"],
)
def test_a_smoke_test_that_fails_after_a_rollback_says_what_is_back(
    releases: Releases, only: list[str] | None, back: str
) -> None:
    bad = second_with_checks(releases)
    with pytest.raises(SmokeFailed, match=back) as failed:
        smoke_after_restore(releases.cd(), bad, undone(releases, bad, only=only), check=True)
    assert releases.cd().log.last(bad, SmokeReport) == failed.value.report
