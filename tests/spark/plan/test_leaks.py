"""The guard on real views, keys, clones and functions: every planted leak is named, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pyspark.sql import SparkSession

import spark_kind
from dbx_cd.delta.spark_tables import SparkTables
from dbx_cd.plan.leaks import Leak, StagingNames, find_leaks
from dbx_cd.relations import RelationName
from spark_kind import Run, own_session, statements

STG, PROD = f"{spark_kind.STG}.leaking", f"{spark_kind.PROD}.leaking_prod"
ODD = f"{spark_kind.STG}.leaking odd"
X = f"{STG}.x"
READER, OWNER = "leak-reader@example.org", "leak-owner@example.org"
STAGING = StagingNames(relations=frozenset([X]), schemas=frozenset([STG, ODD]))


without_keys = pytest.mark.not_on("spark35", reason="open-source Spark 3.5 has no keys")
without_functions = pytest.mark.not_on("spark35", reason="open-source Spark 3.5 has no SQL functions")
without_rights = pytest.mark.not_on("connect", "spark35", reason="who may see what is the embedded workspace's")


@pytest.fixture(scope="module")
def run(spark: SparkSession) -> Iterator[Run]:
    run, odd = statements(spark), f"{spark_kind.STG}.`leaking odd`"
    is_old = spark_kind.KIND == "spark35"
    key = {name: "" if is_old else f", CONSTRAINT {name}_pk PRIMARY KEY (id)" for name in ("x", "own")}
    for statement in (
        f"CREATE SCHEMA {STG}",
        f"CREATE SCHEMA {odd}",
        f"CREATE SCHEMA {PROD}",
        f"CREATE TABLE {X} (id INT NOT NULL{key['x']})",
        f"INSERT INTO {X} VALUES (1)",
        f"CREATE TABLE {odd}.`1st` AS SELECT 1 AS id",
        f"CREATE TABLE {PROD}.own (id INT NOT NULL{key['own']})",
        *([] if is_old else [f"CREATE FUNCTION {STG}.staged(n INT) RETURNS INT RETURN n + 1"]),
    ):
        run(statement)
    yield run
    for schema in (PROD, STG, odd):
        run(f"DROP SCHEMA {schema} CASCADE")


def in_prod(identifier: str) -> RelationName:
    return RelationName(*PROD.split("."), identifier)


def found(spark: SparkSession, *identifiers: str, functions: tuple[str, ...] = ()) -> list[str]:
    """The leaks of some of production's relations."""
    relations, named = ([in_prod(i) for i in names] for names in (identifiers, functions))
    leaks = find_leaks(SparkTables.of(spark), relations, staging=STAGING, functions=named)
    return [str(leak).removeprefix(f"{PROD}.") for leak in leaks]


VIEWS = {
    "text": (f"SELECT * FROM {X}", f"reads {X} (view text)"),
    "cte": (f"WITH own AS (SELECT * FROM {X}) SELECT * FROM own", f"reads {X} (view text)"),
    "quoted": (f"SELECT * FROM `{spark_kind.STG}` . `Leaking odd`.`1ST`", f"reads {ODD}.1st (view text)"),
    "subquery": (f"SELECT * FROM {PROD}.own WHERE id IN (SELECT id FROM {X})", f"reads {X} (view text)"),
    "lateral": (
        f"SELECT o.id FROM {PROD}.own o, LATERAL (SELECT * FROM {X} WHERE x.id = o.id)", f"reads {X} (view text)"
    ),
    "time_travel": (f"SELECT * FROM {X} VERSION AS OF 0", f"reads {X} (view text)"),
    "identifier": (f"SELECT * FROM identifier('{X}')", f"reads {X} (view text)"),
    "pipes": (f"FROM {X} |> WHERE id > 0", f"reads {X} (view text)"),
    "table_statement": (
        f"TABLE {X}", f"reads {X} (view text): the text could not be parsed, so every name in it counts"
    ),
    "calling": (f"SELECT {STG}.staged(id) AS id FROM {PROD}.own", f"reads {STG}.staged (function)"),
    "comment": (f"SELECT * FROM {PROD}.own /* FROM {X} */ -- JOIN {X}", None),
    "string": (f"SELECT 'from {X}' AS id, \"{X}\" AS b FROM {PROD}.own", None),
    "cte_of_its_name": (f"WITH x AS (SELECT * FROM {PROD}.own) SELECT * FROM x", None),
}  # fmt: skip


