"""What each statement takes: with exactly these rights it runs, and without any one of them it is refused by name."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from delta.tables import DeltaTable
from pyspark.errors import AnalysisException
from pyspark.sql import SparkSession

import dbx_cd.local
from dbx_cd.local import rights
from dbx_cd.local.session_user import act_as
from dbx_cd.local.workspace import EmbeddedWorkspace

SCHEMA = "stg.statement_rights"
OTHER = "stg.statement_rights_2"
USER = "reader@example.com"
OWNER = "owner@example.com"
WAY = (("USE CATALOG", "CATALOG stg"), ("USE SCHEMA", f"SCHEMA {SCHEMA}"))
READ, CHANGED, VIEW = f"TABLE {SCHEMA}.r", f"TABLE {SCHEMA}.w", f"TABLE {SCHEMA}.v"
CREATE = ("CREATE TABLE", f"SCHEMA {SCHEMA}")
NAMES = {"s": SCHEMA, "o": OTHER}


@dataclass(frozen=True)
class Case:
    """A statement, and what it takes besides the way to the schema; `{s}` is the schema and `{o}` another one."""

    statement: str | Callable[[SparkSession], Any]
    needs: tuple[tuple[str, str], ...] = ()
    before: tuple[str, ...] = ()
    way: tuple[tuple[str, str], ...] = WAY
    name: str = field(default="")

    @property
    def shown(self) -> str:
        return self.name or str(self.statement)


def select(on: str = READ) -> tuple[str, str]:
    return ("SELECT", on)


def modify(on: str = CHANGED) -> tuple[str, str]:
    return ("MODIFY", on)


def manage(on: str = CHANGED) -> tuple[str, str]:
    return ("MANAGE", on)


def api(name: str, run: Callable[[SparkSession], Any], *needs: tuple[str, str]) -> Case:
    return Case(run, needs, name=name)


READING = [
    Case("SELECT * FROM {s}.r", (select(),)),
    Case("WITH c AS (SELECT id FROM {s}.r) SELECT count(*) FROM c", (select(),)),
    Case("SELECT 1 WHERE EXISTS (SELECT 1 FROM {s}.r)", (select(),)),
    Case("SELECT (SELECT max(id) FROM {s}.r) + 1", (select(),)),
    Case("SELECT * FROM {s}.w JOIN {s}.r USING (id)", (select(), select(CHANGED))),
    Case("SELECT * FROM {s}.r VERSION AS OF 0", (select(),)),
    Case("SELECT * FROM {s}.v", (select(VIEW),)),
    Case("SELECT * FROM table_changes('{s}.changes', 0)", (select(f"TABLE {SCHEMA}.changes"),)),
    Case("SELECT * FROM spark_catalog.stg__statement_rights.r", (select(),)),
    Case("EXECUTE IMMEDIATE 'SELECT count(*) FROM {s}.r'", (select(),)),
    Case("BEGIN SELECT count(*) FROM {s}.r; END", (select(),)),
    Case("DESCRIBE QUERY SELECT * FROM {s}.r", (select(),)),
    Case("CREATE OR REPLACE TEMPORARY VIEW mine AS SELECT * FROM {s}.r", (select(),)),
    Case("CACHE TABLE {s}.r", (select(),)),
    Case("SELECT {s}.f(1)", (("EXECUTE", f"FUNCTION {SCHEMA}.f"),)),
    Case("SELECT * FROM {s}.g(1)", (("EXECUTE", f"FUNCTION {SCHEMA}.g"),)),
    Case("SELECT * FROM {s}.g((SELECT max(id) FROM {s}.w))", (("EXECUTE", f"FUNCTION {SCHEMA}.g"), select(CHANGED))),
    api("spark.table", lambda s: s.table(f"{SCHEMA}.r").count(), select()),
    api("a stream", lambda s: s.readStream.table(f"{SCHEMA}.r"), select()),
    api("a path", lambda s: s.read.format("delta").load(path_of(s, "r")).count(), select()),
    api("a path of files", lambda s: s.read.parquet(path_of(s, "r")).count(), select()),
    api("a table's log", lambda s: s.read.text(path_of(s, "r") + "/_delta_log").count(), select()),
    api("DeltaTable.history", lambda s: DeltaTable.forName(s, f"{SCHEMA}.r").history().count(), select()),
]
TOLD = [
    Case(statement, (select(),))
    for statement in (
        "DESCRIBE TABLE {s}.r",
        "DESCRIBE TABLE EXTENDED {s}.r",
        "DESCRIBE {s}.r id",
        "SHOW COLUMNS IN {s}.r",
        "SHOW TBLPROPERTIES {s}.r",
        "DESCRIBE HISTORY {s}.r",
        "DESCRIBE DETAIL {s}.r",
        "REFRESH TABLE {s}.r",
    )
] + [
    Case("DESCRIBE SCHEMA {s}"),
    Case("USE {s}"),
    api("catalog.listColumns", lambda s: s.catalog.listColumns(f"{SCHEMA}.r"), select()),
]
WRITING = [
    Case("INSERT INTO {s}.w SELECT 1, 'a'", (modify(),)),
    Case("INSERT INTO {s}.w SELECT * FROM {s}.r", (modify(), select())),
    Case("INSERT OVERWRITE {s}.w SELECT 1, 'a'", (modify(),)),
    Case("INSERT INTO {s}.w REPLACE WHERE id > 100 SELECT 101, 'a'", (modify(),)),
    Case("INSERT INTO {s}.w REPLACE USING (id) SELECT 1 AS id, 'a' AS v", (modify(),)),
    Case("UPDATE {s}.w SET id = 5 WHERE id = 4", (modify(), select(CHANGED))),
    Case("DELETE FROM {s}.w WHERE id = 4", (modify(), select(CHANGED))),
    Case(
        "MERGE INTO {s}.w USING {s}.r ON w.id = r.id WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *",
        (modify(), select(CHANGED), select()),
    ),
    Case("OPTIMIZE {s}.w", (modify(),)),
    Case("OPTIMIZE {s}.w ZORDER BY (id)", (modify(),)),
    Case("VACUUM {s}.w", (modify(),)),
    Case("RESTORE TABLE {s}.w TO VERSION AS OF 0", (modify(),)),
    Case("REORG TABLE {s}.w APPLY (PURGE)", (modify(),)),
    Case("TRUNCATE TABLE {s}.w", (modify(),)),
    Case("INSERT INTO {s}.files SELECT 1", (modify(f"TABLE {SCHEMA}.files"),)),
    api("insertInto", lambda s: s.sql("SELECT 1, 'a'").write.insertInto(f"{SCHEMA}.w"), modify()),
    api("save by path", lambda s: rows(s).write.format("delta").mode("append").save(path_of(s, "w")), modify()),
    api("files in a table's folder", lambda s: rows(s).write.mode("append").parquet(path_of(s, "w") + "/x"), modify()),
    api(
        "DeltaTable.delete",
        lambda s: DeltaTable.forName(s, f"{SCHEMA}.w").delete("id = 77"),
        modify(), select(CHANGED),
    ),
    api(
        "DeltaTable.addFeatureSupport",
        lambda s: DeltaTable.forName(s, f"{SCHEMA}.w").addFeatureSupport("deletionVectors"),
        modify(), select(CHANGED),
    ),
]  # fmt: skip
ALTERING = [
    Case(statement, (modify(),))
    for statement in (
        "ALTER TABLE {s}.w ADD COLUMNS (more INT)",
        "ALTER TABLE {s}.w ALTER COLUMN v COMMENT 'x'",
        "ALTER TABLE {s}.w SET TBLPROPERTIES ('delta.columnMapping.mode' = 'name')",
        "ALTER TABLE {s}.w RENAME COLUMN more TO less",
        "ALTER TABLE {s}.w DROP COLUMN less",
        "ALTER TABLE {s}.w UNSET TBLPROPERTIES IF EXISTS ('none')",
        "COMMENT ON TABLE {s}.w IS 'x'",
    )
] + [
    Case("ALTER TABLE {s}.w RENAME TO {s}.w2", (manage(),)),
    Case("ALTER TABLE {s}.w2 RENAME TO {s}.w", (manage(f"TABLE {SCHEMA}.w2"),)),
    Case("ALTER VIEW {s}.v SET TBLPROPERTIES ('a' = 'b')", (manage(VIEW),)),
    Case("COMMENT ON SCHEMA {s} IS 'x'", (("MANAGE", f"SCHEMA {SCHEMA}"),), way=WAY[:1]),
    Case("ALTER SCHEMA {s} SET DBPROPERTIES ('a' = 'b')", (("MANAGE", f"SCHEMA {SCHEMA}"),), way=WAY[:1]),
]
MAKING = [
    Case("CREATE TABLE {s}.n1 (id INT)", (CREATE,)),
    Case("CREATE TABLE IF NOT EXISTS {s}.n1 (id INT)", (CREATE,)),
    Case("CREATE TABLE {s}.n2 AS SELECT * FROM {s}.r", (CREATE, select())),
    Case("CREATE TABLE {s}.n3 LIKE {s}.r", (CREATE, select())),
    Case("CREATE OR REPLACE TABLE {s}.n4 AS SELECT 1 AS id", (CREATE,)),
    Case("CREATE OR REPLACE TABLE {s}.w3 AS SELECT 1 AS id", (CREATE, manage(f"TABLE {SCHEMA}.w3"))),
    Case("CREATE OR REPLACE TABLE {s}.w3 (id INT)", (CREATE, manage(f"TABLE {SCHEMA}.w3"))),
    Case("CREATE VIEW {s}.n5 AS SELECT * FROM {s}.r", (CREATE, select())),
    Case("CREATE VIEW IF NOT EXISTS {s}.v AS SELECT * FROM {s}.r", (CREATE, select())),
    Case("CREATE SCHEMA stg.statement_rights_3", (("CREATE SCHEMA", "CATALOG stg"),), way=WAY[:1]),
    Case("CREATE SCHEMA IF NOT EXISTS {s}", (("CREATE SCHEMA", "CATALOG stg"),), way=WAY[:1]),
    Case("CREATE FUNCTION {s}.n6() RETURNS INT RETURN 1", (("CREATE FUNCTION", f"SCHEMA {SCHEMA}"),)),
    Case(
        "CREATE FUNCTION {s}.n7() RETURNS INT RETURN (SELECT max(id) FROM {s}.r)",
        (("CREATE FUNCTION", f"SCHEMA {SCHEMA}"), select()),
    ),
    api("saveAsTable", lambda s: rows(s).write.saveAsTable(f"{SCHEMA}.n8"), CREATE),
    api("writeTo.create", lambda s: rows(s).writeTo(f"{SCHEMA}.n9").create(), CREATE),
]
DROPPING = [
    Case("DROP TABLE {s}.w3", (manage(f"TABLE {SCHEMA}.w3"),)),
    Case("DROP TABLE spark_catalog.stg__statement_rights.w4", (manage(f"TABLE {SCHEMA}.w4"),)),
    Case("DROP VIEW {s}.v", (manage(VIEW),)),
    Case("DROP FUNCTION {s}.f", (manage(f"FUNCTION {SCHEMA}.f"),)),
    Case("DROP SCHEMA {o} CASCADE", (("MANAGE", f"SCHEMA {OTHER}"),), way=WAY[:1]),
]
CASES = [*READING, *TOLD, *WRITING, *ALTERING, *MAKING, *DROPPING]


def rows(spark: SparkSession) -> Any:
    return spark.sql("SELECT 1 AS id, 'a' AS v")


def path_of(spark: SparkSession, table: str) -> str:
    return f"{spark.conf.get('spark.sql.warehouse.dir')}/stg/statement_rights/{table}"


@pytest.fixture(scope="module")
def user(workspace: EmbeddedWorkspace) -> Iterator[SparkSession]:
    """A session of somebody who has no right yet; the tables, views and functions belong to somebody else."""
    spark = workspace.spark.newSession()
    for name in (USER, OWNER):
        rights.put_user(spark, name)
    for privilege in ("ALL PRIVILEGES", "MANAGE"):
        rights.grant(spark, OWNER, privilege, "CATALOG stg")
    owner = act_as(spark, OWNER)
    for statement in (
        "CREATE SCHEMA {s}",
        "CREATE SCHEMA {o}",
        "CREATE TABLE {s}.r AS SELECT 1 AS id, 'a' AS v",
        "CREATE TABLE {s}.w AS SELECT 1 AS id, 'a' AS v",
        "CREATE TABLE {s}.w3 AS SELECT 1 AS id",
        "CREATE TABLE {s}.w4 AS SELECT 1 AS id",
        "CREATE TABLE {s}.files (id INT) USING parquet",
        "CREATE TABLE {s}.changes TBLPROPERTIES (delta.enableChangeDataFeed = true) AS SELECT 1 AS id",
        "CREATE VIEW {s}.v AS SELECT * FROM {s}.r",
        "CREATE FUNCTION {s}.f(x INT) RETURNS INT RETURN (SELECT max(id) FROM {s}.r) + x",
        "CREATE FUNCTION {s}.g(x INT) RETURNS TABLE (id INT) RETURN SELECT id + x FROM {s}.r",
    ):
        owner.sql(statement.format(**NAMES))
    yield act_as(spark, USER)
    spark.sql(f"DROP SCHEMA {SCHEMA} CASCADE")
    spark.sql("DROP SCHEMA IF EXISTS stg.statement_rights_3")
    for privilege in ("ALL PRIVILEGES", "MANAGE"):
        rights.revoke(spark, OWNER, privilege, "CATALOG stg")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.shown)
def test_a_statement_takes_exactly_these_rights(user: SparkSession, case: Case) -> None:
    needs = [*case.way, *case.needs]
    for need in needs:
        rights.grant(user, USER, *need)
    try:
        for need in needs:
            rights.revoke(user, USER, *need)
            with pytest.raises(AnalysisException) as refused:
                run(user, case)
            assert refused.value.getCondition() == "INSUFFICIENT_PERMISSIONS"
            assert refused.value.getSqlState() == "42501"
            assert denial(need) in str(refused.value)
            rights.grant(user, USER, *need)
        run(user, case)
    finally:
        for need in needs:
            rights.revoke(user, USER, *need)


OWNED = (
    "ALTER TABLE {s}.w ADD CONSTRAINT positive CHECK (id > -10)",
    "ALTER TABLE {s}.w DROP CONSTRAINT positive",
    "ALTER TABLE {s}.w CLUSTER BY (id)",
    "ALTER VIEW {s}.v AS SELECT 1 AS id",
    "CREATE OR REPLACE VIEW {s}.v AS SELECT 1 AS id",
)


@pytest.mark.parametrize("statement", OWNED)
def test_what_only_an_owner_may_no_privilege_allows(user: SparkSession, statement: str) -> None:
    name = CHANGED if ".w " in statement else VIEW
    owner = act_as(user, OWNER)
    if name == VIEW and not owner.catalog.tableExists(f"{SCHEMA}.v"):
        owner.sql(f"CREATE VIEW {SCHEMA}.v AS SELECT 1 AS id")
    needs = [*WAY, CREATE, ("ALL PRIVILEGES", name), ("MANAGE", name)]
    for need in needs:
        rights.grant(user, USER, *need)
    try:
        with pytest.raises(AnalysisException, match=f"User is not an owner of Table '{name.split()[1]}'"):
            user.sql(statement.format(**NAMES))
        owner.sql(statement.format(**NAMES))
    finally:
        for need in needs:
            rights.revoke(user, USER, *need)


def run(user: SparkSession, case: Case) -> None:
    """As a statement, or as what Python's API does."""
    if isinstance(case.statement, str):
        user.sql(case.statement.format(**NAMES)).collect()
    else:
        case.statement(user)


