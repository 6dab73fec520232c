"""Start Spark for the embedded workspace: Delta, three-level names, a state directory that survives a restart."""

from __future__ import annotations

import logging
import os
import re
import signal
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark import SparkConf, SparkContext
from pyspark.errors import PySparkRuntimeError
from pyspark.java_gateway import launch_gateway
from pyspark.sql import SparkSession

from dbx_cd.errors import SetupError
from dbx_cd.local.class_archive import archive_of, sharing_option
from dbx_cd.local.java_catalog import JavaCatalog, prepare
from dbx_cd.local.scratch import Scratch

_log = logging.getLogger(__name__)

ALWAYS_THERE = "ops"  # the release log and the Volume of artifacts live in this catalog
RESERVED_CATALOGS = ("system", "spark_catalog")

# Small data, short queries: without the optimizing compiler and G1's threads the same work takes about 40 % less
# processor time (measured: 36 s against 60 s for 30 first statements on two cores). Spark's code does not fit the code
# cache that the JVM reserves without that compiler, and a small young generation is collected all the time.
JVM_OPTIONS = (
    "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=256m -XX:+UseSerialGC -XX:NewSize=600m -XX:-UsePerfData"
)

# Planning a query again while it runs, compiling it, and cutting its data into parts cost more than they save.
# Measured: a warm `dbt build` of the example takes 22 s of processor time with these and 52 s with Spark's defaults.
SMALL_DATA = {
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.default.parallelism": "1",
    "spark.sql.leafNodeDefaultParallelism": "1",
    "spark.sql.shuffle.partitions": "1",
    "spark.databricks.delta.snapshotPartitions": "1",
    # Every sort and aggregation takes at least one page of memory, which Java has to clear: by default 64 MB, where the
    # heap has 3 GB. Measured: 112 statements take 76 s of processor time with this and 80 s without.
    "spark.buffer.pageSize": "1m",
}

EXTENSIONS = (
    # Delta's parser must come first: ParameterParser wraps it (see its comment).
    "io.delta.sql.DeltaSparkSessionExtension",
    "dbxcd.local.ParameterParser",
    "dbxcd.local.UnknownCatalog",
    "dbxcd.local.FunctionNames",
    "dbxcd.local.UserFunctions",
    "dbxcd.local.PlanGuard",
)

LOG4J = """\
status = off
appenders = file
appender.file.type = File
appender.file.name = file
appender.file.fileName = {log_file}
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d{{yy-MM-dd HH:mm:ss}} %p %c{{1}}: %m%n%ex
rootLogger.level = warn
rootLogger.appenderRef.file.ref = file
"""


def start_spark(
    state_dir: Path | str,
    *,
    catalogs: Iterable[str],
    memory: str = "3g",
    cores: int = 2,
    settings: Mapping[str, str] = SMALL_DATA,
    cache_dir: Path | None = None,
    more_jvm_options: str = "",
) -> SparkSession:
    """Start the JVM and return its first session; tables, views, tags and keys of an earlier start are there again.

    Args:
        state_dir: where everything is kept: `warehouse/` (tables), `catalog.json` (names), `logs/spark.log`.
        catalogs: names of the catalogs to offer; `ops` and `system` (for `information_schema`) always exist.
        memory: heap of the JVM, as Spark writes sizes. A JVM that already runs in this process keeps its own.
        cores: tasks that run at the same time.
        settings: further Spark settings; give {} for Spark's own way with large data.
        cache_dir: where jars and compiled classes are kept, by default the user's cache directory.
        more_jvm_options: besides the usual ones; by default those that use the archive of classes, where there is one.

    Raises:
        SetupError: Java or the registry is missing, or another process uses this state directory.
    """
    state = Path(state_dir).absolute()
    log_file = state / "logs" / "spark.log"
    log_file.parent.mkdir(parents=True, exist_ok=True)
    written = tuple(catalogs)
    names = catalog_names(written)
    conf = SparkConf(loadDefaults=False)
    java = prepare(cache_dir=cache_dir)
    more = more_jvm_options or sharing_option(archive_of(java, jvm_options=JVM_OPTIONS))
    wanted = {
        **_session_settings(state, names=names, written=written),
        **_driver_settings(java, state=state, memory=memory, cores=cores, jvm_options=f"{JVM_OPTIONS} {more}"),
        **settings,
    }
    for key, value in wanted.items():
        conf.set(key, value)
    _silence_query_loggers()
    _launch_quietly(conf, log_file)
    with _own_interrupts():
        spark = SparkSession.builder.config(conf=conf).getOrCreate()
    _open_catalogs(spark)
    _log.info("Spark %s on %s, catalogs %s", spark.version, state, ", ".join(names))
    return spark


def catalog_names(catalogs: Iterable[str]) -> tuple[str, ...]:
    """The catalogs' names in lower case, without repetition, `ops` among them.

    Raises:
        SetupError: a name is one that Spark or the workspace needs itself, or cannot be a catalog's name.
    """
    names = dict.fromkeys([*(name.lower() for name in catalogs), ALWAYS_THERE])
    for name in names:
        if not may_be_catalog(name):
            raise SetupError(f"{name!r} cannot be the name of a catalog", next_step="rename it where it is named")
    return tuple(names)


def may_be_catalog(name: str) -> bool:
    """Whether a catalog of this workspace can have a name: it is no reserved one, and Unity Catalog would take it."""
    return name.lower() not in RESERVED_CATALOGS and re.fullmatch(r"[^\s./,]+", name) is not None