NOT_ON = {
    "calling": without_functions,
    "pipes": pytest.mark.not_on("spark35", reason="open-source Spark 3.5 has no pipes"),
}


@pytest.mark.parametrize(
    ("text", "leak"), [pytest.param(*view, id=name, marks=NOT_ON.get(name, ())) for name, view in VIEWS.items()]
)
def test_a_view_leaks_what_its_text_names(spark: SparkSession, run: Run, text: str, leak: str | None) -> None:
    run(f"CREATE OR REPLACE VIEW {PROD}.v AS {text}")
    assert found(spark, "v") == ([f"v {leak}"] if leak else [])


def test_a_leak_is_found_through_two_levels_of_views(spark: SparkSession, run: Run) -> None:
    run(f"CREATE VIEW {PROD}.lowest AS SELECT * FROM {X}")
    run(f"CREATE VIEW {PROD}.middle AS SELECT * FROM {PROD}.lowest")
    run(f"CREATE VIEW {PROD}.top AS SELECT * FROM {PROD}.middle JOIN {PROD}.own USING (id)")
    assert found(spark, "top", "own") == [f"top reads {X} through {PROD}.middle, {PROD}.lowest (view text)"]


def test_a_name_that_a_macro_put_together_counts_by_its_schema(spark: SparkSession, run: Run) -> None:
    """dbt knows nothing of it: it is neither a node of staging's nor a ref."""
    run(f"CREATE TABLE {STG}.`orders_20261128` AS SELECT 1 AS id")
    run(f"CREATE VIEW {PROD}.by_macro AS SELECT * FROM {STG}.orders_20261128")
    assert found(spark, "by_macro") == [f"by_macro reads {STG}.orders_20261128 (view text)"]


@without_functions
def test_names_of_one_part_mean_what_they_meant_when_the_view_was_made(spark: SparkSession, run: Run) -> None:
    run(f"USE {STG}")
    run(f"CREATE VIEW {PROD}.short AS SELECT staged(x.id) AS id FROM x")
    run(f"USE {PROD}")
    run(f"CREATE VIEW {PROD}.own_short AS SELECT id FROM own")
    assert found(spark, "short", "own_short") == [
        f"short reads {X} (view text)",
        f"short reads {STG}.staged (function)",
    ]


@without_keys
def test_a_foreign_key_leaks(spark: SparkSession, run: Run) -> None:
    run(f"CREATE TABLE {PROD}.keyed (id INT, CONSTRAINT keyed_x FOREIGN KEY (id) REFERENCES {X})")
    run(f"CREATE TABLE {PROD}.fine (id INT, CONSTRAINT fine_own FOREIGN KEY (id) REFERENCES {PROD}.own)")
    assert found(spark, "keyed", "fine") == [f"keyed refers to {X} (foreign key)"]


@pytest.mark.not_on("connect", "spark35", reason="only Unity Catalog has a type for clones")
def test_a_shallow_clone_leaks_and_a_deep_one_does_not(spark: SparkSession, run: Run) -> None:
    run(f"CREATE TABLE {PROD}.shallow SHALLOW CLONE {X}")
    run(f"INSERT INTO {PROD}.shallow VALUES (2)")
    run(f"CREATE TABLE {PROD}.deep DEEP CLONE {X}")
    run(f"CREATE TABLE {PROD}.of_own SHALLOW CLONE {PROD}.own")
    assert found(spark, "shallow", "deep", "of_own") == [f"shallow has files of {X} (clone)"]


