"""Whatever a suite says in SQL runs as a query or not at all: tried on real tables."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from smoke_builds import Builds, generic_test, model

from dbx_cd.errors import SuiteError
from dbx_cd.smoke import data
from dbx_cd.smoke.contracts import contracts_from_manifest
from dbx_cd.smoke.report import CheckResult, SmokeReport
from dbx_cd.smoke.run import load_suites, run_smoke
from spark_kind import STG

TABLE = f"{STG}.smoke_queries.orders"
FUNCTION = "'java.lang.System', 'setProperty', 'dbx_cd.test', 'called'"
SET = "'java.lang.System', 'getProperty', 'dbx_cd.test'"


@pytest.fixture(scope="module")
def orders(spark: SparkSession) -> SparkSession:
    spark.sql(f"create schema if not exists {STG}.smoke_queries")
    spark.sql(f"create or replace table {TABLE} as select id as order_id, id * 10 as amount from range(3)")
    return spark


@pytest.fixture(autouse=True)
def untouched(orders: SparkSession) -> Iterator[None]:
    """No test leaves a trace: no commit, no table, no setting, no call."""
    yield
    assert orders.sql(f"describe history {TABLE}").count() == 1
    listed = orders.sql(f"show tables in {STG}.smoke_queries").collect()
    assert [row.tableName for row in listed if not row.isTemporary] == ["orders"]
    assert orders.conf.get("spark.sql.dbx_cd.test", "unset") == "unset"
    assert not orders.catalog.isCached(TABLE)
    assert orders.sql(f"select reflect({SET})").collect()[0][0] in (None, "null")


WRITES = [
    f"insert into {TABLE} values (9, 9)",
    f"insert overwrite {TABLE} select 9, 9",
    f"with new as (select 9 as a, 9 as b) insert into {TABLE} select * from new",
    f"from {TABLE} insert into {TABLE} select 9, 9",
    f"update {TABLE} set amount = 0",
    f"delete from {TABLE}",
    f"merge into {TABLE} as t using (select 1 as order_id) as s on t.order_id = s.order_id when matched then delete",
    f"truncate table {TABLE}",
    f"drop table {TABLE}",
    f"alter table {TABLE} set tblproperties ('a' = 'b')",
    f"create table {STG}.smoke_queries.new as select * from {TABLE}",
    f"create or replace view {STG}.smoke_queries.new as select * from {TABLE}",
    f"optimize {TABLE}",
    f"vacuum {TABLE}",
    f"restore table {TABLE} to version as of 0",
    "set spark.sql.dbx_cd.test = set",
    f"cache table {TABLE}",
    f"cache table {TABLE} as select 1",
    "use catalog prod",
    f"execute immediate 'drop table {TABLE}'",
    "call stg.system.anything()",
    f"explain select * from {TABLE}",
    f"begin drop table {TABLE}; end",
    f"select 1; drop table {TABLE}",
    f"select 1 as a) ; drop table {TABLE} -- ",
    f"select 1 -- \n ) ; drop table {TABLE}",
    f"select 1) ; drop table {TABLE} /*",
    f"select 1 /* \n) ; drop table {TABLE}",
    f"select 1) as a; insert into {TABLE} select * from (select 9, 9",
    f"/* */ drop table {TABLE}",
    "",
    "-- nothing",
]


@pytest.mark.parametrize("statement", WRITES)
def test_what_is_no_query_never_runs(orders: SparkSession, statement: str) -> None:
    with pytest.raises(SuiteError, match="only a query may be asserted"):
        data.query(orders, statement).collect()


CALLS = [
    f"select reflect({FUNCTION})",
    f"select java_method({FUNCTION})",
    f"select Try_Reflect \n({FUNCTION})",
    f"select `reflect`({FUNCTION})",
    f"select `system`.`builtin`.`reflect` ({FUNCTION})",
    f"select reflect/* ( */({FUNCTION})",
    f"select reflect -- \\\n ( \n({FUNCTION})",
    f"select identifier('re' || 'flect')({FUNCTION})",
    f"select re${{spark.dbx_cd.empty}}flect({FUNCTION})",
    f"select transform(order_id) using 'touch RAN' as (a) from {STG}.smoke_queries.orders",
    f"select transform(order_id) using /* */ 'touch RAN' as (a) from {STG}.smoke_queries.orders",
    f'from {STG}.smoke_queries.orders map order_id using "touch RAN"',
    "select * from remote_query('link', query => 'drop table x')",
    "select http_request(conn => 'x', method => 'POST', path => '/')",
]


@pytest.mark.parametrize("query", CALLS)
def test_a_query_that_runs_code_is_refused(orders: SparkSession, query: str, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    orders.conf.set("spark.dbx_cd.empty", "")
    with pytest.raises(SuiteError, match="only a query may be asserted"):
        data.query(orders, query.replace("RAN", str(ran))).collect()
    assert not ran.exists()


QUERIES = [
    "select 1 as a, 2 as a",
    "with x as (select 1 as a) select * from x order by a limit 1 -- the end",
    "select 1 as a union all (select 2) /* the end */",
    "values (1), (2)",
    f"table {TABLE}",
    f"from {TABLE} select order_id",
    f"select * from {TABLE} version as of 0 join (select 1 as order_id) using (order_id)",
    f"select /*+ broadcast(o) */ count(*) as reflect from {TABLE} as o",
    "select ')' as a, ';' as b, '--' as c",
    "select transform(array(1), x -> x + 1) as a",
]


@pytest.mark.parametrize("query", QUERIES)
def test_every_kind_of_query_gives_the_rows_it_gives_by_itself(orders: SparkSession, query: str) -> None:
    plain, found = orders.sql(query), data.query(orders, query)
    assert found.columns == plain.columns
    assert found.collect() == plain.collect()


def smoke(orders: SparkSession, folder: Path, text: str) -> SmokeReport:
    (folder / "sales.yml").write_text(f"domain: sales\n{text.lstrip()}", encoding="utf-8")
    build = Builds(folder / "builds").build(model("orders", TABLE))
    return run_smoke(load_suites(folder, build), spark=orders, artifacts=build, baseline=build, check=False)


def broken(report: SmokeReport) -> list[CheckResult]:
    assert not report.ok
    return [check for check in report.checks if check.status == "broken"]


def test_an_assertion_that_writes_is_broken_and_says_why(orders: SparkSession, tmp_path: Path) -> None:
    text = f"""
