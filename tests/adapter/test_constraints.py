"""Contracts and constraints, by dbt's checks before the build and by the table's own."""

from __future__ import annotations

import pytest
from databricks_sql import in_databricks_sql
from dbt.tests.adapter.constraints import fixtures
from dbt.tests.adapter.constraints.test_constraints import (
    BaseConstraintsRollback,
    BaseIncrementalConstraintsColumnsEqual,
    BaseIncrementalConstraintsRollback,
    BaseIncrementalForeignKeyConstraint,
    BaseTableConstraintsColumnsEqual,
    BaseViewConstraintsColumnsEqual,
)

pytestmark = pytest.mark.deep

SCHEMA = in_databricks_sql(fixtures.model_schema_yml)


class DatabricksTypes:
    """As dbt-databricks' own tests have them: what is selected, the type of the contract, what the message says."""

    @pytest.fixture(scope="class")
    def string_type(self) -> str:
        return "string"

    @pytest.fixture(scope="class")
    def int_type(self) -> str:
        return "int"

    @pytest.fixture(scope="class")
    def schema_string_type(self, string_type: str) -> str:
        return string_type

    @pytest.fixture(scope="class")
    def schema_int_type(self, int_type: str) -> str:
        return int_type

    @pytest.fixture(scope="class")
    def data_types(self, schema_int_type: str, int_type: str, string_type: str) -> list[list[str]]:
        return [
            ["1", schema_int_type, int_type],
            ["'1'", string_type, string_type],
            ["true", "boolean", "boolean"],
            ["array('1', '2', '3')", "array<string>", "array"],
            ["array(1, 2, 3)", "array<int>", "array"],
            ["cast('2019-01-01' as date)", "date", "date"],
            ["cast('2019-01-01' as timestamp)", "timestamp", "timestamp"],
            ["cast(1.0 as decimal(4, 2))", "decimal", "decimal"],
        ]


class WithSchema:
    @pytest.fixture(scope="class")
    def models(self) -> dict[str, str]:
        return {**self.files, "constraints_schema.yml": SCHEMA}


class TestTableConstraintsColumnsEqual(WithSchema, DatabricksTypes, BaseTableConstraintsColumnsEqual):
    files = {  # noqa: RUF012
        "my_model_wrong_order.sql": fixtures.my_model_wrong_order_sql,
        "my_model_wrong_name.sql": fixtures.my_model_wrong_name_sql,
    }


class TestViewConstraintsColumnsEqual(WithSchema, DatabricksTypes, BaseViewConstraintsColumnsEqual):
    files = {  # noqa: RUF012
        "my_model_wrong_order.sql": fixtures.my_model_view_wrong_order_sql,
        "my_model_wrong_name.sql": fixtures.my_model_view_wrong_name_sql,
    }


class TestIncrementalConstraintsColumnsEqual(WithSchema, DatabricksTypes, BaseIncrementalConstraintsColumnsEqual):
    files = {  # noqa: RUF012
        "my_model_wrong_order.sql": fixtures.my_model_incremental_wrong_order_sql,
        "my_model_wrong_name.sql": fixtures.my_model_incremental_wrong_name_sql,
    }


class Violated:
    """One of these messages is enough, as in dbt-databricks' own tests: CHECK and NOT NULL are added one by one."""

    @pytest.fixture(scope="class")
    def expected_error_messages(self) -> list[str]:
        return [
            "violate the new CHECK constraint",
            "DELTA_NEW_CHECK_CONSTRAINT_VIOLATION",
            "violate the new NOT NULL constraint",
            "(id > 0) violated by row with values:",
            "DELTA_VIOLATE_CONSTRAINT_WITH_VALUES",
        ]

    def assert_expected_error_messages(self, error_message: str, expected_error_messages: list[str]) -> None:
        assert any(message in error_message for message in expected_error_messages)


class TestTableConstraintsRollback(WithSchema, Violated, BaseConstraintsRollback):
    files = {"my_model.sql": fixtures.my_model_sql}  # noqa: RUF012

    @pytest.fixture(scope="class")
    def expected_color(self) -> str:
        # The constraints come after the table was replaced, and nothing is rolled back: dbt-databricks' own value.
        return "red"


class TestIncrementalConstraintsRollback(WithSchema, Violated, BaseIncrementalConstraintsRollback):
    files = {"my_model.sql": fixtures.my_incremental_model_sql}  # noqa: RUF012


class TestIncrementalForeignKeyConstraint(BaseIncrementalForeignKeyConstraint):
    @pytest.fixture(scope="class")
    def macros(self) -> dict[str, str]:
        return {}

    @pytest.fixture(scope="class")
    def models(self) -> dict[str, str]:
        theirs, ours = "expression: {schema}.raw_numbers (n)", "expression: (n) references {schema}.raw_numbers"
        assert theirs in fixtures.incremental_foreign_key_schema_yml
        return {
            "schema.yml": fixtures.incremental_foreign_key_schema_yml.replace(
                theirs, f"name: fk_n\n            {ours}"
            ),
            "raw_numbers.sql": fixtures.incremental_foreign_key_model_raw_numbers_sql,
            "stg_numbers.sql": fixtures.incremental_foreign_key_model_stg_numbers_sql,
        }
