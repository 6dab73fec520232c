"""The way to Great Expectations for all others: names of expectations, and one validation per table.

What it gives beyond Great Expectations' own `Batch.validate`: all aggregates of a table in one query; aggregates that
say what they observed, while row-wise expectations first answer only yes or no and fetch example rows in a second
look, where something failed; and no data context, so nothing is shared between threads, stored or sent. How it is
made to do so is in `gx_engine` and `gx_numbers`, which nobody else imports.
"""

from __future__ import annotations

import difflib
import logging
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

# Releases before 1.24 send usage data unless this is set; a release task must never try the network for that.
os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")

from great_expectations import __version__ as gx_version
from great_expectations.core.expectation_validation_result import ExpectationSuiteValidationResult
from great_expectations.expectations.core.expect_column_values_to_be_unique import ExpectColumnValuesToBeUnique
from great_expectations.expectations.core.expect_compound_columns_to_be_unique import ExpectCompoundColumnsToBeUnique
from great_expectations.expectations.expectation import (
    BatchExpectation,
    ColumnMapExpectation,
    ColumnPairMapExpectation,
    Expectation,
    MulticolumnMapExpectation,
)
from great_expectations.expectations.registry import (
    get_expectation_impl,
    list_registered_expectation_implementations,
)
from great_expectations.render.renderer.page_renderer import ValidationResultsPageRenderer

from dbx_cd.relations import quote
from dbx_cd.smoke.answers import (
    Answer,
    Ask,
    answer_of,
    message_of,
    scanned_apart,
    with_real_columns,
    wrong_aggregates,
)
from dbx_cd.smoke.data import QueriesOnly
from dbx_cd.smoke.gx_engine import EscapingPageView, OneScanEngine, QuietValidator
from dbx_cd.smoke.gx_numbers import OWN, ExpectSqlAggregateToBeBetween, exactly
from dbx_cd.smoke.own_code import load_class

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

# Importing Great Expectations diverts every Python warning to the logging module; take that back.
logging.captureWarnings(False)

# Great Expectations' name of the section of what is about no single column.
_WHOLE_TABLE = "Table-Level Expectations"
_ROW_WISE = (ColumnMapExpectation, ColumnPairMapExpectation, MulticolumnMapExpectation)


class ExpectColumnDataTypes(BatchExpectation):
    """Expect exactly these columns with exactly these Spark data types, as an enforced dbt contract does."""

    data_types: dict[str, str]

    metric_dependencies: ClassVar[tuple[str, ...]] = ("table.column_types",)
    success_keys: ClassVar[tuple[str, ...]] = ("data_types",)

    def _validate(
        self,
        metrics: dict[str, Any],
        runtime_configuration: Any = None,  # noqa: ARG002
        execution_engine: Any = None,  # noqa: ARG002
    ) -> dict[str, Any]:
        # The metric lists nested fields too, with a dotted name; a column of such a name would be in backticks.
        found = {
            str(c["name"]).lower(): c["type"].simpleString()
            for c in metrics["table.column_types"]
            if "." not in str(c["name"])
        }
        wanted = {name.lower(): data_type for name, data_type in self.data_types.items()}
        differences = [
            *(f"{name} is missing" for name in wanted if name not in found),
            *(f"{name} is not in the contract" for name in found if name not in wanted),
            *(f"{n} is {found[n]}, not {t}" for n, t in wanted.items() if n in found and found[n] != t),
        ]
        observed = "; ".join(differences) or f"{len(found)} columns as agreed"
        return {"success": not differences, "result": {"observed_value": observed}}


def expectation_names() -> list[str]:
    """The snake-case names of all expectations that Great Expectations ships."""
    return sorted(set(list_registered_expectation_implementations()) - {*OWN, ExpectColumnDataTypes.expectation_type})


def problem_with(kind: str, arguments: Mapping[str, Any], *, code: str | None = None) -> str | None:
    """What is wrong with an expectation's name or arguments; None when it can be validated."""
    try:
        _expectation_class(kind, code)(**arguments)
    except Exception as exc:  # the class may be anybody's
        return message_of(exc, kind)
    return None


@dataclass(frozen=True)
class Validation:
    """What came of the expectations on one table."""

    answers: Mapping[int, Answer]
    """One answer for each `Ask`, by its key."""
    results: tuple[Any, ...]
    """Great Expectations' own results, for Data Docs."""


def validate(frame: DataFrame, asks: Sequence[Ask], *, source: str | None = None) -> Validation:
    """Validate the expectations on one table: all aggregates in one query, examples only for what failed.

    `source` says in SQL what the frame is, as it follows `from`: distinct values are then counted in a scan apart. An
    expectation that raises never hides the others. Safe to call from several threads.
    """
    started = time.perf_counter()
    answers: dict[int, Answer] = {}
    built: dict[int, Any] = {}
    columns = list(frame.columns)
    for ask in asks:
        try:
            arguments = with_real_columns(ask, columns)
            kind = _expectation_class(ask.type, ask.code)
            if ask.written:
                kind, arguments = exactly(kind, arguments, ask.written, frame)
            built[ask.key] = kind(**arguments, meta={"key": ask.key})
        except Exception as exc:
            answers[ask.key] = Answer(False, error=message_of(exc, ask.type))
    aggregates = {k: e.expression for k, e in built.items() if isinstance(e, ExpectSqlAggregateToBeBetween)}
    answers |= wrong_aggregates(frame, aggregates)
    first = [_first_look(expectation, source) for key, expectation in built.items() if key not in answers]
    results = _run(frame, first)
    answers |= {key: answer_of(result) for key, result in results.items()}
    by_key = {ask.key: ask for ask in asks}
    again = [
        expectation.copy(update={"result_format": _with_examples(by_key[key])})
        for key, expectation in built.items()
        if isinstance(expectation, _ROW_WISE) and not answers[key].success
    ]
    second = _run(frame, again)
    answers |= {key: answer_of(result) for key, result in second.items()}
    share = (time.perf_counter() - started) / max(len(asks), 1)
    return Validation(
        answers={key: replace(answer, seconds=share) for key, answer in answers.items()},
        results=tuple(
            _without_values(result, by_key[key])
            for key, result in {**results, **second}.items()
            if not isinstance(result, Answer)
        ),
    )


