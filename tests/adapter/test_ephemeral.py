"""Ephemeral models: what reads them holds the same rows as what they are made from."""

from __future__ import annotations

import pytest
from dbt.tests.adapter.ephemeral.test_ephemeral import BaseEphemeralMulti, BaseEphemeralNested
from dbt.tests.fixtures.project import TestProjInfo
from dbt.tests.util import check_relations_equal, check_table_does_not_exist, run_dbt

pytestmark = pytest.mark.deep


class TestEphemeralMulti(BaseEphemeralMulti):
    """Without the comparison of a compiled view with Postgres' SQL, which dbt-databricks' own tests leave out."""

    def test_ephemeral_multi(self, project: TestProjInfo) -> None:
        run_dbt(["seed"])
        assert len(run_dbt(["run"])) == 3
        for model in ("dependent", "double_dependent", "super_dependent"):
            check_relations_equal(project.adapter, ["seed", model])


class TestEphemeralNested(BaseEphemeralNested):
    """As dbt-databricks' own test: the view is compared by its rows, and the ephemeral models are not there."""

    def test_ephemeral_nested(self, project: TestProjInfo) -> None:
        assert len(run_dbt(["run"])) == 2
        for model in ("ephemeral", "ephemeral_level_two"):
            check_table_does_not_exist(project.adapter, model)
        check_relations_equal(project.adapter, ["source_table", "root_view"])
