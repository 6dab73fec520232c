"""Functions written in SQL, by three-level names."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from emulated_statements import Run, runner
from pyspark.errors import AnalysisException
from pyspark.sql import SparkSession

SCHEMA = "dev_anna.functions"


@pytest.fixture(scope="module")
def run(spark: SparkSession) -> Iterator[Run]:
    run = runner(spark)
    run(f"CREATE SCHEMA {SCHEMA}")
    run(f"USE {SCHEMA}")
    run("CREATE TABLE orders AS SELECT id, concat('o', id) AS name FROM VALUES (1), (2), (3) AS t(id)")
    run("CREATE FUNCTION twice(x INT) RETURNS INT COMMENT 'two of it' RETURN x * 2")
    run(
        "CREATE FUNCTION first_ones(n INT DEFAULT 2 COMMENT 'how many') "
        "RETURNS TABLE(id INT COMMENT 'key', name STRING) RETURN SELECT id, name FROM orders WHERE id <= n"
    )
    yield run
    run(f"DROP SCHEMA {SCHEMA} CASCADE")


def test_functions_are_called_by_one_to_three_names_and_in_views(run: Run, spark: SparkSession) -> None:
    assert run(f"SELECT twice(1), functions.twice(2), {SCHEMA}.TWICE(3)") == [(2, 4, 6)]
    assert run("SELECT max(twice(id)) FROM orders WHERE twice(id) IN (SELECT twice(1))") == [(2,)]
    run("CREATE VIEW doubled AS SELECT twice(id) AS id FROM orders")
    elsewhere = runner(spark)
    elsewhere("USE stg.default")
    assert elsewhere(f"SELECT sum(id) FROM {SCHEMA}.doubled") == [(12,)]


def test_table_functions_read_the_tables_of_their_own_schema(run: Run, spark: SparkSession) -> None:
    assert sorted(runner(spark)(f"SELECT name FROM {SCHEMA}.first_ones(2)")) == [("o1",), ("o2",)]
    assert run("SELECT count(*) FROM orders, LATERAL first_ones(orders.id)") == [(6,)]


def test_functions_call_functions(run: Run, spark: SparkSession) -> None:
    run(f"CREATE FUNCTION four(x INT) RETURNS INT RETURN twice({SCHEMA}.twice(x)) + (SELECT min(twice(0)) FROM orders)")
    assert runner(spark)(f"SELECT {SCHEMA}.four(1)") == [(4,)]
    ((definition,),) = run("SELECT routine_definition FROM information_schema.routines WHERE routine_name = 'four'")
    own = "`dev_anna`.`functions`"
    assert definition == f"{own}.`twice`({own}.`twice`(x)) + (SELECT min({own}.`twice`(0)) FROM {own}.`orders`)"


def test_names_in_a_function_mean_what_they_meant_when_it_was_created(run: Run, spark: SparkSession) -> None:
    run("CREATE FUNCTION counted() RETURNS INT RETURN WITH few AS (SELECT * FROM `orders` o WHERE o.id < 3) "
        "SELECT count(*) FROM few JOIN functions.orders USING (id) JOIN first_ones(2) USING (id)")  # fmt: skip
    elsewhere = runner(spark)
    elsewhere("USE stg.default")
    elsewhere("CREATE TEMPORARY VIEW orders AS SELECT 1 AS id WHERE false")
    assert elsewhere(f"SELECT {SCHEMA}.counted()") == [(2,)]


def test_replaced_and_dropped_functions_are_so_in_other_sessions(run: Run, spark: SparkSession) -> None:
    other = runner(spark)
    run("CREATE FUNCTION changing() RETURNS INT RETURN 1")
    assert other(f"SELECT {SCHEMA}.changing()") == [(1,)]
    with pytest.raises(AnalysisException, match=r"ROUTINE_ALREADY_EXISTS.*`dev_anna`.`functions`.`changing`"):
        run("CREATE FUNCTION changing() RETURNS INT RETURN 2")
    run("CREATE OR REPLACE FUNCTION changing() RETURNS INT RETURN 2")
    assert other(f"SELECT {SCHEMA}.changing()") == [(2,)]
    run("DROP FUNCTION changing")
    with pytest.raises(AnalysisException, match="UNRESOLVED_ROUTINE"):
        other(f"SELECT {SCHEMA}.changing()")
    with pytest.raises(AnalysisException, match=r"ROUTINE_NOT_FOUND.*dev_anna.functions.changing"):
        run("DROP FUNCTION changing")
    run("DROP FUNCTION IF EXISTS changing")


def test_an_unknown_function_is_named_with_its_line(run: Run) -> None:
    for name in ("nothing", f"{SCHEMA}.nothing"):
        with pytest.raises(AnalysisException, match=r"UNRESOLVED_ROUTINE.*nothing.*line 2") as failed:
            run(f"SELECT 1,\n {name}(2)")
        assert failed.value.getSqlState() == "42883"
    with pytest.raises(AnalysisException, match="UNRESOLVED_ROUTINE"):
        run(f"SELECT * FROM {SCHEMA}.nothing(2)")
    with pytest.raises(AnalysisException, match=r"UNRESOLVED_ROUTINE.*nothing"):
        run(f"CREATE FUNCTION calling() RETURNS INT RETURN {SCHEMA}.nothing(2)")
    with pytest.raises(AnalysisException, match=r"SCHEMA_NOT_FOUND.*`dev_anna`.`nowhere`"):
        run("CREATE FUNCTION dev_anna.nowhere.f() RETURNS INT RETURN 1")


def test_built_in_and_temporary_functions_come_first(run: Run) -> None:
    run("CREATE FUNCTION abs(x INT) RETURNS INT RETURN 77")
    assert run(f"SELECT abs(-1), {SCHEMA}.abs(-1)") == [(1, 77)]
    run("CREATE TEMPORARY FUNCTION twice(x INT) RETURNS INT RETURN 0")
    assert run(f"SELECT twice(4), {SCHEMA}.twice(4)") == [(0, 8)]
    run("DROP TEMPORARY FUNCTION twice")


def test_functions_are_shown_and_described_by_three_level_names(run: Run) -> None:
    assert run(f"SHOW USER FUNCTIONS IN {SCHEMA} LIKE 'tw*|nothing'") == [(f"{SCHEMA}.twice",)]
    assert (f"{SCHEMA}.first_ones",) in run("SHOW USER FUNCTIONS IN functions")
    assert ("concat",) in run("SHOW FUNCTIONS IN functions LIKE 'conc*'")
    lines = [line for (line,) in run(f"DESCRIBE FUNCTION EXTENDED {SCHEMA}.twice")]
    assert re.search(rf"{SCHEMA}\.twice$", lines[0])
    assert any("x * 2" in line for line in lines)
    assert any("two of it" in line for line in lines)
    assert run("DESCRIBE FUNCTION abs")[0] == ("Function: abs",)
    with pytest.raises(AnalysisException, match=r"UNRESOLVED_ROUTINE.*nothing"):
        run(f"DESCRIBE FUNCTION {SCHEMA}.nothing")


def test_a_schema_with_a_function_is_not_empty(run: Run) -> None:
    run("CREATE SCHEMA dev_anna.functions_alone")
    run("CREATE FUNCTION dev_anna.functions_alone.one() RETURNS INT RETURN 1")
    with pytest.raises(AnalysisException, match="SCHEMA_NOT_EMPTY"):
        run("DROP SCHEMA dev_anna.functions_alone")
    assert run("SELECT dev_anna.functions_alone.one()") == [(1,)]
    run("DROP SCHEMA dev_anna.functions_alone CASCADE")


def test_information_schema_has_routines_and_their_parameters(run: Run) -> None:
    assert run(
        "SELECT routine_type, data_type, full_data_type, routine_definition, comment FROM information_schema.routines "
        "WHERE routine_name = 'twice'"
    ) == [("FUNCTION", "INT", "int", "x * 2", "two of it")]
    assert run(
        "SELECT ordinal_position, parameter_name, data_type, parameter_default, comment "
        "FROM system.information_schema.parameters "
        "WHERE specific_schema = 'functions' AND specific_name = 'first_ones'"
    ) == [(1, "n", "INT", "2", "how many")]
    assert run(
        "SELECT column_name, ordinal_position, comment FROM information_schema.routine_columns "
        "WHERE specific_name = 'first_ones' ORDER BY ordinal_position"
    ) == [("id", 1, "key"), ("name", 2, None)]