def _session_settings(state: Path, *, names: tuple[str, ...], written: tuple[str, ...]) -> dict[str, str]:
    return {
        "spark.sql.extensions": ",".join(EXTENSIONS),
        "spark.sql.catalog.spark_catalog": "dbxcd.local.SessionCatalog",
        "spark.sql.catalog.system": "dbxcd.local.SystemCatalog",
        **{
            f"spark.sql.catalog.{alias}": "dbxcd.local.LocalCatalog"
            for alias in {*written, *(alias for name in names for alias in _aliases(name))}
        },
        "spark.dbxcd.catalogs": ",".join(names),
        "spark.dbxcd.registry": str(state / "catalog.json"),
        "spark.sql.warehouse.dir": str(state / "warehouse"),
        "spark.sql.catalogImplementation": "in-memory",
        "spark.sql.sources.default": "delta",
        # Tables of files: Spark would keep their partitions in memory, where a restart loses them.
        "spark.sql.hive.manageFilesourcePartitions": "false",
        # Where Hadoop's native library is missing, its own start a process for each file (chmod, readlink), five for
        # each commit of Delta. These start none: 37 statements take 62.0 s of processor time instead of 64.4.
        "spark.hadoop.fs.file.impl": "dbxcd.local.LocalFiles",
        "spark.hadoop.fs.AbstractFileSystem.file.impl": "dbxcd.local.LocalFiles$Context",
        # Delta reads this of the Spark context, which no SET changes (measured), and not of a session.
        "spark.delta.logStore.file.impl": "dbxcd.local.CommitLog",
        "spark.sql.legacy.createHiveTableByDefault": "false",
        # Spark parses INSERT ... REPLACE ON and REPLACE USING when asked to; `ReplaceCriteria` hands them to Delta.
        **{f"spark.sql.insertIntoReplace{by}.enabled": "true" for by in ("On", "OnByName", "Using", "UsingByName")},
        "spark.sql.session.timeZone": "UTC",
        # dbt-databricks asks it of a cluster (`connections.py`). A runtime whose SQL is what is emulated here.
        "spark.databricks.clusterUsageTags.sparkVersion": "17.3.x-scala2.13",
        # Small data on few cores. Measured on two: VACUUM with Spark's own defaults takes 50 s, with these 5 s.
        "spark.default.parallelism": "2",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.sources.parallelPartitionDiscovery.parallelism": "2",
        "spark.databricks.delta.snapshotPartitions": "2",
    }


def _aliases(name: str) -> set[str]:
    """Spark looks catalogs up by exact name; Unity Catalog ignores case, and SQL is usually in one of these."""
    return {name, name.upper(), name.capitalize()}


def _driver_settings(java: JavaCatalog, *, state: Path, memory: str, cores: int, jvm_options: str) -> dict[str, str]:
    log4j = state / "logs" / "log4j2.properties"
    scratch = Scratch(state).folder
    scratch.mkdir(exist_ok=True)
    log4j.write_text(LOG4J.format(log_file=state / "logs" / "spark.log"))
    return {
        "spark.app.name": "dbx_cd",
        "spark.local.dir": str(scratch),
        "spark.master": f"local[{cores}]",
        "spark.driver.memory": memory,
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        # A class path instead of spark.jars.packages: no Ivy, no network, no messages at start.
        "spark.driver.extraClassPath": java.class_path,
        "spark.driver.extraJavaOptions": (
            f'{jvm_options} -Djava.io.tmpdir="{scratch}" -Dlog4j2.configurationFile="{log4j.as_uri()}"'
        ),
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.log.structuredLogging.enabled": "false",
    }


def _silence_query_loggers() -> None:
    """PySpark writes every failed query as JSON to stderr, besides raising it."""
    for name in ("SQLQueryContextLogger", "DataFrameQueryContextLogger"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def _launch_quietly(conf: SparkConf, log_file: Path) -> None:
    """Start the JVM with its stdout and stderr in the log; what it says before log4j is up must not reach users."""
    if SparkContext._gateway is not None:
        return
    with log_file.open("ab") as log, _names_in_utf8():
        try:
            gateway = launch_gateway(conf=conf, popen_kwargs={"stdout": log, "stderr": log})  # type: ignore[no-untyped-call]
        except PySparkRuntimeError as exc:
            raise SetupError("Spark's JVM did not start", where=log_file, next_step="read that file") from exc
    SparkContext._ensure_initialized(gateway=gateway)


@contextmanager
def _own_interrupts() -> Iterator[None]:
    """Keep what Ctrl-C does here: PySpark's own handler would cancel every job of all tasks, amid a call."""
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, before)


@contextmanager
def _names_in_utf8() -> Iterator[None]:
    """A JVM writes names of files by its locale: under LANG=C all letters beyond ASCII are one and the same."""
    before = os.environ.get("LC_ALL")
    os.environ["LC_ALL"] = "C.UTF-8"
    try:
        yield
    finally:
        if before is None:
            del os.environ["LC_ALL"]
        else:
            os.environ["LC_ALL"] = before


def _open_catalogs(spark: SparkSession) -> None:
    """Restore the catalogs now, so that a damaged or busy state directory stops the start and not a query."""
    jvm: Any = spark._jvm
    try:
        jvm.dbxcd.local.Statements.open(spark._jsparkSession)
    except Py4JJavaError as exc:
        spark.stop()
        raise SetupError(
            str(exc.java_exception.getMessage()), next_step="stop the other process, or use another state directory"
        ) from exc
