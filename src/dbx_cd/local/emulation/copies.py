"""Statements that tell how to make a table again, or make a copy of it."""

from __future__ import annotations

from dbx_cd.local.emulation.catalog_bridge import StatementFailed
from dbx_cd.local.emulation.clones import CLONING
from dbx_cd.local.emulation.matched_statement import Statement
from dbx_cd.local.emulation.needs import NOT_TEMPORARY, Need
from dbx_cd.local.emulation.sql_text import NAME, NAMED, STRING
from dbx_cd.local.emulation.statement import Answer, Emulated, emulated, text_table

_TESTS = "tests/spark/local/test_table_statements.py"


def show_create_table(statement: Statement) -> Answer:
    """SHOW CREATE TABLE: of a table from Delta's log and the registry; views Spark knows itself."""
    name = statement.parts("name")
    if statement.bridge.call("isTemporaryView", name) or statement.bridge.call("isView", name):
        return statement.match[0]
    return text_table(("createtab_stmt",), [[statement.bridge.call("of", name, of="ShowCreateTable")]])


def deep_clone(statement: Statement) -> Answer:
    """CREATE TABLE ... [DEEP] CLONE: as a shallow clone whose files are copied in its own commit."""
    source = statement.parts("source")
    if statement.bridge.call("isView", source):
        raise StatementFailed(
            "[DELTA_CLONE_UNSUPPORTED_SOURCE] Unsupported clone source, which is a view",
            where=statement["source"],
            sql_state="0AKDC",
        )
    location = statement.bridge.unquote(statement["location"]) if statement["location"] else None
    answer = statement.bridge.frame(
        "run",
        statement.parts("name"),
        bool(statement["exists"]),
        "replace" in statement["verb"].lower(),
        source,
        statement["rest"],
        location,
        of="DeepClone",
    )
    for copied, of in (("num_copied_files", "source_num_of_files"), ("copied_files_size", "source_table_size")):
        if copied in answer.column_names:
            place = answer.schema.get_field_index(copied)
            answer = answer.set_column(place, answer.schema.field(place), answer.column(of))
    return answer


STATEMENTS: tuple[Emulated, ...] = (
    emulated(
        rf"show create table {NAMED}",
        show_create_table,
        "Delta refuses it",
        statement="SHOW CREATE TABLE name",
        does="gives a statement that makes such a table or view again, with comments, keys, checks and properties",
        lacks="no tags, which no CREATE statement can set",
        tests=(f"{_TESTS}::test_show_create_table_gives_a_statement_that_makes_the_table_again",),
        needs=(Need("SELECT", "TABLE", seeing=True, where=NOT_TEMPORARY),),
    ),
    emulated(
        rf"(?P<verb>create|create or replace|replace) table (?P<exists>if not exists )?{NAMED}(?: deep)? clone "
        rf"(?P<source>{NAME})(?P<rest>(?: .*?)??)(?: location (?P<location>{STRING}))?",
        deep_clone,
        "open-source Delta has shallow clones only",
        statement="CREATE [OR REPLACE] TABLE [IF NOT EXISTS] name [DEEP] CLONE source [VERSION AS OF n]",
        does="copies the source's files into the new table, whose history stays where it replaces one",
        lacks="cloning again copies all files again",
        tests=(f"{_TESTS}::test_a_deep_clone_stands_alone",),
        needs=CLONING,
        only_with=r"\bclone\b",
    ),
)
