"""Macros that write the same thing for every database, and dbt's types, where a seed's guess is not enough."""

from __future__ import annotations

import pytest
from dbt.tests.adapter.utils import fixture_get_intervals_between as intervals, fixture_listagg as listagg
from dbt.tests.adapter.utils.data_types import test_type_float, test_type_int
from dbt.tests.adapter.utils.data_types.test_type_float import BaseTypeFloat
from dbt.tests.adapter.utils.data_types.test_type_int import BaseTypeInt
from dbt.tests.adapter.utils.data_types.test_type_numeric import BaseTypeNumeric
from dbt.tests.adapter.utils.test_get_intervals_between import BaseGetIntervalsBetween
from dbt.tests.adapter.utils.test_listagg import BaseListagg
from dbt.tests.adapter.utils.test_timestamps import BaseCurrentTimestamps

pytestmark = pytest.mark.deep

TYPE_OF_SEED = "version: 2\nseeds: [{{name: expected, config: {{column_types: {{{column}: {type}}}}}}}]"


class TestTypeFloat(BaseTypeFloat):
    @pytest.fixture(scope="class")
    def seeds(self) -> dict[str, str]:
        typed = TYPE_OF_SEED.format(column="float_col", type="float")
        return {"expected.csv": test_type_float.seeds__expected_csv, "expected.yml": typed}


class TestTypeInt(BaseTypeInt):
    @pytest.fixture(scope="class")
    def seeds(self) -> dict[str, str]:
        typed = TYPE_OF_SEED.format(column="int_col", type="int")
        return {"expected.csv": test_type_int.seeds__expected_csv, "expected.yml": typed}


class TestTypeNumeric(BaseTypeNumeric):
    def numeric_fixture_type(self) -> str:
        return "decimal(28,6)"


class TestGetIntervalsBetween(BaseGetIntervalsBetween):
    @pytest.fixture(scope="class")
    def models(self) -> dict[str, str]:
        dates = """{{ get_intervals_between('"2023-09-01"', '"2023-09-12"', "day") }}"""
        return {
            "test_get_intervals_between.yml": intervals.models__test_get_intervals_between_yml,
            "test_get_intervals_between.sql": f"select {dates} as intervals, 11 as expected",
        }


class TestListagg(BaseListagg):
    """Without the parts that ask for an order: dbt-databricks' macro has none, and its own test leaves them out too."""

    @pytest.fixture(scope="class")
    def models(self) -> dict[str, str]:
        parts = listagg.models__test_listagg_sql.split("union all")
        first = parts[0].index("    select\n        group_col,")
        assert "order by" in parts[0][first:]
        assert "order by" in parts[1]
        assert "order by" not in "".join(parts[2:])
        return {
            "test_listagg.yml": listagg.models__test_listagg_yml,
            "test_listagg.sql": parts[0][:first] + "union all".join(parts[2:]),
        }


class TestCurrentTimestamps(BaseCurrentTimestamps):
    """dbt's old names of the macro are not in dbt-databricks, and not in its own test."""

    @pytest.fixture(scope="class")
    def models(self) -> dict[str, str]:
        return {"get_current_timestamp.sql": "select {{ current_timestamp() }} as current_timestamp"}

    @pytest.fixture(scope="class")
    def expected_schema(self) -> dict[str, str]:
        return {"current_timestamp": "timestamp"}

    @pytest.fixture(scope="class")
    def expected_sql(self) -> str:
        return "select current_timestamp() as current_timestamp"