def _first_look(expectation: Any, source: str | None) -> Any:
    """The cheapest expectation with the same verdict.

    Great Expectations finds duplicates with a window over all rows; two counts say whether there are any.
    """
    key = {"meta": expectation.meta}
    if isinstance(expectation, ExpectSqlAggregateToBeBetween):
        whole = None if getattr(expectation, "row_condition", None) else source  # else it is about some of the rows
        return expectation.copy(update={"expression": scanned_apart(expectation.expression, whole)})
    if type(expectation) is ExpectColumnValuesToBeUnique and expectation.mostly == 1:
        name = quote(expectation.column)
        counted = scanned_apart(f"count({name}) - count(distinct {name})", source)
        return ExpectSqlAggregateToBeBetween(expression=counted, max_value=0, **key)
    if type(expectation) is ExpectCompoundColumnsToBeUnique and expectation.ignore_row_if == "never":
        names = ", ".join(quote(name) for name in expectation.column_list)
        counted = scanned_apart(f"count(*) - count(distinct struct({names}))", source)
        return ExpectSqlAggregateToBeBetween(expression=counted, max_value=0, **key)
    row_wise = isinstance(expectation, _ROW_WISE)
    return expectation.copy(update={"result_format": "BOOLEAN_ONLY" if row_wise else "BASIC"})


def _run(frame: DataFrame, expectations: Sequence[Any]) -> dict[int, Any]:
    """Great Expectations' result of each expectation by its key, or an `Answer` where there is none."""
    if not expectations:
        return {}
    logging.getLogger("great_expectations").setLevel(logging.CRITICAL)  # it logs what it also returns
    try:
        configurations = [e.configuration for e in expectations]
        for postpone in (True, False):
            engine = OneScanEngine(
                postpone=postpone,
                spark=QueriesOnly(frame.sparkSession),
                persist=False,
                batch_data_dict={"table": frame},
            )
            # No runtime configuration: it would override each expectation's own result format.
            results = QuietValidator(execution_engine=engine).graph_validate(configurations)
            if not engine.postponed:
                break  # else nothing but the row count was asked for, and it is still only promised
    except Exception as exc:
        return {e.meta["key"]: Answer(False, error=message_of(exc, e.expectation_type)) for e in expectations}
    return {_key(result): result for result in results}


def _key(result: Any) -> int:
    return int(result.expectation_config.meta["key"])


def data_docs_page(title: str, results: Sequence[Any]) -> str:
    """Great Expectations' Data Docs page of one table's results, failures first.

    Its styles and scripts come from public CDNs; without them it is plain, and as complete.
    """
    results = sorted(results, key=lambda result: bool(result.success))
    successful = sum(bool(result.success) for result in results)
    suite = ExpectationSuiteValidationResult(
        suite_name=title,
        success=successful == len(results),
        results=list(results),
        statistics={
            "evaluated_expectations": len(results),
            "successful_expectations": successful,
            "unsuccessful_expectations": len(results) - successful,
            "success_percent": 100 * successful / max(len(results), 1),
        },
        meta={
            "run_id": {"run_name": title, "run_time": datetime.now(UTC).isoformat()},
            "great_expectations_version": gx_version,
            "batch_spec": {},
            "batch_markers": {},
            "active_batch_definition": {},
        },
    )
    document: Any = ValidationResultsPageRenderer().render(suite)
    failed = {r.expectation_config.kwargs.get("column", _WHOLE_TABLE) for r in results if not r.success}
    overview, *sections = document.sections
    document.sections = [overview, *sorted(sections, key=lambda section: section.section_name not in failed)]
    return str(EscapingPageView().render(document))


def _expectation_class(kind: str, code: str | None) -> type[Any]:
    if "." in kind:
        found = load_class(kind, code)
        if not (isinstance(found, type) and issubclass(found, Expectation)):
            raise ValueError(f"{kind} is not a Great Expectations expectation class")
        return found
    if kind in list_registered_expectation_implementations():
        return get_expectation_impl(kind)
    near = difflib.get_close_matches(kind, expectation_names(), n=1)
    hint = f"; did you mean `{near[0]}`?" if near else ""
    raise ValueError(f"Great Expectations has no expectation `{kind}`{hint}")


def _with_examples(ask: Ask) -> dict[str, Any]:
    return {"result_format": "BASIC", "partial_unexpected_count": 0 if ask.hidden else ask.examples}


def _without_values(result: Any, ask: Ask) -> Any:
    """The result as it may be shown in Data Docs: of a sensitive column counts alone, beside one no messages."""
    counts = ("element_count", "unexpected_count", "unexpected_percent", "missing_count", "missing_percent")
    if ask.hidden:
        result.result = {name: result.result[name] for name in counts if name in (result.result or {})}
    if ask.beside_hidden and answer_of(result).error:
        message = "not shown: the message may quote a value of a sensitive column"
        result.exception_info = {
            "raised_exception": True,
            "exception_message": message,
            "exception_traceback": message,
        }
    return result
