"""`--empty`, for models whose macros look at or alter what they read."""

from __future__ import annotations

from typing import Any

import pytest
from databricks_sql import in_databricks_sql
from dbt.tests.adapter.empty import _models
from dbt.tests.adapter.empty.test_empty import MetadataWithEmptyFlag
from dbt.tests.fixtures.project import TestProjInfo

pytestmark = pytest.mark.deep

NO_RENDER = "dbt-databricks' macro alters what `ref` gives, which is a query under `--empty`, and not its `render()`"
MODELS = [
    "control",
    "get_columns_in_relation",
    pytest.param("alter_column_type", marks=pytest.mark.skip(reason=NO_RENDER)),
    "alter_relation_comment",
    "alter_column_comment",
    "alter_relation_add_remove_columns",
    "truncate_relation",
]


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

    @pytest.mark.parametrize("model", MODELS)
    def test_run(self, project: TestProjInfo, model: str) -> None:
        super().test_run(project, model)
