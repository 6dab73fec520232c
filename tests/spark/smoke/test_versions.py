"""The release in which `customers` becomes version 2, on real tables and with what dbt left of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from dbx_cd import ArtifactStore, ArtifactVersion, NoBaseline, SmokeReport, compare_model, load_suites, run_smoke
from recorded_dbt import PROJECTS, RECORDED

SMOKE = PROJECTS / "versions" / "smoke"


def build(spark: SparkSession, name: str, folder: Path) -> ArtifactVersion:
    """What dbt left of a build, and tables as it made them."""
    target = "prod" if name.endswith("_in_prod") else "stg"
    version = ArtifactStore(folder).publish(target, RECORDED / name, commit="1" * 40)
    for node in version.manifest().relations.values():
        assert node.relation is not None
        spark.sql(f"create schema if not exists {node.relation.catalog}.{node.relation.schema}")
        spark.sql(f"create or replace table {node.relation.quoted} as {node.raw['compiled_code']}")
    return version


def smoke(spark: SparkSession, tested: ArtifactVersion, baseline: ArtifactVersion | NoBaseline) -> SmokeReport:
    return run_smoke(load_suites(SMOKE, tested), spark=spark, artifacts=tested, baseline=baseline, check=False)


@pytest.fixture
def prod(spark: SparkSession, tmp_path: Path) -> ArtifactVersion:
    return build(spark, "versions_before_in_prod", tmp_path)


def test_the_latest_version_is_tested_and_compared_with_what_its_name_was(
    spark: SparkSession, prod: ArtifactVersion, tmp_path: Path
) -> None:
    before = smoke(spark, build(spark, "versions_before", tmp_path), prod)
    assert before.ok, str(before.failed)
    assert {c.version for c in before.checks if c.domain == "customers"} == {"1"}
    after = build(spark, "versions", tmp_path)
    report = smoke(spark, after, prod)
    assert [str(c) for c in report.failed] == [
        "fail: customers (version 2): row_count (observed 100, expected within 20% of the baseline, baseline 10,"
        " +900.0% against the baseline)",
        "fail: customers (version 2): rows_of_the_latest_version (observed 100, expected value=10)",
    ]
    compared = compare_model(spark, after, prod, model="customers")
    assert (compared.left_rows, compared.right_rows) == (100, 10)
    assert compared.model == "customers (version 2 in stg, version 1 in prod)"
