"""Whether anything of a release is still at work: what it has begun could be committed after a rollback was proved.

The Jobs API says whether its run has ended. A statement that was sent to a SQL warehouse can outlive the run: dbt
cancels its statements when it is interrupted, but not when it is killed. Those are in the query history (Query History
API), where this identity may read it, as far as they are of a SQL warehouse or of serverless compute.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from dbx_cd.enumeration import listed
from dbx_cd.errors import RestoreRefused, WorkflowError, what_failed
from dbx_cd.people import same_person
from dbx_cd.release.events import Deploying
from dbx_cd.release.jobs import Jobs
from dbx_cd.release.run_at_work import ended_run, others_at_work
from dbx_cd.rollback.of_target import writers_of
from dbx_cd.workspace_calls import calling

if TYPE_CHECKING:
    from databricks.sdk.service.sql import QueryInfo

    from dbx_cd.release.context import Cd
    from dbx_cd.release.events import Release
    from dbx_cd.release.reading import LogReading

_log = logging.getLogger(__name__)

PATIENCE = timedelta(minutes=10)
"""How long a run that was cancelled, and statements of a run that has ended, are waited for."""
_LOOK_AGAIN_SECONDS = 5.0
_KEPT = timedelta(days=29)  # the Query History API takes ranges of 30 days at most
# One call each: filtering by several at once is not recommended (Query History API). In the order in which a statement
# goes on: one that is past a status when that is asked for is found in a later one, or has ended.
_UNDER_WAY = ("QUEUED", "STARTED", "COMPILING", "COMPILED", "RUNNING")
_ONLY_READ = ("SELECT", "SHOW", "DESCRIBE", "EXPLAIN", "SET", "USE")
_NAMED = 3

Settle = Callable[["Cd", "LogReading", str], tuple[str, ...]]
"""Makes sure that nothing of a reading's release is at work in a target; returns what could not be known."""


def end_run(cd: Cd, log: LogReading, target: str) -> tuple[str, ...]:
    """Make sure, from outside of its run, that nothing of a release is at work: its run is cancelled where it goes on.

    Args:
        cd: the context.
        log: a reading of the release.
        target: the gated target that is rolled back; "" where the log does not say.

    Returns:
        What is not known, for people: the run or the query history may not be there for this identity to read.

    Raises:
        RestoreRefused: its run or a statement of it goes on, and could not be ended. Nothing has been changed.
    """
    assert log.release is not None
    release = log.release
    jobs = Jobs(cd.workspace)
    try:
        end = ended_run(jobs, _run_id(release), patience=PATIENCE)
    except WorkflowError as exc:
        unknown = (f"whether the run of {release} has ended is not known: {what_failed(exc)}",)
        return (*unknown, *_end_statements(cd, log, target, until=None))
    if end.goes_on is not None:
        raise RestoreRefused(
            f"what the run of {release} does would overwrite what is brought back: it {end.goes_on}",
            where=end.where,
            next_step=f"{end.next_step}, and restore again",
        )
    return _end_statements(cd, log, target, until=end.at)


def require_other_tasks_ended(cd: Cd, log: LogReading, target: str) -> tuple[str, ...]:
    """Make sure, from a task of the release's own run, that nothing else of it is at work: its other tasks have ended.

    Args:
        cd: the context.
        log: a reading of the release.
        target: the gated target that is rolled back; "" where the log does not say.

    Returns:
        What is not known, for people: the run or the query history may not be there for this identity to read.

    Raises:
        RestoreRefused: another task or a statement of the release goes on. Nothing has been changed.
    """
    assert log.release is not None
    release = log.release
    jobs, deadline = Jobs(cd.workspace), time.monotonic() + PATIENCE.total_seconds()
    try:
        while working := others_at_work(jobs, _run_id(release)):
            if time.monotonic() >= deadline:
                raise RestoreRefused(
                    f"tasks of {release} are still at work: {', '.join(working)}",
                    where=f"run {release.run_id}",
                    next_step="cancel the run, and roll the release back by the notebook rollback",
                )
            time.sleep(_LOOK_AGAIN_SECONDS)
    except WorkflowError as exc:
        unknown = (f"whether the other tasks of {release} have ended is not known: {what_failed(exc)}",)
        return (*unknown, *_end_statements(cd, log, target, until=None))
    return _end_statements(cd, log, target, until=None)


