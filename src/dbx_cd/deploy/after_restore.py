"""The tiny smoke suite on production after a data rollback, with the checks that production had then."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from dbx_cd.artifacts import archive as project_archive
from dbx_cd.artifacts.version import TIMESTAMP_FORMAT
from dbx_cd.config import FILE_NAME, CdConfig, read_settings
from dbx_cd.errors import DbxCdError, ReleaseError, noting
from dbx_cd.relations import RelationName
from dbx_cd.release.in_place import builds_of
from dbx_cd.rollback.of_target import points_of
from dbx_cd.smoke.baseline import NoBaseline
from dbx_cd.smoke.report import CheckResult, SmokeReport
from dbx_cd.smoke.run import load_suites, run_smoke

if TYPE_CHECKING:
    from dbx_cd.artifacts.version import ArtifactVersion
    from dbx_cd.release.context import Cd
    from dbx_cd.release.events import Release
    from dbx_cd.release.reading import LogReading
    from dbx_cd.rollback.journal import RestoreResult
    from dbx_cd.rollback.point import RestorePoint


def smoke_after_restore(
    cd: Cd, release: Release, result: RestoreResult, *, target: str | None = None, check: bool = False
) -> SmokeReport:
    """Test production as a data rollback left it, and write the report to the release log.

    The rows are those of before the release, so the checks are, too: contracts and guardrails of the build that
    production had then, from its own project archive. Contracts are executed, not taken from that build. After a
    rollback of some relations only their checks run.

    Where somebody else rolls back than has opened the release, the report is in the log for people, and lets nothing on
    (`release.authorship`).

    Args:
        cd: the context.
        release: the release that was rolled back.
        result: what `restore` returned.
        target: the gated target to test; by default the one that was restored, or else the one that the release was
            deployed to last.
        check: raise unless the report is ok.

    Returns:
        The report. Where production had no build before, or the release was killed before it changed anything, its only
        check is skipped and says so. There, and where the build before has no check that can judge what was restored,
        the report says why it is `untested`, and is ok: it is no smoke test of a build.

    Raises:
        ReleaseError: the release never began to change that target; or the test could not be run, which does not
            change that the data is back.
        SmokeFailed: with `check`, where the report is not ok; the message says first what is back.
    """
    log = cd.log.read(release)
    claimed = {name: t.claimed for name, t in log.state.targets.items() if t.claimed >= 0}
    target = target or result.target or max(claimed, key=lambda name: claimed[name], default="a gated target")
    if target not in claimed:
        raise ReleaseError(f"{release} never changed {target}", next_step="there is nothing to test")
    try:
        report = _report(cd, log, release, result, target)
        cd.log.append(release, report)
    except DbxCdError as exc:
        raise ReleaseError(
            f"{_what_is_back(result, target)}; its smoke test could not be run: {exc.what}",
            where=exc.where,
            next_step=f"{exc.next_step or 'remove that cause'}; then plan and run the rollback once more: it finds the "
            "data as it is to be, changes nothing, and tests it",
        ) from exc
    if check:
        with noting(f"{_what_is_back(result, target)}, and this is what is wrong with it"):
            report.raise_if_failed()
    return report


def _what_is_back(result: RestoreResult, target: str) -> str:
    return f"the data in {target} is back{'' if result.complete else ', as far as it was to be'}"


def _report(cd: Cd, log: LogReading, release: Release, result: RestoreResult, target: str) -> SmokeReport:
    point = next(iter(points_of(log, target)), None)
    earlier = _build_before(cd, log, point, target) if point is not None else None
    if point is None:
        return _untested(target, release, f"{release} was killed before it changed anything in {target}")
    if earlier is None:
        why = f"{target} had no build before {release}, so there are no checks for what is in it now"
        return _untested(target, release, why)
    return _tested(cd, result, earlier)


def _tested(cd: Cd, result: RestoreResult, earlier: ArtifactVersion) -> SmokeReport:
    known = earlier.manifest().relations
    restored = [known[key].unique_id for r in result.relations if (key := RelationName.parse(r.name).key) in known]
    with tempfile.TemporaryDirectory(prefix="dbx_cd-", ignore_cleanup_errors=True) as folder:
        project = project_archive.unpack(earlier, Path(folder) / "project")
        # This one setting alone: what else the file says was for that release, by the rules of then.
        smoke_dir = read_settings(project / FILE_NAME, last_counts=True).get("smoke_dir") or CdConfig().smoke_dir
        select = None if result.complete else sorted(set(restored))
        report = run_smoke(
            load_suites(project / str(smoke_dir), earlier, select=select),
            spark=cd.spark,
            artifacts=earlier,
            baseline=NoBaseline("after a rollback there is nothing newer to compare with"),
            tiny=True,
            recheck=True,
            check=False,
        )
    if report.was_due:
        return report
    # Nothing is let on by this report, and production is back: that no check is about it is nobody's failure now.
    return replace(report, untested=f"the build {earlier} has no check that can judge what was restored")


def _build_before(cd: Cd, log: LogReading, point: RestorePoint, target: str) -> ArtifactVersion | None:
    """The newest build of a target that was in place before the release."""
    taken = point.taken_at.strftime(TIMESTAMP_FORMAT)
    before = (version for version in builds_of(cd.store, log, target).in_place if version.timestamp < taken)
    return max(before, key=lambda version: version.timestamp, default=None)


def _untested(target: str, release: Release, reason: str) -> SmokeReport:
    check = CheckResult(
        name="production after the rollback",
        kind="suite",
        status="skipped",
        domain="rollback",
        where=target,
        reason=reason,
        due=False,
    )
    return SmokeReport(target, "", release.commit, release.id, tiny=True, seconds=0.0, checks=(check,), untested=reason)
