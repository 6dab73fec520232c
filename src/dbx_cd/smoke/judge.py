"""From an answer of Great Expectations to the status of the check."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dbx_cd.non_finite import non_finite_name
from dbx_cd.smoke.checks import Comparison
from dbx_cd.smoke.numbers import difference, is_finite, kept
from dbx_cd.smoke.plan import Planned, result_of
from dbx_cd.smoke.report import CheckResult, Status

if TYPE_CHECKING:
    from dbx_cd.smoke.answers import Answer


def judge(planned: Planned, answer: Answer) -> CheckResult:
    """The result of a planned check; one that raised is broken, whatever its severity."""
    if answer.error:
        return broken(planned, answer.error, seconds=answer.seconds)
    status: Status = answer.verdict or ("pass" if answer.success else "fail")
    reason, observed = None, answer.observed
    if isinstance(planned.check, Comparison) and answer.groups is not None:
        status, reason, observed = _groups(answer.groups)
    elif isinstance(planned.check, Comparison):
        status, reason = _metric(planned, answer)
    elif status == "fail" and answer.unexpected is None:
        reason = _no_number(observed)
    if planned.unjudged and status in ("pass", "skipped"):
        # Absolute limits that are met have judged it all the same, though nothing was compared.
        judged = isinstance(planned.check, Comparison) and planned.check.bounds.absolute
        status, reason = (status if judged else "skipped"), planned.unjudged
    due = not (status == "skipped" and planned.unjudged and planned.baseline is None)
    return result_of(
        planned.check,
        planned.domain,
        status,
        relation=str(planned.relation) if planned.relation else None,
        observed=f"{observed} rows" if planned.query and isinstance(observed, int) else kept(observed),
        expected=planned.expected,
        baseline=kept(planned.baseline),
        low=kept(planned.low),
        high=kept(planned.high),
        reason="; ".join(filter(None, (reason, planned.left_out))) or None,
        examples=answer.examples if status in ("fail", "warn") else (),
        seconds=answer.seconds,
        due=due,
        of_the_build=planned.of_the_build,
    )


def _no_number(observed: Any) -> str | None:
    """Why what was seen can be within no limits, where it is no number."""
    if observed is None:
        return "no values: of no rows, or of nulls only, the result is null"
    name = non_finite_name(observed)
    return f"{name} is not a number that can be judged" if name else None


def _metric(planned: Planned, answer: Answer) -> tuple[Status, str | None]:
    value = answer.observed
    if not is_finite(value):
        reason = _no_number(value)
        return ("fail", reason) if reason else ("broken", f"the metric is not a number: {value!r}")
    if answer.success:
        return "pass", None
    if planned.baseline:
        return "fail", f"{difference(value, planned.baseline)} against the baseline"
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


def broken(planned: Planned, reason: str, **found: Any) -> CheckResult:
    """The result of a planned check that could not be run."""
    relation = str(planned.relation) if planned.relation else None
    found["of_the_build"] = planned.of_the_build
    return result_of(planned.check, planned.domain, "broken", relation=relation, reason=reason, **found)
