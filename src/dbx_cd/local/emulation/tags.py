"""SET TAGS and UNSET TAGS on tables, views and their columns."""

from __future__ import annotations

import re

import pyarrow as pa

from dbx_cd.local.emulation.catalog_bridge import StatementFailed
from dbx_cd.local.emulation.matched_statement import Statement
from dbx_cd.local.emulation.needs import Need
from dbx_cd.local.emulation.sql_text import COLUMN, NAMED, STRING
from dbx_cd.local.emulation.statement import Answer, Emulated, emulated

_TAG = re.compile(rf"\s*({STRING})\s*(?:=\s*({STRING})\s*)?(?:,|\Z)", re.DOTALL)


def set_or_unset(statement: Statement) -> Answer:
    """ALTER TABLE or VIEW [ALTER COLUMN] SET or UNSET TAGS."""
    name = statement.parts("name")
    column = statement.identifier("column") if statement["column"] else None
    tags = _tags(statement)
    if statement["verb"].lower() == "set":
        statement.bridge.call("setTags", name, column, tags)
    else:
        statement.bridge.call("unsetTags", name, column, list(tags))
    return pa.table({})


def _tags(statement: Statement) -> dict[str, str]:
    """`'name' = 'value', 'name'` as a mapping; a tag without a value has the empty one, as on Unity Catalog."""
    text = statement["tags"].rstrip()
    tags: dict[str, str] = {}
    position = 0
    while position < len(text):
        match = _TAG.match(text, position)
        if match is None:
            raise StatementFailed(f"[PARSE_SYNTAX_ERROR] tags are 'name' = 'value', not {text[position:].strip()}")
        tags[statement.bridge.unquote(match[1])] = statement.bridge.unquote(match[2]) if match[2] else ""
        position = match.end()
    return tags


STATEMENTS: tuple[Emulated, ...] = (
    emulated(
        rf"alter (?:table|view) {NAMED} (?:(?:alter|change) column {COLUMN} )?(?P<verb>set|unset) tags\s*"
        r"\((?P<tags>.*)\)",
        set_or_unset,
        "Spark has no tags",
        statement="ALTER { TABLE | VIEW } name [ALTER COLUMN column] { SET | UNSET } TAGS (...)",
        does="sets and removes tags, which information_schema shows and a restart keeps",
        lacks="no tag policies; schemas and catalogs have no tags",
        tests=("tests/spark/local/test_emulation.py::test_tags_of_tables_and_columns",),
        needs=(Need("APPLY TAG", "TABLE"),),
    ),
)
