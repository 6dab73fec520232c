"""The most telling of dbt's adapter tests, for every run of the tests: see the table in `suite.py`."""

from __future__ import annotations

from suite import TELLING, classes

globals().update(classes(TELLING))