def _run_id(release: Release) -> int:
    """The run's number.

    Raises:
        WorkflowError: it is no run of a job.
    """
    if not release.run_id.isdecimal():
        raise WorkflowError(f"{release.run_id!r} is not the id of a run")
    return int(release.run_id)


def _end_statements(cd: Cd, log: LogReading, target: str, *, until: datetime | None) -> tuple[str, ...]:
    """Wait for the statements of a release that its run has left behind; returns what is not known of them."""
    assert log.release is not None
    release = log.release
    return (*_on_clusters(log, target), *_end_in_warehouses(cd, log, release, target, until=until))


def _on_clusters(log: LogReading, target: str) -> tuple[str, ...]:
    """What nobody can look up: a cluster's statements are in no query history, and go on until they or it end."""
    begun = log.all(Deploying)
    if any(claim.compute == "cluster" and target in ("", claim.target) for claim in begun):
        return (
            f"whether statements of {log.release} still run on its job's own cluster is not known: no query history "
            "has them. A cluster that the job makes ends with its run",
        )
    return ()


def _end_in_warehouses(
    cd: Cd, log: LogReading, release: Release, target: str, *, until: datetime | None
) -> tuple[str, ...]:
    # As whom it writes is recorded before it does: where nothing is, it has written nothing.
    writers = writers_of(log, target)
    deadline = time.monotonic() + PATIENCE.total_seconds()
    while writers:
        try:
            left = _statements(cd, since=release.opened_at, until=until, writers=writers)
        except WorkflowError as exc:
            return (f"whether statements of {release} still run in a warehouse is not known: {what_failed(exc)}",)
        if not left:
            break
        if time.monotonic() >= deadline:
            raise RestoreRefused(
                f"statements of {release} still run, and would overwrite what is brought back: "
                f"{listed(left, most=_NAMED, separator='; ')}",
                where="query history",
                next_step="cancel them there, or wait until they have ended, and restore again",
            )
        _log.warning("%s: waiting for statements that still run: %s", release, "; ".join(left))
        time.sleep(_LOOK_AGAIN_SECONDS)
    return ()


def _statements(cd: Cd, *, since: datetime, until: datetime | None, writers: Sequence[str]) -> list[str]:
    """The statements of some users that run now, began in a time and do more than read, for people.

    Raises:
        WorkflowError: the query history cannot be read.
    """
    from databricks.sdk.service.sql import QueryFilter, QueryStatus, TimeRange

    begin = max(since, datetime.now(UTC) - _KEPT)
    end = until or datetime.now(UTC)
    if end <= begin:
        return []
    span = TimeRange(start_time_ms=int(begin.timestamp() * 1000), end_time_ms=int(end.timestamp() * 1000))
    found: list[QueryInfo] = []
    with calling("the query history cannot be read", right="the right to see the warehouse's queries (CAN MONITOR)"):
        for status in _UNDER_WAY:
            page: str | None = None
            while True:
                asked = QueryFilter(query_start_time_range=span, statuses=[QueryStatus(status)])
                answer = cd.workspace.query_history.list(filter_by=asked, page_token=page)
                found += answer.res or ()
                page = answer.next_page_token if answer.has_next_page else None
                if page is None:
                    break
    return [_in_words(q) for q in found if _may_write(q) and any(same_person(q.user_name, name) for name in writers)]


def _may_write(query: QueryInfo) -> bool:
    return query.statement_type is None or query.statement_type.value not in _ONLY_READ


def _in_words(query: QueryInfo) -> str:
    kind = query.statement_type.value if query.statement_type is not None else "a statement"
    began = datetime.fromtimestamp((query.query_start_time_ms or 0) / 1000, UTC)
    return f"{query.query_id} ({kind} by {query.user_name}, since {began:%H:%M:%S} UTC)"
