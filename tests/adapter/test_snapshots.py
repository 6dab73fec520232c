"""Snapshots: both strategies, deleted records, new columns, and their own columns under other names."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from databricks_sql import DatabricksSql, in_databricks_words
from dbt.tests.adapter.simple_snapshot import fixtures
from dbt.tests.adapter.simple_snapshot.new_record_check_mode import BaseSnapshotNewRecordCheckMode
from dbt.tests.adapter.simple_snapshot.new_record_dbt_valid_to_current import BaseSnapshotNewRecordDbtValidToCurrent
from dbt.tests.adapter.simple_snapshot.new_record_timestamp_mode import BaseSnapshotNewRecordTimestampMode
from dbt.tests.adapter.simple_snapshot.test_ephemeral_snapshot_hard_deletes import (
    BaseSnapshotEphemeralHardDeletes,
    BaseSnapshotNewColumnSpecificCheckCols,
    BaseSnapshotNewColumnTimestampStrategy,
    BaseSnapshotNewColumnWithDeletes,
)
from dbt.tests.adapter.simple_snapshot.test_snapshot import BaseSimpleSnapshot, BaseSnapshotCheck
from dbt.tests.adapter.simple_snapshot.test_various_configs import (
    BaseSnapshotColumnNames,
    BaseSnapshotColumnNamesFromDbtProject,
    BaseSnapshotDbtValidToCurrent,
    BaseSnapshotInvalidColumnNames,
    BaseSnapshotMultiUniqueKey,
)
from dbt.tests.fixtures.project import TestProjInfo
from dbt.tests.util import check_relations_equal, relation_from_name, run_dbt

pytestmark = pytest.mark.deep


class NewStringColumn:
    """A column is added as it is on Databricks: a string, and without a default, which Delta has for new rows only."""

    def add_fact_column(self, column: str | None = None, definition: str | None = None) -> None:
        fact = relation_from_name(self.project.adapter, "fact")
        self.project.run_sql(f"alter table {fact} add column {column} string")


class TestSnapshot(NewStringColumn, BaseSimpleSnapshot):
    pass


class TestSnapshotCheck(NewStringColumn, BaseSnapshotCheck):
    pass


class TrueByName(DatabricksSql):
    """dbt-databricks says by a boolean that a record was deleted; the base compares it with the boolean's name."""

    @pytest.fixture(scope="class")
    def project(self, project: TestProjInfo) -> TestProjInfo:
        run_sql = in_databricks_words(project).run_sql

        def named(sql: str, fetch: str | None = None) -> Any:
            rows = run_sql(sql, fetch)
            return [[str(v) if isinstance(v, bool) else v for v in row] for row in rows] if fetch == "all" else rows

        project.run_sql = named
        return project


class TestSnapshotNewRecordTimestampMode(TrueByName, BaseSnapshotNewRecordTimestampMode):
    pass


class TestSnapshotNewRecordCheckMode(TrueByName, BaseSnapshotNewRecordCheckMode):
    pass


class TestSnapshotNewRecordDbtValidToCurrent(DatabricksSql, BaseSnapshotNewRecordDbtValidToCurrent):
    pass


class AddedWithoutDefault(DatabricksSql):
    """Delta refuses ADD COLUMN with a default: a default is for rows that come later, and set by ALTER COLUMN."""

    @pytest.fixture(scope="class")
    def source_alter_sql(self) -> str:
        return "alter table {database}.{schema}.src_customers add column dummy_column varchar(50)"


class TestSnapshotEphemeralHardDeletes(AddedWithoutDefault, BaseSnapshotEphemeralHardDeletes):
    pass


class TestSnapshotNewColumnTimestampStrategy(AddedWithoutDefault, BaseSnapshotNewColumnTimestampStrategy):
    pass


class TestSnapshotNewColumnSpecificCheckCols(AddedWithoutDefault, BaseSnapshotNewColumnSpecificCheckCols):
    pass


class TestSnapshotNewColumnWithDeletes(AddedWithoutDefault, BaseSnapshotNewColumnWithDeletes):
    pass


class TestSnapshotColumnNames(DatabricksSql, BaseSnapshotColumnNames):
    pass


class TestSnapshotColumnNamesFromDbtProject(DatabricksSql, BaseSnapshotColumnNamesFromDbtProject):
    pass


class TestSnapshotInvalidColumnNames(DatabricksSql, BaseSnapshotInvalidColumnNames):
    pass


class TestSnapshotMultiUniqueKey(DatabricksSql, BaseSnapshotMultiUniqueKey):
    pass


FOREVER = datetime.datetime(2099, 12, 31, tzinfo=datetime.UTC)


class TestSnapshotDbtValidToCurrent(DatabricksSql, BaseSnapshotDbtValidToCurrent):
    """The same steps and values as the base; as in dbt-databricks' own test, times have a zone and rows an order."""

    def test_valid_to_current(self, project: TestProjInfo) -> None:
        for statement in (
            fixtures.create_seed_sql,
            fixtures.create_snapshot_expected_sql,
            fixtures.seed_insert_sql,
            fixtures.populate_snapshot_expected_valid_to_current_sql,
        ):
            project.run_sql(statement)
        assert len(run_dbt(["snapshot"])) == 1
        assert {valid_to for (_, valid_to) in valid_until(project)} == {FOREVER}

        project.run_sql(fixtures.invalidate_sql)
        project.run_sql(fixtures.update_with_current_sql)
        assert len(run_dbt(["snapshot"])) == 1
        rows = valid_until(project)
        assert (1, FOREVER) in rows
        assert [valid_to for (number, valid_to) in rows if number == 10] == [
            datetime.datetime(2016, 8, 20, 16, 44, 49, tzinfo=datetime.UTC),
            FOREVER,
        ]
        check_relations_equal(project.adapter, ["snapshot_actual", "snapshot_expected"])


def valid_until(project: TestProjInfo) -> list[tuple[Any, ...]]:
    found = project.run_sql("select id, test_valid_to from {schema}.snapshot_actual order by 1, 2", fetch="all")
    return [(number, valid_to.astimezone(datetime.UTC)) for number, valid_to in found]
