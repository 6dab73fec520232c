"""What a smoke run found, check by check."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from dbx_cd import html
from dbx_cd.enumeration import listed
from dbx_cd.errors import SmokeFailed
from dbx_cd.records import Record
from dbx_cd.smoke.numbers import Number, is_finite, position, read
from dbx_cd.smoke.picture import band
from dbx_cd.sql_messages import step_to_rights

if TYPE_CHECKING:
    from dbx_cd.release.events import Release
    from dbx_cd.release.log import ReleaseLog

Status = Literal["pass", "fail", "warn", "skipped", "broken"]

# The checks, or reasons, that an error names; the report has all.
_NAMED = 3
# Problems first: the order of a report.
_ORDER: dict[str, int] = {"broken": 0, "fail": 1, "warn": 2, "skipped": 3, "pass": 4}


@dataclass(frozen=True, kw_only=True)
class CheckResult:
    """One check and what came of it."""

    name: str
    """What the suite calls the check."""
    kind: str
    """`contract`, `expectation`, `metric`, `assertion`, `freshness`, or `suite` for the suite file itself."""
    status: Status
    """`pass`, `fail`, `warn`, `skipped`, or `broken`: it could not be run."""
    domain: str
    """The suite it belongs to."""
    where: str
    """The file and line it was written at."""
    model: str | None = None
    """The dbt model it is about; None for a query over several."""
    version: str | None = None
    """The version of that model which was looked at; None where it has no versions."""
    relation: str | None = None
    """The table that was looked at."""
    severity: str = "error"
    """What a failure means: `error` stops the release, `warn` does not."""
    owner: str | None = None
    """Who answers for the check."""
    guardrail: bool = False
    """Whether it is checked after the production build too."""
    observed: Any = None
    """What was seen: a number, its digits as text where JSON's numbers cannot hold them, or a few words."""
    expected: str | None = None
    """What should have been seen, in words."""
    baseline: Any = None
    """The metric's value in the baseline."""
    low: Any = None
    """The least value that a metric might have."""
    high: Any = None
    """The greatest value that a metric might have."""
    reason: str | None = None
    """Why it was skipped, broke or failed, where its numbers do not say so."""
    examples: tuple[str, ...] = ()
    """Some failing rows or values, as text; none of sensitive columns."""
    seconds: float = 0.0
    """How long it took; a table's checks share its time."""
    due: bool = True
    """False when the release had nothing to look at: the model was not built, or has no baseline yet."""
    of_the_build: bool = True
    """False when it is about nothing that this build made: sources alone, or tables of an earlier release."""

    @property
    def executed(self) -> bool:
        """Whether the check itself came to a judgement about data."""
        return self.kind != "suite" and self.status in ("pass", "fail", "warn")

    @property
    def looked_at_the_build(self) -> bool:
        """Whether the check has judged what was built.

        How fresh a source is and what is in it says nothing of what was built, nor does a data test of a table that
        an earlier release has built; and a metric that was only measured has judged nothing.
        """
        return self.executed and self.kind != "freshness" and self.of_the_build

    @property
    def subject(self) -> str | None:
        """The model, and the version of it that was looked at."""
        return f"{self.model} (version {self.version})" if self.model and self.version else self.model

    def __str__(self) -> str:
        named = self.subject if self.model and (self.version or self.model not in self.name) else None
        subject = f"{named}: {self.name}" if named else self.name
        parts = [f"observed {self.observed}" if self.observed is not None else None]
        parts.append(f"expected {self.expected}" if self.expected and self.status != "pass" else None)
        parts.append(f"baseline {self.baseline}" if self.baseline is not None else None)
        parts.append(self.reason)
        details = ", ".join(part for part in parts if part)
        return f"{self.status}: {subject}" + (f" ({details})" if details else "")


