"""What the embedded workspace does for Databricks SQL below the emulated statements, for docs/fidelity.md.

The catalog's Java and the endpoint do it, under statements that Spark knows. What each does is taken from its own
source: the comment of a Java class, or the docstring of a module. A test looks that every extension and catalog that
Spark is started with stands here.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path

from dbx_cd.local.java_catalog import SOURCES

_PACKAGE = Path(__file__).parents[2]
_CATALOG = SOURCES / "dbxcd" / "local"
_JAVADOC = re.compile(r"^/\*\*(.*?)\*/$", re.MULTILINE | re.DOTALL)
_MARKUP = re.compile(r"\{@(?:code|link)\s+([^}]*)\}")
_RULES = re.compile(r"Rule\.(\w+),\s*List\.of\((.*?)\)", re.DOTALL)
_RIGHTS = {
    "MODIFY": "MODIFY on the object",
    "MANAGE": "MANAGE on the object",
    "OWN": "to own the object",
    "SELECT": "SELECT on the object",
    "SIGHT": "any privilege on the object, or BROWSE",
    "USE": "USE CATALOG or USE SCHEMA",
    "NOTHING": "nothing but what the queries in it read",
}


@dataclass(frozen=True)
class Elsewhere:
    """One thing that is done below the statements."""

    title: str
    """What it is about."""
    source: str
    """Who does it: the name of a class of the catalog, or a module's path in the package; its comment says what."""
    tests: tuple[str, ...]
    """`file::test` of the tests that show it."""
    lacks: str = ""
    """What is otherwise than on Databricks; empty where nothing is known."""
    also: tuple[str, ...] = ()
    """Further classes that have a part in it."""

    @property
    def path(self) -> Path:
        """The file of the source."""
        return _PACKAGE / self.source if self.source.endswith(".py") else _CATALOG / f"{self.source}.java"

    def does(self) -> str:
        """What its source says that it does.

        Raises:
            ValueError: it says nothing.
        """
        text = self.path.read_text(encoding="utf-8")
        comment = ast.get_docstring(ast.parse(text)) if self.path.suffix == ".py" else _javadoc(text)
        if not comment:
            raise ValueError(f"{self.path} has no comment that says what it does")
        return " ".join(comment.split("\n\n")[0].split())


def _javadoc(text: str) -> str:
    found = _JAVADOC.search(text)
    lines = [line.strip().removeprefix("*").strip() for line in found[1].splitlines()] if found else []
    return _MARKUP.sub(r"`\1`", " ".join(lines).strip())


def rights_of_commands() -> dict[str, tuple[str, ...]]:
    """The commands of Spark and Delta by the right that they need on the one object that they name."""
    text = (_CATALOG / "CommandTargets.java").read_text(encoding="utf-8")
    return {_RIGHTS[rule]: tuple(re.findall(r'"(\w+)"', names)) for rule, names in _RULES.findall(text)}


_TABLES, _VIEWS = "tests/spark/local/test_catalog_tables.py", "tests/spark/local/test_catalog_views.py"
_GUARD, _STATEMENTS = "tests/spark/local/test_plan_guard.py", "tests/spark/local/test_statement_rights.py"
_SEEN, _KEYS = "tests/spark/local/test_seen_objects.py", "tests/spark/local/test_keys.py"
_PROTOCOL = "tests/spark/sql_endpoint/test_session_and_protocol.py"
_COMMITS, _FILES = "tests/spark/local/test_commit_user.py", "tests/spark/local/test_file_tables.py"

