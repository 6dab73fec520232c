"""The Query History API, as far as a rollback asks it: the statements of the SQL endpoint that run now.

What has ended is not kept, so that a filter by other statuses finds nothing. Everybody sees their own statements;
administrators, and who may monitor the warehouse (CAN MONITOR), those of others as well, as on the platform.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from typing import Any

from flask import Blueprint, g, request

from dbx_cd.local.rest.identity import ADMINS, EVERYBODY, Directory, User
from dbx_cd.sql_endpoint import RunningStatement

Running = Callable[[], Iterable[RunningStatement]]
_STATUSES = "filter_by.statuses"
_COMMENT = r"--[^\n]*|/\*.*?\*/"
# What dbt, and others, put before a statement: comments and parentheses.
_BEFORE = re.compile(rf"(?:\s|\(|{_COMMENT})*", re.DOTALL)
# After a name of WITH: what only passes for words and parentheses, then words, then single characters.
_TOKEN = re.compile(
    rf"(?:{_COMMENT}|\s+)|(?P<quoted>'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|`[^`]*`)|(?P<word>\w+)|(?P<other>.)",
    re.DOTALL,
)
_SYNONYMS = {"DESC": "DESCRIBE", "TABLE": "SELECT", "VALUES": "SELECT"}
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


def query_history_api(directory: Directory, running: Running, *, monitors: Collection[str] = ()) -> Blueprint:
    """The endpoint of the query history.

    Args:
        directory: the users.
        running: asked for what runs now.
        monitors: users and groups with CAN MONITOR on the warehouse, who see the statements of others as well.
    """
    api = Blueprint("query history", __name__)

    @api.get("/api/2.0/sql/history/queries")
    def queries() -> dict[str, Any]:
        asked = request.args.getlist(_STATUSES)
        since = request.args.get("filter_by.query_start_time_range.start_time_ms", 0, int)
        until = request.args.get("filter_by.query_start_time_range.end_time_ms", 1 << 62, int)
        found = [_view(directory, statement) for statement in running()] if not asked or "RUNNING" in asked else []
        user: User = g.user
        sees_all = bool({user.user_name, *user.groups, EVERYBODY} & {ADMINS, *monitors})
        shown = [
            query
            for query in found
            if (sees_all or query["user_name"] == user.user_name) and since <= query["query_start_time_ms"] <= until
        ]
        return {"res": shown, "has_next_page": False}

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
    """The kind of a statement: of its first word, or that after the tables of WITH; OTHER where it is not clear."""
    start = _BEFORE.match(sql).end()  # type: ignore[union-attr]
    word = re.match(r"\w*", sql[start:])[0].upper()  # type: ignore[index]
    if word == "WITH":
        word = _after_with(sql, start + len(word))
    word = _SYNONYMS.get(word, word)
    return word if word in _TYPES else "OTHER"


def _after_with(sql: str, start: int) -> str:
    """The word that comes after the last query of WITH: each is in parentheses, and a comma or AS follows on others."""
    depth, is_after_query = 0, False
    for token in _TOKEN.finditer(sql, start):
        word, sign = token["word"], token["other"]
        if depth == 0 and word is not None and is_after_query and word.upper() != "AS":
            return word.upper()
        depth += (sign == "(") - (sign == ")")
        if token.lastgroup is not None:
            is_after_query = sign == ")"
    return ""
