"""Numbers of checks: compared without rounding, kept as JSON can have them, named where they are none."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from dbx_cd.release.log import ReleaseLog
from dbx_cd.smoke.answers import Answer
from dbx_cd.smoke.baseline import NoBaseline
from dbx_cd.smoke.checks import Bounds, Comparison
from dbx_cd.smoke.groups import groups_query
from dbx_cd.smoke.judge import judge
from dbx_cd.smoke.numbers import as_decimal, difference, digits, is_finite, kept, position, read, typed, within
from dbx_cd.smoke.picture import band
from dbx_cd.smoke.plan import AGGREGATE, Planned
from dbx_cd.smoke.report import CheckResult, SmokeReport
from memory.log_table import MemoryLogTable

NAN, INFINITY = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("value", "low", "high", "met"),
    [
        (Decimal("0.100000000000000001"), None, Decimal("0.1"), False),
        (Decimal("0.1"), Decimal("0.1"), Decimal("0.1"), True),
        (9007199254740993, None, 9007199254740992, False),
        (9007199254740993, 9007199254740993, 9007199254740993, True),
        (0.1, Decimal("0.1"), Decimal("0.1"), True),
        (0.1, None, "0.1", True),
        (5, 1, None, True),
        (INFINITY, 0, None, True),
        (INFINITY, None, Decimal(10), False),
        (INFINITY, None, Decimal("1E+400"), False),
        (1e308, None, Decimal("1E+400"), True),
        (Decimal("1E+400"), None, Decimal("1E+399"), False),
        (10**400, 10**400 + 1, None, False),
        (NAN, None, 10, False),
        (Decimal("NaN"), 0, None, False),
        (Decimal("sNaN"), 0, None, False),
        (None, None, None, False),
        (True, 0, 2, False),
        ("5", 0, 9, False),
    ],
)
def test_a_number_is_within_limits_exactly_and_a_double_to_the_nearest(
    value: Any, low: Any, high: Any, met: bool
) -> None:
    assert within(value, low, high) is met


def test_strict_limits_leave_the_limit_itself_out() -> None:
    assert within(Decimal("0.1"), Decimal("0.1"), strict_low=True) is False
    assert within(3, None, 3, strict_high=True) is False


@pytest.mark.parametrize(
    "number",
    [
        *(0, -7, 2**53 + 1, 0.1, 1e300, -(10**400), pytest.param(10**5000 + 1, id="5001 digits")),
        *map(Decimal, ("0.1", "123456789012345678.12", "1E-18", "2990.00", "1E+90", "-1.5E+400", "1E-400")),
    ],
)
def test_what_is_kept_of_a_number_is_json_and_gives_the_same_number_back(number: Any) -> None:
    text = json.dumps(kept(number), allow_nan=False)
    found = read(json.loads(text))
    assert found is not None
    assert as_decimal(found) == as_decimal(number)


@pytest.mark.parametrize(("number", "name"), [(NAN, "NaN"), (INFINITY, "Infinity"), (-INFINITY, "-Infinity")])
def test_what_json_does_not_have_is_kept_by_name(number: float, name: str) -> None:
    assert (kept(number), kept(Decimal(number)), digits(number)) == (name, name, name)


@pytest.mark.parametrize("text", ["1_000", " 5 ", "5\n", "١٢", "+5", ".5", "5.", "1e5", "NaN", "sNaN", "Infinity", ""])
def test_text_that_is_not_the_digits_of_a_kept_number_is_none(text: str) -> None:
    assert read(text) is None


@pytest.mark.parametrize("number", [Decimal("sNaN"), Decimal("-NaN")])
def test_every_nan_of_decimals_is_named(number: Decimal) -> None:
    assert (is_finite(number), kept(number), digits(number)) == (False, "NaN", "NaN")


def test_every_digit_is_shown_and_no_exponent_where_it_can_be_done_without() -> None:
    shown = [digits(n) for n in (Decimal("1E-18"), Decimal("2990.00"), Decimal("123456789012345678.12"), 0.1, 2**70)]
    assert shown == ["0.000000000000000001", "2990", "123456789012345678.12", "0.1", "1180591620717411303424"]


def test_text_of_spark_is_the_number_of_its_type() -> None:
    assert typed("0.100000000000000003", "decimal(38,18)") == Decimal("0.100000000000000003")
    assert typed("9007199254740993", "bigint") == 9007199254740993
    assert typed("Infinity", "double") == INFINITY
    assert typed("7", "string") == "7"


def test_limits_in_percent_lose_no_digit_of_the_baseline() -> None:
    baseline = Decimal("12345678901234567890.123456789012345678")
    assert Bounds(within_pct=0).allowed(baseline) == (baseline, baseline)
    low, high = Bounds(within_pct=Decimal("0.1")).allowed(9007199254740993)
    assert (low, high) == (Decimal("8998192055486252.007"), Decimal("9016206453995733.993"))


@pytest.mark.parametrize(
    ("value", "base", "text"),
    [
        (140, 200, "-30.0%"),
        (2**53 + 1, 2**53, "+1"),
        (Decimal("-0.1"), Decimal("-0.2"), "+50.0%"),
        (1e308, 1e-308, "+"),
    ],
)
def test_a_difference_is_told_in_percent_or_by_itself_where_that_says_nothing(value: Any, base: Any, text: str) -> None:
    assert difference(value, base).startswith(text)


def test_limits_of_groups_are_decimals_in_sql() -> None:
    bounds = Bounds(min_value=2**53 + 1, max_value=Decimal("123456789012345678.12"), within_pct=Decimal("0.1"))
    check = Comparison(name="m", where="f:1", model="t", expression="sum(a)", bounds=bounds, group_by=("k",))
    sql = groups_query(check, "`now`", "`then`")
    assert "now.value < 9007199254740993 or now.value > 123456789012345678.12" in sql
    assert "now.value < then.value - abs(then.value) * 0.001" in sql
    alone = groups_query(check, "`now`", NoBaseline("none"))
    assert "in (double('Infinity'), double('-Infinity'))" in alone


@pytest.mark.parametrize(
    ("bounds", "met", "groups", "status"),
    [
        (Bounds(within_pct=5), True, None, "skipped"),
        (Bounds(within_pct=5), False, None, "fail"),
        (Bounds(within_pct=5, min_value=1), True, None, "pass"),
        (Bounds(within_pct=5, min_value=1), False, None, "fail"),
        (Bounds(within_pct=5), True, (0, 0, 2), "skipped"),
        (Bounds(within_pct=5, max_value=9), True, (0, 2, 2), "pass"),
        (Bounds(within_pct=5, max_value=9), False, (1, 1, 2), "fail"),
        (Bounds(within_pct=5, max_value=9), True, (0, 0, 0), "skipped"),
    ],
)
def test_without_a_baseline_absolute_limits_judge_by_themselves_and_percentages_never_pass(
    bounds: Bounds, met: bool, groups: tuple[int, int, int] | None, status: str
) -> None:
    check = Comparison(name="m", where="f:1", model="t", expression="sum(a)", bounds=bounds)
    planned = Planned(check, "sales", AGGREGATE, {}, str(bounds), unjudged="prod has not been built yet")
    found = judge(planned, Answer(met, observed=3, groups=groups))
    assert found.status == status
    assert (found.reason == "prod has not been built yet") == (status != "fail")
    assert found.looked_at_the_build == (status != "skipped")


def strictly(text: str) -> Any:
    """JSON as every reader but Python's takes it."""

    def refuse(token: str) -> None:
        raise AssertionError(f"{token} is no JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.mark.parametrize("number", [NAN, INFINITY, -INFINITY])
def test_payload_in_the_log_is_json_whatever_a_check_has_seen(number: float) -> None:
    table = MemoryLogTable()
    log = ReleaseLog.on(table)
    release = log.open("1a2b3c4", run_id="7", requester="ci")
    check = CheckResult(
        name="m", kind="metric", status="fail", domain="d", where="f:1", observed=number, baseline=number, high=number
    )
    log.append(release, SmokeReport("prod", "", "1a2b3c4", release.id, True, number, (check,)))
    payload = strictly(table.rows()[-1][1].payload)
    assert payload["checks"][0]["observed"] == kept(number)
    report = log.last(release, SmokeReport)
    assert report is not None
    assert (report.checks[0].observed, str(report.seconds)) == (kept(number), str(number))
    earlier = SmokeReport("prod", "", "1a2b3c4", None, True, 0.0, (replace(check, observed=1),))
    page = report.to_html(past=[earlier, report])
    assert f"<td>{kept(number)}</td>" in page
    assert "<svg" not in page


def test_picture_leaves_out_what_is_no_number_and_shows_every_digit() -> None:
    drawn = band(Decimal("123456789012345678.12"), baseline=INFINITY, low=NAN, high=Decimal("123456789012345678.13"))
    assert "now 123456789012345678.12, at most 123456789012345678.13" in drawn
    assert "nan" not in drawn.lower()
    assert band(NAN, baseline=1, low=None, high=None) == ""


def test_trend_of_a_metric_goes_on_from_reports_that_kept_digits_or_names() -> None:
    def report(observed: object) -> SmokeReport:
        check = CheckResult(name="m", kind="metric", status="pass", domain="d", where="f:1", observed=observed)
        return SmokeReport("prod", "", "c", None, False, 0.0, (check,))

    page = report("0.100000000000000001").to_html(past=[report("NaN"), report(NAN), report(1), report("2.5")])
    (points,) = (part.split('"')[0] for part in page.split('points="')[1:])
    assert len(points.split()) == 3


@pytest.mark.parametrize(
    ("past", "observed"),
    [
        (0, 10**400),
        (-(10**400), kept(Decimal("1E+500"))),
        (0, 1e308),
        (-1e308, 1.7e308),
        (2**53, 2**53 + 1),
        ("0.10000000000000000000000000000000000001", "0.10000000000000000000000000000000000002"),
    ],
)
def test_picture_and_trend_of_numbers_of_any_size_and_number_of_digits_go_from_end_to_end(
    past: Any, observed: Any
) -> None:
    metric = CheckResult(
        name="m", kind="metric", status="pass", domain="d", where="f:1", observed=observed, baseline=past, low=past
    )
    report = SmokeReport("prod", "", "c", None, False, 0.0, (metric,))
    earlier = replace(report, checks=(replace(metric, observed=past),))
    page = report.to_html(past=[earlier])
    assert 'points="0.0,24.0 120.0,0.0"' in page
    assert 'cx="152.0"' in page
    assert 'x1="8.0"' in page


def test_text_of_a_broken_metric_is_not_drawn_though_it_looks_like_a_number() -> None:
    metric = CheckResult(name="m", kind="metric", status="broken", domain="d", where="f:1", observed="12")
    report = SmokeReport("prod", "", "c", None, False, 0.0, (metric,))
    measured = replace(report, checks=(replace(metric, status="pass", observed=12),))
    assert "<svg" not in report.to_html(past=[measured])
    assert "points" not in measured.to_html(past=[report])
    assert "points" in measured.to_html(past=[measured])


@pytest.mark.parametrize(
    ("value", "least", "most", "share"),
    [(5, 0, 10, 0.5), (7, 7, 7, 0.0), (Decimal("5E+999999"), 0, Decimal("1E+1000000"), 0.5)],
)
def test_position_is_a_share_of_the_way(value: Any, least: Any, most: Any, share: float) -> None:
    assert position(value, least, most) == share
