"""An expectation of one's own, as a project would have it."""

from __future__ import annotations

from great_expectations.expectations.core import ExpectColumnValuesToBeBetween


class ExpectColumnValuesToBePercentages(ExpectColumnValuesToBeBetween):
    """Between 0 and 100."""

    min_value: float = 0
    max_value: float = 100