ELSEWHERE: tuple[Elsewhere, ...] = (
    Elsewhere(
        "Rights",
        "PlanGuard",
        (
            f"{_STATEMENTS}::test_a_statement_takes_exactly_these_rights",
            f"{_GUARD}::test_a_view_is_read_with_the_rights_of_its_owner_through_every_level",
            f"{_GUARD}::test_a_function_reads_with_its_owner_s_rights_and_its_arguments_with_the_caller_s",
        ),
        lacks="Python in a task shares the JVM and the disk, and is not held back",
    ),
    Elsewhere(
        "The user in SQL", "UserFunctions", (f"{_GUARD}::test_sql_tells_the_session_s_user_and_groups",),
    ),
    Elsewhere(
        "What a user is told of",
        "SeenObjects",
        (
            f"{_SEEN}::test_a_user_is_told_of_what_he_has_rights_on",
            f"{_SEEN}::test_owners_are_shown_and_only_they_are_shown_the_text_of_a_view",
        ),
        also=("SessionCatalog",),
    ),
    Elsewhere(
        "Catalogs, tables and views",
        "LocalCatalog",
        (
            f"{_TABLES}::test_catalogs_do_not_see_each_other",
            f"{_TABLES}::test_names_ignore_case",
            f"{_VIEWS}::test_view_resolves_names_as_on_the_day_it_was_created",
        ),
    ),
    Elsewhere(
        "information_schema",
        "SystemCatalog",
        (
            f"{_VIEWS}::test_information_schema_lists_tables_and_columns",
            f"{_SEEN}::test_a_user_is_shown_what_he_was_granted",
        ),
        lacks="`column_masks` and `row_filters` are always empty; it has no other system schema",
    ),
    Elsewhere(
        "Catalogs that do not exist",
        "UnknownCatalog",
        ("tests/spark/local/test_unknown_catalog.py::test_every_statement_names_the_catalog_and_what_to_do",),
    ),
    Elsewhere(
        "Keys",
        "KeyRules",
        (
            f"{_KEYS}::test_a_table_with_a_key_that_is_refused_is_not_made",
            f"{_KEYS}::test_a_foreign_key_without_columns_refers_to_the_primary_key",
            f"{_KEYS}::test_a_foreign_key_goes_with_the_table_that_it_refers_to",
        ),
        also=("Keys", "ReferencedKeys"),
    ),
    Elsewhere(
        "Tags",
        "Tags",
        (f"{_KEYS}::test_keys_and_tags_follow_the_columns_and_the_table",),
        lacks="schemas, catalogs and volumes have no tags",
    ),
    Elsewhere(
        "Volumes",
        "Volumes",
        (
            "tests/spark/local/test_volumes.py::test_a_volume_is_created_described_listed_and_dropped_with_its_files",
            "tests/spark/local/test_volumes.py::test_a_schema_holds_its_volumes_and_takes_them_with_it",
        ),
        lacks="no external ones",
    ),
    Elsewhere(
        "The path of a Volume in a task",
        "local/notebooks/volume_mount.py",
        (
            "tests/processes/local/test_volume_mount.py::test_what_the_mount_cannot_do_fails_with_its_error",
            "tests/processes/local/test_volume_mount.py::test_the_identity_of_the_task_needs_read_volume_and_write_volume",
        ),
        lacks="what is not Python is not held back: shell commands, native writers",
    ),
    Elsewhere(
        "INSERT ... REPLACE ON, REPLACE USING",
        "ReplaceCriteria",
        (
            "tests/spark/local/test_replacing_rows.py::test_replace_on_any_column_is_one_commit_and_leaves_the_rest",
            "tests/spark/local/test_replacing_rows.py::test_replace_using_goes_by_equality_and_by_name",
            "tests/spark/local/test_replacing_rows.py::test_other_statements_of_the_session_overwrite_as_before",
        ),
        also=("ParameterParser",),
    ),
    Elsewhere("Parameters of statements", "ParameterParser", (f"{_TABLES}::test_parameters_reach_the_query",)),
    Elsewhere(
        "Functions written in SQL",
        "FunctionNames",
        ("tests/spark/local/test_functions.py::test_functions_are_called_by_one_to_three_names_and_in_views",),
        lacks="no functions in other languages",
    ),
    Elsewhere("Tables of files", "FileTables", (f"{_FILES}::test_what_was_written_is_read",)),
    Elsewhere("VARCHAR and CHAR", "DeclaredTypes", (f"{_KEYS}::test_types_are_shown_as_they_were_declared",)),
    Elsewhere("Table properties", "TableProperties", (f"{_FILES}::test_uniform_is_refused_before_anything_is_done",)),
    Elsewhere(
        "RENAME TO another schema",
        "TableMove",
        (
            "tests/spark/local/test_table_statements.py::test_a_table_is_renamed_to_another_schema_with_all_it_has",
            "tests/spark/local/test_catalog_restart.py::test_table_whose_move_was_killed_is_there_once_and_whole",
        ),
    ),
    Elsewhere(
        "Users in the history of a table",
        "CommitLog",
        (
            f"{_COMMITS}::test_every_kind_of_commit_names_the_user_of_the_session",
            f"{_COMMITS}::test_no_setting_changes_the_user",
        ),
    ),
    Elsewhere(
        "Affected rows", "WrittenRows", (f"{_PROTOCOL}::test_statements_that_write_answer_how_many_rows",),
    ),
    Elsewhere(
        "DESCRIBE HISTORY and DESCRIBE DETAIL in FROM",
        "local/emulation/described_relations.py",
        (f"{_PROTOCOL}::test_history_and_detail_stand_where_a_table_may",),
    ),
    Elsewhere(
        "SET and RESET of a session's settings, at the endpoint",
        "sql_endpoint/session_settings.py",
        (
            f"{_PROTOCOL}::test_ansi_mode_is_set_read_and_reset",
            f"{_PROTOCOL}::test_statement_timeout_ends_the_statements_after_it_until_it_is_reset",
            f"{_PROTOCOL}::test_setting_that_cannot_be_is_refused_by_its_name",
        ),
        lacks="USE_CACHED_RESULT, ENABLE_PHOTON and QUERY_TAGS change nothing; in notebooks these names are Spark's",
    ),
    Elsewhere(
        "A session's schema, at the endpoint",
        "sql_endpoint/missing_schema.py",
        (f"{_PROTOCOL}::test_session_waits_for_its_schema_and_never_falls_to_another",),
    ),
    Elsewhere(
        "SQLSTATEs, at the endpoint",
        "sql_endpoint/sql_state.py",
        (f"{_PROTOCOL}::test_every_error_ends_with_its_sqlstate",),
        also=("ErrorConditions",),
    ),
    Elsewhere(
        "Files on this machine",
        "LocalFiles",
        ("tests/spark/local/test_spark_session.py::test_files_have_no_checksum_files_and_the_mode_that_is_set",),
    ),
)  # fmt: skip
