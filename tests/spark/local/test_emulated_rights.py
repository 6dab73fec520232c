"""What emulated statements need: with the rights that are documented they run, without any one of them they do not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from emulated_statements import Run, runner
from pyspark.errors import AnalysisException
from pyspark.sql import SparkSession

from dbx_cd.errors import DbxCdError
from dbx_cd.local import rights
from dbx_cd.local.emulation.dispatch import EMULATED
from dbx_cd.local.emulation.sql_text import bare
from dbx_cd.local.session_user import act_as

EVE, SOMEBODY = "eve@example.org", "somebody@example.org"
S = "stg.narrow"
OWNERSHIP = "OWNERSHIP"
WAY = (("USE CATALOG", "CATALOG stg"), ("USE SCHEMA", f"SCHEMA {S}"))
SHOWN = {
    "METASTORE": "Metastore",
    "CATALOG": "Catalog",
    "SCHEMA": "Schema",
    "TABLE": "Table",
    "VOLUME": "Volume",
    "FUNCTION": "Routine or Model",
}


@dataclass(frozen=True)
class Case:
    """A statement, and all that it needs."""

    statement: str
    needs: tuple[tuple[str, str], ...]
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()


def inside(statement: str, *needs: str, before: tuple[str, ...] = (), after: tuple[str, ...] = ()) -> Case:
    """A case in the schema of this file; a need is written `PRIVILEGE ON KIND name`."""
    pairs = [need.split(" ON ", 1) for need in needs]
    return Case(statement, (*WAY, *((privilege, on) for privilege, on in pairs)), before, after)


T, V = f"TABLE {S}.t", f"TABLE {S}.v"
OWN_T, OWN_V = f"{OWNERSHIP} ON {T}", f"{OWNERSHIP} ON {V}"
SELECT_T, MODIFY_T = f"SELECT ON {T}", f"MODIFY ON {T}"
VOLUME = (f"CREATE VOLUME IF NOT EXISTS {S}.files",)
PARENT = (
    f"CREATE OR REPLACE TABLE {S}.parent (id INT NOT NULL, CONSTRAINT parent_pk PRIMARY KEY (id))",
    f"CREATE OR REPLACE TABLE {S}.child (id INT, CONSTRAINT child_fk FOREIGN KEY (id) REFERENCES {S}.parent (id))",
)
CASES = [
    Case("USE CATALOG stg", WAY[:1]),
    Case("USE CATALOG 'stg'", WAY[:1]),
    Case("DESCRIBE CATALOG stg", WAY[:1]),
    Case("CREATE CATALOG narrow_new", (("CREATE CATALOG", "METASTORE"),), after=("DROP CATALOG IF EXISTS narrow_new",)),
    Case("DROP CATALOG narrow_gone", (("MANAGE", "CATALOG narrow_gone"),), before=("CREATE CATALOG narrow_gone",)),
    inside(f"CREATE VOLUME {S}.made", f"CREATE VOLUME ON SCHEMA {S}", after=(f"DROP VOLUME IF EXISTS {S}.made",)),
    inside(f"COMMENT ON VOLUME {S}.files IS 'x'", f"MANAGE ON VOLUME {S}.files", before=VOLUME),
    inside(f"DESCRIBE VOLUME {S}.files", f"READ VOLUME ON VOLUME {S}.files", before=VOLUME),
    inside(f"DROP VOLUME {S}.files", f"MANAGE ON VOLUME {S}.files", before=VOLUME),
    inside(f"DESCRIBE FUNCTION EXTENDED {S}.f", f"EXECUTE ON FUNCTION {S}.f"),
    inside(f"DESCRIBE TABLE EXTENDED {S}.t AS JSON", SELECT_T),
    inside(f"DESCRIBE EXTENDED {S}.v AS JSON", f"SELECT ON {V}"),
    inside(f"DESCRIBE DETAIL {S}.t", SELECT_T),
    inside(f"SELECT max(version) FROM (DESCRIBE HISTORY {S}.t LIMIT 1)", SELECT_T),
    inside(f"SELECT format FROM (DESCRIBE DETAIL {S}.t)", SELECT_T),
    inside(f"SHOW CREATE TABLE {S}.t", SELECT_T),
    inside(f"SHOW CREATE TABLE {S}.v", f"SELECT ON {V}"),
    inside(
        f"ALTER TABLE {S}.t DROP CONSTRAINT positive",
        OWN_T,
        before=(f"ALTER TABLE {S}.t ADD CONSTRAINT positive CHECK (id > 0)",),
    ),
    inside(
        f"ALTER TABLE {S}.parent DROP CONSTRAINT parent_pk CASCADE",
        f"{OWNERSHIP} ON TABLE {S}.parent",
        f"{OWNERSHIP} ON TABLE {S}.child",
        before=PARENT,
    ),
    inside(
        f"ALTER TABLE {S}.parent DROP PRIMARY KEY CASCADE",
        f"{OWNERSHIP} ON TABLE {S}.parent",
        f"{OWNERSHIP} ON TABLE {S}.child",
        before=PARENT,
    ),
    inside(f"ALTER TABLE {S}.child DROP FOREIGN KEY (id)", f"{OWNERSHIP} ON TABLE {S}.child", before=PARENT),
    inside(
        f"ALTER TABLE {S}.child ALTER COLUMN id SET NOT NULL",
        f"MODIFY ON TABLE {S}.child",
        f"SELECT ON TABLE {S}.child",
        before=PARENT,
    ),
    inside(f"ALTER TABLE {S}.t SET TAGS ('a' = 'b')", f"APPLY TAG ON {T}"),
    inside(f"ALTER TABLE {S}.t ALTER COLUMN id UNSET TAGS ('a')", f"APPLY TAG ON {T}"),
    inside(f"ALTER VIEW {S}.v SET TAGS ('a' = 'b')", f"APPLY TAG ON {V}"),
    inside(f"COMMENT ON COLUMN {S}.t.id IS 'key'", MODIFY_T),
    inside(f"COMMENT ON COLUMN {S}.v.id IS 'key'", OWN_V),
    inside(f"COMMENT ON TABLE {S}.t IS 'x'", MODIFY_T),
    inside(f"COMMENT ON TABLE {S}.v IS 'x'", OWN_V),
    inside(f"COMMENT ON VIEW {S}.v IS 'x'", OWN_V),
    *(
        inside(
            f"{verb} TABLE {S}.copy {kind} CLONE {S}.t",
            SELECT_T,
            f"CREATE TABLE ON SCHEMA {S}",
            *([f"MANAGE ON TABLE {S}.copy"] if is_there else []),
            before=(f"CREATE TABLE {S}.copy {kind} CLONE {S}.t",) if is_there else (),
            after=(f"DROP TABLE IF EXISTS {S}.copy",),
        )
        for kind in ("SHALLOW", "DEEP")
        for verb, is_there in (("CREATE", False), ("CREATE OR REPLACE", False), ("CREATE OR REPLACE", True))
    ),
    inside(f"ALTER TABLE {S}.t CLUSTER BY AUTO", OWN_T),
    inside(
        f"ALTER TABLE {S}.clustered CLUSTER BY NONE",
        f"{OWNERSHIP} ON TABLE {S}.clustered",
        before=(f"CREATE OR REPLACE TABLE {S}.clustered (id INT) CLUSTER BY AUTO",),
    ),
    inside(f"ANALYZE TABLE {S}.t COMPUTE STATISTICS", MODIFY_T, SELECT_T),
    Case(
        f"ANALYZE TABLES IN {S}_2 COMPUTE STATISTICS",
        (
            WAY[0],
            ("USE SCHEMA", f"SCHEMA {S}_2"),
            ("MODIFY", f"TABLE {S}_2.only"),
            ("SELECT", f"TABLE {S}_2.only"),
        ),
    ),
    inside(f"OPTIMIZE {S}.t", MODIFY_T),
]


@pytest.fixture(scope="module")
def run(spark: SparkSession) -> Iterator[Run]:
    """Statements as the workspace itself runs them."""
    run_as_workspace = runner(spark)
    for user in (EVE, SOMEBODY):
        rights.put_user(spark, user)
    for statement in (
        f"CREATE SCHEMA {S}",
        f"CREATE SCHEMA {S}_2",
        f"CREATE TABLE {S}.t (id INT)",
        f"CREATE VIEW {S}.v AS SELECT 1 AS id",
        f"CREATE FUNCTION {S}.f(x INT) RETURNS INT RETURN x",
        f"CREATE TABLE {S}_2.only AS SELECT 1 AS id",
    ):
        run_as_workspace(statement)
    yield run_as_workspace
    run_as_workspace(f"DROP SCHEMA {S} CASCADE")
    run_as_workspace(f"DROP SCHEMA {S}_2 CASCADE")


@pytest.fixture
def eve(run: Run, spark: SparkSession) -> Run:
    """Statements as somebody runs them who has no rights."""
    return runner(act_as(spark, EVE))


def give(spark: SparkSession, privilege: str, on: str) -> None:
    if privilege == OWNERSHIP:
        rights.set_owner(spark, EVE, on)
    else:
        rights.grant(spark, EVE, privilege, on)


def take(spark: SparkSession, privilege: str, on: str) -> None:
    if privilege == OWNERSHIP:
        rights.set_owner(spark, SOMEBODY, on)
    else:
        rights.revoke(spark, EVE, privilege, on)


def denial(privilege: str, on: str) -> str:
    kind, _, name = on.partition(" ")
    thing = f"{SHOWN[kind]} '{name}'" if name else SHOWN[kind]
    missing = f"is not an owner of {thing}" if privilege == OWNERSHIP else f"does not have {privilege} on {thing}"
    return f"[INSUFFICIENT_PERMISSIONS] Insufficient privileges:\nUser {missing}. SQLSTATE: 42501"


@contextmanager
def allowed(spark: SparkSession, *needs: tuple[str, str]) -> Iterator[None]:
    """With some rights for a while."""
    for need in needs:
        give(spark, *need)
    try:
        yield
    finally:
        for need in needs:
            take(spark, *need)


def refusal(run: Run, statement: str) -> str:
    with pytest.raises(AnalysisException) as refused:
        run(statement)
    assert refused.value.getSqlState() == "42501"
    return "\n".join(str(refused.value).splitlines()[:2])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.statement)
def test_with_the_rights_it_needs_a_statement_runs(case: Case, run: Run, eve: Run, spark: SparkSession) -> None:
    for statement in (*case.after, *case.before):
        run(statement)
    try:
        with allowed(spark, *case.needs):
            for need in case.needs:
                take(spark, *need)
                assert refusal(eve, case.statement) == denial(*need)
                give(spark, *need)
            eve(case.statement)
    finally:
        for statement in case.after:
            run(statement)


def test_every_statement_that_needs_something_is_among_these() -> None:
    cases = [bare(case.statement) for case in CASES]
    left_out = [
        entry.statement
        for entry in EMULATED
        if not isinstance(entry.needs, str) and not any(entry.pattern.fullmatch(case) for case in cases)
    ]
    assert left_out == []


def test_on_what_does_not_exist_the_way_alone_is_needed_and_the_statement_says_so(
    run: Run, eve: Run, spark: SparkSession
) -> None:
    tags, volume = f"ALTER TABLE {S}.nowhere SET TAGS ('a' = 'b')", f"DROP VOLUME {S}.nowhere"
    for statement in (tags, volume):
        assert refusal(eve, statement) == denial(*WAY[0])
    with allowed(spark, *WAY):
        with pytest.raises(DbxCdError, match="TABLE_OR_VIEW_NOT_FOUND"):
            eve(tags)
        with pytest.raises(AnalysisException, match="VOLUME_DOES_NOT_EXIST"):
            eve(volume)
        with pytest.raises(AnalysisException, match="SCHEMA_NOT_FOUND"):
            eve(f"CREATE TABLE stg.nowhere.t SHALLOW CLONE {S}.nothing")
    with pytest.raises(AnalysisException, match="CATALOG_NOT_FOUND"):
        eve("USE CATALOG nowhere")
    with pytest.raises(AnalysisException, match="INVALID_PARAMETER_VALUE"):
        eve(f"ALTER TABLE {S}.t.id SET TAGS ('a' = 'b')")  # not the table whose name begins so


def test_lists_show_what_the_user_is_told_of(run: Run, eve: Run, spark: SparkSession) -> None:
    run(f"CREATE VOLUME IF NOT EXISTS {S}.listed")
    lists = {
        "SHOW CATALOGS": "stg",
        f"SHOW TABLE EXTENDED IN {S} LIKE '*'": "t",
        f"SHOW USER FUNCTIONS IN {S}": f"{S}.f",
        f"SHOW VOLUMES IN {S}": "listed",
    }
    column = {f"SHOW TABLE EXTENDED IN {S} LIKE '*'": 1, f"SHOW VOLUMES IN {S}": 1}

    def shown(statement: str) -> list[str]:
        return [row[column.get(statement, 0)] for row in eve(statement)]

    assert {statement: shown(statement) for statement in lists} == {s: ["system"] * ("CATA" in s) for s in lists}
    with allowed(spark, *WAY, ("SELECT", T), ("EXECUTE", f"FUNCTION {S}.f"), ("READ VOLUME", f"VOLUME {S}.listed")):
        for statement, name in lists.items():
            assert [one for one in shown(statement) if one != "system"] == [name]


@pytest.mark.parametrize("needs", [(("BROWSE", "CATALOG stg"),), (*WAY, ("MODIFY", T))], ids=["browse", "modify"])
def test_who_is_told_of_a_table_may_have_it_described(
    needs: tuple[tuple[str, str], ...], run: Run, eve: Run, spark: SparkSession
) -> None:
    with allowed(spark, *needs):
        assert eve(f"DESCRIBE TABLE EXTENDED {S}.t AS JSON")
        assert eve(f"SHOW CREATE TABLE {S}.t")
        assert eve(f"DESCRIBE DETAIL {S}.t")
        assert eve(f"SELECT version FROM (DESCRIBE HISTORY {S}.t)")


def test_names_are_completed_and_read_as_the_statement_does(run: Run, eve: Run, spark: SparkSession) -> None:
    with allowed(spark, WAY[0]):
        eve("USE CATALOG stg")
        assert refusal(eve, "DESCRIBE TABLE EXTENDED narrow.t AS JSON") == denial(*WAY[1])
    with allowed(spark, *WAY):
        eve("USE SCHEMA narrow")
        eve("CREATE TEMPORARY VIEW t AS SELECT 1 AS id")
        assert eve("DESCRIBE TABLE EXTENDED t AS JSON")
        assert refusal(eve, "ALTER TABLE t SET TAGS ('a' = 'b')") == denial("APPLY TAG", T)
        assert refusal(eve, "DESCRIBE DETAIL spark_catalog.stg__narrow.t") == denial("SELECT", T)
    assert eve("DESCRIBE FUNCTION abs")


def test_who_creates_a_catalog_owns_it_and_its_default_schema(run: Run, eve: Run, spark: SparkSession) -> None:
    with allowed(spark, ("CREATE CATALOG", "METASTORE")):
        eve("CREATE CATALOG narrow_own")
    try:
        assert ("Owner", EVE) in eve("DESCRIBE CATALOG narrow_own")
        assert rights.owner_of(spark, "SCHEMA narrow_own.default") == EVE
        eve(f"GRANT USE CATALOG ON CATALOG narrow_own TO `{SOMEBODY}`")
        eve("DROP CATALOG narrow_own CASCADE")
        run("CREATE CATALOG narrow_own")
        assert run("SHOW GRANTS ON CATALOG narrow_own") == []
        assert rights.owner_of(spark, "CATALOG narrow_own") is None
    finally:
        run("DROP CATALOG IF EXISTS narrow_own CASCADE")
