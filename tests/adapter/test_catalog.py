"""The catalog that `dbt docs generate` writes, as dbt-databricks fills it."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from dbt.artifacts.schemas.catalog import CatalogArtifact
from dbt.tests.adapter.basic import expected_catalog
from dbt.tests.adapter.basic.test_docs_generate import BaseDocsGenerate, BaseDocsGenReferences
from dbt.tests.adapter.catalog import files
from dbt.tests.adapter.catalog.relation_types import CatalogRelationTypes
from dbt.tests.fixtures.project import TestProjInfo
from dbt.tests.util import AnyInteger

pytestmark = pytest.mark.deep


class OneOf:
    """Equal to each of some values; dbt-databricks' own tests take them for the same."""

    def __init__(self, *values: object) -> None:
        self.values = values

    def __eq__(self, other: object) -> bool:
        return other in self.values

    __hash__ = None


class AnyName:
    """Equal to every name, and to none: who owns a table is not what these tests look at."""

    def __eq__(self, other: object) -> bool:
        return other is None or isinstance(other, str)

    __hash__ = None


STATISTICS = {
    "has_stats": {
        "id": "has_stats",
        "label": "Has Stats?",
        "value": AnyInteger(),
        "description": "Indicates whether there are statistics for this table",
        "include": False,
    }
}


class HasStatistics:
    """Equal to the statistics of a table, among which nothing but this one is sure to be."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, dict) and all(other.get(name) == value for name, value in STATISTICS.items())

    __hash__ = None


NAMES = {
    "role": AnyName(),
    "text_type": "string",
    "time_type": "timestamp",
    "view_type": "view",
    "table_type": "table",
    "model_stats": HasStatistics(),
}
WHOLE_NUMBER = OneOf("bigint", "long")


class TestDocsGenerate(BaseDocsGenerate):
    @pytest.fixture(scope="class")
    def expected_catalog(self, project: TestProjInfo) -> dict[str, Any]:
        return expected_catalog.base_expected_catalog(project, id_type=WHOLE_NUMBER, **NAMES)


class TestDocsGenReferences(BaseDocsGenReferences):
    @pytest.fixture(scope="class")
    def expected_catalog(self, project: TestProjInfo) -> dict[str, Any]:
        expected = copy.deepcopy(
            expected_catalog.expected_references_catalog(
                project, id_type=WHOLE_NUMBER, bigint_type=WHOLE_NUMBER, **NAMES
            )
        )
        # dbt-databricks counts columns from 0: for a view as for a table, by DESCRIBE.
        for node in (*expected["nodes"].values(), *expected["sources"].values()):
            for index, column in enumerate(node["columns"].values()):
                column["index"] = index
        return expected


class TestRelationTypes(CatalogRelationTypes):
    """As its documentation says: with the kinds of relation that there are, under the adapter's names."""

    @pytest.fixture(scope="class", autouse=True)
    def models(self) -> dict[str, str]:
        return {"my_table.sql": files.MY_TABLE, "my_view.sql": files.MY_VIEW}

    @pytest.mark.parametrize(
        ("node_name", "relation_type"),
        [("seed.test.my_seed", "table"), ("model.test.my_table", "table"), ("model.test.my_view", "view")],
    )
    def test_relation_types_populate_correctly(self, docs: CatalogArtifact, node_name: str, relation_type: str) -> None:
        super().test_relation_types_populate_correctly(docs, node_name, relation_type)
