"""Whose rights count: the reader's, those of a view's or function's owner, the caller's; and what SQL says of users."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pyspark.errors import AnalysisException
from pyspark.sql import SparkSession

from dbx_cd.local import rights
from dbx_cd.local.session_user import act_as
from dbx_cd.local.workspace import EmbeddedWorkspace

SCHEMA = "stg.plan_guard"
MAKER, SECOND, READER = "maker@example.com", "second@example.com", "reader2@example.com"
WAY = (("USE CATALOG", "CATALOG stg"), ("USE SCHEMA", f"SCHEMA {SCHEMA}"))
TABLE = f"TABLE {SCHEMA}.t"


@pytest.fixture(scope="module")
def maker(workspace: EmbeddedWorkspace) -> Iterator[SparkSession]:
    """Owns the tables."""
    spark = workspace.spark.newSession()
    rights.put_user(spark, MAKER, groups=["makers", "people"])
    rights.put_user(spark, SECOND)
    rights.put_user(spark, READER)
    spark.sql(f"CREATE SCHEMA {SCHEMA}")
    for privilege in ("CREATE TABLE", "CREATE FUNCTION"):
        for user in (MAKER, SECOND):
            rights.grant(spark, user, privilege, f"SCHEMA {SCHEMA}")
    for user in (MAKER, SECOND, READER):
        for need in WAY:
            rights.grant(spark, user, *need)
    maker = act_as(spark, MAKER)
    maker.sql(f"CREATE TABLE {SCHEMA}.t AS SELECT 1 AS id")
    maker.sql(f"CREATE TABLE {SCHEMA}.secret AS SELECT 42 AS s")
    yield maker
    spark.sql(f"DROP SCHEMA {SCHEMA} CASCADE")
    for user in (MAKER, SECOND, READER):
        rights.revoke(spark, user, *WAY[0])


@pytest.fixture(scope="module")
def second(maker: SparkSession) -> SparkSession:
    return act_as(maker, SECOND)


@pytest.fixture(scope="module")
def reader(maker: SparkSession) -> SparkSession:
    return act_as(maker, READER)


def refused(session: SparkSession, sql: str) -> str:
    with pytest.raises(AnalysisException) as refusal:
        session.sql(sql).collect()
    assert refusal.value.getCondition() == "INSUFFICIENT_PERMISSIONS"
    return " ".join(str(refusal.value).split("\n")[:2])  # what follows is the plan


def ids(session: SparkSession, sql: str) -> list[int]:
    return [row[0] for row in session.sql(sql).collect()]


def test_a_view_is_read_with_the_rights_of_its_owner_through_every_level(
    maker: SparkSession, second: SparkSession, reader: SparkSession
) -> None:
    rights.grant(maker, SECOND, "SELECT", TABLE)
    second.sql(f"CREATE VIEW {SCHEMA}.v AS SELECT id FROM {SCHEMA}.t WHERE id IN (SELECT id FROM {SCHEMA}.t)")
    rights.grant(maker, MAKER, "SELECT", f"TABLE {SCHEMA}.v")
    maker.sql(f"CREATE VIEW {SCHEMA}.over AS SELECT id FROM {SCHEMA}.v")
    rights.grant(maker, READER, "SELECT", f"TABLE {SCHEMA}.over")
    assert ids(reader, f"SELECT * FROM {SCHEMA}.over") == [1]
    assert "SELECT on Table 'stg.plan_guard.v'" in refused(reader, f"SELECT * FROM {SCHEMA}.v")
    # What the owner of the inner view may read no more, nobody reads through it.
    rights.revoke(maker, SECOND, "SELECT", TABLE)
    assert "SELECT on Table 'stg.plan_guard.t'" in refused(reader, f"SELECT * FROM {SCHEMA}.over")
    assert "SELECT on Table 'stg.plan_guard.t'" in refused(maker, f"SELECT * FROM {SCHEMA}.over")


def test_a_function_reads_with_its_owner_s_rights_and_its_arguments_with_the_caller_s(
    maker: SparkSession, reader: SparkSession
) -> None:
    maker.sql(f"CREATE FUNCTION {SCHEMA}.f(x INT) RETURNS INT RETURN (SELECT max(id) FROM {SCHEMA}.t) + x")
    maker.sql(f"CREATE FUNCTION {SCHEMA}.g(x INT) RETURNS TABLE (id INT) RETURN SELECT id + x FROM {SCHEMA}.t")
    for name in "fg":
        rights.grant(maker, READER, "EXECUTE", f"FUNCTION {SCHEMA}.{name}")
    assert ids(reader, f"SELECT {SCHEMA}.f(1)") == [2]
    assert ids(reader, f"SELECT * FROM {SCHEMA}.g(1)") == [2]
    secret = f"(SELECT max(s) FROM {SCHEMA}.secret)"
    for call in (f"SELECT {SCHEMA}.f({secret})", f"SELECT * FROM {SCHEMA}.g({secret})"):
        assert "SELECT on Table 'stg.plan_guard.secret'" in refused(reader, call)
        assert ids(maker, call) == [43]


def test_a_function_belongs_to_who_made_it(maker: SparkSession, second: SparkSession) -> None:
    second.sql(f"CREATE FUNCTION {SCHEMA}.mine() RETURNS INT RETURN 1")
    assert rights.owner_of(maker, f"FUNCTION {SCHEMA}.mine") == SECOND
    text = refused(maker, f"CREATE OR REPLACE FUNCTION {SCHEMA}.mine() RETURNS INT RETURN 2")
    assert "MANAGE on Routine or Model 'stg.plan_guard.mine'" in text
    second.sql(f"DROP FUNCTION {SCHEMA}.mine")
    assert rights.owner_of(maker, f"FUNCTION {SCHEMA}.mine") is None


def test_a_replaced_function_keeps_its_owner_and_grants(maker: SparkSession, reader: SparkSession) -> None:
    maker.sql(f"CREATE FUNCTION {SCHEMA}.kept() RETURNS INT RETURN 1")
    rights.grant(maker, READER, "EXECUTE", f"FUNCTION {SCHEMA}.kept")
    maker.sql(f"CREATE OR REPLACE FUNCTION {SCHEMA}.kept() RETURNS INT RETURN 2")
    assert ids(reader, f"SELECT {SCHEMA}.kept()") == [2]
    maker.sql(f"DROP FUNCTION {SCHEMA}.kept")
    maker.sql(f"CREATE FUNCTION {SCHEMA}.kept() RETURNS INT RETURN 3")
    assert "EXECUTE on Routine or Model" in refused(reader, f"SELECT {SCHEMA}.kept()")


def test_a_replaced_view_keeps_its_owner_and_no_grants_and_an_altered_one_keeps_both(
    maker: SparkSession, reader: SparkSession
) -> None:
    view = f"{SCHEMA}.replaced"
    maker.sql(f"CREATE VIEW {view} AS SELECT 1 AS id")
    rights.grant(maker, READER, "SELECT", f"TABLE {view}")
    maker.sql(f"ALTER VIEW {view} AS SELECT 2 AS id")
    assert ids(reader, f"SELECT * FROM {view}") == [2]
    maker.sql(f"CREATE OR REPLACE VIEW {view} AS SELECT 3 AS id")
    assert f"SELECT on Table '{view}'" in refused(reader, f"SELECT * FROM {view}")
    assert rights.owner_of(maker, f"TABLE {view}") == MAKER


def test_what_nobody_has_said_the_rights_of_is_refused(maker: SparkSession) -> None:
    text = refused(maker, "CONVERT TO DELTA parquet.`/nowhere`")
    assert "does not know what rights ConvertToDeltaCommand takes" in text


def test_explain_tells_what_is_missing_and_not_where_files_are(reader: SparkSession) -> None:
    told = "\n".join(row[0] for row in reader.sql(f"EXPLAIN FORMATTED SELECT * FROM {SCHEMA}.t").collect())
    assert "User does not have SELECT on Table 'stg.plan_guard.t'" in told
    assert "file:" not in told


def test_a_temporary_view_gives_nobody_a_right(maker: SparkSession, reader: SparkSession) -> None:
    maker.sql(f"CREATE OR REPLACE GLOBAL TEMPORARY VIEW shared AS SELECT * FROM {SCHEMA}.t")
    text = refused(reader, "SELECT * FROM global_temp.shared")
    assert "SELECT on Table 'stg.plan_guard.t'" in text


def test_sql_tells_the_session_s_user_and_groups(maker: SparkSession, second: SparkSession) -> None:
    (row,) = maker.sql("SELECT current_user(), session_user(), user(), is_member('makers')").collect()
    assert tuple(row) == (MAKER, MAKER, MAKER, True)
    assert row.__fields__[0] == "current_user()"
    groups = maker.sql("SELECT g, is_account_group_member(g) FROM VALUES ('people'), ('others'), (NULL) AS t(g)")
    assert {tuple(row) for row in groups.collect()} == {("people", True), ("others", False), (None, None)}
    maker.sql(f"CREATE VIEW {SCHEMA}.who AS SELECT current_user() AS who, is_member('makers') AS is_maker")
    rights.grant(maker, SECOND, "SELECT", f"TABLE {SCHEMA}.who")
    assert tuple(maker.table(f"{SCHEMA}.who").collect()[0]) == (MAKER, True)
    assert tuple(second.table(f"{SCHEMA}.who").collect()[0]) == (SECOND, False)


def test_a_column_s_default_and_a_check_name_the_session_s_user(maker: SparkSession) -> None:
    table = f"{SCHEMA}.signed"
    maker.sql(
        f"CREATE TABLE {table} (id INT, who STRING DEFAULT current_user())"
        " TBLPROPERTIES ('delta.feature.allowColumnDefaults' = 'supported')"
    )
    maker.sql(f"INSERT INTO {table} (id) VALUES (1)")
    maker.sql(f"ALTER TABLE {table} ADD CONSTRAINT own CHECK (who = current_user())")
    maker.sql(f"INSERT INTO {table} (id) SELECT 2")
    assert [row.who for row in maker.table(table).collect()] == [MAKER, MAKER]


def test_a_table_of_nobody_s_does_not_become_his_who_moves_it(spark: SparkSession, maker: SparkSession) -> None:
    other = "stg.plan_guard_2"
    session = spark.newSession()
    session.sql(f"CREATE SCHEMA {other}")
    session.sql(f"CREATE TABLE {SCHEMA}.nobodys AS SELECT 1 AS id")
    for need in (
        ("MANAGE", f"TABLE {SCHEMA}.nobodys"),
        ("USE SCHEMA", f"SCHEMA {other}"),
        ("CREATE TABLE", f"SCHEMA {other}"),
    ):
        rights.grant(spark, MAKER, *need)
    try:
        maker.sql(f"ALTER TABLE {SCHEMA}.nobodys RENAME TO {other}.nobodys")
        assert rights.owner_of(spark, f"TABLE {other}.nobodys") is None
        assert "SELECT on Table 'stg.plan_guard_2.nobodys'" in refused(maker, f"SELECT * FROM {other}.nobodys")
    finally:
        session.sql(f"DROP SCHEMA {other} CASCADE")


def test_the_workspace_itself_may_do_everything(spark: SparkSession, maker: SparkSession) -> None:
    session = spark.newSession()
    assert ids(session, f"SELECT id FROM {SCHEMA}.t") == [1]
    session.sql(f"CREATE TABLE {SCHEMA}.own AS SELECT 1 AS id")
    session.sql(f"DROP TABLE {SCHEMA}.own")
