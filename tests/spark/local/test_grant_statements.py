"""GRANT, REVOKE, SHOW GRANTS and SET OWNER TO, by those who may and those who may not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from emulated_statements import Run, runner
from pyspark.errors import AnalysisException
from pyspark.sql import SparkSession

from dbx_cd.local import rights
from dbx_cd.local.emulation.catalog_bridge import StatementFailed
from dbx_cd.local.session_user import act_as

ANNA, BEN, TEAM = "anna.grants@example.org", "ben.grants@example.org", "grants team"
S = "stg.granting"
OBJECTS = {
    "CATALOG granting_own": ("CATALOG", "granting_own", "USE CATALOG"),
    f"SCHEMA {S}": ("SCHEMA", S, "CREATE TABLE"),
    f"DATABASE {S}": ("SCHEMA", S, "USE_SCHEMA"),
    f"TABLE {S}.t": ("TABLE", f"{S}.t", "select"),
    f"VIEW {S}.v": ("TABLE", f"{S}.v", "SELECT"),
    f"VOLUME {S}.files": ("VOLUME", f"{S}.files", "READ VOLUME"),
    f"FUNCTION {S}.f": ("FUNCTION", f"{S}.f", "EXECUTE"),
}


@pytest.fixture(scope="module")
def run(spark: SparkSession) -> Iterator[Run]:
    """Statements as the workspace itself runs them."""
    run_as_workspace = runner(spark)
    rights.put_user(spark, ANNA, groups=(TEAM,))
    rights.put_user(spark, BEN)
    for statement in (
        "CREATE CATALOG granting_own",
        f"CREATE SCHEMA {S}",
        f"CREATE TABLE {S}.t AS SELECT 1 AS id",
        f"CREATE VIEW {S}.v AS SELECT 1 AS id",
        f"CREATE VOLUME {S}.files",
        f"CREATE FUNCTION {S}.f(x INT) RETURNS INT RETURN x",
    ):
        run_as_workspace(statement)
    yield run_as_workspace
    run_as_workspace(f"DROP SCHEMA {S} CASCADE")
    run_as_workspace("DROP CATALOG granting_own CASCADE")


@pytest.fixture
def anna(run: Run, spark: SparkSession) -> Iterator[Run]:
    """Statements as a user runs them who gets to the schema, and has no other rights."""
    way = (("USE CATALOG", "CATALOG stg"), ("USE SCHEMA", f"SCHEMA {S}"))
    for need in way:
        rights.grant(spark, ANNA, *need)
    yield runner(act_as(spark, ANNA))
    for need in way:
        rights.revoke(spark, ANNA, *need)


def grants_of(run: Run, principal: str, on: str) -> list[tuple[str, str, str]]:
    """Privilege, kind and name of what was granted to somebody."""
    rows = run(f"SHOW GRANTS `{principal}` ON {on}")
    assert {row[0] for row in rows} <= {principal}
    return [row[1:] for row in rows]


def test_what_is_granted_is_shown_counts_and_is_revoked(run: Run, anna: Run) -> None:
    table = f"{S}.t"
    way = [("USE SCHEMA", "SCHEMA", S), ("USE CATALOG", "CATALOG", "stg")]
    with pytest.raises(AnalysisException, match="does not have SELECT"):
        anna(f"SELECT * FROM {table}")
    assert run(f"GRANT SELECT, MODIFY ON {table} TO `{ANNA}`") == []
    anna(f"SELECT * FROM {table}")
    on_table = [("SELECT", "TABLE", table), ("MODIFY", "TABLE", table)]
    assert grants_of(run, ANNA, f"TABLE {table}") == [*on_table, *way]
    assert [(ANNA, *row) for row in on_table] == [row for row in run(f"SHOW GRANT ON {table}") if row[2] == "TABLE"]
    assert run(f"REVOKE SELECT ON TABLE {table} FROM `{ANNA}`") == []
    assert run(f"REVOKE SELECT ON TABLE {table} FROM `{ANNA}`") == []
    assert grants_of(run, ANNA, table) == [on_table[1], *way]
    with pytest.raises(AnalysisException, match="does not have SELECT"):
        anna(f"SELECT * FROM {table}")
    run(f"GRANT ALL PRIVILEGES ON TABLE {table} TO `{TEAM}`")
    anna(f"SELECT * FROM {table}")
    run(f"REVOKE ALL PRIVILEGES ON TABLE {table} FROM `{TEAM}`")
    run(f"REVOKE MODIFY ON TABLE {table} FROM `{ANNA}`")
    assert grants_of(run, ANNA, table) == way


@pytest.mark.parametrize("on", OBJECTS)
def test_each_kind_of_object_is_granted_on_by_its_own_word(on: str, run: Run) -> None:
    kind, name, privilege = OBJECTS[on]
    run(f"GRANT {privilege} ON {on} TO `{BEN}`")
    assert grants_of(run, BEN, on) == [(privilege.upper().replace("_", " "), kind, name)]
    run(f"REVOKE {privilege} ON {on} FROM `{BEN}`")
    assert grants_of(run, BEN, on) == []


def test_what_is_granted_on_the_metastore_and_on_the_current_objects(run: Run) -> None:
    run(f"GRANT CREATE CATALOG ON METASTORE TO `{BEN}`")
    assert grants_of(run, BEN, "METASTORE") == [("CREATE CATALOG", "METASTORE", "")]
    run(f"REVOKE CREATE CATALOG ON METASTORE FROM `{BEN}`")
    run("USE CATALOG granting_own")
    run(f"GRANT USE CATALOG ON CATALOG TO `{BEN}`")
    run("USE CATALOG stg")
    assert grants_of(run, BEN, "CATALOG granting_own") == [("USE CATALOG", "CATALOG", "granting_own")]
    run("USE SCHEMA granting")
    run(f"GRANT SELECT ON t TO `{BEN}`")
    assert grants_of(run, BEN, f"{S}.t") == [("SELECT", "TABLE", f"{S}.t")]
    run(f"REVOKE SELECT ON t FROM `{BEN}`")


def test_users_are_shown_their_own_grants_and_managers_all(run: Run, anna: Run, spark: SparkSession) -> None:
    for principal in (BEN, TEAM):
        run(f"GRANT SELECT ON {S}.t TO `{principal}`")
    assert grants_of(anna, ANNA, f"SCHEMA {S}") == [("USE SCHEMA", "SCHEMA", S), ("USE CATALOG", "CATALOG", "stg")]
    assert grants_of(anna, TEAM, f"{S}.t") == [("SELECT", "TABLE", f"{S}.t")]
    for statement in (f"SHOW GRANTS ON {S}.t", f"SHOW GRANTS `{BEN}` ON {S}.t", f"GRANT MODIFY ON {S}.t TO `{ANNA}`"):
        with pytest.raises(AnalysisException, match=rf"User does not have MANAGE on Table '{S}\.t'") as refused:
            anna(statement)
        assert refused.value.getSqlState() == "42501"
    with pytest.raises(AnalysisException, match=rf"User does not have MANAGE on Table '{S}\.t'"):
        anna(f"REVOKE SELECT ON {S}.t FROM `{BEN}`")
    rights.grant(spark, ANNA, "MANAGE", f"TABLE {S}.t")
    assert (BEN, "SELECT", "TABLE", f"{S}.t") in anna(f"SHOW GRANTS ON {S}.t")
    anna(f"REVOKE SELECT ON {S}.t FROM `{BEN}`")
    anna(f"REVOKE SELECT, MANAGE ON {S}.t FROM `{TEAM}`")
    assert grants_of(run, BEN, f"{S}.t") == []
    rights.revoke(spark, ANNA, "MANAGE", f"TABLE {S}.t")


@pytest.mark.parametrize("on", OBJECTS)
def test_an_owner_gives_an_object_away(on: str, run: Run, anna: Run, spark: SparkSession) -> None:
    kind, name, _privilege = OBJECTS[on]
    with pytest.raises(AnalysisException, match=r"User does not have (MANAGE|USE CATALOG)"):
        anna(f"ALTER {on} OWNER TO `{BEN}`")
    run(f"ALTER {on} SET OWNER TO `{ANNA}`")
    assert rights.owner_of(spark, f"{kind} {name}") == ANNA
    anna(f"ALTER {on} OWNER TO `{TEAM}`")
    assert rights.owner_of(spark, f"{kind} {name}") == TEAM
    anna(f"ALTER {on} OWNER TO `{BEN}`")
    assert rights.owner_of(spark, f"{kind} {name}") == BEN


@pytest.mark.parametrize(
    ("statement", "condition", "state"),
    [
        (f"GRANT SELCT ON {S}.t TO `{BEN}`", "INVALID_PARAMETER_VALUE", "22023"),
        (f"GRANT SELECT, READ VOLUME ON {S}.t TO `{BEN}`", "INVALID_PARAMETER_VALUE", "22023"),
        (f"GRANT MODIFY ON VIEW {S}.v TO `{BEN}`", "INVALID_PARAMETER_VALUE", "22023"),
        (f"GRANT SELECT ON SHARE s TO `{BEN}`", "INVALID_PARAMETER_VALUE", "22023"),
        (f"GRANT CREATE EXTERNAL TABLE ON EXTERNAL LOCATION l TO `{BEN}`", "INVALID_PARAMETER_VALUE", "22023"),
        (f"GRANT SELECT ON ANY FILE TO `{BEN}`", "INVALID_PARAMETER_VALUE", "22023"),
        (f"GRANT SELECT ON {S}.t TO `nobody`", "PRINCIPAL_DOES_NOT_EXIST", "42704"),
        (f"ALTER TABLE {S}.t OWNER TO nobody", "PRINCIPAL_DOES_NOT_EXIST", "42704"),
        (f"GRANT USE CATALOG ON CATALOG nowhere TO `{BEN}`", "CATALOG_NOT_FOUND", "42P08"),
        (f"GRANT USE SCHEMA ON SCHEMA stg.nowhere TO `{BEN}`", "SCHEMA_NOT_FOUND", "42704"),
        (f"GRANT SELECT ON {S}.nowhere TO `{BEN}`", "TABLE_OR_VIEW_NOT_FOUND", "42P01"),
        (f"GRANT READ VOLUME ON VOLUME {S}.nowhere TO `{BEN}`", "VOLUME_DOES_NOT_EXIST", "42704"),
        (f"GRANT EXECUTE ON FUNCTION {S}.nowhere TO `{BEN}`", "ROUTINE_NOT_FOUND", "42883"),
        (f"SHOW GRANTS ON {S}.nowhere", "TABLE_OR_VIEW_NOT_FOUND", "42P01"),
        (f"GRANT SELECT ON {S}.t TO `{BEN}`, `{ANNA}`", "PARSE_SYNTAX_ERROR", "42601"),
        (f"GRANT SELECT ON {S}.t TO {BEN}", "PARSE_SYNTAX_ERROR", "42601"),
        (f"GRANT SELECT ON {S}.t TO `{BEN}` WITH GRANT OPTION", "PARSE_SYNTAX_ERROR", "42601"),
        (f"GRANT SELECT ON {S}.t FROM `{BEN}`", "PARSE_SYNTAX_ERROR", "42601"),
        (f"GRANT SELECT (id) ON {S}.t TO `{BEN}`", "PARSE_SYNTAX_ERROR", "42601"),
        (f"GRANT SELECT, ON {S}.t TO `{BEN}`", "PARSE_SYNTAX_ERROR", "42601"),
        (f"GRANT SELECT ON INDEX {S}.t TO `{BEN}`", "PARSE_SYNTAX_ERROR", "42601"),
        (f"REVOKE SELECT ON {S}.t TO `{BEN}`", "PARSE_SYNTAX_ERROR", "42601"),
        (f"REVOKE SELECT ON {S}.t", "PARSE_SYNTAX_ERROR", "42601"),
        (f"DENY SELECT ON {S}.t TO `{BEN}`", "PARSE_SYNTAX_ERROR", "42601"),
        ("SHOW GRANTS", "PARSE_SYNTAX_ERROR", "42601"),
        (f"SHOW GRANTS TO RECIPIENT `{BEN}`", "PARSE_SYNTAX_ERROR", "42601"),
        (f"ALTER TABLE {S}.t OWNER `{BEN}`", "PARSE_SYNTAX_ERROR", "42601"),
    ],
)
def test_what_is_not_understood_is_refused(statement: str, condition: str, state: str, run: Run) -> None:
    before = run(f"SHOW GRANTS ON {S}.t")
    with pytest.raises((AnalysisException, StatementFailed)) as refused:
        run(statement)
    assert condition in str(refused.value)
    assert refused.value.getSqlState() == state
    assert run(f"SHOW GRANTS ON {S}.t") == before
