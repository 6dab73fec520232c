"""Seeds: types, delimiters, schemas, and files that are not what they should be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from databricks_sql import DatabricksSql, in_databricks_sql
from dbt.tests.adapter.simple_copy.test_simple_copy import SimpleCopyBase
from dbt.tests.adapter.simple_seed import fixtures, seeds, test_seed
from dbt.tests.adapter.simple_seed.test_seed import (
    BaseBasicSeedTests,
    BaseSeedConfigFullRefreshOff,
    BaseSeedCustomSchema,
    BaseSeedParsing,
    BaseSeedSpecificFormats,
    BaseSeedWithEmptyDelimiter,
    BaseSeedWithUniqueDelimiter,
    BaseSeedWithWrongDelimiter,
    BaseSimpleSeedWithBOM,
)
from dbt.tests.adapter.simple_seed.test_seed_type_override import BaseSimpleSeedColumnOverride
from dbt.tests.fixtures.project import TestProjInfo
from dbt.tests.util import copy_file, run_dbt

pytestmark = pytest.mark.deep


class TestBasicSeeds(DatabricksSql, BaseBasicSeedTests):
    @pytest.mark.skip(reason="a view stays when its seed is dropped: Databricks drops nothing by CASCADE")
    def test_simple_seed_full_refresh_flag(self) -> None: ...


class TestSeedConfigFullRefreshOff(DatabricksSql, BaseSeedConfigFullRefreshOff):
    pass


class TestSeedCustomSchema(DatabricksSql, BaseSeedCustomSchema):
    pass


class TestSeedWithUniqueDelimiter(DatabricksSql, BaseSeedWithUniqueDelimiter):
    pass


class TestSeedWithWrongDelimiter(DatabricksSql, BaseSeedWithWrongDelimiter):
    pass


class TestSeedWithEmptyDelimiter(DatabricksSql, BaseSeedWithEmptyDelimiter):
    pass


class TestSeedParsing(DatabricksSql, BaseSeedParsing):
    pass


class TestSimpleSeedWithBOM(DatabricksSql, BaseSimpleSeedWithBOM):
    @pytest.fixture(scope="class", autouse=True)
    def setUp(self, project: TestProjInfo) -> None:
        project.run_sql(seeds.seeds__expected_sql)
        source = Path(test_seed.__file__).parent
        copy_file(str(source), "seed_bom.csv", project.project_root / Path("seeds") / "seed_bom.csv", "")


class TestSeedSpecificFormats(DatabricksSql, BaseSeedSpecificFormats):
    """Without the file that has dots in its name, as dbt-databricks' own: no table of Unity Catalog has them."""

    @pytest.fixture(scope="class")
    def seeds(self) -> dict[str, str]:
        big = "\n".join(["seed_id", *map(str, range(20_000))])
        return {"big_seed.csv": big, "seed_unicode.csv": seeds.seed__unicode_csv}

    def test_simple_seed(self, project: TestProjInfo) -> None:
        assert len(run_dbt(["seed"])) == 2


class TestSimpleSeedColumnOverride(BaseSimpleSeedColumnOverride):
    @staticmethod
    def seed_enabled_types() -> dict[str, str]:
        return {"seed_id": "string", "birthday": "date"}

    @staticmethod
    def seed_tricky_types() -> dict[str, str]:
        return {"seed_id_str": "string", "looks_like_a_bool": "string", "looks_like_a_date": "string"}

    @pytest.fixture(scope="class")
    def models(self) -> dict[str, Any]:
        return {
            "schema.yml": in_databricks_sql(fixtures.properties__schema_yml).replace("type: integer", "type: bigint")
        }


class TestSimpleCopy(SimpleCopyBase):
    @pytest.mark.skip(reason="Spark has no materialized views")
    def test_simple_copy_with_materialized_views(self) -> None: ...
