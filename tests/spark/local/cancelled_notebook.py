# Databricks notebook source
# Writes rows without a pause in three ways: by its main thread, by another thread, and by the SQL endpoint as dbt does.

import os
import threading
from itertools import count

from databricks import sql

number, how = dbutils.widgets.get("number"), dbutils.widgets.get("how").split()  # noqa: F821
uri = dbutils.widgets.get("sql")  # noqa: F821
slow = "SELECT {n} AS n, java_method('java.lang.Thread', 'sleep', {ms}L) AS slept"


def write(way: str, run) -> None:
    table = f"stg.cancelled.{way}_{number}"
    run(f"CREATE TABLE {table} (n INT, slept STRING)")
    print(f"{way} begins", flush=True)
    for n in count():
        run(f"INSERT INTO {table} {slow.format(n=n, ms=n % 3 * 100)}")


def by_endpoint() -> None:
    host, _, path = uri.removeprefix("http://").partition("/")
    connection = sql.connect(
        host.partition(":")[0], f"/{path}", access_token=os.environ["DATABRICKS_TOKEN"], _connection_uri=uri,
        enable_telemetry=False,
    )  # fmt: skip
    write("endpoint", connection.cursor().execute)


print(f"pid {os.getpid()}", flush=True)
for target in (lambda: write("thread", spark.sql), by_endpoint):  # noqa: F821
    threading.Thread(target=target, daemon=True).start()
write("main", spark.sql)  # noqa: F821
