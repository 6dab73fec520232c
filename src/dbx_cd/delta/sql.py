"""The port to Spark SQL: every statement of this library, but for smoke's questions to data, goes through here.

SQL works alike on a classic session, on Spark Connect (where the `delta.tables` Python API needs a server plugin) and
on Databricks. A table's storage is never listed and its log never opened: Unity Catalog refuses path access to managed
tables.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from dbx_cd.errors import SqlFailed
from dbx_cd.relations import RelationName, quote, split_name
from dbx_cd.sql_messages import first_line, missing_rights, step_to_rights

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Row, SparkSession

T = TypeVar("T")
R = TypeVar("R")

THREADS = 8
"""How many statements run at the same time, unless somebody says otherwise."""

_log = logging.getLogger(__name__)
_SHOWN = 300
# A failed task, of which Spark before 4 makes no condition: what it failed at comes after where (measured).
_TASK_FAILED = re.compile(r"Job aborted due to stage failure: .*?executor [^)]*\): (?:[\w.$]+: )?(.+)")
# What Delta before 4 says without a condition (measured, Delta 3.3), and the condition that it has since.
_WORDS = {"Cannot time travel Delta table to version ": "DELTA_VERSION_NOT_FOUND"}
# Delta's conditions, which PySpark knows nothing of: messages begin with them (measured, Delta 3.3 and 4.4).
_NAMED = re.compile(r"\[([A-Z][A-Z0-9_.]+)\]")
_SPARK_S_OWN = ("spark_catalog", "hive_metastore")
"""The names of the catalog that is Spark's own."""
_SIGNATURE = "spark.databricks.delta.commitInfo.userMetadata"


class Sql:
    """Runs statements on a session; each is logged at debug, cut to 300 characters.

    Args:
        spark: a classic or Spark Connect session.
    """

    def __init__(self, spark: SparkSession) -> None:
        self._spark = spark
        self._using = threading.Lock()

    def query(self, statement: str, **parameters: str) -> list[Row]:
        """The rows of a query; named parameters stand as `:name` in it.

        Raises:
            SqlFailed: Spark refused the statement, or failed at it.
        """
        with self._translated(statement):
            return self._spark.sql(statement, args=parameters or None).collect()

    def execute(self, statement: str) -> None:
        """Run a statement for its effect.

        Raises:
            SqlFailed: Spark refused the statement, or failed at it.
        """
        self.query(statement)

    def schema_json(self, query: str) -> str:
        """The schema of a query as Spark's JSON, column comments included; nothing is read.

        Raises:
            SqlFailed: Spark refused the query.
        """
        with self._translated(query):
            return self._spark.sql(query).schema.json()

    def columns(self, query: str) -> list[tuple[str, str]]:
        """Names and types of the columns of a query, in order; nothing is read.

        Raises:
            SqlFailed: Spark refused the query.
        """
        with self._translated(query):
            return [(f.name, f.dataType.simpleString()) for f in self._spark.sql(query).schema.fields]

    @contextmanager
    def current_schema(self, namespace: Sequence[str] | None) -> Iterator[None]:
        """Make a catalog and schema the session's current ones for a while, one caller at a time.

        None changes nothing, and waits for others all the same: it means what is current while nobody has changed it.

        Raises:
            SqlFailed: there is no such schema.
        """
        with self._using:
            if namespace is None:
                yield
                return
            before = self.query("SELECT current_catalog() AS catalog, current_schema() AS schema")[0]
            try:
                self.execute(f"USE {'.'.join(map(quote, namespace))}")
            except SqlFailed as exc:
                raise SqlFailed(
                    f"the schema in which its query is read, {'.'.join(namespace)}, cannot be used: {exc.what}",
                    condition=exc.condition,
                    next_step="make that schema again, or get USE SCHEMA on it; or leave the view out",
                ) from exc
            try:
                yield
            finally:
                # Spark answers with backticks where a name needs them (measured).
                names = [part for name in before for part in split_name(name) or [name]]
                self.execute(f"USE {'.'.join(map(quote, names))}")

    @contextmanager
    def settings(self, wanted: Mapping[str, str]) -> Iterator[None]:
        """Let settings of the session have these values for a while; one that cannot be set stays as it is.

        Serverless compute neither sets nor reads most of them (Databricks documentation, "Configure Spark properties").
        """
        changed: dict[str, str | None] = {}
        try:
            for name, value in wanted.items():
                self._change(name, value, changed)
            yield
        finally:
            for name, old in changed.items():
                self._change(name, old, {})

    def _change(self, name: str, value: str | None, changed: dict[str, str | None]) -> None:
        """Set or unset one, and write down what it was."""
        conf = self._spark.conf
        try:
            with self._translated(f"SET {name}"):
                before = conf.get(name, None)
                if before != value:
                    conf.unset(name) if value is None else conf.set(name, value)
                    changed[name] = before
        except SqlFailed as exc:
            _log.warning("the setting %s cannot be changed here: %s", name, exc.what)

    def exists(self, table: RelationName) -> bool:
        """Whether there is a table or view of that name."""
        with self._translated(f"exists {table.quoted}"):
            return self._spark.catalog.tableExists(table.quoted)

    def append(self, table: RelationName, query: str, *, user_metadata: str, once_as: str, **parameters: str) -> None:
        """Append the rows of a query to a Delta table in one commit.

        Args:
            table: the table.
            query: a query with the table's columns.
            user_metadata: text for the commit. It is a writer option and not a session setting, which is for classic
                compute only (Delta documentation).
            once_as: a name of these rows. A table that has rows of that name takes none again, also of a statement
                that is still at work when it is given anew (Delta documentation, "Idempotent writes").
            parameters: named parameters of the query.

        Raises:
            SqlFailed: the rows were not written.
        """
        with self._translated(f"append to {table.quoted}: {query}"):
            if table.catalog.lower() in _SPARK_S_OWN:
                # A thread whose JVM side has no active session would find the table without columns there (measured,
                # Spark 3.5 with Delta 3.3: two appends at once). This makes it this one (PySpark, `session.py`).
                self._spark.createDataFrame([], "id INT")
            frame = self._spark.sql(query, args=parameters or None).write.format("delta").mode("append")
            once = frame.option("txnAppId", once_as).option("txnVersion", "1")
            once.option("userMetadata", user_metadata).saveAsTable(table.quoted)

    def frame(self, rows: Sequence[tuple[Any, ...]], schema: str) -> DataFrame:
        """Rows of this process as a DataFrame, for those who go on with one."""
        return self._spark.createDataFrame(rows, schema)

    def signed(self, user_metadata: str) -> Sql | None:
        """A port in a session of its own whose commits carry a text, so that nobody else's commits do.

        Returns:
            None where that cannot be: the setting is for classic compute (Delta documentation), Spark Connect has no
            `newSession`, and a SQL warehouse refuses the setting.
        """
        try:
            own = self._spark.newSession()
            own.conf.set(_SIGNATURE, user_metadata)
        except Exception as exc:  # each platform has its own way to refuse
            _log.info("commits are not signed here: %s", exc)
            return None
        return Sql(own)

    @contextmanager
    def _translated(self, statement: str) -> Iterator[None]:
        """Foreign exceptions become `SqlFailed`, here and nowhere else."""
        text = " ".join(statement.split())
        _log.debug("%s", text if len(text) <= _SHOWN else f"{text[:_SHOWN]} ...")
        try:
            yield
        except _errors() as exc:
            message = _message(exc)
            step = step_to_rights(message, who=self._user()) if missing_rights(message) else None
            raise SqlFailed(_first_line(exc), condition=_condition(exc), next_step=step) from exc

    def _user(self) -> str | None:
        """Whom Spark takes this session for; None where it does not say."""
        try:
            return str(self._spark.sql("SELECT current_user()").collect()[0][0])
        except _errors():
            return None


