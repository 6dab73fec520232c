"""The kinds of check a smoke suite holds. Each knows the file and line it was written at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from dbx_cd.smoke.numbers import Number, as_decimal, digits, moved

Severity = Literal["error", "warn"]


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing to verify."""

    KIND: ClassVar[str] = ""

    name: str
    """What a report calls it."""
    where: str
    """The file and line it was written at."""
    model: str | None = None
    """The dbt model it is about; None for a query over several."""
    version: str | None = None
    """The version of that model, where it has versions; of a suite's check known once it is planned."""
    severity: Severity = "error"
    """What a failure means: `error` stops the release, `warn` does not."""
    owner: str | None = None
    """Who answers for it."""
    guardrail: bool = False
    """Whether it is checked after the production build too."""


@dataclass(frozen=True, kw_only=True)
class ExpectationCheck(Check):
    """A Great Expectations expectation about one model."""

    KIND: ClassVar[str] = "expectation"

    type: str
    """The expectation's snake-case name, or the dotted path of a class."""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """The expectation's own arguments."""
    written: Mapping[str, Any] = field(default_factory=dict)
    """Those of its arguments that limit values, with every number as it was written: none has become a double."""
    code: str | None = None
    """The file beside the suites that has the class; None: the path is imported."""


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """What a number may be: in percent of its baseline, and absolutely. None: not limited on that side."""

    within_pct: Number | None = None
    """How far it may be from its baseline in either direction, in percent."""
    max_drop_pct: Number | None = None
    """How far it may be below its baseline, in percent."""
    max_rise_pct: Number | None = None
    """How far it may be above its baseline, in percent."""
    min_value: Number | None = None
    """The least value allowed, whatever the baseline."""
    max_value: Number | None = None
    """The greatest value allowed, whatever the baseline."""
    min_baseline: Number | None = None
    """Percentages count only from a baseline of this size on."""

    @property
    def relative(self) -> bool:
        """Whether any limit is a percentage of the baseline."""
        return any(limit is not None for limit in (self.within_pct, self.max_drop_pct, self.max_rise_pct))

    @property
    def absolute(self) -> bool:
        """Whether any limit counts without a baseline."""
        return self.min_value is not None or self.max_value is not None

    def allowed(self, baseline: Number | None) -> tuple[Number | None, Number | None]:
        """The lowest and the highest value allowed; without a baseline, by the absolute limits alone."""
        lows, highs = [self.min_value], [self.max_value]
        if baseline is not None:
            lows += [moved(baseline, -pct) for pct in (self.within_pct, self.max_drop_pct) if pct is not None]
            highs += [moved(baseline, pct) for pct in (self.within_pct, self.max_rise_pct) if pct is not None]
        return (
            max((low for low in lows if low is not None), default=None, key=as_decimal),
            min((high for high in highs if high is not None), default=None, key=as_decimal),
        )

    def __str__(self) -> str:
        words = {
            "within_pct": "within {}% of the baseline",
            "max_drop_pct": "at most {}% below the baseline",
            "max_rise_pct": "at most {}% above the baseline",
            "min_value": "at least {}",
            "max_value": "at most {}",
        }
        given = ((text, getattr(self, name)) for name, text in words.items())
        return ", ".join(text.format(digits(value)) for text, value in given if value is not None)


@dataclass(frozen=True, kw_only=True)
class Comparison(Check):
    """A SQL aggregate over a model, compared with the same aggregate over the baseline."""

    KIND: ClassVar[str] = "metric"

    expression: str
    """The aggregate, in SQL."""
    bounds: Bounds
    """What its value may be."""
    condition: str | None = None
    """Keeps only the rows that meet it, in SQL."""
    group_by: tuple[str, ...] = ()
    """Columns: every group is then compared with the same group of the baseline."""


@dataclass(frozen=True, kw_only=True)
class Assertion(Check):
    """A query that must return no rows; `{{ ref('model') }}` and `{{ source('source', 'table') }}` name relations."""

    KIND: ClassVar[str] = "assertion"

    sql: str
    """The query, as written: a template."""


@dataclass(frozen=True, kw_only=True)
class InvalidCheck(Check):
    """A check that cannot be run as it is written; it is reported as broken, never dropped."""

    KIND: ClassVar[str] = "suite"

    problem: str
    """What is wrong with it."""