@dataclass(frozen=True)
class SmokeReport(Record):
    """All checks of one smoke run on one set of artifacts."""

    KIND: ClassVar[str] = "smoked"

    target: str
    """The dbt target that was tested."""
    artifacts: str
    """The timestamp of the artifacts under test."""
    commit: str
    """The commit they were made from."""
    release_id: str | None
    """The release they belong to, if any."""
    tiny: bool
    """Whether only contracts and guardrails were run."""
    seconds: float
    """How long the whole run took."""
    checks: tuple[CheckResult, ...]
    """Every check, problems first; a skipped one never counts as passed."""
    narrowed: str = ""
    """The selection or the domains that the checks were narrowed to; "" when all of the project were run."""
    untested: str = ""
    """Why there was nothing to test, after a rollback; "" for every test of a build."""

    @property
    def ok(self) -> bool:
        """Whether the release may go on: nothing failed or broke, and something of what was built was judged."""
        if self.failed:
            return False
        return bool(self.untested) or any(c.looked_at_the_build for c in self.checks)

    @property
    def was_due(self) -> bool:
        """Whether some check had something of what was built to judge, whatever came of it."""
        return any((c.due and c.of_the_build) or c.looked_at_the_build for c in self.checks)

    @property
    def failed(self) -> tuple[CheckResult, ...]:
        """The checks that failed or broke."""
        return self._with("fail", "broken")

    @property
    def skipped(self) -> tuple[CheckResult, ...]:
        """The checks that did not run, each with its reason."""
        return self._with("skipped")

    @property
    def counts(self) -> dict[str, int]:
        """How many checks have each status, problems first."""
        found = Counter[str](c.status for c in self.checks)
        return {status: found[status] for status in _ORDER if found[status]}

    def raise_if_failed(self) -> None:
        """Stop here unless the report is ok.

        Raises:
            SmokeFailed: a check failed or broke, or none has judged what was built; carries this report.
        """
        if self.ok:
            return
        if not self.failed:
            skipped = "; ".join(sorted({c.reason for c in self.skipped if c.reason})[:_NAMED])
            raise SmokeFailed(
                f"{self}: no check has judged what was built" + (f" ({skipped})" if skipped else ""),
                report=self,
                next_step="give what is built a data test, an enforced contract or a check in a suite; for the tiny"
                " suite mark one `guardrail: true`; a metric without a baseline judges nothing but by `min_value` or"
                " `max_value`; after a failed build repair the build first",
            )
        raise SmokeFailed(
            f"{self}: {listed(self.failed, most=_NAMED, separator='; ')}",
            report=self,
            next_step="; ".join(self._next_steps()),
        )

    def _next_steps(self) -> list[str]:
        """What to do about sources, which no release puts right, and about what is built."""
        sources = [c for c in self.failed if c.kind == "freshness"]
        of_sources = (
            "for a source run the ingestion, or fix the table, its loaded_at_field or the connection, and repair the"
            " smoke task"
        )
        of_checks = "fix the data or the model, or the check if it is wrong, and release again"
        rights = step_to_rights("\n".join(c.reason or "" for c in self.failed))
        return [
            *([rights] if rights else ()),
            *([of_sources] if sources else ()),
            *([of_checks] if len(sources) < len(self.failed) else ()),
        ]

    def __str__(self) -> str:
        counts = ", ".join(f"{n} {status}" for status, n in self.counts.items()) or "nothing to check"
        verdict = "had nothing to test" if self.untested and self.ok else "ok" if self.ok else "failed"
        part = f" ({self.narrowed})" if self.narrowed else ""
        return f"{'tiny ' if self.tiny else ''}smoke of {self.target}{part} {verdict}: {counts}"

    def to_html(self, *, past: Sequence[SmokeReport] = ()) -> str:
        """A page part: verdict, problems first, then each domain's checks folded; metrics as small pictures.

        Args:
            past: earlier reports of the same target, oldest first; their numbers become each metric's trend.
        """
        problems = [c for c in self.checks if c.status in ("broken", "fail", "warn")]
        others = [c for c in self.checks if c.status in ("skipped", "pass")]
        badge = "fail" if not self.ok else "skipped" if self.untested else "pass"
        parts: list[object] = [
            html.paragraph(html.badge(badge), " ", str(self)),
            html.paragraph(f"artifacts {self.artifacts}, commit {self.commit}, {self.seconds:.1f} s"),
        ]
        if self.untested:
            parts.append(html.paragraph(self.untested))
        if problems:
            parts.append(_table(problems, past))
        for domain in sorted({c.domain for c in others}):
            inside = [c for c in others if c.domain == domain]
            skipped = sum(c.status == "skipped" for c in inside)
            summary = f"{domain}: {len(inside) - skipped} passed, {skipped} skipped"
            parts.append(html.fold(summary, _table(inside, past)))
        return str(html.section(f"Smoke test of {self.target}", *parts))

    def to_page(self, *, past: Sequence[SmokeReport] = ()) -> str:
        """A whole document with what `to_html` shows, to be kept as a file."""
        return str(html.page(str(self), html.trusted(self.to_html(past=past))))

    def _with(self, *statuses: Status) -> tuple[CheckResult, ...]:
        return tuple(c for c in self.checks if c.status in statuses)


def in_order(results: Iterable[CheckResult]) -> tuple[CheckResult, ...]:
    """Problems first, then by domain, model and name."""
    return tuple(sorted(results, key=lambda c: (_ORDER[c.status], c.domain, c.model or "", c.name)))


def past_reports(log: ReleaseLog, target: str, *, before: Release | None = None, last: int = 20) -> list[SmokeReport]:
    """The newest smoke reports of a target in the release log, oldest first, one for each release.

    Args:
        log: the release log.
        target: the dbt target.
        before: leave out this release.
        last: how many at most.
    """
    events = log.newest(SmokeReport.KIND, where={"target": target}, but=before, limit=last)
    return [SmokeReport.read(dict(event.payload)) for event in events]


def _table(results: Iterable[CheckResult], past: Sequence[SmokeReport]) -> object:
    headers = ("status", "check", "model", "observed", "expected", "baseline", "", "owner", "where", "seconds")
    rows = [
        (
            html.badge(c.status),
            html.join((c.name, html.paragraph(c.reason) if c.reason else "", _examples(c))),
            c.subject,
            c.observed,
            c.expected,
            c.baseline,
            _picture(c, past),
            c.owner,
            c.where,
            f"{c.seconds:.2f}",
        )
        for c in in_order(results)
    ]
    return html.table(headers, rows)


def _examples(result: CheckResult) -> object:
    if not result.examples:
        return ""
    return html.fold(f"{len(result.examples)} examples", html.code("\n".join(result.examples)))


def _picture(result: CheckResult, past: Sequence[SmokeReport]) -> object:
    """The band of a metric and its numbers over past releases."""
    observed = _measured(result)
    if result.kind != "metric" or observed is None:
        return ""
    same = (c for report in past for c in report.checks if (c.domain, c.model, c.name) == _identity(result))
    trend = [*(number for c in same if (number := _measured(c)) is not None), observed]
    now = band(observed, baseline=read(result.baseline), low=read(result.low), high=read(result.high))
    return html.join((now, html.sparkline([position(number, min(trend), max(trend)) for number in trend])))


def _measured(result: CheckResult) -> Number | None:
    """The number that a metric had; None where it had none: the text of a broken one may look like a number."""
    observed = None if result.status == "broken" else read(result.observed)
    return observed if is_finite(observed) else None


def _identity(result: CheckResult) -> tuple[str, str | None, str]:
    return result.domain, result.model, result.name
