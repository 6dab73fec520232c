"""How the JVM of the embedded workspace is started."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlparse

import pytest
from py4j.protocol import Py4JJavaError
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


def test_files_have_no_checksum_files_and_the_mode_that_is_set(spark: SparkSession) -> None:
    spark.sql("CREATE SCHEMA IF NOT EXISTS stg.files")
    spark.sql("CREATE TABLE stg.files.written AS SELECT 1 AS id")
    location = spark.sql("DESCRIBE DETAIL stg.files.written").collect()[0]["location"]
    written = [file for file in Path(urlparse(location).path).rglob("*") if file.is_file()]
    assert {"_delta_log"} < {file.parent.name for file in written}
    assert [file.name for file in written if file.name.startswith(".")] == [], "no checksums, nothing left of a write"
    hadoop = spark._jvm.org.apache.hadoop.fs  # type: ignore[union-attr]
    path = hadoop.Path(written[0].as_uri())
    disk = path.getFileSystem(spark._jsc.hadoopConfiguration())
    disk.setPermission(path, hadoop.permission.FsPermission("640"))
    assert stat.S_IMODE(written[0].stat().st_mode) == 0o640


@pytest.mark.deep
def test_of_two_commits_with_one_number_one_fails(spark: SparkSession, tmp_path: Path) -> None:
    jvm, conf = spark._jvm, spark._jsc.hadoopConfiguration()  # type: ignore[union-attr]
    store = jvm.dbxcd.local.CommitLog(conf)

    def commits(number: int) -> bool:
        actions = jvm.java.util.ArrayList()
        actions.add("{}")
        path = jvm.org.apache.hadoop.fs.Path((tmp_path / f"{number:020}.json").as_uri())
        try:
            store.write(path, actions.iterator(), False, conf)
        except Py4JJavaError as exc:
            if "FileAlreadyExistsException" not in str(exc.java_exception):
                raise
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        written = [sum(pool.map(commits, [number] * 4)) for number in range(200)]
    assert set(written) == {1}
