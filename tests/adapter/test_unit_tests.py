"""dbt's unit tests: values of every type, and a column whose name is a word of SQL."""

from __future__ import annotations

import pytest
from dbt.tests.adapter.unit_testing import test_quoted_reserved_word_column_names as reserved_word
from dbt.tests.adapter.unit_testing.test_types import BaseUnitTestingTypes

pytestmark = pytest.mark.deep


class TestUnitTestQuotedReservedWordColumnNames(reserved_word.BaseUnitTestQuotedReservedWordColumnNames):
    @pytest.fixture(scope="class")
    def models(self) -> dict[str, str]:
        quoted = reserved_word.my_upstream_model_with_reserved_word_column_name_sql.replace('"', "`")
        return {
            "my_model.sql": reserved_word.my_model_sql,
            "my_upstream_model.sql": quoted,
            "unit_tests.yml": reserved_word.test_my_model_csv_fixtures_yml,
        }


class TestUnitTestingTypes(BaseUnitTestingTypes):
    @pytest.fixture
    def data_types(self) -> list[list[str]]:
        """What is selected, and how a unit test gives it: dbt-databricks' own tests have the same values."""
        return [
            ["1", "1"],
            ["'1'", "1"],
            ["2.0", "2.0"],
            ["'string'", "string"],
            ["true", "true"],
            ["date '2020-01-02'", "2020-01-02"],
            ["timestamp '2013-11-03 00:00:00-0'", "2013-11-03 00:00:00-0"],
            ["'1'::numeric", "1"],
            ["array(1, 2, 3)", "'array(1, 2, 3)'"],
            ["map('10', 't', '15', 'f', '20', null)", """'map("10", "t", "15", "f", "20", null)'"""],
            ["named_struct('a', 1, 'b', 2, 'c', 3)", """'named_struct("a", 1, "b", 2, "c", 3)'"""],
        ]