assertions:
  - name: drops
    sql: drop table {TABLE}
  - name: inserts
    sql: insert into {{{{ ref('orders') }}}} values (9, 9)
  - name: calls
    sql: select * from {{{{ ref('orders') }}}} where reflect({FUNCTION}) = ''
    severity: warn
"""
    found = broken(smoke(orders, tmp_path, text))
    assert {check.name for check in found} == {"drops", "inserts", "calls"}
    assert all("only a query may be asserted" in str(check.reason) for check in found)


@pytest.mark.parametrize(
    "metric",
    [
        f"sql: \"count(*) from {TABLE}); drop table {TABLE} -- \"",
        f"sql: \"reflect({FUNCTION})\"",
        f"sql: count(*)\n        where: \"1 = 1); drop table {TABLE} -- \"",
        f"sql: count(*)\n        where: \"reflect({FUNCTION}) = ''\"",
        f"sql: count(*)\n        where: \"1 = 1); drop table {TABLE} -- \"\n        group_by: order_id",
        f"sql: count(*)\n        group_by: \"order_id) ; drop table {STG}.smoke_queries.orders -- \"",
    ],
)  # fmt: skip
def test_a_metric_that_writes_is_broken(orders: SparkSession, tmp_path: Path, metric: str) -> None:
    text = f"""
tables:
  - model: orders
    compare:
      - metric: trick
        {metric}
        within_pct: 5
"""
    assert [check.name for check in broken(smoke(orders, tmp_path, text))] == ["trick"]


@pytest.mark.parametrize(
    "expectation",
    [
        f"unexpected_rows_expectation: {{unexpected_rows_query: \"drop table {TABLE}\"}}",
        f"unexpected_rows_expectation: {{unexpected_rows_query: \"insert into {TABLE} select * from {{batch}}\"}}",
        f"unexpected_rows_expectation: {{unexpected_rows_query: \"select reflect({FUNCTION})\"}}",
        f"expect_column_values_to_not_be_null: {{column: amount, row_condition: \"reflect({FUNCTION}) = ''\","
        " condition_parser: spark}",
    ],
)  # fmt: skip
def test_an_expectation_that_writes_is_broken(orders: SparkSession, tmp_path: Path, expectation: str) -> None:
    text = f"""
tables:
  - model: orders
    expectations:
      - {expectation}
"""
    (found,) = broken(smoke(orders, tmp_path, text))
    assert "only a query may be asserted" in str(found.reason)


@pytest.mark.parametrize(
    "config",
    [
        {"where": f"1 = 1) as a) ; drop table {TABLE} -- "},
        {"where": f"reflect({FUNCTION}) = ''"},
        {"fail_calc": f"max(reflect({FUNCTION}))"},
        {"fail_calc": f"1 as a from (select 1)); drop table {TABLE} -- "},
        {"error_if": f"> 0 from (select 1)); drop table {TABLE} -- "},
        {"warn_if": f"> length(java_method({FUNCTION}))"},
    ],
)
def test_a_data_test_that_writes_is_broken(orders: SparkSession, tmp_path: Path, config: dict[str, str]) -> None:
    node = model("orders", TABLE)
    build = Builds(tmp_path).build(node, generic_test("unique", node, config=config, column_name="order_id"))
    suites = [contracts_from_manifest(build.manifest())]
    (found,) = broken(run_smoke(suites, spark=orders, artifacts=build, check=False))
    assert "only a query may be asserted" in str(found.reason)


def test_an_expectation_with_a_query_of_its_own_still_runs(orders: SparkSession, tmp_path: Path) -> None:
    text = """
tables:
  - model: orders
    expectations:
      - unexpected_rows_expectation: {unexpected_rows_query: "select * from {batch} where amount < 0"}
        name: none
      - unexpected_rows_expectation: {unexpected_rows_query: "select * from {batch} where amount > 0"}
        name: some
"""
    report = smoke(orders, tmp_path, text)
    assert {check.name: check.status for check in report.checks} == {"none": "pass", "some": "fail"}