@without_functions
def test_a_function_s_body_leaks(spark: SparkSession, run: Run) -> None:
    run(f"CREATE FUNCTION {PROD}.inner() RETURNS INT RETURN (SELECT max(id) FROM {X})")
    run(f"CREATE FUNCTION {PROD}.outer() RETURNS TABLE (id INT) RETURN SELECT {PROD}.inner() AS id FROM {PROD}.own")
    run(f"CREATE FUNCTION {PROD}.fine() RETURNS STRING RETURN '{X}'")
    run(f"CREATE VIEW {PROD}.of_functions AS SELECT id, {PROD}.fine() AS f FROM {PROD}.outer()")
    assert found(spark, "of_functions", functions=("inner", "fine")) == [
        f"of_functions reads {X} through {PROD}.outer, {PROD}.inner (function)",
        f"inner reads {X} (function)",
    ]


@without_functions
def test_a_default_is_read(spark: SparkSession, run: Run) -> None:
    """It leaks nothing: no default calls a function that somebody made, here and by Databricks' documentation."""
    run(
        f"CREATE TABLE {PROD}.defaulting (id INT DEFAULT abs(-1)) "
        "TBLPROPERTIES ('delta.feature.allowColumnDefaults' = 'supported')"
    )
    name = in_prod("defaulting")
    assert SparkTables.of(spark).entries([name])[name.key].defaults == {"id": "abs(-1)"}
    assert found(spark, "defaulting") == []
    with pytest.raises(Exception, match="UNSUPPORTED_SQL_UDF_USAGE"):
        run(
            f"CREATE TABLE {PROD}.calling_default (id INT DEFAULT {STG}.staged(1)) "
            "TBLPROPERTIES ('delta.feature.allowColumnDefaults' = 'supported')"
        )


@without_rights
def test_what_a_user_may_not_read_is_told(spark: SparkSession, run: Run) -> None:
    run(f"CREATE VIEW {PROD}.closed AS SELECT * FROM {X}")
    run(f"CREATE VIEW {PROD}.over_closed AS SELECT * FROM {PROD}.closed")
    from dbx_cd.local import rights  # not at the top: the other Sparks know nothing of it

    rights.put_user(spark, READER)
    rights.grant(spark, READER, "USE CATALOG", "CATALOG prod")
    for privilege in ("USE SCHEMA", "SELECT"):
        rights.grant(spark, READER, privilege, f"SCHEMA {PROD}")
    leaks = find_leaks(SparkTables.of(own_session(spark, READER)), [in_prod("over_closed")], staging=STAGING)
    reason = "its text is not shown to this user, who does not own it"
    assert leaks == (Leak(f"{PROD}.over_closed", "view", "cannot be read", (), f"{PROD}.over_closed", reason),)


@without_rights
def test_what_is_hidden_from_a_user_is_told(spark: SparkSession, run: Run) -> None:
    run("CREATE SCHEMA dev_anna.leaking")
    try:
        run("CREATE TABLE dev_anna.leaking.t AS SELECT 1 AS id")
        from dbx_cd.local import rights

        run(f"CREATE VIEW {PROD}.over_hidden AS SELECT * FROM dev_anna.leaking.t")
        rights.put_user(spark, OWNER)
        rights.grant(spark, OWNER, "USE CATALOG", "CATALOG prod")
        for privilege in ("USE SCHEMA", "SELECT"):
            rights.grant(spark, OWNER, privilege, f"SCHEMA {PROD}")
        run(f"ALTER VIEW {PROD}.over_hidden OWNER TO `{OWNER}`")
        leaks = find_leaks(SparkTables.of(own_session(spark, OWNER)), [in_prod("over_hidden")], staging=STAGING)
        assert [(leak.relation, leak.through, leak.refers_to) for leak in leaks] == [
            (f"{PROD}.over_hidden", "cannot be read", "dev_anna.leaking.t")
        ]
    finally:
        run("DROP SCHEMA dev_anna.leaking CASCADE")
