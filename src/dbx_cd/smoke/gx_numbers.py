"""Great Expectations' comparisons of numbers without its rounding. Imported by `gx` alone.

Great Expectations makes doubles of every limit and of every aggregate (1.24.1: `core/types.py`, and
`resolve_metric_bundle` with `convert_to_json_serializable`), and of a NaN a null. So aggregates come here from Spark as
text with their type, and limits from the suite as their digits. The rest is Great Expectations' own: arguments, which
rows count, results and pages.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar

from great_expectations.core.metric_domain_types import MetricDomainTypes
from great_expectations.core.metric_function_types import MetricPartialFunctionTypes
from great_expectations.execution_engine.sparkdf_execution_engine import SparkDFExecutionEngine
from great_expectations.expectations.core.expect_column_max_to_be_between import ExpectColumnMaxToBeBetween
from great_expectations.expectations.core.expect_column_mean_to_be_between import ExpectColumnMeanToBeBetween
from great_expectations.expectations.core.expect_column_min_to_be_between import ExpectColumnMinToBeBetween
from great_expectations.expectations.core.expect_column_proportion_of_non_null_values_to_be_between import (
    ExpectColumnProportionOfNonNullValuesToBeBetween,
)
from great_expectations.expectations.core.expect_column_proportion_of_unique_values_to_be_between import (
    ExpectColumnProportionOfUniqueValuesToBeBetween,
)
from great_expectations.expectations.core.expect_column_stdev_to_be_between import ExpectColumnStdevToBeBetween
from great_expectations.expectations.core.expect_column_sum_to_be_between import ExpectColumnSumToBeBetween
from great_expectations.expectations.core.expect_column_values_to_be_between import ExpectColumnValuesToBeBetween
from great_expectations.expectations.core.expect_column_values_to_be_in_set import ExpectColumnValuesToBeInSet
from great_expectations.expectations.core.expect_column_values_to_not_be_in_set import ExpectColumnValuesToNotBeInSet
from great_expectations.expectations.expectation import BatchExpectation
from great_expectations.expectations.metrics.map_metric_provider.column_condition_partial import (
    column_condition_partial,
)
from great_expectations.expectations.metrics.map_metric_provider.column_map_metric_provider import (
    ColumnMapMetricProvider,
)
from great_expectations.expectations.metrics.metric_provider import metric_partial
from great_expectations.expectations.metrics.table_metric_provider import TableMetricProvider

from dbx_cd.relations import quote
from dbx_cd.smoke.numbers import DECIMAL_DIGITS, as_decimal, is_finite, kept, typed, within

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_AGGREGATE = "dbx_cd.sql_aggregate"
_BETWEEN = "column_values.dbx_cd_between"


class SqlAggregate(TableMetricProvider):
    """A SQL aggregate as a Great Expectations metric, so that it joins the bundle computed in one scan of the table.

    Its value is text: the name of its type, a blank, and the value as Spark writes it; null where it is null.
    """

    metric_name = _AGGREGATE
    value_keys = ("expression",)

    @metric_partial(
        engine=SparkDFExecutionEngine,
        partial_fn_type=MetricPartialFunctionTypes.AGGREGATE_FN,
        domain_type=MetricDomainTypes.TABLE,
    )
    def _spark(cls, metric_domain_kwargs: Any, metric_value_kwargs: Any, **_: Any) -> Any:  # noqa: N805
        from pyspark.sql import functions as f

        value = f.expr(metric_value_kwargs["expression"])
        # A column in the domain would ask for a scan of its own.
        domain = {key: inner for key, inner in metric_domain_kwargs.items() if key != "column"}
        return f.concat(f.typeof(value), f.lit(" "), value.cast("string")), domain, {}


class ExpectSqlAggregateToBeBetween(BatchExpectation):
    """Expect a SQL aggregate over the table to be a number between two values; None leaves a side open."""

    expression: str
    min_value: Any = None
    max_value: Any = None
    strict_min: bool = False
    strict_max: bool = False

    metric_dependencies: ClassVar[tuple[str, ...]] = (_AGGREGATE,)
    success_keys: ClassVar[tuple[str, ...]] = ("expression", "min_value", "max_value", "strict_min", "strict_max")

    def _validate(
        self,
        metrics: dict[str, Any],
        runtime_configuration: Any = None,  # noqa: ARG002
        execution_engine: Any = None,  # noqa: ARG002
    ) -> dict[str, Any]:
        data_type, _, text = (metrics[_AGGREGATE] or "").partition(" ")
        value = typed(text, data_type) if data_type else None
        inside = _within_moments if data_type in _MOMENTS else within
        success = inside(value, self.min_value, self.max_value, strict_low=self.strict_min, strict_high=self.strict_max)
        return {"success": success, "result": {"observed_value": kept(value), "exact_value": value}}


def _within_moments(text: Any, low: Any, high: Any, *, strict_low: bool, strict_high: bool) -> bool:
    """Whether a date or a timestamp is within limits, all as Spark writes them: Python has no year beyond 9999."""
    if any(limit is not None and not _MOMENT.fullmatch(str(limit)) for limit in (low, high)):
        return False
    value, least, most = (None if limit is None else _moment(limit) for limit in (text, low, high))
    assert value is not None
    above = least is None or value > least or (value == least and not strict_low)
    return above and (most is None or value < most or (value == most and not strict_high))


def _moment(text: str) -> tuple[int, str]:
    """The year, and the rest in an order that text has too."""
    year, _, rest = text[1:].partition("-")
    return int(text[0] + year), rest if " " in rest else f"{rest} 00:00:00"


def _exactly(base: Any) -> Any:
    """Great Expectations' own expectation about an aggregate of a column, with this module's limits and verdict."""
    own: Any = ExpectSqlAggregateToBeBetween
    members = {"__module__": __name__, "__doc__": base.__doc__}
    return type(base)(f"{base.__name__}Exactly", (own, base), members)


# Of each expectation the class that judges it here, and the aggregate in Spark's SQL.
_OF_NUMBERS: dict[Any, tuple[Any, str]] = {
    ExpectColumnMaxToBeBetween: (_exactly(ExpectColumnMaxToBeBetween), "max({0})"),
    ExpectColumnMinToBeBetween: (_exactly(ExpectColumnMinToBeBetween), "min({0})"),
    ExpectColumnSumToBeBetween: (_exactly(ExpectColumnSumToBeBetween), "sum({0})"),
    ExpectColumnMeanToBeBetween: (_exactly(ExpectColumnMeanToBeBetween), "avg({0})"),
    ExpectColumnStdevToBeBetween: (_exactly(ExpectColumnStdevToBeBetween), "stddev_samp({0})"),
}
# A share of nothing is null; Great Expectations says 0.
_SHARES: dict[Any, tuple[Any, str]] = {
    ExpectColumnProportionOfUniqueValuesToBeBetween: (
        _exactly(ExpectColumnProportionOfUniqueValuesToBeBetween),
        "count(distinct {0}) / nullif(count({0}), 0)",
    ),
    ExpectColumnProportionOfNonNullValuesToBeBetween: (
        _exactly(ExpectColumnProportionOfNonNullValuesToBeBetween),
        "count({0}) / nullif(count(*), 0)",
    ),
}
_AGGREGATES = _OF_NUMBERS | _SHARES


class ValuesExactlyBetween(ColumnMapMetricProvider):
    """Whether a value is between two limits given as their digits. NaN never is; Spark takes it for the largest."""

    condition_metric_name = _BETWEEN
    condition_value_keys = ("min_value", "max_value", "strict_min", "strict_max")

    @column_condition_partial(engine=SparkDFExecutionEngine)
    def _spark(
        cls,  # noqa: N805
        column: Any,
        min_value: str | None = None,
        max_value: str | None = None,
        strict_min: bool = False,
        strict_max: bool = False,
        **_: Any,
    ) -> Any:
        from pyspark.sql import functions as f

        low, high = (None if limit is None else Decimal(limit) for limit in (min_value, max_value))
        if low is not None and high is not None and low > high:
            raise ValueError("min_value cannot be greater than max_value")
        found = ~f.isnan(column)
        if low is not None:
            found &= column > _literal(low) if strict_min else column >= _literal(low)
        if high is not None:
            found &= column < _literal(high) if strict_max else column <= _literal(high)
        return found


def _literal(limit: Decimal) -> Any:
    """A limit for Spark, whose decimals have 38 digits at most; what needs more can only limit doubles."""
    from pyspark.sql import functions as f

    plain = f"{limit:f}"
    return f.lit(Decimal(plain) if sum(c.isdigit() for c in plain) <= DECIMAL_DIGITS else float(limit))


class ExpectColumnValuesToBeBetweenExactly(ExpectColumnValuesToBeBetween):
    """Expect values between two limits, which are given as their digits."""

    min_value: Any = None
    max_value: Any = None

    map_metric = _BETWEEN


# Names that only this room uses.
OWN = (
    ExpectSqlAggregateToBeBetween.expectation_type,
    ExpectColumnValuesToBeBetweenExactly.expectation_type,
    *(exact.expectation_type for exact, _ in _AGGREGATES.values()),
)
_SETS = (ExpectColumnValuesToBeInSet, ExpectColumnValuesToNotBeInSet)
_MOMENTS = ("date", "timestamp", "timestamp_ntz")
_MOMENT = re.compile(r"[+-]?\d+-.*")
_NUMERIC = ("tinyint", "smallint", "int", "bigint", "float", "double", "decimal")


def exactly(kind: Any, arguments: Mapping[str, Any], written: Mapping[str, Any], frame: DataFrame) -> Any:
    """The class and the arguments that ask the same without rounding; the given ones where nothing is rounded.

    Args:
        kind: the expectation's class; one of somebody else's is left as it is.
        arguments: its arguments, in which decimals are doubles.
        written: those of them that limit values, as they are in the suite.
        frame: the table.
    """
    types = {field.name: field.dataType.simpleString().partition("(")[0] for field in frame.schema.fields}
    data_type = types.get(str(arguments.get("column")))
    limits = {key: value for key in ("min_value", "max_value") if (value := written.get(key)) is not None}
    if kind in _SETS and data_type == "decimal" and isinstance(written.get("value_set"), list):
        return kind, {**arguments, "value_set": written["value_set"]}
    texts = _texts(kind, arguments, limits, data_type=data_type)
    if not texts:
        return kind, arguments
    if kind is ExpectColumnValuesToBeBetween and data_type in _NUMERIC:
        return ExpectColumnValuesToBeBetweenExactly, {**arguments, **texts}
    if kind in _AGGREGATES:
        exact, aggregate = _AGGREGATES[kind]
        return exact, {**arguments, **texts, "expression": aggregate.format(quote(str(arguments["column"])))}
    return kind, arguments


def _texts(
    kind: Any, arguments: Mapping[str, Any], limits: Mapping[str, Any], *, data_type: str | None
) -> dict[str, str]:
    """The limits as text: digits of numbers, moments as Spark writes them; nothing where they are of another kind."""
    if (data_type in _NUMERIC or kind in _SHARES) and all(map(is_finite, limits.values())):
        return {key: str(as_decimal(value)) for key, value in limits.items()}
    if data_type not in _MOMENTS or kind not in _OF_NUMBERS:
        return {}
    # Great Expectations says which texts are dates.
    parsed = kind(**arguments)
    found = {key: getattr(parsed, key) for key in limits}
    if any(not isinstance(value, date) or getattr(value, "tzinfo", None) for value in found.values()):
        return {}
    return {key: str(value) for key, value in found.items()}
