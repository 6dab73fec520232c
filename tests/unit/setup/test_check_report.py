from __future__ import annotations

import json
from dataclasses import replace

import pytest

from dbx_cd import CheckFailed, CheckReport
from dbx_cd.setup.check.report import CheckLine, fail, ok, skipped, warn


def named(group: str, name: str, line: CheckLine) -> CheckLine:
    return replace(line, group=group, name=name)


REPORT = CheckReport(
    "/work/shop",
    "job-identity",
    (
        named("Files", "gate", ok("prod", "needs an approval")),
        named("Files", "targets apart", fail("", "both build into prod.shop", next_step="give each a schema")),
        named("Data", "log", skipped("", "needs a notebook")),
        named("Data", "retention", warn("prod.a.b", "seven days " * 20, next_step="set the property")),
    ),
)


def test_a_report_is_read_on_a_terminal_by_groups_with_each_next_step_under_its_line() -> None:
    lines = REPORT.text.splitlines()
    assert lines[0] == "Files"
    assert lines[1] == "  ok      gate           prod: needs an approval"
    assert lines[2] == "  FAIL    targets apart  both build into prod.shop"
    assert lines[3] == "                         Next: give each a schema"
    assert lines[4:6] == ["", "Data"]
    assert lines[-1] == "check failed, as job-identity: 1 fail, 1 warn, 1 skipped, 1 ok"
    assert max(map(len, lines)) <= 110
    assert not REPORT.text.count("\x1b")


def test_what_was_skipped_is_no_failure_and_not_ok_either() -> None:
    only_skipped = replace(REPORT, lines=REPORT.lines[2:3])
    assert only_skipped.ok
    assert str(only_skipped) == "check ok, as job-identity: 1 skipped"
    assert [line.message for line in only_skipped.skipped] == ["needs a notebook"]


def test_a_failed_report_is_raised_with_what_failed_and_the_next_step() -> None:
    with pytest.raises(
        CheckFailed, match=r"targets apart: both build into prod.shop .*Next: give each a schema"
    ) as info:
        REPORT.raise_if_failed()
    assert info.value.report is REPORT
    replace(REPORT, lines=REPORT.lines[:1]).raise_if_failed()


def test_a_report_survives_json() -> None:
    assert CheckReport.from_dict(json.loads(json.dumps(REPORT.to_dict()))) == REPORT


def test_a_page_shows_every_line_and_takes_text_for_text() -> None:
    hostile = replace(REPORT, lines=(*REPORT.lines, named("Data", "x", ok("<b>", "fine"))))
    page = hostile.to_html()
    assert "both build into prod.shop" in page
    assert "give each a schema" in page
    assert "<b>" not in page
