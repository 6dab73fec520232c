"""Expectations of the shop's own, named in the suites of this folder by their dotted path."""

from great_expectations.expectations.core import ExpectColumnValuesToMatchRegex


class ExpectColumnValuesToBeSkus(ExpectColumnValuesToMatchRegex):
    """Two capitals, a hyphen, four digits: how the shop numbers what it sells."""

    regex: str = "^[A-Z]{2}-[0-9]{4}$"
