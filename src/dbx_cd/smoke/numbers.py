"""Numbers as they are: compared without rounding, and written so that JSON and people read the same digits.

A binary double cannot hold most decimals, nor all whole numbers above 2 to the power of 53. So a number from Spark or a
suite is a whole number or a `Decimal` wherever its data type is one, and a double only where the data are doubles.
"""

from __future__ import annotations

import math
import re
from decimal import MAX_EMAX, MIN_EMIN, Decimal, localcontext
from typing import Any, TypeGuard

from dbx_cd.non_finite import non_finite_name

Number = int | float | Decimal

# How many digits a decimal of Spark's has at most: https://spark.apache.org/docs/latest/sql-ref-datatypes.html
DECIMAL_DIGITS = 38
# More digits than a product of two of Spark's decimals has.
_DIGITS = 120
# Beyond this size a number is written with an exponent, or in JSON as text: Python has whole numbers of any length.
_LONGEST = 60
# What `digits` writes. Python's own constructor takes `1_000`, ` 5 ` and digits of other scripts as well.
_DIGITS_AS_TEXT = re.compile(r"-?[0-9]+(\.[0-9]+)?(E[+-][0-9]+)?")


def is_number(value: object) -> TypeGuard[Number]:
    """Whether it is a number at all; NaN and the infinities are, true and false are not."""
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def is_finite(value: object) -> TypeGuard[Number]:
    """Whether it is a number that can be compared and drawn: not NaN, not an infinity."""
    if isinstance(value, Decimal):
        # By itself: as a double a large one would be an infinity, and a signalling NaN an error.
        return value.is_finite()
    return is_number(value) and (isinstance(value, int) or math.isfinite(value))


def as_decimal(value: Number) -> Decimal:
    """A finite number as a decimal: a double by the digits it is written with, so that 0.1 is 0.1."""
    return Decimal(repr(float(value))) if isinstance(value, float) else Decimal(value)


def within(
    value: object, low: Any = None, high: Any = None, *, strict_low: bool = False, strict_high: bool = False
) -> bool:
    """Whether a value is a number between two limits; null, NaN and text never are.

    Whole numbers and decimals are compared exactly. A double is compared with the double next to the limit, which is
    what a column of doubles would hold of it.

    Args:
        value: what was seen.
        low: the least value allowed, a number or its digits; None leaves the side open.
        high: the greatest value allowed.
        strict_low: the least value itself is not allowed.
        strict_high: the greatest value itself is not allowed.
    """
    if not is_number(value) or non_finite_name(value) == "NaN":
        return False
    if low is not None:
        limit = _limit(low, value)
        if value < limit or (strict_low and value == limit):
            return False
    if high is not None:
        limit = _limit(high, value)
        if value > limit or (strict_high and value == limit):
            return False
    return True


def _limit(limit: Any, value: Number) -> Number:
    number = Decimal(limit) if isinstance(limit, str) else limit
    if isinstance(value, float) and math.isfinite(value):
        return float(Decimal(number))
    return as_decimal(number) if is_finite(number) else Decimal(number)


def kept(value: Any) -> Any:
    """A number as JSON can keep it and give it back digit by digit; anything else as it is.

    A decimal becomes a whole number or a JSON number where that has the same digits, else its digits as text. NaN and
    the infinities, which JSON does not have, become their names.
    """
    if not is_number(value):
        return value
    if not is_finite(value):
        return non_finite_name(value)
    if isinstance(value, float):
        return value
    if isinstance(value, int):
        return value if abs(value) < 10**_LONGEST else digits(value)
    if value == value.to_integral_value() and value.adjusted() < _LONGEST:
        return int(value)
    return float(value) if Decimal(repr(float(value))) == value else digits(value)


def read(value: Any) -> Number | None:
    """The number that `kept` was given, or None: true, false and any other text are none."""
    if is_number(value):
        return value
    return Decimal(value) if isinstance(value, str) and _DIGITS_AS_TEXT.fullmatch(value) else None


def typed(text: str | None, data_type: str) -> Any:
    """A value that Spark has cast to text, by the name of its data type: numbers as numbers, anything else as text."""
    kind = data_type.partition("(")[0]
    if text is None:
        return None
    if kind in ("tinyint", "smallint", "int", "bigint"):
        return int(text)
    if kind in ("float", "double"):
        return float(text)
    return Decimal(text) if kind == "decimal" else text


def digits(value: Number) -> str:
    """All digits of a number and no more, for people: no exponent where it can be done without."""
    if not is_finite(value):
        return str(non_finite_name(value))
    number = as_decimal(value)
    if not -_LONGEST < number.adjusted() < _LONGEST:
        return str(number)
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def moved(base: Number, percent: Number) -> Decimal:
    """A number moved by so many percent of its size."""
    with localcontext(prec=_DIGITS):
        return as_decimal(base) + abs(as_decimal(base)) * as_decimal(percent) / 100


def position(value: Number, least: Number, most: Number) -> float:
    """Where a finite number is between two others, 0 at the least and 1 at the most; 0 where those are the same."""
    # Of any size: a whole number or a decimal may be too large for a double.
    with localcontext(prec=_DIGITS, Emax=MAX_EMAX, Emin=MIN_EMIN):
        span = as_decimal(most) - as_decimal(least)
        return float((as_decimal(value) - as_decimal(least)) / span) if span else 0.0


def difference(value: Number, base: Number) -> str:
    """How far a number is from another that is not zero, in percent of it; the difference itself where that is tiny."""
    with localcontext(prec=_DIGITS):
        apart = as_decimal(value) - as_decimal(base)
        percent = apart / abs(as_decimal(base)) * 100
        if apart and abs(percent) < Decimal("0.05"):
            return f"{'+' if apart > 0 else ''}{digits(apart)}"
        return f"{percent:+.1f}%"
