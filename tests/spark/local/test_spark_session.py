"""How the JVM of the embedded workspace is started."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from dbx_cd.local.class_archive import archive_of
from dbx_cd.local.java_catalog import prepare
from dbx_cd.local.spark_session import JVM_OPTIONS


def test_the_jvm_maps_the_archive_of_classes_that_make_setup_recorded(spark: SparkSession) -> None:
    archive = archive_of(prepare(), jvm_options=JVM_OPTIONS)
    if not archive.is_file():
        pytest.skip("no classes were recorded: `python -m dbx_cd.local.record_classes` says why")
    pid = spark.sparkContext._gateway.proc.pid  # type: ignore[union-attr]
    assert str(archive) in Path(f"/proc/{pid}/maps").read_text()
