"""The Query History API, as far as a rollback asks it: the statements of the SQL endpoint that run now.

What has ended is not kept, so that a filter by other statuses finds nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from flask import Blueprint, request

from dbx_cd.local.rest.identity import Directory
from dbx_cd.sql_endpoint import RunningStatement

Running = Callable[[], Iterable[RunningStatement]]
_STATUSES = "filter_by.statuses"
# What dbt, and others, put before a statement: comments and parentheses.
_BEFORE = re.compile(r"(?:\s|\(|--[^\n]*\n|/\*.*?\*/)*", re.DOTALL)
_TYPES = frozenset(
    [
        "ALTER",
        "ANALYZE",
        "COPY",
        "CREATE",
        "DELETE",
        "DESCRIBE",
        "DROP",
        "EXPLAIN",
        "GRANT",
        "INSERT",
        "MERGE",
        "OPTIMIZE",
        "REFRESH",
        "REPLACE",
        "REVOKE",
        "SELECT",
        "SET",
        "SHOW",
        "TRUNCATE",
        "UPDATE",
        "USE",
    ]
)


def query_history_api(directory: Directory, running: Running) -> Blueprint:
    """The endpoint of the query history.

    Args:
        directory: the users.
        running: asked for what runs now.
    """
    api = Blueprint("query history", __name__)

    @api.get("/api/2.0/sql/history/queries")
    def queries() -> dict[str, Any]:
        asked = request.args.getlist(_STATUSES)
        since = request.args.get("filter_by.query_start_time_range.start_time_ms", 0, int)
        until = request.args.get("filter_by.query_start_time_range.end_time_ms", 1 << 62, int)
        found = [_view(directory, statement) for statement in running()] if not asked or "RUNNING" in asked else []
        return {"res": [q for q in found if since <= q["query_start_time_ms"] <= until], "has_next_page": False}

    return api


def _view(directory: Directory, statement: RunningStatement) -> dict[str, Any]:
    return {
        "query_id": statement.id,
        "status": "RUNNING",
        "query_text": statement.sql,
        "statement_type": _type_of(statement.sql),
        "user_name": directory.name_of(statement.token),
        "query_start_time_ms": statement.started_ms,
        "is_final": False,
    }


def _type_of(sql: str) -> str:
    word = re.match(r"\w*", sql[_BEFORE.match(sql).end() :])  # type: ignore[union-attr]
    name = word[0].upper() if word else ""
    return {"WITH": "SELECT", "VALUES": "SELECT"}.get(name, name if name in _TYPES else "OTHER")
