"""Earlier smoke reports, on a log in memory."""

from __future__ import annotations

import hashlib

from dbx_cd.release.events import Release
from dbx_cd.release.log import ReleaseLog
from dbx_cd.smoke.report import CheckResult, SmokeReport, past_reports
from memory.log_table import MemoryLogTable


class Rows(MemoryLogTable):
    """Counts the rows that leave the table."""

    read = 0

    def newest(self, *args: object, **named: object) -> list:  # type: ignore[type-arg, override]
        found = super().newest(*args, **named)  # type: ignore[arg-type]
        self.read += len(found)
        return found

    def rows(self, *args: object, **named: object) -> list:  # type: ignore[type-arg, override]
        found = super().rows(*args, **named)  # type: ignore[arg-type]
        self.read += len(found)
        return found


def smoked(log: ReleaseLog, run: int, *, target: str = "prod", observed: int = 0) -> Release:
    release = log.open(hashlib.sha1(str(run).encode()).hexdigest(), run_id=str(run), requester="ci")
    check = CheckResult(
        name="rows", kind="metric", status="pass", domain="sales", where="smoke/sales.yml:3", observed=observed
    )
    log.append(release, SmokeReport(target, "", release.commit, release.id, True, 0.0, (check,)))
    return release


def test_past_reports_are_the_newest_of_each_release_and_no_more_leave_the_log() -> None:
    table = Rows()
    log = ReleaseLog.on(table)
    for run in range(30):
        smoked(log, run, observed=run)
        smoked(log, run, target="stg", observed=-run)
    smoked(log, 28, observed=280)  # repaired
    last = smoked(log, 99)
    table.read = 0
    found = past_reports(log, "prod", before=last, last=3)
    assert [report.checks[0].observed for report in found] == [27, 29, 280]
    assert table.read == 3
