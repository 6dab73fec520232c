"""Which emulated statement is meant: the table of all of them, each module's own part in turn."""

from __future__ import annotations

from pyspark.sql import SparkSession

from dbx_cd.local.emulation import (
    alterations,
    catalogs,
    clones,
    clustering,
    comments,
    copies,
    descriptions,
    functions,
    grants,
    session,
    statistics,
    tags,
    volumes,
    writes,
)
from dbx_cd.local.emulation.affected_rows import INSERTING, forget_written_rows
from dbx_cd.local.emulation.described_relations import with_described_relations
from dbx_cd.local.emulation.matched_statement import Statement
from dbx_cd.local.emulation.needs import require_all
from dbx_cd.local.emulation.sql_text import bare, first_word
from dbx_cd.local.emulation.statement import Answer, Emulated
from dbx_cd.local.emulation.unsupported import refuse_unsupported

# The first entry that matches runs. A new kind of statement is a module with its own STATEMENTS and one line here.
EMULATED: tuple[Emulated, ...] = (
    *session.STATEMENTS,
    *volumes.STATEMENTS,
    *catalogs.STATEMENTS,
    *functions.STATEMENTS,
    *descriptions.STATEMENTS,
    *alterations.STATEMENTS,
    *tags.STATEMENTS,
    *comments.STATEMENTS,
    *grants.STATEMENTS,
    *clones.STATEMENTS,
    *clustering.STATEMENTS,
    *statistics.STATEMENTS,
    *copies.STATEMENTS,
    *writes.STATEMENTS,
)

_SAME = {"desc": "describe", "replace": "create"}
_BY_WORD: dict[str, list[Emulated]] = {}
for _entry in EMULATED:
    _BY_WORD.setdefault(_entry.first_word, []).append(_entry)


def emulate(spark: SparkSession, sql: str) -> Answer:
    """Return the statement to run instead, or its result; what is not emulated comes back as it came.

    Args:
        spark: the session that the statement runs in; its current catalog and schema complete names.
        sql: one statement, as the client sent it.

    Raises:
        AnalysisException: the session's user lacks a right that it needs.
        StatementFailed: the statement is emulated and cannot be carried out, or cannot be done here at all.
    """
    refuse_unsupported(sql)
    sql = with_described_relations(spark, sql)
    word = first_word(sql)
    if word in INSERTING:
        forget_written_rows(spark)
    entries = _BY_WORD.get(_SAME.get(word, word), [])
    possible = [entry for entry in entries if entry.only_with is None or entry.only_with.search(sql)]
    if not possible:
        return sql
    text = bare(sql)
    for entry in possible:
        if match := entry.pattern.fullmatch(text):
            statement = Statement(spark, match)
            require_all(statement, entry.needs)
            return entry.run(statement)
    return sql
