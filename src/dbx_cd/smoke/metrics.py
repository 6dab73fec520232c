"""Comparisons with a baseline: read its numbers once per table, and set the bounds for the build under test."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from dbx_cd.errors import DbxCdError
from dbx_cd.non_finite import non_finite_name
from dbx_cd.smoke import data
from dbx_cd.smoke.answers import scanned_apart
from dbx_cd.smoke.baseline import Baseline, NoBaseline
from dbx_cd.smoke.checks import Bounds, Comparison
from dbx_cd.smoke.groups import groups_query
from dbx_cd.smoke.numbers import Number, as_decimal, digits, is_finite, is_number, typed
from dbx_cd.smoke.plan import PARALLEL_TABLES, Planned, result_of
from dbx_cd.smoke.report import CheckResult

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# Spark's names for a relation that is not there: https://spark.apache.org/docs/latest/sql-error-conditions.html
_MISSING = ("TABLE_OR_VIEW_NOT_FOUND", "SCHEMA_NOT_FOUND", "DELTA_TABLE_NOT_FOUND", "NO_SUCH_CATALOG_EXCEPTION")

# Parts of one query: enough for most projects, and few enough for Spark to plan quickly.
_PARTS = 50


@dataclass(frozen=True)
class Unreadable:
    """The baseline should be there but cannot be read."""

    problem: str
    """Why it cannot be read."""


Found = Number | NoBaseline | Unreadable


def with_bounds(
    planned: Sequence[Planned], *, spark: SparkSession, baseline: Baseline | NoBaseline
) -> list[Planned | CheckResult]:
    """Complete planned comparisons with their baselines; other plans pass through.

    The numbers of all tables are read in one query, each table once for each distinct `where`.
    """
    found: list[Planned | CheckResult] = []
    sources = {id(p): _source(p, baseline) for p in planned if _compares(p)}
    totals = [(p, s) for p in planned if (s := sources.get(id(p))) and isinstance(s, str) and not _check(p).group_by]
    numbers = _baseline_numbers(spark, totals)
    for one in planned:
        source = sources.get(id(one))
        if not isinstance(one.check, Comparison):
            found.append(one)
        elif isinstance(source, Unreadable):
            found.append(_bounded(one, source))
        elif one.check.group_by:
            found.append(_by_group(one, source))
        elif source is None or isinstance(source, NoBaseline):
            found.append(replace(one, unjudged=source.reason if source else None))
        else:
            found.append(_bounded(one, numbers[id(one)]))
    return found


def _check(planned: Planned) -> Comparison:
    assert isinstance(planned.check, Comparison)
    return planned.check


def _compares(planned: Planned) -> bool:
    return isinstance(planned.check, Comparison) and planned.check.bounds.relative


def _source(planned: Planned, baseline: Baseline | NoBaseline) -> str | NoBaseline | Unreadable:
    if isinstance(baseline, NoBaseline):
        return baseline
    assert planned.relation is not None
    try:
        return baseline.source(planned.check.model or "", planned.relation)
    except DbxCdError as exc:
        return Unreadable(str(exc))


@dataclass(frozen=True)
class _Scan:
    """What is read once."""

    source: str
    """What follows `from`: a relation, at a version where that matters."""
    condition: str | None
    """Keeps only the rows that meet it, in SQL; None for all."""

    @property
    def rows(self) -> str:
        """What follows `from`."""
        return data.rows_of(self.source, self.condition)


def _baseline_numbers(spark: SparkSession, totals: Iterable[tuple[Planned, str]]) -> dict[int, Found]:
    """The number of each planned comparison in its baseline, by the plan's `id`."""
    scans: dict[_Scan, list[Planned]] = {}
    for planned, source in totals:
        scans.setdefault(_Scan(source, _check(planned).condition), []).append(planned)
    keys = list(scans)
    parts = [{scan: scans[scan] for scan in keys[i : i + _PARTS]} for i in range(0, len(keys), _PARTS)]
    with ThreadPoolExecutor(max_workers=PARALLEL_TABLES) as pool:
        together = list(pool.map(lambda part: _many_scans(spark, part), parts))
        # One bad expression or missing table spoils the query of many: then each table is read by itself, and where
        # that fails too, each number, which says what is wrong.
        alone = [scan for part, numbers in zip(parts, together, strict=True) if numbers is None for scan in part]
        apart = pool.map(lambda scan: _one_scan(spark, scan, scans[scan]), alone)
        found = {scan: values for numbers in together if numbers is not None for scan, values in numbers.items()}
        found |= dict(zip(alone, apart, strict=True))
    return {
        id(one): number for scan, members in scans.items() for one, number in zip(members, found[scan], strict=True)
    }


