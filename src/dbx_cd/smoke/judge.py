"""From an answer of Great Expectations to the status of the check."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dbx_cd.errors import DbxCdError
from dbx_cd.smoke.checks import Comparison
from dbx_cd.smoke.contracts import Contract
from dbx_cd.smoke.plan import Planned, result_of
from dbx_cd.smoke.report import CheckResult, Status

if TYPE_CHECKING:
    from dbx_cd.smoke.answers import Answer

_CONDITION = re.compile(r"(==|=|!=|<>|>=|<=|>|<)\s*(\d+)")
_COMPARE: dict[str, Callable[[int, int], bool]] = {
    **dict.fromkeys(("==", "="), lambda a, b: a == b),
    **dict.fromkeys(("!=", "<>"), lambda a, b: a != b),
    ">=": lambda a, b: a >= b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    "<": lambda a, b: a < b,
}


def judge(planned: Planned, answer: Answer) -> CheckResult:
    """The result of a planned check; one that raised is broken, whatever its severity."""
    if answer.error:
        return broken(planned, answer.error, seconds=answer.seconds)
    status: Status = "pass" if answer.success else "fail"
    reason, observed = None, answer.observed
    if isinstance(planned.check, Contract) and planned.check.counts:
        try:
            status = _by_count(planned.check, int(answer.observed))
        except DbxCdError as exc:
            return result_of(planned.check, planned.domain, "skipped", reason=str(exc), expected=planned.expected)
    elif isinstance(planned.check, Comparison) and answer.groups is not None:
        status, reason, observed = _groups(answer.groups)
    elif isinstance(planned.check, Comparison):
        status, reason = _metric(planned, answer)
    if planned.unjudged and status in ("pass", "skipped"):
        status, reason = "skipped", planned.unjudged
    due = not (status == "skipped" and planned.unjudged and planned.baseline is None)
    return result_of(
        planned.check,
        planned.domain,
        status,
        relation=str(planned.relation) if planned.relation else None,
        observed=f"{observed} rows" if planned.query and isinstance(observed, int) else observed,
        expected=planned.expected,
        baseline=planned.baseline,
        low=planned.low,
        high=planned.high,
        reason=reason,
        examples=answer.examples if status in ("fail", "warn") else (),
        seconds=answer.seconds,
        due=due,
    )


def _metric(planned: Planned, answer: Answer) -> tuple[Status, str | None]:
    value = answer.observed
    if value is None:
        return "fail", "the metric is null or not a number: no rows, or only nulls"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "broken", f"the metric is not a number: {value!r}"
    if answer.success:
        return "pass", None
    if planned.baseline:
        return "fail", f"{(value - planned.baseline) / abs(planned.baseline):+.1%} against the baseline"
    return "fail", None


def _groups(counts: tuple[int, int, int]) -> tuple[Status, str | None, str]:
    out, judged, total = counts
    observed = f"{out} of {total} groups out of bounds"
    unjudged = total - out - judged
    reason = f"{unjudged} groups have no baseline to judge them by" if unjudged else None
    if out:
        return "fail", reason, observed
    if not judged:
        return "skipped", reason or "there are no groups", observed
    return "pass", reason, observed


def _by_count(contract: Contract, failures: int) -> Status:
    """The status by dbt's rule: `error_if` counts only with severity error, then `warn_if`."""
    if contract.severity == "error" and _is_met(contract.error_if, failures):
        return "fail"
    return "warn" if _is_met(contract.warn_if, failures) else "pass"


def _is_met(condition: str, failures: int) -> bool:
    match = _CONDITION.fullmatch(condition)
    if match is None:
        raise DbxCdError(f"the condition {condition!r} is not of the form `> 10`")
    return _COMPARE[match[1]](failures, int(match[2]))


def broken(planned: Planned, reason: str, **found: Any) -> CheckResult:
    """The result of a planned check that could not be run."""
    relation = str(planned.relation) if planned.relation else None
    return result_of(planned.check, planned.domain, "broken", relation=relation, reason=reason, **found)
