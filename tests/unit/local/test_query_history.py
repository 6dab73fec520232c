"""The query history of the embedded workspace, through the SDK: what runs in the SQL endpoint now."""

from __future__ import annotations

import time
from pathlib import Path

from databricks.sdk.service.sql import QueryFilter, QueryStatementType, QueryStatus, TimeRange
from local_rest import USERS

from dbx_cd.local.rest.server import RestServer
from dbx_cd.sql_endpoint import RunningStatement

NOW = time.time_ns() // 1_000_000
MERGE = '/* {"app": "dbt"} */\n-- a comment\nmerge into t using s on t.id = s.id when matched then update set *'


def asked(server: RestServer, status: QueryStatus, *, until: int = NOW + 1) -> list[object]:
    span = TimeRange(start_time_ms=NOW - 1, end_time_ms=until)
    answer = server.client("dev@example.org").query_history.list(
        filter_by=QueryFilter(query_start_time_range=span, statuses=[status])
    )
    return [(q.query_id, q.statement_type, q.user_name, q.query_start_time_ms) for q in answer.res or ()]


def test_what_runs_is_listed_with_its_user_and_its_kind(tmp_path: Path) -> None:
    running = [RunningStatement("01", MERGE, NOW, "token-job"), RunningStatement("02", " (select 1)", NOW, "nobody's")]
    with RestServer(tmp_path, users=USERS, running=lambda: running) as server:
        assert asked(server, QueryStatus.RUNNING) == [
            ("01", QueryStatementType.MERGE, "job-identity", NOW),
            ("02", QueryStatementType.SELECT, None, NOW),
        ]
        assert asked(server, QueryStatus.QUEUED) == []
        assert asked(server, QueryStatus.RUNNING, until=NOW - 1) == []
