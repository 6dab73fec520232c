"""`python -m dbx_cd.local.record_classes`: the archive of classes with which the embedded workspace starts faster."""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from py4j.protocol import Py4JError
from pyspark import SparkContext
from pyspark.errors import PySparkException

from dbx_cd.errors import SetupError
from dbx_cd.local.class_archive import archive_of, replaced_by
from dbx_cd.local.java_catalog import default_cache_dir, prepare
from dbx_cd.local.spark_session import JVM_OPTIONS, start_spark

_END_SECONDS = 120.0  # writing the archive takes about 15

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
        _run_statements(Path(scratch, "state"), cache_dir, more_jvm_options=f'-XX:ArchiveClassesAtExit="{dumped}"')
        if not dumped.is_file():
            raise SetupError(
                "Java made no archive of classes, so the workspace will start slower",
                where=archive,
                next_step="look for JAVA_TOOL_OPTIONS or SPARK_CONF_DIR: a JVM shares no classes with some settings",
            )
        dumped.rename(archive)
    for old in replaced_by(archive):
        old.unlink(missing_ok=True)
    return archive


def _run_statements(state: Path, cache_dir: Path | None, *, more_jvm_options: str) -> None:
    """Start Spark, run the statements, and let the JVM end by itself, which is when it writes the archive."""
    spark = start_spark(state, catalogs=["main"], cache_dir=cache_dir, more_jvm_options=more_jvm_options)
    gateway: Any = SparkContext._gateway
    try:
        for statement in STATEMENTS:
            spark.sql(statement).toArrow()
        spark.stop()
        gateway.shutdown()
        gateway.proc.stdin.close()  # its end is what PySpark's JVM waits for
        code = gateway.proc.wait(_END_SECONDS)
    except (PySparkException, Py4JError, OSError, subprocess.TimeoutExpired) as exc:
        gateway.proc.kill()
        raise SetupError(f"no classes were recorded, so the workspace will start slower: {exc}") from exc
    if code != 0:
        raise SetupError(f"no classes were recorded, so the workspace will start slower: Java ended with {code}")


def main(arguments: list[str] | None = None, *, report: Callable[[str], None] = print) -> int:
    """Make the archive of classes ahead of the first start; the exit code is 0, or 1 with one sentence."""
    parser = argparse.ArgumentParser(prog="python -m dbx_cd.local.record_classes", description=main.__doc__)
    parser.add_argument("--cache-dir", type=Path, help=f"default: {default_cache_dir()}")
    options = parser.parse_args(arguments)
    try:
        report(f"Classes recorded in {record(cache_dir=options.cache_dir)}")
    except (SetupError, OSError) as error:
        report(str(error))
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
