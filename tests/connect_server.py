"""A Spark Connect server in a process of its own, with the catalogs of the embedded workspace, and a client of it.

The client's process has no JVM: what needs one fails, as it does on serverless compute.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

CATALOGS = ("stg", "prod", "dev_anna")
_servers: list[subprocess.Popen[str]] = []


@contextmanager
def connected(state: Path) -> Iterator[SparkSession]:
    """A client of a server that keeps its tables below `state`."""
    from pyspark.sql import SparkSession

    with subprocess.Popen(
        [sys.executable, __file__, str(state)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            _servers.append(server)
            os.environ["SPARK_REMOTE"] = _answer(server)
            spark = SparkSession.builder.remote(os.environ["SPARK_REMOTE"]).getOrCreate()
            yield spark
            spark.stop()
        finally:
            _servers.remove(server)
            server.terminate()


def session_of(user: str) -> SparkSession:
    """A session of its own, of a user: with the user's rights, and commits in that name."""
    from pyspark.sql import SparkSession

    spark = SparkSession.builder.remote(os.environ["SPARK_REMOTE"]).create()
    assert spark.version, "the server knows a session from its first request on"
    client: Any = spark
    _tell("user", client.client._user_id or "", client.session_id, user)
    return spark


def forget_logs() -> None:
    """Make the server's Delta forget what it knows of tables' logs."""
    _tell("forget")


def _tell(*words: str) -> None:
    (server,) = _servers
    assert server.stdin is not None
    server.stdin.write(json.dumps(words) + "\n")
    server.stdin.flush()
    assert _answer(server) == "done"


def _answer(server: subprocess.Popen[str]) -> str:
    assert server.stdout is not None
    line = server.stdout.readline().strip()
    assert line, "the Spark Connect server has ended: see its stderr"
    return line


def serve(state: Path) -> None:
    """Say the address, then do what stdin says until it ends."""
    from dbx_cd.local import rights
    from dbx_cd.local.spark_session import start_spark
    from dbx_cd.local.standard_grants import grant_everything
    from wide_rights import PEOPLE

    spark = start_spark(state, catalogs=CATALOGS)
    for person in PEOPLE:
        rights.put_user(spark, person)
        grant_everything(spark, person, catalogs=(*CATALOGS, "ops"))
    jvm: Any = spark._jvm
    jvm.org.apache.spark.SparkEnv.get().conf().set("spark.connect.grpc.binding.port", "0")
    companion = getattr(jvm.org.apache.spark.sql.connect.service, "SparkConnectService$")  # a Scala object
    service = getattr(companion, "MODULE$")
    service.start(spark.sparkContext._jsc.sc())
    print(f"sc://127.0.0.1:{service.localPort()}", flush=True)
    for line in sys.stdin:
        match json.loads(line):
            case ["forget"]:
                jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()
            case ["user", user_id, session_id, name]:
                key = jvm.org.apache.spark.sql.connect.service.SessionKey(user_id, session_id)
                holder = service.sessionManager().getIsolatedSessionIfPresent(key).get()
                jvm.dbxcd.local.SessionUser.set(holder.session(), name)
        print("done", flush=True)


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
