"""SQL text of a project as a query, whatever it says: smoke tests run before anybody has approved.

As a subquery in parentheses a text is parsed as a query or not at all: no statement that writes can stand there
(`queryPrimary` in Spark's `SqlBaseParser.g4`; tried in `tests/spark/smoke/test_queries.py`). What a query itself can do
beyond reading is refused by name.
"""

from __future__ import annotations

import re

from dbx_cd.errors import SuiteError

# Functions of Spark and Databricks that run code or statements elsewhere; and IDENTIFIER(...), which hides a name.
_RUNS_CODE = ("reflect", "java_method", "try_reflect", "http_request", "remote_query", "identifier")
_SPACE = r"[\s\u180e\u200b\ufeff]*"
# A comment is taken for what it may hide: where Spark ends it is nothing to rely on.
_COMMENT = r"--|/\*"
_CALL = re.compile(rf"\b({'|'.join(_RUNS_CODE)})\b[`\"]?{_SPACE}(?:\(|{_COMMENT})", re.IGNORECASE)
# TRANSFORM(...) USING 'script' runs a program; JOIN ... USING (...) does not.
_SCRIPT = re.compile(rf"\busing\b{_SPACE}(?:r?['\"]|{_COMMENT})", re.IGNORECASE)

ONLY_QUERIES = "only a query may be asserted"


def as_query(text: str) -> str:
    """The text as the only thing that Spark may take it for: a query.

    Raises:
        SuiteError: it calls what a query must not.
    """
    refuse_calls(text)
    if "${" in text:
        raise SuiteError(
            f"{ONLY_QUERIES}, as it is written: Spark puts its settings in place of ${{...}}",
            next_step="write the value itself, or `$` and `{` apart",
        )
    return f"select * from (\n{text}\n)"


def refuse_calls(text: str) -> None:
    """Make sure that an expression or a query calls nothing that does more than read.

    Raises:
        SuiteError: it does; the message names what.
    """
    call = _CALL.search(text)
    if call:
        raise SuiteError(
            f"{ONLY_QUERIES}, and `{call[1].lower()}` can do more than read",
            next_step="say it without; a column of that name is to be followed by something else than a comment",
        )
    if _SCRIPT.search(text):
        raise SuiteError(f"{ONLY_QUERIES}, and TRANSFORM ... USING runs a program", next_step="say it in SQL")
