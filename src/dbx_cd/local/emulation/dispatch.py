"""The table of emulated statements, by their first keyword."""

from __future__ import annotations

import re

from pyspark.sql import SparkSession

from dbx_cd.local.emulation import alterations, clones, clustering, comments, descriptions, tags, writes
from dbx_cd.local.emulation.sql_text import IDENTIFIER, NAME, STRING, bare, first_word
from dbx_cd.local.emulation.statement import Answer, Emulated, Statement, emulated, nothing

_NAME = rf"(?P<name>{NAME})"
_COLUMN = rf"(?P<column>{IDENTIFIER})"
_TEXT = rf"(?P<text>null|{STRING})"
_DROP_BEHAVIOR = r"(?: (?P<behavior>cascade|restrict))?"
_ONE_USER = "there is one local user, who owns everything; rights are not enforced"
_SHALLOW_CLONE = emulated(
    rf"(?P<verb>create(?: or replace)?|replace) table(?P<exists> if not exists)? {_NAME} shallow clone "
    rf"(?P<source>{NAME})(?P<rest>.*)",
    clones.shallow_clone,
    "Delta clones in two commits, into empty tables only, and no catalog knows that it is a clone",
)

EMULATED: dict[str, tuple[Emulated, ...]] = {
    "use": (
        emulated(rf"use catalog (?P<name>{IDENTIFIER}|{STRING})", alterations.use_catalog, "Spark says SET CATALOG"),
    ),
    "describe": (
        emulated(
            rf"desc(?:ribe)? (?:table )?(?:extended|formatted) {_NAME} as json",
            descriptions.describe_as_json,
            "Spark answers for its session catalog only",
        ),
        emulated(
            rf"desc(?:ribe)? detail {_NAME}", descriptions.describe_detail, "Delta tells the session catalog's name"
        ),
    ),
    "show": (
        emulated(
            rf"show table extended (?:in|from) {_NAME} like (?P<like>{STRING})",
            descriptions.show_table_extended,
            "Spark has it for its session catalog only",
        ),
        emulated(
            rf"show catalogs(?: (?:like )?(?P<like>{STRING}))?",
            descriptions.show_catalogs,
            "Spark lists the catalogs that this session has used",
        ),
        emulated(r"show grants? .*", descriptions.show_grants, _ONE_USER),
    ),
    "alter": (
        emulated(
            rf"alter (?:table|view) {_NAME} (?:(?:alter|change) column {_COLUMN} )?(?P<verb>set|unset) tags\s*"
            r"\((?P<tags>.*)\)",
            tags.set_or_unset,
            "Spark has no tags",
        ),
        emulated(
            rf"alter table {_NAME} drop constraint(?P<exists> if exists)? (?P<key>{IDENTIFIER}){_DROP_BEHAVIOR}",
            alterations.drop_constraint,
            "Delta's parser takes the statement and knows CHECK constraints only, and no CASCADE",
        ),
        emulated(
            rf"alter table {_NAME} drop primary key(?P<exists> if exists)?{_DROP_BEHAVIOR}",
            alterations.drop_primary_key,
            "Spark has no DROP PRIMARY KEY",
        ),
        emulated(
            rf"alter table {_NAME} drop foreign key(?P<exists> if exists)?\s*\((?P<columns>[^)]*)\)",
            alterations.drop_foreign_key,
            "Spark has no DROP FOREIGN KEY",
        ),
        emulated(
            rf"alter table {_NAME} (?:change|alter)(?: column)? {_COLUMN} set not null",
            alterations.set_not_null,
            "Delta cannot add NOT NULL to an existing column",
        ),
        emulated(
            rf"alter table {_NAME} cluster by auto", clustering.set_auto_clustering, clustering.NO_AUTO_CLUSTERING
        ),
        emulated(
            rf"alter table {_NAME} cluster by\s*(?:\(.*\)| none)",
            clustering.end_auto_clustering,
            "Delta knows no property of automatic clustering",
        ),
        emulated(rf"alter (?:table|view|schema|catalog) {_NAME} (?:set )?owner to .*", nothing, _ONE_USER),
    ),
    "comment": (
        emulated(
            rf"comment on column {_NAME}\s*\.\s*{_COLUMN} is {_TEXT}",
            comments.on_column,
            "Spark has ALTER TABLE ... COMMENT for tables, and nothing for views",
        ),
        emulated(rf"comment on view {_NAME} is {_TEXT}", comments.on_view, "Spark comments on tables only"),
        emulated(rf"comment on table {_NAME} is {_TEXT}", comments.on_table, "on Databricks it works for views too"),
    ),
    "create": (
        _SHALLOW_CLONE,
        emulated(
            r"create .*\bcluster by auto\b.*", clustering.create_with_auto_clustering, clustering.NO_AUTO_CLUSTERING
        ),
    ),
    "replace": (_SHALLOW_CLONE,),
    "grant": (emulated(r"grant .*", nothing, _ONE_USER),),
    "revoke": (emulated(r"revoke .*", nothing, _ONE_USER),),
    "optimize": (
        emulated(r"optimize .*", writes.optimize, "PySpark's Arrow conversion refuses a null inside Delta's metrics"),
    ),
    "undrop": (emulated(r"undrop .*", alterations.undrop, "Delta deletes the files of a managed table at once"),),
}

EMULATED["desc"] = EMULATED["describe"]

# Seeds and models can be megabytes of SQL: these are read only when the phrase in question is somewhere in them.
_ONLY_WITH = {
    "create": re.compile(r"\bcluster\s+by\s+auto\b|\bshallow\s+clone\b", re.IGNORECASE),
}


def emulate(spark: SparkSession, sql: str) -> Answer:
    """Return the statement to run instead, or its result; what is not emulated comes back as it came.

    Args:
        spark: the session that the statement runs in; its current catalog and schema complete names.
        sql: one statement, as the client sent it.

    Raises:
        StatementFailed: the statement is emulated and cannot be carried out.
    """
    word = first_word(sql)
    if word not in EMULATED or (word in _ONLY_WITH and not _ONLY_WITH[word].search(sql)):
        return sql
    text = bare(sql)
    for statement in EMULATED[word]:
        if match := statement.pattern.fullmatch(text):
            return statement.run(Statement(spark, match))
    return sql