def in_parallel(function: Callable[[T], R], items: Iterable[T], *, threads: int) -> list[R]:
    """The function's results in the order of the items; statements of one session may run at the same time."""
    with ThreadPoolExecutor(max_workers=threads, thread_name_prefix="dbx_cd") as pool:
        return list(pool.map(function, items))


def _errors() -> tuple[type[Exception], ...]:
    """What a statement can raise: PySpark leaves a plain SparkException of the JVM, such as a missing file, to py4j.

    So it does with a connection to the JVM that breaks.
    """
    from pyspark.errors import PySparkException

    try:
        from py4j.protocol import Py4JError
    except ImportError:  # a pure Spark Connect client
        return (PySparkException, ConnectionError)
    return (PySparkException, Py4JError, ConnectionError)


def _message(error: Exception) -> str:
    """What a statement's error says, without Java's stack traces."""
    java = getattr(error, "java_exception", None)
    return str(java.getMessage()) if java is not None else str(error)


def _first_line(error: Exception) -> str:
    """A statement's error as one line; of a task that failed, what it failed of."""
    line = first_line(_message(error))
    failed = _TASK_FAILED.match(line)
    return failed[1] if failed else line


def _condition(error: Exception) -> str:
    """Spark's or Delta's error condition; the getter was called `getErrorClass` before Spark 4."""
    getter = getattr(error, "getCondition", None) or getattr(error, "getErrorClass", None)
    condition = str(getter() or "") if getter is not None else ""
    line = _first_line(error)
    named = _NAMED.match(line)
    condition = condition or (named[1] if named else "")
    return condition or next((c for words, c in _WORDS.items() if line.startswith(words)), "")
