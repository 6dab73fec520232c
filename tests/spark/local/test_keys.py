"""Primary and foreign keys, NOT NULL and tags of columns: what Unity Catalog refuses, and what follows a change."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from emulated_statements import Run, runner
from py4j.protocol import Py4JJavaError
from pyspark.errors import AnalysisException
from pyspark.sql import SparkSession

SCHEMA = "dev_anna.keyed"


@pytest.fixture(scope="module")
def run(spark: SparkSession) -> Iterator[Run]:
    run_emulated = runner(spark)
    run_emulated(f"CREATE SCHEMA {SCHEMA}")
    run_emulated(
        f"CREATE TABLE {SCHEMA}.parent (id INT, other STRING NOT NULL, CONSTRAINT parent_key PRIMARY KEY (ID)) "
        "TBLPROPERTIES ('delta.columnMapping.mode' = 'name')"
    )
    run_emulated(f"CREATE TABLE {SCHEMA}.keyless (id INT)")
    yield run_emulated
    run_emulated(f"DROP SCHEMA {SCHEMA} CASCADE")


def keys(run: Run, table: str) -> list[tuple[str, str]]:
    columns = "SELECT constraint_name, column_name FROM dev_anna.information_schema.key_column_usage"
    return [(name, column) for name, column in run(f"{columns} WHERE table_name = '{table}' ORDER BY 1, 2")]


def relations(run: Run) -> set[str]:
    return {row[1] for row in run(f"SHOW TABLES IN {SCHEMA}")}


REFUSED_KEYS = {
    "column that is not there": ("PRIMARY KEY (nope)", "UNRESOLVED_COLUMN"),
    "name that is taken in the schema": ("CONSTRAINT parent_key PRIMARY KEY (id)", "CONSTRAINT_ALREADY_EXISTS"),
    "parent that is not there": (f"FOREIGN KEY (id) REFERENCES {SCHEMA}.nowhere (id)", "TABLE_OR_VIEW_NOT_FOUND"),
    "parent without a key": (f"FOREIGN KEY (id) REFERENCES {SCHEMA}.keyless (id)", "FOREIGN_KEY_MISMATCH"),
    "columns that are not the key": (f"FOREIGN KEY (s) REFERENCES {SCHEMA}.parent (other)", "FOREIGN_KEY_MISMATCH"),
    "another type": (f"FOREIGN KEY (s) REFERENCES {SCHEMA}.parent (id)", "FOREIGN_KEY_MISMATCH"),
    "another number": (f"FOREIGN KEY (id, s) REFERENCES {SCHEMA}.parent", "FOREIGN_KEY_MISMATCH"),
    "foreign column that is not there": (f"FOREIGN KEY (nope) REFERENCES {SCHEMA}.parent", "UNRESOLVED_COLUMN"),
}


@pytest.mark.parametrize("case", REFUSED_KEYS)
def test_a_table_with_a_key_that_is_refused_is_not_made(run: Run, case: str) -> None:
    key, condition = REFUSED_KEYS[case]
    for create in ("CREATE TABLE", "CREATE OR REPLACE TABLE"):
        with pytest.raises(AnalysisException, match=condition):
            run(f"{create} {SCHEMA}.refused (id INT, s STRING, {key})")
    assert "refused" not in relations(run)


def test_a_check_that_delta_refuses_leaves_neither_a_new_table_nor_keys(run: Run) -> None:
    table, name = f"{SCHEMA}.checked", "__CHAR_VARCHAR_STRING_LENGTH_CHECK__"  # a name that Delta keeps for itself
    definition = f"(id INT, CONSTRAINT other_key PRIMARY KEY (id), CONSTRAINT {name} CHECK (id > 0))"
    for create in ("CREATE TABLE", "CREATE OR REPLACE TABLE"):
        with pytest.raises(AnalysisException, match=name):
            run(f"{create} {table} {definition}")
        assert "checked" not in relations(run)
    run(f"CREATE TABLE {table} (gone INT, CONSTRAINT checked_key PRIMARY KEY (gone))")
    with pytest.raises(AnalysisException, match=name):
        run(f"CREATE OR REPLACE TABLE {table} {definition}")
    assert keys(run, "checked") == []
    run(f"DROP TABLE {table}")


def test_a_second_primary_key_and_one_over_a_nullable_column_are_refused(run: Run) -> None:
    with pytest.raises(AnalysisException, match="MULTIPLE_PRIMARY_KEYS"):
        run(f"ALTER TABLE {SCHEMA}.parent ADD CONSTRAINT another PRIMARY KEY (other)")
    with pytest.raises(AnalysisException, match=r"Cannot create the primary key `k` because .* `id` is nullable"):
        run(f"ALTER TABLE {SCHEMA}.keyless ADD CONSTRAINT k PRIMARY KEY (id)")
    assert keys(run, "parent") == [("parent_key", "id")]


def test_a_foreign_key_without_columns_refers_to_the_primary_key(run: Run) -> None:
    run(f"CREATE TABLE {SCHEMA}.child (id INT REFERENCES {SCHEMA}.parent COMMENT 'references x')")
    text = run(f"DESCRIBE TABLE EXTENDED {SCHEMA}.child AS JSON")[0][0]
    assert "REFERENCES `dev_anna`.`keyed`.`parent` (`id`)" in json.loads(text)["table_constraints"]
    run(f"DROP TABLE {SCHEMA}.child")


def test_a_primary_key_with_foreign_keys_is_dropped_by_cascade_only(run: Run) -> None:
    run(f"CREATE TABLE {SCHEMA}.owner (id INT, CONSTRAINT owner_key PRIMARY KEY (id))")
    run(f"CREATE TABLE {SCHEMA}.pet (id INT, CONSTRAINT to_owner FOREIGN KEY (id) REFERENCES {SCHEMA}.owner)")
    for drop in ("PRIMARY KEY", "PRIMARY KEY RESTRICT", "CONSTRAINT owner_key"):
        with pytest.raises(AnalysisException, match="A foreign key `to_owner` depends on the primary key `owner_key`"):
            run(f"ALTER TABLE {SCHEMA}.owner DROP {drop}")
    run(f"ALTER TABLE {SCHEMA}.owner DROP PRIMARY KEY CASCADE")
    assert keys(run, "owner") + keys(run, "pet") == []


def test_keys_and_tags_follow_the_columns_and_the_table(run: Run) -> None:
    parent = f"{SCHEMA}.followed"
    run(
        f"CREATE TABLE {parent} (id INT, gone INT, CONSTRAINT followed_key PRIMARY KEY (id)) "
        "TBLPROPERTIES ('delta.columnMapping.mode' = 'name')"
    )
    run(f"CREATE TABLE {SCHEMA}.follower (id INT, CONSTRAINT follows FOREIGN KEY (id) REFERENCES {parent})")
    for column in ("id", "gone"):
        run(f"ALTER TABLE {parent} ALTER COLUMN {column} SET TAGS ('of' = '{column}')")
    run(f"ALTER TABLE {parent} RENAME COLUMN id TO ident")
    run(f"ALTER TABLE {parent} DROP COLUMN gone")
    run(f"ALTER TABLE {parent} RENAME TO {SCHEMA}.moved")
    assert keys(run, "moved") == [("followed_key", "ident")]
    described = json.loads(run(f"DESCRIBE TABLE EXTENDED {SCHEMA}.follower AS JSON")[0][0])
    assert "`dev_anna`.`keyed`.`moved` (`ident`)" in described["table_constraints"]
    tags = "SELECT column_name, tag_value FROM dev_anna.information_schema.column_tags WHERE table_name = 'moved'"
    assert run(tags) == [("ident", "id")]
    run(f"ALTER TABLE {SCHEMA}.moved ADD COLUMN more INT")
    run(f"ALTER TABLE {SCHEMA}.moved REPLACE COLUMNS (more INT)")
    assert keys(run, "moved") + keys(run, "follower") + run(tags) == []


def test_a_foreign_key_goes_with_the_table_that_it_refers_to(run: Run) -> None:
    run(f"CREATE TABLE {SCHEMA}.first (id INT, CONSTRAINT first_key PRIMARY KEY (id))")
    run(f"CREATE TABLE {SCHEMA}.second (id INT, CONSTRAINT to_first FOREIGN KEY (id) REFERENCES {SCHEMA}.first)")
    run(f"CREATE OR REPLACE TABLE {SCHEMA}.first (id INT, CONSTRAINT first_key PRIMARY KEY (id))")
    assert keys(run, "second") == [("to_first", "id")]
    run(f"DROP TABLE {SCHEMA}.first")
    assert keys(run, "second") == []
    run(f"CREATE TABLE {SCHEMA}.first (id INT, CONSTRAINT first_key PRIMARY KEY (id))")
    run(f"ALTER TABLE {SCHEMA}.second ADD CONSTRAINT to_first FOREIGN KEY (id) REFERENCES {SCHEMA}.first")
    run(f"CREATE OR REPLACE TABLE {SCHEMA}.first AS SELECT 1 AS id")
    assert keys(run, "second") == []


def test_set_not_null_is_of_the_column_and_leaves_no_property(run: Run) -> None:
    table = f"{SCHEMA}.not_null"
    run(f"CREATE TABLE {table} (id INT)")
    run(f"INSERT INTO {table} VALUES (1), (NULL)")
    with pytest.raises(AnalysisException, match="DELTA_NEW_NOT_NULL_VIOLATION"):
        run(f"ALTER TABLE {table} ALTER COLUMN id SET NOT NULL")
    run(f"DELETE FROM {table} WHERE id IS NULL")
    properties = run(f"SHOW TBLPROPERTIES {table}")
    run(f"ALTER TABLE {table} ALTER COLUMN ID SET NOT NULL")
    assert run(f"SHOW TBLPROPERTIES {table}") == properties
    nullable = "SELECT is_nullable FROM dev_anna.information_schema.columns WHERE table_name = 'not_null'"
    assert run(nullable) == [("NO",)]
    with pytest.raises(Py4JJavaError, match="DELTA_NOT_NULL_CONSTRAINT_VIOLATED"):
        run(f"INSERT INTO {table} VALUES (NULL)")
    run(f"ALTER TABLE {table} ALTER COLUMN id DROP NOT NULL")
    run(f"INSERT INTO {table} VALUES (NULL)")


def test_types_are_shown_as_they_were_declared(run: Run) -> None:
    table = f"{SCHEMA}.declared"
    run(f"CREATE TABLE {table} (v VARCHAR(5), c CHAR(2), s STRUCT<Aa: INT, bB: VARCHAR(3)>)")
    types = ["varchar(5)", "char(2)", "struct<Aa:int,bB:varchar(3)>"]
    assert [row[1] for row in run(f"DESCRIBE TABLE {table}")] == types
    columns = "SELECT full_data_type FROM dev_anna.information_schema.columns WHERE table_name = 'declared'"
    assert [row[0] for row in run(columns)] == types
    described = json.loads(run(f"DESCRIBE TABLE EXTENDED {table} AS JSON")[0][0])["columns"]
    assert described[0]["type"] == {"name": "varchar", "length": 5}
    with pytest.raises(Py4JJavaError, match="DELTA_EXCEED_CHAR_VARCHAR_LIMIT"):
        run(f"INSERT INTO {table} (v) VALUES ('longer')")
