"""Models with aliases, in one schema and in several."""

from __future__ import annotations

import pytest
from dbt.tests.adapter.aliases import fixtures
from dbt.tests.adapter.aliases.test_aliases import (
    BaseAliasErrors,
    BaseAliases,
    BaseSameAliasDifferentDatabases,
    BaseSameAliasDifferentSchemas,
)

pytestmark = pytest.mark.deep

STRING_LITERAL = """
{% macro string_literal(s) -%}
  {{ adapter.dispatch('string_literal', macro_namespace='test')(s) }}
{%- endmacro %}

{% macro databricks__string_literal(s) %}
    cast('{{ s }}' as string)
{% endmacro %}
"""


class StringLiteral:
    @pytest.fixture(scope="class")
    def macros(self) -> dict[str, str]:
        return {"cast.sql": STRING_LITERAL, "expect_value.sql": fixtures.MACROS__EXPECT_VALUE_SQL}


class TestAliases(StringLiteral, BaseAliases):
    pass


class TestAliasErrors(StringLiteral, BaseAliasErrors):
    pass


class TestSameAliasDifferentSchemas(StringLiteral, BaseSameAliasDifferentSchemas):
    pass


class TestSameAliasDifferentDatabases(StringLiteral, BaseSameAliasDifferentDatabases):
    pass
