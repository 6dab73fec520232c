"""Names of what is a number by its type and cannot be compared: JSON has no tokens for them (RFC 8259)."""

from __future__ import annotations

import math
from decimal import Decimal


def non_finite_name(value: object) -> str | None:
    """`NaN`, `Infinity` or `-Infinity`; None for every other number, and for what is no number."""
    if isinstance(value, Decimal):
        if value.is_finite():
            return None
        is_nan = value.is_nan()  # a signalling one as well, which `math.isnan` refuses
    elif isinstance(value, float) and not math.isfinite(value):
        is_nan = math.isnan(value)
    else:
        return None
    if is_nan:
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"
