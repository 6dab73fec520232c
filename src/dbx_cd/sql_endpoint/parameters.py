"""Statement parameters: from their Thrift form to typed Spark literals."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from dbx_cd.sql_endpoint.thrift_api import ThriftFault

if TYPE_CHECKING:
    from pyspark.sql import Column, SparkSession

StatementArguments = dict[str, Any] | list[Any]


def statement_arguments(parameters: Sequence[Any] | None) -> StatementArguments | None:
    """The `args` for `spark.sql`: a dictionary for named markers, a list for `?`, None without parameters.

    The connector sends positional parameters in order, without a name and with `ordinal=True`.

    Raises:
        ThriftFault: named and positional parameters are mixed, or a value is not of the type it claims.
    """
    if not parameters:
        return None
    named = [parameter for parameter in parameters if parameter.name]
    if not named:
        return [_literal(parameter) for parameter in parameters]
    if len(named) < len(parameters):
        raise ThriftFault("[INVALID_PARAMETERS] named and positional parameters cannot be mixed", sql_state="07001")
    return {parameter.name: _literal(parameter) for parameter in named}


def in_binding_order(spark: SparkSession, values: list[Any]) -> list[Any]:
    """The positional `values` in the order in which `spark.sql` binds each to its own marker.

    Spark 4.1.0 to 4.2.0 mix up five and more of them (SPARK-58341: an unordered map, so always in the same way). What
    this Spark does is asked of it, at the price of a query without a job; without the fault they stay as they are.
    """
    if len(values) < 5:
        return values
    markers = ", ".join(["?"] * len(values))
    bound = spark.sql(f"SELECT {markers}", args=list(range(len(values)))).collect()[0]
    ordered: list[Any] = [None] * len(values)
    for position, came_from in enumerate(bound):
        ordered[came_from] = values[position]
    return ordered


def _literal(parameter: Any) -> Column:
    """A `TSparkParameter` or `TSparkParameterValueArg` as a column that holds nothing but literals.

    Spark's parameter binding refuses a cast, so each type is made as a literal of exactly that type.
    """
    from pyspark.sql import functions as F  # noqa: N812

    kind = (parameter.type or "STRING").upper().partition("(")[0]
    if kind == "ARRAY":
        return F.array(*[_literal(argument) for argument in parameter.arguments or []])
    if kind == "MAP":
        return F.create_map(*[_literal(argument) for argument in parameter.arguments or []])
    text = _text(parameter)
    if text is None or kind == "VOID":
        return F.lit(None)
    try:
        return _SCALARS[kind](text)
    except KeyError:
        raise ThriftFault(
            f"[UNSUPPORTED_PARAMETER_TYPE] parameters of type {kind} are not supported", sql_state="0A000"
        ) from None
    except (ValueError, ArithmeticError) as exc:
        raise ThriftFault(f"[INVALID_PARAMETER] {text!r} is not a {kind}", sql_state="22018") from exc


def _text(parameter: Any) -> str | None:
    value = parameter.value
    # A TSparkParameter holds a TSparkParameterValue; an element of an array or map holds the text itself.
    return value if value is None or isinstance(value, str) else value.stringValue


def _sql(text: str) -> Column:
    from pyspark.sql import functions as F  # noqa: N812

    return F.expr(text)


def _lit(value: Any) -> Column:
    from pyspark.sql import functions as F  # noqa: N812

    return F.lit(value)


def _integer(suffix: str) -> Callable[[str], Column]:
    return lambda text: _sql(f"{int(text)}{suffix}")


def _boolean(text: str) -> Column:
    if text.lower() not in ("true", "false"):
        raise ValueError(text)
    return _lit(text.lower() == "true")


def _decimal(text: str) -> Column:
    value = Decimal(text)
    if not value.is_finite():
        raise ValueError(text)
    return _sql(f"{value:f}BD")


def _float(text: str) -> Column:
    # Spark has no FLOAT literal for NaN and infinities; as DOUBLE they mean the same.
    value = float(text)
    return _sql(f"{value!r}F") if math.isfinite(value) else _lit(value)


def _timestamp(keyword: str) -> Callable[[str], Column]:
    # Spark reads the literal in the session's time zone, as Databricks does; the check keeps quotes out of it.
    return lambda text: _sql(f"{keyword}'{datetime.fromisoformat(text).isoformat(sep=' ')}'")


_SCALARS: dict[str, Callable[[str], Column]] = {
    "STRING": _lit,
    "BOOLEAN": _boolean,
    "TINYINT": _integer("Y"),
    "SMALLINT": _integer("S"),
    "INT": _integer(""),
    "INTEGER": _integer(""),
    "BIGINT": _integer("L"),
    "FLOAT": _float,
    "DOUBLE": lambda text: _lit(float(text)),
    "DECIMAL": _decimal,
    "DATE": lambda text: _lit(date.fromisoformat(text)),
    "TIMESTAMP": _timestamp("TIMESTAMP"),
    "TIMESTAMP_NTZ": _timestamp("TIMESTAMP_NTZ"),
}
