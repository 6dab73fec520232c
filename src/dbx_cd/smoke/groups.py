"""Comparisons with `group_by`: every group of a model against the same group of the baseline, in one query."""

from __future__ import annotations

from collections.abc import Mapping

from dbx_cd.relations import quote
from dbx_cd.smoke.baseline import NoBaseline
from dbx_cd.smoke.checks import Bounds, Comparison

VERDICT = "__verdict"
OUT, IN, UNJUDGED = "out", "in", "unjudged"


def groups_query(check: Comparison, relation: str, source: str | NoBaseline | None) -> str:
    """Each group with its number, its baseline and a verdict.

    A group is out when its number is null or not a number, beyond an absolute limit, or too far from its baseline; it
    is unjudged when nothing but a percentage limits it and it has no baseline, or one of zero or below `min_baseline`.
    Without a source every group is limited absolutely alone.
    """
    keys = [quote(column) for column in check.group_by]
    absolute = _absolute("now.value", check.bounds)
    wrong = " or ".join(filter(None, ("now.value is null or isnan(now.value)", absolute)))
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
    rows = f" where {check.condition}" if check.condition else ""
    names = ", ".join(keys)
    return f"select {names}, {check.expression} as value, true as here from {relation}{rows} group by {names}"


def _absolute(value: str, bounds: Bounds) -> str:
    limits: Mapping[str, float | None] = {"<": bounds.min_value, ">": bounds.max_value}
    return " or ".join(f"{value} {sign} {limit!r}" for sign, limit in limits.items() if limit is not None)


def _relative(bounds: Bounds) -> tuple[str, str]:
    """When a group can be compared with its baseline, and when it is then too far from it."""
    drops = [p for p in (bounds.within_pct, bounds.max_drop_pct) if p is not None]
    rises = [p for p in (bounds.within_pct, bounds.max_rise_pct) if p is not None]
    # A group that is gone has dropped by everything it had.
    out = ["now.here is null"] if drops else []
    out += [f"now.value < then.value - abs(then.value) * {pct!r} / 100" for pct in drops]
    out += [f"now.value > then.value + abs(then.value) * {pct!r} / 100" for pct in rises]
    comparable = ["then.value is not null", "not isnan(then.value)", "then.value <> 0"]
    if bounds.min_baseline is not None:
        comparable.append(f"abs(then.value) >= {bounds.min_baseline!r}")
    return " and ".join(comparable), f"coalesce({' or '.join(out)}, false)"
