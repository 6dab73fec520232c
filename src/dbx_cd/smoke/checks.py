"""The kinds of check a smoke suite holds. Each knows the file and line it was written at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

Severity = Literal["error", "warn"]


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing to verify. `where` is file and line; `model` is the dbt model's name."""

    KIND: ClassVar[str] = ""

    name: str
    where: str
    model: str | None = None
    severity: Severity = "error"
    owner: str | None = None
    guardrail: bool = False


@dataclass(frozen=True, kw_only=True)
class ExpectationCheck(Check):
    """A Great Expectations expectation: `type` is its snake-case name or a dotted path to a class.

    `code` is the file beside the suites that holds the class; without one the path is imported.
    """

    KIND: ClassVar[str] = "expectation"

    type: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    code: str | None = None


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """What a number may be: in percent of its baseline, and absolutely. None: not limited on that side."""

    within_pct: float | None = None
    max_drop_pct: float | None = None
    max_rise_pct: float | None = None
    min_value: float | None = None
    max_value: float | None = None
    min_baseline: float | None = None

    @property
    def relative(self) -> bool:
        """Whether any limit is a percentage of the baseline."""
        return any(limit is not None for limit in (self.within_pct, self.max_drop_pct, self.max_rise_pct))

    def allowed(self, baseline: float | None) -> tuple[float | None, float | None]:
        """The lowest and the highest value allowed; without a baseline, by the absolute limits alone."""
        lows, highs = [self.min_value], [self.max_value]
        if baseline is not None:
            step = abs(baseline) / 100
            lows += [baseline - step * pct for pct in (self.within_pct, self.max_drop_pct) if pct is not None]
            highs += [baseline + step * pct for pct in (self.within_pct, self.max_rise_pct) if pct is not None]
        return (
            max((low for low in lows if low is not None), default=None),
            min((high for high in highs if high is not None), default=None),
        )

    def __str__(self) -> str:
        words = {
            "within_pct": "within {:g}% of the baseline",
            "max_drop_pct": "at most {:g}% below the baseline",
            "max_rise_pct": "at most {:g}% above the baseline",
            "min_value": "at least {:g}",
            "max_value": "at most {:g}",
        }
        given = ((text, getattr(self, name)) for name, text in words.items())
        return ", ".join(text.format(value) for text, value in given if value is not None)


@dataclass(frozen=True, kw_only=True)
class Comparison(Check):
    """A SQL aggregate over a model, compared with the same aggregate over the baseline.

    `condition` keeps only the rows that meet it; with `group_by` every group is compared with the same group.
    """

    KIND: ClassVar[str] = "metric"

    expression: str
    bounds: Bounds
    condition: str | None = None
    group_by: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Assertion(Check):
    """A query that must return no rows; `{{ ref('model') }}` and `{{ source('source', 'table') }}` name relations."""

    KIND: ClassVar[str] = "assertion"

    sql: str


@dataclass(frozen=True, kw_only=True)
class InvalidCheck(Check):
    """A check that cannot be run as it is written; it is reported as broken, never dropped."""

    KIND: ClassVar[str] = "suite"

    problem: str
