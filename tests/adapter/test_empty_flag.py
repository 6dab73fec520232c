"""`--empty`, for models whose macros look at or alter what they read."""

from __future__ import annotations

from typing import Any

import pytest
from databricks_sql import in_databricks_sql
from dbt.tests.adapter.empty import _models
from dbt.tests.adapter.empty.test_empty import MetadataWithEmptyFlag

pytestmark = pytest.mark.deep


class TestMetadataWithEmptyFlag(MetadataWithEmptyFlag):
    @pytest.fixture(scope="class")
    def project_config_update(self) -> dict[str, Any]:
        # Delta drops a column only where columns are mapped by their names.
        return {"seeds": {"+tblproperties": {"delta.columnMapping.mode": "name"}}}

    @pytest.fixture(scope="class")
    def models(self) -> dict[str, str]:
        return {
            "schema.yml": _models.SCHEMA,
            "control.sql": _models.CONTROL,
            "get_columns_in_relation.sql": _models.GET_COLUMNS_IN_RELATION,
            "alter_column_type.sql": in_databricks_sql(_models.ALTER_COLUMN_TYPE),
            "alter_relation_comment.sql": _models.ALTER_RELATION_COMMENT,
            "alter_column_comment.sql": _models.ALTER_COLUMN_COMMENT,
            "alter_relation_add_remove_columns.sql": in_databricks_sql(_models.ALTER_RELATION_ADD_REMOVE_COLUMNS),
            "truncate_relation.sql": _models.TRUNCATE_RELATION,
        }
