"""The base classes of dbt's adapter tests that dbt-databricks runs unchanged: see the table in `suite.py`."""

from __future__ import annotations

import pytest
from suite import AS_THEY_ARE, classes

pytestmark = pytest.mark.deep

globals().update(classes(AS_THEY_ARE))
