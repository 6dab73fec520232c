"""Which threads of the workspace's JVM work for a task, so that its end can be told: see `java/.../TaskThreads.java`.

PySpark gives each thread of a Python process a connection of its own to the JVM, and each connection a thread there
("pinned thread mode", py4j's `clientserver`). A process that is killed takes none of those with it: each ends when what
it is doing has ended, such as a commit.
"""

from __future__ import annotations

import logging
import socket
import time
from typing import TYPE_CHECKING, Any

from py4j.protocol import CALL_COMMAND_NAME, END_COMMAND_PART, STATIC_PREFIX, Py4JError, get_command_part, is_error

from dbx_cd.local.session_user import act_as

if TYPE_CHECKING:
    from pyspark import SparkContext
    from pyspark.sql import SparkSession

    from dbx_cd.sql_endpoint import SqlEndpoint

_log = logging.getLogger(__name__)

_ENTER = f"{CALL_COMMAND_NAME}{STATIC_PREFIX}dbxcd.local.TaskThreads\nenter\n"
_LOOK_AGAIN_SECONDS = 0.1
_SAY_AGAIN_SECONDS = 30.0
_CONNECT_SECONDS = 5.0


def name_connections(context: SparkContext, task: str) -> None:
    """Say of each connection of this process to the JVM, those to come among them, that it works for a task.

    Args:
        context: this process's Spark context; to be called by the thread that has made it, before any other uses it.
        task: the task's name, which is also the group of its Spark jobs.
    """
    gateway: Any = context._gateway
    scala_context: Any = context._jsc.sc()
    gateway.jvm.dbxcd.local.TaskThreads.enter(scala_context, task)
    client = gateway._gateway_client
    connect = client._create_new_connection

    def connect_and_enter() -> Any:
        connection = connect()
        arguments = get_command_part(scala_context) + get_command_part(task)
        # By its own means: the client's would ask for a connection of this thread, which it does not have yet.
        answer = connection.send_command(f"{_ENTER}{arguments}{END_COMMAND_PART}")
        if is_error(answer)[0]:
            connection.close()
            raise Py4JError(f"the task {task} has ended")
        return connection

    client._create_new_connection = connect_and_enter


class SparkOfTasks:
    """What of a workspace's tasks runs in its JVM: statements of the SQL endpoint, and what notebooks do themselves.

    Args:
        spark: a session of the workspace.
        endpoint: its SQL endpoint.
    """

    def __init__(self, spark: SparkSession, endpoint: SqlEndpoint) -> None:
        self._spark = spark
        self._endpoint = endpoint
        self._jvm: Any = spark._jvm
        self._context: Any = spark.sparkContext._jsc.sc()

    def admit(self, token: str, *, user: str) -> None:
        """Let the endpoint accept a token, whose statements are that user's."""
        self._endpoint.accept(token, spark=act_as(self._spark, user))

    def end(self, token: str, *, task: str) -> None:
        """Take a token back, cancel what runs by it or for a task, and wait for the end of it, however long that takes.

        Args:
            token: what `admit` was given.
            task: the name that `name_connections` was given. Its process has ended.

        Raises:
            Exception: it could not be ended in a JVM that is there. In one that is gone, nothing runs any more.
        """
        try:
            self._end(token, task)
        except Exception:
            if _answers(self._spark):
                raise
            _log.warning("%s: the JVM of the workspace is gone, and all that it left there", task, exc_info=True)

    def _end(self, token: str, task: str) -> None:
        begun = logged = time.monotonic()
        self._endpoint.revoke(token, timeout=0)
        while self._threads_of(task) or not self._endpoint.revoke(token, timeout=0):
            if time.monotonic() - logged > _SAY_AGAIN_SECONDS:
                logged = time.monotonic()
                _log.warning("%s: Spark is still at work for it, %.0f s after it was ended", task, logged - begun)
            time.sleep(_LOOK_AGAIN_SECONDS)

    def _threads_of(self, task: str) -> int:
        """How many threads still work for a task; the Spark jobs of those were cancelled."""
        return int(self._jvm.dbxcd.local.TaskThreads.end(self._context, task))


def _answers(spark: SparkSession) -> bool:
    """Whether something listens where the JVM does: py4j's errors do not say it."""
    at: Any = spark.sparkContext._gateway.gateway_parameters  # type: ignore[union-attr]
    try:
        with socket.create_connection((at.address, at.port), timeout=_CONNECT_SECONDS):
            return True
    except ConnectionError:
        return False
    except OSError:  # too slow to answer, say, or no more sockets here
        return True
