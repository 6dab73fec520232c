"""The one module that knows Great Expectations: names of expectations, and one validation per table.

What it gives beyond Great Expectations' own `Batch.validate`: each expectation has its own result format, so that
aggregates say what they observed while row-wise expectations first answer only yes or no (about a third of the time
of SUMMARY on five million rows) and fetch example rows in a second look, only where something failed.
"""

from __future__ import annotations

import difflib
import logging
import math
import os
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

# Releases before 1.24 send usage data unless told not to; a release task must never try the network for that.
os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")

import great_expectations as gx
from great_expectations.core.metric_domain_types import MetricDomainTypes
from great_expectations.core.metric_function_types import MetricPartialFunctionTypes
from great_expectations.data_context.types.base import (
    DataContextConfig,
    InMemoryStoreBackendDefaults,
    ProgressBarsConfig,
)
from great_expectations.execution_engine.sparkdf_execution_engine import SparkDFExecutionEngine
from great_expectations.expectations.expectation import (
    BatchExpectation,
    ColumnMapExpectation,
    ColumnPairMapExpectation,
    Expectation,
    MulticolumnMapExpectation,
)
from great_expectations.expectations.metrics.metric_provider import metric_partial
from great_expectations.expectations.metrics.table_metric_provider import TableMetricProvider
from great_expectations.expectations.registry import (
    get_expectation_impl,
    list_registered_expectation_implementations,
)

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

# Importing Great Expectations diverts every Python warning to the logging module; take that back.
logging.captureWarnings(False)

_ROW_WISE = (ColumnMapExpectation, ColumnPairMapExpectation, MulticolumnMapExpectation)
_COLUMN_ARGUMENTS = ("column", "column_A", "column_B")
_CONTEXT_LOCK = threading.Lock()


@dataclass(frozen=True)
class Ask:
    """One expectation to validate: `type` by snake-case name or dotted path; `examples` rows at most are fetched."""

    key: int
    type: str
    arguments: Mapping[str, Any]
    examples: int = 20


@dataclass(frozen=True)
class Answer:
    """What came of it. `error` says why it could not be validated; `unexpected` counts failing rows where known."""

    success: bool
    observed: Any = None
    unexpected: int | None = None
    examples: tuple[str, ...] = field(default=())
    error: str | None = None
    seconds: float = 0.0


class SqlAggregate(TableMetricProvider):
    """A SQL aggregate as a Great Expectations metric, so that it joins the bundle computed in one scan of the table."""

    metric_name = "dbx_cd.sql_aggregate"
    value_keys = ("expression",)

    @metric_partial(
        engine=SparkDFExecutionEngine,
        partial_fn_type=MetricPartialFunctionTypes.AGGREGATE_FN,
        domain_type=MetricDomainTypes.TABLE,
    )
    def _spark(cls, metric_domain_kwargs: Any, metric_value_kwargs: Any, **_: Any) -> Any:  # noqa: N805
        from pyspark.sql import functions

        return functions.expr(metric_value_kwargs["expression"]), metric_domain_kwargs, {}


class ExpectSqlAggregateToBeBetween(BatchExpectation):
    """Expect a SQL aggregate over the table to be a number between two values; None leaves a side open."""

    expression: str
    min_value: float | None = None
    max_value: float | None = None

    metric_dependencies: ClassVar[tuple[str, ...]] = ("dbx_cd.sql_aggregate",)
    success_keys: ClassVar[tuple[str, ...]] = ("expression", "min_value", "max_value")

    def _validate(
        self,
        metrics: dict[str, Any],
        runtime_configuration: Any = None,  # noqa: ARG002
        execution_engine: Any = None,  # noqa: ARG002
    ) -> dict[str, Any]:
        value = metrics["dbx_cd.sql_aggregate"]
        return {"success": _between(value, self.min_value, self.max_value), "result": {"observed_value": value}}


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


_OWN = (ExpectSqlAggregateToBeBetween.expectation_type, ExpectColumnDataTypes.expectation_type)


def expectation_names() -> list[str]:
    """The snake-case names of all expectations that Great Expectations ships."""
    return sorted(set(list_registered_expectation_implementations()) - set(_OWN))


def problem_with(kind: str, arguments: Mapping[str, Any]) -> str | None:
    """What is wrong with an expectation's name or arguments; None when it can be validated."""
    try:
        _build(kind, arguments)
    except Exception as exc:  # the class may be anybody's
        return _message(exc, kind)
    return None


def validate(frame: DataFrame, asks: Sequence[Ask]) -> dict[int, Answer]:
    """Validate the expectations on one table, its aggregates in as few scans as Great Expectations' bundles allow.

    An expectation that raises never hides the others: where several share the failure, each is tried alone.
    """
    started = time.perf_counter()
    answers: dict[int, Answer] = {}
    ready: list[tuple[Ask, Any]] = []
    columns = list(frame.columns)
    for ask in asks:
        try:
            arguments = _with_real_columns(ask.arguments, columns)
            ready.append((ask, _build(ask.type, arguments, meta={"key": ask.key}, result_format=_first_format(ask))))
        except Exception as exc:
            answers[ask.key] = Answer(False, error=_message(exc, ask.type))
    answers |= _run(frame, [built for _, built in ready])
    broken = [(ask, built) for ask, built in ready if answers[ask.key].error]
    if len(broken) > 1:
        for _, built in broken:
            answers |= _run(frame, [built])
    failed = [(a, b) for a, b in ready if _is_row_wise(b) and not answers[a.key].success and not answers[a.key].error]
    if failed:
        looks = [built.copy(update={"result_format": _second_format(ask)}) for ask, built in failed]
        answers |= _run(frame, looks)
    share = (time.perf_counter() - started) / max(len(asks), 1)
    return {key: Answer(**{**vars(answer), "seconds": share}) for key, answer in answers.items()}


