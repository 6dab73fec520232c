"""The names of PySpark 3.5, by which tests/unit/delta/test_old_pyspark.py judges."""

from __future__ import annotations

import pytest

from pyspark_names import names, recorded


@pytest.mark.not_on("embedded", "connect", reason="the recorded names are those of PySpark 3.5")
def test_the_recorded_names_are_those_of_pyspark_3_5() -> None:
    """Else write them anew, as tests/pyspark_names.py says."""
    assert recorded() == names()
