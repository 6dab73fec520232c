"""dbt's functions in Python, with a body as Databricks wants it."""

from __future__ import annotations

import pytest
from dbt.tests.adapter.functions import files
from dbt.tests.adapter.functions.test_udfs import PythonUDFSupported

pytestmark = pytest.mark.deep


class TestPythonUDFSupported(PythonUDFSupported):
    @pytest.fixture(scope="class")
    def functions(self) -> dict[str, str]:
        # The body is the function's own, not a file that defines one: as in dbt-databricks' own tests.
        return {"price_for_xlarge.py": "return price * 2", "price_for_xlarge.yml": files.MY_UDF_PYTHON_YML}
