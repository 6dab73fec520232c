"""The query history of the embedded workspace, through the SDK: what runs in the SQL endpoint now."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from databricks.sdk.service.sql import QueryFilter, QueryStatementType, QueryStatus, TimeRange
from local_rest import USERS

from dbx_cd.local.rest.server import RestServer
from dbx_cd.sql_endpoint import RunningStatement

NOW = time.time_ns() // 1_000_000
MERGE = '/* {"app": "dbt"} */\n-- a comment\nmerge into t using s on t.id = s.id when matched then update set *'
ADMIN, DEV = "owner@example.org", "dev@example.org"


def asked(
    server: RestServer, status: QueryStatus = QueryStatus.RUNNING, *, by: str = ADMIN, until: int = NOW + 1
) -> list[object]:
    span = TimeRange(start_time_ms=NOW - 1, end_time_ms=until)
    answer = server.client(by).query_history.list(filter_by=QueryFilter(query_start_time_range=span, statuses=[status]))
    return [(q.query_id, q.statement_type, q.user_name, q.query_start_time_ms) for q in answer.res or ()]


def test_what_runs_is_listed_with_its_user_and_its_kind(tmp_path: Path) -> None:
    running = [RunningStatement("01", MERGE, NOW, "token-job"), RunningStatement("02", " (select 1)", NOW, "nobody's")]
    with RestServer(tmp_path, users=USERS, running=lambda: running) as server:
        assert asked(server) == [
            ("01", QueryStatementType.MERGE, "job-identity", NOW),
            ("02", QueryStatementType.SELECT, None, NOW),
        ]
        assert asked(server, QueryStatus.QUEUED) == []
        assert asked(server, until=NOW - 1) == []


def test_statements_of_others_are_shown_to_administrators_and_to_who_may_monitor_the_warehouse(tmp_path: Path) -> None:
    running = [RunningStatement("01", MERGE, NOW, "token-job"), RunningStatement("02", MERGE, NOW, "token-dev")]
    job, dev = (("01", QueryStatementType.MERGE, "job-identity", NOW), ("02", QueryStatementType.MERGE, DEV, NOW))
    with RestServer(tmp_path / "own", users=USERS, running=lambda: running) as server:
        assert asked(server) == [job, dev]
        assert asked(server, by=DEV) == [dev]
        assert asked(server, by="lent-identity") == []
    for monitor in (DEV, "developers", "users"):
        folder = tmp_path / monitor
        with RestServer(folder, users=USERS, running=lambda: running, monitors=[monitor]) as server:
            assert asked(server, by=DEV) == [job, dev], monitor


@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        ("with a as (select 1) insert into t select * from a", "INSERT"),
        ("WITH a AS (SELECT 1), b (x, y) AS (SELECT (2), ')') /* c ) */ MERGE INTO t USING a ON true", "MERGE"),
        ("with recursive a (n) as (select 1 union all select n + 1 from a) select * from a", "SELECT"),
        ("with `insert) into` as (select ')' as x) select 1", "SELECT"),
        ("with insert as (select 1), delete as (select 2) select * from insert", "SELECT"),
        ("with a as (select 1) -- delete\ntable a", "SELECT"),
        ("with a as (select 1) from a insert into t select *", "OTHER"),
        ("with a as (select 1) (select * from a)", "OTHER"),
        ("with a as (select", "OTHER"),
        ("-- only a comment", "OTHER"),
        ("from a insert into t select *", "OTHER"),
        ("desc t", "DESCRIBE"),
        ("values (1)", "SELECT"),
    ],
)
def test_the_kind_is_that_of_what_the_statement_does_after_its_with(tmp_path: Path, sql: str, kind: str) -> None:
    running = [RunningStatement("01", sql, NOW, "token-job")]
    with RestServer(tmp_path, users=USERS, running=lambda: running) as server:
        assert asked(server) == [("01", QueryStatementType(kind), "job-identity", NOW)]
