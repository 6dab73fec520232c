"""What open-source Spark and Delta cannot do: each fails with one sentence that says so, and never as a parse error.

The statements are those of the Databricks SQL reference ("SQL language reference", statements and `ai_` functions).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from dbx_cd.local.emulation.catalog_bridge import StatementFailed
from dbx_cd.local.emulation.sql_text import IDENTIFIER, NAME, STRING, bare, beginning, first_word

SQL_STATE = "0A000"  # "feature not supported" of the SQL standard, as Databricks' UNSUPPORTED_FEATURE has it


@dataclass(frozen=True)
class Unsupported:
    """Something that Databricks does and the embedded workspace does not."""

    feature: str
    """What it is called in the message."""
    pattern: re.Pattern[str]
    """Matches the beginning of a statement without comments."""
    reason: str
    """Why it cannot be done here."""
    next_step: str
    """What to do instead."""
    word: str
    """A word that its statements contain: a CREATE can be megabytes of SQL, which are not read for nothing."""


_ANY_VERB = r"(?:create(?: or (?:replace|refresh))?|alter|drop|undrop|refresh|desc(?:ribe)?(?: extended)?|show)"
_SERVICE = "it is a part of the Databricks service"
_ON_DATABRICKS = "try this statement on a Databricks workspace"


def _unsupported(
    feature: str, pattern: str, reason: str, next_step: str = _ON_DATABRICKS, *, word: str = ""
) -> Unsupported:
    compiled = re.compile(pattern.replace(" ", r"\s+"), re.IGNORECASE | re.DOTALL)
    return Unsupported(feature, compiled, reason, next_step, word)


_BUILD_A_TABLE = "use a table or an incremental model here"
_PARAMETERS = r"(?:[^'\"`]|`(?:[^`]|``)*`|" + STRING + r")*?"  # anything but the inside of a literal

UNSUPPORTED: tuple[Unsupported, ...] = (
    _unsupported(
        "materialized views",
        rf"{_ANY_VERB} materialized views?\b",
        "open-source Spark has none: the service refreshes them by pipelines of its own",
        _BUILD_A_TABLE,
    ),
    _unsupported(
        "streaming tables",
        rf"{_ANY_VERB} (?:private )?streaming table\b",
        "open-source Spark has none: the service fills them by pipelines of its own",
        _BUILD_A_TABLE,
    ),
    _unsupported(
        "metric views",
        rf"create (?:or replace )?view {NAME}{_PARAMETERS}\bwith metrics\b",
        "open-source Spark has none",
        "use a view here",
        word="metrics",
    ),
    _unsupported("flows of pipelines", r"(?:create flow|apply changes into|auto cdc)\b", _SERVICE),
    _unsupported("connections", rf"{_ANY_VERB} connections?\b", f"{_SERVICE} (Lakehouse Federation)"),
    _unsupported("servers", rf"{_ANY_VERB} server\b", f"{_SERVICE} (Lakehouse Federation)"),
    _unsupported("foreign catalogs", r"create foreign catalog\b", f"{_SERVICE} (Lakehouse Federation)"),
    _unsupported("external locations", rf"{_ANY_VERB} external locations?\b", "all files lie on this machine"),
    _unsupported(
        "storage and service credentials",
        rf"{_ANY_VERB} (?:(?:storage|service) )?credentials?\b",
        "all files lie on this machine",
    ),
    _unsupported(
        "shares, recipients and providers",
        rf"{_ANY_VERB} (?:shares?|recipients?|providers?)\b",
        f"{_SERVICE} (Delta Sharing)",
    ),
    _unsupported("governed tags", rf"{_ANY_VERB} governed tags?\b", f"{_SERVICE} (tag policies of an account)"),
    _unsupported("clean rooms", rf"{_ANY_VERB} clean rooms?\b", _SERVICE),
    _unsupported(
        "row filters",
        rf"(?:alter table {NAME} (?:set|drop) row filter|create (?:or replace )?table {NAME}{_PARAMETERS}"
        r"\bwith row filter)\b",
        "open-source Spark has none",
        "filter in a view here",
        word="filter",
    ),
    _unsupported(
        "column masks",
        rf"(?:alter table {NAME} alter (?:column )?{IDENTIFIER} (?:set|drop) mask\b"
        rf"|create (?:or replace )?table {NAME}\s*\({_PARAMETERS}[\w)>] mask {NAME}(?:\s*[,)]| using\b| comment\b))",
        "open-source Spark has none",
        "mask in a view here",
        word="mask",
    ),
    _unsupported("policies", rf"{_ANY_VERB} policy\b", f"{_SERVICE} (attribute-based access control)"),
    _unsupported(
        "UNDROP",
        r"undrop\b",
        "open-source Delta deletes the files of a dropped managed table at once",
        "build the table again",
    ),
    _unsupported(
        "SHOW TABLES DROPPED",
        r"show tables dropped\b",
        "open-source Delta deletes the files of a dropped managed table at once",
    ),
    _unsupported(
        "functions in Python",
        rf"create (?:or replace )?(?:temporary )?function {_PARAMETERS}\blanguage python\b",
        "open-source Spark has none in SQL",
        "write the function in SQL here",
        word="python",
    ),
    _unsupported("procedures", rf"{_ANY_VERB} procedures?\b", "open-source Spark stores none"),
    _unsupported(
        "BEGIN ATOMIC",
        r"begin atomic\b",
        "open-source Delta has no transactions over several tables",
        "write one table in each statement",
    ),
    _unsupported(
        "COPY INTO", r"copy into\b", "open-source Delta lacks it", "use INSERT ... SELECT FROM parquet.`path`"
    ),
    _unsupported("FSCK REPAIR TABLE", r"fsck repair\b", "open-source Delta lacks it"),
    _unsupported("Bloom filter indexes", rf"{_ANY_VERB} bloomfilter index\b", "open-source Delta lacks them"),
    _unsupported(
        "predictive optimization",
        rf"alter (?:catalog|schema|database|table) {NAME} (?:enable|disable|inherit) predictive optimization\b",
        _SERVICE,
    ),
)

# AI functions call models of the service (documentation, "AI Functions"). A name with a schema is a user's own.
_AI_FUNCTION = re.compile(
    r"(?<![.\w`])(ai_(?:analyze_sentiment|classify|extract|fix_grammar|forecast|gen|mask|parse_document|query|similarity"
    r"|summarize|top_drivers|translate)|vector_search|remote_query)\s*\(",
    re.IGNORECASE,
)
AI_FUNCTIONS = "functions that call a service: ai_query and the other ai_ functions, vector_search, remote_query"

_VERBS = ("create", "alter", "drop", "undrop", "refresh", "desc", "describe", "show")
_WORDS = frozenset((*_VERBS, "apply", "auto", "begin", "copy", "fsck"))
_TEXT = re.compile(STRING, re.DOTALL)


def refuse_unsupported(sql: str) -> None:
    """Let a statement pass unless it is one that cannot be done here.

    Args:
        sql: one statement, as the client sent it.

    Raises:
        StatementFailed: it is in the table; the SQLSTATE is 0A000.
    """
    if first_word(sql) in _WORDS:
        lower, head = sql.lower(), beginning(sql)
        for entry in UNSUPPORTED:
            if entry.word in lower and entry.pattern.match(bare(sql) if entry.word else head):
                raise _refusal(entry.feature, entry.reason, entry.next_step)
    if _AI_FUNCTION.search(sql) and (called := _AI_FUNCTION.search(_TEXT.sub("''", bare(sql)))):
        raise _refusal(f"the function {called[1].lower()}", _SERVICE, _ON_DATABRICKS)


def _refusal(feature: str, reason: str, next_step: str) -> StatementFailed:
    return StatementFailed(
        f"[UNSUPPORTED_FEATURE] The embedded workspace does not support {feature}: {reason}",
        next_step=next_step,
        sql_state=SQL_STATE,
    )
