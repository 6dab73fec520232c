"""``spark`` for a notebook process: a new session of the workspace's JVM."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any, NoReturn

from dbx_cd.errors import SetupError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


class NoSpark:
    """Stands for ``spark`` in a workspace that was started without Spark; every use explains that."""

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        raise SetupError(
            "This embedded workspace runs without Spark, so the notebook has no `spark`",
            next_step="start the workspace with Spark",
        )


def attach(port: int, secret: str, *, job_group: str, user: str) -> SparkSession:
    """A new session of the Spark that runs in another process' JVM, reached by its py4j gateway.

    From then on every session of this process runs statements as the SQL endpoint does.

    Args:
        port: loopback port of the gateway.
        secret: its authentication token.
        job_group: Spark job group for everything this process starts, on any thread, so that it can be cancelled
            alone, and waited for: see `task_threads`.
        user: whose rights count in this session and in those made from it, and whom their commits name.
    """
    from pyspark import SparkConf, SparkContext
    from pyspark.java_gateway import launch_gateway

    from dbx_cd.local.notebooks.emulated_sql import emulate_in_this_process
    from dbx_cd.local.session_user import UserSession
    from dbx_cd.local.task_threads import name_connections

    # Spark's own way to hand a running JVM to a Python process; the variables must not reach dbt's subprocesses.
    os.environ.update(PYSPARK_GATEWAY_PORT=str(port), PYSPARK_GATEWAY_SECRET=secret)
    try:
        gateway: Any = launch_gateway()  # type: ignore[no-untyped-call]
    finally:
        del os.environ["PYSPARK_GATEWAY_PORT"], os.environ["PYSPARK_GATEWAY_SECRET"]
    jvm: Any = gateway.jvm
    default = jvm.org.apache.spark.sql.classic.SparkSession.getDefaultSession().get()
    java_context = jvm.org.apache.spark.api.java.JavaSparkContext(default.sparkContext())
    conf = SparkConf(_jconf=java_context.getConf())
    context = SparkContext(gateway=gateway, jsc=java_context, conf=conf)
    name_connections(context, job_group)
    session = UserSession(context, default.newSession(), user=user)
    for name in ("SQLQueryContextLogger", "DataFrameQueryContextLogger"):  # repeat every raised error as JSON on stderr
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    emulate_in_this_process()
    return session