def _run(frame: DataFrame, expectations: Sequence[Any]) -> dict[int, Answer]:
    if not expectations:
        return {}
    # Making a context replaces a process-wide current context; everything after uses this one alone.
    with _CONTEXT_LOCK:
        logging.getLogger("great_expectations").setLevel(logging.CRITICAL)  # it logs what it also returns
        context = gx.get_context(mode="ephemeral", project_config=_project())
        asset = context.data_sources.add_spark("spark", persist=False).add_dataframe_asset("table")
        batch = asset.add_batch_definition_whole_dataframe("all")
        validator = context.get_validator(batch_request=batch.build_batch_request({"dataframe": frame}))
    try:
        # No runtime configuration: it would override each expectation's own result format.
        results = validator.graph_validate(configurations=[e.configuration for e in expectations])
    except Exception as exc:
        return {e.meta["key"]: Answer(False, error=_message(exc, e.expectation_type)) for e in expectations}
    return {_key(result): _answer(result) for result in results}


def _project() -> DataContextConfig:
    """Everything in memory; the default would leave a temporary folder for a docs site with each context."""
    return DataContextConfig(
        store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
        progress_bars=ProgressBarsConfig(globally=False),
    )


def _key(result: Any) -> int:
    return int(result.expectation_config.meta["key"])


def _answer(result: Any) -> Answer:
    error = _raised(result.exception_info)
    if error:
        return Answer(False, error=error)
    found = result.result or {}
    unexpected = found.get("unexpected_count")
    observed = found.get("observed_value")
    if unexpected is not None:
        observed = f"{unexpected} of {found.get('element_count')} rows"
    examples = tuple(_show(value) for value in found.get("partial_unexpected_list") or ())
    return Answer(bool(result.success), _scalar(observed), unexpected, examples)


def _raised(info: Mapping[str, Any] | None) -> str | None:
    """The first message in an exception_info, which is flat or keyed by metric."""
    if not info:
        return None
    if info.get("raised_exception"):
        return _first_line(str(info.get("exception_message") or "raised without a message"))
    nested = [value for value in info.values() if isinstance(value, Mapping)]
    for one in nested:
        if one.get("raised_exception", True) and one.get("exception_message"):
            return _first_line(str(one["exception_message"]))
    return "raised without a message" if nested else None


def _build(kind: str, arguments: Mapping[str, Any], **settings: Any) -> Any:
    return _expectation_class(kind)(**arguments, **settings)


def _expectation_class(kind: str) -> type[Any]:
    if "." in kind:
        module, _, name = kind.rpartition(".")
        found = getattr(import_module(module), name, None)
        if not (isinstance(found, type) and issubclass(found, Expectation)):
            raise ValueError(f"{kind} is not a Great Expectations expectation class")
        return found
    if kind in list_registered_expectation_implementations():
        return get_expectation_impl(kind)
    near = difflib.get_close_matches(kind, expectation_names(), n=1)
    hint = f"; did you mean `{near[0]}`?" if near else ""
    raise ValueError(f"Great Expectations has no expectation `{kind}`{hint}")


def _is_row_wise(expectation: Any) -> bool:
    return isinstance(expectation, _ROW_WISE)


def _first_format(ask: Ask) -> str:
    return "BOOLEAN_ONLY" if issubclass(_expectation_class(ask.type), _ROW_WISE) else "BASIC"


def _second_format(ask: Ask) -> dict[str, Any]:
    return {"result_format": "BASIC", "partial_unexpected_count": ask.examples}


def _with_real_columns(arguments: Mapping[str, Any], columns: Sequence[str]) -> dict[str, Any]:
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
        near = difflib.get_close_matches(name, columns, n=1)
        raise ValueError(f"there is no column `{name}`" + (f"; did you mean `{near[0]}`?" if near else ""))

    fixed = {k: real(v) if k in _COLUMN_ARGUMENTS else v for k, v in arguments.items()}
    if isinstance(fixed.get("column_list"), list):
        fixed["column_list"] = [real(name) for name in fixed["column_list"]]
    return fixed


def _between(value: Any, low: float | None, high: float | None) -> bool:
    number = _scalar(value)
    if isinstance(number, bool) or not isinstance(number, int | float) or math.isnan(number):
        return False
    return (low is None or number >= low) and (high is None or number <= high)


def _scalar(value: Any) -> Any:
    """A value fit for JSON: numbers as numbers, everything else as text."""
    if isinstance(value, Decimal):
        return float(value)
    return value if value is None or isinstance(value, bool | int | float | str) else _show(value)


def _show(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 200 else text[:199] + "…"


def _message(exc: Exception, kind: str) -> str:
    errors = getattr(exc, "errors", None)
    if callable(errors) and type(exc).__name__ == "ValidationError":
        parts = [f"{'.'.join(str(p) for p in e['loc'])}: {e['msg']}" for e in errors()]
        return f"{kind}: {'; '.join(parts)}"
    return _first_line(str(exc) or type(exc).__name__)


def _first_line(text: str) -> str:
    line = next((part.strip() for part in text.splitlines() if part.strip()), "raised without a message")
    return line if len(line) <= 500 else line[:499] + "…"
