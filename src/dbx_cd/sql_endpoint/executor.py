"""Runs operations on threads of their own, within a time limit, and reports the statements that ended."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from dbx_cd.sql_endpoint.at_work import AtWork
from dbx_cd.sql_endpoint.operation import Failure, Operation
from dbx_cd.sql_endpoint.rows import Result
from dbx_cd.sql_endpoint.session import EndpointSession, mark_jobs
from dbx_cd.sql_endpoint.statement import failure_of

_log = logging.getLogger(__name__)

# More wait as PENDING. Threads are kept: each has a Java thread of its own, which costs more than a short statement.
MAX_RUNNING = 64
LOGGED_CHARACTERS = 300


@dataclass(frozen=True)
class StatementRecord:
    """One statement that ended."""

    sql: str
    """The statement as the client sent it."""
    seconds: float
    """Wall time on its worker."""
    error: str | None = None
    """The message that the client was sent; None when it succeeded."""


class StatementExecutor:
    """A pool of at most `MAX_RUNNING` threads."""

    def __init__(self, on_statement: Callable[[StatementRecord], None] | None = None) -> None:
        self._on_statement = on_statement
        self.at_work = AtWork()
        """The operations whose threads are at work."""
        self._workers = ThreadPoolExecutor(MAX_RUNNING, thread_name_prefix="sql-endpoint")

    def submit(
        self,
        session: EndpointSession,
        operation: Operation,
        work: Callable[[], Result],
        *,
        sql: str | None = None,
        timeout: float | None = None,
    ) -> None:
        """Run `work` for `operation` as soon as a thread is free.

        Args:
            session: the session it belongs to.
            operation: what gets the rows or the failure.
            work: returns the rows.
            sql: the statement to report when it ended; None reports nothing.
            timeout: seconds it may run.
        """
        session.add(operation)
        self._workers.submit(self._run, session, operation, work, sql, timeout)

    def close(self) -> None:
        """Take no more, and cancel what runs; `at_work` tells when that has left."""
        self.at_work.close()
        self._workers.shutdown(wait=False, cancel_futures=True)

    def _run(
        self,
        session: EndpointSession,
        operation: Operation,
        work: Callable[[], Result],
        sql: str | None,
        timeout: float | None,
    ) -> None:
        if not self.at_work.begin(session, operation, sql=sql):
            return
        started = time.monotonic()
        try:
            mark_jobs(session.spark, operation.group, description=(sql or "metadata")[:200])
            with _time_limit(session, operation, timeout):
                operation.finish(work())
        except Exception as exc:
            operation.fail(failure_of(exc))
        finally:
            self.at_work.end(operation)
        if sql is not None:
            self._report(StatementRecord(sql, time.monotonic() - started, operation.error))

    def _report(self, record: StatementRecord) -> None:
        _log.debug("%.2f s, %s: %s", record.seconds, record.error or "ok", record.sql[:LOGGED_CHARACTERS])
        if self._on_statement is None:
            return
        try:
            self._on_statement(record)
        except Exception:
            _log.exception("on_statement failed")


@contextmanager
def _time_limit(session: EndpointSession, operation: Operation, seconds: float | None) -> Iterator[None]:
    if not seconds:
        yield
        return
    failure = Failure(f"[STATEMENT_TIMEOUT] the statement took longer than {seconds:g} s", "HYT00")
    timer = threading.Timer(seconds, session.stop, (operation, failure))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