def denial(need: tuple[str, str]) -> str:
    privilege, (kind, name) = need[0], need[1].split(" ")
    shown = {"FUNCTION": "Routine or Model"}.get(kind, kind.capitalize())
    return f"User does not have {privilege} on {shown} '{name}'"


def test_every_known_command_is_one_of_sparks_or_deltas(spark: SparkSession) -> None:
    java = Path(dbx_cd.local.__file__).parent / "java/dbxcd/local/CommandTargets.java"
    table = java.read_text().split("COMMANDS =")[1].split("RULES")[0]
    names = re.findall(r'"(\w+)"', table)
    assert len(names) > 90
    jvm: Any = spark._jvm
    missing = [name for name in names if not any(is_class(jvm, f"{package}.{name}") for package in PACKAGES)]
    assert missing == []


PACKAGES = (
    "org.apache.spark.sql.catalyst.plans.logical",
    "org.apache.spark.sql.execution.command",
    "org.apache.spark.sql.execution.datasources",
    "org.apache.spark.sql.delta.commands",
    "org.apache.spark.sql.delta.skipping.clustering.temp",
    "io.delta.tables.execution",
)


def is_class(jvm: Any, name: str) -> bool:
    loader = jvm.java.lang.Thread.currentThread().getContextClassLoader()
    return loader.getResource(name.replace(".", "/") + ".class") is not None
