"""Comparisons with `group_by`: every group of a model against the same group of the baseline, in one query."""

from __future__ import annotations

from collections.abc import Mapping

from dbx_cd.relations import quote
from dbx_cd.smoke.baseline import NoBaseline
from dbx_cd.smoke.checks import Bounds, Comparison
from dbx_cd.smoke.data import rows_of
from dbx_cd.smoke.numbers import DECIMAL_DIGITS, Number, as_decimal, digits

VERDICT = "__verdict"
OUT, IN, UNJUDGED = "out", "in", "unjudged"


def groups_query(check: Comparison, relation: str, source: str | NoBaseline | None) -> str:
    """Each group with its number, its baseline and a verdict.

    A group is out when its value is null, no number (without ANSI SQL nothing else says so), NaN or infinite, beyond an
    absolute limit, or too far from its baseline; it is unjudged when nothing but a percentage limits it and it has no
    baseline, or one of zero or below `min_baseline`.
    Without a source every group is limited absolutely alone.
    """
    keys = [quote(column) for column in check.group_by]
    absolute = _absolute("now.value", check.bounds)
    wrong = " or ".join(filter(None, ("double(now.value) is null", _not_finite("now.value"), absolute)))
    judged = f"'{IN}'" if absolute else f"'{UNJUDGED}'"
    now = _grouped(check, keys, relation)
    if not isinstance(source, str):
        verdict = f"case when {wrong} then '{OUT}' else {judged} end as {VERDICT}"
        return f"select {', '.join(keys)}, now.value as now, {verdict} from ({now}) as now"
    names = ", ".join(f"coalesce(now.{k}, then.{k}) as {k}" for k in keys)
    joined = " and ".join(f"now.{k} <=> then.{k}" for k in keys)
    comparable, out = _relative(check.bounds)
    verdict = (
        f"case when now.here and ({wrong}) then '{OUT}' when {comparable} then if({out}, '{OUT}', '{IN}')"
        f" when now.here then {judged} else '{UNJUDGED}' end as {VERDICT}"
    )
    return (
        f"select {names}, now.value as now, then.value as baseline, {verdict}"
        f" from ({now}) as now full join ({_grouped(check, keys, source)}) as then on {joined}"
    )


def _grouped(check: Comparison, keys: list[str], relation: str) -> str:
    names, rows = ", ".join(keys), rows_of(relation, check.condition)
    return f"select {names}, {check.expression}\n as value, true as here from {rows} group by {names}"


def _absolute(value: str, bounds: Bounds) -> str:
    limits: Mapping[str, Number | None] = {"<": bounds.min_value, ">": bounds.max_value}
    return " or ".join(f"{value} {sign} {_literal(limit)}" for sign, limit in limits.items() if limit is not None)


def _literal(number: Number) -> str:
    """A number in SQL: a whole number or a decimal, which Spark compares exactly; with an exponent it is a double."""
    text = digits(number)
    return text if sum(c.isdigit() for c in text) <= DECIMAL_DIGITS else f"{as_decimal(number):e}"


def _relative(bounds: Bounds) -> tuple[str, str]:
    """When a group can be compared with its baseline, and when it is then too far from it."""
    drops = [p for p in (bounds.within_pct, bounds.max_drop_pct) if p is not None]
    rises = [p for p in (bounds.within_pct, bounds.max_rise_pct) if p is not None]
    # A group that is gone has dropped by everything it had.
    out = ["now.here is null"] if drops else []
    out += [f"now.value < {_moved('-', pct)}" for pct in drops]
    out += [f"now.value > {_moved('+', pct)}" for pct in rises]
    comparable = ["then.value is not null", f"not ({_not_finite('then.value')})", "then.value <> 0"]
    if bounds.min_baseline is not None:
        comparable.append(f"abs(then.value) >= {_literal(bounds.min_baseline)}")
    # Null where the baseline's decimal overflows, without ANSI SQL: nobody has seen that it is near enough.
    return " and ".join(comparable), f"coalesce({' or '.join(out)}, now.here is not null)"


def _moved(sign: str, percent: Number) -> str:
    """The baseline moved by so many percent.

    By a literal fraction: a division by 100 would leave decimals of 38 digits only six after the point. Zero percent is
    the baseline itself, since even adding nothing to such a decimal rounds it.
    """
    return (
        "then.value" if percent == 0 else f"then.value {sign} abs(then.value) * {_literal(as_decimal(percent) / 100)}"
    )


def _not_finite(value: str) -> str:
    return f"isnan({value}) or double({value}) in (double('Infinity'), double('-Infinity'))"
