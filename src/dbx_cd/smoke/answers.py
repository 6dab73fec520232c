"""What is asked of Great Expectations and what it answers, as plain values."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from dbx_cd import sql_messages
from dbx_cd.non_finite import non_finite_name
from dbx_cd.smoke.numbers import digits, is_number
from dbx_cd.smoke.report import Status

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_DISTINCT = re.compile(r"\bdistinct\b", re.IGNORECASE)
_COLUMN_ARGUMENTS = ("column", "column_A", "column_B")


@dataclass(frozen=True)
class Ask:
    """One expectation to validate."""

    key: int
    """What the answer is found by."""
    type: str
    """The expectation's snake-case name, or the dotted path of its class."""
    arguments: Mapping[str, Any]
    """The expectation's own arguments."""
    examples: int = 20
    """How many failing rows are fetched at most."""
    written: Mapping[str, Any] = field(default_factory=dict)
    """Those of the arguments that limit values, with every number as it was written."""
    code: str | None = None
    """The file of a class of one's own; None for one that can be imported."""
    hidden: bool = False
    """Whether it is about a sensitive column, of which only counts may be shown."""
    beside_hidden: bool = False
    """Whether the table has a sensitive column, whose values a message could quote."""


@dataclass(frozen=True)
class Answer:
    """What came of one expectation."""

    success: bool
    """Whether the expectation is met."""
    observed: Any = None
    """What was seen: a number, or a few words."""
    unexpected: int | None = None
    """How many rows fail, where that is known."""
    examples: tuple[str, ...] = field(default=())
    """Some failing rows or values, as text."""
    error: str | None = None
    """Why it could not be validated; None when it was."""
    seconds: float = 0.0
    """How long it took; the expectations on a table share its time."""
    groups: tuple[int, int, int] | None = None
    """Of a comparison by group: how many are out of bounds, how many within, and how many there are."""
    verdict: Status | None = None
    """dbt's own verdict by its thresholds: `pass`, `warn` or `fail`; None where it was not asked for."""


def with_real_columns(ask: Ask, columns: Sequence[str]) -> dict[str, Any]:
    """The arguments with column names in the table's own case: Spark ignores case, Great Expectations does not.

    Raises:
        ValueError: the table has no such column.
    """
    by_key = {column.lower(): column for column in columns}

    def real(name: Any) -> Any:
        # A dotted name is a field inside a struct; only its first part is a column.
        if not isinstance(name, str) or name in columns or "." in name:
            return name
        if name.lower() in by_key:
            return by_key[name.lower()]
        if ask.type == "expect_column_to_exist":
            return name
        near = difflib.get_close_matches(name, columns, n=1)
        raise ValueError(f"there is no column `{name}`" + (f"; did you mean `{near[0]}`?" if near else ""))

    fixed = {k: real(v) if k in _COLUMN_ARGUMENTS else v for k, v in ask.arguments.items()}
    if isinstance(fixed.get("column_list"), list):
        fixed["column_list"] = [real(name) for name in fixed["column_list"]]
    return fixed


def scalar(value: Any) -> Any:
    """A value as a report has it: numbers as numbers, everything else as text."""
    return value if value is None or isinstance(value, bool | str) or is_number(value) else show(value)


def show(value: Any) -> str:
    """A value as text of at most 200 characters."""
    text = digits(value) if isinstance(value, Decimal) or non_finite_name(value) else str(value)
    return text if len(text) <= 200 else text[:199] + "…"


def first_line(text: str) -> str:
    """The first line that says something, of at most 500 characters: Spark adds plans, Python tracebacks."""
    line = sql_messages.first_line(text) or "raised without a message"
    return line if len(line) <= 500 else line[:499] + "…"


def answer_of(result: Any) -> Answer:
    """The answer in a validation result of Great Expectations, or the answer itself."""
    if isinstance(result, Answer):
        return result
    error = _raised(result.exception_info)
    if error:
        return Answer(False, error=error)
    found = result.result or {}
    unexpected = found.get("unexpected_count")
    observed = _plain(found.get("exact_value", found.get("observed_value")))
    if unexpected is not None:
        total = found.get("element_count")
        # Expectations about the set of distinct values count those, and no rows.
        observed = f"{unexpected} unexpected values" if total is None else f"{unexpected} of {total} rows"
    examples = tuple(show(value) for value in found.get("partial_unexpected_list") or ())
    return Answer(bool(result.success), scalar(observed), unexpected, examples)


def _plain(observed: Any) -> Any:
    """What was seen; of quantiles, which Great Expectations has in lists, each with its value; None without values."""
    if not isinstance(observed, Mapping) or set(observed) != {"quantiles", "values"}:
        return observed
    values = [None if value is None else scalar(value) for value in observed["values"]]
    if all(value is None for value in values):
        return None
    return ", ".join(f"{show(q)}: {show(v)}" for q, v in zip(observed["quantiles"], values, strict=False))


def _raised(info: Mapping[str, Any] | None) -> str | None:
    """The first message in an exception_info, which is flat or keyed by metric."""
    if not info:
        return None
    if info.get("raised_exception"):
        return first_line(str(info.get("exception_message") or "raised without a message"))
    nested = [value for value in info.values() if isinstance(value, Mapping)]
    for one in nested:
        if one.get("raised_exception", True) and one.get("exception_message"):
            return first_line(str(one["exception_message"]))
    return "raised without a message" if nested else None


def message_of(exc: Exception, kind: str) -> str:
    """What an exception says; of a wrong argument, which one."""
    errors = getattr(exc, "errors", None)
    if callable(errors) and type(exc).__name__ == "ValidationError":
        parts = [f"{'.'.join(str(p) for p in e['loc'])}: {e['msg']}" for e in errors()]
        return f"{kind}: {'; '.join(parts)}"
    return first_line(str(exc) or type(exc).__name__)


def scanned_apart(expression: str, source: str | None) -> str:
    """The aggregate as a subquery of its own if it counts distinct values; `source` is what follows `from`.

    One query of such a count and other aggregates carries all of them, row by row, through the shuffle of the distinct
    values. Measured on 5 million rows with eight aggregates: 26 s and more in one pass, 17 s with the count apart.
    """
    return f"(select {expression}\n from {source})" if source and _DISTINCT.search(expression) else expression


def wrong_aggregates(frame: DataFrame, expressions: Mapping[int, str]) -> dict[int, Answer]:
    """The SQL aggregates that Spark cannot analyse: found without a job, before they could spoil the others' query."""
    from pyspark.sql import functions

    columns = {key: functions.expr(text) for key, text in expressions.items()}
    try:
        _ = frame.agg(*columns.values()).schema if columns else None
    except Exception:
        found = {key: _analysed(frame, column) for key, column in columns.items()}
        return {key: answer for key, answer in found.items() if answer is not None}
    return {}


def _analysed(frame: DataFrame, expression: Any) -> Answer | None:
    try:
        _ = frame.agg(expression).schema
    except Exception as exc:
        return Answer(False, error=first_line(str(exc)))
    return None
