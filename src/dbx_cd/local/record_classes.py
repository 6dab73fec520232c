"""`python -m dbx_cd.local.record_classes`: the archive of classes with which the embedded workspace starts faster."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pyspark import SparkContext
from pyspark.sql import SparkSession

from dbx_cd.errors import SetupError
from dbx_cd.local.class_archive import archive_of, older_archives
from dbx_cd.local.java_catalog import default_cache_dir, prepare
from dbx_cd.local.spark_session import JVM_OPTIONS, start_spark

# What the workspace's tasks do first: what is loaded here need not be loaded there.
STATEMENTS = (
    "CREATE SCHEMA IF NOT EXISTS main.shop",
    "CREATE TABLE main.shop.log (id INT) USING delta TBLPROPERTIES ('delta.enableRowTracking' = 'true')",
    "INSERT INTO main.shop.log VALUES (1)",
    "SELECT _metadata.row_commit_version, id FROM main.shop.log",
    "CREATE OR REPLACE TABLE main.shop.orders USING delta "
    "AS SELECT id, id * 2 AS amount, 'x' AS status, date'2026-01-01' AS day FROM range(100)",
    "INSERT INTO main.shop.orders VALUES (1, 2, 'y', date'2026-01-02')",
    "MERGE INTO main.shop.orders t USING (SELECT 1 AS id, 3 AS amount, 'z' AS status, current_date() AS day) s "
    "ON t.id = s.id WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *",
    "UPDATE main.shop.orders SET amount = 0 WHERE id = 5",
    "DELETE FROM main.shop.orders WHERE id = 6",
    "CREATE OR REPLACE VIEW main.shop.daily AS "
    "SELECT day, count(*) AS n, sum(amount) AS total, max(status) AS last FROM main.shop.orders GROUP BY day",
    "SELECT * FROM main.shop.daily d JOIN main.shop.orders o USING (day) ORDER BY o.id LIMIT 5",
    "SELECT id, row_number() OVER (PARTITION BY status ORDER BY id) AS n FROM main.shop.orders",
    "SELECT _metadata.file_path, count(*) FROM main.shop.orders GROUP BY 1",
    "SELECT inline(from_json('[{\"a\": 1}]', 'ARRAY<STRUCT<a: INT>>'))",
    "ALTER TABLE main.shop.orders SET TBLPROPERTIES ('delta.logRetentionDuration' = 'interval 60 days')",
    "DESCRIBE DETAIL main.shop.orders",
    "DESCRIBE HISTORY main.shop.orders",
    "SHOW TBLPROPERTIES main.shop.orders",
    "SELECT table_name, table_type FROM system.information_schema.tables",
    "SELECT column_name, data_type FROM system.information_schema.columns",
    "RESTORE TABLE main.shop.orders TO VERSION AS OF 0",
    "CREATE TABLE main.shop.copy SHALLOW CLONE main.shop.orders",
)


def record(*, cache_dir: Path | None = None) -> Path:
    """Make the archive, unless there is one. To be called in a process of its own, whose JVM it ends.

    Args:
        cache_dir: as for `java_catalog.prepare`.

    Returns:
        The archive.

    Raises:
        SetupError: the Java side is not complete, or Java made no archive.
    """
    archive = archive_of(prepare(cache_dir=cache_dir), jvm_options=JVM_OPTIONS)
    if archive.is_file():
        return archive
    with tempfile.TemporaryDirectory(dir=archive.parent) as scratch:
        dumped = Path(scratch, "classes.jsa")
        options = f'-XX:ArchiveClassesAtExit="{dumped}"'
        spark = start_spark(Path(scratch, "state"), catalogs=["main"], cache_dir=cache_dir, jvm_options=options)
        for statement in STATEMENTS:
            spark.sql(statement).toArrow()
        _end(spark)
        if not dumped.is_file():
            raise SetupError("Java made no archive of classes", where=archive, next_step="the workspace works without")
        dumped.rename(archive)
    for older in older_archives(archive):
        older.unlink(missing_ok=True)
    return archive


def _end(spark: SparkSession) -> None:
    """Let the JVM end by itself, which is when it writes the archive."""
    gateway: Any = SparkContext._gateway
    spark.stop()
    gateway.shutdown()
    gateway.proc.stdin.close()  # its end is what PySpark's JVM waits for
    gateway.proc.wait()


def main(arguments: list[str] | None = None, *, report: Callable[[str], None] = print) -> int:
    """Make the archive of classes ahead of the first start; the exit code is 0, or 1 with one sentence."""
    parser = argparse.ArgumentParser(prog="python -m dbx_cd.local.record_classes", description=main.__doc__)
    parser.add_argument("--cache-dir", type=Path, help=f"default: {default_cache_dir()}")
    options = parser.parse_args(arguments)
    try:
        report(f"Classes recorded in {record(cache_dir=options.cache_dir)}")
    except SetupError as error:
        report(str(error))
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
