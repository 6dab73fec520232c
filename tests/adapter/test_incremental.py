"""Incremental models: columns that come and go, predicates, and each strategy by the rows it leaves."""

from __future__ import annotations

import pytest
from dbt.tests.adapter.incremental import fixtures
from dbt.tests.adapter.incremental.test_incremental_on_schema_change import BaseIncrementalOnSchemaChange
from dbt.tests.adapter.incremental.test_incremental_predicates import (
    BaseIncrementalPredicates,
    models__delete_insert_incremental_predicates_sql as PREDICATES_SQL,  # noqa: N812
)
from dbt.tests.adapter.incremental.test_incremental_unique_id import BaseIncrementalUniqueKey
from dbt.tests.fixtures.project import TestProjInfo
from dbt.tests.util import run_dbt

pytestmark = pytest.mark.deep


class TestIncrementalOnSchemaChange(BaseIncrementalOnSchemaChange):
    """Columns are added and never dropped, as in dbt-databricks' own test: Delta drops one only with column mapping."""

    @pytest.fixture(scope="class")
    def models(self) -> dict[str, str]:
        kept = fixtures._MODELS__INCREMENTAL_SYNC_ALL_COLUMNS.replace(
            "cast(field3 as {{string_type}}) as field3, -- to validate new fields",
            "cast(field2 as {{string_type}}) as field2,",
        )
        target = fixtures._MODELS__INCREMENTAL_SYNC_ALL_COLUMNS_TARGET.replace("--,field2", ",field2").replace(
            ",cast(case when id <= 3 then null else field3 end as {{string_type}}) as field3", ""
        )
        assert "field3" not in kept + target
        return {
            "model_a.sql": fixtures._MODELS__A,
            "incremental_ignore.sql": fixtures._MODELS__INCREMENTAL_IGNORE,
            "incremental_ignore_target.sql": fixtures._MODELS__INCREMENTAL_IGNORE_TARGET,
            "incremental_fail.sql": fixtures._MODELS__INCREMENTAL_FAIL,
            "incremental_sync_all_columns.sql": kept,
            "incremental_sync_all_columns_target.sql": target,
            "incremental_append_new_columns.sql": fixtures._MODELS__INCREMENTAL_APPEND_NEW_COLUMNS,
            "incremental_append_new_columns_target.sql": fixtures._MODELS__INCREMENTAL_APPEND_NEW_COLUMNS_TARGET,
            "incremental_append_new_columns_remove_one.sql": (
                fixtures._MODELS__INCREMENTAL_APPEND_NEW_COLUMNS_REMOVE_ONE
            ),
            "incremental_append_new_columns_remove_one_target.sql": (
                fixtures._MODELS__INCREMENTAL_APPEND_NEW_COLUMNS_REMOVE_ONE_TARGET
            ),
        }

    def test_run_incremental_sync_all_columns(self, project: TestProjInfo) -> None:
        self.run_incremental_sync_all_columns(project)


class TestIncrementalUniqueKey(BaseIncrementalUniqueKey):
    @pytest.fixture(scope="class", autouse=True)
    def clean_up(self, project: TestProjInfo) -> None:
        """The schema stays for the tests of the class, as in dbt-databricks' own; the project drops it."""


class BigIds:
    """A seed's whole numbers are bigint in Databricks: the model's are made so, as in dbt-databricks' own tests."""

    @pytest.fixture(scope="class")
    def models(self) -> dict[str, str]:
        sql = PREDICATES_SQL
        for number in (1, 2, 3):
            sql = sql.replace(f"select {number} as id", f"select cast({number} as bigint) as id")
        return {"delete_insert_incremental_predicates.sql": sql}


class TestIncrementalPredicatesMerge(BigIds, BaseIncrementalPredicates):
    @pytest.fixture(scope="class")
    def project_config_update(self) -> dict[str, dict[str, object]]:
        return {
            "models": {"+incremental_predicates": ["dbt_internal_dest.id != 2"], "+target_alias": "dbt_internal_dest"}
        }


class TestPredicatesMerge(BigIds, BaseIncrementalPredicates):
    @pytest.fixture(scope="class")
    def project_config_update(self) -> dict[str, dict[str, object]]:
        return {"models": {"+predicates": ["dbt_internal_dest.id != 2"], "+target_alias": "dbt_internal_dest"}}


CONFIGS = {
    "append": "incremental_strategy='append'",
    "merge": "incremental_strategy='merge', unique_key='id'",
    "insert_overwrite": "incremental_strategy='insert_overwrite'",
    "insert_overwrite_partition": "incremental_strategy='insert_overwrite', partition_by='id'",
    "replace_where": "incremental_strategy='replace_where', incremental_predicates='id >= 2'",
    "delete_insert": "incremental_strategy='delete+insert', unique_key='id'",
}
FIRST, SECOND = {(1, "hello"), (2, "goodbye")}, {(2, "yo"), (3, "anyway")}
UPDATED = {(1, "hello"), (2, "yo"), (3, "anyway")}
MODEL = """
{{{{ config(materialized='incremental', {config}) }}}}
{{% if not is_incremental() %}}
select 1 as id, 'hello' as msg union all select 2 as id, 'goodbye' as msg
{{% else %}}
select 2 as id, 'yo' as msg union all select 3 as id, 'anyway' as msg
{{% endif %}}
"""


class TestStrategies:
    """What dbt-databricks adds to dbt's own strategies has no base class: its strategies, by their rows."""

    @pytest.fixture(scope="class")
    def models(self) -> dict[str, str]:
        return {f"{name}.sql": MODEL.format(config=config) for name, config in CONFIGS.items()}

    @pytest.fixture(scope="class", autouse=True)
    def run_twice(self, project: TestProjInfo) -> None:
        for _ in range(2):
            assert {result.status for result in run_dbt(["run"])} == {"success"}

    @pytest.mark.parametrize(
        ("model", "rows"),
        [
            ("append", FIRST | SECOND),
            ("merge", UPDATED),
            ("insert_overwrite", SECOND),
            ("insert_overwrite_partition", UPDATED),
            ("replace_where", UPDATED),
            ("delete_insert", UPDATED),
        ],
    )
    def test_rows_after_the_second_run(self, project: TestProjInfo, model: str, rows: set[tuple[int, str]]) -> None:
        found = project.run_sql(f"select id, msg from {{schema}}.{model}", fetch="all")
        assert sorted(map(tuple, found)) == sorted(rows)