def _many_scans(spark: SparkSession, scans: Mapping[_Scan, Sequence[Planned]]) -> dict[_Scan, list[Found]] | None:
    """The numbers of several tables in one query, as text with their types; None if it cannot be run."""
    parts = []
    for i, (scan, members) in enumerate(scans.items()):
        names = [f"m{j}" for j in range(len(members))]
        texts, types = (", ".join(f"{function}({name})" for name in names) for function in ("string", "typeof"))
        select = _select(members, scan)
        parts.append(f"select {i} as part, array({texts}) as texts, array({types}) as types from ({select} limit 2)")
    try:
        rows = data.query(spark, " union all ".join(parts)).collect()
    except Exception:
        return None
    found: dict[_Scan, list[Found]] = {}
    for i, (scan, members) in enumerate(scans.items()):
        values = [[typed(*pair) for pair in zip(row.texts, row.types, strict=True)] for row in rows if row.part == i]
        found[scan] = _only_row(values, members)
    return found


def _one_scan(spark: SparkSession, scan: _Scan, members: Sequence[Planned]) -> list[Found]:
    """The numbers of one table: in one query, or each in its own where that cannot be run."""
    try:
        return _queried(spark, scan, members)
    except Exception:
        return [_explained(spark, scan, one) for one in members]


def _queried(spark: SparkSession, scan: _Scan, members: Sequence[Planned]) -> list[Found]:
    rows = data.query(spark, _select(members, scan)).limit(2).collect()
    return _only_row([list(row) for row in rows], members)


def _select(members: Sequence[Planned], scan: _Scan) -> str:
    given = [_check(one).expression for one in members]
    apart = [scanned_apart(expression, scan.rows) for expression in given]
    # One at least stays where it is, so that the query remains one of aggregates.
    expressions = [given[0], *apart[1:]] if all(a != g for a, g in zip(apart, given, strict=True)) else apart
    columns = ", ".join(f"{e}\n as m{i}" for i, e in enumerate(expressions))
    return f"select {columns} from {scan.rows}"


def _only_row(rows: Sequence[Sequence[Any]], members: Sequence[Planned]) -> list[Found]:
    if len(rows) != 1:
        found = f"the metric is not an aggregate: its query returns {'several' if rows else 'no'} rows"
        return [Unreadable(found) for _ in members]
    return [_as_number(value) for value in rows[0]]


def _explained(spark: SparkSession, scan: _Scan, one: Planned) -> Found:
    """One number, or what is wrong with it."""
    try:
        return _queried(spark, scan, [one])[0]
    except Exception as exc:
        name = getattr(exc, "getCondition", getattr(exc, "getErrorClass", lambda: None))() or ""
        if str(name).startswith(_MISSING):
            return NoBaseline(f"{scan.source} does not exist")
        return Unreadable(f"the baseline {scan.source} cannot be read: {str(exc).splitlines()[0]}")


def _as_number(value: Any) -> Found:
    if value is None:
        return NoBaseline("the baseline is null: no rows, or only nulls")
    if not is_number(value):
        return Unreadable(f"the metric is not a number in the baseline: {value!r}")
    return value if is_finite(value) else NoBaseline(f"the baseline is {non_finite_name(value)}")


def _bounded(planned: Planned, number: Found) -> Planned | CheckResult:
    check = _check(planned)
    if isinstance(number, Unreadable):
        return result_of(check, planned.domain, "broken", reason=number.problem, expected=planned.expected)
    if isinstance(number, NoBaseline):
        return replace(planned, unjudged=number.reason)
    unjudged = _not_judged(check.bounds, number)
    low, high = check.bounds.allowed(None if unjudged else number)
    arguments = {**planned.arguments, "min_value": low, "max_value": high}
    return replace(planned, baseline=number, low=low, high=high, arguments=arguments, unjudged=unjudged)


def _not_judged(bounds: Bounds, baseline: Number) -> str | None:
    # `abs` of a decimal rounds it to 28 digits.
    if bounds.min_baseline is not None and as_decimal(baseline).copy_abs() < as_decimal(bounds.min_baseline):
        return f"the baseline {digits(baseline)} is below min_baseline {digits(bounds.min_baseline)}"
    return "the baseline is zero, and a percentage of zero says nothing" if baseline == 0 else None


def _by_group(planned: Planned, source: str | NoBaseline | None) -> Planned:
    check = _check(planned)
    assert planned.relation is not None
    query = groups_query(check, planned.relation.quoted, source)
    return replace(planned, query=query, unjudged=source.reason if isinstance(source, NoBaseline) else None)
