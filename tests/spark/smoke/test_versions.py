"""The release in which `people` becomes version 2, on real tables and with what dbt left of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from dbx_cd import ArtifactStore, ArtifactVersion, NoBaseline, SmokeReport, compare_model, load_suites, run_smoke

DBT = Path(__file__).parents[2] / "fixtures" / "dbt"
SMOKE = DBT / "projects" / "versions" / "before" / "smoke"
ROWS = {"v1": "select cast(id as int) as person_id, 'a' as kind from range(10)"}
ROWS["v2"] = "select cast(id as int) as person_id, 'b' as kind, 1 as extra from range(100)"


def build(spark: SparkSession, name: str, folder: Path) -> ArtifactVersion:
    """What dbt left of a build, and tables as it made them."""
    version = ArtifactStore(folder).publish(name.partition("_")[0], DBT / "versions" / name, commit="1" * 40)
    for node in version.manifest().relations.values():
        assert node.relation is not None
        spark.sql(f"create schema if not exists {node.relation.catalog}.{node.relation.schema}")
        rows = ROWS.get(f"v{node.version}", "select 1 as n")
        spark.sql(f"create or replace table {node.relation.quoted} as {rows}")
    return version


def smoke(spark: SparkSession, tested: ArtifactVersion, baseline: ArtifactVersion | NoBaseline) -> SmokeReport:
    return run_smoke(load_suites(SMOKE, tested), spark=spark, artifacts=tested, baseline=baseline, check=False)


@pytest.fixture
def prod(spark: SparkSession, tmp_path: Path) -> ArtifactVersion:
    return build(spark, "prod_before", tmp_path)


def test_the_latest_version_is_tested_and_compared_with_what_its_name_was(
    spark: SparkSession, prod: ArtifactVersion, tmp_path: Path
) -> None:
    before = smoke(spark, build(spark, "stg_before", tmp_path), prod)
    assert before.ok, str(before.failed)
    assert {c.version for c in before.checks if c.domain == "people"} == {"1"}
    after = build(spark, "stg_after", tmp_path)
    report = smoke(spark, after, prod)
    assert [str(c) for c in report.failed] == [
        "fail: people (version 2): row_count (observed 100, expected within 20% of the baseline, baseline 10,"
        " +900.0% against the baseline)",
        "fail: people (version 2): rows_of_the_latest_version (observed 100, expected value=10)",
    ]
    compared = compare_model(spark, after, prod, model="people")
    assert (compared.left_rows, compared.right_rows) == (100, 10)
    assert compared.model == "people (version 2 in stg, version 1 in prod)"
