"""Whom information_schema and the statements that list objects tell of what; rights are those of Unity Catalog."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pytest
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from dbx_cd.local import rights
from dbx_cd.local.emulation import emulate
from dbx_cd.local.session_user import act_as
from dbx_cd.local.workspace import EmbeddedWorkspace

SCHEMA = "prod.seen_objects"
HIDDEN = "prod.seen_objects_hidden"
READER, STRANGER, BROWSER, MAKER = "seen_reader", "seen_stranger", "seen_browser", "seen_maker"
Run = Callable[[str], list[tuple[Any, ...]]]

MADE_BY_THE_WORKSPACE = (
    f"CREATE SCHEMA {SCHEMA}",
    f"CREATE SCHEMA {HIDDEN}",
    f"CREATE TABLE {HIDDEN}.salaries (id INT)",
    f"CREATE TABLE {SCHEMA}.customers (id BIGINT NOT NULL, CONSTRAINT customers_pk PRIMARY KEY (id))",
    f"CREATE TABLE {SCHEMA}.orders (id BIGINT NOT NULL, customer BIGINT, CONSTRAINT orders_pk PRIMARY KEY (id),"
    f" CONSTRAINT orders_fk FOREIGN KEY (customer) REFERENCES {SCHEMA}.customers (id))",
    f"CREATE VIEW {SCHEMA}.cheap AS SELECT id FROM {SCHEMA}.orders",
    f"CREATE VIEW {SCHEMA}.dear AS SELECT id FROM {SCHEMA}.orders",
    *(f"ALTER TABLE {SCHEMA}.{table} SET TAGS ('kept' = '{table}')" for table in ("orders", "customers")),
    *(f"ALTER TABLE {SCHEMA}.{table} ALTER COLUMN id SET TAGS ('kept' = 'id')" for table in ("orders", "customers")),
    *(f"CREATE VOLUME {SCHEMA}.{volume}" for volume in ("inbox", "outbox")),
    *(f"CREATE FUNCTION {SCHEMA}.{name}(x INT) RETURNS INT RETURN x" for name in ("twice", "thrice")),
)
GRANTS = (
    (READER, "USE CATALOG", "CATALOG prod"),
    (READER, "USE SCHEMA", f"SCHEMA {SCHEMA}"),
    (READER, "SELECT", f"TABLE {SCHEMA}.orders"),
    (READER, "SELECT", f"TABLE {SCHEMA}.cheap"),
    (READER, "READ VOLUME", f"VOLUME {SCHEMA}.inbox"),
    (READER, "EXECUTE", f"FUNCTION {SCHEMA}.twice"),
    (BROWSER, "BROWSE", "CATALOG prod"),
    (MAKER, "USE CATALOG", "CATALOG prod"),
    (MAKER, "USE SCHEMA", f"SCHEMA {SCHEMA}"),
    (MAKER, "CREATE TABLE", f"SCHEMA {SCHEMA}"),
    (MAKER, "CREATE FUNCTION", f"SCHEMA {SCHEMA}"),
    (MAKER, "SELECT", f"TABLE {SCHEMA}.orders"),
)


def _run_on(session: SparkSession) -> Run:
    def run(statement: str) -> list[tuple[Any, ...]]:
        answer = emulate(session, statement)
        if isinstance(answer, pa.Table):
            return [tuple(row.values()) for row in answer.to_pylist()]
        return [tuple(row) for row in session.sql(answer).collect()]

    return run


@pytest.fixture(scope="module")
def shop(workspace: EmbeddedWorkspace) -> Iterator[Run]:
    """What the workspace itself has made and granted; the answer runs statements as it does."""
    run = _run_on(workspace.spark.newSession())
    for statement in MADE_BY_THE_WORKSPACE:
        run(statement)
    for grant in GRANTS:
        rights.grant(workspace.spark, *grant)
    yield run
    for schema in (SCHEMA, HIDDEN):
        run(f"DROP SCHEMA {schema} CASCADE")
    for grant in GRANTS:
        rights.revoke(workspace.spark, *grant)


@pytest.fixture
def reader(shop: Run, spark: SparkSession) -> Run:
    """Statements of a user who may read one table, one view and one volume, and use one function."""
    return _run_on(act_as(spark, READER))


@pytest.fixture
def stranger(shop: Run, spark: SparkSession) -> Run:
    """Statements of a user who may nothing."""
    return _run_on(act_as(spark, STRANGER))


OF_ONE_USER = {
    "SELECT catalog_name FROM system.information_schema.catalogs": [("prod",)],
    "SELECT schema_name FROM prod.information_schema.schemata ORDER BY 1": [("information_schema",), ("seen_objects",)],
    "SELECT table_name FROM system.information_schema.tables ORDER BY 1": [("cheap",), ("orders",)],
    "SELECT table_name FROM prod.information_schema.views": [("cheap",)],
    "SELECT table_name, column_name FROM prod.information_schema.columns ORDER BY ALL": [
        ("cheap", "id"),
        ("orders", "customer"),
        ("orders", "id"),
    ],
    "SELECT tag_value FROM prod.information_schema.table_tags": [("orders",)],
    "SELECT table_name FROM prod.information_schema.column_tags": [("orders",)],
    "SELECT constraint_name FROM prod.information_schema.table_constraints ORDER BY 1": [
        ("orders_fk",),
        ("orders_pk",),
    ],
    "SELECT constraint_name FROM prod.information_schema.key_column_usage ORDER BY 1": [("orders_fk",), ("orders_pk",)],
    "SELECT constraint_name FROM prod.information_schema.referential_constraints": [("orders_fk",)],
    "SELECT volume_name FROM prod.information_schema.volumes": [("inbox",)],
    "SELECT routine_name FROM prod.information_schema.routines": [("twice",)],
    "SELECT specific_name FROM prod.information_schema.parameters": [("twice",)],
    "SHOW CATALOGS": [("prod",), ("system",)],
    "SHOW SCHEMAS IN prod": [("information_schema",), ("seen_objects",)],
    f"SHOW TABLES IN {SCHEMA}": [("seen_objects", "orders", False), ("seen_objects", "cheap", False)],
    f"SHOW VIEWS IN {SCHEMA}": [("seen_objects", "cheap", False)],
    f"SHOW TABLES IN {HIDDEN}": [],
    f"SHOW USER FUNCTIONS IN {SCHEMA}": [(f"{SCHEMA}.twice",)],
    "SHOW SCHEMAS IN spark_catalog": [("prod__seen_objects",)],
    "SHOW TABLES IN spark_catalog.prod__seen_objects": [("prod__seen_objects", "orders", False)],
    "SHOW TABLES IN spark_catalog.prod__seen_objects_hidden": [],
}


@pytest.mark.parametrize("statement", OF_ONE_USER)
def test_a_user_is_told_of_what_he_has_rights_on(reader: Run, statement: str) -> None:
    assert reader(statement) == OF_ONE_USER[statement]


@pytest.mark.parametrize("statement", [s for s in OF_ONE_USER if "SHOW CATALOGS" not in s])
def test_a_user_without_rights_is_told_of_nothing(stranger: Run, statement: str) -> None:
    assert stranger(statement) == []


def test_the_list_of_schemas_of_a_session_is_that_of_its_user(shop: Run, spark: SparkSession) -> None:
    catalog = act_as(spark, READER).catalog
    catalog.setCurrentCatalog("prod")
    assert [database.name for database in catalog.listDatabases()] == ["information_schema", "seen_objects"]


def test_the_workspace_itself_is_told_of_everything(shop: Run) -> None:
    names = sorted(row[1] for row in shop(f"SHOW TABLES IN {SCHEMA}"))
    assert names == ["cheap", "customers", "dear", "orders"]
    assert ("seen_objects_hidden",) in shop("SHOW SCHEMAS IN prod")


@pytest.mark.parametrize("statement", ["SHOW TABLES IN", "SHOW TABLE EXTENDED IN"])
def test_sparks_older_lists_are_refused_to_users_because_they_hide_nothing(
    reader: Run, shop: Run, spark: SparkSession, statement: str
) -> None:
    wanted = f"{statement} spark_catalog.prod__seen_objects LIKE 'o*'"
    own, of_reader = spark.newSession(), act_as(spark, READER)
    for session in (own, of_reader):
        session.conf.set("spark.sql.legacy.useV1Command", "true")
    assert [row.tableName for row in own.sql(wanted).collect()] == ["orders"]
    with pytest.raises(PySparkException, match=r"INSUFFICIENT_PERMISSIONS.*\n.*ShowTablesCommand"):
        of_reader.sql(wanted)


def test_browse_on_a_catalog_shows_all_that_is_in_it(shop: Run, spark: SparkSession) -> None:
    browser = _run_on(act_as(spark, BROWSER))
    found = "SELECT table_schema, table_name FROM system.information_schema.tables WHERE table_schema LIKE 'seen%'"
    assert browser(f"{found} ORDER BY ALL") == shop(f"{found} ORDER BY ALL")
    assert browser("SELECT catalog_name FROM system.information_schema.catalogs") == [("prod",)]


def test_a_catalog_that_is_missing_is_refused_without_telling_of_others(reader: Run, shop: Run) -> None:
    with pytest.raises(Exception, match=r"CATALOG_NOT_FOUND.*there are: prod[.]"):
        reader("SELECT * FROM nowhere.seen.t")
    with pytest.raises(Exception, match=r"CATALOG_NOT_FOUND.*there are: stg, prod,"):
        shop("SELECT * FROM nowhere.seen.t")


def test_owners_are_shown_and_only_they_are_shown_the_text_of_a_view(shop: Run, spark: SparkSession) -> None:
    maker = _run_on(act_as(spark, MAKER))
    maker(f"CREATE VIEW {SCHEMA}.made AS SELECT id FROM {SCHEMA}.orders")
    maker(f"CREATE FUNCTION {SCHEMA}.made(x INT) RETURNS INT RETURN x")
    rights.grant(spark, READER, "SELECT", f"TABLE {SCHEMA}.made")
    text = (
        "SELECT view_definition FROM prod.information_schema.views "
        "WHERE table_schema = 'seen_objects' AND table_name = 'made'"
    )
    owners = (
        "SELECT table_owner, created_by, last_altered_by FROM prod.information_schema.tables "
        "WHERE table_schema = 'seen_objects' AND table_name = "
    )
    try:
        assert maker(text) == shop(text) == [(f"SELECT id FROM {SCHEMA}.orders",)]
        assert _run_on(act_as(spark, READER))(text) == [(None,)]
        assert shop(f"{owners}'made'") == [(MAKER,) * 3]
        assert shop(f"{owners}'customers'") == [("local",) * 3]
        routine = (
            "SELECT routine_owner, created_by FROM prod.information_schema.routines "
            "WHERE routine_schema = 'seen_objects' AND routine_name = 'made'"
        )
        assert maker(routine) == [(MAKER, MAKER)]
        maker(f"CREATE OR REPLACE FUNCTION {SCHEMA}.made(x INT) RETURNS INT RETURN x + 1")
        assert rights.owner_of(spark, f"FUNCTION {SCHEMA}.made") == MAKER
    finally:
        maker(f"DROP VIEW {SCHEMA}.made")
        maker(f"DROP FUNCTION {SCHEMA}.made")
    assert rights.owner_of(spark, f"FUNCTION {SCHEMA}.made") is None


def test_owners_of_schemas_and_catalogs_are_shown(shop: Run, spark: SparkSession) -> None:
    rights.set_owner(spark, MAKER, f"SCHEMA {HIDDEN}")
    assert shop(
        "SELECT schema_name, schema_owner FROM prod.information_schema.schemata "
        "WHERE schema_name LIKE 'seen%' ORDER BY 1"
    ) == [("seen_objects", "local"), ("seen_objects_hidden", MAKER)]
    assert ("prod", "local") in shop("SELECT catalog_name, catalog_owner FROM system.information_schema.catalogs")
    # Whoever owns a schema manages what is in it.
    tables = "SELECT table_name FROM prod.information_schema.tables WHERE table_schema = 'seen_objects_hidden'"
    assert _run_on(act_as(spark, MAKER))(tables) == [("salaries",)]


PRIVILEGES = {
    "catalog_privileges": ("System user", READER, "prod", "USE_CATALOG", "NO", "NONE"),
    "schema_privileges": ("System user", READER, "prod", "seen_objects", "USE_SCHEMA", "NO", "NONE"),
    "volume_privileges": ("System user", READER, "prod", "seen_objects", "inbox", "READ_VOLUME", "NO", "NONE"),
    "routine_privileges": (
        *("System user", READER),
        *("prod", "seen_objects", "twice", "prod", "seen_objects", "twice"),
        *("EXECUTE", "NO", "NONE"),
    ),
}


@pytest.mark.parametrize("relation", PRIVILEGES)
def test_a_user_is_shown_what_he_was_granted(reader: Run, relation: str) -> None:
    assert reader(f"SELECT * FROM system.information_schema.{relation}") == [PRIVILEGES[relation]]


def test_a_user_is_shown_what_he_inherits_and_an_owner_what_others_have(
    reader: Run, shop: Run, spark: SparkSession
) -> None:
    granted = (
        "SELECT grantor, grantee, privilege_type, is_grantable, inherited_from "
        "FROM prod.information_schema.table_privileges WHERE table_schema = 'seen_objects' AND table_name = 'orders' "
        "AND grantee IN ('seen_reader', 'seen_maker', 'account users') ORDER BY grantee, privilege_type"
    )
    everybodys = ("System user", "account users", "APPLY_TAG", "NO", "NONE")
    makers = ("System user", MAKER, "SELECT", "NO", "NONE")
    readers = [
        ("System user", READER, "MODIFY", "NO", "SCHEMA"),
        ("System user", READER, "SELECT", "NO", "NONE"),
    ]
    rights.grant(spark, READER, "MODIFY", f"SCHEMA {SCHEMA}")
    rights.grant(spark, "account users", "APPLY TAG", f"TABLE {SCHEMA}.orders")
    try:
        assert reader(granted) == [everybodys, *readers]
        assert shop(granted) == [everybodys, makers, *readers]
        rights.set_owner(spark, READER, f"TABLE {SCHEMA}.orders")
        assert reader(granted) == [everybodys, makers, *readers]
    finally:
        rights.set_owner(spark, "nobody", f"TABLE {SCHEMA}.orders")
        rights.revoke(spark, READER, "MODIFY", f"SCHEMA {SCHEMA}")
        rights.revoke(spark, "account users", "APPLY TAG", f"TABLE {SCHEMA}.orders")
